"""Wide to long: one row for each unit becomes one row for each unit and occasion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from multilevel import column_types
from multilevel.column_types import KINDS, kind_of
from multilevel.errors import Problem, StudyError, did_you_mean
from multilevel.levels import level_text, level_texts

WHERE = "data.reshape"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

Occasions = dict[str, pd.Series]


@dataclass(frozen=True)
class Long:
    """The long table.

    Parameters
    ----------
    frame
        One row for each row of the wide table and occasion, the occasions of a row together.
    row_id
        Identifier of each row: that of the wide row and its occasion, ``s1:2``.
    origins
        For each measured column, the columns of the wide table that it is made of.
    """

    frame: pd.DataFrame
    row_id: pd.Series
    origins: dict[str, list[str]]


def to_long(wide: pd.DataFrame, spec: dict[str, Any]) -> Long:
    """Reshape a table.

    Parameters
    ----------
    wide
        The wide table, renamed.
    spec
        ``id`` or ``new_id``, ``columns`` and, unless those are patterns, ``into``, as the study declares them.

    Raises
    ------
    StudyError
        With every problem found: names that are unknown, taken or used twice, lists of unequal length, rows that their
        identifier does not tell apart, columns of different types that would become one.
    """
    columns = {
        str(name): list(wanted) if isinstance(wanted, list) else wanted for name, wanted in spec["columns"].items()
    }
    identifiers = _identifiers(spec)
    measured, occasions = _layout([str(c) for c in wide.columns if c not in identifiers], columns, spec.get("into"))
    _check_names(wide, spec, identifiers, measured, occasions)
    identity = _identity(wide, spec, identifiers)
    units, times = len(wide), len(next(iter(measured.values())))
    unit, time = np.repeat(np.arange(units), times), np.tile(np.arange(times), units)
    consumed = {column for wanted in measured.values() for column in wanted if column is not None}
    parts: dict[str, Any] = {}
    if spec.get("new_id"):
        parts[spec["new_id"]] = pd.Series(np.arange(1, units + 1)[unit])
    parts |= {str(c): wide[c].take(unit).reset_index(drop=True) for c in wide.columns if c not in consumed}
    parts |= {name: values.take(time).reset_index(drop=True) for name, values in occasions.items()}
    for name, wanted in measured.items():
        stacked = _stacked(wide, wanted, f"{WHERE}.columns.{name}")
        parts[name] = stacked.take(time * units + unit).reset_index(drop=True)
    row_id = (
        identity.take(unit).reset_index(drop=True) + ":" + _occasion_texts(occasions).take(time).reset_index(drop=True)
    )
    origins = {name: [column for column in wanted if column is not None] for name, wanted in measured.items()}
    return Long(pd.DataFrame(parts), row_id.rename("row_id"), origins)


def _refuse(where: str, message: str, hint: str = "") -> StudyError:
    return StudyError([Problem(where, message, hint)])


# Which columns become which.


def _layout(
    known: list[str], columns: dict[str, Any], into: dict[str, list[Any]] | None
) -> tuple[dict[str, list[str | None]], Occasions]:
    """Return the wide columns of each measured column, occasion by occasion, and what tells the occasions apart."""
    if not columns:
        raise _refuse(f"{WHERE}.columns", "names no column", "such as {bdi: [bdi_2m, bdi_3m]}")
    patterns = [name for name, wanted in columns.items() if isinstance(wanted, str)]
    if patterns and len(patterns) < len(columns):
        raise _refuse(f"{WHERE}.columns", "mixes patterns and lists", "write all as patterns or all as lists")
    if patterns:
        if into:
            raise _refuse(
                f"{WHERE}.into", "the patterns of the columns say this already", "leave it out, or write lists"
            )
        return _matched(known, columns)
    if not into:
        first = next(iter(columns.values()))
        raise _refuse(
            WHERE, "'into' is missing", f"it names the occasions, such as {{time: {list(range(1, len(first) + 1))}}}"
        )
    return _listed(columns, into)


def _listed(
    columns: dict[str, list[str | None]], into: dict[str, list[Any]]
) -> tuple[dict[str, list[str | None]], Occasions]:
    lengths = {f"columns.{name}": len(wanted) for name, wanted in columns.items()}
    lengths |= {f"into.{name}": len(values) for name, values in into.items()}
    (first, length), problems = next(iter(lengths.items())), []
    for name, other in lengths.items():
        if other != length:
            hint = "write null where a column was not measured on an occasion" if name.startswith("columns") else ""
            message = f"has {other} entries and '{first.split('.', 1)[1]}' has {length}"
            problems.append(Problem(f"{WHERE}.{name}", message, hint))
    for name, wanted in columns.items():
        if not any(column is not None for column in wanted):
            problems.append(Problem(f"{WHERE}.columns.{name}", "names no column", "such as [bdi_2m, bdi_3m]"))
    if problems:
        raise StudyError(problems)
    occasions = {name: _typed(values, f"{WHERE}.into.{name}") for name, values in into.items()}
    texts = list(zip(*(level_texts(values) for values in occasions.values()), strict=True))
    if twice := next((occasion for occasion in texts if texts.count(occasion) > 1), None):
        named = ", ".join(f"{name} = {value}" for name, value in zip(occasions, twice, strict=True))
        raise _refuse(f"{WHERE}.into", f"{named} stands twice", "each occasion has a value of its own")
    return columns, occasions


def _typed(values: list[Any], where: str) -> pd.Series:
    """Return the values of an occasion as numbers or as texts."""
    texts = [isinstance(value, str) for value in values]
    if any(texts) and not all(texts):
        raise _refuse(where, "mixes numbers and text", "quote every value or none")
    return pd.Series(values, dtype="str") if any(texts) else pd.Series(np.array(values))


def _matched(known: list[str], patterns: dict[str, str]) -> tuple[dict[str, list[str | None]], Occasions]:
    """Find the columns that fit the patterns; what stands for the names in braces tells the occasions apart."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    names: list[str] = []
    for name, pattern in patterns.items():
        where, parts = f"{WHERE}.columns.{name}", _PLACEHOLDER.split(pattern)
        own = parts[1::2]
        if not own or len(set(own)) < len(own):
            problem = "names no occasion in braces" if not own else "names an occasion twice"
            raise _refuse(where, f"the pattern '{pattern}' {problem}", "such as 'bdi_{month}'")
        if "" in parts[2:-1:2]:
            raise _refuse(where, f"nothing stands between two names in the pattern '{pattern}'", "write lists")
        names = names or own
        if sorted(own) != sorted(names):
            raise _refuse(where, f"the pattern '{pattern}' names {_both(own)} and another one {_both(names)}")
        fits = re.compile("(.+?)".join(map(re.escape, parts[::2])))
        matches = {column: match.groups() for column in known if (match := fits.fullmatch(column))}
        if not matches:
            shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
            raise _refuse(where, f"no column fits the pattern '{pattern}'", f"columns are {shown}")
        found[name] = {tuple(groups[own.index(n)] for n in names): column for column, groups in matches.items()}
    occasions = list(dict.fromkeys(occasion for columns in found.values() for occasion in columns))
    values = {n: _typed_texts([occasion[i] for occasion in occasions], n, found) for i, n in enumerate(names)}
    for name, columns in found.items():
        if absent := next((occasion for occasion in occasions if occasion not in columns), None):
            named = ", ".join(f"{n} = {value}" for n, value in zip(names, absent, strict=True))
            message = f"no column fits the pattern '{patterns[name]}' with {named}, which another pattern finds"
            raise _refuse(f"{WHERE}.columns.{name}", message, "write lists, with null where a column was not measured")
    return {name: [columns[occasion] for occasion in occasions] for name, columns in found.items()}, values


def _typed_texts(texts: list[str], name: str, found: dict[str, dict[tuple[str, ...], str]]) -> pd.Series:
    """Return what a pattern found as numbers where all are; a single text among numbers was hardly meant."""
    values = column_types.from_text(pa.chunked_array([pa.array(texts)]), [], words=()).values
    if kind_of(values) == "number":
        return values
    numbers = [text for text in texts if re.fullmatch(column_types.number_pattern("."), text)]
    if numbers:
        odd = next(text for text in texts if text not in numbers)
        column = next(c for columns in found.values() for occasion, c in columns.items() if odd in occasion)
        message = f"'{name}' would be {odd!r} for the column '{column}' and {numbers[0]} for another"
        raise _refuse(f"{WHERE}.columns", message, "write a narrower pattern, or lists")
    return pd.Series(texts, dtype="str")


def _both(names: list[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


# Identifiers and names.


def _identifiers(spec: dict[str, Any]) -> list[str]:
    """Return the columns that identify a wide row; none where it is to be numbered."""
    given = spec.get("id")
    if bool(given) == bool(spec.get("new_id")):
        message = "both 'id' and 'new_id' are given" if given else "neither 'id' nor 'new_id' is given"
        hint = "id names the column that identifies a row of the wide table; new_id makes one that numbers its rows"
        raise _refuse(WHERE, message, hint)
    return [given] if isinstance(given, str) else list(given or [])


def _check_names(
    wide: pd.DataFrame,
    spec: dict[str, Any],
    identifiers: list[str],
    measured: dict[str, list[str | None]],
    occasions: Occasions,
) -> None:
    """Refuse unknown columns, columns used twice, and new names that are taken."""
    problems = []
    named = [(f"{WHERE}.id", column) for column in identifiers]
    named += [
        (f"{WHERE}.columns.{n}", column) for n, wanted in measured.items() for column in wanted if column is not None
    ]
    for position, (where, column) in enumerate(named):
        if column not in wide.columns:
            problems.append(Problem(where, f"unknown column '{column}'", did_you_mean(column, wide.columns)))
        elif column in [other for _, other in named[:position]]:
            problems.append(Problem(where, f"the column '{column}' is used twice", "each column has one place"))
    consumed = {column for _, column in named[len(identifiers) :]}
    taken = {str(column) for column in wide.columns if column not in consumed}
    new = [(f"{WHERE}.new_id", spec["new_id"])] if spec.get("new_id") else []
    new += [(f"{WHERE}.columns.{name}", name) for name in measured] + [
        (f"{WHERE}.into.{name}", name) for name in occasions
    ]
    for where, name in new:
        if name in taken:
            problems.append(Problem(where, f"the column '{name}' is already in the data", "choose another name"))
        taken.add(name)
    if problems:
        raise StudyError(problems)


def _identity(wide: pd.DataFrame, spec: dict[str, Any], identifiers: list[str]) -> pd.Series:
    """Return the identifier of each wide row as text."""
    if spec.get("new_id"):
        return pd.Series([str(i) for i in range(1, len(wide) + 1)], dtype="str")
    where, shown = f"{WHERE}.id", _both(identifiers)
    columns = f"the column {shown} is" if len(identifiers) == 1 else f"the columns {shown} are"
    if wide[identifiers].isna().any(axis=None):
        raise _refuse(
            where, f"{columns} missing in some row, which is then identified by nothing", "filter it out of the table"
        )
    identity = level_texts(wide[identifiers[0]])
    for column in identifiers[1:]:
        identity = identity + ":" + level_texts(wide[column])
    if identity.duplicated().any():
        value = identity[identity.duplicated()].iloc[0]
        rows = [str(i + 1) for i in np.flatnonzero(identity == value)]
        message = (
            f"{columns} not unique: '{value}' stands in rows {', '.join(rows[:3])}{', ...' if len(rows) > 3 else ''}"
        )
        raise _refuse(where, message, "is the table long already? Then leave reshape out")
    return identity


def _occasion_texts(occasions: Occasions) -> pd.Series:
    """Return how an occasion reads in a row's identifier: by as few of its columns as tell occasions apart."""
    text = pd.Series([""] * len(next(iter(occasions.values()))), dtype="str")
    for name, values in occasions.items():
        text = level_texts(values) if name == next(iter(occasions)) else text + ":" + level_texts(values)
        if not text.duplicated().any():
            break
    return text


# Values.


def _stacked(wide: pd.DataFrame, wanted: list[str | None], where: str) -> pd.Series:
    """Return the columns of one measured column below one another; an occasion without a column is missing throughout."""
    present = {column: wide[column] for column in wanted if column is not None and wide[column].notna().any()}
    if not present:
        return pd.Series(np.full(len(wide) * len(wanted), np.nan))
    kinds = {column: kind_of(values) for column, values in present.items()}
    first, kind = next(iter(kinds.items()))
    if odd := next((column for column in kinds if kinds[column] != kind), None):
        raise _refuse(
            where,
            f"'{odd}' is {KINDS[kinds[odd]]} and '{first}' {KINDS[kind]}, so they cannot be one column",
            _why_text(present, kinds),
        )
    if kind == "text" and len({str(values.dtype) + _levels(values) for values in present.values()}) > 1:
        present = {column: level_texts(values) for column, values in present.items()}
    if kind == "condition":
        present = {column: values.astype("boolean") for column, values in present.items()}
    whole = all(values.dtype.kind in "iu" for values in present.values()) and len(present) == len(wanted)
    if kind == "number" and not whole:
        present = {column: values.astype(float) for column, values in present.items()}
    parts = [present[column] if column in present else _empty(next(iter(present.values()))) for column in wanted]
    stacked = pd.concat(parts, ignore_index=True)
    return stacked.astype(bool) if kind == "condition" and stacked.notna().all() else stacked


def _empty(like: pd.Series) -> pd.Series:
    """Return a column of the same type in which everything is missing."""
    return pd.Series([None] * len(like), dtype=like.dtype)


def _levels(values: pd.Series) -> str:
    return "\x1f".join(values.cat.categories) if isinstance(values.dtype, pd.CategoricalDtype) else ""


def _why_text(present: dict[str, pd.Series], kinds: dict[str, str]) -> str:
    """Return a value that makes text of a column whose others are numbers."""
    for column, values in present.items():
        if kinds[column] == "text" and "number" in kinds.values():
            texts = level_texts(values).dropna()
            odd = texts[~texts.str.fullmatch(column_types.number_pattern("."))]
            if len(odd):
                return f"'{column}' holds '{level_text(odd.iloc[0])}'; if that means missing, list it under missing"
    return ""
