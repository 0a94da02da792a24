"""What the comparisons of a study leave out at a time, checked against the data before anything is fitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from multilevel import rules, schema, units
from multilevel.dataset import Dataset
from multilevel.errors import Problem, did_you_mean
from multilevel.names import OBSERVATION, future, time_of

Comparisons = Mapping[str, Mapping[str, Any]]


def asked(leave_out: Sequence[str | schema.Future]) -> dict[str, Any]:
    """Return what a comparison leaves out as the plan has it.

    Returns
    -------
    dict
        ``leave_out``, a text for each: ``observation``, ``school:class``, ``future(day)``. Where the future is among them,
        ``future``: by that text, how it is left out.
    """
    names = [name if isinstance(name, str) else future(name.future) for name in leave_out]
    how = [(future(f.future), f.model_dump(exclude={"future"})) for f in leave_out if not isinstance(f, str)]
    return {"leave_out": names, **({"future": dict(how)} if how else {})}


def groupings(comparisons: Comparisons) -> list[str]:
    """Return what some comparison leaves out besides single observations, in order of first use."""
    found = (name for comparison in comparisons.values() for name in comparison["leave_out"])
    return list(dict.fromkeys(name for name in found if name != OBSERVATION))


def columns(comparisons: Comparisons) -> set[str]:
    """Return the columns that tell which rows go together; a row with a missing value in one belongs to no group."""
    return {column for name in groupings(comparisons) for column in _columns(name)}


def _columns(unit: str) -> list[str]:
    return [time_of(unit)] if time_of(unit) else unit.split(":")


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
        for unit in dict.fromkeys(wanted):
            if unit == OBSERVATION:
                continue
            if time_of(unit):
                problem = _problem_of_time(time_of(unit), comparison["future"][unit], dataset)
            else:
                problem = _problem(unit, dataset.frame, groups)
            found += [Problem(where, *problem)] if problem else []
    return found or _two_ways(comparisons)


def _two_ways(comparisons: Comparisons) -> list[Problem]:
    """Refuse two ways of leaving out the future of one column, and two units whose files would have one name."""
    first: dict[str, tuple[str, Any]] = {}
    files: dict[str, str] = {}
    for name, comparison in comparisons.items():
        where = f"comparisons.{name}.leave_out"
        for unit, how in comparison.get("future", {}).items():
            before, other = first.setdefault(unit, (where, how))
            if other != how:
                key = next(key for key in how if how[key] != other[key])
                message = f"the future of '{time_of(unit)}' is left out with {key} {how[key]} here and {other[key]} in {before}"
                return [Problem(where, message, "a study leaves the future of a column out in one way")]
        for unit in comparison["leave_out"]:
            if (same := files.setdefault(rules.in_path(unit), unit)) != unit:
                return [
                    Problem(where, f"'{unit}' and '{same}' would have the same files", "rename the column 'future'")
                ]
    return []


def _problem_of_time(column: str, how: Mapping[str, Any], dataset: Dataset) -> tuple[str, str] | None:
    """Return what is wrong with a column of time whose future is left out, and what to do."""
    frame = dataset.frame
    if column not in frame.columns:
        return f"the column of time '{column}' is no column of the data", did_you_mean(column, [str(c) for c in frame])
    values = frame[column]
    if values.dtype.kind == "M":
        return (
            f"the column of time '{column}' holds dates",
            "derive a number from it, such as days_between(start, visit)",
        )
    if values.dtype.kind == "b":
        return f"the column of time '{column}' holds true and false, which are no times", ""
    if isinstance(values.dtype, pd.CategoricalDtype) and not values.cat.ordered:
        return (
            f"the levels of the column of time '{column}' (such as '{values.iloc[0]}') have no order",
            "list them in order under data.ordered, or derive a number",
        )
    if count := int(dataset.summary["missing"].get(column) or 0):
        return (
            f"the time '{column}' is missing in {count} row{'s' * (count > 1)}, which have no place in time",
            f"take those rows out with data.filter: not missing({column})",
        )
    found, needed = units.of_time(frame, column).count, int(how["after"]) + int(how["steps"]) + 1
    if found < needed:
        ahead = f"two predictions of {how['steps']} times" if how["steps"] > 1 else "two predictions"
        return (
            f"'{column}' has {found} distinct times, too few for {ahead} after the first {how['after']}",
            f"at least {needed} are needed; lower 'after'",
        )
    return None


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
    """Return, by the name in files, what is left out, its columns and their fingerprint; of the future, how it is left out."""
    how = {unit: settings for c in comparisons.values() for unit, settings in c.get("future", {}).items()}
    found: dict[str, dict[str, Any]] = {}
    for unit in groupings(comparisons):
        names = _columns(unit)
        found[rules.in_path(unit)] = {"group": unit, "columns": names, "fingerprint": dataset.fingerprint(names)}
        if unit in how:
            times = units.of_time(dataset.frame, names[0]).count
            predicted = times - how[unit]["after"] - how[unit]["steps"] + 1
            found[rules.in_path(unit)] |= {"settings": how[unit], "times": predicted}
    return found
