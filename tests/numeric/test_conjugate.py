"""Scores of posteriors that are known exactly agree with their closed forms, within the errors that they report.

Two examples: normal data with unknown mean and variance (normal-inverse-gamma prior), and normal data in groups with
known variances. Draws are independent and exact, so that nothing but the scores is under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy.special import digamma, polygamma
from scipy.stats import norm
from scipy.stats import t as student_t

from multilevel import predictor, psis
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import dic, loo

CHAINS = 4


@dataclass(frozen=True)
class Exact:
    """What the scores estimate."""

    elpd: float
    dbar: float
    deviance_at_plug_in: float
    p_v: float

    @property
    def p_d(self) -> float:
        return self.dbar - self.deviance_at_plug_in


# Normal data, mean and variance unknown: sigma^2 ~ inverse gamma(A, B), mu | sigma^2 ~ normal(M, sigma^2 / K).

Y = np.random.default_rng(1).normal(1.0, 1.3, size=30)
M, K, A, B = 0.0, 0.5, 2.0, 2.0


def updated(y: np.ndarray) -> tuple[float, float, float, float]:
    """Return m, k, a, b of the posterior (Gelman et al., Bayesian Data Analysis, section 3.3)."""
    n, mean = len(y), y.mean()
    spread = np.square(y - mean).sum() + K * n * (mean - M) ** 2 / (K + n)
    return (K * M + n * mean) / (K + n), K + n, A + n / 2, B + spread / 2


def unknown_variance_exact() -> Exact:
    n = len(Y)
    elpd = 0.0
    for i in range(n):
        m, k, a, b = updated(np.delete(Y, i))
        elpd += float(student_t.logpdf(Y[i], 2 * a, m, np.sqrt(b / a * (1 + 1 / k))))
    m, k, a, b = updated(Y)
    squares, away = np.square(Y - m).sum(), n * (m - Y.mean())
    log_variance = np.log(b) - digamma(a)  # E log sigma^2
    constant = n * np.log(2 * np.pi)
    # With precision l ~ gamma(a, b) and z = (mu - m) sqrt(k l) ~ normal(0, 1), independent of it,
    # D = constant - n log l + squares l + (n / k) z^2 + 2 away z sqrt(l / k).
    variance = n**2 * polygamma(1, a) + squares**2 * a / b**2 - 2 * n * squares / b
    variance += 2 * (n / k) ** 2 + 4 * away**2 * a / (b * k)
    return Exact(
        elpd=elpd,
        dbar=float(constant + n * log_variance + squares * a / b + n / k),
        deviance_at_plug_in=float(constant + n * log_variance + squares * np.exp(-log_variance)),
        p_v=float(variance / 2),
    )


def unknown_variance_draws(rng: np.random.Generator, size: int) -> Draws:
    m, k, a, b = updated(Y)
    precision = rng.gamma(a, 1 / b, size)
    mu = rng.normal(m, 1 / np.sqrt(k * precision))
    return Draws(CHAINS, size // CHAINS, mu[:, None], {}, {"sigma": 1 / np.sqrt(precision)})


# Normal data in groups of 1 to 7: y = mu + r[group] + e, mu ~ normal(0, 4), r ~ normal(0, 0.6), e ~ normal(0, 1).

GROUPS = np.repeat(list("abcdef"), [1, 2, 3, 5, 6, 7])
SD_MU, SD_GROUP, SD_ROW = 4.0, 0.6, 1.0
Y_GROUPED = np.random.default_rng(2).normal(1.5, 1.2, size=len(GROUPS))
SAME_GROUP = (GROUPS[:, None] == GROUPS[None, :]).astype(float)
PRIOR_OF_ETA = SD_MU**2 + SD_GROUP**2 * SAME_GROUP


def grouped_exact() -> Exact:
    """The rows are jointly normal, and so is each given the others, with moments from the inverse of the covariance."""
    n = len(Y_GROUPED)
    inverse = np.linalg.inv(PRIOR_OF_ETA + SD_ROW**2 * np.eye(n))
    scale = 1 / np.sqrt(np.diag(inverse))
    elpd = norm.logpdf(Y_GROUPED, Y_GROUPED - inverse @ Y_GROUPED * scale**2, scale).sum()
    mean = PRIOR_OF_ETA @ inverse @ Y_GROUPED
    covariance = PRIOR_OF_ETA - PRIOR_OF_ETA @ inverse @ PRIOR_OF_ETA
    residual = Y_GROUPED - mean
    at_mean = n * np.log(2 * np.pi * SD_ROW**2) + residual @ residual / SD_ROW**2
    p_v = (np.trace(covariance @ covariance) + 2 * residual @ covariance @ residual) / SD_ROW**4
    return Exact(float(elpd), float(at_mean + np.trace(covariance) / SD_ROW**2), float(at_mean), float(p_v))


def grouped_draws(rng: np.random.Generator, size: int) -> Draws:
    levels = sorted(set(GROUPS))
    loadings = np.column_stack([np.ones(len(GROUPS)), *(level == GROUPS for level in levels)])
    prior = np.diag([SD_MU**2] + [SD_GROUP**2] * len(levels))
    covariance = np.linalg.inv(np.linalg.inv(prior) + loadings.T @ loadings / SD_ROW**2)
    mean = covariance @ loadings.T @ Y_GROUPED / SD_ROW**2
    values = rng.multivariate_normal(mean, covariance, size)
    effects = {"g": values[:, 1:, None].astype(np.float32)}
    return Draws(CHAINS, size // CHAINS, values[:, :1], effects, {"sigma": np.full(size, SD_ROW)})


EXAMPLES: dict[str, tuple[Any, Any, str, np.ndarray]] = {
    "mean and variance unknown": (unknown_variance_exact, unknown_variance_draws, "y ~ 1", Y),
    "groups, variances known": (grouped_exact, grouped_draws, "y ~ 1 + (1 | g)", Y_GROUPED),
}


@cache
def design_for(example: str) -> Design:
    _, _, formula, y = EXAMPLES[example]
    groups = GROUPS if len(GROUPS) == len(y) else np.repeat("a", len(y))
    return design_of(formula, dataset_of(y=y, g=[str(g) for g in groups]))


@cache
def scored(example: str, seed: int, size: int) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Return the leave-one-out record and table, and the DIC record, of fresh draws."""
    draws = EXAMPLES[example][1](np.random.default_rng(seed), size)
    record, table = loo.score(design_for(example), draws)
    return record, table, dic.score(design_for(example), draws)[0]


@pytest.mark.parametrize("example", EXAMPLES)
def test_leave_one_out_agrees_with_its_closed_form(example: str) -> None:
    exact = EXAMPLES[example][0]()
    record, table, _ = scored(example, seed=10, size=40_000)
    assert table["pareto_k"].max() < record["k_threshold"]
    assert abs(record["elpd"] - exact.elpd) < 4 * record["mcse"]
    assert record["mcse"] < 0.1


@pytest.mark.parametrize("example", EXAMPLES)
def test_deviance_and_penalties_agree_with_their_closed_forms(example: str) -> None:
    exact = EXAMPLES[example][0]()
    _, _, record = scored(example, seed=10, size=40_000)
    assert abs(record["dbar"] - exact.dbar) < 4 * record["mcse_dbar"]
    assert abs(record["p_d"] - exact.p_d) < 4 * record["mcse_p_d"]
    assert abs(record["p_v"] - exact.p_v) < 4 * record["mcse_p_v"]
    # The plug-in is a mean of draws: its error in deviance is that of Dbar's linear part, so no more than Dbar's.
    assert abs(record["deviance_at_plug_in"] - exact.deviance_at_plug_in) < 4 * record["mcse_dbar"]
    assert max(record["mcse_dbar"], record["mcse_p_d"], record["mcse_p_v"]) < 0.3


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_criteria_are_made_of_their_parts(example: str) -> None:
    record, table, deviance = scored(example, seed=10, size=40_000)
    assert record["looic"] == -2 * record["elpd"]
    assert record["elpd"] == pytest.approx(table["elpd"].sum(), rel=1e-14)
    assert record["p_loo"] == pytest.approx(table["p_loo"].sum(), rel=1e-14)
    assert record["se"] == pytest.approx(np.sqrt(len(table)) * table["elpd"].std(ddof=1), rel=1e-14)
    assert deviance["p_d"] == pytest.approx(deviance["dbar"] - deviance["deviance_at_plug_in"], abs=1e-10)
    assert deviance["dic"] == pytest.approx(deviance["deviance_at_plug_in"] + 2 * deviance["p_d"], rel=1e-12)
    assert deviance["dic_p_v_dbar"] == pytest.approx(deviance["dbar"] + deviance["p_v"], rel=1e-12)
    assert deviance["dic_p_v_plug_in"] == pytest.approx(
        deviance["deviance_at_plug_in"] + 2 * deviance["p_v"], rel=1e-12
    )


REPETITIONS = 50
# The sd of 50 values has a relative error of 10 %: within a factor of 1.35 is three of them. A mean has one of 14 %.
FACTOR = 1.35


@cache
def repeated(example: str) -> pd.DataFrame:
    rows = []
    for seed in range(100, 100 + REPETITIONS):
        record, _, deviance = scored(example, seed, 2000)
        rows.append({
            "elpd": record["elpd"], "mcse": record["mcse"],
            **{key: deviance[key] for key in ("dbar", "mcse_dbar", "p_d", "mcse_p_d", "p_v", "mcse_p_v")},
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize(("value", "error"), [("elpd", "mcse"), ("dbar", "mcse_dbar"), ("p_v", "mcse_p_v")])
def test_reported_errors_are_the_spread_of_repeated_estimates(example: str, value: str, error: str) -> None:
    table = repeated(example)
    spread, reported = table[value].std(ddof=1), table[error].mean()
    assert 1 / FACTOR < spread / reported < FACTOR
    bias = table[value].mean() - getattr(EXAMPLES[example][0](), value)
    # Smoothing trades a little bias for variance: less than half an error of one estimate.
    assert abs(bias) < 0.5 * reported + 4 * spread / np.sqrt(REPETITIONS)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_reported_error_of_p_d_is_never_too_small(example: str) -> None:
    # It is that of Dbar. The plug-in moves with the same draws, so that p_D varies less than Dbar where the prior pulls.
    table = repeated(example)
    assert table["p_d"].std(ddof=1) < FACTOR * table["mcse_p_d"].mean()


# Relative efficiency.


def test_relative_efficiency_of_draws_that_stick_is_below_one() -> None:
    rng = np.random.default_rng(9)
    density = norm.logpdf(rng.normal(size=500))
    sticky = psis.pointwise(np.repeat(density, 4), CHAINS)
    assert sticky["r_eff"] == pytest.approx(0.25, rel=0.25)  # an effective size of 500 is known to a fifth or so
    assert psis.pointwise(rng.permutation(np.repeat(density, 4)), CHAINS)["r_eff"] > 0.8


def test_a_density_that_no_draw_changes_is_its_own_score() -> None:
    found = psis.pointwise(np.full(400, -3.0), CHAINS)
    assert found["elpd"] == pytest.approx(-3.0, abs=1e-12)
    assert found["p_loo"] == pytest.approx(0.0, abs=1e-12)
    assert found["r_eff"] == 1.0
    assert found["pareto_k"] == 0.0


def test_a_chain_that_stuck_in_the_tail_leaves_no_shape_to_be_estimated() -> None:
    log_density = norm.logpdf(np.random.default_rng(3).normal(size=2000))
    log_density[:400] = -12.0
    found = psis.pointwise(log_density, CHAINS)
    assert found["pareto_k"] == np.inf
    # The raw weights: the harmonic mean of the densities.
    assert found["elpd"] == pytest.approx(-np.log(np.mean(np.exp(-log_density))), abs=1e-10)
    assert psis.summarise(pd.DataFrame([found, found]), 2000)["k_counts"] == {"good": 0, "bad": 0, "very_bad": 2}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # differences of infinities
@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_a_density_that_is_not_finite_gives_no_score_and_is_counted(value: float) -> None:
    log_density = norm.logpdf(np.random.default_rng(3).normal(size=2000))
    sound = psis.pointwise(log_density, CHAINS)
    log_density[7] = value
    record = psis.summarise(pd.DataFrame([psis.pointwise(log_density, CHAINS), sound]), 2000)
    assert not np.isfinite(record["elpd"])
    assert record["k_counts"]["very_bad"] == 1
    assert "1 observations have no finite score." in record["warnings"]


@pytest.mark.parametrize(("size", "threshold"), [(100, 0.5), (320, 0.6008), (1000, 2 / 3), (2200, 0.7), (100_000, 0.7)])
def test_the_threshold_of_k_grows_with_the_draws_up_to_0_7(size: int, threshold: float) -> None:
    assert psis.k_threshold(size) == pytest.approx(threshold, abs=1e-3)


def test_scores_of_blocks_of_rows_are_those_of_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = grouped_draws(np.random.default_rng(7), 2000)
    design = design_for("groups, variances known")
    whole = loo.score(design, draws)[1], dic.score(design, draws)[0]
    monkeypatch.setattr(predictor, "BLOCK_VALUES", 2000 * 5)
    parts = loo.score(design, draws)[1], dic.score(design, draws)[0]
    pd.testing.assert_frame_equal(parts[0], whole[0])
    assert {k: v for k, v in parts[1].items() if isinstance(v, float)} == pytest.approx(
        {k: v for k, v in whole[1].items() if isinstance(v, float)}, rel=1e-12
    )
