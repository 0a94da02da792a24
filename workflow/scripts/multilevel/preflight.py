"""Checks of a model against the prepared data, made before anything is fitted."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import cautions, families, formula
from multilevel.dataset import Dataset
from multilevel.design import INTERCEPT, Design, Term, build
from multilevel.errors import Problem, StudyError

FEWEST_ROWS = 3

FEW_NUMBERS = 5
"""With fewer different numbers among them, the levels of a text column are taken for those of a factor."""

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
    if len(design.y) < FEWEST_ROWS:
        message = f"only {len(design.y)} rows are left for the response '{design.response}'"
        return design, [Problem(where, message, f"at least {FEWEST_ROWS} are needed")], []
    found = _response(design, model) + _numbers_as_text(model, dataset) + _one_level(model, dataset)
    found += _fixed(design) + _groups(design)
    problems = [Problem(where, message, hint) for message, hint in found]
    notes = [] if problems else cautions.find(design, model)
    return design, problems, [f"Model {name}: {sentence}" for sentence in notes]


def _response(design: Design, model: dict[str, Any]) -> list[tuple[str, str]]:
    y = design.y
    if np.isinf(y).any():
        return [(f"the response '{design.response}' has infinite values", "filter those rows")]
    if np.ptp(y) == 0:
        return [
            (
                f"the response '{design.response}' is constant ({y[0]:g} in all {len(y)} rows), so there is nothing to model",
                "",
            )
        ]
    if np.ptp(y - design.offset) <= 1e-9 * np.ptp(y):
        return [
            (f"the response '{design.response}' equals its offset up to a constant, so there is nothing to model", "")
        ]
    largest = max(np.abs(part[np.isfinite(part)]).max(initial=0.0) for part in (y, design.x))
    if largest > LARGEST:
        return [(f"values beyond {LARGEST:g} are too large to compute with", "change the units")]
    if problem := families.get(model["family"]).support_problem(y):
        return [(f"the response '{design.response}' {problem}", "")]
    return []


def _numbers_as_text(model: dict[str, Any], dataset: Dataset) -> list[tuple[str, str]]:
    """Refuse predictors that are text because a few of their values are no numbers, which would make factors of them.

    A column that is written as a factor, ``C(x)``, or declared as text is meant to be one, and so is one of few numbers, such
    as 0, 1, 2 and 3+.
    """
    parsed = formula.parse(model["formula"])
    sides = (parsed.fixed, *(term.effects for term in parsed.group_terms))
    factors = {ast.unparse(call.args[0]) for side in sides for call in formula.calls(side) if call.args}
    declared = {name for name, entry in dataset.summary.get("fields", {}).items() if entry.get("type") == "string"}
    found = []
    for name in sorted(set().union(*map(formula.column_names, sides)) - declared - factors):
        column = dataset.frame[name]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            continue
        text, levels = column.astype(str), pd.Series(list(column.cat.categories), dtype=str)
        if levels.str.fullmatch(r"-?\d+,\d+").mean() > 0.5:
            message = f"the predictor '{name}' is text: its numbers, such as '{text.iloc[0]}', have decimal commas"
            found.append((message, "save it with decimal points"))
            continue
        numbers = int(pd.to_numeric(levels, errors="coerce").notna().sum())
        if numbers < len(levels) and numbers >= max(FEW_NUMBERS, len(levels) / 2):
            other = pd.to_numeric(text, errors="coerce").isna()
            message = (
                f"the predictor '{name}' is text because {int(other.sum())} of its {len(text)} values "
                f"{'is no number' if other.sum() == 1 else 'are no numbers'} ('{text[other].iloc[0]}')"
            )
            found.append((message, f"leave such cells empty, or write C({name}) if it is a factor"))
    return found


def _one_level(model: dict[str, Any], dataset: Dataset) -> list[tuple[str, str]]:
    """Name text predictors with one level: they make no column, so the matrix does not show them."""
    names = sorted(formula.column_names(formula.parse(model["formula"]).fixed))
    columns = {name: dataset.frame[name] for name in names}
    return [
        (f"the predictor '{name}' is constant ('{column.iloc[0]}' in every row)", "leave it out")
        for name, column in columns.items()
        if isinstance(column.dtype, pd.CategoricalDtype) and column.nunique() < 2
    ]


def _fixed(design: Design) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for position, name in enumerate(design.coefficients):
        column = design.x[:, position]
        if not np.isfinite(column).all():
            found.append((f"the predictor '{name}' is not finite in {int((~np.isfinite(column)).sum())} rows", ""))
        elif name != INTERCEPT and np.ptp(column) == 0:
            found.append((f"the predictor '{name}' is constant ({column[0]:g} in every row)", "leave it out"))
    if found:
        return found
    return _collinear(design)


def _collinear(design: Design) -> list[tuple[str, str]]:
    """Name columns of X that are a combination of earlier ones (scaled, by QR)."""
    rows, columns = design.x.shape
    if not columns:
        return []
    if columns > rows:
        return [(f"the fixed part has {columns} coefficients for {rows} rows", "leave some out")]
    names = _dependent(design.x, design.coefficients)
    if not names:
        return []
    shown = ", ".join(f"'{n}'" for n in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
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
        if len(term.levels) == len(design.y):
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
    for position, name in enumerate(term.effects):
        column = term.z[:, position]
        if not np.isfinite(column).all():
            rows = int((~np.isfinite(column)).sum())
            found.append((f"the varying slope of '{name}' by '{term.group}' is not finite in {rows} rows", ""))
        elif name != INTERCEPT and np.ptp(column) == 0:
            message = (
                f"the slope of '{name}' cannot vary by '{term.group}': it is constant ({column[0]:g} in every row)"
            )
            found.append((message, "leave it out"))
    if found or not term.effects:
        return found
    names = _dependent(term.z, term.effects)
    shown = ", ".join(f"'{name}'" for name in names)
    message = f"the effects that vary by '{term.group}' are collinear: {shown} can be computed from those before"
    return [(message, "leave one out")] if names else []
