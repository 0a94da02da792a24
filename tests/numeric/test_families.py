"""Log densities, tail probabilities, moments and draws of every family, against SciPy's distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures import high_precision
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from multilevel import families, likelihood, links
from multilevel.families import binomial, gaussian

LOCATIONS = st.floats(-1e3, 1e3)
SCALES = st.floats(1e-3, 1e3)
ETAS = st.floats(-40, 40)


def test_there_is_a_pymc_counterpart_and_a_test_for_every_family() -> None:
    from multilevel import responses

    of_numbers = [name for name in families.names() if not families.has_categories(name)]
    assert sorted(high_precision.LOG_DENSITIES) == of_numbers  # the others: test_families_of_categories.py
    for name in families.names():
        assert callable(responses.get(name).add)


@given(LOCATIONS, LOCATIONS, SCALES, SCALES)
def test_the_normal_is_scipys(y: float, mu: float, sigma: float, se: float) -> None:
    for known, scale in ((0.0, sigma), (se, np.hypot(sigma, se))):
        arguments: Any = (np.array([y]), np.array([mu]), np.array([sigma]), np.array([known]))
        frozen = stats.norm(mu, scale)
        np.testing.assert_allclose(gaussian.log_density(*arguments), frozen.logpdf(y), rtol=1e-12)
        np.testing.assert_allclose(gaussian.log_cdf(*arguments), frozen.logcdf(y), rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(gaussian.log_survival(*arguments), frozen.logsf(y), rtol=1e-9, atol=1e-300)
        np.testing.assert_allclose(gaussian.mean(*arguments[1:]), frozen.mean())
        np.testing.assert_allclose(gaussian.variance(*arguments[1:]), frozen.var())


@given(st.integers(0, 60), st.integers(0, 60), ETAS, st.sampled_from(binomial.LINKS))
def test_the_binomial_is_scipys(y: int, more: int, eta: float, link: str) -> None:
    trials = y + more
    p, q = probabilities(eta, link)
    ours = binomial.log_density(np.array([float(y)]), np.array([eta]), np.array([float(trials)]), link)[0]
    if min(p, q) > 1e-10:  # where SciPy's own argument loses no digits
        np.testing.assert_allclose(ours, stats.binom(trials, p).logpmf(y), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(binomial.mean(np.array([eta]), np.array([trials]), link), [trials * p], rtol=1e-12)
        variance = binomial.variance(np.array([eta]), np.array([trials]), link)
        np.testing.assert_allclose(variance, [trials * p * q], rtol=1e-5)
    assert np.isfinite(ours) or link == "cloglog"


def probabilities(eta: float, link: str) -> tuple[float, float]:
    match link:
        case "logit":
            return float(stats.logistic.cdf(eta)), float(stats.logistic.sf(eta))
        case "probit":
            return float(stats.norm.cdf(eta)), float(stats.norm.sf(eta))
    return float(stats.gumbel_l.cdf(eta)), float(stats.gumbel_l.sf(eta))


@pytest.mark.parametrize("link", binomial.LINKS)
@pytest.mark.parametrize("eta", [-700.0, -40.0, 5.0, 700.0])
def test_extreme_predictors_give_the_limit_and_no_nan(link: str, eta: float) -> None:
    y, trials = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    log_q, log_p = binomial.log_density(y, np.full(2, eta), trials, link)
    assert not np.isnan([log_p, log_q]).any()
    assert max(log_p, log_q) <= 0
    assert bool(log_p > log_q) is (eta > 0)
    if link == "logit":
        assert min(log_p, log_q) == pytest.approx(-abs(eta), rel=1e-2)


@pytest.mark.parametrize("name", links.NAMES)
def test_links_are_the_inverse_of_each_other(name: str) -> None:
    eta = np.exp(np.linspace(-5, 3, 33)) if name == "inverse" else np.linspace(-5, 3, 33)
    np.testing.assert_allclose(links.forward(name, links.inverse(name, eta)), eta, atol=1e-9)


def draws_of(name: str, count: int, **arguments: Any) -> np.ndarray:
    return np.asarray(
        families.get(name).draws(np.random.default_rng(3), np.full(count, arguments.pop("eta")), **arguments)
    )


@pytest.mark.parametrize(
    ("name", "arguments", "frozen"),
    [
        ("gaussian", {"eta": 2.0, "sigma": 1.5}, stats.norm(2.0, 1.5)),
        ("gaussian", {"eta": 2.0, "sigma": 1.5, "se": 2.0}, stats.norm(2.0, 2.5)),
        ("gaussian", {"eta": 0.5, "sigma": 1.5, "link": "log"}, stats.norm(np.exp(0.5), 1.5)),
    ],
)
def test_continuous_draws_come_from_the_distribution(name: str, arguments: dict[str, Any], frozen: Any) -> None:
    # A p-value below 1e-6 with a fixed seed would be no chance.
    assert stats.kstest(draws_of(name, 20_000, **arguments), frozen.cdf).pvalue > 1e-6


@pytest.mark.parametrize("link", binomial.LINKS)
def test_binomial_draws_come_from_the_distribution(link: str) -> None:
    found = draws_of("binomial", 50_000, eta=-0.3, trials=np.array(7.0), link=link)
    counts = np.bincount(found.astype(int), minlength=8)
    expected = stats.binom(7, probabilities(-0.3, link)[0]).pmf(np.arange(8)) * len(found)
    assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 1e-6


@given(LOCATIONS, SCALES, st.floats(-30, 30), st.floats(1e-3, 60))
def test_the_probability_of_an_interval_keeps_its_digits(mu: float, sigma: float, start: float, width: float) -> None:
    lower, upper = mu + sigma * start, mu + sigma * (start + width)
    arguments = {"eta": np.array([mu]), "sigma": np.array([sigma])}
    ours = likelihood._log_interval(gaussian, np.array([lower]), np.array([upper]), arguments)[0]
    a, b = (lower - mu) / sigma, (upper - mu) / sigma
    if a + b > 0:  # the upper tail is the lower one, mirrored: SciPy's logcdf keeps its digits there
        a, b = -b, -a
    log_small, log_large = stats.norm.logcdf(a), stats.norm.logcdf(b)
    expected = log_large + np.log(-np.expm1(log_small - log_large))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
