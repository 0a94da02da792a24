"""The mixture by stacking weights: its score is that of the mixed densities, its predictions are weighted replicates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy.stats import norm

from multilevel import stacked
from multilevel.comparison import Candidate, compare
from multilevel.predictor import Draws
from multilevel.scores import subsampled
from multilevel.stacked import Member

N = 40


def scored(model: str, elpd: np.ndarray, status: str = "ok", **sampling: Any) -> Candidate:
    record = {
        "elpd": float(elpd.sum()),
        "se": float(np.sqrt(len(elpd) * np.var(elpd, ddof=1))),
        "p_loo": 2.0,
        "k_max": 0.4,
        "k_threshold": 0.7,
        "k_counts": {"good": len(elpd), "bad": 0, "very_bad": 0},
        "unit": "observation",
        "fingerprint": {"rows": "r", "response": "y"},
        **sampling,
    }
    return Candidate(model, status, record, pd.DataFrame({"row_id": [str(i) for i in range(len(elpd))], "elpd": elpd}))


def two() -> list[Candidate]:
    rng = np.random.default_rng(1)
    return [scored("a", rng.normal(-1.0, 0.8, N)), scored("b", rng.normal(-1.1, 0.8, N))]


def test_the_mixture_scores_the_logarithm_of_mixed_densities_and_beats_every_single_model() -> None:
    candidates = two()
    table = compare(candidates)
    found = stacked.of_scores(candidates, table)
    weight = found["weights"]
    densities = [weight[c.model] * np.exp(c.elpd) for c in candidates]
    by_hand = np.log(sum(densities))
    assert found["elpd"] == pytest.approx(by_hand.sum(), rel=1e-12)
    assert found["se"] == pytest.approx(math.sqrt(N * np.var(by_hand, ddof=1)), rel=1e-12)
    best = max(candidates, key=lambda c: c.elpd.sum())
    assert found["elpd_diff"] == pytest.approx((by_hand - best.elpd).sum(), rel=1e-9)
    assert found["se_diff"] == pytest.approx(math.sqrt(N * np.var(by_hand - best.elpd, ddof=1)), rel=1e-9)
    assert found["elpd_diff"] > 0
    assert sum(weight.values()) == pytest.approx(1.0)


def test_fits_that_failed_are_no_part_of_the_mixture_and_one_model_makes_none() -> None:
    candidates = [*two(), scored("c", np.full(N, 5.0), status="failed checks")]
    assert set(stacked.of_scores(candidates, compare(candidates))["weights"]) == {"a", "b"}
    alone = candidates[:1]
    assert stacked.of_scores(alone, compare(alone)) == {}


def test_of_a_sample_of_rows_the_mixtures_total_is_that_of_all_rows() -> None:
    """The mean over many samples of the rows is the total of all of them, at the same weights."""
    rng, count, n = np.random.default_rng(3), 4000, 200
    surrogate = -1.0 - rng.gamma(2.0, 0.5, (2, count))
    elpd = surrogate + rng.normal(0.05, 0.3, (2, count))
    shares = np.array([0.6, 0.4])
    truth = float(np.log(shares @ np.exp(elpd)).sum())
    totals = []
    for _ in range(200):
        rows = np.sort(rng.choice(count, n, replace=False))
        candidates = []
        for k, name in enumerate("ab"):
            total, error = subsampled.difference_estimate(elpd[k, rows], surrogate[k, rows], surrogate[k].sum(), count)
            sampling = {"of": count, "rows": n, "se": error, "surrogate_total": float(surrogate[k].sum())}
            one = scored(name, elpd[k, rows], elpd_all=0.0, subsampling=sampling)
            assert one.record is not None
            assert one.pointwise is not None
            table = one.pointwise.assign(surrogate=surrogate[k, rows])
            candidates.append(replace(one, record={**one.record, "elpd": total}, pointwise=table))
        made = compare(candidates)
        made["weight"] = made["model"].map({"a": 0.6, "b": 0.4})
        totals.append(stacked.of_scores(candidates, made)["elpd"])
    assert abs(np.mean(totals) - truth) < 4 * np.std(totals) / math.sqrt(200)


def members(weights: tuple[float, float] = (0.75, 0.25)) -> list[Member]:
    """Return two normal models of four rows: one predicts N(0, 1) and the other N(10, 2), whatever the draw."""
    data = dataset_of(y=[0.0, 10.0, 3.0, -4.0])
    design = design_of("y ~ 1", data)

    def draws(mean: float, sigma: float) -> Draws:
        size = 4000
        return Draws(4, size // 4, np.full((size, 1), mean), {}, {"sigma": np.full(size, sigma)})

    return [
        Member(weights[0], design, draws(0.0, 1.0)),
        Member(weights[1], design, draws(10.0, 2.0)),
    ]


def test_predictions_are_those_of_the_mixture_of_distributions() -> None:
    table = stacked.predictions(members(), np.arange(4), seed=7)
    mean = 0.75 * 0 + 0.25 * 10
    variance = 0.75 * 1 + 0.25 * (4 + 100) - mean**2
    n_a, n_b = 1000, 1000
    error = math.sqrt(0.75**2 * 1 / n_a + 0.25**2 * 4 / n_b)
    assert np.abs(table["mean"] - mean).max() < 4 * error
    np.testing.assert_allclose(table["sd"], math.sqrt(variance), rtol=0.02)

    def below(x: float) -> float:
        return float(0.75 * norm.cdf(x) + 0.25 * norm.cdf(x, 10, 2))

    for p, name in zip(stacked.ENDS, ("q2.5", "q25", "q75", "q97.5"), strict=True):
        shares = [below(x) for x in table[name]]
        assert np.abs(np.array(shares) - p).max() < 4 * math.sqrt(p * (1 - p) / 1000)
    assert table["observed"].tolist() == [0.0, 10.0, 3.0, -4.0]
    record = stacked.summarise(table, {"a": 0.75, "b": 0.25})
    assert record["coverage"]["0.95"] == 0.75  # all but -4
    assert record["rows"] == 4


def test_predictions_are_of_the_rows_asked_for_and_follow_the_seed() -> None:
    rows = np.array([1, 3])
    table = stacked.predictions(members(), rows, seed=7)
    assert table["observed"].tolist() == [10.0, -4.0]
    pd.testing.assert_frame_equal(table, stacked.predictions(members(), rows, seed=7))
    assert not table.equals(stacked.predictions(members(), rows, seed=8))


def test_a_model_without_weight_in_a_mixture_changes_nothing() -> None:
    weights = np.array([0.5, 0.5, 0.0])
    values = np.array([[1.0], [2.0], [99.0]])
    np.testing.assert_array_equal(stacked.weighted_quantiles(values, weights, (0.25, 0.5, 0.975)).ravel(), [1, 1, 2])


def test_weighted_quantiles_of_equal_weights_are_order_statistics() -> None:
    values = np.random.default_rng(2).normal(size=(200, 3))
    found = stacked.weighted_quantiles(values, np.full(200, 1 / 200), (0.025, 0.5, 0.975))
    expected = np.quantile(values, (0.025, 0.5, 0.975), axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(found, expected)


def test_categories_get_probabilities() -> None:
    data = dataset_of(y=pd.Categorical(["a", "b", "c", "a"], ordered=True))
    design = design_of("y ~ 1", data, family="cumulative")
    size = 1000
    draws = Draws(2, size // 2, np.tile([-1.0, 1.0], (size, 1)), {}, {})
    table = stacked.predictions([Member(1.0, design, draws)], np.arange(4), seed=1)
    assert list(table) == ["observed", "p[a]", "p[b]", "p[c]"]
    assert table["observed"].tolist() == ["a", "b", "c", "a"]
    expected = 1 / (1 + math.e)
    np.testing.assert_allclose(table["p[a]"], expected, atol=4 * math.sqrt(expected * (1 - expected) / size))
    np.testing.assert_allclose(table.drop(columns="observed").sum(axis=1), 1.0, rtol=1e-12)
    assert "coverage" not in stacked.summarise(table, {"a": 1.0})


def test_models_of_different_responses_are_not_mixed() -> None:
    data = dataset_of(y=[1.0, 2.0], log_y=[0.0, 0.7])
    draws = Draws(1, 1, np.zeros((1, 1)), {}, {"sigma": np.ones(1)})
    pair = [Member(0.5, design_of(f"{name} ~ 1", data), draws) for name in ("y", "log_y")]
    assert stacked.refusal(pair) == "the candidates predict different responses, y and log_y"
    assert stacked.refusal(pair[:1]) == ""
