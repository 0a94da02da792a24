"""Numbers show no more digits than their simulation error supports."""

from __future__ import annotations

import math

import pytest

from multilevel.report.numbers import (
    ABSENT,
    count,
    decimals_for,
    estimate,
    fixed,
    in_words,
    interval,
    plural,
    probability,
    shortest,
    significant,
)


@pytest.mark.parametrize(
    ("mcse", "sd", "decimals"),
    [
        (0.0012, None, 3),
        (0.004, None, 2),
        (0.0001, 0.05, 3),
        (0.0001, 3.0, 1),
        (5.0, 40.0, 0),
        (None, None, None),
        (0, 0, None),
    ],
)
def test_decimals_follow_the_simulation_error(mcse: float | None, sd: float | None, decimals: int | None) -> None:
    assert decimals_for(mcse, sd) == decimals


@pytest.mark.parametrize("mcse", [0.00013, 0.0021, 0.034, 0.49])
def test_the_error_is_at_most_two_units_of_the_last_digit(mcse: float) -> None:
    decimals = decimals_for(mcse)
    assert decimals is not None
    assert mcse <= 2 * 10**-decimals
    assert mcse > 2 * 10 ** -(decimals + 1)


def test_numbers_have_a_true_minus_sign_and_no_negative_zero() -> None:
    assert fixed(-1.25, 1) == "−1.2"
    assert fixed(-0.001, 2) == "0.00"
    assert fixed(12345.6, 1) == "12,345.6"
    assert fixed(-math.inf, 2) == "−∞"


@pytest.mark.parametrize("value", [None, "", "nan", math.nan, "text", True])
def test_what_is_no_number_is_a_dash(value: object) -> None:
    assert fixed(value, 2) == ABSENT
    assert significant(value) == ABSENT
    assert estimate(value, 0.1) == ABSENT
    assert count(value) == ABSENT
    assert probability(value) == ABSENT


def test_significant_digits() -> None:
    assert significant(0.045678) == "0.0457"
    assert significant(123.456) == "123"
    assert significant(1234567.0) == "1,234,567"
    assert significant(0.0000123) == "1.23e−5"
    assert significant(0) == "0"
    assert shortest(0.3) == "0.3"
    assert shortest(1.01) == "1.01"
    assert shortest(400.0) == "400"


def test_probabilities_are_never_falsely_certain() -> None:
    assert probability(0.00001) == "< 0.001"
    assert probability(1.0) == "> 0.999"
    assert probability(0.5) == "0.50"
    assert probability(0.034) == "0.034"


def test_words() -> None:
    assert in_words(6) == "six"
    assert in_words(40) == "40"
    assert plural(1, "row") == "1 row"
    assert plural(1200, "row") == "1,200 rows"
    assert interval(-0.5, 0.5, 0.01) == "−0.50 to 0.50"
