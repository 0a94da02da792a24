"""Every family at moderate parameters: densities, tail probabilities, moments and draws are SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures.family_cases import OF_NUMBERS, PAIRS, REAL, WITH_TAILS, Case
from fixtures.scipy_families import frozen
from scipy import stats

from multilevel import families, links


def distribution(case: Case, i: int) -> Any:
    others = {name: float(value[i]) for name, value in case.others.items()}
    return frozen(case.name, float(links.inverse(case.link, case.eta[i])), **others)


@pytest.mark.parametrize(("name", "link"), PAIRS)
def test_densities_are_scipys(name: str, link: str) -> None:
    case = Case(name, link)
    ours = case.module.log_density(case.y, **case.arguments)
    logp = "logpmf" if case.module.KIND == "discrete" else "logpdf"
    theirs = [getattr(distribution(case, i), logp)(case.y[i]) for i in range(len(case.y))]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(("name", "link"), [pair for pair in PAIRS if pair[0] in WITH_TAILS])
def test_tail_probabilities_are_scipys(name: str, link: str) -> None:
    case = Case(name, link, seed=2)
    below, above = case.module.log_cdf(case.y, **case.arguments), case.module.log_survival(case.y, **case.arguments)
    for i in range(len(case.y)):
        theirs = distribution(case, i)
        # SciPy takes most logs of probabilities, which it has to 16 digits of 1 and not of themselves.
        assert np.exp(below[i]) == pytest.approx(theirs.cdf(case.y[i]), rel=1e-8, abs=1e-13)
        assert np.exp(above[i]) == pytest.approx(theirs.sf(case.y[i]), rel=1e-8, abs=1e-13)
        if theirs.sf(case.y[i]) > 1e-8 and theirs.cdf(case.y[i]) > 1e-8:
            assert below[i] == pytest.approx(theirs.logcdf(case.y[i]), rel=1e-7, abs=1e-9)
            assert above[i] == pytest.approx(theirs.logsf(case.y[i]), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", WITH_TAILS)
def test_nothing_lies_below_the_support_and_all_above(name: str) -> None:
    case = Case(name, families.get(name).LINKS[0], size=5)
    below = -1.0 if case.module.KIND == "discrete" else 0.0
    y = np.full(5, -1e300 if name in REAL else below)
    np.testing.assert_array_less(case.module.log_cdf(y, **case.arguments), -100.0)
    np.testing.assert_allclose(case.module.log_survival(y, **case.arguments), 0.0, atol=1e-12)


@pytest.mark.parametrize(("name", "link"), PAIRS)
def test_moments_are_scipys(name: str, link: str) -> None:
    case = Case(name, link, seed=3, size=12)
    mean, variance = case.module.mean(**case.arguments), case.module.variance(**case.arguments)
    assert mean.shape == variance.shape == case.eta.shape
    for i in range(len(case.y)):
        theirs = distribution(case, i)
        assert mean[i] == pytest.approx(theirs.mean(), rel=1e-7)
        assert variance[i] == pytest.approx(theirs.var(), rel=1e-6)


@pytest.mark.parametrize(("name", "link"), PAIRS)
def test_draws_come_from_the_distribution(name: str, link: str) -> None:
    case, count, rng = Case(name, link, seed=4, size=2), 20_000, np.random.default_rng(5)
    if "phi" in case.others:  # else most draws round to 0 or 1
        case.others["phi"] = np.maximum(case.others["phi"], 5.0)
    arguments = {k: v if isinstance(v, str) else np.tile(v, (count, 1)) for k, v in case.arguments.items()}
    found = case.module.draws(rng, **arguments)
    assert found.shape == (count, 2)
    for i in range(2):
        theirs, column = distribution(case, i), found[:, i]
        if name == "zero_one_inflated_beta":
            edge, one = case.others["zoi"][i], case.others["coi"][i]
            seen = [((column > 0) & (column < 1)).sum(), (column == 0).sum(), (column == 1).sum()]
            assert stats.chisquare(seen, np.array([1 - edge, edge * (1 - one), edge * one]) * count).pvalue > 1e-6
            theirs, column = theirs.base, column[(column > 0) & (column < 1)]
        # The distribution function at the draws is uniform; of counts, between its values below and at each of them.
        upper = theirs.cdf(column)
        lower = theirs.cdf(column - 1) if case.module.KIND == "discrete" else upper
        shares = lower + rng.random(len(column)) * (upper - lower)
        # A p-value below 1e-6 with a fixed seed would be no chance.
        assert stats.kstest(shares, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_one_seed_gives_one_set_of_draws_and_parameters_broadcast(name: str) -> None:
    case = Case(name, families.get(name).LINKS[0], size=3)
    wide = {k: v if isinstance(v, str) else v[:1] for k, v in case.arguments.items()}
    wide["eta"] = np.tile(case.eta, (4, 1))
    first, second = (case.module.draws(np.random.default_rng(1), **wide) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == case.module.mean(**wide).shape == case.module.variance(**wide).shape == (4, 3)
