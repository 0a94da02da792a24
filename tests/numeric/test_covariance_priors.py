"""Priors of covariance matrices: densities by the change of variables, draws by their moments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from multilevel import distributions
from multilevel.priors import Prior


def test_the_density_of_decov_is_that_of_what_it_is_made_of() -> None:
    """Goodrich et al.: correlations LKJ, shares of the trace Dirichlet, the root of its mean Gamma; the Jacobian is numerical."""
    prior = Prior("decov", (2.0, 1.5, 2.0, 0.7), unit="sigma")
    unit = 1.3
    below = np.tril_indices(3)

    def matrix(x: np.ndarray) -> np.ndarray:
        tau, shares, r = x[0], np.array([x[1], x[2], 1 - x[1] - x[2]]), x[3:]
        sd = np.sqrt(3 * shares) * tau * 0.7 * unit
        correlation = np.array([[1, r[0], r[1]], [r[0], 1, r[2]], [r[1], r[2], 1]])
        return np.asarray(correlation * np.outer(sd, sd))

    x = np.array([1.7, 0.2, 0.5, 0.3, -0.2, 0.4])
    step = 1e-6
    jacobian = np.array([(matrix(x + step * e) - matrix(x - step * e))[below] / (2 * step) for e in np.eye(6)])
    correlation = matrix(x) / np.sqrt(np.outer(np.diag(matrix(x)), np.diag(matrix(x))))
    # The constant of LKJ(2) in three dimensions: the integral of det(R) over correlation matrices.
    expected = stats.gamma.logpdf(1.7, 2.0) + stats.dirichlet.logpdf([0.2, 0.5, 0.3], [1.5] * 3)
    expected += np.log(np.linalg.det(correlation)) - np.log(LKJ_2_OF_3) - np.linalg.slogdet(jacobian)[1]
    assert distributions.log_density_of_covariance(prior, matrix(x), unit) == pytest.approx(expected, abs=1e-7)


LKJ_2_OF_3 = 3 * np.pi**2 / 16
"""Integral of det(R) over 3 x 3 correlation matrices; see the test below."""


def test_the_constant_of_the_lkj_density_is_its_integral() -> None:
    """Over the unit cube of correlations, by quadrature over the first two and in closed form over the third.

    Given r12 and r13, det(R) = (1 - r12^2)(1 - r13^2)(1 - p^2) with p the partial correlation, dr23 = sqrt(...) dp.
    """
    nodes, weights = np.polynomial.legendre.leggauss(400)
    outer = np.sum(weights * (1 - nodes**2) ** 1.5) ** 2
    integral = outer * (2 - 2 / 3)
    assert distributions.log_lkj_constant(3, 2.0) == pytest.approx(np.log(integral), abs=1e-6)
    assert np.log(LKJ_2_OF_3) == pytest.approx(np.log(integral), abs=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("name", ["wishart", "inverse_wishart"])
def test_draws_and_densities_of_wishart_priors_are_scipys(name: str, size: int) -> None:
    scale = np.eye(size) + 0.2
    prior = Prior(name, (size + 4.0,), scale=tuple(map(tuple, scale.tolist())))
    drawn = distributions.draw_covariance(prior, size, np.ones(20_000), np.random.default_rng(1))
    mean = scale * (size + 4.0) if name == "wishart" else scale / 3.0
    assert drawn.shape == (20_000, size, size)
    error = drawn.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error).all()
    scipys = stats.wishart if name == "wishart" else stats.invwishart
    assert distributions.log_density_of_covariance(prior, drawn[0]) == scipys.logpdf(drawn[0], size + 4.0, scale)


def test_draws_of_decov_have_its_moments() -> None:
    prior = Prior("decov", (1.0, 1.0, 3.0, 0.5), unit="sigma")
    drawn = distributions.draw_covariance(prior, 3, np.full(40_000, 2.0), np.random.default_rng(2))
    tau = np.sqrt(np.trace(drawn, axis1=1, axis2=2) / 3)
    assert stats.kstest(tau, stats.gamma(3.0, scale=1.0).cdf).pvalue > 1e-3
    shares = np.diagonal(drawn, axis1=1, axis2=2) / (3 * tau**2)[:, None]
    assert stats.kstest(shares[:, 0], stats.beta(1.0, 2.0).cdf).pvalue > 1e-3
    correlation = drawn[:, 0, 2] / np.sqrt(drawn[:, 0, 0] * drawn[:, 2, 2])
    # Of LKJ(eta) in d dimensions each correlation is Beta(eta - 1 + d / 2) on (-1, 1).
    assert stats.kstest((correlation + 1) / 2, stats.beta(1.5, 1.5).cdf).pvalue > 1e-3


def test_a_draw_of_a_precision_is_turned_into_a_standard_deviation() -> None:
    prior = Prior("gamma", (2.0, 3.0), on="precision")
    drawn = distributions.draw(prior, "sd(g)", np.random.default_rng(3), 20_000)
    assert stats.kstest(drawn**2, stats.invgamma(2.0, scale=3.0).cdf).pvalue > 1e-3
