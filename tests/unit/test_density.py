"""Densities are those of SciPy where it gives any, and are given also where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from multilevel import density

GRID = np.linspace(-2, 12, 200)


@pytest.mark.parametrize("count", [2, 7, 400, 2000])
def test_kernels_are_those_of_scipy(count: int) -> None:
    values = np.random.default_rng(count).gamma(3, 1, count)
    np.testing.assert_allclose(density.kernel(values, GRID), gaussian_kde(values)(GRID), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("count", [2001, 50_000])
def test_counting_in_bins_changes_next_to_nothing(count: int) -> None:
    values = np.random.default_rng(count).gamma(3, 1, count)
    exact = gaussian_kde(values)(GRID)
    assert np.abs(density.kernel(values, GRID) - exact).max() < 2e-3 * exact.max()


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0, 3.0], [3.0] * 3000])
def test_equal_values_are_a_spike_of_the_right_area(values: list[float]) -> None:
    curve = density.kernel(np.array(values), GRID)
    assert np.trapezoid(curve, GRID) == pytest.approx(1.0, abs=0.02)
    assert abs(GRID[np.argmax(curve)] - 3.0) < 0.1


def test_shares_add_up_to_one_over_the_values_in_view() -> None:
    assert density.shares(np.array([1.0, 2.0, 2.0, 9.0]), np.arange(1.0, 4.0)).tolist() == [0.25, 0.5, 0.0]


def test_a_long_tail_does_not_widen_a_robust_kernel() -> None:
    values = np.random.default_rng(4).normal(0, 2, 500)
    plain = density.robust_width(values)
    assert plain == pytest.approx(values.std(ddof=1) * 500**-0.2, rel=0.1)
    assert density.robust_width(np.append(values[:-5], [1e4] * 5)) == pytest.approx(plain, rel=0.05)
    assert density.robust_width(np.array([0.0] * 80 + [1.0] * 20)) == pytest.approx(0.402 * 100**-0.2, rel=1e-3)
    assert density.robust_width(np.array([3.0])) == 0.0
    np.testing.assert_allclose(
        density.kernel(values, GRID, 0.7), gaussian_kde(values, 0.7 / values.std(ddof=1))(GRID), rtol=1e-9
    )
