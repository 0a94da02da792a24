"""Leave-one-observation-out of very many rows, from a random sample of them: the difference estimator.

Every row has a cheap surrogate, pi~_i = log p(y_i | plug-in), and the n rows of a simple random sample without replacement have
their score pi_i besides, as `loo` estimates it. Of N rows,

    elpd = sum over all rows of pi~_i  +  N / n  sum over the sample of (pi_i - pi~_i),

which is unbiased over samples, with the variance N^2 (1 - n / N) var(pi_i - pi~_i) / n (Magnusson, Andersen, Jonasson & Vehtari
2020, AISTATS, PMLR 108:341, eq. 7 and 8; 2019, ICML, PMLR 97:4244, has the sampling of rows). A posterior that rests on many
rows is narrow, so that a score and its surrogate differ by little, and the sampling error is small beside the standard error
of the score, sqrt(N) sd(pi_i). That is estimated in the same way, from the squares of scores and surrogates (eq. 9).

All models of a study are sampled at the same rows, so that differences of theirs are paired.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import integration, likelihood, predictor, psis
from multilevel.design import Design
from multilevel.integration import Integral
from multilevel.predictor import Draws
from multilevel.scores import loo, plug_in

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

LARGE = 50_000
"""Most rows that are all scored one by one: a row takes about a millisecond."""

SAMPLE = 2000
"""Rows in a sample."""

ESTIMATOR = "difference estimator from a simple random sample of rows (Magnusson et al. 2020)"
SURROGATE = f"log p(y_i | plug-in), the plug-in being the {plug_in.WORDS}"


def sample(count: int) -> Rows | None:
    """Return the rows that are scored, in order; None where all are.

    They depend on the number of rows alone: models of the same rows are scored at the same ones.
    """
    if count <= LARGE:
        return None
    chosen = np.random.default_rng([count, SAMPLE]).choice(count, SAMPLE, replace=False, shuffle=False)
    return np.sort(chosen).astype(np.int64)


def score(design: Design, draws: Draws, rows: Rows) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the LOO record of all rows, and the pointwise values of the sampled ones.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    rows
        The sample, shape (n,).

    Returns
    -------
    tuple
        The record, with ``subsampling``: how many rows of how many, the standard error that sampling adds, the sum of the
        surrogates of all rows. A table as `loo.score` returns it, whose index is the sample, with the ``surrogate`` of each row.
    """
    integral, why_not = integration.most(design, draws)
    draws = draws if integral is None else integral.enough(draws)
    sums, surrogate = _surrogates(design, draws, rows)
    chosen = np.zeros(len(design.y), dtype=bool)
    if integral is not None:
        chosen[rows] = _affordable(integral, draws, rows)
    conditional, of_all, of_others = _conditional(design, draws, chosen, rows)
    table = conditional.copy()
    if integral is not None and chosen.any():
        of_others = of_others + _integrated(integral, draws, chosen, table)
    table["estimator"] = np.where(chosen[rows], loo.INTEGRATED, loo.CONDITIONAL)
    table["elpd_conditional"], table["pareto_k_conditional"] = conditional["elpd"], conditional["pareto_k"]
    table["surrogate"] = surrogate
    scale = len(design.y) / len(rows)

    def of_rows(values: pd.DataFrame, influence: Array) -> dict[str, Any]:
        mcse = psis.mcse_of_total(scale * influence, draws.chains)
        return whole(psis.summarise(values, draws.size, mcse), values, surrogate, sums, len(design.y))

    record = loo.WORDS | of_rows(table, of_others) | loo._estimators(design, integral, chosen[rows], why_not)
    record["conditional"] = of_rows(conditional, of_all)
    if design.residuals is not None:
        return record | loo.without_waic(design.residuals.words), table
    waic = psis.waic(conditional, loo.GIVEN)
    waic_elpd = (conditional["elpd"] + conditional["p_loo"] - conditional["p_waic"]).to_numpy()
    waic["elpd"], error = difference_estimate(waic_elpd, surrogate, sums[0], len(design.y))
    se = standard_error(waic_elpd, surrogate, (waic["elpd"], error), sums[1], len(design.y))
    waic |= {"waic": -2 * waic["elpd"], "p_waic": scale * waic["p_waic"], "se": se}
    record["waic"] = waic
    return record, table


def difference_estimate(values: Array, surrogate: Array, total: float, count: int) -> tuple[float, float]:
    """Return an estimate of a sum over all rows, and the standard error that sampling rows leaves it with.

    Parameters
    ----------
    values, surrogate
        Of the sampled rows, shape (n,).
    total
        Sum of the surrogates of all rows.
    count
        Number of all rows.
    """
    deviation, n = values - surrogate, len(values)
    error = count * math.sqrt((1.0 - n / count) * float(np.var(deviation, ddof=1)) / n)
    return total + count * float(deviation.mean()), error


def standard_error(values: Array, surrogate: Array, estimate: tuple[float, float], squares: float, count: int) -> float:
    """Return the standard error of a sum over all rows, sqrt(N) sd with ddof 1, estimated from the sampled ones.

    Parameters
    ----------
    values, surrogate, count
        As in `difference_estimate`.
    estimate
        What that returned.
    squares
        Sum of the squares of the surrogates of all rows.
    """
    total, error = estimate
    of_squares, _ = difference_estimate(np.square(values), np.square(surrogate), squares, count)
    variance = of_squares / count - (total / count) ** 2 + (error / count) ** 2
    if not variance > 0.0:  # an unbiased estimate may be; the sample alone never is
        variance = float(np.var(values, ddof=1))
    return math.sqrt(count * variance * count / (count - 1))


def whole(
    record: dict[str, Any], table: pd.DataFrame, surrogate: Array, sums: tuple[float, float], count: int
) -> dict[str, Any]:
    """Return the record of all rows, given that of a sample (`psis.summarise`).

    `sums` are those of the surrogates of all rows, and of their squares.
    """
    n, values = len(table), table["elpd"].to_numpy()
    elpd, error = difference_estimate(values, surrogate, sums[0], count)
    return record | {
        "elpd": elpd,
        "looic": -2 * elpd,
        "se": standard_error(values, surrogate, (elpd, error), sums[1], count),
        "p_loo": count / n * record["p_loo"],
        "n_units": count,
        "subsampling": {
            "rows": n,
            "of": count,
            "se": error,
            "estimator": ESTIMATOR,
            "surrogate": SURROGATE,
            "surrogate_total": sums[0],
        },
    }


def _surrogates(design: Design, draws: Draws, rows: Rows) -> tuple[tuple[float, float], Array]:
    """Return the sums of the surrogates of all rows and of their squares, and the surrogates of the sample."""
    at, total, squares = plug_in.of(design, draws), 0.0, 0.0
    for block in predictor.blocks(len(design.y), design.width):
        values = likelihood.pointwise(design, at, block)
        total, squares = total + float(values.sum()), squares + float(np.square(values).sum())
    own = likelihood.pointwise(design, at, rows)
    return (total, squares), np.broadcast_to(own, (1, len(rows)))[0].copy()


def _affordable(integral: Integral, draws: Draws, rows: Rows) -> NDArray[np.bool_]:
    """Return which rows of the sample are scored by integration, as `loo` decides for all rows."""
    of = integral.structure.units
    small = of.sizes <= max(1, predictor.BLOCK_VALUES // draws.size)
    sampled = np.zeros(of.count, dtype=bool)
    sampled[of.index[rows]] = True
    if not (small & sampled).any() or integral.seconds(draws, small & sampled) > loo.CHEAP / 20:
        return np.zeros(len(rows), dtype=bool)
    return np.asarray(small[of.index[rows]])


def _conditional(
    design: Design, draws: Draws, chosen: NDArray[np.bool_], rows: Rows
) -> tuple[pd.DataFrame, Array, Array]:
    """Return the values given the group effects, and the influence of each draw on all sampled rows and on those not chosen.

    A draw moves a row's surrogate too, by its log density less the mean, to first order, and that is taken off: the sum of
    the surrogates of all rows is near its largest, where a draw does not move it. (Where effects are integrated out of the
    score, this does not cancel: the error is that of surrogates that move with the draws of the effects, and is larger.)
    """
    values: list[dict[str, float]] = []
    of_all, of_others, of_surrogates = np.zeros(draws.size), np.zeros(draws.size), np.zeros(draws.size)
    for block in predictor.blocks(len(rows), draws.size * design.width):
        part = rows[block]
        for column, elsewhere in zip(_log_density(design, draws, part).T, chosen[part], strict=True):
            found, influence = psis.smoothed(column, draws.chains)
            values.append(found)
            of_all += influence
            of_surrogates += (column - column.mean()) / draws.size
            if not elsewhere:
                of_others += influence
    return pd.DataFrame(values, index=rows), of_all - of_surrogates, of_others - of_surrogates


def _log_density(design: Design, draws: Draws, rows: Rows) -> Array:
    value = likelihood.pointwise(design, draws, rows)
    return np.broadcast_to(value, (draws.size, len(rows)))


def _integrated(integral: Integral, draws: Draws, chosen: NDArray[np.bool_], table: pd.DataFrame) -> Array:
    """Put the integrated values of the chosen rows into the table; return the influence of each draw on them, shape (S,)."""
    lpd = table["elpd"] + table["p_loo"]
    total = np.zeros(draws.size)
    found: dict[int, dict[str, float]] = {}
    for block in integral.blocks(draws, with_rows=True, chosen=integral.units_with(chosen)):
        assert block.of_rows is not None  # asked for
        for place in np.flatnonzero(chosen[block.rows]):
            row = int(block.rows[place])
            found[row], influence = psis.smoothed(block.of_rows[:, place], draws.chains)
            found[row]["p_loo"] = float(lpd[row]) - found[row]["elpd"]
            total += influence
    for name in ("elpd", "p_loo", "pareto_k", "r_eff", "mcse"):
        table.loc[list(found), name] = [values[name] for values in found.values()]
    return total
