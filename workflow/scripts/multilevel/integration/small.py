"""Cholesky factors of many small matrices at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def inverse_factor(matrix: Array) -> tuple[Array, Array]:
    """Return C^-1 and log|A| of A = C C', C lower-triangular.

    Parameters
    ----------
    matrix
        Symmetric positive definite, shape (..., q, q).

    Returns
    -------
    tuple
        C^-1, shape (..., q, q), and log|A|, shape (...).

    Raises
    ------
    numpy.linalg.LinAlgError
        When a matrix is not positive definite.
    """
    size = matrix.shape[-1]
    if size == 0:
        return np.zeros(matrix.shape), np.zeros(matrix.shape[:-2])
    if size > 2:
        factor = np.linalg.cholesky(matrix)
        diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
        return np.tril(np.linalg.inv(factor)), 2.0 * np.log(diagonal).sum(axis=-1)
    inverse = np.zeros(matrix.shape)
    first = np.sqrt(_positive(matrix[..., 0, 0]))
    inverse[..., 0, 0] = 1.0 / first
    log_determinant = 2.0 * np.log(first)
    if size == 2:
        below = matrix[..., 1, 0] / first
        second = np.sqrt(_positive(matrix[..., 1, 1] - np.square(below)))
        inverse[..., 1, 1] = 1.0 / second
        inverse[..., 1, 0] = -below / (first * second)
        log_determinant = log_determinant + 2.0 * np.log(second)
    return inverse, log_determinant


def _positive(values: Array) -> Array:
    if not (values > 0).all():
        raise np.linalg.LinAlgError("a matrix is not positive definite")
    return values


def factor_of_correlations(pairs: Array, size: int) -> Array:
    """Return Cholesky factors of correlation matrices.

    Parameters
    ----------
    pairs
        Correlations, row by row of the lower triangle, shape (S, pairs).
    size
        Number of effects.

    Returns
    -------
    numpy.ndarray
        Lower-triangular factors, shape (S, size, size). A matrix that rounding made indefinite, as correlations of nearly
        one do, is factored as if what is left of its diagonal were zero.
    """
    matrix = np.broadcast_to(np.eye(size), (len(pairs), size, size)).copy()
    below = np.tril_indices(size, k=-1)
    matrix[:, below[0], below[1]] = pairs
    factor = np.zeros(matrix.shape)
    for column in range(size):
        left = factor[:, column:, :column]
        rest = matrix[:, column:, column] - np.einsum("sij,sj->si", left, factor[:, column, :column])
        pivot = np.sqrt(np.maximum(rest[:, 0], 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor[:, column:, column] = np.where(pivot[:, None] > 0, rest / pivot[:, None], 0.0)
    return factor


def block_diagonal(parts: list[Array]) -> Array:
    """Return block-diagonal matrices of factors, shapes (..., q_k, q_k) with leading axes that broadcast."""
    if len(parts) == 1:
        return parts[0]
    leading = np.broadcast_shapes(*(part.shape[:-2] for part in parts))
    size = sum(part.shape[-1] for part in parts)
    whole = np.zeros((*leading, size, size))
    start = 0
    for part in parts:
        end = start + part.shape[-1]
        whole[..., start:end, start:end] = part
        start = end
    return whole
