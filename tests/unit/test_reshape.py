"""Wide tables become long ones: the right value in the right row, known by a readable identifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import preparation, reshape
from multilevel.dataset import Dataset
from multilevel.errors import StudyError

DENTAL = """id,sex,d8,d10,d12,d14
1,F,21,20,21.5,23
2,F,21,21.5,24,25.5
3,F,20.5,24,24.5,26
4,F,23.5,24.5,25,26.5
5,F,21.5,23,22.5,23.5
6,F,20,21,21,22.5
7,F,21.5,22.5,23,25
8,F,23,23,23.5,24
9,F,20,21,22,21.5
10,F,16.5,19,19,19.5
11,F,24.5,25,28,28
12,M,26,25,29,31
13,M,21.5,22.5,23,26.5
14,M,23,22.5,24,27.5
15,M,25.5,27.5,26.5,27
16,M,20,23.5,22.5,26
17,M,24.5,25.5,27,28.5
18,M,22,22,24.5,26.5
19,M,24,21.5,24.5,25.5
20,M,23,20.5,31,26
21,M,27.5,28,31,31.5
22,M,23,23,23.5,25
23,M,21.5,23.5,24,28
24,M,17,24.5,26,29.5
25,M,22.5,25.5,25.5,26
26,M,23,24.5,26,30
27,M,22,21.5,23.5,25
"""
"""Distance from the pituitary to the pterygomaxillary fissure, mm (Potthoff & Roy 1964, Biometrika 51:313-326)."""

BDI = """drug,treatment,bdi.pre,bdi.2m,bdi.3m,bdi.5m,bdi.8m
No,TAU,29,2,2,,
Yes,BtheB,32,16,24,17,20
Yes,TAU,25,20,,,
"""
"""The first rows of the trial Beat the Blues, as HSAUR3 has them."""

WIDE = "s,t,a1,a2,b1,b2\nu,x,1,2,p,q\nv,y,3,4,r,\n"
SPEC: dict[str, Any] = {"id": "s", "columns": {"a": ["a1", "a2"], "b": ["b1", "b2"]}, "into": {"time": [10, 20]}}


def prepared(folder: Path, table: str, spec: dict[str, Any], used: str = "", **data: Any) -> Dataset:
    (folder / "t.csv").write_text(table, encoding="utf-8")
    return preparation.prepare({"table": "t.csv", "reshape": spec, **data}, used.split(), folder)


def refusal(folder: Path, table: str, spec: dict[str, Any], **data: Any) -> str:
    with pytest.raises(StudyError) as caught:
        prepared(folder, table, spec, **data)
    return str(caught.value)


def column(data: Dataset, name: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in data.frame[name]]


def test_several_measured_columns_are_reshaped_at_once(tmp_path: Path) -> None:
    data = prepared(tmp_path, WIDE, SPEC)
    assert list(data.frame.columns) == ["s", "t", "time", "a", "b"]
    assert list(data.row_id) == ["u:10", "u:20", "v:10", "v:20"]
    assert column(data, "time") == [10, 20, 10, 20]
    assert column(data, "a") == [1, 2, 3, 4]
    assert column(data, "b") == ["p", "q", "r", None]
    assert column(data, "t") == ["x", "x", "y", "y"]
    assert data.summary["rows"] == {"raw": 2, "after_reshape": 4, "after_filter": 4, "dropped_missing": 0, "used": 4}
    assert data.summary["steps"]["reshape"] == SPEC


def test_the_dental_measurements_have_the_means_that_were_published(tmp_path: Path) -> None:
    data = prepared(tmp_path, DENTAL, {"id": "id", "columns": {"distance": "d{age}"}})
    assert list(data.row_id[:5]) == ["1:8", "1:10", "1:12", "1:14", "2:8"]
    means = data.frame.groupby(["sex", "age"], observed=True)["distance"].mean().round(2)
    assert means["F"].to_dict() == {8: 21.18, 10: 22.23, 12: 23.09, 14: 24.09}
    assert means["M"].to_dict() == {8: 22.88, 10: 23.81, 12: 25.72, 14: 27.47}


def test_dropout_leaves_rows_with_missing_values_which_are_dropped_and_counted(tmp_path: Path) -> None:
    spec = {
        "new_id": "patient",
        "columns": {"bdi": ["bdi.2m", "bdi.3m", "bdi.5m", "bdi.8m"]},
        "into": {"month": [2, 3, 5, 8]},
    }
    data = prepared(tmp_path, BDI, spec, "bdi", rename={"bdi_pre": "bdi.pre"})
    assert data.summary["rows"] == {"raw": 3, "after_reshape": 12, "after_filter": 12, "dropped_missing": 5, "used": 7}
    assert list(data.row_id) == ["1:2", "1:3", "2:2", "2:3", "2:5", "2:8", "3:2"]
    assert column(data, "bdi_pre") == [29, 29, 32, 32, 32, 32, 25]
    assert column(data, "patient") == [1, 1, 2, 2, 2, 2, 3]
    pattern = {"new_id": "patient", "columns": {"bdi": "bdi.{month}m"}}
    assert prepared(tmp_path, BDI, pattern, "bdi", rename={"bdi_pre": "bdi.pre"}).digests == data.digests


def test_what_follows_sees_the_long_table(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text("s,time,nurse\nu,10,N\nu,20,M\nv,10,N\nv,20,N\n")
    data = prepared(
        tmp_path,
        WIDE,
        SPEC,
        "a",
        join=[{"table": "visits.csv", "by": ["s", "time"]}],
        derive={"change": "a - group_min(a, s)"},
        filter="time > 10 or nurse == 'N'",
    )
    assert column(data, "nurse") == ["N", "M", "N", "N"]
    assert column(data, "change") == [0, 1, 0, 1]


def test_an_occasion_on_which_a_column_was_not_measured_is_null(tmp_path: Path) -> None:
    spec = {**SPEC, "columns": {"a": ["a1", None], "b": ["b1", "b2"]}}
    data = prepared(tmp_path, WIDE, spec)
    assert column(data, "a") == [1.0, None, 3.0, None]
    assert column(data, "a2") == [2, 2, 4, 4]  # not used up, so repeated as any other


def test_occasions_may_be_told_apart_by_several_columns(tmp_path: Path) -> None:
    spec = {"id": "s", "columns": {"a": ["a1", "a2"]}, "into": {"dose": ["low", "low"], "period": [1, 2]}}
    assert list(prepared(tmp_path, WIDE, spec).row_id) == ["u:low:1", "u:low:2", "v:low:1", "v:low:2"]
    pattern = {"id": "s", "columns": {"v": "{what}.{time}"}}
    table = "s,left.1,left.2,right.1,right.2\nu,1,2,3,4\n"
    data = prepared(tmp_path, table, pattern)
    assert list(data.row_id) == ["u:left:1", "u:left:2", "u:right:1", "u:right:2"]
    assert column(data, "time") == [1, 2, 1, 2]


def test_two_columns_may_identify_a_row(tmp_path: Path) -> None:
    table = "school,pupil,y1,y2\nA,1,5,6\nB,1,7,8\n"
    spec = {"id": ["school", "pupil"], "columns": {"y": "y{term}"}}
    assert list(prepared(tmp_path, table, spec).row_id) == ["A:1:1", "A:1:2", "B:1:1", "B:1:2"]


def test_the_description_of_a_wide_column_becomes_that_of_the_long_one(tmp_path: Path) -> None:
    fields = [{"name": n, "type": "number", "unit": "mm"} for n in ("a1", "a2")]
    package = {"resources": [{"path": "t.csv", "schema": {"fields": fields}}]}
    (tmp_path / "datapackage.json").write_text(__import__("json").dumps(package))
    assert prepared(tmp_path, WIDE, SPEC).summary["fields"]["a"]["unit"] == "mm"


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({"id": None}, ["data.reshape: neither 'id' nor 'new_id' is given; id names the column that identifies a row"]),
        ({"new_id": "n"}, ["data.reshape: both 'id' and 'new_id' are given"]),
        ({"id": "ss"}, ["data.reshape.id: unknown column 'ss'"]),
        ({"id": None, "new_id": "t"}, ["data.reshape.new_id: the column 't' is already in the data; choose another name"]),
        ({"columns": {}}, ["data.reshape.columns: names no column"]),
        ({"columns": {"a": [None, None]}}, ["data.reshape.columns.a: names no column; such as [bdi_2m, bdi_3m]"]),
        (
            {"columns": {"a": ["a1", "a2"], "b": ["b1"]}},
            ["data.reshape.columns.b: has 1 entries and 'a' has 2; write null where a column was not measured"],
        ),
        ({"into": {"time": [1, 2, 3]}}, ["data.reshape.into.time: has 3 entries and 'a' has 2"]),
        ({"into": None}, ["data.reshape: 'into' is missing; it names the occasions, such as {time: [1, 2]}"]),
        ({"into": {"time": [1, 1]}}, ["data.reshape.into: time = 1 stands twice; each occasion has a value of its own"]),
        ({"into": {"time": [1, "1"]}}, ["data.reshape.into.time: mixes numbers and text; quote every value or none"]),
        ({"into": {"t": [1, 2]}}, ["data.reshape.into.t: the column 't' is already in the data; choose another name"]),
        ({"into": {"a": [1, 2]}}, ["data.reshape.into.a: the column 'a' is already in the data"]),
        (
            {"columns": {"a": ["a1", "a9"], "b": ["b1", "c2"]}},
            [
                "data.reshape.columns.a: unknown column 'a9'; choose from a1, a2, b1, b2, s, t",
                "data.reshape.columns.b: unknown column 'c2'",
            ],
        ),
        ({"columns": {"a": ["a1", "a1"]}}, ["data.reshape.columns.a: the column 'a1' is used twice; each column has one"]),
        ({"columns": {"a": ["s", "a1"]}}, ["data.reshape.columns.a: the column 's' is used twice"]),
        ({"columns": {"a": ["a1", "b1"]}}, ["data.reshape.columns.a: 'b1' is text and 'a1' a number, so they cannot be one"]),
        ({"columns": {"a": "a{time}", "b": ["b1", "b2"]}}, ["data.reshape.columns: mixes patterns and lists"]),
        ({"columns": {"a": "a{time}"}}, ["data.reshape.into: the patterns of the columns say this already; leave it out"]),
        ({"columns": {"a": "a1"}, "into": None}, ["the pattern 'a1' names no occasion in braces; such as 'bdi_{month}'"]),
        ({"columns": {"a": "{t}{t}"}, "into": None}, ["the pattern '{t}{t}' names an occasion twice"]),
        ({"columns": {"a": "{t}{u}"}, "into": None}, ["nothing stands between two names in the pattern '{t}{u}'; write lists"]),
        (
            {"columns": {"a": "z{time}"}, "into": None},
            ["data.reshape.columns.a: no column fits the pattern 'z{time}'; columns are t, a1, a2, b1, b2"],
        ),
        (
            {"columns": {"a": "a{time}", "b": "b{wave}"}, "into": None},
            ["data.reshape.columns.b: the pattern 'b{wave}' names 'wave' and another one 'time'"],
        ),
    ],
)  # fmt: skip
def test_a_reshape_that_cannot_be_done_is_refused(change: dict[str, Any], sentences: list[str], tmp_path: Path) -> None:
    spec = {key: value for key, value in {**SPEC, **change}.items() if value is not None}
    message = refusal(tmp_path, WIDE, spec)
    for sentence in sentences:
        assert sentence in message
    assert f"{len(sentences)} problem" in message


@pytest.mark.parametrize(
    ("table", "spec", "sentence"),
    [
        (
            "s,a1,a2\nu,1,2\nv,1,2\nu,3,4\n",
            {"id": "s", "columns": {"a": "a{t}"}},
            "data.reshape.id: the column 's' is not unique: 'u' stands in rows 1, 3; is the table long already? Then leave",
        ),
        (
            "s,a1,a2\nu,1,2\n,1,2\n",
            {"id": "s", "columns": {"a": "a{t}"}},
            "data.reshape.id: the column 's' is missing in some row, which is then identified by nothing",
        ),
        (
            "s,d8,d10,dose\nu,1,2,9\n",
            {"id": "s", "columns": {"d": "d{age}"}},
            "'age' would be 'ose' for the column 'dose' and 8 for another; write a narrower pattern, or lists",
        ),
        (
            "s,a1,a2,b1\nu,1,2,3\n",
            {"id": "s", "columns": {"a": "a{t}", "b": "b{t}"}},
            "data.reshape.columns.b: no column fits the pattern 'b{t}' with t = 2, which another pattern finds; write lists",
        ),
        (
            "s,a1,a2\nu,1,2\nv,2,?\nw,5,6\n",
            {"id": "s", "columns": {"a": "a{t}"}},
            "'a2' is text and 'a1' a number, so they cannot be one column; 'a2' holds '?'; if that means missing, list it",
        ),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_reshaped_is_refused(
    table: str, spec: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, table, spec)


def test_rows_of_a_long_table_have_no_identifier_of_their_own(tmp_path: Path) -> None:
    message = refusal(tmp_path, WIDE, SPEC, id="s")
    assert (
        "data.id: the rows of a reshaped table are known by reshape.id and their occasion; leave data.id out" in message
    )


def test_measured_columns_become_the_widest_of_their_types() -> None:
    wide = pd.DataFrame({
        "s": ["u", "v"], "n1": [1, 2], "n2": [0.5, 1.5], "b1": [True, False], "b2": pd.array([None, True], "boolean"),
        "e1": [float("nan")] * 2, "e2": pd.Series(["x", "y"], dtype="str"), "k1": pd.Categorical(["lo", "hi"], ["lo", "hi"]),
        "k2": pd.Categorical(["hi", None], ["lo", "hi"]), "m1": pd.Categorical(["lo", "hi"], ["hi", "lo"]),
    })  # fmt: skip
    columns = {"n": ["n1", "n2"], "b": ["b1", "b2"], "e": ["e1", "e2"], "k": ["k1", "k2"]}
    frame = reshape.to_long(wide, {"id": "s", "columns": columns, "into": {"t": [1, 2]}}).frame
    assert [str(frame[name].dtype) for name in columns] == ["float64", "boolean", "str", "category"]
    assert list(frame["k"].cat.categories) == ["lo", "hi"]
    assert frame["e"].isna().tolist() == [True, False, True, False]
    other = reshape.to_long(wide, {"id": "s", "columns": {"k": ["k1", "m1"]}, "into": {"t": [1, 2]}}).frame
    assert str(other["k"].dtype) == "str"  # the two do not agree on an order


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.randoms())
def test_every_value_of_the_wide_table_stands_once_in_the_long_one(
    units: int, times: int, kinds: int, random: Any
) -> None:
    wide = pd.DataFrame({"s": [f"u{i}" for i in range(units)]})
    names = [(k, t) for k in range(kinds) for t in range(times)]
    random.shuffle(names)
    for k, t in names:
        wide[f"v{k}_{t}"] = [1000 * k + 10 * t + i for i in range(units)]
    listed = {f"v{k}": [f"v{k}_{t}" for t in range(times)] for k in range(kinds)}
    long = reshape.to_long(wide, {"id": "s", "columns": listed, "into": {"t": list(range(times))}})
    assert long.row_id.is_unique
    assert len(long.frame) == units * times
    for _, row in long.frame.iterrows():
        for k in range(kinds):
            assert row[f"v{k}"] == 1000 * k + 10 * row["t"] + int(row["s"][1:])
