"""Every family at extreme parameters: log densities and tail probabilities keep their digits, against 350-digit arithmetic."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fixtures import high_precision
from fixtures.family_cases import PAIRS, Case
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from multilevel import families, links
from multilevel.families import _special, beta, binomial, gamma, negative_binomial, poisson

EXACT = [(name, link) for name, link in PAIRS if link != "probit"]
"""The normal distribution function of the probit is SciPy's own."""


def tens(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers spread evenly over orders of magnitude."""
    return st.floats(low, high).map(lambda e: 10.0**e)


@pytest.mark.parametrize(("name", "link"), EXACT)
def test_log_densities_keep_their_digits(name: str, link: str) -> None:
    case = Case(name, link, seed=6, size=150, extreme=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = case.module.log_density(case.y, **case.arguments)
    assert not np.isnan(ours).any()
    for i in range(len(case.y)):
        exact = high_precision.log_density(name, float(case.y[i]), **case.at(i))
        # 1e-12 of the value, and of the largest terms that the data themselves make cancel: log y times a precision.
        terms = max(float(case.others.get("phi", [0.0] * 150)[i]), 1.0) * max(abs(np.log(max(case.y[i], 1e-3))), 1.0)
        assert ours[i] == pytest.approx(exact, rel=1e-12, abs=1e-12 * max(terms, 10.0)), case.at(i)


@pytest.mark.parametrize(("name", "link"), PAIRS)
def test_nothing_overflows_and_nothing_is_nan(name: str, link: str) -> None:
    """At the ends of what floating-point numbers hold: predictors of +-700, scales of 1e-100 and 1e100."""
    module = families.get(name)
    eta, scale, share = np.array([-700.0, -50.0, 0.0, 50.0, 700.0]), [1e-100, 1.0, 1e100], [0.0, 1e-300, 0.5, 1.0]
    values = {
        "continuous": [1e-100, 1e-5, 0.5, 1.0 - 1e-16] if "beta" in name else [1e-100, 1.0, 1e100],
        "discrete": [0.0, 1.0] if name == "bernoulli" else [0.0, 1.0, 50.0],
    }[module.KIND]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in scale:
            for p in share:
                others = {q: p if q in {"zi", "hu", "zoi", "coi"} else size for q in module.PARAMETERS[1:]}
                if "nu" in others:
                    others["nu"] = 1.0 + min(size, 1e15)
                if "trials" in module.RESPONSE_TERMS:
                    others["trials"] = 50.0
                for y in values:
                    at = {"eta": eta, "link": link, **others}
                    found = [module.log_density(np.full(5, y), **at)]
                    if hasattr(module, "log_cdf"):
                        found += [module.log_cdf(np.full(5, y), **at), module.log_survival(np.full(5, y), **at)]
                    assert not np.isnan(found).any(), (y, at)
                    assert np.max(found[1:], initial=-1.0) <= 0.0
                drawn = module.draws(np.random.default_rng(1), **at)
                assert np.isfinite(drawn).all()
                assert module.support_problem(drawn, {"trials": np.full(5, 50.0)} if "trials" in others else {}) is None
                assert not np.isnan([module.mean(**at), module.variance(**at)]).any()


@given(tens(-8, 9), tens(-6, 5))
def test_ratios_of_gamma_functions(x: float, d: float) -> None:
    with high_precision.localcontext(high_precision.EXACT):
        exact = high_precision.lgamma(high_precision.Decimal(x) + high_precision.Decimal(d))
        exact -= high_precision.lgamma(high_precision.Decimal(x))
    found = _special.log_gamma_ratio(np.asarray(x), np.asarray(d))
    assert found == pytest.approx(float(exact), rel=1e-13, abs=3e-14)


@given(tens(-12, 8), tens(-12, 8))
def test_log_beta_functions(a: float, b: float) -> None:
    with high_precision.localcontext(high_precision.EXACT):
        x, y = high_precision.Decimal(a), high_precision.Decimal(b)
        exact = high_precision.lgamma(x) + high_precision.lgamma(y) - high_precision.lgamma(x + y)
    found = _special.log_beta(*(np.asarray(v) for v in (a, np.log(a), b, np.log(b))))
    assert found == pytest.approx(float(exact), rel=1e-13, abs=3e-14)


@given(tens(-3, 4.5), st.floats(-3.0, 1.0))
def test_incomplete_gamma_functions_also_where_they_underflow(a: float, position: float) -> None:
    x = a * 10**position
    if x > 3e4:
        return
    below, above = _special.log_gammainc(np.asarray(a), np.asarray(x), np.log(np.asarray(x)))
    exact = high_precision.log_gamma_below(a, x)
    assert below == pytest.approx(exact, rel=1e-11, abs=1e-14)
    if exact < -1e-40 and x < a + 8 * a**0.5 + 60:
        assert above == pytest.approx(high_precision.log_gamma_above(a, x), rel=1e-11, abs=1e-14)


@given(tens(-3, 3.5), tens(-3, 3.5), st.floats(-4.0, -0.02))
def test_incomplete_beta_functions_also_where_they_underflow(a: float, b: float, position: float) -> None:
    x = 10**position
    arguments = (np.asarray(v) for v in (a, b, x, np.log(x), 1.0 - x, np.log1p(-x)))
    below, above = _special.log_betainc(*arguments)
    exact = high_precision.log_beta_below(a, b, x)
    assert below == pytest.approx(exact, rel=1e-9, abs=1e-13)
    assert np.logaddexp(below, above) == pytest.approx(0.0, abs=1e-13)


@pytest.mark.parametrize(
    ("module", "arguments", "y", "exact"),
    [
        # Far beyond where the probability itself is 0 in floating-point numbers; exact by the same arithmetic.
        (gamma, {"eta": 0.0, "shape": 2.0}, 2e3, -4e3 + np.log(4001.0)),
        (gamma, {"eta": 0.0, "shape": 300.0}, 0.01, high_precision.log_gamma_below(300.0, 3.0)),
        (poisson, {"eta": -800.0}, 4.0, 5 * -800.0 - np.log(120.0)),
        (negative_binomial, {"eta": -400.0, "shape": 1.0}, 1.0, 2 * -400.0),
        (beta, {"eta": 0.0, "phi": 600.0}, 1.0 - 1e-6, high_precision.log_beta_below(300.0, 300.0, 1.0 - (1.0 - 1e-6))),
        (binomial, {"eta": -500.0, "trials": 3.0}, 1.0, np.log(3.0) + 2 * -500.0),
    ],
)
def test_log_probabilities_beyond_the_smallest_number(module: object, arguments: dict, y: float, exact: float) -> None:
    at = {k: np.array([v]) for k, v in arguments.items()}
    function = module.log_cdf if (module, y) == (gamma, 0.01) else module.log_survival  # type: ignore[attr-defined]
    assert function(np.array([y]), **at)[0] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("link", links.POSITIVE)
def test_the_log_of_a_positive_parameter_is_exact_where_the_parameter_underflows(link: str) -> None:
    eta = np.array([-800.0, -40.0, -1.0, 0.5, 30.0, 800.0])
    found = links.log_inverse(link, eta)
    expected = {"log": eta, "inverse": [np.inf, np.inf, np.inf, np.log(2.0), -np.log(30.0), -np.log(800.0)]}
    softplus = [
        -800.0,
        -40.0,
        np.log(np.log1p(np.exp(-1.0))),
        np.log(np.log1p(np.exp(0.5))),
        np.log(30.0),
        np.log(800.0),
    ]
    np.testing.assert_allclose(found, {**expected, "softplus": softplus}[link], rtol=1e-14, atol=1e-14)
    finite = np.isfinite(found) & (np.abs(found) < 700)
    np.testing.assert_allclose(np.exp(found[finite]), links.inverse(link, eta[finite]), rtol=1e-13)


def test_a_zero_of_the_other_kind_may_be_certain() -> None:
    """Where zi rounds to 1, a count above 0 has a small probability, not none: its log stays finite."""
    from multilevel.families import zero_inflated_poisson

    value = zero_inflated_poisson.log_density(np.array([3.0]), np.array([1.0]), zi=expit(50.0))
    assert value[0] == pytest.approx(-53 * np.log(2.0) + poisson.log_density(np.array([3.0]), np.array([1.0]))[0])
