"""The candidates of a study as texts: formulas in canonical form, families, links and priors, checked without any data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from multilevel import curves, families, formula, priors, residuals, schema
from multilevel.errors import FormulaError, Problem, did_you_mean
from multilevel.formula import Formula
from multilevel.grid import Cell
from multilevel.names import RESERVED


def resolve(study: schema.Study, cells: Mapping[str, Cell]) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Resolve every cell of the grid: canonical formulas, family, link, priors with the study's defaults beneath.

    Returns
    -------
    tuple
        The models that could be resolved, by name, and every problem found.
    """
    resolved: dict[str, dict[str, Any]] = {}
    of_curves = {parameter for cell in cells.values() for parameter in cell.written.nonlinear}
    problems = prior_problems("defaults.priors", study.defaults.priors, of_curves)
    if families.canonical(study.defaults.family) not in families.names():
        problems.append(_unknown_family("defaults.family", study.defaults.family))
    for name, cell in cells.items():
        model, where = cell.written, f"models.{cell.model}"
        family = families.canonical(model.family or study.defaults.family)
        known = family in families.names()
        if model.family and not known:
            problems.append(_unknown_family(cell.place("family"), model.family))
        for place, texts in cell.priors:
            problems += prior_problems(place, texts, of_curves)
        parsed, found = _formula(f"{where}.formula", model.formula, study.defaults.response, tuple(model.nonlinear))
        parameters, more = _parameters(where, model, parsed, family)
        problems += found + more
        if parsed is None:
            continue
        correlated, found = _residuals(cell, parsed, family)
        problems += found
        of_curve, found = _curve_parameters(where, model, parsed, family)
        problems += found
        if known:
            problems += _fits_family(cell, parsed, family) + _thresholds(cell, parsed, family)
        given: dict[str, str] = {}
        for texts in (study.defaults.priors, *(texts for _, texts in cell.priors)):
            given = priors.overlay(given, texts)
        resolved[name] = {
            "formula": str(parsed),
            "family": family,
            "link": model.link or (families.get(family).LINKS[0] if known else ""),
            **({"nonlinear": {name: part.right_hand_side() for name, part in of_curve.items()}} if of_curve else {}),
            "parameters": {parameter: part.right_hand_side() for parameter, part in parameters.items()},
            "priors": dict(sorted(given.items())),
            "centred": model.centred,
            "integrate": study.defaults.integrate if model.integrate is None else model.integrate,
            "label": cell.label(model.label or cell.model),
            "description": model.description or "",
            "written": model.formula,
            **({"scored_as": {"column": model.scored_as}} if model.scored_as else {}),
        }
        if model.start:
            resolved[name]["start"] = dict(model.start)
            if not model.nonlinear:
                problems.append(Problem(f"{where}.start", "only curves (under nonlinear) are told where to start"))
        if preset := model.priors_preset or study.defaults.priors_preset:
            resolved[name]["preset"] = preset
        if model.thresholds == "equidistant":  # a key that other models have not, so that nothing changes for them
            resolved[name]["thresholds"] = model.thresholds
        if correlated:
            resolved[name]["residuals"] = correlated
    return resolved, problems


def _formula(
    where: str, text: str, default: str | None, curve_parameters: tuple[str, ...]
) -> tuple[Formula | None, list[Problem]]:
    """Parse the formula of the response; `default` is the response where the formula leaves it out."""
    try:
        parsed = formula.parse(text, curve_parameters)
    except FormulaError as error:
        return None, [Problem(where, str(error))]
    problems = []
    if parsed.response and default and parsed.response != default:
        message = f"the response '{parsed.response}' differs from defaults.response ('{default}')"
        problems.append(Problem(where, message))
    if not (response := parsed.response or default):
        problems.append(Problem(where, "names no response", "write 'y ~ ...' or set defaults.response"))
        return None, problems
    if response in replace(parsed, response=None, response_terms=()).variables():
        message = f"the response '{response}' cannot explain itself"
        problems.append(Problem(where, message, "take it out on the right"))
        return None, problems
    return parsed.with_response(response), problems


def _curve_parameters(
    where: str, model: schema.Model, parsed: Formula, family: str
) -> tuple[dict[str, Formula], list[Problem]]:
    """Parse the formulas of a curve's parameters; each must stand in the curve, under a name that means nothing else."""
    found: dict[str, Formula] = {}
    problems = []
    if model.nonlinear and family in families.names() and families.has_categories(family):
        message = f"a curve cannot be the predictor of the family {family}, whose responses are categories"
        problems.append(Problem(f"{where}.nonlinear", message))
    own = {"mu", *(families.parameters(family) if family in families.names() else ())}
    for name, text in model.nonlinear.items():
        place = f"{where}.nonlinear.{name}"
        if name in own or name in RESERVED or name.endswith("Intercept") or name in {*curves.ARITY, *curves.READY_MADE}:
            problems.append(
                Problem(place, f"no parameter of a curve can be called '{name}', which means something else")
            )
            continue
        if name not in (held := curves.names(parsed.curve)):
            hint = did_you_mean(name, held) or f"the curve is {parsed.curve}"
            problems.append(Problem(place, f"the curve has no parameter '{name}'", hint))
            continue
        try:
            found[name] = formula.parse_parameter(text)
        except FormulaError as error:
            problems.append(Problem(place, str(error)))
            continue
        if parsed.response in found[name].variables():
            problems.append(Problem(place, f"the response '{parsed.response}' cannot explain itself"))
        if _is_empty(found[name]) and not formula.has_intercept(found[name].fixed):
            problems.append(Problem(place, f"the formula of '{name}' predicts it by nothing", "write 1 for one value"))
    return {name: found[name] for name in parsed.curve_parameters if name in found}, problems


def _parameters(
    where: str, model: schema.Model, parsed: Formula | None, family: str
) -> tuple[dict[str, Formula], list[Problem]]:
    """Parse the formulas of the parameters that have a linear predictor of their own."""
    found: dict[str, Formula] = {}
    problems = []
    known = formula.known_parameters(parsed) if parsed else frozenset()
    by_category = family in families.names() and families.get(family).KIND == "nominal"  # named by the data
    choices = families.parameters(family)[1:] if family in families.names() else ()
    for parameter, text in model.parameters.items():
        place = f"{where}.parameters.{parameter}"
        if family in families.names() and parameter not in choices and not by_category:
            if parameter == families.parameters(family)[0]:
                hint = "its linear predictor is the formula's"
            else:
                hint = did_you_mean(parameter, choices) or f"{family} has no other parameter than the formula's"
            problems.append(Problem(place, f"the family {family} has no parameter '{parameter}' to predict", hint))
            continue
        if parameter in known:
            message = f"'{parameter}' is known here, because the formula gives standard errors"
            problems.append(Problem(place, message, "write se(s, sigma=true) to estimate it beside them"))
            continue
        try:
            found[parameter] = formula.parse_parameter(text)
        except FormulaError as error:
            problems.append(Problem(place, str(error)))
            continue
        if parsed and parsed.response in found[parameter].variables():
            problems.append(Problem(place, f"the response '{parsed.response}' cannot explain itself"))
        if family in families.names() and parameter in families.fixed(family) and _is_empty(found[parameter]):
            message = f"the formula of '{parameter}' predicts it by nothing"
            problems.append(
                Problem(place, message, f"its level is {families.fixed(family)[parameter]:g}; add predictors")
            )
    return found, problems


def _fits_family(cell: Cell, parsed: Formula, family: str) -> list[Problem]:
    """Check that the family takes what stands beside the response, and the link."""
    module, link = families.get(family), cell.written.link
    problems = []
    for term in parsed.response_terms:
        if term.name not in module.RESPONSE_TERMS:
            able = [name for name in families.names() if term.name in families.get(name).RESPONSE_TERMS]
            hint = f"families that take it: {', '.join(able)}" if able else ""
            problems.append(
                Problem(f"models.{cell.model}.formula", f"the family {family} takes no {term.name}()", hint)
            )
    if link and link not in module.LINKS:
        message = f"the family {family} has no link '{link}'"
        problems.append(Problem(cell.place("link"), message, did_you_mean(link, module.LINKS)))
    return problems


NO_RESIDUALS = {
    "se": "known standard errors are those of independent errors, beside which correlated ones have no name here",
    "weights": "a row that counts several times has no place in a joint density",
    "cens": "the joint probability of censored rows has no closed form",
    "trunc": "the joint probability of what could be observed has no closed form",
}
"""Why response terms do not go with correlated residuals."""


def _residuals(cell: Cell, parsed: Formula, family: str) -> tuple[str, list[Problem]]:
    """Return the structure of a model's residuals in canonical form, and what is wrong with it; nothing without one."""
    if cell.written.residuals is None:
        return "", []
    place = f"models.{cell.model}.residuals"
    try:
        written = str(residuals.parse(cell.written.residuals))
    except FormulaError as error:
        return "", [Problem(place, str(error))]
    if cell.written.nonlinear:
        hint = "effects of subjects on the parameters of the curve are group terms under nonlinear"
        return written, [Problem(place, "a curve takes no correlated residuals", hint)]
    if family != "gaussian":
        message = f"correlated residuals are those of gaussian models, and the family is {family}"
        return written, [Problem(place, message, "group terms such as (1 | gr(week, structure = ar1)) fit any family")]
    if cell.written.link not in {None, "identity"}:
        message = f"correlated residuals need the identity link, and the link is {cell.written.link}"
        return written, [Problem(place, message)]
    return written, [
        Problem(place, f"{term.name}() and correlated residuals do not go together: {NO_RESIDUALS[term.name]}")
        for term in parsed.response_terms
        if term.name in NO_RESIDUALS
    ]


def _is_empty(parsed: Formula) -> bool:
    """Tell a formula that has an intercept at most."""
    return not (parsed.group_terms or parsed.offsets or formula.column_names(parsed.fixed))


def _thresholds(cell: Cell, parsed: Formula, family: str) -> list[Problem]:
    """Check what only some families have: thresholds, and effects that differ between categories."""
    where, problems = f"models.{cell.model}.formula", []
    has_thresholds = bool(families.threshold_kind(family))
    if cell.written.thresholds and not has_thresholds:
        able = [name for name in families.names() if families.threshold_kind(name)]
        hint = f"families that have them: {', '.join(able)}"
        problems.append(Problem(cell.place("thresholds"), f"the family {family} has no thresholds", hint))
    if parsed.specific and (reason := _no_specific_effects(family)):
        able = [name for name in families.names() if not _no_specific_effects(name)]
        message = f"the family {family} takes no category-specific effects, cs(): {reason}"
        problems.append(Problem(where, message, f"families that take them: {', '.join(able)}"))
    if has_thresholds and not formula.has_intercept(parsed.fixed):
        message = f"the thresholds of a {family} model are its intercepts, so '0 +' has nothing to take out"
        problems.append(Problem(where, message, "leave '0 +' out"))
    return problems


def _no_specific_effects(family: str) -> str:
    """Return why a family takes no category-specific effects; nothing where it does."""
    default = "" if families.threshold_kind(family) else "its responses are no ordered categories"
    return str(getattr(families.get(family), "NO_SPECIFIC_EFFECTS", default))


OTHER_NAMES = {
    "normal": "gaussian",
    "linear": "gaussian",
    "logistic": "bernoulli",
    "logit": "bernoulli",
    "probit": "bernoulli",
    "binary": "bernoulli",
    "t": "student_t",
    "neg_binomial": "negative_binomial",
    "nbinom": "negative_binomial",
    "negbin": "negative_binomial",
    "zip": "zero_inflated_poisson",
    "zinb": "zero_inflated_negative_binomial",
    "zoib": "zero_one_inflated_beta",
    "wald": "inverse_gaussian",
    "log_normal": "lognormal",
}
"""What families are called elsewhere."""


def _unknown_family(where: str, name: str) -> Problem:
    known = OTHER_NAMES.get(name.lower())
    hint = f"it is called '{known}' here" if known else did_you_mean(name, [*families.names(), *families.ALIASES])
    return Problem(where, f"unknown family '{name}'", hint)


def prior_problems(where: str, given: Mapping[str, str], of_curves: Collection[str] = ()) -> list[Problem]:
    """Check priors as texts: the class exists, the distribution exists and has the right support.

    Parameters
    ----------
    where, given
        Where they stand, and the priors by name.
    of_curves
        Parameters of curves, whose coefficients take positive priors too.
    """
    problems = []
    spelled: dict[str, str] = {}
    for target, text in given.items():
        place = f"{where}.{target}"
        about = priors.normalise(target) if priors.is_matrix(text) else priors.parameter_of(target)
        if (first := spelled.setdefault(about, target)) != target:
            problems.append(Problem(place, f"'{first}' and '{target}' are the same parameter", "keep one of them"))
        kind = priors.class_of(target)
        if kind not in priors.ALLOWED:
            problems.append(Problem(place, f"unknown parameter '{target}'", did_you_mean(kind, priors.ALLOWED)))
            continue
        try:
            priors.check_support(priors.parse(text), target, priors.is_of_curve(target, of_curves))
        except FormulaError as error:
            problems.append(Problem(place, str(error)))
    return problems
