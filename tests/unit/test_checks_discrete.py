"""Rootograms, calibration, coverage and statistics of counts, against what is known of the replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy.special import expit

from multilevel import checks, checks_coverage, checks_discrete, families
from multilevel.predictor import Draws

RNG = np.random.default_rng(2)


def test_a_rootogram_counts_every_count() -> None:
    y = np.array([0.0, 0.0, 1.0, 3.0])
    replicates = np.array([[0.0, 1.0, 1.0, 3.0], [0.0, 0.0, 0.0, 2.0]])
    found = checks_discrete.rootogram(y, [replicates[:1], replicates[1:]])
    assert found["low"].tolist() == [0, 1, 2, 3]
    assert found["high"].tolist() == [0, 1, 2, np.inf]
    assert found["observed"].tolist() == [2, 1, 0, 1]
    assert found["predicted"].tolist() == [2.0, 1.0, 0.5, 0.5]
    assert found["lower"].tolist() == pytest.approx([1.05, 0.05, 0.025, 0.025])


def test_a_wide_range_of_counts_is_taken_together_and_wild_replicates_count_in_the_last_class() -> None:
    y = RNG.poisson(400.0, 500).astype(float)
    replicates = RNG.poisson(400.0, (50, 500)).astype(float)
    replicates[7, 3] = 1e15
    found = checks_discrete.rootogram(y, [replicates])
    assert len(found) <= checks_discrete.MOST_BARS
    width = found["low"].diff().dropna().unique()
    assert len(width) == 1
    assert width[0] == np.floor(width[0]) > 1
    np.testing.assert_array_equal(found["high"][:-1], found["low"][1:].to_numpy() - 1)
    assert found["observed"].sum() == 500
    assert found["predicted"].sum() == pytest.approx(500)
    inside = (found["observed"] >= found["lower"]) & (found["observed"] <= found["upper"])
    assert inside.mean() > 0.85


def test_zeros_stand_alone_where_counts_are_taken_together() -> None:
    y = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 120.0])
    found = checks_discrete.rootogram(y, [np.tile(y, (30, 1))])
    assert found["low"].tolist()[:3] == [0.0, 1.0, 4.0]
    assert found["high"].tolist()[:2] == [0.0, 3.0]
    assert found["observed"].tolist()[:3] == [3.0, 3.0, 0.0]
    assert found["observed"].sum() == len(y)


def test_a_poisson_that_misses_zeros_shows_it() -> None:
    y = np.where(RNG.random(600) < 0.3, 0, RNG.poisson(3.0, 600)).astype(float)
    replicates = RNG.poisson(y.mean(), (200, 600)).astype(float)
    zeros = checks_discrete.rootogram(y, [replicates]).iloc[0]
    assert zeros["observed"] > zeros["upper"]
    functions = checks_discrete.statistics_of(families.get("poisson"))
    table = checks.check(y, [replicates], {}, 200, discrete=True, functions=functions).statistics.set_index("statistic")
    assert table.loc["share of zeros", "observed"] == (y == 0).mean()
    assert table.loc["share of zeros", "tail_probability"] == 0.0
    assert table.loc["variance / mean", "observed"] == pytest.approx(y.var(ddof=1) / y.mean())
    assert table.loc["variance / mean", "predicted"] == pytest.approx(1.0, abs=0.02)


def test_statistics_suit_the_family() -> None:
    def names(family: str) -> list[str]:
        return list(checks_discrete.statistics_of(families.get(family)))

    assert names("gaussian") == names("bernoulli") == names("gamma") == []
    assert names("hurdle_poisson") == names("binomial") == ["share of zeros", "variance / mean"]
    assert names("zero_one_inflated_beta") == ["share of zeros", "share of ones"]
    zeros = checks_discrete.statistics_of(families.get("poisson"))["variance / mean"](np.zeros((2, 5)))
    np.testing.assert_array_equal(zeros, [0.0, 0.0])


ROWS = 800
X = RNG.normal(0.0, 1.5, ROWS)
TRIALS = RNG.integers(1, 6, ROWS).astype(float)
P = expit(-0.5 + X)
DATA = dataset_of(
    x=X, n=TRIALS, yes=(RNG.random(ROWS) < P).astype(float), s=RNG.binomial(TRIALS.astype(int), P).astype(float)
)


@pytest.mark.parametrize(("text", "family"), [("yes ~ x", "bernoulli"), ("s | trials(n) ~ x", "binomial")])
def test_true_probabilities_are_calibrated_and_wrong_ones_are_not(text: str, family: str) -> None:
    design = design_of(text, DATA, family)
    trials = design.terms.get("trials", np.ones(ROWS))

    def found(slope: float) -> pd.DataFrame:
        draws = Draws(1, 100, np.tile([-0.5, slope], (100, 1)), {}, {})
        return checks_discrete.calibration(design, draws, checks.replicate_blocks(design, draws, 1))

    right, wrong = found(1.0), found(0.2)
    assert len(right) == checks_discrete.BINS
    assert right["n"].sum() == ROWS
    assert right["trials"].sum() == trials.sum()
    assert (right["n"] == ROWS / checks_discrete.BINS).all()
    assert (right["low"].to_numpy()[1:] >= right["high"].to_numpy()[:-1]).all()
    first = np.argsort(P)[: ROWS // checks_discrete.BINS]
    assert right["observed"][0] == pytest.approx(design.y[first].sum() / trials[first].sum())
    assert right["predicted"][0] == pytest.approx((P * trials)[first].sum() / trials[first].sum())
    inside = [((t["observed"] >= t["lower"]) & (t["observed"] <= t["upper"])).mean() for t in (right, wrong)]
    assert inside[0] >= 0.8
    assert inside[1] <= 0.5


def test_rows_of_one_probability_are_one_bin_and_rows_without_trials_none() -> None:
    data = dataset_of(s=[1.0, 0.0, 2.0, 0.0], n=[2.0, 2.0, 4.0, 0.0])
    design = design_of("s | trials(n) ~ 1", data, "binomial")
    draws = Draws(1, 60, np.zeros((60, 1)), {}, {})
    found = checks_discrete.calibration(design, draws, checks.replicate_blocks(design, draws, 1))
    assert found[["n", "trials", "predicted", "observed"]].to_numpy().tolist() == [[3, 8, 0.5, 3 / 8]]


def test_intervals_of_the_truth_cover_as_often_as_they_say() -> None:
    y, replicates = RNG.normal(size=2000), RNG.normal(size=(200, 2000))
    found = checks_coverage.coverage(y, replicates)
    assert found["probability"].tolist() == [0.5, 0.8, 0.95]
    np.testing.assert_allclose(found["predicted"], found["probability"], atol=0.01)
    assert ((found["observed"] >= found["lower"]) & (found["observed"] <= found["upper"])).all()
    narrow = checks_coverage.coverage(3 * y, replicates)
    assert (narrow["observed"] < narrow["lower"]).all()


def test_coverage_of_counts_is_compared_with_what_counts_can_reach() -> None:
    y, replicates = RNG.poisson(0.5, 2000).astype(float), RNG.poisson(0.5, (200, 2000)).astype(float)
    found = checks_coverage.coverage(y, replicates)
    assert found["predicted"][0] > 0.55  # no central half of three values has probability one half
    assert ((found["observed"] >= found["lower"]) & (found["observed"] <= found["upper"])).all()


@pytest.mark.parametrize(
    ("count", "rows", "kept"), [(1000, 10, 200), (30, 10, 30), (1000, 100_000, 80), (1000, 10**7, 40)]
)
def test_of_many_rows_fewer_replicates_are_kept(count: int, rows: int, kept: int) -> None:
    sample = checks_coverage.Sample(count, rows)
    assert len(sample.wanted) == kept
    assert {0, count - 1} <= sample.wanted


def test_a_sample_lets_every_replicate_pass() -> None:
    blocks = [np.arange(6.0).reshape(3, 2), np.arange(6.0, 10.0).reshape(2, 2)]
    sample = checks_coverage.Sample(5, 2)
    sample.wanted = {0, 3}
    assert [block.tolist() for block in sample.of(blocks)] == [block.tolist() for block in blocks]
    assert sample.replicates.tolist() == [[0.0, 1.0], [6.0, 7.0]]


def test_quantiles_of_wild_counts_take_no_memory() -> None:
    values = np.tile([0.0, 1.0, 1e15], (2, 1))
    found = checks.quantiles_of(values, discrete=True)
    assert np.isfinite(found).all()
    assert found[-1, 0] > 1e14


def test_replicates_of_a_long_tail_leave_the_data_legible() -> None:
    """A negative binomial that expects counts far beyond the data: classes and curves stay near the data."""
    y = np.concatenate([np.zeros(90), RNG.negative_binomial(0.5, 0.01, 170)]).clip(0, 357).astype(float)
    replicates = RNG.negative_binomial(0.3, 0.001, (40, len(y))).astype(float)
    assert replicates.max() > 5 * y.max()
    found = checks_discrete.rootogram(y, [replicates])
    assert found["low"].max() < 1.3 * y.max()
    assert np.isinf(found["high"].iloc[-1])
    assert found["observed"].sum() == len(y)
    assert found["predicted"].sum() == pytest.approx(len(y))
    assert (found["observed"] > 0).sum() > 15
    curves = checks.densities(y, replicates[:5], {}, discrete=True)
    assert curves["x"].min() == 0.0
    assert y.max() < curves["x"].max() < 1.7 * y.max()
    observed = curves[curves["source"] == "observed"]
    assert (observed["density"] > 0.5 * observed["density"].max()).mean() < 0.2  # a peak as narrow as that of the data


def test_of_zeros_and_ones_only_means_are_compared() -> None:
    groups = {"g": checks.Grouping(np.arange(ROWS) % 7, tuple("abcdefg"))}
    binary = design_of("yes ~ x", DATA, "bernoulli")
    assert list(checks.functions_of(binary, groups)) == ["mean", "sd of g means"]
    counts = design_of("s | trials(n) ~ x", DATA, "binomial")
    assert {"median", "sd", "sd of g means"} <= set(checks.functions_of(counts, groups))
