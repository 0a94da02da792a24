"""The data section: tables, joins, rows, groups, columns and codings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.report.markdown import Markdown, bullets, clean, code, escape, join, sentence_list, table
from multilevel.report.numbers import ABSENT, as_float, count, significant
from multilevel.report.record import Record

_MOST_LEVELS = 12


def tables_table(record: Record) -> Markdown:
    """Return the raw tables with their sizes and hashes."""
    rows = [
        [code(entry.get("path") or entry.get("name")), count(entry.get("rows")), code(entry.get("sha256") or ABSENT)]
        for entry in _part(record, "tables")
    ]
    return table(["File", "Rows", "SHA-256"], rows, label="Raw tables", align="lrl")


def sources(record: Record) -> Markdown:
    """Return each source and licence once, with the files that come from it."""
    files: dict[tuple[str, str], list[Markdown]] = {}
    for entry in _part(record, "tables"):
        key = (clean(entry.get("source") or ""), clean(entry.get("licence") or ""))
        files.setdefault(key, []).append(code(entry.get("path") or entry.get("name")))
    lines = []
    for (source, licence), names in files.items():
        terms = Markdown(f" Licence: {escape(licence.rstrip('.'))}.") if licence else ""
        lines.append(
            Markdown(f"{sentence_list(names)}: {escape((source or 'source not recorded').rstrip('.'))}.{terms}")
        )
    return bullets(lines)


def joins_table(record: Record) -> Markdown:
    """Return each join with how many rows found a partner."""
    rows = [
        [
            code(entry.get("table")),
            _columns(entry.get("by")),
            count(entry.get("matched")),
            count(entry.get("unmatched")),
        ]
        for entry in _part(record, "joins")
    ]
    return table(["Joined table", "On", "Rows matched", "Rows unmatched"], rows, label="Joins", align="llrr")


def _columns(by: Any) -> Markdown:
    return join(code(name) for name in (by if isinstance(by, list) else [by]))


def rows_table(record: Record) -> Markdown:
    """Return how the raw rows became the rows that every candidate was fitted to."""
    rows = (record["data"] or {}).get("rows") or {}
    lines: list[list[object]] = [["Rows in the base table", count(rows.get("raw"))]]
    if "after_reshape" in rows:
        lines.append(["after reshaping it, one row for each occasion", count(rows["after_reshape"])])
    lines.append(["after the filter", count(rows.get("after_filter"))])
    lines.append(["dropped for missing values", count(rows.get("dropped_missing"))])
    lines += [
        [Markdown(f"of these, {code(entry.get('column'))} missing"), count(entry.get("rows"))]
        for entry in _part(record, "dropped")
    ]
    lines.append(["used by every candidate", count(rows.get("used"))])
    return table(["Step", "Rows"], lines, label="Rows used")


def response_table(record: Record) -> Markdown:
    """Return the response: location, spread, range and transformation."""
    response = (record["data"] or {}).get("response") or {}
    row = [code(response.get("name")), *(significant(response.get(key), 4) for key in ("mean", "sd", "min", "max"))]
    transformation = response.get("transformation")
    whole = table(
        ["Response", "Mean", "SD", "Smallest", "Largest", "Transformation"],
        [[*row, code(transformation) if transformation else "none"]],
        label="Response",
        align="lrrrrl",
    )
    if not (found := response.get("categories")):
        return whole
    rows = [[escape(str(entry.get("label"))), count(entry.get("rows"))] for entry in found]
    return Markdown(f"{whole}\n\n{table(['Value or category', 'Rows'], rows, label='Values of the response')}")


def groups_table(record: Record) -> Markdown:
    """Return the groupings with their sizes."""
    keys = ("levels", "smallest", "median", "largest", "singletons")
    rows = [[code(group.get("name")), *(_size(group.get(key)) for key in keys)] for group in _part(record, "groups")]
    headers = ["Grouping", "Groups", "Smallest", "Median size", "Largest", "Groups with one row"]
    return table(headers, rows, label="Groups")


def _size(value: Any) -> str:
    number = as_float(value)
    return count(value) if number is None or number == round(number) else significant(value)


def columns_table(record: Record) -> Markdown:
    """Return every column used, with its unit and what it means."""
    rows = [
        [
            code(column.get("name")),
            escape(column.get("description") or ABSENT),
            escape(column.get("unit") or ABSENT),
            escape(column.get("type") or ABSENT),
            _content(column),
            count(column.get("missing")),
        ]
        for column in _part(record, "columns")
    ]
    headers = ["Column", "Meaning", "Unit", "Type", "Mean or levels", "Missing"]
    return table(headers, rows, label="Columns", align="lllllr")


def _content(column: Mapping[str, Any]) -> Markdown:
    levels = column.get("levels")
    if isinstance(levels, list):
        shown = join(levels[:_MOST_LEVELS])
        more = len(levels) - _MOST_LEVELS
        return Markdown(f"{shown} and {count(more)} more") if more > 0 else shown
    if levels is not None:
        return escape(f"{count(levels)} levels")
    return (
        escape(f"mean {significant(column['mean'])}") if as_float(column.get("mean")) is not None else Markdown(ABSENT)
    )


def codings_table(record: Record) -> Markdown:
    """Return what the study does to rows and columns, in the order in which it is done; empty where that is nothing."""
    data = record["plan_data"]
    rows = [line for source in (data, *(data.get("join") or [])) for line in _reading(source)]
    rows += _reshaping(data.get("reshape") or {})
    rows += [["Dates", code(name), code(pattern)] for name, pattern in _items(data.get("dates"))]
    rows += [["Derived", code(name), code(text)] for name, text in _items(data.get("derive"))]
    rows += [["Filter", ABSENT, code(data["filter"])]] if data.get("filter") else []
    rows += [["Centred", code(name), _centring(how)] for name, how in _items(data.get("centre"))]
    rows += [["Codes of levels", code(name), "categorical"] for name in data.get("categorical") or []]
    rows += [
        ["Ordered levels", code(name), escape(" < ".join(map(str, levels)))]
        for name, levels in _items(data.get("ordered"))
    ]
    rows += [["Reference level", code(name), escape(text)] for name, text in _items(data.get("reference"))]
    return table(["Step", "Column", "Definition"], rows, label="Codings", align="lll") if rows else Markdown("")


def _reading(source: Mapping[str, Any]) -> list[list[object]]:
    """Return how one table is read: options, missing codes, columns that are text, new names."""
    name, missing = source.get("table"), source.get("missing") or []
    options = [f"{key} {source[key]!r}" for key in ("separator", "decimal", "thousands", "encoding") if source.get(key)]
    rows: list[list[object]] = [["Read", code(name), escape(", ".join(options))]] if options else []
    if isinstance(missing, Mapping):
        rows += [["Missing codes", code(column), join(map(code, codes))] for column, codes in missing.items()]
    elif missing:
        rows.append(["Missing codes", Markdown(f"all of {code(name)}"), join(map(code, missing))])
    rows += [["Text", code(column), "whatever it looks like"] for column in source.get("text") or []]
    return rows + [["Renamed", code(new), code(old)] for new, old in _items(source.get("rename"))]


def _reshaping(spec: Mapping[str, Any]) -> list[list[object]]:
    """Return what each column of a long table is made of."""
    rows: list[list[object]] = []
    if new := spec.get("new_id"):
        rows.append(["Reshaped", code(new), "number of the row of the wide table"])
    for name, wide in _items(spec.get("columns")):
        columns = wide if isinstance(wide, list) else [wide]
        rows.append(["Reshaped", code(name), join(ABSENT if column is None else code(column) for column in columns)])
    return rows + [["Occasion", code(name), join(map(code, values))] for name, values in _items(spec.get("into"))]


def _items(mapping: Any) -> list[tuple[str, Any]]:
    return list(mapping.items()) if isinstance(mapping, Mapping) else []


def _centring(how: Any) -> Markdown:
    if not isinstance(how, Mapping):
        return code(how)
    parts = [code(how.get("column"))]
    for key, word in (("within", "minus the mean of its own group of"), ("between", "as the group means of")):
        if how.get(key):
            return join([*parts, Markdown(f"{word} {code(how[key])}")], " ")
    return join([*parts, Markdown("minus its mean")], " ")


def _part(record: Record, name: str) -> list[dict[str, Any]]:
    return list((record["data"] or {}).get(name) or [])
