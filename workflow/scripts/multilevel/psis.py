"""Leave-one-out by Pareto-smoothed importance sampling, for any unit left out, from its log density at each draw.

Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413; Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR
25(72), whose threshold for k is min(1 - 1/log10(S), 0.7). The smoothing is arviz-stats'.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from multilevel import mcmc

Array = NDArray[np.float64]

WAIC_LIMIT = 0.4
"""Variance of a unit's log density above which WAIC is unreliable (Vehtari, Gelman & Gabry 2017, section 2.3)."""


def of_blocks(blocks: Iterable[Array], chains: int) -> tuple[pd.DataFrame, float]:
    """Return the values of every unit and the Monte Carlo error of the total elpd.

    Parameters
    ----------
    blocks
        log p(y_u | theta_s) in blocks of units, shape (S, units) each, chains after one another.
    chains
        Number of chains.
    """
    rows: list[dict[str, float]] = []
    total: Array = np.zeros(1)
    for log_density in blocks:
        for column in log_density.T:
            values, influence = smoothed(column, chains)
            rows.append(values)
            total = total + influence
    return pd.DataFrame(rows), mcse_of_total(total, chains)


def mcse_of_total(influence: Array, chains: int) -> float:
    """Return the Monte Carlo error of a total elpd.

    It is that of the sum over units of each draw's influence, because all units share the draws. (R's loo adds the units'
    squared errors as if they did not; where a prior pulls all units one way, that understates the error by a factor of up
    to sqrt(N).)

    Parameters
    ----------
    influence
        Sum over the units of what `smoothed` returns, shape (S,).
    chains
        Number of chains.
    """
    if np.ptp(influence) == 0:
        return 0.0
    return mcmc.mcse_mean(len(influence) * influence.reshape(chains, -1))


def pointwise(log_density: Array, chains: int) -> dict[str, float]:
    """Return the PSIS-LOO values of one unit.

    Parameters
    ----------
    log_density
        log p(y_u | theta_s), shape (S,), chains after one another; or log p(y_u | y of others, phi_s), where effects that
        it shares with others are integrated out.
    chains
        Number of chains.

    Returns
    -------
    dict
        ``elpd``; ``p_loo`` (lpd - elpd); ``pareto_k``; ``r_eff``, the relative efficiency of p(y_u | theta_s); ``mcse``
        of elpd by the delta method (Vehtari et al. 2024, section 3.3); ``p_waic``, the variance of the log density.
    """
    return smoothed(log_density, chains)[0]


def smoothed(log_density: Array, chains: int) -> tuple[dict[str, float], Array]:
    """Return what `pointwise` does, and the influence of each draw on elpd, shape (S,), which sums to zero."""
    density = np.exp(log_density - log_density.max())
    shaped = density.reshape(chains, -1)
    constant = np.ptp(density) == 0
    ess = len(density) if constant else mcmc.ess(shaped, "mean")
    r_eff = min(ess / len(density), 1.0) if np.isfinite(ess) else 1.0
    log_weights, k = mcmc.pareto_smooth(log_density, r_eff)
    elpd = float(logsumexp(log_weights + log_density))
    lpd = float(logsumexp(log_density) - np.log(len(log_density)))
    influence = np.exp(log_weights + log_density - elpd) - np.exp(
        log_weights
    )  # w (p / elpd - 1), which cannot overflow
    mcse = float(np.sqrt(np.square(influence).sum() / r_eff))
    variance = float(np.var(log_density, ddof=1))
    values = {"elpd": elpd, "p_loo": lpd - elpd, "pareto_k": k, "r_eff": r_eff, "mcse": mcse, "p_waic": variance}
    return values, influence


def k_threshold(size: int) -> float:
    """Return the k above which PSIS from that many draws is unreliable (Vehtari et al. 2024, section 3.2.4)."""
    return float(min(1 - 1 / np.log10(size), 0.7))


def k_counts(k: Array, size: int) -> dict[str, int]:
    """Return how many k are good, bad (the mean exists, but so many draws do not give it) and very bad (it does not)."""
    threshold = k_threshold(size)
    bad, very_bad = int(((k > threshold) & (k <= 1)).sum()), int((~(k <= 1)).sum())
    return {"good": len(k) - bad - very_bad, "bad": bad, "very_bad": very_bad}


def summarise(table: pd.DataFrame, size: int, mcse: float | None = None, units: str = "observations") -> dict[str, Any]:
    """Return what a record says of the values of all units.

    Parameters
    ----------
    table
        What `pointwise` returned for each unit.
    size
        Number of draws of all chains.
    mcse
        Monte Carlo error of the total; where it is not known, units count as independent, as in R's loo.
    units
        What a unit is called, in the plural.
    """
    count = len(table)
    elpd, k = table["elpd"].to_numpy(), table["pareto_k"].to_numpy()
    threshold, counts = k_threshold(size), k_counts(k, size)
    high = counts["bad"] + counts["very_bad"]
    warnings = []
    if high:
        warnings.append(
            f"{high} of {count} {units} have Pareto k above {threshold:.2f}: importance sampling is unreliable there."
        )
    if not np.isfinite(elpd).all():
        warnings.append(f"{int((~np.isfinite(elpd)).sum())} {units} have no finite score.")
    return {
        "elpd": float(elpd.sum()),
        "se": float(np.sqrt(count * np.var(elpd, ddof=1))),
        "mcse": float(np.sqrt(np.square(table["mcse"]).sum())) if mcse is None else mcse,
        "p_loo": float(table["p_loo"].sum()),
        "looic": float(-2 * elpd.sum()),
        "n_units": count,
        "draws": size,
        "k_threshold": threshold,
        "k_max": float(k.max()),
        "k_counts": counts,
        "r_eff": float(table["r_eff"].mean()),
        "warnings": warnings,
    }


def waic(table: pd.DataFrame, likelihood: str) -> dict[str, Any]:
    """Return the widely applicable information criterion of the same units, to be read beside LOO only.

    elpd_waic = sum of log mean_s p(y_u | theta_s) less the variance of log p(y_u | theta_s) (Watanabe 2010; Gelman, Hwang &
    Vehtari 2014, eq. 11 and 12).

    Parameters
    ----------
    table
        What `pointwise` returned for each unit.
    likelihood
        Which likelihood it is made of: a conditional and an integrated WAIC are two estimands.
    """
    variance = table["p_waic"].to_numpy()
    elpd = (table["elpd"] + table["p_loo"]).to_numpy() - variance
    high = int((variance > WAIC_LIMIT).sum())
    return {
        "likelihood": likelihood,
        "elpd": float(elpd.sum()),
        "se": float(np.sqrt(len(elpd) * np.var(elpd, ddof=1))),
        "p_waic": float(variance.sum()),
        "waic": float(-2 * elpd.sum()),
        "variance_limit": WAIC_LIMIT,
        "high_variances": high,
        "reliable": high == 0,
    }
