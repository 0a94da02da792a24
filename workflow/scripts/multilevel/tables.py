"""From raw tables to rows: read, verify, rename, reshape, join, read dates, derive and filter, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from multilevel import column_types, dates, expressions, joins, packages, readers, reshape
from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean
from multilevel.levels import level_text, level_texts
from multilevel.packages import TableRecord

Fields = dict[str, dict[str, Any]]


@dataclass
class Table:
    """One raw table, read and renamed.

    Parameters
    ----------
    frame
        Its rows.
    record
        What the report says of it.
    fields
        Description of columns from its data package: type, unit, description.
    doubts
        For a column that may be text by mistake: why, and what to do.
    warnings
        Sentences for the quality record.
    """

    frame: pd.DataFrame
    record: TableRecord
    fields: Fields
    doubts: dict[str, Problem]
    warnings: list[str] = field(default_factory=list)


@dataclass
class Joined:
    """The rows of a study before those with missing values are dropped.

    Parameters
    ----------
    frame
        One row per kept row of the base table (reshaped, where the study says so), in its order.
    row_id
        Identifier of each row.
    tables, joins
        Records for the report.
    fields
        Description of columns from the data packages: type, unit, description.
    rows
        Rows of the base table (``raw``) and after it was reshaped (``after_reshape``, where it was).
    doubts
        For a column that may be text by mistake: why, and what to do.
    warnings
        Sentences for the quality record.
    """

    frame: pd.DataFrame
    row_id: pd.Series
    tables: list[TableRecord]
    joins: list[dict[str, Any]]
    fields: Fields
    rows: dict[str, int]
    doubts: dict[str, Problem]
    warnings: list[str] = field(default_factory=list)


def load(data: dict[str, Any], root: Path) -> Joined:
    """Read, verify, rename, reshape, join, derive and filter.

    Parameters
    ----------
    data
        The data section of the study, as plain values.
    root
        The project folder that paths are relative to.

    Raises
    ------
    StudyError
        With every problem found at the first stage that has any.
    """
    base, *others = _read_all(data, root)
    rows = {"raw": len(base.frame)}
    if spec := data.get("reshape"):
        base, row_id = _reshaped(base, spec, data.get("id"))
        rows["after_reshape"] = len(base.frame)
    else:
        row_id = _row_ids(base.frame, data.get("id"))
    frame, fields, doubts, records = base.frame, dict(base.fields), dict(base.doubts), []
    for position, (join, other) in enumerate(zip(data.get("join", []), others, strict=True)):
        frame, taken, counts = joins.join(frame, other.frame, join, f"data.join[{position}]")
        records.append({"table": other.record.path, **counts})
        fields |= {name: other.fields[name] for name in taken if name in other.fields}
        doubts |= {name: other.doubts[name] for name in taken if name in other.doubts}
    for name, pattern in data.get("dates", {}).items():
        where = f"data.dates.{name}"
        _require(name, frame, where)
        frame[name] = dates.read_dates(frame[name], pattern, row_id, where)
    declared = {*data.get("dates", {}), *data.get("categorical", []), *data.get("ordered", {})}
    doubts = {name: doubt for name, doubt in doubts.items() if name not in declared}
    problems, failed = _derive(frame, data, fields, doubts)
    try:
        keep, unknown = _kept(frame, data, doubts, failed)
    except StudyError as error:
        problems += error.problems
    if problems:
        raise StudyError(problems)
    tables = [base.record, *(other.record for other in others)]
    warnings = [warning for table in (base, *others) for warning in table.warnings]
    warnings += [
        f"{record.path} has no datapackage.json beside it that names it: its source, licence and hash are not recorded."
        for record in tables
        if not record.verified
    ]
    if unknown:
        warnings.append(
            f"The filter's condition is missing in {unknown} rows, because a value that it compares is; it drops them."
        )
    kept = frame.loc[keep].reset_index(drop=True)
    return Joined(kept, row_id.loc[keep].reset_index(drop=True), tables, records, fields, rows, doubts, warnings)


# Reading.


def _read_all(data: dict[str, Any], root: Path) -> list[Table]:
    """Read the base table and every table to join; what is wrong with any of them is told at once."""
    sources = [("data", data), *((f"data.join[{i}]", join) for i, join in enumerate(data.get("join", [])))]
    tables: list[Table] = []
    problems: list[Problem] = []
    for place, source in sources:
        try:
            tables.append(_read(root, source, place))
        except StudyError as error:
            problems += error.problems
    if problems:
        raise StudyError(problems)
    return tables


def _read(root: Path, source: dict[str, Any], place: str) -> Table:
    """Read one table, check it against the data package in its folder and rename its columns."""
    name, where = source["table"], f"{place}.table"
    path = root / name
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # such as a name that no file can have
        shown = name if len(name) <= 80 else f"{name[:80]}..."
        raise StudyError([Problem(where, f"'{shown}' cannot be opened ({error.strerror})")]) from None
    if not is_file:
        if is_folder:
            raise StudyError([Problem(where, f"'{name}' is a folder", "name a file in it")])
        beside = path.parent.iterdir() if path.parent.is_dir() else iter(())
        near = [str(Path(name).parent / p.name) for p in beside if readers.is_known(p.name)]
        raise StudyError([Problem(where, f"no file '{name}'", did_you_mean(name, near))])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError([Problem(where, f"'{name}' cannot be opened ({error.strerror})")]) from None
    package = packages.read(path, where, str(Path(name).parent / packages.FILE))
    digest = packages.verify(package, content, name, where)
    raw = readers.read(content, name, source, place)
    columns, warnings = _typed(raw, source, package, place)
    rows = len(next(iter(columns.values())).values)
    packages.check_content(package, list(raw.columns), rows, name, where)
    frame = pd.DataFrame({column: made.values for column, made in columns.items()})
    doubts = {
        column: Problem(where, f"the column '{column}' of '{name}' {made.doubt[0]}", made.doubt[1])
        for column, made in columns.items()
        if made.doubt[0]
    }
    record = package.record(readers.stem(name), name, rows, digest)
    table = Table(frame, record, dict(package.fields), doubts, warnings)
    return _renamed(table, source.get("rename", {}), place)


def _typed(
    raw: readers.Raw, source: dict[str, Any], package: packages.Package, place: str
) -> tuple[dict[str, column_types.Column], list[str]]:
    """Give every column its type, missing codes taken out; return sentences of what is worth knowing too."""
    name, rename = source["table"], source.get("rename", {})
    codes, by_column = _codes(raw, source, place)
    text = {rename.get(column, column) for column in source.get("text", [])}
    _require_all(text, raw, f"{place}.text")
    text |= {column for column, described in package.fields.items() if described.get("type") == "string"}
    words = [*column_types.WORDS, *package.missing]
    made: dict[str, column_types.Column] = {}
    warnings = []
    for column, values in raw.columns.items():
        if raw.is_text:
            marks = (source.get("decimal") or ".", source.get("thousands") or "")
            found = column_types.from_text(values, codes[column], words, *marks, as_text=column in text)
        else:
            kept = column_types.from_arrow(values, codes[column], as_text=column in text)
            if kept is None:
                warnings.append(f"{name}: the column '{column}' is left out, because it holds {values.type}.")
                continue
            found = kept
        made[column] = found
    if not made:
        raise StudyError([Problem(f"{place}.table", f"'{name}' has no column of numbers, texts or dates")])
    if blanks := [f"{found.trimmed} values of '{column}'" for column, found in made.items() if found.trimmed]:
        warnings.append(f"{name}: blanks around {', '.join(blanks)} are cut off.")
    return made, warnings + _unmatched(made, codes, by_column, name)


def _codes(raw: readers.Raw, source: dict[str, Any], place: str) -> tuple[dict[str, list[str]], bool]:
    """Return the missing codes of every column, and whether they were declared by column."""
    declared = source.get("missing") or []
    if not isinstance(declared, dict):
        return dict.fromkeys(raw.columns, column_types.code_texts(declared)), False
    rename = source.get("rename", {})
    by_name = {rename.get(column, column): column_types.code_texts(codes) for column, codes in declared.items()}
    _require_all(by_name, raw, f"{place}.missing")
    return {column: by_name.get(column, []) for column in raw.columns}, True


def _unmatched(
    made: dict[str, column_types.Column], codes: dict[str, list[str]], by_column: bool, name: str
) -> list[str]:
    """Say which missing codes no value has; those that always count need not be there."""
    codes = {column: [code for code in own if code not in column_types.WORDS] for column, own in codes.items()}
    if by_column:
        return [
            f"{name}: the missing code '{code}' occurs nowhere in '{column}'."
            for column, found in made.items()
            for code in codes[column]
            if code not in found.matched
        ]
    matched = {code for found in made.values() for code in found.matched}
    everywhere = next(iter(codes.values()))
    return [f"{name}: the missing code '{code}' occurs in no column." for code in everywhere if code not in matched]


def _require_all(columns: Any, raw: readers.Raw, where: str) -> None:
    if unknown := [column for column in columns if column not in raw.columns]:
        raise StudyError(
            [Problem(where, f"unknown column '{column}'", did_you_mean(column, raw.columns)) for column in unknown]
        )


def _renamed(table: Table, rename: dict[str, str], place: str) -> Table:
    frame, fields, doubts = table.frame, table.fields, table.doubts
    for new, old in rename.items():
        where = f"{place}.rename.{new}"
        _require(old, frame, where)
        if new in frame.columns:
            raise StudyError([_taken(new, where)])
        frame = frame.rename(columns={old: new})
        fields = {(new if column == old else column): described for column, described in fields.items()}
        doubts = {(new if column == old else column): doubt for column, doubt in doubts.items()}
    return replace(table, frame=frame, fields=fields, doubts=doubts)


def _taken(name: str, where: str) -> Problem:
    return Problem(where, f"the column '{name}' is already in the data", "choose another name")


def _require(column: str, frame: pd.DataFrame, where: str) -> None:
    if column not in frame.columns:
        raise StudyError([Problem(where, f"unknown column '{column}'", did_you_mean(column, frame.columns))])


# Rows.


def _row_ids(frame: pd.DataFrame, column: str | None) -> pd.Series:
    if column is None:
        return pd.Series([str(i) for i in range(1, len(frame) + 1)], name="row_id")
    _require(column, frame, "data.id")
    identifiers = level_texts(frame[column])
    if frame[column].isna().any():
        raise StudyError([Problem("data.id", f"the column '{column}' has missing values, so it identifies no rows")])
    if identifiers.duplicated().any():
        value = identifiers[identifiers.duplicated()].iloc[0]
        count = int((identifiers == value).sum())
        raise StudyError([Problem("data.id", f"the column '{column}' is not unique: {value!r} stands in {count} rows")])
    return identifiers.rename("row_id")


def _reshaped(table: Table, spec: dict[str, Any], identifier: str | None) -> tuple[Table, pd.Series]:
    """Return the long table, what is said of a wide column now said of the one it became, and its row identifiers."""
    if identifier is not None:
        message = "the rows of a reshaped table are known by reshape.id and their occasion"
        raise StudyError([Problem("data.id", message, "leave data.id out")])
    made = reshape.to_long(table.frame, spec)
    fields, doubts = dict(table.fields), dict(table.doubts)
    for name, columns in made.origins.items():
        described = next((table.fields[column] for column in columns if column in table.fields), None)
        doubt = next((table.doubts[column] for column in columns if column in table.doubts), None)
        fields |= {name: described} if described else {}
        doubts |= {name: doubt} if doubt else {}
    return replace(table, frame=made.frame, fields=fields, doubts=doubts), made.row_id


# Derived columns and the filter.


def _derive(
    frame: pd.DataFrame, data: dict[str, Any], fields: Fields, doubts: Mapping[str, Problem]
) -> tuple[list[Problem], set[str]]:
    """Add the derived columns; return the problems, and the columns that could not be derived."""
    problems: list[Problem] = []
    failed: set[str] = set()
    for name, text in data.get("derive", {}).items():
        where = f"data.derive.{name}"
        if expressions.names(expressions.parse(text)) & failed:
            failed.add(name)  # what it is computed from was told
            continue
        try:
            if name in frame.columns:
                raise StudyError([_taken(name, where)])
            value = _evaluate(text, frame, data, doubts, where)
            if getattr(getattr(value, "dtype", None), "kind", "") == "m":
                raise StudyError([Problem(where, f"'{text}' is a length of time", f"write days({text})")])
        except StudyError as error:
            problems += error.problems
            failed.add(name)
            continue
        frame[name] = value.astype(float) if _is_partly_missing(value) else value
        fields[name] = {"name": name, "derived": text}
    return problems, failed


def _kept(
    frame: pd.DataFrame, data: dict[str, Any], doubts: Mapping[str, Problem], failed: set[str]
) -> tuple[pd.Series, int]:
    """Return which rows the filter keeps, and in how many it cannot be decided; all where it needs a column that failed."""
    text = data.get("filter")
    if not text or expressions.names(expressions.parse(text)) & failed:
        return pd.Series(True, index=frame.index), 0
    value, unknown = _evaluate(text, frame, data, doubts, "data.filter"), 0
    if _is_partly_missing(value):
        unknown = int(value.isna().sum())
        value = value.fillna(False).astype(bool)
    keep = pd.Series(value, index=frame.index)
    if keep.dtype != bool:
        hint = "write a comparison, such as age >= 18"
        raise StudyError([Problem("data.filter", f"'{text}' is no condition", hint)])
    if not keep.any():
        raise StudyError([Problem("data.filter", f"'{text}' keeps none of the {len(frame)} rows")])
    return keep, unknown


def _is_partly_missing(value: Any) -> bool:
    """Tell a condition that is missing somewhere."""
    return str(getattr(value, "dtype", "")) == "boolean"


def _evaluate(text: str, frame: pd.DataFrame, data: dict[str, Any], doubts: Mapping[str, Problem], where: str) -> Any:
    """Evaluate an expression; columns whose levels are declared compare in that order."""
    try:
        tree = expressions.parse(text)
        used = expressions.names(tree)
        columns = {
            str(c): _in_order(frame[c], data.get("ordered", {}).get(c)) if c in used else frame[c]
            for c in frame.columns
        }
        return expressions.evaluate(tree, columns)
    except FormulaError as error:
        doubted = next(
            (doubts[column] for column in sorted(expressions.names(expressions.parse(text))) if column in doubts), None
        )
        if doubted is None:
            raise StudyError([Problem(where, str(error))]) from None
        said = str(error).split("; write ")[0]  # not to compare with text: the column should be numbers
        raise StudyError([Problem(where, f"{said}: {doubted.message}", doubted.hint)]) from None


def _in_order(column: pd.Series, levels: list[Any] | None) -> pd.Series:
    """Give a column of texts the declared order; values that are not declared stand last, and are refused after the filter.

    Levels of a Parquet dictionary that says it is ordered are, any others are text.
    """
    if column_types.kind_of(column) != "text" or (levels is None and _is_ordered(column)):
        return column
    texts = level_texts(column)
    if levels is None:
        return texts
    declared = list(dict.fromkeys(map(level_text, levels)))
    others = sorted(set(texts.dropna()) - set(declared))
    return pd.Series(pd.Categorical(texts, categories=[*declared, *others], ordered=True), index=column.index)


def _is_ordered(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) and bool(column.cat.ordered)
