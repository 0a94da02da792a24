"""Separation of a 0/1 response, against cases whose answer is known and against the extreme rays of small cones."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import cautions, separation

ONE = np.ones(8)
X = np.array([-3.0, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 3.0])
G = np.array([0.0, 0, 0, 1, 1, 0, 0, 0])


def columns(*parts: np.ndarray) -> np.ndarray:
    return np.column_stack(parts)


@pytest.mark.parametrize(
    ("y", "x", "found"),
    [
        # one predictor, with and without overlap
        ([0, 0, 0, 0, 1, 1, 1, 1], columns(ONE, X), separation.Separation(True, 8, (1,))),
        ([1, 1, 1, 1, 0, 0, 0, 0], columns(ONE, X), separation.Separation(True, 8, (1,))),
        ([0, 0, 0, 1, 0, 1, 1, 1], columns(ONE, X), None),
        # without an intercept 0 is the only border
        ([0, 0, 0, 0, 1, 1, 1, 1], columns(X), separation.Separation(True, 8, (0,))),
        ([0, 0, 0, 1, 1, 1, 1, 1], columns(X), None),
        # rows on the border: the two values share the value 1 of x
        ([0, 0, 0, 0, 1, 1, 1, 1], columns(ONE, np.array([-3, -2, -1, 1, 1, 2, 3, 4.0])), separation.Separation(False, 6, (1,))),
        # all rows of one level have the same response
        ([0, 1, 0, 1, 1, 0, 1, 1], columns(ONE, G), separation.Separation(False, 2, (1,))),
        ([0, 1, 0, 1, 0, 0, 1, 1], columns(ONE, G), None),
        # each predictor overlaps, the two together do not
        ([0, 0, 1, 1], columns(np.ones(4), [0.0, 1, 1, 2], [0.0, 1, 0, 1]), separation.Separation(True, 4, (1, 2))),
        # nothing but the intercept is needed where a response does not vary
        ([1, 1, 1, 1, 1, 1, 1, 1], columns(ONE, X), separation.Separation(True, 8, (0,))),
        # nothing to separate with
        ([0, 0, 0, 0, 1, 1, 1, 1], np.zeros((8, 0)), None),
        ([0, 0, 0, 0, 1, 1, 1, 1], np.zeros((8, 1)), None),
        ([0, 0, 0, 0, 1, 1, 1, 1], columns(ONE), None),
    ],
)  # fmt: skip
def test_what_is_separated_is_found(y: list[int], x: np.ndarray, found: separation.Separation | None) -> None:
    result = separation.find(np.array(y, float), x)
    assert (result is None) == (found is None)
    if result is not None and found is not None:
        assert (result.complete, result.rows, set(result.columns)) == (found.complete, found.rows, set(found.columns))


@pytest.mark.parametrize("shift", [0.0, 1990.0, 1e6])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_and_zero_of_a_predictor_are_of_no_account(shift: float, scale: float) -> None:
    for y, complete in (([0, 0, 0, 0, 1, 1, 1, 1], True), ([0, 0, 0, 1, 0, 1, 1, 1], None)):
        found = separation.find(np.array(y, float), columns(ONE, scale * (X + shift)))
        assert (found.complete if found else None) is complete


def test_what_is_no_0_or_1_is_refused() -> None:
    with pytest.raises(ValueError, match="other than 0 and 1"):
        separation.find(np.array([0.0, 2.0]), np.ones((2, 1)))


def test_counts_are_as_many_rows_of_0_and_1() -> None:
    y, x = separation.expand(np.array([0.0, 2, 3]), np.array([3.0, 3, 3]), columns(np.ones(3), [1.0, 2, 3]))
    assert y.tolist() == [1, 1, 0, 0]
    assert x[:, 1].tolist() == [2, 3, 1, 2]
    found = separation.find(y, x)
    assert found is not None
    assert not found.complete


def by_rays(y: np.ndarray, x: np.ndarray) -> str:
    """Decide by the extreme rays of the cone of b with s_i x_i'b >= 0, for a matrix of three columns and full rank.

    The rows span the space, so the cone has no line in it and is the sum of its rays; each lies on two of the planes.
    """
    rows = np.where(y[:, None] == 1, 1, -1) * x
    crosses = [np.cross(a, b) for a, b in itertools.combinations(rows, 2)]
    rays = [ray for cross in crosses for ray in (cross, -cross) if cross.any() and (rows @ ray >= 0).all()]
    if not rays:
        return "overlap"
    return "complete" if (rows @ np.sum(rays, axis=0) > 0).all() else "quasi-complete"


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 2), st.integers(-2, 2)), min_size=4, max_size=14))
def test_small_tables_are_decided_as_their_cones_are(table: list[tuple[int, int, int]]) -> None:
    values = np.array(table, float)
    y, x = values[:, 0], columns(np.ones(len(values)), values[:, 1:])
    if np.linalg.matrix_rank(x) < 3:
        return
    found = separation.find(y, x)
    told = "overlap" if found is None else "complete" if found.complete else "quasi-complete"
    assert told == by_rays(y, x)


def large(rows: int, predictors: int) -> tuple[np.random.Generator, np.ndarray]:
    rng = np.random.default_rng(20)
    return rng, columns(np.ones(rows), rng.normal(size=(rows, predictors)))


def test_a_hundred_thousand_rows_are_decided_in_seconds_also_where_one_row_decides() -> None:
    rng, x = large(100_000, 10)
    rare = np.zeros(len(x))
    rare[[77, 4242, 99_000]] = 1.0
    border = (x[:, 3] > 0).astype(float)
    wrong = border.copy()
    wrong[np.argmax(x[:, 3])] = 0.0
    coin = (rng.random(len(x)) < 0.5).astype(float)
    coin[rare == 1.0] = 1.0
    started = time.perf_counter()
    results = [separation.find(y, x) for y in (border, wrong, rng.permutation(border))]
    results.append(separation.find(coin, columns(x, rare)))
    assert time.perf_counter() - started < 10
    assert results == [separation.Separation(True, 100_000, (3,)), None, None, separation.Separation(False, 3, (11,))]


def test_what_is_too_large_is_not_looked_at_and_the_warning_says_so() -> None:
    x = np.ones((10, separation.MOST_COLUMNS + 1))
    with pytest.raises(separation.TooLargeError):
        separation.find(np.ones(10), x)
    assert cautions.separated(np.ones(10), x, ["x"] * x.shape[1]) == [
        "separation was not looked for: 10 rows x 201 columns are more than 20,000,000 values or 200 columns."
    ]


@pytest.mark.parametrize(
    ("y", "x", "names", "sentence"),
    [
        (
            [0, 0, 0, 0, 1, 1, 1, 1],
            columns(ONE, X),
            ["Intercept", "dose"],
            "'dose' tells every 1 of the response from every 0 (complete separation of 8 rows)",
        ),
        (
            [0, 0, 1, 1],
            columns(np.ones(4), [0.0, 1, 1, 2], [0.0, 1, 0, 1]),
            ["Intercept", "age", "dose"],
            "'age' and 'dose' together tell every 1 of the response from every 0 (complete separation of 4 rows)",
        ),
        (
            [0, 1, 0, 1, 1, 0, 1, 1],
            columns(ONE, G),
            ["Intercept", "clinic[B]"],
            "'clinic[B]' tells which value the response has in 2 of 8 rows (quasi-complete separation)",
        ),
    ],
)  # fmt: skip
def test_the_warning_names_columns_and_counts_rows(
    y: list[int], x: np.ndarray, names: list[str], sentence: str
) -> None:
    [said] = cautions.separated(np.array(y, float), x, names)
    bound = "the prior bounds its coefficient" if names[1] != "age" else "their priors bounds their coefficients"
    # Which of two columns comes first is of no account.
    assert sorted(said.split("'")) == sorted(f"{sentence}: nothing but {bound}.".split("'"))
