"""From raw tables to prepared data: what was joined, computed and dropped is what the study says, and any change shows."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.radon import ROOT, radon_data
from fixtures.small_data import dataset_of, with_reference

from multilevel import dataset, preparation
from multilevel.dataset import Dataset
from multilevel.errors import StudyError

HOUSES = "id,county,radon\nh1,A,2.0\nh2,B,\nh3,A,0.5\nh4,C,1.0\n"
COUNTIES = "county,uranium\nA,1.5\nB,0.5\nC,2.5\nD,9\n"
BY_COUNTY = {"table": "counties.csv", "by": "county"}


def prepared(folder: Path, houses: str, used: str, counties: str = COUNTIES, **data: Any) -> Dataset:
    (folder / "houses.csv").write_text(houses, encoding="utf-8")
    (folder / "counties.csv").write_text(counties, encoding="utf-8")
    return preparation.prepare({"table": "houses.csv", **data}, used.split(), folder)


def refusal(folder: Path, houses: str, used: str, counties: str = COUNTIES, **data: Any) -> str:
    with pytest.raises(StudyError) as caught:
        prepared(folder, houses, used, counties, **data)
    return str(caught.value)


def column(data: Dataset, name: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in data.frame[name]]


# Joins.


def test_a_join_gives_each_row_the_values_of_its_partner_and_keeps_the_order(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "uranium", join=[BY_COUNTY])
    assert column(data, "uranium") == [1.5, 0.5, 1.5, 2.5]
    assert list(data.row_id) == ["1", "2", "3", "4"]
    assert data.summary["joins"] == [
        {
            "table": "counties.csv",
            "by": ["county"],
            "cardinality": "many_to_one",
            "matched": 4,
            "unmatched": 0,
            "unused": 1,
        }
    ]


def test_a_join_takes_the_columns_that_are_listed(tmp_path: Path) -> None:
    join = {**BY_COUNTY, "columns": ["uranium"]}
    data = prepared(tmp_path, HOUSES, "", "county,uranium,radon\nA,1,7\nB,2,8\nC,3,9\n", join=[join])
    assert list(data.frame.columns) == ["id", "county", "radon", "uranium"]


def test_a_join_by_two_columns_matches_both(tmp_path: Path) -> None:
    data = prepared(
        tmp_path,
        "state,county,y\nMN,A,1\nWI,A,2\n",
        "u",
        "county,state,u\nA,WI,20\nA,MN,10\n",
        join=[{"table": "counties.csv", "by": ["state", "county"]}],
    )
    assert column(data, "u") == [10, 20]


@pytest.mark.parametrize(
    ("counties", "join", "sentence"),
    [
        (
            "county,uranium\nA,1\nA,2\nB,1\nC,1\n",
            {},
            "data.join[0]: 'counties.csv' has several rows for county = A, so the join is not many_to_one",
        ),
        (COUNTIES, {"cardinality": "one_to_one"}, "the base table has several rows for county = A, so the join is not one"),
        (
            "county,uranium\nA,1\nC,1\n",
            {},
            "1 row has no partner in 'counties.csv', the first with county = B; set unmatched: missing to keep them",
        ),
        ("county,radon\nA,1\nB,1\nC,1\n", {}, "the column 'radon' is in both tables; list the columns to take under 'columns'"),
        (COUNTIES, {"by": "countie"}, "data.join[0].by: 'counties.csv' has no column 'countie'; did you mean 'county'?"),
        (COUNTIES, {"columns": ["uranum"]}, "data.join[0].columns: 'counties.csv' has no column 'uranum'; did you mean"),
        ("county,uranium\n1,1\n2,1\n", {}, "'county' is text in the base table and a number in 'counties.csv'; list it under"),
        (COUNTIES, {"table": "countys.csv"}, "data.join[0].table: no file 'countys.csv'; did you mean 'counties.csv'?"),
    ],
)  # fmt: skip
def test_a_join_that_is_not_what_it_says_is_refused(
    counties: str, join: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, HOUSES, "", counties, join=[{**BY_COUNTY, **join}])


def test_rows_without_partner_are_kept_with_missing_values_where_the_study_says_so(tmp_path: Path) -> None:
    join = {**BY_COUNTY, "unmatched": "missing"}
    data = prepared(tmp_path, HOUSES, "", "county,uranium\nA,1\nC,3\n", join=[join])
    assert column(data, "uranium") == [1.0, None, 1.0, 3.0]
    assert data.summary["joins"][0]["unmatched"] == 1


def test_a_missing_key_is_nobodys_partner(tmp_path: Path) -> None:
    houses, counties = "county,y\nA,1\n,2\n", "county,uranium\nA,1\n,9\n"
    assert "1 row has no partner" in refusal(tmp_path, houses, "y", counties, join=[BY_COUNTY])
    data = prepared(tmp_path, houses, "y", counties, join=[{**BY_COUNTY, "unmatched": "missing"}])
    assert column(data, "uranium") == [1.0, None]


# Identifiers, names, derived columns, filters.


def test_rows_are_known_by_the_identifier_that_the_study_names(tmp_path: Path) -> None:
    assert list(prepared(tmp_path, HOUSES, "radon", id="id").row_id) == ["h1", "h3", "h4"]


@pytest.mark.parametrize(
    ("houses", "data", "sentence"),
    [
        ("id,y\na,1\na,2\n", {"id": "id"}, "data.id: the column 'id' is not unique: 'a' stands in 2 rows"),
        ("id,y\na,1\n,2\n", {"id": "id"}, "data.id: the column 'id' has missing values, so it identifies no rows"),
        ("id,y\na,1\n", {"id": "ident"}, "data.id: unknown column 'ident'"),
        ("row_id,y\na,1\n", {}, "no column can be called 'row_id', the name of row identifiers"),
        ("old.x,x,y\n1,2,3\n", {"rename": {"x": "old.x"}}, "data.rename.x: the column 'x' is already in the data"),
        ("x,y\n1,3\n", {"rename": {"z": "xx"}}, "data.rename.z: unknown column 'xx'; did you mean 'x'?"),
        ("x,y\n1,3\n", {"derive": {"x": "y + 1"}}, "data.derive.x: the column 'x' is already in the data"),
        ("x,y\n1,3\n", {"derive": {"z": "log(xx)"}}, "data.derive.z: unknown column 'xx'; did you mean 'x'?"),
        ("x,y\n1,3\n", {"derive": {"b": "a", "a": "x"}}, "data.derive.b: unknown column 'a'"),
        ("x,y\na,3\n", {"derive": {"z": "log(x)"}}, "data.derive.z: 'log' takes numbers, not text"),
        ("x,y\n1,3\n", {"filter": "x + 1"}, "data.filter: 'x + 1' is no condition; write a comparison, such as age >= 18"),
        ("x,y\n1,3\n", {"filter": "x > 1"}, "data.filter: 'x > 1' keeps none of the 1 rows"),
        ("x,y\n1,3\n", {"centre": {"x": {"column": "y"}}}, "data.centre.x: the column 'x' is already in the data"),
        ("x,y\n1,3\n", {"centre": {"c": {"column": "yy"}}}, "data.centre.c.column: unknown column 'yy'; did you mean 'y'?"),
        ("x,y\na,3\n", {"centre": {"c": {"column": "x"}}}, "data.centre.c: the column 'x' is text, so it has no mean"),
        ("x,y\na,3\n", {"reference": {"x": "b"}}, "data.reference.x: 'b' is no level of 'x'; choose from a"),
        ("x,y\na,3\n", {"reference": {"xx": "b"}}, "data.reference.xx: unknown column 'xx'; did you mean 'x'?"),
        ("x,y\na,3\n", {"groups": {"x": {"within": "z"}}}, "data.groups.x.within: unknown column 'z'"),
        (
            "a,b,y\n1,1,1\n",
            {"groups": {"a": {"within": "b"}, "b": {"within": "a"}}},
            "a within b within a: a group is nested in itself",
        ),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_done_is_refused(
    houses: str, data: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, houses, "y", **data)


def test_steps_are_done_in_the_order_rename_derive_filter(tmp_path: Path) -> None:
    data = prepared(
        tmp_path,
        "old.x,y\n1,10\n2,20\n3,30\n4,40\n",
        "y",
        rename={"x": "old.x"},
        derive={"twice": "2 * x", "thrice": "twice + x"},
        filter="thrice > 3 and x != 3",
    )
    assert column(data, "thrice") == [6, 12]
    assert list(data.row_id) == ["2", "4"]
    assert data.summary["rows"] == {"raw": 4, "after_filter": 2, "dropped_missing": 0, "used": 2}


def test_a_filter_drops_the_rows_that_it_cannot_decide_and_says_so(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "", filter="not (radon < 1)")
    assert list(data.row_id) == ["1", "4"]
    assert (
        "The filter's condition is missing in 1 rows, because a value that it compares is; it drops them."
        in (data.summary["warnings"])
    )


def test_a_condition_on_a_missing_value_gives_a_missing_value(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "", derive={"high": "radon > 1", "coded": "where(radon > 1, 1, 0)"})
    assert column(data, "high") == [1.0, None, 0.0, 0.0]
    assert column(data, "coded") == [1.0, None, 0.0, 0.0]


def test_aggregates_of_derived_columns_are_over_all_rows_read(tmp_path: Path) -> None:
    data = prepared(tmp_path, "x,y\n1,1\n3,1\n8,1\n", "y", derive={"c": "x - mean(x)"}, filter="x < 8")
    assert column(data, "c") == [-3.0, -1.0]


# Missing values.


def test_a_row_with_a_missing_value_in_a_column_that_some_model_uses_is_dropped_for_all(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "radon county")
    assert list(data.row_id) == ["1", "3", "4"]
    assert data.summary["dropped"] == [{"column": "radon", "rows": 1}]
    assert data.summary["rows"]["dropped_missing"] == 1
    assert (
        "1 of 4 rows are left out of every model because a column that some model uses is missing there (radon)."
        in data.summary["warnings"]
    )


def test_a_missing_value_in_a_column_that_no_model_uses_drops_nothing(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "county")
    assert len(data.frame) == 4
    assert data.summary["missing"]["radon"] == 1


def test_what_a_centred_or_nested_column_is_made_of_is_used_too(tmp_path: Path) -> None:
    data = prepared(tmp_path, HOUSES, "c", centre={"c": {"column": "radon"}})
    assert list(data.row_id) == ["1", "3", "4"]
    nested = prepared(tmp_path, "a,b,y\n1,1,1\n,2,1\n", "b", groups={"b": {"within": "a"}})
    assert list(nested.row_id) == ["1"]


@pytest.mark.parametrize(
    ("houses", "used", "sentence"),
    [
        ("x,y\n,1\n,2\n", "x y", "no row is complete: 'x' is missing in 2 of 2 rows"),
        (
            "x,y\n2,1\ninf,2\n",
            "x",
            "the column 'x' has 1 infinite value, the first in row 2; list inf under missing, or filter",
        ),
    ],
)
def test_data_that_no_model_could_use_are_refused(houses: str, used: str, sentence: str, tmp_path: Path) -> None:
    assert sentence in refusal(tmp_path, houses, used)


@pytest.mark.parametrize(
    ("word", "missing"), [("", True), ("NA", True), ("NaN", False), ("null", False), ("None", False), ("n/a", False)]
)
def test_only_an_empty_field_and_na_are_missing(word: str, missing: bool, tmp_path: Path) -> None:
    data = prepared(tmp_path, f"name,y\n{word},1\nb,2\n", "y")
    assert (column(data, "name")[0] is None) is missing


# Centring, levels, nesting.

GROWTH = "g,x,y\na,1,1\na,3,1\nb,10,1\nb,12,\nb,20,1\n"


def test_centring_is_done_on_the_rows_that_are_used(tmp_path: Path) -> None:
    data = prepared(
        tmp_path,
        GROWTH,
        "y",
        centre={
            "x_c": {"column": "x"},
            "x_within": {"column": "x", "within": "g"},
            "x_between": {"column": "x", "between": "g"},
        },
    )
    # Rows used: x = 1, 3 in a; 10, 20 in b. Mean 8.5, means by group 2 and 15.
    assert column(data, "x_c") == [-7.5, -5.5, 1.5, 11.5]
    assert column(data, "x_within") == [-1.0, 1.0, -5.0, 5.0]
    assert column(data, "x_between") == [-6.5, -6.5, 6.5, 6.5]


def test_within_and_between_are_two_columns(tmp_path: Path) -> None:
    message = refusal(tmp_path, GROWTH, "y", centre={"c": {"column": "x", "within": "g", "between": "g"}})
    assert "it has both 'within' and 'between'; they are two columns: name one for each" in message


@pytest.mark.parametrize(
    ("houses", "reference", "levels"),
    [
        ("k,y\nb,1\na,2\nc,3\n", {}, ["a", "b", "c"]),
        ("k,y\nb,1\na,2\nc,3\n", {"k": "c"}, ["c", "a", "b"]),
        ("k,y\n10,1\n9,2\n2,3\n", {"k": "9"}, ["9", "2", "10"]),
        ("k,y\n10,1\n9,2\n,3\n", {"k": "10"}, ["10", "9"]),
        ("k,y\n1000001,1\n1000002,2\n,3\n", {"k": "1000002"}, ["1000002", "1000001"]),
        ("k,y\n0.5,1\n1.5,2\n", {"k": "1.5"}, ["1.5", "0.5"]),
        ("k,y\nTrue,1\nFalse,2\n", {"k": "True"}, ["True", "False"]),
    ],
)
def test_the_reference_level_stands_first_the_others_in_order(
    houses: str, reference: dict[str, str], levels: list[str], tmp_path: Path
) -> None:
    data = prepared(tmp_path, houses, "y k", reference=reference)
    assert list(data.frame["k"].cat.categories) == levels


def test_levels_that_only_dropped_rows_had_are_gone(tmp_path: Path) -> None:
    assert list(prepared(tmp_path, HOUSES, "radon").frame["county"].cat.categories) == ["A", "C"]


def test_nested_levels_are_coded_uniquely_whatever_order_they_are_named_in(tmp_path: Path) -> None:
    houses = "district,school,class_,y\n1,1,a,1\n1,2,a,2\n2,1,a,3\n2,1,b,4\n"
    groups = {"class_": {"within": "school"}, "school": {"within": "district"}}
    data = prepared(tmp_path, houses, "y class_", groups=groups)
    assert column(data, "school") == ["1:1", "1:2", "2:1", "2:1"]
    assert column(data, "class_") == ["1:1:a", "1:2:a", "2:1:a", "2:1:b"]


def test_nested_levels_read_as_numbers_also_where_values_are_missing(tmp_path: Path) -> None:
    data = prepared(tmp_path, "a,b,y\n1,1,1\n2,1,2\n,1,3\n", "y", groups={"b": {"within": "a"}})
    assert column(data, "b") == ["1:1", "2:1", None]


# Tables and the data package beside them.


def package(folder: Path, **resource: Any) -> None:
    fields = [{"name": n, "type": "string" if n in {"id", "county"} else "number"} for n in ("id", "county", "radon")]
    resource = {"path": "houses.csv", "schema": {"fields": fields}, **resource}
    content = {"resources": [resource], "sources": [{"title": "A survey"}], "licenses": [{"name": "CC0-1.0"}]}
    (folder / "datapackage.json").write_text(json.dumps(content))


def test_a_table_that_its_data_package_vouches_for_is_recorded_with_its_source(tmp_path: Path) -> None:
    digest = hashlib.sha256(HOUSES.encode()).hexdigest()
    package(tmp_path, hash=f"sha256:{digest}", rows=4)
    data = prepared(tmp_path, HOUSES, "county")
    [table] = data.summary["tables"]
    assert table == {
        "name": "houses", "path": "houses.csv", "rows": 4, "sha256": digest, "source": "A survey", "licence": "CC0-1.0",
        "citation": "", "verified": True,
    }  # fmt: skip
    assert data.summary["warnings"] == []


def test_a_table_without_data_package_is_warned_of(tmp_path: Path) -> None:
    assert prepared(tmp_path, HOUSES, "county").summary["warnings"] == [
        "houses.csv has no datapackage.json beside it that names it: its source, licence and hash are not recorded."
    ]


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        ({"hash": "0" * 64}, "but its datapackage.json declares 000000000000...; raw tables are never edited"),
        ({"rows": 5}, "'houses.csv' has 4 rows but its datapackage.json declares 5"),
        (
            {"schema": {"fields": [{"name": "floor"}]}},
            "'houses.csv' lacks the column 'floor' that its datapackage.json declares",
        ),
    ],
)
def test_a_table_that_differs_from_its_data_package_is_refused(
    resource: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    package(tmp_path, **resource)
    assert sentence in refusal(tmp_path, HOUSES, "county")


def test_codes_that_look_like_numbers_are_text_where_the_data_package_says_so(tmp_path: Path) -> None:
    package(tmp_path)
    data = prepared(tmp_path, "id,county,radon\n01,007,1\n02,008,2\n", "radon")
    assert column(data, "county") == ["007", "008"]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"x,y\n\xe9,1\n", "is not UTF-8 (byte 4, in line 2); save it as UTF-8, or set encoding, such as cp1252"),
        (
            b"x,y\n1,2,3\n",
            "cannot be read as CSV: row 1 has 3 fields and the header 2; every row seems to begin with a name",
        ),
        (b"x,y\n1,2\n1,2,3\n", "cannot be read as CSV: row 2 has 3 fields and the header 2"),
        (b"x,y\n1,2\n1\n", "cannot be read as CSV: row 2 has 1 field and the header 2"),
        (b"x,y\n", "has no rows"),
        (b"", "cannot be read as CSV"),
        (b"x,x\n1,2\n", "has the column 'x' twice"),
    ],
)
def test_what_is_no_table_is_refused(raw: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(StudyError) as caught:
        preparation.prepare({"table": "t.csv"}, ["y"], tmp_path)
    assert sentence in str(caught.value)


def test_every_table_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        preparation.prepare({"table": "a.csv", "join": [{"table": "b.csv", "by": "k"}]}, [], tmp_path)
    assert [p.where for p in caught.value.problems] == ["data.table", "data.join[0].table"]


def test_numbers_are_read_to_the_last_digit(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, math.pi * 1e-200, 123456789.123456789, 5e-324]
    data = prepared(tmp_path, "x\n" + "\n".join(map(repr, values)) + "\n", "x")
    assert column(data, "x") == values


# Fingerprints.


def base() -> dict[str, Any]:
    return {"y": [1.0, 2.0, 3.0], "g": with_reference("aba", "a", "b"), "x": [5, 6, 7], "z": [0.5, math.nan, 1.0]}


@pytest.mark.parametrize(
    ("changed", "columns", "same"),
    [
        ({}, "y g x", True),
        ({"x": [5, 6, 8]}, "y g", True),
        ({"x": [5, 6, 8]}, "y g x", False),
        ({"x": [5.0, 6.0, 7.0]}, "y g x", True),
        ({"x": [5, 7, 6]}, "y g x", False),
        ({"y": [1.0, 2.0, 3.0000000000000004]}, "y", False),
        ({"g": with_reference("aba", "b", "a")}, "y g", False),
        ({"g": with_reference("aba", "a", "b", "c")}, "y g", False),
        ({"g": with_reference("abb", "a", "b")}, "y g", False),
        ({"z": [0.5, math.nan, 1.0]}, "z", True),
        ({"z": [0.5, 0.0, 1.0]}, "z", False),
    ],
)
def test_a_fingerprint_shows_a_change_in_the_columns_that_it_is_of(
    changed: dict[str, Any], columns: str, same: bool
) -> None:
    before, after = dataset_of(**base()), dataset_of(**{**base(), **changed})
    assert (before.fingerprint(columns.split()) == after.fingerprint(columns.split())) is same


def test_shuffled_rows_have_another_fingerprint_even_where_the_values_agree(tmp_path: Path) -> None:
    one = prepared(tmp_path, "id,y\na,1\nb,1\n", "y", id="id")
    other = prepared(tmp_path, "id,y\nb,1\na,1\n", "y", id="id")
    assert one.digests["y"] == other.digests["y"]
    assert one.digests["row_id"] != other.digests["row_id"]
    assert one.fingerprint(["y"]) != other.fingerprint(["y"])


def test_texts_that_run_together_are_told_apart() -> None:
    assert dataset_of(s=["ab", "c"]).digests["s"] != dataset_of(s=["a", "bc"]).digests["s"]


# Storage.


def as_prepared(folder: Path) -> Dataset:
    houses = (
        "row,a/b,x.y, spaced ,level__levels,level,k,é,yes,missing text,whole,column_3\n"
        "1,2,3,4,5,u,b,1e-300,True,,1,x\n2,3,4,5,6,v,a,0.1,False,t,,y\n3,3,3,3,3,u,b,2,True,s,3,x\n"
    )
    return prepared(folder, houses, "x.y", reference={"k": "b"})


def test_data_are_read_as_they_were_written_whatever_the_columns_are_called(tmp_path: Path) -> None:
    before = as_prepared(tmp_path)
    dataset.write(tmp_path / "data.nc", before)
    after = dataset.read(tmp_path / "data.nc")
    pd.testing.assert_frame_equal(after.frame, before.frame)
    assert list(after.row_id) == list(before.row_id)
    assert after.digests == before.digests
    assert after.summary == before.summary


def test_the_same_data_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.nc", "two.nc"):
        dataset.write(tmp_path / name, as_prepared(tmp_path))
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()


def test_some_columns_of_the_data_keep_their_fingerprint(tmp_path: Path) -> None:
    before = as_prepared(tmp_path)
    some = before.select(["k", "x.y"])
    dataset.write(tmp_path / "some.nc", some)
    after = dataset.read(tmp_path / "some.nc")
    assert list(after.frame.columns) == ["k", "x.y"]
    assert after.fingerprint(["x.y", "k"]) == before.fingerprint(["x.y", "k"])


def test_stored_data_that_were_changed_are_refused(tmp_path: Path) -> None:
    data = dataset_of(y=[1.0, 2.0], g=["a", "b"])
    changed = Dataset(data.frame.assign(y=[1.0, 2.5]), data.row_id, data.digests, {})
    dataset.write(tmp_path / "data.nc", changed)
    with pytest.raises(ValueError, match="was changed after it was made; delete it and run the workflow again"):
        dataset.read(tmp_path / "data.nc")


def test_the_radon_data_are_whole(tmp_path: Path) -> None:
    data = radon_data()
    assert data.summary["rows"] == {"raw": 919, "after_filter": 919, "dropped_missing": 0, "used": 919}
    assert [table["verified"] for table in data.summary["tables"]] == [True, True]
    assert data.summary["joins"][0]["matched"] == 919
    assert data.frame["county"].nunique() == 85
    dataset.write(tmp_path / "data.nc", data)
    pd.testing.assert_frame_equal(dataset.read(tmp_path / "data.nc").frame, data.frame)
    raw = pd.read_csv(ROOT / "data" / "radon" / "houses.csv")
    np.testing.assert_array_equal(data.frame["activity"], raw["activity"])
