"""Leave-one-observation-out by Pareto-smoothed importance sampling, given the group effects.

Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413; Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR
25(72), whose threshold for k is min(1 - 1/log10(S), 0.7). The smoothing is arviz-stats'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from multilevel import likelihood, mcmc
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]


def score(design: Design, draws: Draws, family: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the PSIS-LOO record and its pointwise values.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    family
        Name of the response distribution.

    Returns
    -------
    tuple
        The record, and a table with ``elpd``, ``p_loo``, ``pareto_k``, ``r_eff`` and ``mcse`` for each row.
    """
    parts = [_block(log_density, draws) for _, log_density in likelihood.conditional(design, draws, family)]
    table = pd.DataFrame({key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    return summarise(table, draws.size), table


def summarise(table: pd.DataFrame, size: int) -> dict[str, Any]:
    """Return the record of pointwise values; `size` is the number of draws of all chains."""
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
        "mcse": float(np.sqrt(np.square(table["mcse"]).sum())),
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


def _block(log_density: Array, draws: Draws) -> dict[str, Array]:
    """Return the pointwise values of a block, given log densities of shape (S, rows)."""
    columns = [pointwise(log_density[:, i], draws.chains) for i in range(log_density.shape[1])]
    return {key: np.array([column[key] for column in columns]) for key in columns[0]}


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
    density = np.exp(log_density - log_density.max())
    shaped = density.reshape(chains, -1)
    constant = np.ptp(density) == 0
    ess = len(density) if constant else mcmc.ess(shaped, "mean")
    r_eff = min(ess / len(density), 1.0) if np.isfinite(ess) else 1.0
    log_weights, k = mcmc.pareto_smooth(log_density, r_eff)
    elpd = float(logsumexp(log_weights + log_density))
    lpd = float(logsumexp(log_density) - np.log(len(log_density)))
    weights = np.exp(log_weights)
    relative = np.exp(log_density - elpd)
    variance = float(np.sum(np.square(weights) * np.square(relative - 1.0))) / r_eff
    return {"elpd": elpd, "p_loo": lpd - elpd, "pareto_k": k, "r_eff": r_eff, "mcse": float(np.sqrt(variance))}
