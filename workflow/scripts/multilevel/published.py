"""Published numbers of a study, checked before anything is fitted: one row for each printed number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from multilevel import correlated_ml, estimands, quadrature_ml, schema
from multilevel.design import Design
from multilevel.errors import Problem, did_you_mean

POSTERIOR_STATISTICS = ("mean", "median", "sd", "lower", "upper")
FIT_STATISTICS = ("estimate", "se")
BESIDE = ("sd", "se", "lower", "upper")
"""Numbers that may be printed beside the value."""

FITTED = ("ml", "reml", "quadrature")
"""Estimators that the workflow computes itself, to compare on their own estimand."""

ESTIMATOR_NAMES = {
    "posterior": "posterior",
    "ml": "ML",
    "reml": "REML",
    "laplace": "Laplace approximation",
    "quadrature": "Gauss-Hermite quadrature",
    "pql": "PQL",
    "empirical_bayes": "empirical Bayes",
    "other": "another estimator",
}


def decimals(written: str) -> int:
    """Return how many decimals a printed number has: 2 of ``1.40``, -2 of ``1.2e3``."""
    exponent = Decimal(written).as_tuple().exponent
    return -int(exponent)


def names_problems(published: list[schema.Published], models: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the published numbers, as far as it shows without the data."""
    problems: list[Problem] = []
    seen: dict[tuple[str, ...], int] = {}
    for i, item in enumerate(map(_unwrapped, published)):
        where = f"published[{i}]"
        if item.model not in models:
            problems.append(
                Problem(f"{where}.model", f"unknown model '{item.model}'", did_you_mean(item.model, models))
            )
        problems += [Problem(f"{where}.{key}", message, hint) for key, message, hint in _of_one(item)]
        key = (item.model, item.quantity, item.estimator, item.statistic or "", item.source)
        if key in seen:
            message = f"the same quantity of '{item.model}' from the same source stands in published[{seen[key]}]"
            problems.append(Problem(where, message, "keep one of them"))
        seen.setdefault(key, i)
    return problems


def _unwrapped(item: schema.Published) -> schema.Published:
    """Return ``se(elpd_loo)`` as the standard error of ``elpd_loo``."""
    match = re.fullmatch(r"\s*se\((.*)\)\s*", item.quantity)
    if match is None or item.statistic not in {None, "se"}:
        return item
    return item.model_copy(update={"quantity": match[1].strip(), "statistic": "se"})


def _of_one(item: schema.Published) -> list[tuple[str, str, str]]:
    """Return the key, the sentence and the hint of everything wrong with one entry."""
    found = []
    name = ESTIMATOR_NAMES[item.estimator]
    if item.digits is not None and item.digits < decimals(item.value):
        message = f"'{item.value}' is printed with {decimals(item.value)} decimals, so digits cannot be {item.digits}"
        found.append(("digits", message, "leave digits out"))
    if item.estimator == "posterior" and item.se is not None and not _is_score(item):
        found.append(("se", "a posterior has no standard error", "its standard deviation is 'sd'"))
    if item.estimator == "posterior" and item.statistic in FIT_STATISTICS and not _is_score(item):
        found.append(
            ("statistic", f"a posterior has no '{item.statistic}'", f"choose from {', '.join(POSTERIOR_STATISTICS)}")
        )
    if item.estimator != "posterior":
        for key in ("sd", "lower", "upper"):
            if getattr(item, key) is not None:
                hint = "its standard error is 'se'" if key == "sd" else "intervals are compared for posteriors alone"
                found.append((key, f"an estimate by {name} has no posterior '{key}'", hint))
        if item.statistic not in {None, *FIT_STATISTICS}:
            found.append(("statistic", f"an estimate by {name} has no '{item.statistic}'", "choose from estimate, se"))
        if item.priors is not None:
            found.append(("priors", f"an estimate by {name} has no priors", "leave them out"))
        if item.mcse:
            found.append(("mcse", f"an estimate by {name} has no Monte Carlo error", "leave it out"))
    beside = [key for key in BESIDE if getattr(item, key) is not None]
    if item.statistic in beside:
        found.append((item.statistic or "", f"'value' is the {item.statistic} already", "keep one of them"))
    found += [(key, f"'{getattr(item, key)}' is below 0", "") for key in ("sd", "se") if _negative(getattr(item, key))]
    return found


def _is_score(item: schema.Published) -> bool:
    return item.quantity.strip() in estimands.SCORES or item.quantity.strip().startswith("elpd_diff(")


def _negative(written: str | None) -> bool:
    return written is not None and float(written) < 0


def resolve(
    published: list[schema.Published], models: Mapping[str, dict[str, Any]], designs: Mapping[str, Design]
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return one row for each printed number, under the canonical name of its quantity.

    Parameters
    ----------
    published
        The study's entries, already checked by `names_problems`.
    models
        The models of the plan.
    designs
        Their designs.

    Returns
    -------
    tuple
        The rows, as plain values; and a problem for each quantity that its model does not have. A row's ``reason`` is empty
        where the number can be compared.
    """
    known: dict[str, dict[str, estimands.Estimand]] = {}
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for i, item in enumerate(map(_unwrapped, published)):
        model = models[item.model]
        if item.model not in known:
            known[item.model] = estimands.catalogue(designs[item.model])
        choices = known[item.model]
        found = estimands.find(item.quantity, choices)
        where = f"published[{i}].quantity"
        if found is None:
            hint = did_you_mean(item.quantity, estimands.names(item.quantity, choices))
            problems.append(Problem(where, f"the model '{item.model}' has no quantity '{item.quantity}'", hint))
        elif message := _of_other_estimator(found, item) or _of_other_model(found, item, models):
            problems.append(Problem(where, *message))
        else:
            rows += _rows(item, found, model, designs[item.model])
    return rows, problems


def _of_other_estimator(found: estimands.Estimand, item: schema.Published) -> tuple[str, str] | None:
    """Return what is wrong with a criterion that the estimator does not have."""
    if found.recipe != "criterion":
        return None
    has = estimands.SCORES if item.estimator == "posterior" else estimands.CRITERIA.get(item.estimator, (found.name,))
    if found.name in has or (item.estimator == "posterior" and found.parts):
        return None
    name = "a posterior" if item.estimator == "posterior" else f"a fit by {ESTIMATOR_NAMES[item.estimator]}"
    return f"{name} has no '{found.name}'", f"choose from {', '.join(has)}, or give another estimator"


def _of_other_model(
    found: estimands.Estimand, item: schema.Published, models: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return what is wrong with the model that ``elpd_diff(m)`` is taken from."""
    if found.recipe != "criterion" or not found.parts:
        return None
    other = found.parts[0]
    if other not in models:
        return f"'{found.name}' names the unknown model '{other}'", did_you_mean(other, models)
    if other == item.model:
        return f"'{found.name}' is the difference of '{other}' from itself", "name another model"
    return None


def _rows(
    item: schema.Published, found: estimands.Estimand, model: Mapping[str, Any], design: Design
) -> list[dict[str, Any]]:
    """Return the row of the value, then those of what is printed beside it."""
    is_fit = item.estimator != "posterior" or found.recipe == "criterion"
    statistic = item.statistic or ("estimate" if is_fit else "mean")
    printed: list[tuple[str, str, int | None, float]] = [(statistic, item.value, item.digits, item.mcse or 0.0)]
    printed += [(key, text, None, 0.0) for key in BESIDE if (text := getattr(item, key)) is not None]
    return [
        {
            "model": item.model,
            **found.as_row(),
            "statistic": name,
            "estimator": item.estimator,
            "published": str(text),
            "digits": decimals(text) if digits is None else digits,
            "mcse": mcse,
            "source": item.source,
            "note": item.note or "",
            "reason": _reason(item, model, design),
        }
        for name, text, digits, mcse in printed
    ]


def _reason(item: schema.Published, model: Mapping[str, Any], design: Design) -> str:
    """Return why a number cannot be compared; empty where it can."""
    name = ESTIMATOR_NAMES[item.estimator]
    if item.priors is not None:
        return f"its priors are not this model's: {item.priors}"
    if item.estimator == "posterior":
        return ""
    if item.estimator not in FITTED or (item.estimator == "quadrature" and model["family"] == "gaussian"):
        return f"it was computed by {name}, whose estimand is neither a posterior mean nor an exact maximum"
    if model.get("nonlinear"):
        return quadrature_ml.CURVE
    if model["family"] != "gaussian" and item.estimator != "reml":
        return quadrature_ml.refusal(design)
    if model["family"] == "gaussian" and model["link"] == "identity" and correlated_ml.applies(design):
        return correlated_ml.refusal(design)
    if model["family"] == "gaussian" and (
        odd := next((t for t in design.group_terms if t.dist != "gaussian" or t.autoregressive), None)
    ):
        return f"our {name} fit has no such effects: {odd.words}"
    plain = model["link"] == "identity" and not model["parameters"]
    plain_terms = not design.terms or (set(design.terms) == {"se"} and not design.scalars)
    if model["family"] != "gaussian" or not plain or not plain_terms:
        return f"our {name} fit is for a normal response with one residual standard deviation, or with known ones"
    return ""
