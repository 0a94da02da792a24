"""Diagnostics of Markov chains and Pareto smoothing, as arviz-stats computes them, on plain arrays and with types.

Values have shape (chains, draws). R-hat and the effective sample sizes are those of Vehtari, Gelman, Simpson, Carpenter
& Buerkner (2021), Bayesian Analysis 16:667; Pareto smoothing is that of Vehtari, Simpson, Gelman, Yao & Gabry (2024),
JMLR 25(72).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_AXES = {"chain_axis": 0, "draw_axis": 1}
TAIL = (0.05, 0.95)
"""Quantiles whose smaller effective sample size is the tail ESS."""


@cache
def _stats() -> Any:
    """Return arviz-stats' functions of plain arrays, which have no types; jobs that only draw never pay for the import."""
    from arviz_stats.base.array import array_stats

    return array_stats


def r_hat(values: Array) -> float:
    """Return the larger of the rank-normalised split R-hat and its folded version."""
    return float(_stats().rhat(values, method="rank", **_AXES))


def ess(values: Array, method: Literal["bulk", "tail", "mean"]) -> float:
    """Return an effective sample size, over all chains."""
    return float(_stats().ess(values, method=method, **({"prob": TAIL} if method == "tail" else {}), **_AXES))


def mcse_mean(values: Array) -> float:
    """Return the Monte Carlo standard error of the mean."""
    return float(_stats().mcse(values, method="mean", **_AXES))


def mcse_sd(values: Array) -> float:
    """Return the Monte Carlo standard error of the standard deviation."""
    return float(_stats().mcse(values, method="sd", **_AXES))


def mcse_quantile(values: Array, probability: float) -> float:
    """Return the Monte Carlo standard error of a quantile."""
    return float(_stats().mcse(values, method="quantile", prob=probability, **_AXES))


def e_bfmi(energy: Array) -> Array:
    """Return the energy Bayesian fraction of missing information of each chain (Betancourt 2016), shape (chains,)."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a chain that never moved
        steps = np.square(np.diff(energy, axis=1)).mean(axis=1)
        return np.asarray(steps / energy.var(axis=1, ddof=1), dtype=np.float64)


def pareto_smooth(log_likelihood: Array, r_eff: float) -> tuple[Array, float]:
    """Return smoothed log weights of 1 / likelihood, normalised to sum to one on the natural scale, and Pareto k.

    Parameters
    ----------
    log_likelihood
        log p(y_i | theta_s), shape (S,).
    r_eff
        Relative efficiency of the draws, which sets the length of the tail.

    Returns
    -------
    tuple
        The log weights, and k: 0 where all weights are equal, infinite where all of the tail's are and no distribution
        can be fitted to it (as after a chain that stuck), so that the weights stay as they are.
    """
    if np.ptp(log_likelihood) == 0:
        return np.full(len(log_likelihood), -np.log(len(log_likelihood))), 0.0
    try:
        log_weights, k = _stats().psislw(log_likelihood, r_eff=r_eff)
    except ValueError as error:
        if "tail values are the same" not in str(error):
            raise
        log_weights, k = -log_likelihood, np.inf
    weights = np.asarray(log_weights, dtype=np.float64)
    return weights - np.logaddexp.reduce(weights), float(k)
