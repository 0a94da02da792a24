"""The candidates of a study as texts: formulas in canonical form, families, links and priors, checked without any data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel import families, formula, priors, schema
from multilevel.errors import FormulaError, Problem, did_you_mean
from multilevel.formula import Formula
from multilevel.grid import Cell


def resolve(study: schema.Study, cells: Mapping[str, Cell]) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Resolve every cell of the grid: canonical formulas, family, link, priors with the study's defaults beneath.

    Returns
    -------
    tuple
        The models that could be resolved, by name, and every problem found.
    """
    resolved: dict[str, dict[str, Any]] = {}
    problems = prior_problems("defaults.priors", study.defaults.priors)
    if study.defaults.family not in families.names():
        problems.append(_unknown_family("defaults.family", study.defaults.family))
    for name, cell in cells.items():
        model, where = cell.written, f"models.{cell.model}"
        family = model.family or study.defaults.family
        known = family in families.names()
        if model.family and not known:
            problems.append(_unknown_family(cell.place("family"), model.family))
        for place, texts in cell.priors:
            problems += prior_problems(place, texts)
        parsed, found = _formula(f"{where}.formula", model.formula, study.defaults.response)
        parameters, more = _parameters(where, model, parsed, family)
        problems += found + more
        if parsed is None:
            continue
        if known:
            problems += _fits_family(cell, parsed, family)
        given: dict[str, str] = {}
        for texts in (study.defaults.priors, *(texts for _, texts in cell.priors)):
            given |= _normal(texts)
        resolved[name] = {
            "formula": str(parsed),
            "family": family,
            "link": model.link or (families.get(family).LINKS[0] if known else ""),
            "parameters": {parameter: part.right_hand_side() for parameter, part in parameters.items()},
            "priors": dict(sorted(given.items())),
            "centred": model.centred,
            "label": cell.label(model.label or cell.model),
            "description": model.description or "",
            "written": model.formula,
        }
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
    choices = families.parameters(family)[1:] if family in families.names() else ()
    for parameter, text in model.parameters.items():
        place = f"{where}.parameters.{parameter}"
        if family in families.names() and parameter not in choices:
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


def _normal(given: Mapping[str, str]) -> dict[str, str]:
    return {priors.normalise(name): text.strip() for name, text in given.items()}


OTHER_NAMES = {"normal": "gaussian", "linear": "gaussian", "logistic": "binomial", "logit": "binomial"}
"""What families are called elsewhere."""


def _unknown_family(where: str, name: str) -> Problem:
    known = OTHER_NAMES.get(name.lower())
    hint = f"it is called '{known}' here" if known else did_you_mean(name, families.names())
    return Problem(where, f"unknown family '{name}'", hint)


def prior_problems(where: str, given: Mapping[str, str]) -> list[Problem]:
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
