"""Levels whose covariance K is known up to a factor: a pedigree, a phylogeny, any positive semi-definite matrix.

Effects are B ~ MatrixNormal(0, K, Sigma), that is B = F U L' with K = F F', Sigma = L L' and U of independent standard
normal values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENTENCE = "effects of levels are correlated as their known covariance says"


def log_density(effects: Array, covariance: Array, known: Array) -> float:
    """Return log MatrixNormal(effects | 0, known, covariance) (Dawid 1981, Biometrika 68:265).

    Parameters
    ----------
    effects
        Shape (levels, effects).
    covariance
        Shape (effects, effects), positive definite.
    known
        Shape (levels, levels), positive definite.
    """
    levels, size = effects.shape
    lower, left = np.linalg.cholesky(covariance), np.linalg.cholesky(known)
    whitened = np.linalg.solve(lower, np.linalg.solve(left, effects).T)
    log_determinant = 2.0 * (levels * np.log(np.diag(lower)).sum() + size * np.log(np.diag(left)).sum())
    return float(-0.5 * (np.square(whitened).sum() + log_determinant + levels * size * np.log(2.0 * np.pi)))


def draws(rng: np.random.Generator, factor: Array, covariance: Array) -> Array:
    """Return effects of all levels from the factor of their covariance, shape (levels, effects)."""
    lower = np.linalg.cholesky(covariance)
    return np.asarray(factor @ rng.standard_normal((factor.shape[1], len(covariance))) @ lower.T)
