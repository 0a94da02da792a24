"""Joining a table to the rows of another, its cardinality checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.column_types import KINDS, kind_of
from multilevel.errors import Problem, StudyError, did_you_mean
from multilevel.levels import level_texts

Pairs = list[tuple[str, str]]


def keys_of(join: dict[str, Any]) -> Pairs:
    """Return the columns that are matched, as pairs of the name on the left and the name in the joined table."""
    by = join["by"]
    if isinstance(by, dict):
        return [(str(left), str(right)) for left, right in by.items()]
    return [(key, key) for key in ([by] if isinstance(by, str) else by)]


def join(
    left: pd.DataFrame, right: pd.DataFrame, spec: dict[str, Any], place: str
) -> tuple[pd.DataFrame, list[str], dict[str, Any]]:
    """Give every row of `left` the values of its partner in `right`.

    Parameters
    ----------
    left, right
        The rows to keep, in their order, and the table to join.
    spec
        The join as the study declares it.
    place
        Where it stands in the study: ``data.join[0]``.

    Returns
    -------
    tuple
        The rows with the columns joined, the names of these, and the counts for the report.

    Raises
    ------
    StudyError
        When a column is unknown, taken twice or of another type, or when rows do not match as the study says.
    """
    pairs = keys_of(spec)
    _require_keys(left, right, spec["table"], pairs, f"{place}.by")
    left_keys, right_keys = _comparable(left, right, pairs, spec["table"], f"{place}.by")
    declared = spec.get("cardinality", "many_to_one")
    known = right_keys.notna().all(axis=1).to_numpy()  # a missing key is nobody's partner
    right, right_keys = right.loc[known].reset_index(drop=True), right_keys.loc[known].reset_index(drop=True)
    if (repeated := right_keys.duplicated().to_numpy()).any():
        found = f"'{spec['table']}' has several rows for {_key(right.loc[repeated], [r for _, r in pairs])}"
        raise StudyError([Problem(place, f"{found}, so the join is not {declared}", _more_keys(right, left, pairs))])
    if (
        declared == "one_to_one"
        and (repeated := (left_keys.duplicated() & left_keys.notna().all(axis=1)).to_numpy()).any()
    ):
        found = f"the base table has several rows for {_key(left.loc[repeated], [key for key, _ in pairs])}"
        raise StudyError([Problem(place, f"{found}, so the join is not one_to_one")])
    columns = _columns(left, right, spec, pairs, place)
    partner = _partners(left_keys, right_keys)
    lonely = partner < 0
    if lonely.any() and spec.get("unmatched", "error") == "error":
        first = _key(left.loc[lonely], [key for key, _ in pairs])
        count = int(lonely.sum())
        rows = "1 row has" if count == 1 else f"{count} rows have"
        found = f"{rows} no partner in '{spec['table']}', the first with {first}"
        raise StudyError([Problem(place, found, "set unmatched: missing to keep them")])
    taken = [_taken(right[column], partner).set_axis(left.index) for column in columns]
    summary = {
        "by": [one if one == other else f"{one} = {other}" for one, other in pairs],
        "cardinality": declared,
        "matched": int((~lonely).sum()),
        "unmatched": int(lonely.sum()),
        "unused": int(len(right) - len(np.unique(partner[~lonely]))),
    }
    return pd.concat([left, *taken], axis=1), columns, summary


def _require_keys(left: pd.DataFrame, right: pd.DataFrame, table: str, pairs: Pairs, where: str) -> None:
    if not pairs:
        raise StudyError([Problem(where, "names no column to match rows by")])
    found = _absent([one for one, _ in pairs], left, where, "the base table")
    if found := found + _absent([other for _, other in pairs], right, where, f"'{table}'"):
        raise StudyError(found)
    for one, other in pairs:
        for frame, key, name in ((left, one, "the base table"), (right, other, f"'{table}'")):
            if frame[key].isna().all():
                raise StudyError([Problem(where, f"'{key}' has no value in any row of {name}")])


def _columns(left: pd.DataFrame, right: pd.DataFrame, spec: dict[str, Any], pairs: Pairs, place: str) -> list[str]:
    """Return the columns to take, all of them there and none in both tables."""
    keys = [other for _, other in pairs]
    columns = spec.get("columns") or [str(column) for column in right.columns if column not in keys]
    found = _absent(columns, right, f"{place}.columns", f"'{spec['table']}'") or [
        Problem(place, f"the column '{column}' is in both tables", "list the columns to take under 'columns'")
        for column in columns
        if column in left.columns
    ]
    if found:
        raise StudyError(found)
    return list(columns)


def _absent(columns: list[str], frame: pd.DataFrame, where: str, table: str) -> list[Problem]:
    """Name the columns that a table lacks."""
    return [
        Problem(where, f"{table} has no column '{column}'", did_you_mean(column, frame.columns))
        for column in columns
        if column not in frame.columns
    ]


def _comparable(
    left: pd.DataFrame, right: pd.DataFrame, pairs: Pairs, table: str, where: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the keys of both tables in types that compare: whole numbers match floating-point ones, levels match text."""
    made: list[tuple[pd.Series, pd.Series]] = []
    for one, other in pairs:
        kinds = kind_of(left[one]), kind_of(right[other])
        if kinds[0] != kinds[1]:
            both = f"'{one}'" if one == other else f"'{one}' (there '{other}')"
            message = f"{both} is {KINDS[kinds[0]]} in the base table and {KINDS[kinds[1]]} in '{table}'"
            hint = "list it under text of the table where it is none" if "text" in kinds else ""
            raise StudyError([Problem(where, message, hint)])
        made.append((_as_key(left[one], kinds[0]), _as_key(right[other], kinds[1])))
    names = [str(position) for position in range(len(made))]
    return (
        pd.concat([one for one, _ in made], axis=1, keys=names),
        pd.concat([other for _, other in made], axis=1, keys=names),
    )


def _as_key(column: pd.Series, kind: str) -> pd.Series:
    return level_texts(column) if kind == "text" else column if kind == "date" else column.astype(float)


def _partners(left: pd.DataFrame, right: pd.DataFrame) -> np.ndarray:
    """Return for each row on the left the position of its partner, -1 where it has none."""
    if left.shape[1] == 1:
        found = pd.Index(right.iloc[:, 0]).get_indexer(pd.Index(left.iloc[:, 0]))
    else:
        found = pd.MultiIndex.from_frame(right).get_indexer(pd.MultiIndex.from_frame(left))
    return np.where(left.notna().all(axis=1).to_numpy(), found, -1)


def _taken(column: pd.Series, partner: np.ndarray) -> pd.Series:
    """Return a column's values for some rows, missing where the position is -1."""
    if column.dtype.kind == "b" and (partner < 0).any():
        column = column.astype("boolean")
    return column.reindex(partner)


def _more_keys(right: pd.DataFrame, left: pd.DataFrame, pairs: Pairs) -> str:
    """Return the shared columns that would tell the rows of the joined table apart, as a hint."""
    keys = [other for _, other in pairs]
    shared = [str(c) for c in right.columns if c in left.columns and c not in keys]
    unique = [column for column in shared if not right.duplicated([*keys, column]).any()]
    return f"do its rows also differ by '{unique[0]}'? Then name both under 'by'" if unique else ""


def _key(rows: pd.DataFrame, keys: list[str]) -> str:
    """Return the join key of the first of some rows, as ``county = AITKIN`` or ``county missing``."""
    values = {key: level_texts(rows[key].iloc[:1]).iloc[0] for key in keys}
    return ", ".join(f"{key} missing" if pd.isna(value) else f"{key} = {value}" for key, value in values.items())
