"""Unstructured: a correlation for each pair of occasions. A subject that missed some has the rows and columns of the others.

Parameters are the correlations row by row of the lower triangle. Subjects seen at the same occasions are computed together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENTENCE = "residuals of one {group} have a correlation of their own for each two values of {time}"
TIME = "occasion"


def matrix(theta: Array, size: int) -> Array:
    """Return the correlations as matrices, shape (S, size, size)."""
    out = np.broadcast_to(np.eye(size), (len(theta), size, size)).copy()
    rows, columns = np.tril_indices(size, k=-1)
    out[:, rows, columns] = out[:, columns, rows] = theta
    return out


def _factors(found: Any, theta: Array) -> list[tuple[Array, Any]]:
    """Return the Cholesky factor of each pattern, shape (S, k, k), and the places of its rows, shape (subjects, k)."""
    whole = matrix(theta, len(found.occasions))
    return [(np.linalg.cholesky(whole[:, seen[:, None], seen]), places) for seen, places in found.patterns]


def log_determinant(found: Any, theta: Array) -> Array:
    """Return log |C| of each subject."""
    out = np.empty((len(theta), len(found.sizes)))
    for factor, places in _factors(found, theta):
        logs = 2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        out[:, found.place[places[:, 0]]] = logs[:, None]
    return out


def whitened(found: Any, theta: Array, z: Array) -> Array:
    """Return L^-1 z of each subject."""
    out = np.empty(np.broadcast_shapes(z.shape, (len(theta), 1)))
    for factor, places in _factors(found, theta):
        solved = np.linalg.solve(factor, np.swapaxes(z[:, places], 1, 2))
        out[:, places] = np.swapaxes(solved, 1, 2)
    return out


def precision(found: Any, theta: Array, z: Array) -> tuple[Array, Array]:
    """Return P z and the diagonal of P."""
    shape = np.broadcast_shapes(z.shape, (len(theta), 1))
    product, diagonal = np.empty(shape), np.empty(shape)
    for factor, places in _factors(found, theta):
        inverse = np.linalg.inv(factor)
        own = np.swapaxes(inverse, 1, 2) @ inverse
        product[:, places] = np.einsum("sij,snj->sni", own, np.broadcast_to(z[:, places], (len(theta), *places.shape)))
        diagonal[:, places] = np.diagonal(own, axis1=1, axis2=2)[:, None, :]
    return product, diagonal


def coloured(found: Any, theta: Array, w: Array) -> Array:
    """Return L w of each subject."""
    out = np.empty_like(w)
    for factor, places in _factors(found, theta):
        out[:, places] = np.einsum("sij,snj->sni", factor, w[:, places])
    return out


def correlation(found: Any, theta: Array, places: Any) -> Array:
    """Return C of some sorted rows."""
    occasion, subject = found.at[found.order][places].astype(np.int64), found.place[places]
    same = subject[:, None] == subject[None, :]
    whole = matrix(theta, len(found.occasions))
    return np.asarray(np.where(same, whole[:, occasion[:, None], occasion], 0.0))
