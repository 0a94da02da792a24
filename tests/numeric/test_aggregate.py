"""Identical rows taken together leave the density of the parameters as it is, constants included."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from fixtures import correlated
from fixtures.small_data import dataset_of, design_of

from multilevel import aggregate, default_priors
from multilevel.design import Design, Predictor, Term, Thresholds

RNG = np.random.default_rng(8)
ROWS = 240
DATA = dataset_of(
    x=RNG.integers(0, 2, ROWS).astype(float),
    k=RNG.choice(list("pqr"), ROWS).tolist(),
    g=RNG.choice(list("abcd"), ROWS).tolist(),
    z=RNG.normal(0.0, 1.0, ROWS),
    yes=(RNG.random(ROWS) < 0.4).astype(float),
    n=RNG.integers(1, 4, ROWS).astype(float),
    s=(RNG.random(ROWS) < 0.5).astype(float),
    count_=RNG.poisson(1.0, ROWS).astype(float),
    w=RNG.integers(0, 3, ROWS) / 2.0,
    e=RNG.integers(1, 3, ROWS).astype(float),
    c=RNG.choice(["none", "none", "right"], ROWS).tolist(),
    rating=RNG.integers(1, 5, ROWS).astype(float),
)

DATA = replace(DATA, frame=DATA.frame.assign(k2=["b" if k == "p" else "a" for k in DATA.frame["k"]]))

CASES = [
    ("yes ~ x", "bernoulli", {}, 2),
    ("yes ~ x + k + (1 + x | g)", "bernoulli", {}, 24),
    ("yes | weights(w) ~ x + (1 | g)", "bernoulli", {}, 8),
    ("s | trials(n) ~ x + (1 | g)", "binomial", {}, 8),
    ("s | trials(n) + weights(w) ~ x + offset(log(e))", "binomial", {}, 4),
    ("s | trials(n) + cens(c) ~ x", "binomial", {}, None),
    ("s | trials(n) + trunc(ub=2) ~ x", "binomial", {}, None),
    ("s | trials(n) ~ x", "beta_binomial", {"phi": "1 + k"}, None),
    ("s | trials(n) ~ x + (1 | g)", "zero_inflated_binomial", {}, None),
    ("count_ ~ x + offset(log(e))", "poisson", {}, None),
    ("count_ | cens(c) + trunc(ub=9) + weights(w) ~ x", "poisson", {}, None),
    ("count_ ~ x + (1 | p | g)", "negative_binomial", {"shape": "1 + (1 | p | g)"}, None),
    ("count_ ~ x", "zero_inflated_poisson", {"zi": "1 + k"}, None),
    ("count_ ~ x", "hurdle_negative_binomial", {"hu": "1 + x"}, None),
    ("rating ~ x + (1 | g)", "cumulative", {}, 32),
    ("rating | weights(w) ~ x", "cumulative", {"disc": "0 + x"}, None),
    ("rating ~ x + cs(k) + offset(e)", "adjacent", {}, None),
    ("k ~ x + (1 | g)", "categorical", {}, None),
    ("yes ~ x + (1 | mm(g, k))", "bernoulli", {}, 24),
    ("yes ~ (1 | mm(g, k, weights=cbind(e, 0 - n)))", "bernoulli", {}, None),
    ("count_ ~ x + (1 + x | gr(k, by=k2)) + (1 | gr(g, dist=student))", "poisson", {}, None),
]


def density_of(design: Design, full: Design) -> Any:
    """Return the joint log density of a model as a function of its point, with the priors of the full design."""
    from pytensor.compile.mode import Mode

    from multilevel import model

    built = model.build(design, default_priors.resolve(full, {}), centred=False)
    return built, built.compile_logp(mode=Mode(linker="py", optimizer=None))


@pytest.mark.parametrize(("text", "family", "parameters", "left"), CASES)
def test_the_density_is_the_same(text: str, family: str, parameters: dict[str, str], left: int | None) -> None:
    full = design_of(text, DATA, family, **parameters)
    fewer = aggregate.rows(full)
    assert len(fewer.y) < 0.5 * ROWS
    assert left is None or len(fewer.y) == left
    built, whole = density_of(full, full)
    _, together = density_of(fewer, full)
    rng = np.random.default_rng(3)
    for _ in range(3):
        point = {k: rng.normal(0.0, 0.7, np.shape(v)) for k, v in built.initial_point().items()}
        assert float(together(point)) == pytest.approx(float(whole(point)), rel=1e-12, abs=1e-9)


def test_successes_and_trials_are_added_and_equal_counts_are_weighted() -> None:
    fewer = aggregate.rows(design_of("yes ~ x", DATA, "bernoulli"))
    x, yes = DATA.frame["x"], DATA.frame["yes"]
    for row in range(2):
        rows = x == fewer.x[row, 1]
        assert fewer.terms["trials"][row] == rows.sum()
        assert fewer.y[row] == yes[rows].sum()
    counted = aggregate.rows(design_of("count_ ~ x", DATA, "poisson"))
    assert counted.terms["weights"].sum() == ROWS
    assert len(counted.y) == DATA.frame[["x", "count_"]].drop_duplicates().shape[0]
    weighted = aggregate.rows(design_of("count_ | weights(w) ~ x", DATA, "poisson"))
    assert weighted.terms["weights"].sum() == DATA.frame["w"].sum()


def test_rows_stand_in_the_order_in_which_they_first_appear_and_intercepts_at_the_mean_of_all() -> None:
    full = design_of("count_ ~ x + k", DATA, "poisson")
    fewer = aggregate.rows(full)
    kinds = DATA.frame[["x", "k", "count_"]].drop_duplicates()
    np.testing.assert_array_equal(fewer.y, kinds["count_"])
    np.testing.assert_array_equal(fewer.x[:, 1], kinds["x"])
    np.testing.assert_array_equal(fewer.predictors[0].means, full.x[:, 1:].mean(axis=0))
    assert not np.allclose(fewer.x[:, 1:].mean(axis=0), full.x[:, 1:].mean(axis=0))


@pytest.mark.parametrize(
    ("text", "family"),
    [("count_ ~ x", "gaussian"), ("count_ ~ z", "poisson"), ("yes ~ z", "bernoulli"), ("e ~ x", "gamma")],
)
def test_rows_that_differ_and_continuous_responses_stay_as_they_are(text: str, family: str) -> None:
    full = design_of(text, DATA, family)
    assert aggregate.rows(full) is full


def test_whatever_a_design_has_for_each_row_is_known() -> None:
    """A new field must be cut or compared as well; add it to `aggregate` and then here."""
    assert {f.name for f in fields(Design)} == {
        "response", "y", "family", "link", "parameters", "predictors", "group_terms", "terms", "categories",
        "thresholds", "log_jacobian", "curve", "residuals",
    }  # fmt: skip
    assert {f.name for f in fields(Predictor)} == {
        "parameter", "prefix", "x", "coefficients", "terms_of", "scales", "offset", "thresholds",
        "centre",
    }  # fmt: skip
    assert {f.name for f in fields(Thresholds)} == {
        "names", "equidistant", "ordered", "x", "predictors", "terms_of", "scales", "means",
    }  # fmt: skip
    assert {f.name for f in fields(Term)} == {
        "key", "label", "group", "effects", "parameters", "z", "index", "levels", "correlated", "scales", "structure",
        "weights", "factor", "dist", "covariance", "by", "chain",
    }  # fmt: skip


def test_rows_that_are_not_independent_are_not_cut() -> None:
    built = correlated.design_with("cs(person)", correlated.data(), "y ~ x")
    assert aggregate.rows(built) is built
    with pytest.raises(ValueError, match="not independent"):
        aggregate.of_rows(built, np.arange(3))


@pytest.mark.slow
def test_the_sampler_sees_fewer_rows_and_the_posterior_all(tmp_path: Any) -> None:
    """A whole fit: the record says how many rows there were and how many were sampled from, and the draws are right."""
    from multilevel import model, sampling

    full = design_of("yes ~ x", DATA, "bernoulli")
    settings = {"chains": 2, "draws": 400, "tune": 400, "target_accept": 0.9, "max_treedepth": 10}
    priors = default_priors.resolve(full, {})
    trace, _ = sampling.sample(model.build(aggregate.rows(full), priors, centred=False), settings, 1, cores=1)
    stored, _ = sampling.posterior(trace, full, centred=False)
    assert stored["observed_data"].sizes["row"] == ROWS
    rates = 1 / (1 + np.exp(-stored["posterior"]["b"].to_numpy() @ np.array([[1.0, 1.0], [0.0, 1.0]])))
    for x in (0, 1):  # weak priors: the posterior means are near the shares
        rows = DATA.frame["x"] == x
        assert rates[..., x].mean() == pytest.approx(DATA.frame["yes"][rows].mean(), abs=0.02)
