"""The report's data section says what was done to the data, in the order in which it was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fixtures.pandoc import nodes, parse, words

from multilevel import data_summary, preparation
from multilevel.report.sections import data as section

DATA: dict[str, Any] = {
    "table": "wide.tsv",
    "decimal": ",",
    "missing": ["x", -99],
    "text": ["site"],
    "rename": {"score_1": "score.1", "score_2": "score.2"},
    "reshape": {"id": "who", "columns": {"score": ["score_1", "score_2"]}, "into": {"wave": [1, 2]}},
    "join": [{"table": "sites.csv", "by": "site", "missing": {"size": [0]}}],
    "dates": {"born": "%d.%m.%Y"},
    "derive": {"age": "days_between(born, '2020-01-01') / 365.25"},
    "filter": "age > 18",
    "centre": {"age_c": {"column": "age"}},
    "categorical": ["zone"],
    "ordered": {"level": ["low", "mid", "high"]},
    "reference": {"zone": "2"},
}
WIDE = "who\tsite\tborn\tlevel\tzone\tscore.1\tscore.2\n" + "".join(
    f"p{i}\t0{1 + i % 2}\t0{1 + i}.02.19{70 + i}\t{level}\t{1 + i % 2}\t{i},5\t{'x' if i == 3 else i}\n"
    for i, level in enumerate(["low", "mid", "high", "low", "mid", "high", "low", "mid"])
)
SITES = "site,size\n01,300\n02,0\n"


def summary_of(folder: Path) -> dict[str, Any]:
    (folder / "wide.tsv").write_text(WIDE)
    (folder / "sites.csv").write_text(SITES)
    data = {**DATA, "join": [{**DATA["join"][0], "text": ["site"]}]}
    prepared = preparation.prepare(data, ["score", "level", "zone", "who"], folder)
    return data_summary.describe(prepared, "score", ["who"], ["score", "level", "zone"], {"units": {}, "labels": {}})


def cells(markdown: str) -> list[list[str]]:
    tables = [node for node in nodes(parse(markdown)) if node["t"] == "Table"]
    rows = [row for table in tables for body in table["c"][4] for row in body[3]]
    return [[words(cell) for cell in row[1]] for row in rows]


def test_every_step_is_listed_in_its_order(tmp_path: Path) -> None:
    listed = cells(section.codings_table({"plan_data": DATA}))
    assert listed == [
        ["Read", "wide.tsv", "decimal ','"],
        ["Missing codes", "all of wide.tsv", "x, -99"],
        ["Text", "site", "whatever it looks like"],
        ["Renamed", "score_1", "score.1"],
        ["Renamed", "score_2", "score.2"],
        ["Missing codes", "size", "0"],
        ["Reshaped", "score", "score_1, score_2"],
        ["Occasion", "wave", "1, 2"],
        ["Dates", "born", "%d.%m.%Y"],
        ["Derived", "age", "days_between(born, '2020-01-01') / 365.25"],
        ["Filter", "—", "age > 18"],
        ["Centred", "age_c", "age minus its mean"],
        ["Codes of levels", "zone", "categorical"],
        ["Ordered levels", "level", "low < mid < high"],
        ["Reference level", "zone", "2"],
    ]


def test_a_pattern_and_a_gap_are_listed_as_they_are_written() -> None:
    spec = {"new_id": "n", "columns": {"a": "a_{t}"}}
    assert cells(section.codings_table({"plan_data": {"table": "t.csv", "reshape": spec}})) == [
        ["Reshaped", "n", "number of the row of the wide table"],
        ["Reshaped", "a", "a_{t}"],
    ]
    spec = {"id": "s", "columns": {"a": ["a1", None]}, "into": {"t": [1, 2]}}
    assert ["Reshaped", "a", "a1, —"] in cells(section.codings_table({"plan_data": {"reshape": spec}}))


def test_nothing_is_listed_where_nothing_was_done() -> None:
    assert section.codings_table({"plan_data": {"table": "t.csv", "join": [{"table": "u.csv", "by": "k"}]}}) == ""


def test_the_rows_of_a_reshaped_table_are_counted(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    assert cells(section.rows_table({"data": summary})) == [
        ["Rows in the base table", "8"],
        ["after reshaping it, one row for each occasion", "16"],
        ["after the filter", "16"],
        ["dropped for missing values", "1"],
        ["of these, score missing", "1"],
        ["used by every candidate", "15"],
    ]


def test_the_summary_tells_every_step_and_the_order_of_levels(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    assert list(summary["steps"]) == [
        "reading", "rename", "reshape", "dates", "derive", "filter", "centre", "categorical", "ordered", "reference",
    ]  # fmt: skip
    assert summary["steps"]["reading"] == [
        {"table": "wide.tsv", "decimal": ",", "missing": ["x", -99], "text": ["site"]},
        {"table": "sites.csv", "missing": {"size": [0]}, "text": ["site"]},
    ]
    columns = {column["name"]: column for column in summary["columns"]}
    assert (columns["level"]["reference"], columns["level"]["order"]) == ("low", ["low", "mid", "high"])
    assert (columns["zone"]["reference"], columns["zone"]["levels"]) == ("2", 2)
    assert "order" not in columns["zone"]
