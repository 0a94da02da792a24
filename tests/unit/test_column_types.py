"""What the values of a column are taken for: numbers, conditions, dates, levels or text; and what is doubted."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.column_types import Column, from_arrow, from_text


def guessed(*texts: str, codes: tuple[str, ...] = (), **options: Any) -> Column:
    return from_text(pa.chunked_array([pa.array(texts, pa.string())]), list(codes), **options)


def kept(values: pa.Array, *codes: str, **options: Any) -> Column:
    made = from_arrow(pa.chunked_array([values]), list(codes), **options)
    assert made is not None
    return made


def listed(column: Column) -> list[Any]:
    return [None if pd.isna(value) else value for value in column.values]


@pytest.mark.parametrize(
    ("texts", "dtype", "values"),
    [
        (["1", "2"], "int64", [1, 2]),
        (["007", "+1", " 2 ", "-0"], "int64", [7, 1, 2, 0]),
        (["1", ""], "float64", [1.0, None]),
        (["1", "NA", "2.5"], "float64", [1.0, None, 2.5]),
        (["1.", ".5", "1e400", "-Inf", "5e-324", "1E-400", "0.1"], "float64", [1.0, 0.5, math.inf, -math.inf, 5e-324, 0.0, 0.1]),
        (["9007199254740992", "1"], "int64", [2**53, 1]),
        (["9007199254740993", "1"], "str", ["9007199254740993", "1"]),
        (["9007199254740993", "", "1"], "str", ["9007199254740993", None, "1"]),
        (["1234567890123456789012", "1"], "str", ["1234567890123456789012", "1"]),
        (["9007199254740993", "0.5"], "float64", [9007199254740992.0, 0.5]),
        (["TRUE", "false", "True"], "bool", [True, False, True]),
        (["TRUE", "", "FALSE"], "boolean", [True, None, False]),
        (["", "NA"], "float64", [None, None]),
        (["T", "F"], "str", ["T", "F"]),
        (["0x1", "1"], "str", ["0x1", "1"]),
        (["1_000", "1"], "str", ["1_000", "1"]),
        (["nan", "1"], "str", ["nan", "1"]),
        (["١", "٢"], "str", ["١", "٢"]),
        (["True", "1"], "str", ["True", "1"]),
        (["a ", "\u00a0b", ""], "str", ["a", "b", None]),
        (["NA ", "1"], "float64", [None, 1.0]),
    ],
)  # fmt: skip
def test_texts_are_taken_for_what_all_of_them_are(texts: list[str], dtype: str, values: list[Any]) -> None:
    made = guessed(*texts)
    assert str(made.values.dtype) == dtype
    assert listed(made) == values


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(10**20), 10**20).map(float), min_size=1, max_size=9))
def test_numbers_are_read_to_the_last_bit(numbers: list[float]) -> None:
    made = guessed(*map(repr, numbers))
    assert made.values.astype(float).tolist() == numbers


@pytest.mark.parametrize(
    ("texts", "options", "values"),
    [
        (["1,5", "2", ""], {"decimal": ","}, [1.5, 2.0, None]),
        (["1.234", "2,5"], {"decimal": ",", "thousands": "."}, [1234.0, 2.5]),
        (["1,234", "1,234,567.5", "12"], {"thousands": ","}, [1234.0, 1234567.5, 12.0]),
        (["1 234", "12"], {"thousands": " "}, [1234, 12]),
        (["12,34", "1"], {"thousands": ","}, ["12,34", "1"]),
        (["1.5", "2"], {"decimal": ","}, ["1.5", "2"]),
        (["01", "2"], {"as_text": True}, ["01", "2"]),
        (["TRUE", ""], {"as_text": True}, ["TRUE", None]),
    ],
)
def test_options_say_how_numbers_are_written(texts: list[str], options: dict[str, Any], values: list[Any]) -> None:
    assert listed(guessed(*texts, **options)) == values


@pytest.mark.parametrize(
    ("texts", "codes", "values", "matched"),
    [
        (["-99", "1"], ["-99"], [None, 1.0], {"-99"}),
        (["-99.0", "1.5"], ["-99"], [None, 1.5], {"-99"}),
        ([".", "1", " . "], ["."], [None, 1.0, None], {"."}),
        (["x", "y"], ["x", "z"], [None, "y"], {"x"}),
        (["-99", "99"], ["9"], [-99, 99], set()),
        (["TRUE", "refused"], ["refused"], [True, None], {"refused"}),
        (["a", "-99"], ["-99"], ["a", None], {"-99"}),
        (["1", "2"], ["1", "2"], [None, None], {"1", "2"}),
    ],
)
def test_missing_codes_are_taken_out_before_types_are_guessed(
    texts: list[str], codes: list[str], values: list[Any], matched: set[str]
) -> None:
    made = guessed(*texts, codes=tuple(codes))
    assert listed(made) == values
    assert made.matched == matched


NONE = ("", "")


@pytest.mark.parametrize(
    ("texts", "options", "sentence", "hint"),
    [
        (["1", "2", "x"], {}, "because 1 of its 3 values is no number, the first 'x' in row 3", "list it under missing"),
        (["1"] * 30 + ["", "?", "?"], {}, "2 of its 32 values are no number, the first '?' in row 32", "if that means missing"),
        (["1", "nan", "2", ""], {}, "1 of its 3 values is no number, the first 'nan' in row 2", "list it under missing"),
        (["1,234", "5"], {}, "because of values like '1,234'", "set thousands: ',', or decimal: ',' if it stands"),
        (["1,5", "2"], {}, "because of values like '1,5'", "if ',' stands before decimals, set decimal: ','"),
        (["1.234,5", "2"], {}, "because of values like '1.234,5'", "set thousands: '.' and decimal: ','"),
        (["1 234", "5"], {}, "because of values like '1 234'", "set thousands: ' '"),
        (["1'234", "5"], {}, "because of values like '1'234'", "set thousands: \"'\""),
        (["1.5", "2"], {"decimal": ","}, "because of values like '1.5'", "if '.' stands before decimals, set decimal: '.'"),
        (["2020-01-31", ""], {}, "looks like dates (such as '2020-01-31') but is read as text", "declare it under data.dates"),
        (["2020-01-31T08:00", "2020-01-31 09:00:30"], {}, "looks like dates", "declare it under data.dates"),
    ],
)  # fmt: skip
def test_text_that_was_probably_meant_otherwise_is_doubted(
    texts: list[str], options: dict[str, Any], sentence: str, hint: str
) -> None:
    said, done = guessed(*texts, **options).doubt
    assert sentence in said
    assert hint in done


@pytest.mark.parametrize(
    "texts",
    [["a", "b"], ["1", "a"], ["1", "2", "a", "b"], ["12", "12b", "13", "13b"], ["", "NA"], [str(2**53 + 1)], ["2020-01-31", "x"]],
)  # fmt: skip
def test_text_is_not_doubted_without_reason(texts: list[str]) -> None:
    assert guessed(*texts).doubt == NONE


def test_text_that_was_declared_is_not_doubted() -> None:
    assert guessed("1", "2", "x", as_text=True).doubt == NONE


DAY = dt.date(2020, 1, 31)


@pytest.mark.parametrize(
    ("values", "dtype", "listed_values"),
    [
        (pa.array([1, None], pa.int8()), "float64", [1.0, None]),
        (pa.array([1, 2], pa.uint64()), "int64", [1, 2]),
        (pa.array([2**60, None]), "str", [str(2**60), None]),
        (pa.array([2**63 + 1], pa.uint64()), "str", [str(2**63 + 1)]),
        (pa.array([1.5, None, math.nan], pa.float32()), "float64", [1.5, None, None]),
        (pa.array([True, None]), "boolean", [True, None]),
        (pa.array([True, False]), "bool", [True, False]),
        (pa.array([decimal.Decimal("0.10"), None]), "float64", [0.1, None]),
        (pa.array([decimal.Decimal("0.0000001")]), "float64", [1e-7]),
        (pa.array([decimal.Decimal(5), decimal.Decimal(6)]), "int64", [5, 6]),
        (pa.array([DAY, None]), "datetime64[us]", [pd.Timestamp(DAY), None]),
        (pa.array([DAY], pa.date64()), "datetime64[us]", [pd.Timestamp(DAY)]),
        (
            pa.array([dt.datetime(2020, 1, 1, 5)], pa.timestamp("ns", "Europe/Berlin")),
            "datetime64[us]",
            [pd.Timestamp("2020-01-01 06:00")],
        ),
        (pa.array([dt.timedelta(hours=36)]), "float64", [1.5]),
        (pa.array([" a", None, ""], pa.large_string()), "str", ["a", None, ""]),
        (pa.array(["NA"], pa.string_view()), "str", ["NA"]),
        (pa.nulls(2), "float64", [None, None]),
    ],
)
def test_parquet_keeps_its_types(values: pa.Array, dtype: str, listed_values: list[Any]) -> None:
    made = kept(values)
    assert str(made.values.dtype) == dtype
    assert listed(made) == listed_values


@pytest.mark.parametrize("values", [pa.array([[1]]), pa.array([b"x"]), pa.array([dt.time(1)]), pa.array([{"a": 1}])])
def test_what_is_no_column_of_values_is_none(values: pa.Array) -> None:
    assert from_arrow(pa.chunked_array([values]), []) is None


def dictionary(codes: list[int | None], levels: list[Any], ordered: bool = False) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(levels), ordered=ordered)


def test_a_dictionary_keeps_its_levels_in_their_order() -> None:
    made = kept(dictionary([2, 0, None], ["low", "mid", "high"], ordered=True)).values
    assert list(made.cat.categories) == ["low", "mid", "high"]
    assert made.cat.ordered
    assert [None if pd.isna(v) else v for v in made] == ["high", "low", None]


def test_a_dictionary_of_codes_is_of_levels_too() -> None:
    assert list(kept(dictionary([0, 1], [30, 4])).values.cat.categories) == ["30", "4"]


def test_the_parts_of_a_dictionary_column_are_brought_together() -> None:
    parts = pa.chunked_array([dictionary([0], ["b"]), dictionary([0, 1], ["a", "b"])])
    made = from_arrow(parts, [])
    assert made is not None
    assert list(made.values) == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("values", "listed_values"),
    [
        (dictionary([0, 1], ["a", "a "]), ["a", "a"]),
        (dictionary([0, 1], ["a", None]), ["a", None]),
        (dictionary([0, 1], [0.5, 1.5]), [0.5, 1.5]),
        (dictionary([0], [DAY]), [pd.Timestamp(DAY)]),
    ],
)
def test_a_dictionary_that_is_not_of_levels_is_what_its_values_are(values: pa.Array, listed_values: list[Any]) -> None:
    made = kept(values)
    assert not isinstance(made.values.dtype, pd.CategoricalDtype)
    assert listed(made) == listed_values


@pytest.mark.parametrize(
    ("values", "code", "listed_values"),
    [
        (pa.array([999, 1]), "999", [None, 1.0]),
        (pa.array([-99.0, 1.5]), "-99", [None, 1.5]),
        (pa.array(["x", "."]), ".", ["x", None]),
        (dictionary([0, 1], ["lo", "hi"]), "lo", [None, "hi"]),
        (pa.array([dt.date(1900, 1, 1), DAY]), "1900-01-01", [None, pd.Timestamp(DAY)]),
    ],
)
def test_missing_codes_count_in_parquet_too(values: pa.Array, code: str, listed_values: list[Any]) -> None:
    made = kept(values, code)
    assert listed(made) == listed_values
    assert made.matched == {code}


def test_blanks_that_are_cut_off_are_counted() -> None:
    assert guessed("a", " b", "c ").trimmed == 2
    assert guessed(" 1", "2").trimmed == 0  # blanks around numbers mean nothing
    assert kept(pa.array([" a", None, "b"])).trimmed == 1


def test_codes_in_parquet_become_text_where_declared() -> None:
    assert listed(kept(pa.array([7, None, 8]), as_text=True)) == ["7", None, "8"]
    np.testing.assert_array_equal(kept(pa.array([True]), as_text=True).values, ["True"])
