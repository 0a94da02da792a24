"""Group terms whose levels follow each other in time: densities, forward draws, what refuses them, and ML by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import (
    cautions,
    convergence,
    default_priors,
    equations,
    estimands,
    formula,
    gaussian_ml,
    integration,
    nesting,
    prior_predictive,
    units,
)
from multilevel.dataset import Dataset
from multilevel.design import Design, Term
from multilevel.errors import FormulaError, StudyError
from multilevel.gaussian_ml import NotGaussianError
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.structures import ar1, rw

WEEKS = (1, 2, 4, 5, 9)


def data(seed: int = 4) -> Dataset:
    """Return rows in no order: each of four shops seen in some of five weeks, which are not evenly spaced."""
    rng = np.random.default_rng(seed)
    rows = [(s, w) for s in range(4) for w in WEEKS for _ in range(2) if (s + w) % 4]
    rng.shuffle(rows)
    shop, week = np.array(rows).T
    named = [f"w{w}" for w in week]
    return dataset_of(
        y=rng.normal(size=len(rows)),
        x=rng.normal(size=len(rows)),
        week=week.astype(np.int64),
        half=week / 2.0,
        shop=[f"s{s}" for s in shop],
        named=pd.Categorical(named, categories=[f"w{w}" for w in range(1, 10)], ordered=True),
        loose=named,
    )


ROWS = data()


def term_of(text: str) -> Term:
    return design_of(text, ROWS).group_terms[0]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("(1 | ar1(week))", "(1 | gr(week, structure=ar1))"),
        ("(1 | rw( week ))", "(1 | gr(week, structure=rw))"),
        ("(1 + x || ar1(shop:week))", "(1 + x || gr(shop:week, structure=ar1))"),
        ("(1 | gr(week, structure = 'rw'))", "(1 | gr(week, structure=rw))"),
    ],
)
def test_structures_in_time_are_read_and_written(written: str, canonical: str) -> None:
    parsed = formula.parse(f"y ~ 1 + {written}")
    assert canonical in str(parsed)
    assert formula.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(1 | gr(week, structure=ar2))", "unknown structure 'ar2' of the levels of a group; did you mean 'ar1'?"),
        ("(1 | gr(week, structure=ar1, dist=student))", "levels that follow each other in time take no dist="),
        ("(1 | gr(week, structure=rw, cov=kinship))", "levels that follow each other in time take no cov="),
        ("(1 | ar1(week, by=shop))", "levels that follow each other in time take no by="),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        formula.parse(f"y ~ 1 + {text}")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(1 | ar1(half))", "an autoregression counts whole steps, and 'half' is"),
        ("(1 | ar1(loose))", "the levels of 'loose' have no order in time"),
        ("(1 | rw(loose))", "the levels of 'loose' have no order in time"),
        ("(1 | ar1(week:shop))", "the levels of 'shop' have no order in time"),
    ],
)
def test_times_without_order_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(StudyError) as caught:
        design_of(f"y ~ 1 + {text}", ROWS)
    assert sentence in str(caught.value)


def test_a_series_of_single_levels_is_refused() -> None:
    rows = dataset_of(y=[1.0, 2.0, 4.0, 3.0], shop=list("aabb"), week=[1, 1, 2, 2])
    with pytest.raises(StudyError, match="no series has more than one level of 'week'"):
        design_of("y ~ 1 + (1 | ar1(shop:week))", rows)


def test_times_are_numbers_or_places_in_a_declared_order() -> None:
    by_number, by_name = term_of("y ~ (1 | ar1(week))").chain, term_of("y ~ (1 | ar1(named))").chain
    assert by_number is not None
    assert by_name is not None
    assert sorted(by_number.at) == list(WEEKS)
    assert sorted(by_name.at + 1) == list(WEEKS)  # weeks that nobody was seen in still count
    several = term_of("y ~ (1 | ar1(shop:week))").chain
    assert several is not None
    assert several.group == "shop"
    assert len(several.sizes) == 4


def walk_by_hand(at: np.ndarray) -> np.ndarray:
    """Return the covariance of a walk that sums to zero: the generalised inverse of the structure matrix of its steps."""
    order = np.argsort(at)
    steps = np.zeros((len(at) - 1, len(at)))
    for i in range(len(at) - 1):
        root = np.sqrt(at[order[i + 1]] - at[order[i]])
        steps[i, order[i]], steps[i, order[i + 1]] = -1.0 / root, 1.0 / root
    return np.linalg.pinv(steps.T @ steps)


def test_the_factor_of_a_walk_is_that_of_the_generalised_inverse() -> None:
    term = term_of("y ~ (1 | rw(half))")
    assert term.chain is not None
    found = term.factor.toarray()
    assert found @ found.T == pytest.approx(walk_by_hand(term.chain.at), abs=1e-12)
    assert found.sum(axis=0) == pytest.approx(np.zeros(len(WEEKS) - 1), abs=1e-12)
    several = term_of("y ~ (1 | rw(shop:week))")
    assert several.chain is not None
    whole = (several.factor @ several.factor.T).toarray()
    for shop in range(4):
        own = several.chain.subject == shop
        assert whole[np.ix_(own, own)] == pytest.approx(walk_by_hand(several.chain.at[own]), abs=1e-12)
        assert np.abs(whole[np.ix_(own, ~own)]).max() == 0.0


def test_the_density_of_a_walk_is_that_of_its_steps() -> None:
    term = term_of("y ~ (1 + x | rw(half))")
    assert term.chain is not None
    covariance = np.array([[0.7, 0.2], [0.2, 1.1]])
    effects = rw.draws(np.random.default_rng(1), term.factor, covariance)
    assert effects.sum(axis=0) == pytest.approx([0.0, 0.0], abs=1e-12)
    times = np.sort(term.chain.at)
    sorted_ = effects[np.argsort(term.chain.at)]
    expected = sum(
        stats.multivariate_normal.logpdf(
            sorted_[i + 1] - sorted_[i], np.zeros(2), (times[i + 1] - times[i]) * covariance
        )
        for i in range(len(times) - 1)
    )
    assert rw.log_density(effects, covariance, term.chain.order, term.chain.gaps) == pytest.approx(expected)


@pytest.mark.parametrize("structure", ["ar1", "rw"])
def test_forward_draws_have_the_covariance_of_the_structure(structure: str) -> None:
    made = design_of(f"y ~ (1 | {structure}(shop:week))", ROWS)
    term = made.group_terms[0]
    assert term.chain is not None
    name = default_priors.sd_name(term, "Intercept")
    # Priors that are all but known, so that the covariance is one matrix.
    priors = {name: Prior("uniform", (0.8 - 1e-9, 0.8 + 1e-9)), "phi(shop:week)": Prior("uniform", (0.6, 0.6 + 1e-9))}
    count = 100_000
    found = prior_predictive._effects(term, priors, {}, "mu", np.random.default_rng(2), count)[:, :, 0]
    if structure == "ar1":
        known = ar1.correlation(term.chain.at, term.chain.subject, 0.6)
    else:
        known = (term.factor @ term.factor.T).toarray()
    sd = 0.8 * np.sqrt(np.diag(known))
    assert found.std(axis=0) == pytest.approx(sd, rel=4.5 / np.sqrt(2 * count))
    ours = np.corrcoef(found.T)
    assert ours == pytest.approx(0.64 * known / np.outer(sd, sd), abs=4.5 / np.sqrt(count))


def test_default_priors_of_a_walk_are_of_the_whole_walk() -> None:
    plain, walk = design_of("y ~ (1 | week)", ROWS), design_of("y ~ (1 | rw(week))", ROWS)
    term = walk.group_terms[0]
    assert term.chain is not None
    rate = {d: default_priors.resolve(d_, {})[1].prior.arguments[0] for d, d_ in (("plain", plain), ("walk", walk))}
    spread = np.sqrt(np.diag(walk_by_hand(term.chain.at)).mean())
    assert rate["walk"] == pytest.approx(rate["plain"] * spread)
    chained = default_priors.resolve(design_of("y ~ (1 | ar1(week))", ROWS), {"phi(week)": "normal(0.5, 0.2)"})
    assert {e.parameter: f"{e.prior} {e.note}" for e in chained}["phi(week)"] == "normal(0.5, 0.2) between -1 and 1"
    with pytest.raises(FormulaError, match="cannot be the prior of a correlation"):
        default_priors.resolve(design_of("y ~ (1 | ar1(week))", ROWS), {"phi(week)": "exponential(1)"})


@pytest.mark.parametrize("structure", ["ar1", "rw"])
def test_what_is_not_defined_for_levels_in_time_is_refused(structure: str) -> None:
    made = design_of(f"y ~ x + (1 | {structure}(week))", ROWS)
    words = f"the levels of 'week' follow each other in time ({structure})"
    assert nesting.reason_against(made) == words
    draws = draws_of(made)
    assert integration.most(made, draws) == (None, words)
    with pytest.raises(integration.NotIntegrableError, match="follow each other in time"):
        integration.integral(made, draws, units.of_grouping(ROWS.frame, "week"), {})
    assert "icc(week)" not in estimands.catalogue(made)
    if structure == "ar1":
        assert "phi(week)" in estimands.catalogue(made)
        with pytest.raises(NotGaussianError, match="follow each other in time"):
            gaussian_ml.maximise(made, "ml")
    assert not [s for s in cautions.find(made, {"family": "gaussian"}) if "hard to tell" in s]


def draws_of(made: Design, size: int = 2) -> Draws:
    rng = np.random.default_rng(1)
    shapes = {t.key: (size, len(t.levels), len(t.effects)) for t in made.group_terms}
    effects: dict[str, Any] = {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    sd = {key: rng.uniform(0.5, 1.0, (size, shape[2])) for key, shape in shapes.items()}
    return Draws(1, size, rng.normal(size=(size, len(made.all_coefficients))), effects, {"sigma": np.ones(size)}, sd)


def test_ml_of_a_walk_is_that_of_its_whole_covariance() -> None:
    made = design_of("y ~ x + (1 | rw(week))", ROWS)
    found = gaussian_ml.maximise(made, "ml")
    term = made.group_terms[0]
    member = term.membership().toarray()
    assert term.chain is not None
    estimates = found.estimates
    walk = member @ walk_by_hand(term.chain.at) @ member.T
    cov = estimates["sd(week: Intercept)"] ** 2 * walk + estimates["sigma"] ** 2 * np.eye(len(made.y))
    mean = made.x @ np.array([estimates["Intercept"], estimates["b(x)"]])
    assert found.log_likelihood == pytest.approx(stats.multivariate_normal.logpdf(made.y, mean, cov), abs=1e-7)


@pytest.mark.parametrize("structure", ["ar1", "rw"])
def test_equations_say_what_follows_what(structure: str) -> None:
    found = equations.describe(design_of(f"y ~ x + (1 | {structure}(shop:week))", ROWS))
    line = found["levels"][1]["latex"][-1]
    assert r"\text{values of }\text{week}\text{ within one shop}" in line
    assert (r"\sum_t" in line) == (structure == "rw")
    assert "follow each other in time" in found["plain"]


def test_the_posterior_names_the_autoregression() -> None:
    import xarray as xr

    made = design_of("y ~ 1 + (1 | ar1(week))", ROWS)
    rng = np.random.default_rng(3)
    shape = (2, 50)
    posterior = xr.Dataset(
        {
            "b": (("chain", "draw", "coefficient"), rng.normal(size=(*shape, 1))),
            "sd_week": (("chain", "draw", "week_effect"), rng.uniform(size=(*shape, 1))),
            "phi_week": (("chain", "draw"), rng.uniform(size=shape)),
            "r_week": (("chain", "draw", "week_level", "week_effect"), rng.normal(size=(*shape, 5, 1))),
            "sigma": (("chain", "draw"), rng.uniform(size=shape)),
        }
    )
    names = [q.parameter for q in convergence.quantities(posterior, made)]
    assert "phi(week)" in names
