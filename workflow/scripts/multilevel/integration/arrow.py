"""Normal equations of the effects of a batch of units, on coordinates in which their prior is standard normal.

With L the factor of the prior covariance and W the precision of the rows' predictors, A = I + L' Z'W Z L. It has an arrow's
shape: a block for each level of the inner effects, and one for the outer effects of the unit. The inner blocks are
eliminated first, so that no matrix is larger than the outer effects of one unit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.integration.local import Batch
from multilevel.integration.small import inverse_factor

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Weights = Mapping[tuple[str, str], Array]
"""Precision between the predictors of two parameters, shape (S, n); pairs that are absent are zero."""


class Arrow:
    """The factored normal equations.

    Parameters
    ----------
    batch
        The units.
    inner, outer
        Factors of the prior covariance, shapes (S, effects, effects) and (S, U or 1, effects, effects).
    weights
        Precision of the rows' predictors by pairs of parameters.
    """

    def __init__(self, batch: Batch, inner: Array, outer: Array, weights: Weights) -> None:
        self.batch = batch
        self.inner, self.outer = inner[:, None], outer
        z, w = batch.z_inner, batch.z_outer
        owners = (batch.inner_parameters, batch.outer_parameters)
        size = len(next(iter(weights.values())))
        self.log_determinant = np.zeros((size, len(batch.units)))
        self.inner_log_determinant = np.zeros((size, len(batch.inner_levels)))
        if w.shape[1]:
            matrix = _products(weights, w, w, owners[1], owners[1], batch.unit_starts)
            matrix = _transposed(outer) @ matrix @ outer + np.eye(w.shape[1])
        if z.shape[1]:
            back = _transposed(self.inner)
            own = _products(weights, z, z, owners[0], owners[0], batch.segment_starts)
            own = back @ own @ self.inner + np.eye(z.shape[1])
            self.inner_inverse, self.inner_log_determinant = inverse_factor(own)
            self.log_determinant = self.log_determinant + by_unit(batch, self.inner_log_determinant)
            if w.shape[1]:
                across = _products(weights, z, w, owners[0], owners[1], batch.segment_starts)
                of_segments = outer if outer.shape[1] == 1 else outer[:, batch.unit_of_segment]
                self.across = self.inner_inverse @ back @ across @ of_segments
                matrix = matrix - by_unit(batch, _transposed(self.across) @ self.across)
        if w.shape[1]:
            self.outer_inverse, self.outer_log_determinant = inverse_factor(matrix)
            self.log_determinant = self.log_determinant + self.outer_log_determinant

    def solve(self, right: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        """Solve A x = right.

        Parameters
        ----------
        right
            Inner part, shape (S, L, effects), and outer part, shape (S, U, effects).

        Returns
        -------
        tuple
            x, in the same two parts, and right' x of each unit, shape (S, U).
        """
        inner, outer = right
        quadratic = np.zeros((len(inner), len(self.batch.units)))
        has_inner, has_outer = bool(inner.shape[-1]), bool(outer.shape[-1])
        if has_inner:
            inner = times(self.inner_inverse, inner)
            quadratic = quadratic + by_unit(self.batch, np.square(inner).sum(axis=-1))
            if has_outer:
                outer = outer - by_unit(self.batch, times(_transposed(self.across), inner))
        if has_outer:
            outer = times(self.outer_inverse, outer)
            quadratic = quadratic + np.square(outer).sum(axis=-1)
            outer = times(_transposed(self.outer_inverse), outer)
            if has_inner:
                inner = inner - times(self.across, outer[:, self.batch.unit_of_segment])
        if has_inner:
            inner = times(_transposed(self.inner_inverse), inner)
        return inner, outer, quadratic

    def spread(self, parameter: str) -> Array:
        """Return z_i' L A^-1 L' z_i of each row: the variance of what the effects add to its predictor, shape (S, n)."""
        batch = self.batch
        z = batch.z_inner * np.array([owner == parameter for owner in batch.inner_parameters], dtype=float)
        w = batch.z_outer * np.array([owner == parameter for owner in batch.outer_parameters], dtype=float)
        segment = batch.segment_of_row
        spread: Array = np.zeros((len(self.log_determinant), len(batch.rows)))
        row: Array = of_rows(self.outer, w, batch.unit_of_row) if w.shape[1] else np.zeros(0)
        if z.shape[1]:
            half = _transposed(self.inner_inverse @ _transposed(self.inner))
            standard = of_rows(half, z, segment)
            spread = spread + np.square(standard).sum(axis=-1)
            if w.shape[1]:
                row = row - np.einsum("snf,snfd->snd", standard, self.across[:, segment])
        if w.shape[1]:
            spread = spread + np.square(_of_parts(self.outer_inverse, row, batch.unit_starts)).sum(axis=-1)
        return spread


def whitened(batch: Batch, inner: Array, outer: Array, values: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return L' Z' v: inner part, shape (S, L, effects), and outer part, shape (S, U, effects).

    Parameters
    ----------
    batch, inner, outer
        As for `Arrow`.
    values
        By parameter, a value for each row, shape (S, n).
    """
    of_segments = _sums(values, batch.z_inner, batch.inner_parameters, batch.segment_starts)
    of_units = _sums(values, batch.z_outer, batch.outer_parameters, batch.unit_starts)
    return times(_transposed(inner[:, None]), of_segments), times(_transposed(outer), of_units)


def added(batch: Batch, inner: Array, outer: Array, at: tuple[Array, Array]) -> dict[str, Array]:
    """Return what effects at some coordinates add to the rows' predictors, by parameter, shape (S, K, n).

    Parameters
    ----------
    batch, inner, outer
        As for `Arrow`.
    at
        Coordinates of the inner effects, shape (S, K, L, effects), and of the outer ones, shape (S, K, U, effects).
    """
    found: dict[str, Array] = {}
    for u, factor, columns, owners, part in (
        (at[0], inner[:, None, None], batch.z_inner, batch.inner_parameters, batch.segment_of_row),
        (at[1], outer[:, None], batch.z_outer, batch.outer_parameters, batch.unit_of_row),
    ):
        if not columns.shape[1]:
            continue
        effects = times(factor, u)
        for column, owner in enumerate(owners):
            more = effects[..., part, column] * columns[:, column]
            found[owner] = found[owner] + more if owner in found else more
    return found


def by_unit(batch: Batch, of_segments: Array) -> Array:
    """Sum over the segments of each unit, on the second axis."""
    if len(batch.units) == len(batch.inner_levels):
        return of_segments
    starts = np.flatnonzero(np.append(True, np.diff(batch.unit_of_segment) != 0))
    return np.asarray(np.add.reduceat(of_segments, starts, axis=1))


def times(matrix: Array, vector: Array) -> Array:
    """Return matrix @ vector for stacks of both."""
    if matrix.shape[-1] == 1 == matrix.shape[-2]:
        return np.asarray(matrix[..., 0] * vector)
    return np.asarray((matrix @ vector[..., None])[..., 0])


def of_rows(factor: Array, columns: Array, part_of_row: Index) -> Array:
    """Return z_i' L of every row, L being the factor of the row's part, shape (S, n, effects)."""
    if factor.shape[1] == 1:
        return np.asarray(columns @ factor[:, 0])
    return np.asarray(np.einsum("nd,snde->sne", columns, factor[:, part_of_row]))


def _transposed(matrix: Array) -> Array:
    return np.swapaxes(matrix, -1, -2)


def _products(
    weights: Weights,
    left: Array,
    right: Array,
    left_owners: tuple[str, ...],
    right_owners: tuple[str, ...],
    starts: Index,
) -> Array:
    """Return sums of w z_a z_b over the rows of each part, shape (S, parts, columns, columns)."""
    size = len(next(iter(weights.values())))
    out = np.zeros((size, len(starts), left.shape[1], right.shape[1]))
    for a, owner in enumerate(left_owners):
        for b, other in enumerate(right_owners):
            if left is right and b < a:
                out[:, :, a, b] = out[:, :, b, a]
            elif (owner, other) in weights:
                out[:, :, a, b] = np.add.reduceat(weights[owner, other] * (left[:, a] * right[:, b]), starts, axis=1)
    return out


def _sums(values: Mapping[str, Array], columns: Array, owners: tuple[str, ...], starts: Index) -> Array:
    """Return sums of v z_a over the rows of each part, shape (S, parts, columns)."""
    size = len(next(iter(values.values())))
    out = np.empty((size, len(starts), columns.shape[1]))
    for a, owner in enumerate(owners):
        out[:, :, a] = np.add.reduceat(values[owner] * columns[:, a], starts, axis=1)
    return out


def _of_parts(matrix: Array, rows: Array, starts: Index) -> Array:
    """Return M_part r_i for the rows of each part, shape (S, n, effects)."""
    ends = [*starts[1:], rows.shape[1]]
    parts = (
        rows[:, start:end] @ _transposed(matrix[:, part])
        for part, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    return np.concatenate(list(parts), axis=1)
