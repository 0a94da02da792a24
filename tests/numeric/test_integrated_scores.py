"""Scores agree with sums over a grid that hold no Monte Carlo: integrated LOO and leave-one-group-out.

Draws are independent and exact, so that nothing but the scores is under test. A total must be within 0.05 of the
truth and within 4 of the Monte Carlo errors that it reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures import exact_posteriors as exact
from fixtures.small_data import dataset_of, design_of
from scipy.stats import norm

from multilevel import integration, units
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import dic, logo, loo

SIZE = 16_000


@pytest.fixture(scope="module", autouse=True)
def every_draw() -> Iterator[None]:
    """Let quadrature take all draws, so that little Monte Carlo is left in the comparisons."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integration, "MOST_DRAWS", SIZE)
        yield


@cache
def grid(name: str) -> Any:
    if name == "slopes":
        return exact.slopes_grid(exact.slopes())
    return exact.posterior(getattr(exact, name)())


@cache
def truth(name: str) -> dict[str, Any]:
    if name == "slopes":
        return exact.slopes_exact(exact.slopes(), grid(name))
    return vars(exact.exact(getattr(exact, name)(), grid(name)))


@cache
def design(name: str) -> Design:
    example = getattr(exact, name)()
    columns = {"y": example.y, "g": [f"{j:02d}" for j in example.group]}
    if name == "slopes":
        return design_of("y ~ x + (1 + x | g)", dataset_of(**columns, x=example.x))
    family = {"pairs": "gaussian", "bernoulli": "bernoulli", "poisson": "poisson"}[name]
    return design_of("y ~ 1 + (1 | g)", dataset_of(**columns), family)


def draws(name: str, size: int = SIZE, seed: int = 1) -> Draws:
    example = getattr(exact, name)()
    make = exact.slopes_sample if name == "slopes" else exact.sample
    return make(example, grid(name), size, seed)


@cache
def scored(name: str) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any], pd.DataFrame]:
    drawn = draws(name)
    return *loo.score(design(name), drawn), *logo.score(
        design(name), drawn, units.of_term(design(name).group_terms[0]), {}
    )


EXAMPLES = ["pairs", "slopes", "bernoulli", "poisson"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_integrated_leave_one_out(name: str) -> None:
    record, table, _, _ = scored(name)
    assert record["estimators"] == {loo.INTEGRATED: len(table)}
    assert abs(record["elpd"] - truth(name)["loo"].sum()) < min(0.05, 4 * record["mcse"])
    assert np.abs(table["elpd"] - truth(name)["loo"]).max() < 0.05
    assert record["k_max"] < record["conditional"]["k_max"]
    assert record["mcse"] < record["conditional"]["mcse"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_leave_one_group_out(name: str) -> None:
    _, _, record, table = scored(name)
    assert abs(record["elpd"] - truth(name)["logo"].sum()) < min(0.05, 4 * record["mcse"])
    assert np.abs(table["elpd"] - truth(name)["logo"]).max() < 0.05
    assert record["se"] == pytest.approx(np.sqrt(len(table)) * table["elpd"].std(ddof=1))  # J terms, not N
    assert record["n_units"] == design(name).group_terms[0].index.max() + 1


@cache
def deviance(name: str) -> dict[str, Any]:
    return dic.score(design(name), draws(name))[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_deviance_information_criterion(name: str) -> None:
    found, exactly = deviance(name), truth(name)
    for key, value, error in (
        ("dbar", exactly["dbar"], "mcse_dbar"),
        ("p_d", exactly["dbar"] - exactly["at_plug_in"], "mcse_p_d"),
        ("p_v", exactly["p_v"], "mcse_p_v"),
        ("p_kl", exactly["p_kl"].sum(), "mcse_p_kl"),
        ("p_opt", exactly["p_opt"].sum(), "mcse_p_opt"),
    ):
        assert abs(found[key] - value) < 4 * found[error], (key, found[key], value, found[error])
        assert 0 < found[error] < 0.05 + 0.05 * value, key  # else agreement says little
    own, integrated = found["integrated"], exactly["integrated_dbar"]
    for key, value, error in (
        ("dbar", integrated, "mcse_dbar"),
        ("p_d", integrated - exactly["integrated_at_plug_in"], "mcse_p_d"),
        ("p_v", exactly["integrated_p_v"], "mcse_p_v"),
    ):
        assert abs(own[key] - value) < 4 * own[error], (key, own[key], value, own[error])
    assert "new levels of g" in own["predicts"]


@pytest.mark.slow
def test_monte_carlo_errors_of_penalties_are_right() -> None:
    """Over sets of independent draws, penalties scatter as their errors say."""
    sets = [dic.score(design("pairs"), draws("pairs", 1000, seed))[0] for seed in range(40)]
    for name in ("p_d", "p_v", "p_kl"):
        scatter = np.std([record[name] for record in sets], ddof=1)
        claimed = np.mean([record[f"mcse_{name}"] for record in sets])
        assert 0.6 < scatter / claimed < 1.6, (name, scatter, claimed)


def test_the_truth_does_not_depend_on_the_grid() -> None:
    example = exact.bernoulli()
    coarse = vars(exact.exact(example.coarser()))
    for key, value in vars(exact.exact(example)).items():
        assert np.sum(coarse[key]) == pytest.approx(np.sum(value), abs=2e-3), key


# Normal data in pairs, mean 0 and standard deviations known: everything by hand.


def test_conditional_scores_are_too_good_though_every_k_is() -> None:
    tau, sigma, groups, size = 0.8, 1.0, 100, 4000
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(groups), 2)
    y = (tau * rng.normal(size=groups))[group] + sigma * rng.normal(size=2 * groups)
    other = y.reshape(-1, 2)[:, ::-1].ravel()
    shrink = tau**2 / (tau**2 + sigma**2)
    exactly = norm.logpdf(y, shrink * other, np.sqrt(sigma**2 + shrink * sigma**2)).sum()
    variance = 1 / (1 / tau**2 + 2 / sigma**2)
    mean = variance * np.bincount(group, y) / sigma**2
    made = design_of("y ~ 0 + (1 | g)", dataset_of(y=y, g=[f"{j:03d}" for j in group]))
    known = {"sigma": np.full(size, sigma)}, {"g": np.full((size, 1), tau)}
    optimism = []
    for _ in range(10):
        effects = (mean + np.sqrt(variance) * rng.standard_normal((size, groups)))[..., None].astype(np.float32)
        record, table = loo.score(made, Draws(4, size // 4, np.zeros((size, 0)), {"g": effects}, *known))
        assert record["elpd"] == pytest.approx(exactly, abs=1e-6)  # what is not integrated out is known
        if record["conditional"]["k_counts"]["good"] == len(table):
            optimism.append((record["conditional"]["elpd"] - exactly) / record["conditional"]["mcse"])
    assert len(optimism) >= 3  # sets of draws without a high k, of which none has given a hint
    assert np.mean(optimism) > 1.5
