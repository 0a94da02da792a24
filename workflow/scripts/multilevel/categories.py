"""Responses that are categories: their codes 1 to K, their labels, and how often each occurs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import families
from multilevel.errors import Problem, StudyError, did_you_mean
from multilevel.levels import level_text

Array = NDArray[np.float64]

MOST_COUNTED = 12
"""Most different whole numbers whose rows are counted one by one in descriptions."""


def coded(frame: pd.DataFrame, column: str, family: str) -> tuple[Array, tuple[str, ...]]:
    """Return a response as categories counted from 1, shape (rows,), and their labels.

    Parameters
    ----------
    frame
        The prepared rows.
    column
        The response: levels of a categorical column in their order, or whole numbers from 1.
    family
        An ordinal or nominal family.

    Raises
    ------
    StudyError
        When an ordinal family meets levels whose order is not said, or the categories are not what the family takes.
    """
    values = frame[column]
    levels: tuple[str, ...] = ()
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = tuple(map(str, values.cat.categories))
        if families.threshold_kind(family) and not values.cat.ordered:
            shown = ", ".join(levels[:5]) + (" and more" if len(levels) > 5 else "")
            message = f"the response '{column}' has levels whose order is not said ({shown}), and {family} needs one"
            hint = f"list them from the lowest to the highest under data.ordered.{column}, without a data.reference"
            raise StudyError([Problem("", message, hint)])
    elif values.dtype.kind not in "fiub":
        example = str(values.iloc[0])
        message = f"the column '{column}' is text (such as '{example}') where categories are needed"
        raise StudyError([Problem("", message)])
    codes = numbers(values)
    if levels and (problem := _absent(codes, levels)):
        raise StudyError([Problem("", f"the response '{column}' {problem}", "leave that level out")])
    if problem := families.get(family).support_problem(codes, {}):
        words, _, hint = problem.partition("; ")
        raise StudyError([Problem("", f"the response '{column}' {words}", hint)])
    return codes, levels or tuple(level_text(float(k)) for k in range(1, int(codes.max()) + 1))


def numbers(values: pd.Series) -> Array:
    """Return numbers as they are, and levels as their place in their order, counted from 1."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return np.asarray(values.cat.codes.to_numpy(dtype=np.float64) + 1.0)
    return values.to_numpy(dtype=np.float64)


def _absent(codes: Array, levels: tuple[str, ...]) -> str:
    """Say which level no row has, as the end of a sentence."""
    counts = np.bincount(codes.astype(np.int64) - 1, minlength=len(levels))
    names = [f"'{level}'" for level, count in zip(levels, counts, strict=True) if not count]
    return f"has no row of {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}" if names else ""


def parameters(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the linear predictor of each category but the first: ``mu_bus`` of ``bus``, ``mu_very_bad`` of ``very bad``.

    Raises
    ------
    StudyError
        When two categories would share one name.
    """
    found: dict[str, str] = {}
    for label in labels[1:]:
        name = _parameter(label)
        if name in found:
            message = f"the categories '{found[name]}' and '{label}' would both have the linear predictor {name}"
            raise StudyError([Problem("", message, "give them names that differ in their letters")])
        found[name] = label
    return tuple(found)


def _parameter(label: str) -> str:
    return f"mu_{re.sub(r'[^A-Za-z0-9]+', '_', label).strip('_')}"


def unknown_parameter(name: str, labels: tuple[str, ...]) -> Problem:
    """Return the problem of a linear predictor given to no category of a nominal response."""
    known = parameters(labels)
    hint = did_you_mean(name, known)
    if name == _parameter(labels[0]):
        hint = f"'{labels[0]}' is the reference, which has none; the others have {', '.join(known)}"
    return Problem("", f"no category has the linear predictor '{name}'", hint)


def counts(values: pd.Series) -> list[dict[str, object]]:
    """Return the categories of a column and how many rows each has.

    Whole numbers count as categories where they are few; of other numbers nothing is returned.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = [
            (str(level), int((values.cat.codes == code).sum())) for code, level in enumerate(values.cat.categories)
        ]
    else:
        unique, rows = np.unique(values.to_numpy(dtype=np.float64), return_counts=True)
        if len(unique) > MOST_COUNTED or (unique != np.floor(unique)).any():
            return []
        found = [(level_text(float(value)), int(count)) for value, count in zip(unique, rows, strict=True)]
    return [{"label": label, "rows": count} for label, count in found]
