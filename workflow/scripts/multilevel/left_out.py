"""What the comparisons of a study leave out at a time, checked against the data before anything is fitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from multilevel import rules, units
from multilevel.dataset import Dataset
from multilevel.errors import Problem, did_you_mean
from multilevel.names import OBSERVATION

Comparisons = Mapping[str, Mapping[str, Any]]


def groupings(comparisons: Comparisons) -> list[str]:
    """Return the groupings that some comparison leaves out, in order of first use."""
    found = (name for comparison in comparisons.values() for name in comparison["leave_out"])
    return list(dict.fromkeys(name for name in found if name != OBSERVATION))


def columns(comparisons: Comparisons) -> set[str]:
    """Return the columns that tell which rows go together; a row with a missing value in one belongs to no group."""
    return {column for name in groupings(comparisons) for column in name.split(":")}


def problems(comparisons: Comparisons, dataset: Dataset, groups: Collection[str]) -> list[Problem]:
    """Return what is wrong with the groupings that are left out.

    Parameters
    ----------
    comparisons
        The comparisons of the study.
    dataset
        The prepared dataset.
    groups
        Groupings of the models, to guess what was meant.
    """
    found = []
    for name, comparison in comparisons.items():
        where = f"comparisons.{name}.leave_out"
        wanted = list(comparison["leave_out"])
        if twice := next((u for i, u in enumerate(wanted) if u in wanted[:i]), None):
            found.append(Problem(where, f"'{twice}' stands twice", "name it once"))
        odd = (_problem(unit, dataset.frame, groups) for unit in dict.fromkeys(wanted) if unit != OBSERVATION)
        found += [Problem(where, *problem) for problem in odd if problem]
    return found


def _problem(unit: str, frame: pd.DataFrame, groups: Collection[str]) -> tuple[str, str] | None:
    """Return what is wrong with one grouping, and what to do."""
    for column in unit.split(":"):
        if column not in frame.columns:
            choices = [OBSERVATION, *groups] if column == unit else [str(c) for c in frame.columns]
            hint = did_you_mean(column, choices)
            if not hint.startswith("did you mean"):
                hint = did_you_mean(column, [*choices, *map(str, frame.columns)]) or hint
            return f"'{column}' is neither 'observation' nor a column of the data", hint
        kind = frame[column].dtype.kind
        if kind == "M":
            return (
                f"the column '{column}' holds dates, which make no groups",
                "derive a number from it, such as year(visit)",
            )
        if kind == "f" and not (np.mod(frame[column].to_numpy(), 1) == 0).all():
            return f"the column '{column}' holds numbers with decimals, which make no groups", ""
    if units.of_grouping(frame, unit).count < 2:
        return f"'{unit}' has one level, so leaving it out leaves nothing", ""
    return None


def resolve(comparisons: Comparisons, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return, by the name in files, each grouping that is left out, its columns and their fingerprint."""
    found = {}
    for unit in groupings(comparisons):
        names = unit.split(":")
        found[rules.in_path(unit)] = {"group": unit, "columns": names, "fingerprint": dataset.fingerprint(names)}
    return found
