"""Leave-one-observation-out by Pareto-smoothed importance sampling, given the group effects.

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

from multilevel import likelihood, mcmc
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]


def score(design: Design, draws: Draws) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the PSIS-LOO record and its pointwise values.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.

    Returns
    -------
    tuple
        The record, and a table with ``elpd``, ``p_loo``, ``pareto_k``, ``r_eff`` and ``mcse`` for each row.
    """
    blocks = (log_density for _, log_density in likelihood.conditional(design, draws))
    return from_log_density(blocks, draws.chains)


def from_log_density(blocks: Iterable[Array], chains: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the record and the pointwise values of log densities.

    The Monte Carlo error of the total is that of the sum over rows of each draw's influence, because all rows share the
    draws. (R's loo adds the rows' squared errors as if they did not; where a prior pulls all rows one way, that
    understates the error by a factor of up to sqrt(N).)

    Parameters
    ----------
    blocks
        log p(y_i | theta_s) in blocks of rows, shape (S, rows) each, chains after one another.
    chains
        Number of chains.
    """
    rows: list[dict[str, float]] = []
    total: Array = np.zeros(1)
    for log_density in blocks:
        for column in log_density.T:
            values, influence = _smoothed(column, chains)
            rows.append(values)
            total = total + influence
    mcse = mcmc.mcse_mean(len(total) * total.reshape(chains, -1)) if np.ptp(total) > 0 else 0.0
    table = pd.DataFrame(rows)
    return summarise(table, len(total), mcse), table


def summarise(table: pd.DataFrame, size: int, mcse: float | None = None) -> dict[str, Any]:
    """Return the record of pointwise values.

    Parameters
    ----------
    table
        What `pointwise` returned for each row.
    size
        Number of draws of all chains.
    mcse
        Monte Carlo error of the total; where it is not known, rows count as independent, as in R's loo.
    """
    count = len(table)
    elpd, k = table["elpd"].to_numpy(), table["pareto_k"].to_numpy()
    threshold = k_threshold(size)
    bad = int(((k > threshold) & (k <= 1)).sum())
    very_bad = int((~(k <= 1)).sum())
    warnings = []
    if bad + very_bad:
        warnings.append(
            f"{bad + very_bad} of {count} observations have Pareto k above {threshold:.2f}: "
            "importance sampling is unreliable there."
        )
    if not np.isfinite(elpd).all():
        warnings.append(f"{int((~np.isfinite(elpd)).sum())} observations have no finite score.")
    return {
        "criterion": "loo",
        "unit": "observation",
        "leaves_out": "one observation at a time",
        "predicts": "a new observation in a known group",
        "likelihood": "conditional on the group effects",
        "estimator": "PSIS",
        "elpd": float(elpd.sum()),
        "se": float(np.sqrt(count * np.var(elpd, ddof=1))),
        "mcse": float(np.sqrt(np.square(table["mcse"]).sum())) if mcse is None else mcse,
        "p_loo": float(table["p_loo"].sum()),
        "looic": float(-2 * elpd.sum()),
        "n_units": count,
        "draws": size,
        "k_threshold": threshold,
        "k_max": float(k.max()),
        "k_counts": {"good": count - bad - very_bad, "bad": bad, "very_bad": very_bad},
        "r_eff": float(table["r_eff"].mean()),
        "warnings": warnings,
    }


def k_threshold(size: int) -> float:
    """Return the k above which PSIS from that many draws is unreliable (Vehtari et al. 2024, section 3.2.4)."""
    return float(min(1 - 1 / np.log10(size), 0.7))


def pointwise(log_density: Array, chains: int) -> dict[str, float]:
    """Return the PSIS-LOO values of one observation.

    Parameters
    ----------
    log_density
        log p(y_i | theta_s), shape (S,), chains after one another.
    chains
        Number of chains.

    Returns
    -------
    dict
        ``elpd``; ``p_loo`` (lpd - elpd); ``pareto_k``; ``r_eff``, the relative efficiency of p(y_i | theta_s); ``mcse``
        of elpd by the delta method (Vehtari et al. 2024, section 3.3).
    """
    return _smoothed(log_density, chains)[0]


def _smoothed(log_density: Array, chains: int) -> tuple[dict[str, float], Array]:
    """Return what `pointwise` does, and the influence of each draw on elpd, shape (S,), which sums to zero."""
    density = np.exp(log_density - log_density.max())
    shaped = density.reshape(chains, -1)
    constant = np.ptp(density) == 0
    ess = len(density) if constant else mcmc.ess(shaped, "mean")
    r_eff = min(ess / len(density), 1.0) if np.isfinite(ess) else 1.0
    log_weights, k = mcmc.pareto_smooth(log_density, r_eff)
    elpd = float(logsumexp(log_weights + log_density))
    lpd = float(logsumexp(log_density) - np.log(len(log_density)))
    influence = np.exp(log_weights) * (np.exp(log_density - elpd) - 1.0)
    mcse = float(np.sqrt(np.square(influence).sum() / r_eff))
    return {"elpd": elpd, "p_loo": lpd - elpd, "pareto_k": k, "r_eff": r_eff, "mcse": mcse}, influence
