"""Likelihoods by quadrature equal SciPy's integrals level by level; their maxima are maxima, whatever the units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, logsumexp

from multilevel import quadrature_ml
from multilevel.design import Design
from multilevel.quadrature_ml import Likelihood, NotIntegrableError

RNG = np.random.default_rng(5)
LEVELS = 8
INDEX = np.repeat(np.arange(LEVELS), 5)
X = RNG.normal(2.0, 1.5, len(INDEX))
ETA = -0.4 + 0.5 * (X - 2.0) + RNG.normal(0, 0.9, LEVELS)[INDEX]
DATA = dataset_of(
    b=RNG.binomial(1, expit(ETA)).astype(float),
    k=RNG.binomial(9, expit(ETA)).astype(float),
    n=np.full(len(INDEX), 9.0),
    c=RNG.poisson(np.exp(ETA)).astype(float),
    o=RNG.uniform(-0.5, 0.5, len(INDEX)),
    w=np.ones(len(INDEX)),
    x=X,
    g=[f"L{i}" for i in INDEX],
    h=[f"M{i % 4}" for i in range(len(INDEX))],
)
CASES = {
    "bernoulli": ("b ~ x", "logit"),
    "binomial": ("k | trials(n) ~ x", "probit"),
    "poisson": ("c ~ x + offset(o)", "log"),
}


def built(family: str, groups: str = "(1 | g)") -> Design:
    text, link = CASES[family]
    return replace(design_of(f"{text} + {groups}", DATA, family), link=link)


def probability(design: Design, rows: np.ndarray, eta: Any) -> Any:
    """Return the probability of the responses of some rows, in SciPy."""
    y, eta = design.y[rows], design.offset[rows] + eta
    match design.family:
        case "bernoulli":
            return np.prod(stats.bernoulli.pmf(y, expit(eta)))
        case "binomial":
            return np.prod(stats.binom.pmf(y, 9, stats.norm.cdf(eta)))
    return np.prod(stats.poisson.pmf(y, np.exp(eta)))


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("sd", [0.05, 0.8, 3.0])
def test_varying_intercepts_are_integrated_out(family: str, sd: float) -> None:
    design, b = built(family), np.array([-1.2, 0.5])
    total = 0.0
    for level in range(LEVELS):
        rows = np.flatnonzero(design.group_terms[0].index == level)
        eta = design.x[rows] @ b

        def integrand(u: float, rows: np.ndarray = rows, eta: np.ndarray = eta) -> float:
            return float(probability(design, rows, eta + sd * u) * stats.norm.pdf(u))

        peak = max(np.linspace(-6, 6, 241), key=integrand)
        value, _ = quad(integrand, -12, 12, points=[peak - 1, peak, peak + 1], epsabs=0, epsrel=1e-11, limit=500)
        total += np.log(value)
    ours = quadrature_ml.log_likelihood(design, b, np.array([[sd**2]]))
    assert ours == pytest.approx(total, rel=0, abs=1e-7 if sd < 1 else 1e-5)


def test_correlated_slopes_are_integrated_out() -> None:
    design, b = built("binomial", "(1 + x | g)"), np.array([-0.8, 0.3])
    covariance = np.array([[0.6, -0.15], [-0.15, 0.2]])
    root = np.linalg.cholesky(covariance)
    line = np.linspace(
        -8.0, 8.0, 321
    )  # the trapezoid rule is as good as exact for a smooth function that fades at both ends
    u = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    prior = stats.norm.logpdf(u).sum(axis=1) + 2 * np.log(line[1] - line[0])
    effects, total = u @ root.T, 0.0
    for level in range(LEVELS):
        rows = np.flatnonzero(design.group_terms[0].index == level)
        eta = (b + effects) @ design.x[rows].T
        total += logsumexp(stats.binom.logpmf(design.y[rows], 9, stats.norm.cdf(eta)).sum(axis=1) + prior)
    assert quadrature_ml.log_likelihood(design, b, covariance) == pytest.approx(total, rel=0, abs=1e-5)


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("groups", ["(1 | g)", "(1 + x | g)", "(1 + x || g)"])
def test_the_gradient_is_that_of_the_likelihood(family: str, groups: str) -> None:
    likelihood = Likelihood.of(built(family, groups))
    at = likelihood.start(0.7) + 0.1
    _, gradient = likelihood.at(at)
    steps = 1e-5 * np.eye(len(at))
    numeric = [(likelihood.at(at + step)[0] - likelihood.at(at - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=2e-4)


@pytest.mark.parametrize("family", CASES)
def test_no_other_parameters_are_more_likely(family: str) -> None:
    design = built(family)
    found = quadrature_ml.maximise(design)
    assert found.converged
    assert max(found.reached) - min(found.reached) < 1e-6
    b = np.array([found.estimates["Intercept"], found.estimates["b(x)"]])
    sd = found.estimates["sd(g: Intercept)"]
    assert quadrature_ml.log_likelihood(design, b, np.array([[sd**2]])) == pytest.approx(found.log_likelihood, abs=1e-9)
    for factor in (0.97, 1.03):
        assert quadrature_ml.log_likelihood(design, b * [factor, 1], np.array([[sd**2]])) < found.log_likelihood
        assert quadrature_ml.log_likelihood(design, b * [1, factor], np.array([[sd**2]])) < found.log_likelihood
        assert quadrature_ml.log_likelihood(design, b, np.array([[(sd * factor) ** 2]])) < found.log_likelihood
    assert found.criteria()["aic"] == pytest.approx(-2 * found.log_likelihood + 2 * 3)
    assert "sigma" not in found.estimates


def test_standard_errors_are_those_of_the_curvature() -> None:
    design = built("binomial")
    found = quadrature_ml.maximise(design)
    best = np.array([found.estimates["Intercept"], found.estimates["b(x)"], found.estimates["sd(g: Intercept)"]])

    def value(at: np.ndarray) -> float:
        return quadrature_ml.log_likelihood(design, at[:2], np.array([[at[2] ** 2]]))

    steps = 1e-3 * np.eye(3)
    hessian = [
        [(value(best + s + t) - value(best + s - t) - value(best - s + t) + value(best - s - t)) / 4e-6 for t in steps]
        for s in steps
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(-np.array(hessian))))
    assert list(found.standard_errors.values()) == pytest.approx(list(errors[:2]), rel=1e-3)


def test_units_and_zeros_of_predictors_change_nothing_else() -> None:
    plain = quadrature_ml.maximise(built("poisson", "(1 + x | g)"))
    frame = DATA.frame.assign(x=DATA.frame["x"] * 1000.0)
    moved = quadrature_ml.maximise(design_of("c ~ x + offset(o) + (1 + x | g)", replace(DATA, frame=frame), "poisson"))
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    assert moved.estimates["b(x)"] * 1000 == pytest.approx(plain.estimates["b(x)"], rel=1e-4)
    assert moved.estimates["sd(g: x)"] * 1000 == pytest.approx(plain.estimates["sd(g: x)"], rel=1e-3)


def test_without_group_terms_it_is_a_generalised_linear_model() -> None:
    """At its maximum the score X'(y - mu) of a canonical link is zero."""
    design = design_of("c ~ x + offset(o)", DATA, "poisson")
    found = quadrature_ml.maximise(design)
    b = np.array([found.estimates["Intercept"], found.estimates["b(x)"]])
    mu = np.exp(design.x @ b + design.offset)
    np.testing.assert_allclose(design.x.T @ (design.y - mu), 0.0, atol=1e-4)
    information = design.x.T @ (mu[:, None] * design.x)
    assert list(found.standard_errors.values()) == pytest.approx(
        list(np.sqrt(np.diag(np.linalg.inv(information)))), rel=1e-4
    )


def test_groups_that_do_not_differ_are_a_maximum_on_the_boundary() -> None:
    y = np.tile([0.0, 1.0, 0.0, 1.0, 1.0], LEVELS)  # the same in every level: less than chance would have it
    found = quadrature_ml.maximise(
        design_of("b ~ 1 + (1 | g)", replace(DATA, frame=DATA.frame.assign(b=y)), "bernoulli")
    )
    assert found.estimates["sd(g: Intercept)"] == pytest.approx(0.0, abs=1e-3)
    assert found.estimates["Intercept"] == pytest.approx(np.log(0.6 / 0.4), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "family", "sentence"),
    [
        ("c ~ x + (1 | g)", "negative_binomial", "our quadrature is for bernoulli, binomial and poisson responses"),
        ("c ~ x + (1 | g) + (1 | h)", "poisson", "our quadrature is for effects of one grouping"),
        ("c ~ x + (1 + x + o | g)", "poisson", "our quadrature is for at most 2 effects of a level"),
        (
            "c | weights(w) ~ x + (1 | g)",
            "poisson",
            "our quadrature is for responses without weights, censoring and truncation",
        ),
    ],
)
def test_what_is_not_computed_is_refused(text: str, family: str, sentence: str) -> None:
    design = design_of(text, DATA, family)
    assert quadrature_ml.refusal(design) == sentence
    with pytest.raises(NotIntegrableError, match=sentence):
        quadrature_ml.maximise(design)
