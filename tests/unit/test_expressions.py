"""Expressions are arithmetic on columns: computed node by node, never handed to Python, and honest about missing values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import expressions
from multilevel.errors import FormulaError

NAN = math.nan
COLUMNS = {
    "x": pd.Series([1, 2, 0, 4]),
    "y": pd.Series([1.0, NAN, -1.0, 0.0]),
    "s": pd.Series(["a", "b", None, " C"]),
    "g": pd.Series(["u", "u", "v", "v"]),
}


def value_of(text: str):
    return expressions.evaluate(expressions.parse(text), COLUMNS)


def listed(value: object) -> list[object]:
    """Return a column as a list in which every missing value is None."""
    return [None if pd.isna(item) else item for item in pd.Series(value)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x + 1", [2, 3, 1, 5]),
        ("-x + +x", [0, 0, 0, 0]),
        ("2 * x - x / 2", [1.5, 3.0, 0.0, 6.0]),
        ("x // 2", [0, 1, 0, 2]),
        ("x % 2", [1, 0, 0, 0]),
        ("x ** 2", [1, 4, 0, 16]),
        ("2 ** x", [2, 4, 1, 16]),
        ("log(x + 1)", [math.log(2), math.log(3), 0.0, math.log(5)]),
        ("exp(log(x))", [1.0, 2.0, 0.0, 4.0]),
        ("sqrt(x)", [1.0, math.sqrt(2), 0.0, 2.0]),
        ("x - mean(x)", [-0.75, 0.25, -1.75, 2.25]),
        ("x / sd(x)", list(np.array([1, 2, 0, 4]) / np.std([1, 2, 0, 4], ddof=1))),
        ("minimum(x, 2)", [1, 2, 0, 2]),
        ("maximum(x, 2)", [2, 2, 2, 4]),
        ("group_mean(x, g)", [1.5, 1.5, 2.0, 2.0]),
        ("group_size(g)", [2.0, 2.0, 2.0, 2.0]),
        ("s + '!'", ["a!", "b!", None, " C!"]),
        ("strip(s)", ["a", "b", None, "C"]),
        ("lower(s)", ["a", "b", None, " c"]),
        ("x > 1", [False, True, False, True]),
        ("1 <= x < 3", [True, True, False, False]),
        ("x in [1, 4]", [True, False, False, True]),
        ("x not in (1, 4)", [False, True, True, False]),
        ("x > 1 and not x == 4", [False, True, False, False]),
        ("x == 1 or x == 0", [True, False, True, False]),
        ("where(x > 1, x, -1)", [-1, 2, -1, 4]),
        ("where(x > 1, 'many', 'few')", ["few", "many", "few", "many"]),
        ("where(mean(x) > 1, x, y)", [1, 2, 0, 4]),
    ],
)
def test_arithmetic_is_done_row_by_row(text: str, values: list[object]) -> None:
    # The last digit of a logarithm may differ between NumPy and the C library.
    assert listed(value_of(text)) == [pytest.approx(v, rel=1e-15) if isinstance(v, float) else v for v in values]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("y + 1", [2.0, None, 0.0, 1.0]),
        ("y > 0", [True, None, False, False]),
        ("y != 1", [False, None, True, True]),
        ("not (y > 0)", [False, None, True, True]),
        ("s == 'a'", [True, False, None, False]),
        ("s in ['a']", [True, False, None, False]),
        ("s not in ['a']", [False, True, None, True]),
        # A missing operand leaves open only what it decides (Kleene).
        ("y > 0 and x > 0", [True, None, False, False]),
        ("y > 0 or x > 0", [True, True, False, True]),
        ("where(y > 0, 1, 0)", [1.0, None, 0.0, 0.0]),
        ("where(y > 0, 'p', 'q')", ["p", None, "q", "q"]),
        ("where(missing(y) or y > 0, 1, 0)", [1, 1, 0, 0]),
        ("where(missing(y), 0, y)", [1.0, 0.0, -1.0, 0.0]),
        ("(y > 0) + 1", [2.0, None, 1.0, 1.0]),
        ("missing(s)", [False, False, True, False]),
        ("minimum(x, y)", [1.0, None, -1.0, 0.0]),
    ],
)
def test_what_is_computed_from_a_missing_value_is_missing(text: str, values: list[object]) -> None:
    assert listed(value_of(text)) == values


@pytest.mark.parametrize(
    ("text", "value"),
    [("mean(y)", 0.0), ("sd(y)", 1.0), ("count(y)", 3.0), ("sum(y)", 0.0), ("min(y)", -1.0), ("sum(y > -1)", 2.0)],
)
def test_aggregates_skip_missing_values(text: str, value: float) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("log(x)", [0.0, math.log(2), -math.inf, math.log(4)]),
        ("1 / x", [1.0, 0.5, math.inf, 0.25]),
        ("log(y)", [0.0, None, None, -math.inf]),
        ("sqrt(y)", [1.0, None, None, 0.0]),
        ("exp(1000 * x)", [math.inf, math.inf, 1.0, math.inf]),
    ],
)
def test_infinities_and_undefined_values_arise_in_silence_to_be_told_by_row_later(
    text: str, values: list[object]
) -> None:
    assert listed(value_of(text)) == values


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {marker}')",
        'exec(\'open("{marker}", "w")\')',
        "eval('1')",
        "open('{marker}', 'w')",
        "(lambda: open('{marker}', 'w'))()",
        "[open('{marker}', 'w') for _ in [1]]",
        "{{open('{marker}', 'w') for _ in [1]}}",
        'f\'{{open("{marker}", "w")}}\'',
        "(z := open('{marker}', 'w'))",
        "x.to_csv('{marker}')",
        "x.__class__.__base__.__subclasses__()",
        "().__class__",
        "x[0]",
        "x if x else open('{marker}', 'w')",
        "log(*[x])",
        "log(**{{'x': x}})",
        "log(x=x)",
        "log.__globals__",
        "globals()",
        "x(1)",
        "'{{0.__class__}}'.format(x)",
        "x in x",
        "x in [open('{marker}', 'w')]",
        "await x",
        "yield",
        "x; y",
        "x = 1",
        "import os",
        "None",
        "...",
        "b'a'",
        "1j",
        "~x",
        "x & y",
        "x << 2",
        "x @ y",
        "x is 1",
        "[1, 2]",
    ],
)
def test_what_is_not_listed_is_refused_and_never_run(text: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(FormulaError):
        expressions.parse(text.format(marker=marker))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("logg(x)", "'logg(x)': the function 'logg' is not allowed; did you mean 'log'?"),
        ("xx + 1", "unknown column 'xx'; did you mean 'x'?"),
        ("log(s)", "'log' takes numbers, not text"),
        ("mean(s)", "'mean' takes numbers, not text"),
        ("log(x, 2)", "'log' takes 1 argument, not 2"),
        ("where(x, 1, 2)", "'and', 'or' and 'not' take conditions, such as (age > 10)"),
        ("x and y", "'and', 'or' and 'not' take conditions, such as (age > 10)"),
        ("s * 2", "text cannot be multiplied or subtracted, only joined with +"),
        ("s + 1", "a number and text cannot be added"),
        ("s < 1", "'s' is text and 1 is not; write '1'"),
        ("1 / 0", "'1 / 0' cannot be computed (division by zero)"),
        ("x.mean()", "holds a dot (attribute access), which is not allowed"),
        ("", "is no expression"),
        ("x +", "is no expression"),
        ("-" * 60 + "x", "is nested deeper than 50 levels"),
        ("x" * 2001, "is longer than 2000 characters"),
    ],
)
def test_a_refusal_says_why(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        value_of(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "text", ["9 ** 9 ** 9 ** 9", "10 ** (10 ** 9)", "x ** 101", "2 ** (50 + 51)", "'a' * 1000000000", "s * 1000000000"]
)
def test_numbers_and_texts_that_would_grow_without_bound_are_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        value_of(text)


def test_the_columns_that_an_expression_reads_are_its_names_without_functions() -> None:
    assert expressions.names(expressions.parse("log(where(activity == 0, 0.1, log_x)) + min(log)")) == {
        "activity",
        "log_x",
        "log",
    }


WORDS = [
    "x", "y", "s", "g", "1", "0.5", "'a'", "True", "x > 1", "log", "where", "lower", "group_mean", "group_size", "missing",
    "minimum", "mean", "not", "and", "in", "[1]", "(", ")", ",", "+", "*", "**", "==",
]  # fmt: skip


@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_gives_a_value_or_a_refusal(text: str) -> None:
    try:
        value = value_of(text)
    except FormulaError:
        return
    assert isinstance(value, pd.Series | np.ndarray | np.generic | bool | int | float | str)
    assert np.ndim(value) == 0 or len(value) == 4


@pytest.mark.parametrize(
    "text", ["lower('A')", "strip('a')", "group_mean(1, g)", "group_mean(x, 'u')", "group_size(1)"]
)
def test_functions_of_columns_take_no_single_value(text: str) -> None:
    with pytest.raises(FormulaError, match="takes columns, not single values"):
        value_of(text)


@pytest.mark.parametrize(("text", "value"), [("missing(1)", False), ("1 in [1]", True), ("not 1 < 2", False)])
def test_a_single_value_stays_one(text: str, value: bool) -> None:
    assert value_of(text) is value


def test_functions_of_conditions_keep_full_precision() -> None:
    assert listed(value_of("exp(x > 1)")) == [1.0, math.e, 1.0, math.e]
