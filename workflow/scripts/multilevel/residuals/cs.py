"""Compound symmetry: residuals of one subject all have the correlation rho, -1 / (n - 1) < rho < 1 with n the largest subject.

C = (1 - rho) (I - J / n) + (1 - rho + n rho) J / n, J a matrix of ones: two eigenvalues, so that all is in closed form by sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENTENCE = "any two residuals of one {group} have the same correlation"
TIME = "none"


def _eigenvalues(found: Any, theta: Array) -> tuple[Array, Array]:
    """Return 1 - rho, shape (S, 1), and 1 - rho + n rho of each subject, shape (S, subjects)."""
    rho = theta[:, :1]
    return 1.0 - rho, 1.0 + (found.sizes - 1) * rho


def _scaled(found: Any, z: Array, within: Array, between: Array) -> Array:
    """Return z with deviations from the subject's mean multiplied by one number and the mean by another."""
    means = (np.add.reduceat(z, found.starts, axis=-1) / found.sizes)[..., found.place]
    return np.asarray(within * (z - means) + between[..., found.place] * means)


def log_determinant(found: Any, theta: Array) -> Array:
    """Return log |C| of each subject."""
    within, between = _eigenvalues(found, theta)
    return np.asarray((found.sizes - 1) * np.log(within) + np.log(between))


def whitened(found: Any, theta: Array, z: Array) -> Array:
    """Return z times the symmetric root of C^-1."""
    within, between = _eigenvalues(found, theta)
    return _scaled(found, z, 1.0 / np.sqrt(within), 1.0 / np.sqrt(between))


def precision(found: Any, theta: Array, z: Array) -> tuple[Array, Array]:
    """Return P z and the diagonal of P."""
    within, between = _eigenvalues(found, theta)
    diagonal = (1.0 - 1.0 / found.sizes) / within + 1.0 / (found.sizes * between)
    return _scaled(found, z, 1.0 / within, 1.0 / between), np.asarray(diagonal[..., found.place])


def coloured(found: Any, theta: Array, w: Array) -> Array:
    """Return w times the symmetric root of C."""
    within, between = _eigenvalues(found, theta)
    return _scaled(found, w, np.sqrt(within), np.sqrt(between))


def correlation(found: Any, theta: Array, places: Any) -> Array:
    """Return C of some sorted rows."""
    subject = found.place[places]
    same = (subject[:, None] == subject[None, :]).astype(np.float64)
    rho = theta[:, 0, None, None]
    return np.asarray(rho * same + (1.0 - rho) * np.eye(len(subject)))
