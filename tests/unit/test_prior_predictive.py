"""The prior predictive gate: draws have the moments that the priors imply, and wild priors are told with their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import default_priors, prior_predictive
from multilevel.dataset import Dataset
from multilevel.prior_predictive import Gate


def small() -> Dataset:
    rng = np.random.default_rng(4)
    return dataset_of(
        y=rng.normal(50.0, 4.0, 60),
        x=rng.normal(5.0, 2.0, 60),
        g=[f"g{i % 12}" for i in range(60)],
        count_=rng.poisson(4.0, 60).astype(float),
        yes=(rng.random(60) < 0.3).astype(float),
        k=["a", "b", "c"] * 20,
    )


def gate(text: str, family: str = "gaussian", preset: str = "", **given: str) -> Gate:
    design = design_of(text, small(), family)
    names = {"sd": "sd", "b": "b", "sigma": "sigma", "Intercept": "Intercept", "cov": "cov"}
    return prior_predictive.gate(
        design, default_priors.resolve(design, {names[k]: v for k, v in given.items()}, preset), 7
    )


@pytest.mark.parametrize(
    ("text", "family"),
    [("y ~ x + (1 + x | g)", "gaussian"), ("count_ ~ x + (1 | g)", "poisson"), ("yes ~ x + (1 | g)", "bernoulli")],
)
@pytest.mark.parametrize("preset", ["", "rstanarm"])
def test_default_priors_pass(text: str, family: str, preset: str) -> None:
    found = gate(text, family, preset)
    assert found.quantiles
    assert not found.warnings


def test_priors_far_wider_than_the_data_are_told() -> None:
    found = gate("y ~ x + (1 | g)", Intercept="normal(0, 1000)")
    assert found.ratio is not None
    assert found.ratio > 100
    (sentence,) = found.warnings
    assert sentence.startswith("the priors are far wider than the data: 90 % of what they predict is between -")
    assert f"{found.ratio:.0f} times the range of 'y'" in sentence


def test_priors_that_hardly_allow_the_data_are_told() -> None:
    (sentence,) = gate("y ~ 1", Intercept="normal(0, 1)", sigma="half_normal(1)").warnings
    assert sentence.startswith("the priors hardly allow the data: 98 % of what they predict is between -")


def test_counts_are_compared_on_the_log_scale() -> None:
    assert gate("count_ ~ x", "poisson").scale == "log"
    (sentence,) = gate("count_ ~ x", "poisson", Intercept="normal(0, 100)").warnings
    assert "on the log scale" in sentence


def test_a_certain_outcome_is_told() -> None:
    (sentence,) = gate("yes ~ x", "bernoulli", Intercept="normal(0, 100)").warnings
    assert "the priors say that 'yes' is all but certain: 9" in sentence


def test_improper_priors_are_said_to_be_so_and_nothing_is_drawn() -> None:
    found = gate("y ~ x + (1 | g)", preset="brms")
    assert found.quantiles == {}
    assert found.reason == "the prior of b(x) is improper, so nothing can be drawn from it"


def test_the_draws_have_the_variance_that_the_priors_imply() -> None:
    """Of y = intercept + effect + error: 3^2 + E[sd^2] + E[sigma^2], E[sd^2] of half-normal(2) is 4."""
    design = design_of("y ~ 1 + (1 | g)", small())
    given = {"Intercept": "normal(50, 3)", "sd": "half_normal(2)", "sigma": "half_normal(1)"}
    drawn = prior_predictive.draws(design, default_priors.resolve(design, given), np.random.default_rng(1), 20_000)
    total = drawn.b[:, 0] + drawn.effects["g"][:, 3, 0]
    assert np.var(total) == pytest.approx(13.0, rel=0.05)
    assert np.mean(total) == pytest.approx(50.0, abs=0.1)


def test_the_same_seed_gives_the_same_quantiles() -> None:
    assert gate("y ~ x + (1 + x | g)", cov="inverse_wishart(3, 1)") == gate(
        "y ~ x + (1 + x | g)", cov="inverse_wishart(3, 1)"
    )
