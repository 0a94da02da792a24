"""Dates in expressions: what is counted, compared and taken apart, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import expressions
from multilevel.errors import FormulaError


def dates(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts), format="ISO8601")).astype("datetime64[us]")


COLUMNS = {
    "visit": dates("2020-03-01", "2020-01-31", None, "2019-12-31T12:00"),
    "start": dates("2020-01-01", "2020-01-01", "2020-01-01", "2020-01-01"),
    "id": pd.Series(["a", "a", "b", "b"], dtype="str"),
    "x": pd.Series([1.0, 2.0, 3.0, 4.0]),
    "old": pd.Series([True, False, True, False]),
    "maybe": pd.Series([True, None, False, True], dtype="boolean"),
    "pain": pd.Series(pd.Categorical(["low", "high", None, "mid"], categories=["low", "mid", "high"], ordered=True)),
}


def value_of(text: str) -> object:
    return expressions.evaluate(expressions.parse(text), COLUMNS)


def listed(text: str) -> list[object]:
    value = value_of(text)
    assert isinstance(value, pd.Series)
    return [None if pd.isna(v) else v for v in value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("days(visit - start)", [60.0, 30.0, None, -0.5]),  # 2020 is a leap year
        ("days_between(start, visit)", [60.0, 30.0, None, -0.5]),
        ("days_between('2020-01-01', visit)", [60.0, 30.0, None, -0.5]),
        ("days(visit - min(visit))", [60.5, 30.5, None, 0.0]),
        ("days_between(group_min(visit, id), visit)", [30.0, 0.0, None, 0.0]),
        ("days(visit - start) / 7", [60 / 7, 30 / 7, None, -0.5 / 7]),
        ("year(visit)", [2020.0, 2020.0, None, 2019.0]),
        ("month(start)", [1, 1, 1, 1]),
        ("day_of_year(visit)", [61.0, 31.0, None, 365.0]),
        ("visit >= '2020-02-01'", [True, False, None, False]),
        ("'2020-02-01' > start", [True, True, True, True]),
        ("visit in ['2020-03-01', '1999-01-01']", [True, False, None, False]),
        ("missing(visit)", [False, False, True, False]),
        ("days_between(start, where(missing(visit), '2020-01-11', visit))", [60.0, 30.0, 10.0, -0.5]),
        ("days_between(start, maximum(visit, start))", [60.0, 30.0, None, 0.0]),
    ],
)
def test_dates_are_counted_in_days_compared_and_taken_apart(text: str, values: list[object]) -> None:
    assert listed(text) == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("visit + 1", "nothing but another date can be combined with a date; derive a number from it, such as days("),
        ("visit * 2", "nothing but another date can be combined with a date"),
        ("-visit", "there is no negative of a date"),
        ("visit - 3", "a date goes with a date only; declare columns of dates under data.dates"),
        ("visit - x", "a date goes with a date only"),
        ("log(visit)", "'log' takes numbers, not a date; derive a number from it"),
        ("mean(visit)", "'mean' takes numbers, not a date"),
        ("group_mean(visit, id)", "'group_mean' takes numbers, not a date"),
        ("days(visit)", "'days' takes a difference of dates, such as days(visit - start)"),
        ("(visit - start) > 3", "a difference of dates is counted in days first, as in days(visit - start)"),
        ("visit - start - start", "a difference of dates is counted in days first"),
        ("visit > 2020", "a date goes with a date only"),
        ("visit == 'March'", "'March' is no date; write it like '2020-01-31'"),
        ("visit == '2020-02-30'", "'2020-02-30' is no date"),
        ("year(x)", "'year' takes dates; declare the column under data.dates"),
        ("year('2020-01-01')", "'year' takes columns, not single values"),
    ],
)
def test_what_dates_cannot_do_is_said(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        value_of(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("old + old", [2, 0, 2, 0]),
        ("old * x", [1.0, 0.0, 3.0, 0.0]),
        ("-old", [-1, 0, -1, 0]),
        ("1 - old", [0, 1, 0, 1]),
        ("old == 1", [True, False, True, False]),
        ("not maybe", [False, None, True, False]),
        ("maybe + 1", [2.0, None, 1.0, 2.0]),
        ("maybe and x > 1", [False, None, False, True]),
    ],
)
def test_conditions_count_as_one_and_zero(text: str, values: list[object]) -> None:
    assert listed(text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pain >= 'mid'", [False, True, None, True]),
        ("pain < 'high'", [True, False, None, True]),
        ("'mid' < pain", [False, True, None, False]),
        ("pain == 'low'", [True, False, None, False]),
        ("pain != 'none'", [True, True, None, True]),
        ("pain in ['low', 'mid']", [True, False, None, True]),
        ("pain + '!'", ["low!", "high!", None, "mid!"]),
        ("lower(pain)", ["low", "high", None, "mid"]),
        ("group_mean(x, pain)", [1.0, 2.0, None, 4.0]),
    ],
)
def test_levels_compare_in_their_order(text: str, values: list[object]) -> None:
    assert listed(text) == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pain > 'medium'", "'medium' is none of the levels low, mid, high"),
        ("id == 1", "'id' is text and 1 is not; write '1'"),
        ("id in ['a', 1]", "'id' is text and 1 is not; write '1'"),
        ("x == '1'", "'1' is text and 'x' is not; write 1 without quotes"),
        ("x < id", "'id' is text and 'x' is not"),
        ("old == 'True'", "'True' is text and 'old' is not"),
    ],
)
def test_comparisons_that_would_be_false_in_every_row_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        value_of(text)
    assert sentence in str(caught.value)


WORDS = [
    "visit", "start", "pain", "maybe", "old", "x", "id", "'2020-01-01'", "'low'", "1", "days", "days_between", "year", "where",
    "group_min", "minimum", "min", "missing", "not", "and", "in", "['2020-01-01']", "(", ")", ",", "-", "+", "<", "==",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_gives_a_value_or_a_refusal(text: str) -> None:
    try:
        value = value_of(text)
    except FormulaError:
        return
    assert np.ndim(value) == 0 or len(value) == 4  # type: ignore[arg-type]
