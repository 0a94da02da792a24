"""Checks of a model against the prepared data, made before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import cautions, families, formula
from multilevel.dataset import Dataset
from multilevel.design import INTERCEPT, Design, Predictor, Term, build
from multilevel.errors import Problem, StudyError

FEWEST_ROWS = 3

LARGEST = 1e100
"""Largest value of a response or predictor: squares and their sums must stay finite."""


def check(name: str, model: dict[str, Any], dataset: Dataset) -> tuple[Design | None, list[Problem], list[str]]:
    """Build a model's design and look for what no fit could mend.

    Parameters
    ----------
    name
        The model's name, for messages.
    model
        The model of the plan.
    dataset
        The prepared dataset.

    Returns
    -------
    tuple
        The design (None where it cannot be built), problems and warnings.
    """
    where = f"models.{name}.formula"
    try:
        design = build(model, dataset)
    except StudyError as error:
        places = {"residuals": f"models.{name}.residuals"}
        return None, [Problem(places.get(p.where, where), p.message, p.hint) for p in error.problems], []
    if len(design.y) < FEWEST_ROWS:
        message = f"only {len(design.y)} rows are left for the response '{design.response}'"
        return design, [Problem(where, message, f"at least {FEWEST_ROWS} are needed")], []
    found = _response(design) + _one_level(model, dataset)
    found += [problem for part in design.predictors for problem in _fixed(design, part)] + _groups(design)
    problems = [Problem(where, message, hint) for message, hint in dict.fromkeys(found)]
    notes = [] if problems else cautions.find(design, model)
    return design, problems, [f"Model {name}: {sentence}" for sentence in notes]


def _response(design: Design) -> list[tuple[str, str]]:
    y = design.y
    if np.isinf(y).any():
        return [(f"the response '{design.response}' has infinite values", "filter those rows")]
    if np.ptp(y) == 0 and "trials" not in design.terms:
        return [
            (
                f"the response '{design.response}' is constant ({y[0]:g} in all {len(y)} rows), so there is nothing to model",
                "",
            )
        ]
    if design.link == "identity" and np.ptp(y - design.offset) <= 1e-9 * np.ptp(y):
        return [
            (f"the response '{design.response}' equals its offset up to a constant, so there is nothing to model", "")
        ]
    matrices = [y, *(p.x for p in design.predictors), *([design.thresholds.x] if design.thresholds else [])]
    largest = max(np.abs(part[np.isfinite(part)]).max(initial=0.0) for part in matrices)
    if largest > LARGEST:
        return [(f"values beyond {LARGEST:g} are too large to compute with", "change the units")]
    if problem := families.get(design.family).support_problem(y, design.terms):
        words, _, hint = problem.partition("; ")
        return [(f"the response '{design.response}' {words}", hint)]
    return []


def _one_level(model: dict[str, Any], dataset: Dataset) -> list[tuple[str, str]]:
    """Name text predictors with one level: they make no column, so the matrix does not show them."""
    names = sorted(
        {name for part in formula.of_model(model) for text in part.population for name in formula.predictor_names(text)}
    )
    columns = {name: dataset.frame[name] for name in names}
    return [
        (f"the predictor '{name}' is constant ('{column.iloc[0]}' in every row)", "leave it out")
        for name, column in columns.items()
        if isinstance(column.dtype, pd.CategoricalDtype) and column.nunique() < 2
    ]


def _fixed(design: Design, part: Predictor) -> list[tuple[str, str]]:
    """Look at the columns of a linear predictor; those of category-specific effects stand beside the first one's."""
    names, columns, before = part.coefficients, part.x, np.zeros((len(part.x), 0))
    if design.thresholds and part is design.predictors[0]:
        names, columns = (*names, *design.thresholds.predictors), np.column_stack([columns, design.thresholds.x])
    if design.thresholds:
        before = np.ones((len(columns), 1))  # the thresholds, or the level that a parameter of fixed level has
    first = 1 if part.has_intercept else 0
    if design.nominal:  # the predictors of all categories mostly have the same columns, which are reported once
        names = tuple(name.removeprefix(part.prefix) for name in names)
    found: list[tuple[str, str]] = []
    for position, (name, column) in enumerate(zip(names, columns.T, strict=True)):
        if not np.isfinite(column).all():
            found.append((f"the predictor '{name}' is not finite in {int((~np.isfinite(column)).sum())} rows", ""))
        elif position >= first and np.ptp(column) == 0:
            found.append((f"the predictor '{name}' is constant ({column[0]:g} in every row)", "leave it out"))
    return found or _collinear(before, names, columns)


def _collinear(
    before: NDArray[np.float64], names: tuple[str, ...], columns: NDArray[np.float64]
) -> list[tuple[str, str]]:
    """Name columns of X that are a combination of earlier ones (scaled, by QR), or of those that stand before X."""
    rows, count = columns.shape
    if not count:
        return []
    if count > rows:
        return [(f"the fixed part has {count} coefficients for {rows} rows", "leave some out")]
    whole = np.column_stack([before, columns])
    found = [name for name in _dependent(whole, ("",) * before.shape[1] + names) if name]
    if not found:
        return []
    shown = ", ".join(f"'{n}'" for n in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return [(f"collinear columns: {shown} can be computed from the columns before", "leave one out")]


def _dependent(matrix: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """Return the names of the columns that are a combination of earlier ones (columns scaled, by QR)."""
    scaled = matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    diagonal = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
    return [names[int(i)] for i in np.flatnonzero(diagonal < 1e-9)] + list(names[len(diagonal) :])


def _groups(design: Design) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for term in design.group_terms:
        if len(term.levels) < 2:
            found.append(
                (f"the group '{term.group}' has one level ('{term.levels[0]}'), so nothing varies between levels", "")
            )
        if (
            len(term.levels) == len(design.y)
            and term.exchangeable
            and "sigma" in design.scalars
            and design.family in {"gaussian", "lognormal"}
        ):
            found.append(
                (
                    (
                        f"the group '{term.group}' has as many levels as rows ({len(design.y)}), "
                        "so its effects cannot be told from residuals"
                    ),
                    "group by a column that repeats",
                )
            )
        if not term.effects:
            found.append((f"the group term of '{term.group}' has no effects", f"write (1 | {term.group})"))
        found += _effects(term)
    return found


def _effects(term: Term) -> list[tuple[str, str]]:
    """Name what varies without varying: columns of Z that are not finite, constant, or a combination of earlier ones."""
    found: list[tuple[str, str]] = []
    for name, owner, column in zip(term.effects, term.parameters, term.z.T, strict=True):
        if not np.isfinite(column).all():
            rows = int((~np.isfinite(column)).sum())
            found.append((f"the varying slope of '{name}' by '{term.group}' is not finite in {rows} rows", ""))
        elif name.removesuffix(f":{term.by}") not in {INTERCEPT, f"{owner}_{INTERCEPT}"} and np.ptp(column) == 0:
            message = (
                f"the slope of '{name}' cannot vary by '{term.group}': it is constant ({column[0]:g} in every row)"
            )
            found.append((message, "leave it out"))
    if found or not term.effects:
        return found
    names = []
    for parameter in dict.fromkeys(term.parameters):
        own = term.positions(parameter)
        names += _dependent(term.z[:, own], [term.effects[i] for i in own])
    shown = ", ".join(f"'{name}'" for name in names)
    message = f"the effects that vary by '{term.group}' are collinear: {shown} can be computed from those before"
    return [(message, "leave one out")] if names else []
