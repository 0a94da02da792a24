"""Correlation matrices built from partial correlations have the LKJ distribution (Lewandowski, Kurowicka & Joe 2009)."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of
from scipy.stats import beta, kstest

from multilevel import default_priors

DRAWS = 20_000
NAMES = "wxz"


def correlations(effects: int, eta: float) -> np.ndarray:
    """Return correlation matrices drawn from the prior that the model has, built as the stored ones are."""
    from multilevel import model, sampling

    rng = np.random.default_rng([effects, int(10 * eta)])
    data = dataset_of(y=rng.normal(size=12), g=list("abcd") * 3, **{name: rng.normal(size=12) for name in NAMES})
    design = design_of(f"y ~ 1 + (1 + {' + '.join(NAMES[: effects - 1])} | g)", data)
    priors = default_priors.resolve(design, {"cor": f"lkj({eta})"})
    built = model.build(design, priors, centred=False)
    # The shapes of the model's own Beta variables, drawn from by NumPy.
    first, second = (
        np.asarray(p.eval(), dtype=float) for p in built["partial_g"].owner.op.dist_params(built["partial_g"].owner)
    )
    np.testing.assert_array_equal(first, second)
    values = rng.beta(first, second, size=(1, DRAWS, len(first)))
    factors = sampling._factors(xr.Dataset({"partial_g": (("chain", "draw", "pair"), values)}), design.group_terms[0])[
        0
    ]
    return np.asarray(factors @ factors.transpose(0, 2, 1))


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("effects", [2, 3, 4])
def test_each_correlation_has_the_marginal_distribution_of_lkj(effects: int, eta: float) -> None:
    found = correlations(effects, eta)
    np.testing.assert_allclose(np.diagonal(found, axis1=1, axis2=2), 1.0, atol=1e-12)
    shape = eta + (effects - 2) / 2
    for i in range(effects):
        for j in range(i):
            # The seed is fixed: 40 comparisons of one distribution give a p-value below 0.001 once in 25 sets of seeds.
            assert kstest((found[:, i, j] + 1) / 2, beta(shape, shape).cdf).pvalue > 0.001, (i, j)


@pytest.mark.parametrize(("eta", "beyond"), [(1.0, 0.10), (2.0, 0.0145)])
def test_how_often_two_effects_are_nearly_collinear_a_priori(eta: float, beyond: float) -> None:
    share = (np.abs(correlations(2, eta)[:, 0, 1]) > 0.9).mean()
    # Shares of 20,000 independent draws, within four standard errors.
    assert abs(share - beyond) < 4 * np.sqrt(beyond * (1 - beyond) / DRAWS)


@pytest.mark.parametrize("eta", [1.0, 2.0, 5.0])
def test_the_determinant_has_the_mean_that_the_density_implies(eta: float) -> None:
    """E det R = c(eta) / c(eta + 1), because the density is det(R)^(eta - 1) / c(eta): the joint law, not just marginals."""
    from scipy.special import betaln

    def log_constant(value: float, d: int = 3) -> float:
        return float(
            sum(
                (2 * value - 2 + d - k) * (d - k) * np.log(2)
                + (d - k) * betaln(value + (d - k - 1) / 2, value + (d - k - 1) / 2)
                for k in range(1, d)
            )
        )

    determinant = np.linalg.det(correlations(3, eta))
    error = determinant.std(ddof=1) / np.sqrt(DRAWS)
    assert abs(determinant.mean() - np.exp(log_constant(eta + 1) - log_constant(eta))) < 4 * error
