"""Are ranks uniform? Simultaneous bands of their ECDF (Säilynoja, Bürkner & Vehtari 2022, Statistics and Computing 32:32)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

KEPT = 100
"""Draws that a truth was ranked among: ranks are 0 to 100."""

POINTS = np.arange(1, KEPT + 1) / (KEPT + 1)
"""Where the ECDF is compared with the uniform distribution: between any two ranks."""

NO_QUANTITY = ("divergences", "least_ess")


def ranks(folder: Path, family: str) -> pd.DataFrame:
    """Return the stored ranks of a family, one column for each quantity."""
    return pd.read_csv(folder / f"{family}.csv").drop(columns=list(NO_QUANTITY))


def ecdf(values: Array) -> Array:
    """Return the share of ranks below each of `POINTS`, shape (..., points), of ranks in the last axis."""
    below = np.arange(KEPT)
    return np.asarray((values[..., None] <= below).mean(axis=-2))


def closeness(shares: Array, count: int) -> Array:
    """Return the smallest two-sided pointwise probability along the last axis: small where the ECDF leaves the diagonal."""
    counts = np.round(shares * count)
    tails = np.minimum(stats.binom.cdf(counts, count, POINTS), stats.binom.sf(counts - 1, count, POINTS))
    return np.asarray(2.0 * tails.min(axis=-1))


def null(count: int, simulations: int = 4000, seed: int = 1) -> Array:
    """Return `closeness` of uniform ranks, sorted: what its quantiles are where nothing is wrong."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, KEPT + 1, (simulations, count))
    return np.sort(np.concatenate([closeness(ecdf(part), count) for part in np.array_split(values, 40)]))


def p_value(values: Array, uniform: Array) -> float:
    """Return how often uniform ranks leave the diagonal as far as these do."""
    return float(
        (1 + np.searchsorted(uniform, closeness(ecdf(values), len(values)), side="right")) / (1 + len(uniform))
    )


def band(count: int, uniform: Array, level: float) -> tuple[Array, Array]:
    """Return the band that holds the whole ECDF of uniform ranks with probability `level`, at `POINTS`."""
    gamma = float(np.quantile(uniform, 1.0 - level))
    return stats.binom.ppf(gamma / 2, count, POINTS) / count, stats.binom.isf(gamma / 2, count, POINTS) / count
