"""Raw tables: reading, verifying against their data package, renaming, joining, deriving and filtering."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import delimited, expressions
from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

MISSING = ["", "NA"]


@dataclass
class TableRecord:
    """What the report says of one raw table."""

    name: str
    path: str
    rows: int
    sha256: str
    source: str
    licence: str
    citation: str
    verified: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return dict(vars(self))


@dataclass
class Joined:
    """The base table with everything joined, derived and filtered, before missing rows are dropped.

    Parameters
    ----------
    frame
        One row per kept row of the base table, in its order.
    row_id
        Identifier of each row.
    tables, joins
        Records for the report.
    fields
        Description of columns from the data packages: type, unit, description.
    raw_rows
        Rows of the base table before the filter.
    warnings
        Sentences for the quality record.
    """

    frame: pd.DataFrame
    row_id: pd.Series
    tables: list[TableRecord]
    joins: list[dict[str, Any]]
    fields: dict[str, dict[str, Any]]
    raw_rows: int
    warnings: list[str] = field(default_factory=list)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def paths(data: dict[str, Any], root: Path) -> list[Path]:
    """Return every file that the data section reads: tables and the data packages beside them."""
    found: list[Path] = []
    for name in [data["table"], *(join["table"] for join in data.get("join", []))]:
        path = root / name
        package = path.parent / "datapackage.json"
        found += [path, *([package] if package.is_file() else [])]
    return list(dict.fromkeys(found))


def load(data: dict[str, Any], root: Path) -> Joined:
    """Read, verify, rename, join, derive and filter.

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
    problems: list[Problem] = []
    names = [("data.table", data["table"])]
    names += [(f"data.join[{i}].table", join["table"]) for i, join in enumerate(data.get("join", []))]
    read: list[tuple[pd.DataFrame, TableRecord, dict[str, dict[str, Any]]]] = []
    for where, name in names:
        try:
            read.append(_read(root, name, where))
        except StudyError as error:
            problems += error.problems
    if problems:
        raise StudyError(problems)

    frame, fields = read[0][0], dict(read[0][2])
    raw_rows = len(frame)
    for new, old in data.get("rename", {}).items():
        if found := _absent([old], frame, f"data.rename.{new}") or _taken(new, frame, f"data.rename.{new}"):
            problems += found
            continue
        frame = frame.rename(columns={old: new})
        if old in fields:
            fields[new] = fields.pop(old)
    if problems:
        raise StudyError(problems)
    row_id = _row_ids(frame, data.get("id"))
    joins = []
    for position, join in enumerate(data.get("join", [])):
        right, record, right_fields = read[position + 1]
        frame, summary = _join(frame, right, join, f"data.join[{position}]")
        joins.append({"table": record.path, **summary})
        fields = {**right_fields, **fields}
    problems, failed = _derive(frame, data.get("derive", {}))
    fields |= {name: {"name": name, "derived": text} for name, text in data.get("derive", {}).items()}
    more, keep, unknown = _filter(frame, data.get("filter") or "", failed)
    if problems := problems + more:
        raise StudyError(problems)
    tables = [record for _, record, _ in read]
    warnings = [
        f"{record.path} has no datapackage.json beside it that names it: its source, licence and hash are not recorded."
        for record in tables
        if not record.verified
    ]
    if unknown:
        warnings.append(
            f"The filter's condition is missing in {unknown} rows, because a value that it compares is; it drops them."
        )
    kept = frame.loc[keep].reset_index(drop=True)
    return Joined(kept, row_id.loc[keep].reset_index(drop=True), tables, joins, fields, raw_rows, warnings)


def _derive(frame: pd.DataFrame, derive: dict[str, str]) -> tuple[list[Problem], set[str]]:
    """Add the derived columns to the table; return the problems and the columns that could not be derived."""
    problems: list[Problem] = []
    failed: set[str] = set()
    for name, text in derive.items():
        where = f"data.derive.{name}"
        found = _taken(name, frame, where)
        if not found and not expressions.names(expressions.parse(text)) & failed:
            try:
                value = _evaluate(text, frame, where)
                frame[name] = value.astype(float) if _is_partly_missing(value) else value
                continue
            except StudyError as error:
                found = error.problems
        problems += found  # none where it is computed from a column that could not be derived, which was told
        failed.add(name)
    return problems, failed


def _filter(frame: pd.DataFrame, text: str, failed: set[str]) -> tuple[list[Problem], pd.Series, int]:
    """Return problems, which rows the filter keeps, and in how many its condition is missing."""
    import pandas as pd

    keep, unknown = pd.Series(True, index=frame.index), 0
    if not text or expressions.names(expressions.parse(text)) & failed:
        return [], keep, unknown
    try:
        value = _evaluate(text, frame, "data.filter")
    except StudyError as error:
        return error.problems, keep, unknown
    if _is_partly_missing(value):
        unknown = int(value.isna().sum())
        value = value.fillna(False).astype(bool)
    keep = pd.Series(value, index=frame.index)
    if keep.dtype != bool:
        message, hint = f"'{text}' is no condition", "write a comparison, such as age >= 18"
        return [Problem("data.filter", message, hint)], keep, unknown
    if not keep.any():
        return [Problem("data.filter", f"'{text}' keeps none of the {len(frame)} rows")], keep, unknown
    return [], keep, unknown


def _read(root: Path, name: str, where: str) -> tuple[pd.DataFrame, TableRecord, dict[str, dict[str, Any]]]:
    """Read one table and check it against the data package in its folder."""
    import pandas as pd

    path = root / name
    if path.is_dir():
        raise StudyError([Problem(where, f"'{name}' is a folder", "name a file in it")])
    if not path.is_file():
        near = [str(p.relative_to(root)) for p in path.parent.glob("*.csv")] if path.parent.is_dir() else []
        raise StudyError([Problem(where, f"no file '{name}'", did_you_mean(name, near))])
    resource, package = _package(path, where, f"{Path(name).parent / 'datapackage.json'}")
    digest = sha256(path)
    declared = str(resource.get("hash", "")).removeprefix("sha256:")
    if declared and declared != digest:
        raise StudyError(
            [
                Problem(
                    where,
                    f"'{name}' has SHA-256 {digest[:12]}... but its datapackage.json declares {declared[:12]}...",
                    "raw tables are never edited: restore the file, or declare the new content if it is meant",
                )
            ]
        )
    fields = _fields(resource, f"{Path(name).parent / 'datapackage.json'}", where)
    text_columns = {n: "str" for n, f in fields.items() if f.get("type") == "string"}
    if unsound := delimited.problem(path.read_bytes()):
        raise StudyError([Problem(where, f"'{name}' {unsound[0]}", unsound[1])])
    try:
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig")
        frame = pd.read_csv(
            path,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=MISSING,
            dtype={k: v for k, v in text_columns.items() if k in header.columns},
        )
    except (ValueError, OSError) as error:
        raise StudyError([Problem(where, f"'{name}' cannot be read as CSV ({' '.join(str(error).split())})")]) from None
    if frame.empty:
        raise StudyError([Problem(where, f"'{name}' has no rows")])
    if absent := [n for n in fields if n not in frame.columns]:
        raise StudyError(
            [Problem(where, f"'{name}' lacks the column '{absent[0]}' that its datapackage.json declares")]
        )
    if (rows := resource.get("rows")) is not None and rows != len(frame):
        raise StudyError([Problem(where, f"'{name}' has {len(frame)} rows but its datapackage.json declares {rows}")])
    sources = package.get("sources") or [{}]
    licences = package.get("licenses") or [{}]
    record = TableRecord(
        name=path.stem,
        path=name,
        rows=len(frame),
        sha256=digest,
        source="; ".join(str(s.get("title", "")) for s in sources if s.get("title")),
        licence="; ".join(str(s.get("title") or s.get("name", "")) for s in licences if s),
        citation=str(package.get("citation", "")),
        verified=bool(declared),
    )
    return frame, record, fields


def _package(path: Path, where: str, shown: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the data package's resource for a file, and the package, which messages call `shown`; empty where there is none."""
    package_path = path.parent / "datapackage.json"
    if not package_path.is_file():
        return {}, {}
    try:
        package = json.loads(package_path.read_text(encoding="utf-8"))
        resources = {str(r["path"]): dict(r) for r in package.get("resources") or []}
    except json.JSONDecodeError as error:
        message = f"'{shown}' is not valid JSON (line {error.lineno}, column {error.colno})"
        raise StudyError([Problem(where, message)]) from None
    except UnicodeDecodeError as error:
        raise StudyError([Problem(where, f"'{shown}' is not UTF-8 (byte {error.start})", "save it as UTF-8")]) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        message = f"'{shown}' is no data package"
        raise StudyError(
            [Problem(where, message, "it must hold a list of 'resources', each with its 'path'")]
        ) from None
    for key in ("sources", "licenses"):
        entries = package.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            message, hint = f"'{key}' of '{shown}' is no list of mappings", 'such as [{"title": "..."}]'
            raise StudyError([Problem(where, message, hint)])
    return resources.get(path.name, {}), package


def _fields(resource: dict[str, Any], package: str, where: str) -> dict[str, dict[str, Any]]:
    """Return the fields that a data package declares for one table, by name."""
    try:
        fields = {str(f["name"]): dict(f) for f in dict(resource.get("schema") or {}).get("fields") or []}
    except (TypeError, ValueError, KeyError):
        raise StudyError(
            [Problem(where, f"'{package}' declares no list of fields with names for this table")]
        ) from None
    return fields


def _absent(columns: list[str], frame: pd.DataFrame, where: str, table: str = "") -> list[Problem]:
    """Name the columns that a table lacks; where several tables are in play, the table too."""
    return [
        Problem(
            where,
            f"{table} has no column '{column}'" if table else f"unknown column '{column}'",
            did_you_mean(column, frame.columns),
        )
        for column in columns
        if column not in frame.columns
    ]


def _taken(column: str, frame: pd.DataFrame, where: str) -> list[Problem]:
    """Refuse a new column with the name of one that is there."""
    message = f"the column '{column}' is already in the data"
    return [Problem(where, message, "choose another name")] if column in frame.columns else []


def _row_ids(frame: pd.DataFrame, column: str | None) -> pd.Series:
    import pandas as pd

    if column is None:
        return pd.Series([str(i) for i in range(1, len(frame) + 1)], name="row_id")
    if problems := _absent([column], frame, "data.id"):
        raise StudyError(problems)
    identifiers = frame[column].astype(str)
    if frame[column].isna().any():
        raise StudyError([Problem("data.id", f"the column '{column}' has missing values, so it identifies no rows")])
    if identifiers.duplicated().any():
        value = identifiers[identifiers.duplicated()].iloc[0]
        count = int((identifiers == value).sum())
        raise StudyError([Problem("data.id", f"the column '{column}' is not unique: {value!r} stands in {count} rows")])
    return identifiers.rename("row_id")


def _join(
    left: pd.DataFrame, right: pd.DataFrame, join: dict[str, Any], where: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Join one table, its cardinality checked."""
    keys = [join["by"]] if isinstance(join["by"], str) else list(join["by"])
    problems = _absent(keys, left, f"{where}.by", "the base table")
    problems += _absent(keys, right, f"{where}.by", f"'{join['table']}'")
    columns = join.get("columns") or [c for c in right.columns if c not in keys]
    problems += _absent(columns, right, f"{where}.columns", f"'{join['table']}'")
    problems = problems or [
        Problem(where, f"the column '{column}' is in both tables", "list the columns to take under 'columns'")
        for column in columns
        if column in left.columns
    ]
    problems = problems or [
        problem for key in keys for problem in _unlike(key, left, right, join["table"], f"{where}.by")
    ]
    if problems:
        raise StudyError(problems)
    right = right.dropna(subset=keys)  # pandas would match missing with missing
    repeated = right.duplicated(keys)
    if repeated.any():
        found = f"'{join['table']}' has several rows for {_key(right.loc[repeated], keys)}"
        raise StudyError([Problem(where, f"{found}, so the join is not {join.get('cardinality', 'many_to_one')}")])
    if join.get("cardinality") == "one_to_one" and left.duplicated(keys).any():
        found = f"the base table has several rows for {_key(left.loc[left.duplicated(keys)], keys)}"
        raise StudyError([Problem(where, f"{found}, so the join is not one_to_one")])
    merged = left.merge(right[[*keys, *columns]], on=keys, how="left", sort=False, indicator="_matched")
    lonely = merged["_matched"] == "left_only"
    if lonely.any() and join.get("unmatched", "error") == "error":
        found = f"{_rows(int(lonely.sum()))} no partner in '{join['table']}', the first with {_key(merged.loc[lonely], keys)}"
        raise StudyError([Problem(where, found, "set unmatched: missing to keep them")])
    unused = int((~right.set_index(keys).index.isin(left.set_index(keys).index)).sum())
    summary = {
        "by": keys,
        "cardinality": join.get("cardinality", "many_to_one"),
        "matched": int((~lonely).sum()),
        "unmatched": int(lonely.sum()),
        "unused": unused,
    }
    return merged.drop(columns="_matched"), summary


def _unlike(key: str, left: pd.DataFrame, right: pd.DataFrame, table: str, where: str) -> list[Problem]:
    """Refuse a key of numbers in one table and text in the other, or without any value."""
    for frame, name in ((left, "the base table"), (right, f"'{table}'")):
        if frame[key].isna().all():
            return [Problem(where, f"'{key}' has no value in any row of {name}")]
    if left[key].dtype.kind in "fiub" and right[key].dtype.kind in "fiub":
        return []
    if left[key].dtype.kind == right[key].dtype.kind:
        return []
    kinds = ["numbers" if frame[key].dtype.kind in "fiub" else "text" for frame in (left, right)]
    message = f"'{key}' holds {kinds[0]} in the base table and {kinds[1]} in '{table}'"
    return [Problem(where, message, "declare it as a string in the datapackage.json of both, if it is text")]


def _rows(count: int) -> str:
    return f"{count} row has" if count == 1 else f"{count} rows have"


def _is_partly_missing(value: Any) -> bool:
    """Tell a condition that is missing somewhere."""
    return str(getattr(value, "dtype", "")) == "boolean"


def _key(rows: pd.DataFrame, keys: list[str]) -> str:
    """Return the join key of the first of some rows, as ``county = AITKIN`` or ``county missing``."""
    values = {key: rows[key].iloc[0] for key in keys}
    return ", ".join(f"{key} missing" if value != value else f"{key} = {value}" for key, value in values.items())  # noqa: PLR0124


def _evaluate(text: str, frame: pd.DataFrame, where: str) -> Any:
    try:
        return expressions.evaluate(expressions.parse(text), {str(c): frame[c] for c in frame.columns})
    except FormulaError as error:
        raise StudyError([Problem(where, str(error))]) from None
