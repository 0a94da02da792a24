"""Weights are the optimum of their criterion, however small the densities, and do not depend on what does not matter."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from multilevel.weights import pseudo_bma, stacking

# Stacking.


def two_model_optimum(elpd: np.ndarray) -> float:
    """Return the weight of the first of two models by bisection with 60 digits, from the densities themselves."""
    with localcontext() as context:
        context.prec = 60
        first, second = ([Decimal(float(v)).exp() for v in column] for column in elpd.T)

        def slope(weight: Decimal) -> Decimal:
            return sum((a - b) / (weight * a + (1 - weight) * b) for a, b in zip(first, second, strict=True))

        low, high = Decimal(0), Decimal(1)
        if slope(low) <= 0:
            return 0.0
        if slope(high) >= 0:
            return 1.0
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) > 0 else (low, middle)
        return float(low)


def gradients(elpd: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mean_i p_ik / sum_l w_l p_il for each model, with 60 digits; at the optimum 1 where w > 0, else at most 1."""
    with localcontext() as context:
        context.prec = 60
        density = [[Decimal(float(v)).exp() for v in row] for row in elpd]
        mixtures = [sum(Decimal(float(w)) * p for w, p in zip(weights, row, strict=True)) for row in density]
        return np.array([
            float(sum(row[k] / m for row, m in zip(density, mixtures, strict=True)) / len(density))
            for k in range(elpd.shape[1])
        ])  # fmt: skip


def two_models(seed: int, count: int, below: float, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, spread, (count, 2)) + below


@pytest.mark.parametrize("below", [0.0, -700.0, -746.0, -2000.0, -1e5])
@pytest.mark.parametrize(("seed", "spread"), [(1, 0.3), (2, 2.0), (3, 10.0)])
def test_weights_of_two_models_are_the_optimum_however_small_the_densities(
    below: float, seed: int, spread: float
) -> None:
    elpd = two_models(seed, 40, below, spread)
    # Below exp(-745) a density underflows to 0, and all weights would be equal.
    # The objective is flat at its optimum: what the optimiser leaves of it, 1e-12, is 1e-6 of a weight.
    assert stacking(elpd)[0] == pytest.approx(two_model_optimum(elpd), abs=2e-5)


def test_a_shift_of_all_scores_changes_no_weight() -> None:
    elpd = two_models(7, 60, 0.0, 1.0)
    shifts = np.linspace(-3000, 3000, 60)[:, None]
    np.testing.assert_allclose(stacking(elpd + shifts), stacking(elpd), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("below", [0.0, -900.0])
def test_weights_of_many_models_are_optimal(seed: int, below: float) -> None:
    rng = np.random.default_rng(seed)
    elpd = rng.normal(-1, 0.6, (80, 6)) + rng.normal(0, 0.2, 6) + below
    weights = stacking(elpd)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)
    found = gradients(elpd, weights)
    # Each excess is the gain in mean log score from the last bit of weight: 1e-5 of 80 rows is less than 0.001 elpd.
    assert found.max() <= 1 + 1e-5
    np.testing.assert_allclose(found[weights > 0], 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("elpd", "weights"),
    [
        ([[-1.0, -2.0], [-1.0, -3.0]], [1.0, 0.0]),
        ([[-1.0, -3000.0], [-3000.0, -1.0]], [0.5, 0.5]),
        ([[-1.0, -3000.0], [-1.0, -3000.0], [-3000.0, -1.0]], [2 / 3, 1 / 3]),
        ([[-1e4, -1.0], [-1e4, -1.0]], [0.0, 1.0]),
        ([[-1.0, -1.0, -1.0]], [1 / 3, 1 / 3, 1 / 3]),
        ([[-5.0], [-800.0]], [1.0]),
    ],
)
def test_weights_known_by_reason(elpd: list[list[float]], weights: list[float]) -> None:
    np.testing.assert_allclose(stacking(np.array(elpd)), weights, atol=1e-6)


@settings(max_examples=50)
@given(
    hnp.arrays(
        float, st.tuples(st.integers(2, 30), st.integers(2, 5)), elements=st.floats(-5000, 50, allow_subnormal=False)
    )
)
def test_weights_are_always_a_distribution_that_no_single_model_beats(elpd: np.ndarray) -> None:
    weights = stacking(elpd)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    with np.errstate(divide="ignore"):
        mixture = np.logaddexp.reduce(elpd + np.log(weights), axis=1).sum()
    # Weights below 1e-6 are set to 0, which costs at most 1e-6 in each row that only such a model explains.
    assert mixture >= elpd.sum(axis=0).max() - 1e-3 * len(elpd)


# Pseudo-BMA+.


def test_pseudo_bma_of_equal_models_is_equal_and_of_far_apart_ones_is_all_or_nothing() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(-1, 1, 50)
    np.testing.assert_allclose(pseudo_bma(np.column_stack([one, one, one]), seed=1), 1 / 3)
    np.testing.assert_allclose(pseudo_bma(np.column_stack([one, one - 3]), seed=1), [1.0, 0.0], atol=1e-10)


def test_pseudo_bma_of_two_models_is_the_mean_of_a_logistic_function_of_a_normal() -> None:
    # With many units the bootstrapped difference is normal, with the mean and the variance of the sum of differences.
    rng = np.random.default_rng(2)
    difference = rng.normal(0.05, 0.2, 400)
    points, mass = np.polynomial.hermite_e.hermegauss(80)
    expected = np.average(1 / (1 + np.exp(-difference.sum() - np.sqrt(400) * difference.std() * points)), weights=mass)
    weights = pseudo_bma(np.column_stack([difference, np.zeros(400)]) - 5000, seed=3, replicates=40_000)
    assert weights[0] == pytest.approx(expected, abs=0.005)


def test_pseudo_bma_follows_its_seed() -> None:
    elpd = np.random.default_rng(3).normal(-1, 1, (30, 3))
    assert (pseudo_bma(elpd, seed=1) == pseudo_bma(elpd, seed=1)).all()
    assert (pseudo_bma(elpd, seed=1) != pseudo_bma(elpd, seed=2)).any()
