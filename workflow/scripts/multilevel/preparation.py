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
from multilevel.dataset import Dataset, digest, level_text
from multilevel.errors import Problem, StudyError, did_you_mean


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
    if problems:
        raise StudyError(problems)
    needed = sorted({source for name in used if name in available for source in sources(data, name)})
    complete, dropped = _complete(frame, needed, set(data.get("derive", {})))
    rows = {
        "raw": joined.raw_rows,
        "after_filter": len(frame),
        "dropped_missing": len(frame) - len(complete),
        "used": len(complete),
    }
    missing = {str(name): int(frame[name].isna().sum()) for name in frame.columns}
    row_id = row_id.loc[complete.index].reset_index(drop=True)
    complete = complete.reset_index(drop=True)
    complete = _nest(complete, data)
    complete = _centre(complete, data)
    complete = _categorise(complete, data)
    warnings = list(joined.warnings)
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
        "steps": {
            key: data[key] for key in ("rename", "derive", "filter", "centre", "reference", "groups") if data.get(key)
        },
    }
    return Dataset(complete, row_id.to_numpy(dtype=object), digests, summary)


def _unknown(data: dict[str, Any], available: set[str]) -> list[Problem]:
    """Return a problem for every column that the data section names and the tables lack."""
    named: list[tuple[str, str]] = []
    for name, entry in data.get("centre", {}).items():
        named += [
            (f"data.centre.{name}.{key}", entry[key]) for key in ("column", "within", "between") if entry.get(key)
        ]
    for name, entry in data.get("groups", {}).items():
        named += [(f"data.groups.{name}", name), (f"data.groups.{name}.within", entry["within"])]
    named += [(f"data.reference.{name}", name) for name in data.get("reference", {})]
    return [
        Problem(where, f"unknown column '{column}'", did_you_mean(column, available))
        for where, column in named
        if column not in available
    ]


def _complete(frame: pd.DataFrame, needed: list[str], derived: set[str]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Drop the rows with a missing value in a needed column; refuse infinities and an empty rest."""
    problems = [
        Problem(
            f"data.derive.{name}" if name in derived else "data",
            f"the column '{name}' has {count} infinite value{'s' if count > 1 else ''} (such as log(0))",
            "filter those rows or derive the column differently",
        )
        for name in needed
        if frame[name].dtype.kind == "f" and (count := int(np.isinf(frame[name]).sum()))
    ]  # fmt: skip
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
            frame[name] = _text(frame[outer]) + ":" + _text(frame[name])
            done.add(name)

    for name in groups:
        label(name, ())
    return frame


def _text(column: pd.Series) -> pd.Series:
    return column.map(level_text, na_action="ignore").astype("str")


def _centre(frame: pd.DataFrame, data: dict[str, Any]) -> pd.DataFrame:
    """Add the centred columns, computed on the rows used."""
    for name, entry in data.get("centre", {}).items():
        where = f"data.centre.{name}"
        values = frame[entry["column"]]
        if values.dtype.kind not in "fiub":
            raise StudyError([Problem(where, f"the column '{entry['column']}' is text, so it has no mean")])
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
    """Turn text into categories, the reference level first."""
    references = data.get("reference", {})
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind not in "fiub":
            levels = sorted(column.dropna().astype(str).unique())
            frame[name] = pd.Categorical(
                column.astype(str).where(column.notna()), categories=_first(levels, name, references)
            )
        elif name in references:
            ordered = [level_text(level) for level in sorted(column.dropna().unique())]
            text = column.map(level_text, na_action="ignore")
            frame[name] = pd.Categorical(text, categories=_first(ordered, name, references))
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
