"""Checks of a model against the prepared data, made before anything is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel import families, formula
from multilevel.dataset import Dataset
from multilevel.design import Design, Predictor, build
from multilevel.errors import Problem, StudyError

FEW_LEVELS = 5
FEW_ROWS = 5
"""Rows below which a category of the response says little."""
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
        return None, [Problem(where, p.message, p.hint) for p in error.problems], []
    found = _response(design) + _one_level(model, dataset) + _groups(design)
    found += [problem for part in design.predictors for problem in _fixed(design, part)]
    problems = [Problem(where, message, hint) for message, hint in dict.fromkeys(found)]
    return design, problems, [f"Model {name}: {sentence}" for sentence in _warnings(design)]


def _response(design: Design) -> list[tuple[str, str]]:
    y = design.y
    if np.isinf(y).any():
        return [(f"the response '{design.response}' has infinite values", "filter those rows")]
    if len(y) < 3:
        return [(f"only {len(y)} rows are left for the response '{design.response}'", "")]
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
    matrices = [p.x for p in design.predictors] + ([design.thresholds.x] if design.thresholds else [])
    if max(np.abs(y).max(), *(np.abs(x).max(initial=0.0) for x in matrices)) > LARGEST:
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


def _collinear(before: np.ndarray, names: tuple[str, ...], columns: np.ndarray) -> list[tuple[str, str]]:
    """Name columns of X that are a combination of earlier ones (scaled, by QR), or of those that stand before X."""
    if not columns.shape[1]:
        return []
    whole = np.column_stack([before, columns])
    scaled = whole / np.maximum(np.linalg.norm(whole, axis=0), 1e-300)
    diagonal = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))[before.shape[1] :]
    found = [names[i] for i in np.flatnonzero(diagonal < 1e-9)]
    found += list(names[len(diagonal) :])
    if not found:
        return []
    shown = ", ".join(f"'{n}'" for n in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return [(f"collinear columns: {shown} can be computed from the columns before", "leave one out")]


def _groups(design: Design) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for term in design.group_terms:
        if len(term.levels) < 2:
            found.append(
                (f"the group '{term.group}' has one level ('{term.levels[0]}'), so nothing varies between levels", "")
            )
        if len(term.levels) == len(design.y) and "sigma" in design.scalars and design.family == "gaussian":
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
    return found


def _warnings(design: Design) -> list[str]:
    found = [
        f"the group '{term.group}' has only {len(term.levels)} levels; its standard deviation rests on its prior."
        for term in design.group_terms
        if len(term.levels) < FEW_LEVELS
    ]
    found += _rare_categories(design)
    finite = design.scales[(design.scales > 0) & np.isfinite(design.scales)]
    if len(finite) and finite.max() / finite.min() > 1e4:
        wide, narrow = int(np.argmax(design.scales)), int(np.argmin(design.scales))
        found.append(
            f"predictor scales differ by a factor of {finite.max() / finite.min():.0f} "
            f"('{design.coefficients[wide]}' has sd {design.scales[wide]:.3g}, "
            f"'{design.coefficients[narrow]}' {design.scales[narrow]:.3g}); consider rescaling."
        )
    return found


def _rare_categories(design: Design) -> list[str]:
    """Name categories of the response that have few rows."""
    counts = np.bincount(design.y.astype(np.int64))[1:] if design.categories else []
    rare = [f"'{label}' ({count})" for label, count in zip(design.categories, counts, strict=True) if count < FEW_ROWS]
    if not rare:
        return []
    shown = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
    return [f"'{design.response}' has fewer than {FEW_ROWS} rows of {shown}; what tells them apart rests on priors."]
