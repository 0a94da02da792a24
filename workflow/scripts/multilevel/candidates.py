"""The candidates of a study as texts: formulas in canonical form, families, links and priors, checked without any data."""

from __future__ import annotations

from typing import Any

from multilevel import families, formula, priors, schema
from multilevel.errors import FormulaError, Problem, did_you_mean
from multilevel.formula import Formula


def resolve(study: schema.Study) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Resolve every model: canonical formulas, family, link, priors with the study's defaults beneath.

    Returns
    -------
    tuple
        The models that could be resolved, by name, and every problem found.
    """
    resolved: dict[str, dict[str, Any]] = {}
    problems = prior_problems("defaults.priors", study.defaults.priors)
    if families.canonical(study.defaults.family) not in families.names():
        problems.append(_unknown_family("defaults.family", study.defaults.family))
    for name, model in study.models.items():
        where = f"models.{name}"
        family = families.canonical(model.family or study.defaults.family)
        if model.family and family not in families.names():
            problems.append(_unknown_family(f"{where}.family", model.family))
        problems += prior_problems(f"{where}.priors", model.priors)
        parsed, found = _formula(f"{where}.formula", model.formula, study.defaults.response)
        parameters, more = _parameters(where, model, parsed, family)
        problems += found + more
        if parsed is None:
            continue
        if family in families.names():
            problems += _fits_family(where, parsed, family, model.link) + _thresholds(where, model, parsed, family)
        given = {**_normal(study.defaults.priors), **_normal(model.priors)}
        resolved[name] = {
            "formula": str(parsed),
            "family": family,
            "link": model.link or (families.get(family).LINKS[0] if family in families.names() else ""),
            "parameters": {parameter: part.right_hand_side() for parameter, part in parameters.items()},
            "priors": dict(sorted(given.items())),
            "centred": model.centred,
            "label": model.label or name,
            "description": model.description or "",
            "written": model.formula,
        }
        if model.thresholds == "equidistant":  # a key that other models have not, so that nothing changes for them
            resolved[name]["thresholds"] = model.thresholds
    return resolved, problems


def _formula(where: str, text: str, default: str | None) -> tuple[Formula | None, list[Problem]]:
    """Parse the formula of the response; `default` is the response where the formula leaves it out."""
    try:
        parsed = formula.parse(text)
    except FormulaError as error:
        return None, [Problem(where, str(error))]
    problems = []
    if parsed.response and default and parsed.response != default:
        message = f"the response '{parsed.response}' differs from defaults.response ('{default}')"
        problems.append(Problem(where, message))
    if not (response := parsed.response or default):
        problems.append(Problem(where, "names no response", "write 'y ~ ...' or set defaults.response"))
        return None, problems
    if response in Formula(None, parsed.fixed, parsed.offsets, parsed.group_terms).variables():
        message = f"the response '{response}' cannot explain itself"
        problems.append(Problem(where, message, "take it out on the right"))
        return None, problems
    return parsed.with_response(response), problems


def _parameters(
    where: str, model: schema.Model, parsed: Formula | None, family: str
) -> tuple[dict[str, Formula], list[Problem]]:
    """Parse the formulas of the parameters that have a linear predictor of their own."""
    found: dict[str, Formula] = {}
    problems = []
    known = formula.known_parameters(parsed) if parsed else frozenset()
    by_category = family in families.names() and families.get(family).KIND == "nominal"
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


def _fits_family(where: str, parsed: Formula, family: str, link: str | None) -> list[Problem]:
    """Check that the family takes what stands beside the response, and the link."""
    module = families.get(family)
    problems = []
    for term in parsed.response_terms:
        if term.name not in module.RESPONSE_TERMS:
            able = [name for name in families.names() if term.name in families.get(name).RESPONSE_TERMS]
            hint = f"families that take it: {', '.join(able)}" if able else ""
            problems.append(Problem(f"{where}.formula", f"the family {family} takes no {term.name}()", hint))
    if link and link not in module.LINKS:
        problems.append(
            Problem(f"{where}.link", f"the family {family} has no link '{link}'", did_you_mean(link, module.LINKS))
        )
    return problems


def _is_empty(parsed: Formula) -> bool:
    """Tell a formula that has an intercept at most."""
    return not (parsed.group_terms or parsed.offsets or formula.column_names(parsed.fixed))


def _thresholds(where: str, model: schema.Model, parsed: Formula, family: str) -> list[Problem]:
    """Check what only some families have: thresholds, and effects that differ between categories."""
    problems = []
    has_thresholds = bool(families.threshold_kind(family))
    if model.thresholds and not has_thresholds:
        able = ", ".join(name for name in families.names() if families.threshold_kind(name))
        problems.append(Problem(f"{where}.thresholds", f"the family {family} has no thresholds", f"{able} have them"))
    if parsed.specific:
        reason = getattr(families.get(family), "NO_SPECIFIC_EFFECTS", "" if has_thresholds else "it has no categories")
        if reason:
            able = ", ".join(n for n in families.names() if families.threshold_kind(n) and not _refuses_specific(n))
            message = f"the family {family} takes no category-specific effects, cs(): {reason}"
            problems.append(Problem(f"{where}.formula", message, f"families that take them: {able}"))
    if has_thresholds and not formula.has_intercept(parsed.fixed):
        message = f"the thresholds of a {family} model are its intercepts, so '0 +' has nothing to take out"
        problems.append(Problem(f"{where}.formula", message, "leave '0 +' out"))
    return problems


def _refuses_specific(family: str) -> bool:
    return hasattr(families.get(family), "NO_SPECIFIC_EFFECTS")


def _normal(given: dict[str, str]) -> dict[str, str]:
    return {priors.normalise(name): text.strip() for name, text in given.items()}


def _unknown_family(where: str, name: str) -> Problem:
    return Problem(where, f"unknown family '{name}'", did_you_mean(name, [*families.names(), *families.ALIASES]))


def prior_problems(where: str, given: dict[str, str]) -> list[Problem]:
    """Check priors as texts: the class exists, the distribution exists and has the right support."""
    problems = []
    spelled: dict[str, str] = {}
    for target, text in given.items():
        place = f"{where}.{target}"
        if (first := spelled.setdefault(priors.normalise(target), target)) != target:
            problems.append(Problem(place, f"'{first}' and '{target}' are the same parameter", "keep one of them"))
        kind = priors.class_of(target)
        if kind not in priors.ALLOWED:
            problems.append(Problem(place, f"unknown parameter '{target}'", did_you_mean(kind, priors.ALLOWED)))
            continue
        try:
            priors.check_support(priors.parse(text), target)
        except FormulaError as error:
            problems.append(Problem(place, str(error)))
    return problems
