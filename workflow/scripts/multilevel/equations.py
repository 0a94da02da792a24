"""The equations of a model, level by level, as LaTeX made from its design."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from multilevel import curves, families, links, structures
from multilevel.design import INTERCEPT, Design, Predictor, Term
from multilevel.residuals import Residuals


def describe(design: Design) -> dict[str, Any]:
    """Return the equations of a design.

    Parameters
    ----------
    design
        The design.

    Returns
    -------
    dict
        ``levels``: one entry for the rows and one for each group term, with ``title`` and ``latex`` lines; ``plain``: a
        sentence. A predictor that is constant within the levels of a model's only group stands at the group's level.
    """
    single = design.group_terms[0] if len(design.group_terms) == 1 and len(design.predictors) == 1 else None
    single = None if design.curve else single
    single = single if single and single.exchangeable else None
    upper = _upper_columns(design, single) if single else {}
    moved = {name for names in upper.values() for name, _ in names}
    rows = [*_response(design), *_curve(design), _row_equation(design, design.predictors[0], single, moved)]
    rows += [_row_equation(design, part, None, set()) for part in design.predictors[1:]]
    levels = [{"level": 1, "title": f"Level 1: rows ({len(design.y)})", "latex": rows}]
    for number, term in enumerate(design.group_terms):
        levels.append(
            {
                "level": 2,
                "title": f"Level 2: {term.group}{f', {term.by}' if term.by else ''} ({len(term.levels)})",
                "latex": _group_equations(design, term, number, single is term, upper),
            }
        )
    return {"levels": levels, "plain": _plain(design)}


def _symbol(name: str) -> str:
    """Return a name as LaTeX text."""
    escaped = re.sub(r"([_%&#${}])", r"\\\1", name.replace("\\", " ")).replace("^", r"\^{}").replace("~", r"\~{}")
    return rf"\text{{{escaped}}}"


_LINKED = {"identity": r"\eta_i", "log": r"\exp(\eta_i)"}
_LINKS = {
    "logit": r"\operatorname{logit}(p_i)",
    "probit": r"\Phi^{-1}(p_i)",
    "cloglog": r"\log(-\log(1 - p_i))",
    "log": r"\log",
}


_OTHER_LINKS = {
    "identity": "{}",
    "log": r"\log {}",
    "logm1": r"\log({} - 1)",
    "softplus": r"\log(\exp {} - 1)",
    "inverse": "1 / {}",
    "logit": r"\operatorname{{logit}}({})",
    "probit": r"\Phi^{{-1}}({})",
    "cloglog": r"\log(-\log(1 - {}))",
}
"""Links as functions of a parameter's symbol."""

_OF_CATEGORIES = {
    "cumulative": (r"{y}_i \le k", 1),
    "sequential": (r"{y}_i = k \mid {y}_i \ge k", 1),
    "continuation": (r"{y}_i > k \mid {y}_i \ge k", -1),
    "adjacent": (r"{y}_i = k + 1 \mid {y}_i \in \{{k, k + 1\}}", -1),
}
"""The event whose probability an ordinal family models, and whether thresholds or the predictor make it likelier."""

_LINK_NAMES = {"probit": r"\Phi^{-1}"}


def _ordinal(design: Design) -> list[str]:
    """Return the equations of an ordinal response: ``logit Pr(y_i <= k) = tau_k - eta_i``, and what holds of the thresholds."""
    thresholds = design.thresholds
    assert thresholds is not None
    event, sign = _OF_CATEGORIES[design.family]
    shifts = [rf"\gamma_{{k,{_symbol(name)}}}\,{_symbol(name)}_i" for name in thresholds.predictors]
    predictor = [r"\eta_i", *shifts]
    distance = " - ".join([r"\tau_k", *predictor]) if sign > 0 else " + ".join(predictor) + r" - \tau_k"
    if "disc" in design.parameters:
        distance = rf"\text{{disc}}_i\,({distance})"
    link = _LINK_NAMES.get(design.link, rf"\operatorname{{{design.link}}}")
    last = len(thresholds.names)
    lines = [rf"{link}\,\Pr({event.format(y=_symbol(design.response))}) = {distance},\quad k = 1, \dots, {last}"]
    if thresholds.equidistant:
        lines.append(r"\tau_k = \tau_1 + (k - 1)\,\delta" + (r",\quad \delta > 0" if thresholds.ordered else ""))
    elif thresholds.ordered and last > 1:
        lines.append(r"\tau_1 < \dots < " + rf"\tau_{{{last}}}" if last > 2 else r"\tau_1 < \tau_2")
    return lines


def _response(design: Design) -> list[str]:
    """Return the distribution of the response: ``y_i ~ Normal(eta_i, sigma^2)``."""
    if design.thresholds:
        return _ordinal(design)
    if design.nominal:
        shares = ", ".join(rf"p_{{i,{_symbol(label)}}}" for label in design.categories)
        return [rf"{_symbol(design.response)}_i \sim \operatorname{{Categorical}}({shares})"]
    if design.family == "gaussian":
        estimated = "sigma" in design.parameters
        sigma = (r"\sigma_i^2" if "sigma" not in design.scalars else r"\sigma^2") if estimated else ""
        known = r"s_i^2" if "se" in design.terms else ""
        spread = " + ".join(part for part in (sigma, known) if part)
        if design.residuals:
            first = rf"{_symbol(design.response)}_i = \eta_i + \varepsilon_i"
            return [
                rf"{first},\quad \varepsilon_i \sim \operatorname{{Normal}}(0,\ {spread})",
                _residuals(design.residuals),
            ]
        distribution = rf"\operatorname{{Normal}}({_LINKED[design.link]},\ {spread})"
    elif design.family == "binomial":
        trials = "n_i" if "trials" in design.terms else "1"
        distribution = rf"\operatorname{{Binomial}}({trials},\ p_i)"
    else:
        distribution = _distribution(design)
    return [rf"{_symbol(design.response)}_i \sim {distribution}{_bounds(design)}"]


def _residuals(found: Residuals) -> str:
    """Return the correlation of two residuals: ``Cor(e_i, e_k) = phi^|t_i - t_k|`` within a subject."""
    time = _symbol(found.time)
    match found.structure:
        case "cs":
            value = r"\rho"
        case "unstructured":
            value = rf"\rho_{{{time}_i,\,{time}_k}}"
        case _:
            value = rf"\phi^{{|{time}_i - {time}_k|}}"
    within, otherwise = _symbol(f" within one {found.group}, "), _symbol(" otherwise")
    return rf"\operatorname{{Cor}}(\varepsilon_i, \varepsilon_k) = {value}{within}0{otherwise}"


def _distribution(design: Design) -> str:
    """Return a family's distribution with its parameters: ``NegBinomial(mu_i, shape)``, ``Binomial(n_i, p_i, zi)``."""
    module = families.get(design.family)
    arguments = [_first_parameter(design)]
    if "trials" in module.RESPONSE_TERMS:
        arguments.insert(0, "n_i" if "trials" in design.terms else "1")
    for name in module.PARAMETERS[1:]:
        if name in design.parameters:
            symbol = _parameter(name) + ("" if name in design.scalars else "_i")
            known = name == "sigma" and "se" in design.terms
            arguments.append(rf"\sqrt{{{symbol}^2 + s_i^2}}" if known else symbol)
        elif name == "sigma":  # known by standard errors
            arguments.append("s_i")
    return rf"\operatorname{{{getattr(module, 'SYMBOL', design.family)}}}({r',\ '.join(arguments)})"


def _bounds(design: Design) -> str:
    """Return between what a truncated response lies, behind its distribution; one bound for all rows is given by its value."""

    def end(name: str, symbol: str) -> str:
        values = design.terms[name]
        return f"{values[0]:g}" if (values == values[0]).all() else symbol

    lower = rf"{end('lb', 'a_i')} \le " if "lb" in design.terms else ""
    upper = rf" \le {end('ub', 'b_i')}" if "ub" in design.terms else ""
    return rf",\quad {lower}{_symbol(design.response)}_i{upper}" if lower or upper else ""


def _first_parameter(design: Design) -> str:
    return "p_i" if design.link in links.PROBABILITY else r"\mu_i"


def _parameter(name: str) -> str:
    """Return a parameter's symbol: a Greek letter where it is named after one."""
    return rf"\{name}" if name in {"sigma", "phi", "nu"} else rf"\text{{{name}}}"


def _curve(design: Design) -> list[str]:
    """Return the equation of the curve of a nonlinear model: what the first parameter is under its link."""
    if design.curve is None:
        return []
    names = (*design.curve.parameters, *design.curve.columns)
    curve = curves.latex(design.curve.text, {name: f"{_symbol(name)}_i" for name in names})
    return [rf"{_linked(design)} = {curve}"]


def _left(design: Design, part: Predictor) -> str:
    """Return what a linear predictor is equal to: ``eta_i``, ``logit(p_i) = eta_i``, ``log sigma_i``."""
    if design.nominal:
        own, reference = _symbol(_category_of(design, part)), _symbol(design.categories[0])
        return rf"\log(p_{{i,{own}}} / p_{{i,{reference}}})"
    if design.thresholds and not part.prefix:
        return r"\eta_i"
    if design.curve and part.parameter in design.primary:
        return f"{_symbol(part.parameter)}_i"
    if part.prefix:
        symbol = f"{_parameter(part.parameter)}_i"
        return _OTHER_LINKS[families.get(design.family).OTHER_LINKS[part.parameter]].format(symbol)
    return _linked(design)


def _linked(design: Design) -> str:
    """Return ``eta_i``, and what it is of the first parameter under its link: ``logit(p_i) = eta_i``."""
    if design.family not in {"gaussian", "binomial"} and design.link in _OTHER_LINKS:
        return rf"{_OTHER_LINKS[design.link].format(_first_parameter(design))} = \eta_i"
    return rf"{_LINKS[design.link]} = \eta_i" if design.link in _LINKS and design.link != "log" else r"\eta_i"


def _category_of(design: Design, part: Predictor) -> str:
    """Return the category that a linear predictor is of."""
    return design.categories[1 + design.parameters.index(part.parameter)]


def _row_equation(design: Design, part: Predictor, single: Term | None, moved: set[str]) -> str:
    parts: list[str] = []
    varying = set(single.effects) if single else set()
    if single:
        for position, effect in enumerate(single.effects):
            parts.append(rf"\beta_{{{position},j[i]}}" + ("" if effect == INTERCEPT else rf"\,{_symbol(effect)}_i"))
    of_category = _category_of(design, part) if design.nominal else ""
    if design.curve and part.parameter in design.primary:
        of_category = part.parameter
    parts += _row_coefficients(part, moved | (varying if single else set()), of_category)
    if not single:
        terms = [(term, number) for number, term in enumerate(design.group_terms) if term.positions(part.parameter)]
        parts += [_deviations(term, number, part) for term, number in terms]
    if part.offset.any():
        parts.append(r"\text{offset}_i")
    return rf"{_left(design, part)} = " + (" + ".join(parts) if parts else "0")


def _row_coefficients(part: Predictor, skip: set[str], of_category: str) -> list[str]:
    """Return the fixed coefficients that stay at the level of rows; many contrasts of one factor become one symbol."""
    parts: list[str] = []
    done: set[str] = set()
    greek = r"\delta" if part.prefix else r"\gamma"
    if of_category:
        greek = rf"\gamma^{{({_symbol(of_category)})}}"
    for name, term in zip(part.coefficients, part.terms_of, strict=True):
        if name in skip or term in done:
            continue
        same = [c for c, t in zip(part.coefficients, part.terms_of, strict=True) if t == term]
        bare, of = name.removeprefix(part.prefix), term.removeprefix(part.prefix)
        if len(same) > 3:
            done.add(term)
            parts.append(rf"{greek}_{{{_symbol(of)}[i]}}")
        elif name == part.intercept:
            parts.append(rf"{greek}_{{0}}")
        else:
            parts.append(rf"{greek}_{{{_symbol(bare)}}}\,{_symbol(bare)}_i")
    return parts


def _upper_columns(design: Design, term: Term) -> dict[int, list[tuple[str, str]]]:
    """Return, for each effect of a term, the fixed columns that predict it at the group's level, with the predictor's name.

    A column does so where it is the effect's own column times something constant within levels.
    """
    found: dict[int, list[tuple[str, str]]] = {}
    for name, column in zip(design.coefficients, design.x.T, strict=True):
        if name == INTERCEPT or name in term.effects:
            continue
        for position, effect in enumerate(term.effects):
            pieces = name.split(":")
            if effect == INTERCEPT:
                if _constant_within(column, term):
                    found.setdefault(position, []).append((name, name))
                    break
            elif effect in pieces:
                rest = [p for p in pieces if p != effect]
                index = [design.coefficients.index(p) for p in rest if p in design.coefficients]
                if rest and len(index) == len(rest) and all(_constant_within(design.x[:, i], term) for i in index):
                    found.setdefault(position, []).append((name, ":".join(rest)))
                    break
    return found


def _constant_within(column: np.ndarray, term: Term) -> bool:
    low = np.full(len(term.levels), np.inf)
    high = np.full(len(term.levels), -np.inf)
    np.minimum.at(low, term.index, column)
    np.maximum.at(high, term.index, column)
    return bool((high - low <= 1e-12 * np.maximum(1.0, np.abs(high))).all())


def _deviations(term: Term, number: int, part: Predictor) -> str:
    behind = f":{term.by}" if term.by else ""
    bare = {
        position: term.effects[position].removeprefix(part.prefix).removesuffix(behind)
        for position in term.positions(part.parameter)
    }
    before, level = "", f"j_{{{number + 1}}}[i]"
    if term.by:
        before = rf"1_{{{_symbol(term.by)}}}(i)\,"
    elif term.weights is not None:
        before, level = r"\textstyle\sum_m w_{im}\,", f"j_{{{number + 1}}}[i,m]"
    pieces = [
        rf"{before}u^{{({number + 1})}}_{{{position},{level}}}"
        + ("" if effect == INTERCEPT else rf"\,{_symbol(effect)}_i")
        for position, effect in bare.items()
    ]
    return " + ".join(pieces)


def _group_equations(
    design: Design, term: Term, number: int, single: bool, upper: dict[int, list[tuple[str, str]]]
) -> list[str]:
    lines: list[str] = []
    if single:
        for position, effect in enumerate(term.effects):
            parts = (
                [rf"\gamma_{{{'0' if effect == INTERCEPT else _symbol(effect)}}}"]
                if effect in design.coefficients
                else []
            )
            parts += [
                rf"\gamma_{{{_symbol(name)}}}\,{_symbol(predictor)}_j" for name, predictor in upper.get(position, [])
            ]
            lines.append(rf"\beta_{{{position},j}} = " + " + ".join([*parts, rf"u_{{{position},j}}"]))
    superscript = "" if single else rf"^{{({number + 1})}}"
    size = len(term.effects)
    normal = r"\operatorname{Normal}"
    if term.dist == "student":
        degrees = rf"\nu{superscript}"
        normal = rf"\operatorname{{Student-t}}_{{{degrees}}}"
    if term.chain is not None:
        lines += _in_time(term, superscript)
    elif term.factor is not None:
        lines += _known_equations(term, superscript)
    elif size == 1:
        lines.append(rf"u{superscript}_{{0,j}} \sim {normal}(0,\ \tau{superscript}_0{{}}^2)")
    elif not term.correlated and term.dist == "gaussian":
        lines += [rf"u{superscript}_{{{i},j}} \sim {normal}(0,\ \tau{superscript}_{i}{{}}^2)" for i in range(size)]
    else:
        vector = r" \\ ".join(rf"u{superscript}_{{{i},j}}" for i in range(size))
        cells = r" \\ ".join(
            " & ".join(
                rf"\tau{superscript}_{i}{{}}^2"
                if i == j
                else (_covariance(superscript, min(i, j), max(i, j)) if term.correlated else "0")
                for j in range(size)
            )
            for i in range(size)
        )
        zero = r" \\ ".join(["0"] * size)
        lines.append(
            rf"\begin{{pmatrix}} {vector} \end{{pmatrix}} \sim "
            rf"{normal}\left(\begin{{pmatrix}} {zero} \end{{pmatrix}},\ "
            rf"\begin{{pmatrix}} {cells} \end{{pmatrix}}\right)"
        )
    return lines


def _in_time(term: Term, superscript: str) -> list[str]:
    """Return the distribution of the effects of levels that follow each other in time: of one effect, or of a vector."""
    assert term.chain is not None
    several = len(term.effects) > 1
    later, earlier = (rf"u{superscript}_{{{'' if several else '0,'}{at}}}" for at in "ts")
    spread = rf"\Sigma{superscript}" if several else rf"\tau{superscript}_0{{}}^2"
    within = _symbol(f" within one {term.chain.group}") if term.chain.group else ""
    time = rf"t, s\ \text{{values of }}{_symbol(term.chain.time)}{within}"
    if term.structure == "rw":
        step = rf"{later} - {earlier} \sim \operatorname{{Normal}}(0,\ (t - s)\,{spread})"
        return [rf"{step},\quad \textstyle\sum_t {later} = 0,\quad {time},\ s\ \text{{the one before}}\ t"]
    own = rf"{later} \sim \operatorname{{Normal}}(0,\ {spread})"
    return [
        rf"{own},\quad \operatorname{{Cov}}({later}, {earlier}) = \phi{superscript}{{}}^{{|t - s|}}\,{spread},\quad {time}"
    ]


def _known_equations(term: Term, superscript: str) -> list[str]:
    """Return the distribution of all levels' effects together, under a known covariance of levels."""
    known = rf"K_{{{_symbol(term.covariance)}}}"
    if len(term.effects) == 1:
        return [rf"u{superscript}_0 \sim \operatorname{{Normal}}(0,\ \tau{superscript}_0{{}}^2\,{known})"]
    if not term.correlated:
        return [
            rf"u{superscript}_{i} \sim \operatorname{{Normal}}(0,\ \tau{superscript}_{i}{{}}^2\,{known})"
            for i in range(len(term.effects))
        ]
    deviations, correlations = rf"\operatorname{{diag}}(\tau{superscript})", rf"R{superscript}"
    covariance = rf"{deviations}\,{correlations}\,{deviations}"
    return [rf"U{superscript} \sim \operatorname{{MatrixNormal}}(0,\ {known},\ {covariance})"]


def _covariance(superscript: str, first: int, second: int) -> str:
    deviations = rf"\tau{superscript}_{first}\,\tau{superscript}_{second}"
    return rf"\rho{superscript}_{{{first}{second}}}\,{deviations}"


def _plain(design: Design) -> str:
    named = [t.removeprefix(p.prefix) for p in design.predictors if p.parameter in design.primary for t in p.terms_of]
    specific = list(dict.fromkeys(design.thresholds.terms_of if design.thresholds else ()))
    predictors = list(dict.fromkeys([t for t in named if t != INTERCEPT] + specific))
    alone = "one common mean" if design.has_intercept else "mean 0"
    if design.categories:
        alone = "the same probability of each category in every row"
    if design.curve:
        return _plain_of_curve(design)
    first = f"{design.response} {f'is explained by {", ".join(predictors)}' if predictors else f'has {alone}'}"
    if specific:
        first += f" (the effect of {', '.join(specific)} differs between the categories)"
    return _with_groups(design, first)


def _plain_of_curve(design: Design) -> str:
    """Return a sentence on the curve, its parameters and what they depend on."""
    assert design.curve is not None
    axis = ", ".join(design.curve.columns) or "nothing"
    shape = call[0].replace("_", " ") if (call := curves.ready_made(design.curve.text)) else ""
    told = f"{design.response} follows a {f'{shape} ' if shape else ''}curve of {axis} with the parameters "
    told += ", ".join(design.curve.parameters)
    for part in design.predictors:
        names = list(dict.fromkeys(t.removeprefix(part.prefix) for t in part.terms_of))
        if part.parameter in design.primary and (own := [name for name in names if name != INTERCEPT]):
            told += f"; {part.parameter} is explained by {', '.join(own)}"
    return _with_groups(design, told)


def _with_groups(design: Design, first: str) -> str:
    """Return a sentence on the fixed part with what the group terms say."""
    correlated = [design.residuals.sentence] if design.residuals else []
    if correlated and not design.group_terms:
        return f"{first}; {correlated[0]}."
    if not design.group_terms:
        return f"{first}; rows are independent given these, whatever group they belong to."
    parts = []
    for term in design.group_terms:
        names = [
            _effect_in_words(effect, owner, design) for effect, owner in zip(term.effects, term.parameters, strict=True)
        ]
        link = " and ".join(names) + (
            ", correlated" if term.correlated else (", independent of each other" if len(names) > 1 else "")
        )
        sentence = _of_levels(term)
        of = f"{term.group} with {term.by}" if term.by else term.group
        parts.append(f"each of the {len(term.levels)} levels of {of} has its own {link} ({sentence})")
    return f"{first}; {'; '.join([*parts, *correlated])}."


def _of_levels(term: Term) -> str:
    """Return what a term says about its levels, in words."""
    sentence = str(structures.get(term.structure).SENTENCE)
    if term.factor is not None and term.chain is None:
        sentence += f" ({term.covariance})"
    if term.dist == "student":
        sentence = sentence.replace("normal distribution", "student-t distribution")
    if term.weights is not None and not term.by:
        sentence += "; a row belongs to several levels, whose effects are added with its weights"
    return sentence


def _effect_in_words(effect: str, owner: str, design: Design) -> str:
    """Return ``level``, ``effect of x``, ``level of sigma`` or ``effect of x on sigma``."""
    effect = re.sub(rf"^((?:.*_)?{INTERCEPT}):.*\[.*\]$", r"\1", effect)
    if owner == design.unprefixed:
        return "level" if effect == INTERCEPT else f"effect of {effect}"
    bare = effect.removeprefix(f"{owner}_")
    return f"level of {owner}" if bare == INTERCEPT else f"effect of {bare} on {owner}"
