"""Exchangeable levels: K is the identity, so each level's effects are drawn from N(0, Sigma) on their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENTENCE = "levels are exchangeable: each one's effects are drawn independently from the same normal distribution"


def log_density(effects: Array, covariance: Array) -> float:
    """Return log N(effects | 0, I (x) covariance).

    Parameters
    ----------
    effects
        Shape (levels, effects).
    covariance
        Shape (effects, effects), positive definite.
    """
    levels, size = effects.shape
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, effects.T)
    log_determinant = 2.0 * np.log(np.diag(factor)).sum()
    return float(-0.5 * (np.square(whitened).sum() + levels * (log_determinant + size * np.log(2.0 * np.pi))))


def draws(rng: np.random.Generator, levels: int, covariance: Array) -> Array:
    """Return effects of new levels, shape (levels, effects)."""
    factor = np.linalg.cholesky(covariance)
    return np.asarray(rng.standard_normal((levels, len(covariance))) @ factor.T)
