"""From tables as people have them to prepared data: missing codes, levels, dates, conditions, several tables."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from multilevel import dataset, design, plan, preparation, rules, study, tables
from multilevel.dataset import Dataset
from multilevel.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]


def prepared(folder: Path, table: str, used: str = "", **data: Any) -> Dataset:
    (folder / "t.csv").write_text(table, encoding="utf-8")
    return preparation.prepare({"table": "t.csv", **data}, used.split(), folder)


def refusal(folder: Path, table: str, used: str = "", **data: Any) -> str:
    with pytest.raises(StudyError) as caught:
        prepared(folder, table, used, **data)
    return str(caught.value)


def column(data: Dataset, name: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in data.frame[name]]


def levels(data: Dataset, name: str) -> list[str]:
    return list(data.frame[name].cat.categories)


def without_package(data: Dataset) -> list[str]:
    return [warning for warning in data.summary["warnings"] if "datapackage.json" not in warning]


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


# Missing codes and text.


def test_missing_codes_count_in_every_column_or_where_they_are_declared(tmp_path: Path) -> None:
    table = "age,score,place\n40,-99,.\n999,3,a\n-99,4,b\n"
    data = prepared(tmp_path, table, missing=[".", -99])
    assert (column(data, "age"), column(data, "score"), column(data, "place")) == (
        [40.0, 999.0, None], [None, 3.0, 4.0], [None, "a", "b"],
    )  # fmt: skip
    data = prepared(tmp_path, table, missing={"age": [999, "-99"]})
    assert (column(data, "age"), column(data, "score")) == ([40.0, None, None], [-99, 3, 4])


def test_missing_codes_may_be_given_for_a_column_by_its_new_name(tmp_path: Path) -> None:
    for name in ("age.y", "age"):
        data = prepared(tmp_path, "age.y,z\n40,1\n999,2\n", rename={"age": "age.y"}, missing={name: [999]})
        assert column(data, "age") == [40.0, None]


def test_a_missing_code_that_nothing_matches_is_warned_of(tmp_path: Path) -> None:
    data = prepared(tmp_path, "x,y\n-99,1\n2,3\n", missing=[-99, "."])
    assert without_package(data) == ["t.csv: the missing code '.' occurs in no column."]
    data = prepared(tmp_path, "x,y\n-99,1\n2,3\n", missing={"y": [-99], "x": [-99]})
    assert without_package(data) == ["t.csv: the missing code '-99' occurs nowhere in 'y'."]


def test_codes_that_count_anyway_may_be_named(tmp_path: Path) -> None:
    assert without_package(prepared(tmp_path, "x,y\n1,1\n2,3\n", missing=["", "NA"])) == []


def test_codes_that_a_data_package_declares_count_too(tmp_path: Path) -> None:
    resource = {"path": "t.csv", "schema": {"fields": [], "missingValues": ["", "-"]}}
    (tmp_path / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    assert column(prepared(tmp_path, "x\n1\n-\n"), "x") == [1.0, None]


def test_a_row_with_a_missing_code_is_dropped_where_the_column_is_used(tmp_path: Path) -> None:
    data = prepared(tmp_path, "x,y\n1,1\n-99,2\n3,3\n", "x", missing=[-99])
    assert list(data.row_id) == ["1", "3"]
    assert data.summary["dropped"] == [{"column": "x", "rows": 1}]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"missing": {"aeg": [9]}}, "data.missing: unknown column 'aeg'; did you mean 'age'?"),
        ({"text": ["zipp"]}, "data.text: unknown column 'zipp'; did you mean 'zip'?"),
        ({"categorical": ["zon"]}, "data.categorical: unknown column 'zon'"),
        ({"ordered": {"agee": [1, 2]}}, "data.ordered.agee: unknown column 'agee'; did you mean 'age'?"),
        ({"dates": {"dayy": "iso"}}, "data.dates.dayy: unknown column 'dayy'; did you mean 'day'?"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_what_was_meant(
    data: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, "age,zip,day\n1,01,2\n", **data)


def test_codes_with_leading_zeros_stay_as_they_are_where_they_are_declared_text(tmp_path: Path) -> None:
    data = prepared(tmp_path, "zip,y\n01001,1\n99501,2\n", text=["zip"])
    assert levels(data, "zip") == ["01001", "99501"]


# Text that was hardly meant.


@pytest.mark.parametrize(
    ("table", "data", "sentence"),
    [
        (
            "x,y\n1,1\n2,2\nn/a,3\n",
            {},
            "is read as text because 1 of its 3 values is no number, the first 'n/a' in row 3; if that means missing, list it",
        ),
        ('x,y\n"1,200",1\n300,2\n', {}, "is read as text because of values like '1,200'; if ',' groups the digits of large"),
        ('x,y\n"1,5",1\n"2,5",2\n', {}, "is read as text because of values like '1,5'; if ',' stands before decimals, set"),
        ("x,y\n2020-01-31,1\n2020-02-01,2\n", {}, "the column 'x' of 't.csv' looks like dates (such as '2020-01-31') but is"),
        (
            "x.1,y\n1,1\n2,2\n?,3\n",
            {"rename": {"x": "x.1"}},
            "the column 'x.1' of 't.csv' is read as text because 1 of its 3 values is no number",
        ),
        (
            "s,x1,x2,y\na,1,1,1\nb,2,1,2\nc,n/a,n/a,3\n",
            {"reshape": {"id": "s", "columns": {"x": "x{t}"}}},
            "data.table: the column 'x1' of 't.csv' is read as text because 1 of its 3 values is no number",
        ),
    ],
)  # fmt: skip
def test_a_used_column_that_is_text_by_a_slip_is_refused(
    table: str, data: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, table, "x", **data)
    prepared(tmp_path, table, "y", **data)  # no model uses it, so nobody minds


@pytest.mark.parametrize("data", [{"text": ["x"]}, {"categorical": ["x"]}, {"ordered": {"x": [1, 2, "n/a"]}}])
def test_a_column_that_is_declared_to_be_of_levels_is_not_doubted(data: dict[str, Any], tmp_path: Path) -> None:
    assert levels(prepared(tmp_path, "x,y\n1,1\n2,2\nn/a,3\n", "x", **data), "x") == ["1", "2", "n/a"]


def test_what_makes_text_of_a_column_is_told_where_a_number_is_derived_from_it(tmp_path: Path) -> None:
    message = refusal(tmp_path, "x,y\n1,1\n2,2\nn/a,3\n", derive={"z": "log(x)"})
    assert (
        "data.derive.z: 'log' takes numbers, not text: the column 'x' of 't.csv' is read as text because 1 of"
        in message
    )
    message = refusal(tmp_path, "x,y\n1,1\n2,2\nn/a,3\n", filter="x > 1")
    assert "data.filter: 'x' is text and 1 is not: the column 'x' of 't.csv' is read as text" in message


def test_blanks_around_values_and_names_are_cut_off_and_told(tmp_path: Path) -> None:
    data = prepared(tmp_path, "place , y\nA,1\n A,2\nB ,3\n", "place")
    assert levels(data, "place") == ["A", "B"]
    assert without_package(data) == ["t.csv: blanks around 2 values of 'place' are cut off."]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert list(prepared(tmp_path, "\ufeffx,y\n1,2\n").frame.columns) == ["x", "y"]


def test_an_infinity_in_a_table_is_told_with_its_row_and_may_be_declared_missing(tmp_path: Path) -> None:
    table = "id,x\na,1\nb,Inf\nc,3\n"
    assert "the column 'x' has 1 infinite value, the first in row b; list inf under missing" in refusal(
        tmp_path, table, "x", id="id"
    )
    assert list(prepared(tmp_path, table, "x", id="id", missing=["Inf"]).row_id) == ["a", "c"]
    assert list(prepared(tmp_path, table, "x", id="id", missing=["inf"]).row_id) == ["a", "c"]


# Levels.


def test_numbers_that_are_codes_become_levels_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    data = prepared(tmp_path, "zone,y\n10,1\n9,2\n,3\n1.5,4\n", "y", categorical=["zone"])
    assert levels(data, "zone") == ["1.5", "9", "10"]
    assert column(data, "zone") == ["10", "9", None, "1.5"]


def test_derived_and_joined_columns_may_be_levels(tmp_path: Path) -> None:
    (tmp_path / "zones.csv").write_text("zone,kind\n1,7\n2,8\n")
    data = prepared(
        tmp_path, "zone,age\n1,23\n2,41\n", join=[{"table": "zones.csv", "by": "zone"}],
        derive={"decade": "10 * (age // 10)"}, categorical=["kind", "decade"],
    )  # fmt: skip
    assert (levels(data, "kind"), levels(data, "decade")) == (["7", "8"], ["20", "40"])


PAIN = "id,pain,y\na,low,1\nb,high,2\nc,low,3\nd,mid,4\ne,,5\n"


def test_ordered_levels_stand_in_the_order_that_is_declared(tmp_path: Path) -> None:
    data = prepared(tmp_path, PAIN, "pain", ordered={"pain": ["low", "mid", "high"]})
    assert levels(data, "pain") == ["low", "mid", "high"]
    assert column(data, "pain") == ["low", "high", "low", "mid"]
    first = prepared(tmp_path, PAIN, "pain", ordered={"pain": ["low", "mid", "high"]}, reference={"pain": "mid"})
    assert levels(first, "pain") == ["mid", "low", "high"]


def test_contrasts_of_ordered_levels_are_each_against_the_first(tmp_path: Path) -> None:
    data = prepared(tmp_path, PAIN, "pain", ordered={"pain": ["low", "mid", "high"]})
    made = design.build({"formula": "y ~ 1 + pain", "family": "gaussian"}, data)
    assert made.coefficients == ("Intercept", "pain[mid]", "pain[high]")


def test_numbers_may_be_ordered_levels(tmp_path: Path) -> None:
    data = prepared(tmp_path, "grade,y\n3,1\n1,2\n,3\n", ordered={"grade": [3, 2, 1]})
    assert levels(data, "grade") == ["3", "1"]
    assert "The level '2' of 'grade' occurs in no row that is used." in data.summary["warnings"]


def test_ordered_levels_compare_in_expressions(tmp_path: Path) -> None:
    data = prepared(
        tmp_path,
        PAIN,
        ordered={"pain": ["low", "mid", "high"]},
        derive={"bad": "pain >= 'mid'"},
        filter="pain < 'high'",
    )
    assert column(data, "bad") == [0.0, 0.0, 1.0]
    assert list(data.row_id) == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"ordered": {"pain": ["low", "high"]}}, "data.ordered.pain: 'mid' in row d is none of the levels of 'pain'; choose"),
        ({"ordered": {"pain": ["mid", "hgih"]}}, "data.ordered.pain: 'low' in rows a, c is none of the levels of 'pain'"),
        ({"ordered": {"pain": ["low", "mid", "hgih"]}}, "'high' in row b is none of the levels of 'pain'; did you mean 'hgih'?"),
        ({"ordered": {"pain": ["low", "mid", "high", "mid"]}}, "data.ordered.pain: the level 'mid' stands twice"),
        (
            {"ordered": {"pain": ["low", "mid", "high"]}, "categorical": ["pain"]},
            "data.ordered.pain: 'pain' is listed under data.categorical too; ordered says that already",
        ),
        (
            {"ordered": {"pain": ["low", "mid", "high"]}, "filter": "pain > 'medium'"},
            "data.filter: 'medium' is none of the levels low, mid, high",
        ),
    ],
)  # fmt: skip
def test_levels_that_are_not_as_declared_are_refused(data: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    assert sentence in refusal(tmp_path, PAIN, id="id", **data)


def test_a_nested_group_has_levels_of_its_own(tmp_path: Path) -> None:
    message = refusal(tmp_path, "s,c,y\nA,1,1\nB,1,2\n", groups={"c": {"within": "s"}}, ordered={"c": [1, 2]})
    assert (
        "data.ordered.c: 'A:1' is none of the levels of 'c'; leave it out: levels of a nested group are coded"
        in message
    )


def test_what_makes_text_of_a_column_is_told_where_it_is_centred(tmp_path: Path) -> None:
    message = refusal(tmp_path, "x,y\n1,1\n2,2\n?,3\n", "x_c", centre={"x_c": {"column": "x"}})
    assert (
        "the column 'x' of 't.csv' is read as text because 1 of its 3 values is no number, the first '?' in row 3"
        in message
    )


def test_a_level_that_is_not_declared_may_be_filtered_out(tmp_path: Path) -> None:
    data = prepared(tmp_path, PAIN, ordered={"pain": ["low", "mid"]}, filter="pain != 'high'")
    assert levels(data, "pain") == ["low", "mid"]


# Conditions.


def test_a_condition_is_a_number_in_a_model_and_a_condition_in_a_filter(tmp_path: Path) -> None:
    table = "smokes,y\nTRUE,1\nFALSE,2\nTRUE,4\nFALSE,5\n"
    data = prepared(tmp_path, table, "smokes")
    made = design.build({"formula": "y ~ 1 + smokes", "family": "gaussian"}, data)
    assert made.coefficients == ("Intercept", "smokes")
    assert made.x[:, 1].tolist() == [1, 0, 1, 0]
    assert list(prepared(tmp_path, table, "smokes", filter="not smokes").row_id) == ["2", "4"]


def test_a_condition_that_is_missing_somewhere_stays_one_where_it_is_known(tmp_path: Path) -> None:
    table = "smokes,y\nTRUE,1\n,2\nFALSE,4\n"
    used = prepared(tmp_path, table, "smokes")
    assert used.frame["smokes"].dtype == bool
    unused = prepared(tmp_path, table, "y")
    assert column(unused, "smokes") == [1.0, None, 0.0]
    assert levels(prepared(tmp_path, table, "smokes", reference={"smokes": "True"}), "smokes") == ["True", "False"]


# Dates.

VISITS = "who,visit,y\na,31.01.2020,1\na,01.03.2020,2\nb,,3\nb,29.02.2020,4\n"


def test_days_are_derived_from_dates(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, VISITS, "day", dates={"visit": "%d.%m.%Y"},
        derive={"day": "days_between(group_min(visit, who), visit)", "spring": "month(visit) >= 3"},
    )  # fmt: skip
    assert column(data, "day") == [0.0, 30.0, 0.0]
    assert list(data.row_id) == ["1", "2", "4"]
    assert column(data, "visit") == [pd.Timestamp(2020, 1, 31), pd.Timestamp(2020, 3, 1), pd.Timestamp(2020, 2, 29)]


def test_dates_of_parquet_need_no_declaration(tmp_path: Path) -> None:
    days = pd.to_datetime(["2020-01-31", "2020-03-01"])
    (tmp_path / "t.parquet").write_bytes(parquet(day=days, y=[1, 2]))
    data = {"table": "t.parquet", "derive": {"n": "days(day - min(day))"}, "dates": {"day": "iso"}}
    assert column(preparation.prepare(data, ["n"], tmp_path), "n") == [0.0, 30.0]


def test_dates_may_be_compared_and_grouped_by(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, VISITS, "visit", dates={"visit": "%d.%m.%Y"}, filter="visit >= '2020-02-01'", categorical=["visit"]
    )
    assert levels(data, "visit") == ["2020-02-29", "2020-03-01"]


def test_a_reshaped_column_may_be_of_dates(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, "s,v1,v2\na,2020-01-01,2020-01-05\n", dates={"v": "iso"},
        reshape={"id": "s", "columns": {"v": "v{t}"}}, derive={"d": "days(v - min(v))"},
    )  # fmt: skip
    assert column(data, "d") == [0.0, 4.0]


@pytest.mark.parametrize(
    ("dates", "sentence"),
    [
        ({"visit": "%Y-%m-%d"}, "data.dates.visit: '31.01.2020' in row 1 is no date of the form '%Y-%m-%d' (3 values are so)"),
        ({"visit": "%m.%d.%Y"}, "data.dates.visit: '31.01.2020' in row 1 is no date of the form '%m.%d.%Y' (2 values are so)"),
        ({"visit": "iso"}, "'31.01.2020' in row 1 is no date of the form 'iso' (3 values are so); correct the format, or list"),
        ({"visit": "dd.mm.yyyy"}, "data.dates.visit: 'dd.mm.yyyy' is no date format; write it like '%Y-%m-%d', or iso"),
        ({"visit": "%Q"}, "data.dates.visit: '%Q' is no date format ("),
        ({"y": "%d.%m.%Y"}, "data.dates.y: '1' in row 1 is no date of the form '%d.%m.%Y' (4 values are so)"),
    ],
)  # fmt: skip
def test_a_date_that_is_none_is_refused_by_its_row(dates: dict[str, str], sentence: str, tmp_path: Path) -> None:
    assert sentence in refusal(tmp_path, VISITS, dates=dates)


def test_dates_written_as_whole_numbers_are_read(tmp_path: Path) -> None:
    data = prepared(tmp_path, "d,y\n20200131,1\n,2\n", dates={"d": "%Y%m%d"})
    assert column(data, "d") == [pd.Timestamp(2020, 1, 31), None]


def test_a_difference_of_dates_is_to_be_counted(tmp_path: Path) -> None:
    message = refusal(tmp_path, VISITS, dates={"visit": "%d.%m.%Y"}, derive={"d": "visit - min(visit)"})
    assert "data.derive.d: 'visit - min(visit)' is a length of time; write days(visit - min(visit))" in message
    message = refusal(tmp_path, VISITS, dates={"visit": "%d.%m.%Y"}, centre={"c": {"column": "visit"}})
    assert "data.centre.c: the column 'visit' is a date, so it has no mean; derive a number from it" in message


def test_prepared_dates_and_conditions_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = "when,yes,maybe,k\n2020-01-31T08:30,TRUE,TRUE,2\n,FALSE,,1\n1066-10-14,TRUE,FALSE,2\n"
    before = prepared(tmp_path, table, dates={"when": "iso"}, ordered={"k": [2, 1]})
    dataset.write(tmp_path / "data.nc", before)
    after = dataset.read(tmp_path / "data.nc")
    pd.testing.assert_frame_equal(after.frame, before.frame)
    assert after.digests == before.digests
    assert column(after, "when") == [pd.Timestamp("2020-01-31T08:30"), None, pd.Timestamp("1066-10-14")]
    other = prepared(tmp_path, table.replace("08:30", "08:31"), dates={"when": "iso"}, ordered={"k": [2, 1]})
    assert [name for name in other.digests if other.digests[name] != after.digests[name]] == ["when"]


# Several tables.


def test_a_table_is_joined_to_what_was_joined_before(tmp_path: Path) -> None:
    (tmp_path / "schools.csv").write_text("school,district,size\n1,D1,300\n2,D2,200\n")
    (tmp_path / "districts.tsv").write_text("district\tincome\nD1\t5,5\nD2\t7,0\n")
    joins = [
        {"table": "schools.csv", "by": "school"},
        {"table": "districts.tsv", "by": "district", "decimal": ","},
    ]
    data = prepared(tmp_path, "school,y\n1,1\n2,2\n1,3\n", join=joins)
    assert column(data, "income") == [5.5, 7.0, 5.5]
    assert [entry["by"] for entry in data.summary["joins"]] == [["school"], ["district"]]
    assert data.summary["steps"]["reading"] == [{"table": "districts.tsv", "decimal": ","}]


def test_keys_may_have_other_names_in_the_joined_table(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("code,wave,u\nA,2,12\nA,1,11\nB,1,21\n")
    data = prepared(
        tmp_path, "k,t,y\nA,1,1\nB,1,2\nA,2,3\n", join=[{"table": "r.csv", "by": {"k": "code", "t": "wave"}}]
    )
    assert list(data.frame.columns) == ["k", "t", "y", "u"]
    assert column(data, "u") == [11, 21, 12]
    assert data.summary["joins"][0]["by"] == ["k = code", "t = wave"]


def test_columns_of_a_joined_table_may_be_renamed_and_have_missing_codes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("my.k,u.x\nA,-1\nB,2\n")
    join = {"table": "r.csv", "by": "k", "rename": {"k": "my.k", "u": "u.x"}, "missing": [-1]}
    data = prepared(tmp_path, "k,y\nA,-1\nB,2\n", join=[join])
    assert (column(data, "u"), column(data, "y")) == ([None, 2.0], [-1, 2])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1\n2\n", "2,20\n1,10\n,30\n"),  # the joined table's keys are floating-point, because one is missing
        ("1.0\n2.0\n", "2,20\n1,10\n"),
        ("TRUE\nFALSE\n", "FALSE,20\nTRUE,10\n"),
        ("a\nb\n", "b ,20\na,10\n"),
    ],
)
def test_keys_match_by_value_whatever_their_type(left: str, right: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(f"k,u\n{right}")
    assert column(prepared(tmp_path, f"k\n{left}", join=[{"table": "r.csv", "by": "k"}]), "u") == [10, 20]


def test_levels_of_a_dictionary_match_text(tmp_path: Path) -> None:
    (tmp_path / "r.parquet").write_bytes(parquet(k=pd.Categorical(["b", "a"], ["b", "a"]), u=[20, 10]))
    data = prepared(tmp_path, "k\na\nb\n", join=[{"table": "r.parquet", "by": "k"}])
    assert column(data, "u") == [10, 20]


def test_a_condition_without_a_partner_is_missing_and_not_text(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("k,rural\na,TRUE\n")
    join = {"table": "r.csv", "by": "k", "unmatched": "missing"}
    assert column(prepared(tmp_path, "k\na\nb\n", join=[join]), "rural") == [1.0, None]
    assert column(prepared(tmp_path, "k\na\nb\n", "rural", join=[join]), "rural") == [True]


@pytest.mark.parametrize(
    ("join", "sentence"),
    [
        ({"by": {"k": "kk"}}, "data.join[0].by: 'r.csv' has no column 'kk'; did you mean 'k'?"),
        ({"by": {"kk": "k"}}, "data.join[0].by: the base table has no column 'kk'"),
        ({"by": []}, "data.join[0].by: names no column to match rows by"),
        ({"by": {"k": "u"}}, "data.join[0].by: 'k' (there 'u') is text in the base table and a number in 'r.csv'; list it under"),
        ({"by": "k"}, "data.join[0]: 'r.csv' has several rows for k = a, so the join is not many_to_one; do its rows also"),
        ({"by": "k", "missing": {"x": [1]}}, "data.join[0].missing: unknown column 'x'"),
        ({"by": "k", "rename": {"x": "y.y"}}, "data.join[0].rename.x: unknown column 'y.y'"),
        ({"by": "k", "encoding": "nope"}, "data.join[0].encoding: unknown encoding 'nope'"),
    ],
)  # fmt: skip
def test_a_join_that_cannot_be_made_is_refused(join: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("k,t,u\na,1,5\na,2,6\n")
    assert sentence in refusal(tmp_path, "k,t,y\na,1,1\n", join=[{"table": "r.csv", **join}])


def test_what_cannot_be_a_column_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(parquet(x=[1, 2], tags=[["a"], ["b"]]))
    data = preparation.prepare({"table": "t.parquet"}, ["x"], tmp_path)
    assert list(data.frame.columns) == ["x"]
    [warning] = without_package(data)
    assert warning.startswith("t.parquet: the column 'tags' is left out, because it holds list<")


def test_a_dictionary_of_parquet_keeps_the_order_of_its_levels(tmp_path: Path) -> None:
    pain = pd.Categorical(["low", "high", "low"], ["low", "mid", "high"], ordered=True)
    (tmp_path / "t.parquet").write_bytes(parquet(pain=pain, y=[1, 2, 3]))
    data = {"table": "t.parquet", "derive": {"bad": "pain > 'low'"}}
    made = preparation.prepare(data, ["pain"], tmp_path)
    assert levels(made, "pain") == ["low", "high"]
    assert column(made, "bad") == [False, True, False]


# The plan.

STUDY = """title: t
data:
  table: {folder}/t.csv
  dates: {{visit: "%d.%m.%Y"}}
  derive: {{z: "days(visit - min(visit))", a: "z * 2"}}
  ordered: {{pain: [low, mid, high]}}
models:
  one: {{formula: "{formula}"}}
"""
TABLE = "visit,pain,g,y\n" + "".join(
    f"{1 + i % 28:02d}.02.2020,{('low', 'mid', 'high')[i % 3]},g{i % 6},{(7 * i) % 11}\n" for i in range(30)
)


def planned(folder: Path, formula: str) -> dict[str, Any]:
    (folder / "t.csv").write_text(TABLE)
    (folder / "doors.yaml").write_text(STUDY.format(folder=folder, formula=formula))
    return plan.make(folder / "doors.yaml", plan.read_config(ROOT / "config" / "config.yaml"), ROOT)


def test_what_decides_the_data_travels_in_the_plan_in_its_order(tmp_path: Path) -> None:
    made = planned(tmp_path, "y ~ a + pain + (1 | g)")
    assert made["data"] == {
        "table": f"{tmp_path}/t.csv",
        "dates": {"visit": "%d.%m.%Y"},
        "derive": {"z": "days(visit - min(visit))", "a": "z * 2"},
        "ordered": {"pain": ["low", "mid", "high"]},
    }
    handed_out = json.loads(rules.data(made))
    assert list(handed_out["derive"]) == ["z", "a"]  # `a` is made of `z`
    again = preparation.prepare(handed_out, made["drop_missing_in"], ROOT)
    assert again.fingerprint(made["models"]["one"]["columns"]) == made["models"]["one"]["fingerprint"]


def test_a_date_in_a_formula_is_refused_with_what_to_derive(tmp_path: Path) -> None:
    for formula in ("y ~ visit + (1 | g)", "y ~ a + (1 | visit)"):
        with pytest.raises(StudyError) as caught:
            planned(tmp_path, formula)
        [problem] = caught.value.problems
        assert str(problem) == (
            "models.one.formula: the column 'visit' holds dates, which no model takes; derive a number from it, such as "
            "days_between(start, visit) or year(visit)"
        )


def test_the_files_that_a_plan_rests_on_are_those_that_the_rules_name(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "datapackage.json").write_text("{}")
    made = {
        "data": {"table": "d/a.csv.gz", "join": [{"table": "d/b.parquet", "by": "k"}, {"table": "c.csv", "by": "k"}]}
    }
    assert rules.raw_tables(made, tmp_path) == ["d/a.csv.gz", "d/datapackage.json", "d/b.parquet", "c.csv"]
    assert not hasattr(tables, "paths")


def test_a_change_of_a_compressed_table_plans_again(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "config.yaml").write_text("studies: [s.yaml]\n")
    rows = "".join(f"{(7 * i) % 11},{i}\n" for i in range(20))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(f"y,x\n{rows}".encode()))
    (tmp_path / "s.yaml").write_text("title: t\ndata: {table: t.csv.gz}\nmodels:\n  one: {formula: y ~ x}\n")
    first = study.load(Path("s.yaml"), Path("config.yaml"), tmp_path)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(f"y,x\n{rows}3,20\n".encode()))
    assert (first["rows"], study.load(Path("s.yaml"), Path("config.yaml"), tmp_path)["rows"]) == (20, 21)


def test_keys_that_are_left_out_leave_no_trace_in_the_plan() -> None:
    made = plan.make(Path("config/studies/radon.yaml"), plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    assert set(made["data"]) == {"table", "join", "derive"}
    assert set(made["data"]["join"][0]) == {"table", "by", "cardinality", "unmatched"}


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"data.table: 'x{80}\.\.\.' cannot be opened \(File name too long\)"):
        preparation.prepare({"table": "x" * 500 + ".csv"}, [], tmp_path)
