"""Scores agree with closed forms where the posterior is known, on independent draws from that very posterior.

The draws are exact, so that what is left is the Monte Carlo error that the scores report: 4 of them are allowed. About 120
numbers are compared, which chance alone would break once in 130 fresh seeds; the seeds are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import likelihood, mcmc
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import dic, loo

CHAINS = 4


@dataclass(frozen=True)
class NormalMean:
    """y_i ~ N(mu, s^2) with known s and mu ~ N(m0, t^2); the prior pulls, so that the deviance is not a chi-squared."""

    m0: float = 0.0
    t: float = 0.4
    s: float = 1.5
    y: np.ndarray = field(default_factory=lambda: np.random.default_rng(11).normal(2.0, 1.5, 24))

    def posterior(self, y: np.ndarray) -> tuple[float, float]:
        """Mean and variance of mu given some of the y."""
        variance = 1.0 / (self.t**-2 + len(y) * self.s**-2)
        return variance * (self.m0 * self.t**-2 + y.sum() * self.s**-2), variance

    def log_predictive(self, of: float, given: np.ndarray) -> float:
        mean, variance = self.posterior(given)
        return float(stats.norm.logpdf(of, mean, np.sqrt(variance + self.s**2)))

    def elpd(self) -> np.ndarray:
        return np.array([self.log_predictive(y, np.delete(self.y, i)) for i, y in enumerate(self.y)])

    def lpd(self) -> np.ndarray:
        return np.array([self.log_predictive(y, self.y) for y in self.y])

    def deviance(self) -> dict[str, float]:
        """D = n log(2 pi s^2) + (SS + n (mu - ybar)^2) / s^2, where mu ~ N(m, v): mean, value at m, and variance / 2."""
        n, (m, v) = len(self.y), self.posterior(self.y)
        at_mean = n * np.log(2 * np.pi * self.s**2) + np.square(self.y - m).sum() / self.s**2
        variance = (n / self.s**2) ** 2 * (2 * v**2 + 4 * v * (m - self.y.mean()) ** 2)
        return {
            "dbar": at_mean + n * v / self.s**2,
            "at_plug_in": at_mean,
            "p_d": n * v / self.s**2,
            "p_v": variance / 2,
        }

    def design(self) -> Design:
        return design_of("y ~ 1", dataset_of(y=self.y))

    def draws(self, rng: np.random.Generator, per_chain: int) -> Draws:
        m, v = self.posterior(self.y)
        size = CHAINS * per_chain
        mu = rng.normal(m, np.sqrt(v), (size, 1))
        return Draws(CHAINS, per_chain, mu, {}, {"sigma": np.full(size, self.s)})


@dataclass(frozen=True)
class RandomIntercept:
    """y = a + c x + u_group + e, the variances known: (a, c, u) given any of the rows is multivariate normal.

    One group has a single row: it tells of that group's effect nothing but its own value.
    """

    prior_sd: tuple[float, float] = (2.0, 1.0)
    tau: float = 0.7
    sigma: float = 1.0
    sizes: tuple[int, ...] = (1, 2, 4, 6, 9, 14)

    @property
    def group(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def columns(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(12)
        x = rng.normal(0.5, 1.0, len(self.group))
        effects = rng.normal(0.0, self.tau, len(self.sizes))
        return {"x": x, "y": 1.0 + 0.8 * x + effects[self.group] + rng.normal(0.0, self.sigma, len(x))}

    def design(self) -> Design:
        labels = [f"g{j}" for j in self.group]
        return design_of("y ~ x + (1 | g)", dataset_of(g=labels, **self.columns()))

    def matrix(self) -> np.ndarray:
        dummies = np.equal.outer(self.group, np.arange(len(self.sizes))).astype(float)
        return np.column_stack([np.ones(len(self.group)), self.columns()["x"], dummies])

    def posterior(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of (a, c, u) given the rows to keep."""
        a, y = self.matrix()[keep], self.columns()["y"][keep]
        prior = np.diag([*np.array(self.prior_sd) ** -2.0, *[self.tau**-2.0] * len(self.sizes)])
        covariance = np.linalg.inv(prior + a.T @ a / self.sigma**2)
        return covariance @ a.T @ y / self.sigma**2, covariance

    def log_predictive(self, row: int, keep: np.ndarray) -> float:
        mean, covariance = self.posterior(keep)
        a = self.matrix()[row]
        return float(stats.norm.logpdf(self.columns()["y"][row], a @ mean, np.sqrt(a @ covariance @ a + self.sigma**2)))

    def elpd(self) -> np.ndarray:
        rows = np.arange(len(self.group))
        return np.array([self.log_predictive(row, rows != row) for row in rows])

    def lpd(self) -> np.ndarray:
        rows = np.arange(len(self.group))
        return np.array([self.log_predictive(row, rows >= 0) for row in rows])

    def deviance(self) -> dict[str, float]:
        """D is a constant plus |y - A theta|^2 / sigma^2 with theta ~ N(m, V): moments of a quadratic form."""
        a, y = self.matrix(), self.columns()["y"]
        m, v = self.posterior(np.ones(len(y), dtype=bool))
        residual, spread = y - a @ m, a @ v @ a.T / self.sigma**2
        at_mean = len(y) * np.log(2 * np.pi * self.sigma**2) + residual @ residual / self.sigma**2
        variance = 2 * np.trace(spread @ spread) + 4 * residual @ spread @ residual / self.sigma**2
        p_d = float(np.trace(spread))
        return {"dbar": at_mean + p_d, "at_plug_in": at_mean, "p_d": p_d, "p_v": variance / 2}

    def draws(self, rng: np.random.Generator, per_chain: int) -> Draws:
        mean, covariance = self.posterior(np.ones(len(self.group), dtype=bool))
        size = CHAINS * per_chain
        theta = rng.multivariate_normal(mean, covariance, size, method="cholesky")
        effects = theta[:, 2:, None].astype(np.float32)
        return Draws(CHAINS, per_chain, theta[:, :2], {"g": effects}, {"sigma": np.full(size, self.sigma)})


Known = NormalMean | RandomIntercept
KNOWN = pytest.mark.parametrize("known", [NormalMean(), RandomIntercept()], ids=["normal mean", "random intercept"])


@KNOWN
def test_leave_one_out_scores_of_every_row(known: Known) -> None:
    record, table = loo.score(known.design(), known.draws(np.random.default_rng(21), 2000), "gaussian")
    assert table["pareto_k"].max() < record["k_threshold"]
    exact = known.elpd()
    distance = (table["elpd"] - exact) / table["mcse"]
    assert distance.abs().max() < 4
    # Rows share their draws, so the errors of a row's two densities have most in common: that of elpd is the larger one.
    assert ((table["p_loo"] - (known.lpd() - exact)) / table["mcse"]).abs().max() < 4
    # The error of a mean over draws that carry information on a few parameters is far below one unit.
    assert table["mcse"].max() < 0.05


def errors_of_totals(built: Design, draws: Draws) -> dict[str, float]:
    """Return the Monte Carlo errors of the summed elpd and p_loo, from the part that each draw has in the sum over rows.

    To first order a row's elpd is in error by the sum over draws of w_s (p_s / p - 1), and its lpd by the mean of
    p_s / mean(p) - 1. Rows share their draws, so the sum over rows comes first; then the draws are independent.
    """
    ((_, log_density),) = likelihood.conditional(built, draws, "gaussian")
    elpd, lpd = np.zeros(draws.size), np.zeros(draws.size)
    for row in log_density.T:
        weights = np.exp(mcmc.pareto_smooth(row, 1.0)[0])
        density = np.exp(row)
        elpd += weights * (density / np.sum(weights * density) - 1)
        lpd += (density / density.mean() - 1) / draws.size
    return {"elpd": float(np.linalg.norm(elpd)), "p_loo": float(np.linalg.norm(lpd - elpd))}


@KNOWN
def test_totals_of_leave_one_out(known: Known) -> None:
    built, draws = known.design(), known.draws(np.random.default_rng(22), 2000)
    record, table = loo.score(built, draws, "gaussian")
    exact, errors = known.elpd(), errors_of_totals(built, draws)
    assert abs(record["elpd"] - exact.sum()) < 4 * errors["elpd"]
    assert abs(record["p_loo"] - (known.lpd() - exact).sum()) < 4 * errors["p_loo"]
    assert record["looic"] == pytest.approx(-2 * record["elpd"], rel=1e-14)
    # se = sqrt(N) sd(elpd_i), ddof 1. A row's error moves se by at most its own size: |dse| <= sqrt(N / (N - 1)) |error|.
    count = len(exact)
    bound = np.sqrt(count / (count - 1)) * 4 * np.sqrt(count) * table["mcse"].max()
    assert abs(record["se"] - np.sqrt(count) * exact.std(ddof=1)) < bound
    assert record["se"] == pytest.approx(np.sqrt(count) * np.std(table["elpd"], ddof=1), rel=1e-12)


@KNOWN
def test_deviance_and_both_penalties(known: Known) -> None:
    record, _ = dic.score(known.design(), known.draws(np.random.default_rng(23), 2000), "gaussian")
    exact = known.deviance()
    assert abs(record["dbar"] - exact["dbar"]) < 4 * record["mcse_dbar"]
    assert abs(record["p_d"] - exact["p_d"]) < 4 * record["mcse_p_d"]
    assert abs(record["p_v"] - exact["p_v"]) < 4 * record["mcse_p_v"]
    # The two penalties are not the same number here, so taking one for the other would be seen.
    assert abs(exact["p_v"] - exact["p_d"]) > 4 * record["mcse_p_v"]


@KNOWN
def test_three_criteria_of_the_deviance(known: Known) -> None:
    record, _ = dic.score(known.design(), known.draws(np.random.default_rng(24), 2000), "gaussian")
    exact = known.deviance()
    errors = {"dic": 2 * record["mcse_dbar"], "dic_p_v_dbar": record["mcse_dbar"] + record["mcse_p_v"]}
    errors["dic_p_v_plug_in"] = record["mcse_dbar"] + 2 * record["mcse_p_v"]
    values = {
        "dic": exact["dbar"] + exact["p_d"],
        "dic_p_v_dbar": exact["dbar"] + exact["p_v"],
        "dic_p_v_plug_in": exact["at_plug_in"] + 2 * exact["p_v"],
    }
    assert {name for name, value in values.items() if abs(record[name] - value) > 4 * errors[name]} == set()


@KNOWN
def test_plug_in_is_the_posterior_mean_of_the_linear_predictor(known: Known) -> None:
    built, draws = known.design(), known.draws(np.random.default_rng(25), 500)
    assert dic.plug_in_deviance(built, draws, "gaussian") == pytest.approx(known.deviance()["at_plug_in"], abs=0.2)
    eta = known_eta(known, draws)
    sigma = draws.others["sigma"][0]
    by_hand = -2 * stats.norm.logpdf(built.y, eta.mean(axis=0), sigma).sum()
    assert dic.plug_in_deviance(built, draws, "gaussian") == pytest.approx(by_hand, rel=1e-12)


def test_plug_in_takes_the_mean_of_the_log_of_sigma() -> None:
    known = NormalMean()
    draws = known.draws(np.random.default_rng(26), 5)
    sigma = np.random.default_rng(27).lognormal(0.0, 1.0, draws.size)  # its mean and median are far apart
    value = dic.plug_in_deviance(known.design(), replace(draws, others={"sigma": sigma}), "gaussian")
    by_hand = -2 * stats.norm.logpdf(known.y, draws.b.mean(), np.exp(np.log(sigma).mean())).sum()
    assert value == pytest.approx(by_hand, rel=1e-12)


def known_eta(known: Known, draws: Draws) -> np.ndarray:
    if isinstance(known, NormalMean):
        return np.broadcast_to(draws.b, (draws.size, len(known.y)))
    theta = np.column_stack([draws.b, draws.effects["g"][:, :, 0].astype(float)])
    return theta @ known.matrix().T


REPLICATIONS = 40


@pytest.mark.slow
@KNOWN
def test_reported_errors_are_the_spread_over_replications(known: Known) -> None:
    """The spread of a value over fresh draws, over the error that is reported for it, is 1 within chance.

    The sd of 40 replications has itself a standard error of 1 / sqrt(2 * 39) = 11 %; 4 of them give 0.55 to 1.45. That is
    the range for what is the error of one mean: each row's elpd, Dbar and p_V.

    The error of the summed elpd is reported as the root of the sum of the rows' squared errors, as R's loo does, which
    takes the rows' errors for independent. They come from the same draws. Where the prior pulls the mean of `NormalMean`,
    the rows' errors have the same sign more often than not, and the spread is almost 3 times what is reported; it can be
    sqrt(rows) times at most. With the random intercept it is within chance of 1. The error that takes the common draws into
    account (`errors_of_totals`) is right in both.
    """
    built, rng = known.design(), np.random.default_rng(28)
    records, rows, row_errors = [], [], []
    for _ in range(REPLICATIONS):
        draws = known.draws(rng, 250)
        scored, table = loo.score(built, draws, "gaussian")
        errors = errors_of_totals(built, draws)
        records.append({**dic.score(built, draws, "gaussian")[0], **scored, "joint": errors["elpd"]})
        rows.append(table["elpd"].to_numpy())
        row_errors.append(table["mcse"].to_numpy())
    frame = pd.DataFrame(records)
    by_row = np.std(rows, axis=0, ddof=1) / np.mean(row_errors, axis=0)
    assert by_row.min() > 0.55
    assert by_row.max() < 1.45

    def ratio(value: str, error: str) -> float:
        return float(frame[value].std(ddof=1) / frame[error].mean())

    assert 0.55 < ratio("dbar", "mcse_dbar") < 1.45
    assert 0.55 < ratio("p_v", "mcse_p_v") < 1.45
    # p_D's own error is less than Dbar's, which it reports: the plug-in moves with Dbar.
    assert ratio("p_d", "mcse_p_d") < 1.45
    assert 0.55 < ratio("elpd", "joint") < 1.45
    assert 0.55 < ratio("elpd", "mcse") < (1.45 if isinstance(known, RandomIntercept) else np.sqrt(len(known.y)))
    # PSIS has a bias of its own, of a lower order than the error of one run.
    assert abs(frame["elpd"].mean() - known.elpd().sum()) < frame["joint"].mean()
