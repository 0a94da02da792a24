"""From raw tables to the prepared dataset: complete rows, nested levels, centred columns, reference levels.

Kept apart from `dataset`, which only reads and writes the result, so that a change here refits nothing unless the data differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multilevel import tables
from multilevel.column_types import KINDS, kind_of
from multilevel.dataset import Dataset, digest
from multilevel.errors import Problem, StudyError, did_you_mean
from multilevel.levels import level_text, level_texts

STEPS = ("rename", "reshape", "dates", "derive", "filter", "centre", "categorical", "ordered", "reference", "groups")
"""Keys of the data section that change rows or columns, for the report."""

READING = ("separator", "decimal", "thousands", "encoding", "missing", "text")
"""Keys of a table that say how it is read, for the report."""


def sources(data: dict[str, Any], column: str) -> set[str]:
    """Return the columns that a column is made of by centring and nesting; itself where it is neither."""
    if column in data.get("centre", {}):
        entry = data["centre"][column]
        return {entry[key] for key in ("column", "within", "between") if entry.get(key)}
    if column in data.get("groups", {}):
        return {column, data["groups"][column]["within"]}
    return {column}


def prepare(data: dict[str, Any], used: Iterable[str], root: Path) -> Dataset:
    """Make the dataset.

    Parameters
    ----------
    data
        The data section of the study, as plain values.
    used
        Columns that some candidate uses: a row with a missing value in any of them is dropped for all.
    root
        The project folder.

    Raises
    ------
    StudyError
        With every problem found at the first stage that has any.
    """
    joined = tables.load(data, root)
    frame, row_id = joined.frame, joined.row_id
    available = {*map(str, frame.columns), *data.get("centre", {})}
    problems = _unknown(data, available)
    if "row_id" in available:
        problems.append(
            Problem(
                "data",
                "no column can be called 'row_id', the name of row identifiers",
                "give it another name under data.rename",
            )
        )
    for name in data.get("centre", {}):
        if name in frame.columns:
            problems.append(
                Problem(f"data.centre.{name}", f"the column '{name}' is already in the data", "choose another name")
            )
    needed = sorted({source for name in used if name in available for source in sources(data, name)})
    # A predictor that is text by a slip would become a factor with as many levels as it has values.
    problems += [joined.doubts[name] for name in needed if name in joined.doubts]
    problems += _undeclared_levels(frame, row_id, data)
    if problems:
        raise StudyError(problems)
    complete, dropped = _complete(frame, row_id, needed, joined.fields)
    rows = {
        **joined.rows,
        "after_filter": len(frame),
        "dropped_missing": len(frame) - len(complete),
        "used": len(complete),
    }
    missing = {str(name): int(frame[name].isna().sum()) for name in frame.columns}
    row_id = row_id.loc[complete.index].reset_index(drop=True)
    complete = _without_unknown(complete.reset_index(drop=True))
    complete = _nest(complete, data)
    complete = _centre(complete, data)
    complete = _categorise(complete, data)
    warnings = joined.warnings + _absent_levels(complete, data)
    if rows["dropped_missing"]:
        warnings.append(
            f"{rows['dropped_missing']} of {rows['after_filter']} rows are left out of every model because a column that some "
            f"model uses is missing there ({', '.join(d['column'] for d in dropped)})."
        )
    digests = {str(name): digest(complete[name]) for name in complete.columns}
    digests["row_id"] = digest(row_id)
    summary = {
        "tables": [record.as_dict() for record in joined.tables],
        "joins": joined.joins,
        "rows": rows,
        "dropped": dropped,
        "missing": missing,
        "fields": joined.fields,
        "warnings": warnings,
        "steps": _steps(data),
    }
    return Dataset(complete, row_id.to_numpy(dtype=object), digests, summary)


def _steps(data: dict[str, Any]) -> dict[str, Any]:
    """Return what the data section does, for the report."""
    reading = [
        {"table": source["table"], **options}
        for source in (data, *data.get("join", []))
        if (options := {key: source[key] for key in READING if source.get(key)})
    ]
    return {**({"reading": reading} if reading else {}), **{key: data[key] for key in STEPS if data.get(key)}}


def _unknown(data: dict[str, Any], available: set[str]) -> list[Problem]:
    """Return a problem for every column that the data section names and the tables lack."""
    named: list[tuple[str, str]] = []
    for name, entry in data.get("centre", {}).items():
        named += [
            (f"data.centre.{name}.{key}", entry[key]) for key in ("column", "within", "between") if entry.get(key)
        ]
    for name, entry in data.get("groups", {}).items():
        named += [(f"data.groups.{name}", name), (f"data.groups.{name}.within", entry["within"])]
    named += [(f"data.{key}.{name}", name) for key in ("reference", "ordered") for name in data.get(key, {})]
    named += [("data.categorical", name) for name in data.get("categorical", [])]
    return [
        Problem(where, f"unknown column '{column}'", did_you_mean(column, available))
        for where, column in named
        if column not in available
    ]


def _undeclared_levels(frame: pd.DataFrame, row_id: pd.Series, data: dict[str, Any]) -> list[Problem]:
    """Return a problem for every value of an ordered column that is none of the levels declared."""
    problems = []
    for name, declared in data.get("ordered", {}).items():
        where, levels = f"data.ordered.{name}", list(map(level_text, declared))
        if len(set(levels)) < len(levels):
            twice = next(level for level in levels if levels.count(level) > 1)
            problems.append(Problem(where, f"the level '{twice}' stands twice", "name each level once"))
        if name in data.get("categorical", []):
            problems.append(
                Problem(where, f"'{name}' is listed under data.categorical too", "ordered says that already")
            )
        if name not in frame.columns:
            continue
        texts = level_texts(frame[name])
        for value in texts[texts.notna() & ~texts.isin(levels)].unique():
            rows = row_id[(texts == value).to_numpy()]
            shown = ", ".join(rows.iloc[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
            noun = "row" if len(rows) == 1 else "rows"
            message = f"'{value}' in {noun} {shown} is none of the levels of '{name}'"
            problems.append(Problem(where, message, did_you_mean(value, levels)))
    return problems


def _absent_levels(frame: pd.DataFrame, data: dict[str, Any]) -> list[str]:
    """Say which declared levels no row has."""
    return [
        f"The level '{level}' of '{name}' occurs in no row that is used."
        for name, declared in data.get("ordered", {}).items()
        for level in map(level_text, declared)
        if level not in frame[name].cat.categories
    ]


def _complete(
    frame: pd.DataFrame, row_id: pd.Series, needed: list[str], fields: dict[str, dict[str, Any]]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Drop the rows with a missing value in a needed column; refuse infinities and an empty rest."""
    problems = []
    for name in needed:
        if frame[name].dtype.kind == "f" and (count := int(np.isinf(frame[name]).sum())):
            message, where = f"the column '{name}' has {count} infinite value{'s' * (count > 1)}", "data"
            if "derived" in fields.get(name, {}):
                where = f"data.derive.{name}"
                message, hint = f"{message} (such as log(0))", "filter those rows or derive the column differently"
            else:
                first = row_id[np.isinf(frame[name]).to_numpy()].iloc[0]
                message, hint = f"{message}, the first in row {first}", "list inf under missing, or filter those rows"
            problems.append(Problem(where, message, hint))
    if problems:
        raise StudyError(problems)
    absent = frame[needed].isna()
    dropped = [{"column": name, "rows": int(absent[name].sum())} for name in needed if absent[name].any()]
    kept = frame.loc[~absent.any(axis=1)]
    if kept.empty:
        worst = max(dropped, key=lambda entry: int(str(entry["rows"])))
        raise StudyError(
            [
                Problem(
                    "data",
                    f"no row is complete: '{worst['column']}' is missing in {worst['rows']} of {len(frame)} rows",
                )
            ]
        )
    return kept, dropped


def _without_unknown(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn conditions with missing values into conditions, where none is left, or into numbers."""
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.BooleanDtype):
            frame[name] = frame[name].astype(float if frame[name].isna().any() else bool)
    return frame


def _nest(frame: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Code the levels of nested groups uniquely, as ``outer:inner``; an inner group may itself be an outer one."""
    groups = data.get("groups", {})
    done: set[str] = set()

    def label(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise StudyError([Problem("data.groups", f"{' within '.join((*path, name))}: a group is nested in itself")])
        if name in groups and name not in done:
            outer = groups[name]["within"]
            label(outer, (*path, name))
            frame[name] = level_texts(frame[outer]) + ":" + level_texts(frame[name])
            done.add(name)

    for name in groups:
        label(name, ())
    return frame


def _centre(frame: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Add the centred columns, computed on the rows used."""
    for name, entry in data.get("centre", {}).items():
        where = f"data.centre.{name}"
        values = frame[entry["column"]]
        if kind_of(values) not in {"number", "condition"}:
            message = f"the column '{entry['column']}' is {KINDS[kind_of(values)]}, so it has no mean"
            raise StudyError([Problem(where, message, "derive a number from it" if kind_of(values) == "date" else "")])
        if entry.get("within") and entry.get("between"):
            raise StudyError(
                [Problem(where, "it has both 'within' and 'between'", "they are two columns: name one for each")]
            )
        values = values.astype(float)
        if group := entry.get("within"):
            frame[name] = values - values.groupby(frame[group], sort=False).transform("mean")
        elif group := entry.get("between"):
            means = values.groupby(frame[group], sort=False).transform("mean")
            frame[name] = means - means.mean()
        else:
            frame[name] = values - values.mean()
    return frame


def _categorise(frame: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Turn text, and what is declared to be of levels, into categories: those that occur, the reference level first."""
    references, ordered = data.get("reference", {}), data.get("ordered", {})
    declared = {*references, *ordered, *data.get("categorical", [])}
    for name in frame.columns:
        column = frame[name]
        if name not in declared and kind_of(column) != "text":
            continue
        texts = level_texts(column)
        found = set(texts.dropna().unique())
        if name in ordered:
            levels = [level for level in map(level_text, ordered[name]) if level in found]
            if other := sorted(found.difference(levels)):
                hint = "leave it out: levels of a nested group are coded anew" if name in data.get("groups", {}) else ""
                message = f"'{other[0]}' is none of the levels of '{name}'"
                raise StudyError([Problem(f"data.ordered.{name}", message, hint)])
        elif isinstance(column.dtype, pd.CategoricalDtype):
            levels = [level for level in column.cat.categories if level in found]
        elif kind_of(column) in {"number", "condition"}:
            levels = [level_text(level) for level in sorted(column.dropna().unique())]
        else:
            levels = sorted(found)
        # Levels whose order was said, unless another reference now stands first.
        said = name in ordered or (isinstance(column.dtype, pd.CategoricalDtype) and bool(column.cat.ordered))
        moved = _first(levels, name, references)
        frame[name] = pd.Categorical(texts, categories=moved, ordered=said and moved == levels)
    return frame


def _first(levels: list[str], name: str, references: dict[str, str]) -> list[str]:
    reference = references.get(name)
    if reference is None:
        return levels
    if reference not in levels:
        raise StudyError(
            [
                Problem(
                    f"data.reference.{name}", f"'{reference}' is no level of '{name}'", did_you_mean(reference, levels)
                )
            ]
        )
    return [reference, *(level for level in levels if level != reference)]
