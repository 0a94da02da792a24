"""Levels that follow each other in whole steps of time: a stationary autoregression of first order.

Effects are B ~ MatrixNormal(0, K, Sigma) with K_tu = phi^|t - u| within a series and 0 between two. Levels that were not seen
count as steps, so that K is that of the levels at hand, exactly. Sigma holds the variances of any one level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel.structures import known

Array = NDArray[np.float64]

SENTENCE = "levels follow each other in time, each near the one before, as an autoregression of first order says"


def correlation(at: Array, series: NDArray[np.int64], phi: float) -> Array:
    """Return K, shape (levels, levels)."""
    lags = np.abs(at[:, None] - at)
    return np.where(series[:, None] == series, np.power(phi, lags), 0.0)


def log_density(effects: Array, covariance: Array, at: Array, series: NDArray[np.int64], phi: float) -> float:
    """Return the log density of effects, shape (levels, effects), at times `at` of some series."""
    return known.log_density(effects, covariance, correlation(at, series, phi))


def draws(rng: np.random.Generator, covariance: Array, at: Array, series: NDArray[np.int64], phi: float) -> Array:
    """Return effects of all levels, shape (levels, effects)."""
    return known.draws(rng, np.linalg.cholesky(correlation(at, series, phi)), covariance)
