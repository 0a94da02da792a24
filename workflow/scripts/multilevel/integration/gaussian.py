"""Closed forms for normal responses with an identity link: y_j ~ N(eta, D + Z Sigma Z').

With P = D^-1 and Sigma = L L', A = I + L' Z'P Z L is small and well conditioned, singular Sigma included, and (Woodbury's
identity and the determinant lemma)

    log N(y | eta, D + Z Sigma Z') = log N(y | eta, D) - (log|A| - h' A^-1 h) / 2,        h = L' Z'P (y - eta).

A row of weight w has the log density of w equal rows: that of a row of precision w / d, and a constant. With t_i the
residual and a_i = z_i' Var(b | y_j) z_i the variance of a row's predictor given the whole unit, the row given the others is
(Rasmussen & Williams 2006, section 5.4.2, with weights)

    log p(y_i | y_j,-i) = -w_i/2 log(2 pi d_i) + log(1 - p_i a_i) / 2 - p_i t_i^2 / (2 (1 - p_i a_i)).

Inner effects are eliminated level by level first, so that A is never larger than the outer effects of a unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import predictor
from multilevel.design import Design
from multilevel.integration.local import Batch
from multilevel.integration.small import inverse_factor
from multilevel.predictor import Draws

Array = NDArray[np.float64]

_LOG_2PI = float(np.log(2.0 * np.pi))


def applies(design: Design, parameters: tuple[str, ...]) -> bool:
    """Tell whether the integral over effects on these parameters has a closed form."""
    return (
        design.family == "gaussian"
        and design.link == "identity"
        and "cens" not in design.terms
        and set(parameters) <= {design.parameters[0]}
    )


def values(batch: Batch) -> int:
    """Return about how many numbers a draw takes."""
    units, segments, rows, inner, outer = batch.sizes
    return int(rows * (6 + 2 * inner + 2 * outer) + segments * inner * (inner + outer) * 3 + units * outer**2 * 3)


def log_likelihood(batch: Batch, draws: Draws, with_rows: bool) -> tuple[Array, Array | None]:
    """Return log p(y_j | phi) of the batch's units and, where wanted, log p(y_i | y_j,-i, phi) of its rows.

    Parameters
    ----------
    batch
        The units.
    draws
        Draws, few enough that draws x `values` fit in memory.
    with_rows
        Whether the rows' values are wanted.

    Returns
    -------
    tuple
        Shapes (S, units) and (S, rows), the rows in the batch's order.
    """
    design, without = batch.structure.design, batch.structure.without
    given = predictor.arguments(design, draws, batch.rows, without)
    variance = np.square(given.get("sigma", np.zeros((1, 1)))) + np.square(given.get("se", 0.0))
    weight = design.terms["weights"][batch.rows] if "weights" in design.terms else np.ones(len(batch.rows))
    residual = design.y[batch.rows] - given["eta"]
    for moved in batch.shift(draws).values():
        residual = residual - moved
    system = _System(batch, draws, residual, weight / variance)
    unweighted = -0.5 * weight * (_LOG_2PI + np.log(variance))
    constant = np.add.reduceat(np.broadcast_to(unweighted, residual.shape), batch.unit_starts, axis=1)
    units = constant - 0.5 * (system.quadratic + system.log_determinant)
    if not with_rows:
        return units, None
    fitted, spread = system.predictions()
    left = residual - fitted
    rest = 1.0 - system.precision * spread
    return units, unweighted + 0.5 * np.log(rest) - 0.5 * system.precision * np.square(left) / rest


class _System:
    """The normal equations of the effects of a batch, inner effects eliminated.

    Parameters
    ----------
    batch, draws
        Units and draws.
    residual
        y less what is conditioned on, shape (S, n).
    precision
        Of each row, shape (S, n) or broadcasting to it.
    """

    def __init__(self, batch: Batch, draws: Draws, residual: Array, precision: Array) -> None:
        self.batch = batch
        self.precision = precision = np.broadcast_to(precision, residual.shape)
        self.inner, self.outer = batch.inner_factor(draws)[:, None], batch.outer_factor(draws)
        weighted = precision * residual
        units = len(batch.units)
        self.quadratic = np.add.reduceat(weighted * residual, batch.unit_starts, axis=1)
        self.log_determinant = np.zeros((len(residual), units))
        z, w = batch.z_inner, batch.z_outer
        matrix = _products(precision, w, w, batch.unit_starts)
        right = _sums(weighted, w, batch.unit_starts)
        matrix = np.swapaxes(self.outer, -1, -2) @ matrix @ self.outer + np.eye(w.shape[1])
        right = _times(np.swapaxes(self.outer, -1, -2), right)
        if z.shape[1]:
            back = np.swapaxes(self.inner, -1, -2)
            inner = back @ _products(precision, z, z, batch.segment_starts) @ self.inner + np.eye(z.shape[1])
            self.inner_inverse, log_determinant = inverse_factor(inner)
            self.inner_right = _times(self.inner_inverse @ back, _sums(weighted, z, batch.segment_starts))
            self.quadratic = self.quadratic - self._by_unit(np.square(self.inner_right).sum(axis=-1))
            self.log_determinant = self.log_determinant + self._by_unit(log_determinant)
            if w.shape[1]:
                across = _products(precision, z, w, batch.segment_starts)
                owner = batch.unit_of_segment
                outer = self.outer if self.outer.shape[1] == 1 else self.outer[:, owner]
                self.across = self.inner_inverse @ back @ across @ outer
                matrix = matrix - self._by_unit(np.swapaxes(self.across, -1, -2) @ self.across)
                right = right - self._by_unit(_times(np.swapaxes(self.across, -1, -2), self.inner_right))
        if w.shape[1]:
            self.outer_inverse, log_determinant = inverse_factor(matrix)
            self.outer_right = _times(self.outer_inverse, right)
            self.quadratic = self.quadratic - np.square(self.outer_right).sum(axis=-1)
            self.log_determinant = self.log_determinant + log_determinant

    def _by_unit(self, of_segments: Array) -> Array:
        """Sum over the segments of each unit, on the second axis."""
        units, segments, *_ = self.batch.sizes
        if units == segments:
            return of_segments
        starts = np.flatnonzero(np.append(True, np.diff(self.batch.unit_of_segment) != 0))
        return np.asarray(np.add.reduceat(of_segments, starts, axis=1))

    def predictions(self) -> tuple[Array, Array]:
        """Return what the effects add to each row's predictor given the whole unit, and its variance, shapes (S, n)."""
        batch = self.batch
        z, w, segment, unit = batch.z_inner, batch.z_outer, batch.segment_of_row, batch.unit_of_row
        fitted, spread = np.zeros(self.precision.shape), np.zeros(self.precision.shape)
        mean: Array = self.inner_right if z.shape[1] else np.zeros(0)
        if w.shape[1]:
            outer_mean = _times(np.swapaxes(self.outer_inverse, -1, -2), self.outer_right)
            row = _of_rows(self.outer, w, unit)
            fitted += (row * outer_mean[:, unit]).sum(axis=-1)
            if z.shape[1]:
                mean = mean - _times(self.across, outer_mean[:, batch.unit_of_segment])
        if z.shape[1]:
            half = np.swapaxes(self.inner_inverse @ np.swapaxes(self.inner, -1, -2), -1, -2)
            standard = _of_rows(half, z, segment)
            fitted += (standard * mean[:, segment]).sum(axis=-1)
            spread += np.square(standard).sum(axis=-1)
        if w.shape[1]:
            if z.shape[1]:
                row = row - np.einsum("snf,snfd->snd", standard, self.across[:, segment])
            spread += np.square(_of_parts(self.outer_inverse, row, batch.unit_starts)).sum(axis=-1)
        return fitted, spread


def _products(precision: Array, left: Array, right: Array, starts: NDArray[np.int64]) -> Array:
    """Return sums of p z_a w_b over the rows of each part, shape (S, parts, columns, columns)."""
    out = np.empty((len(precision), len(starts), left.shape[1], right.shape[1]))
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            if left is right and b < a:
                out[:, :, a, b] = out[:, :, b, a]
            else:
                out[:, :, a, b] = np.add.reduceat(precision * (left[:, a] * right[:, b]), starts, axis=1)
    return out


def _sums(weighted: Array, columns: Array, starts: NDArray[np.int64]) -> Array:
    """Return sums of p r z_a over the rows of each part, shape (S, parts, columns)."""
    out = np.empty((len(weighted), len(starts), columns.shape[1]))
    for a in range(columns.shape[1]):
        out[:, :, a] = np.add.reduceat(weighted * columns[:, a], starts, axis=1)
    return out


def _times(matrix: Array, vector: Array) -> Array:
    """Return matrix @ vector for stacks of both."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def _of_rows(factor: Array, columns: Array, part_of_row: NDArray[np.int64]) -> Array:
    """Return z_i' L of every row, L being the factor of the row's part, shape (S, n, effects)."""
    if factor.shape[1] == 1:
        return np.asarray(columns @ factor[:, 0])
    return np.asarray(np.einsum("nd,snde->sne", columns, factor[:, part_of_row]))


def _of_parts(matrix: Array, rows: Array, starts: NDArray[np.int64]) -> Array:
    """Return M_part r_i for the rows of each part, shape (S, n, effects)."""
    ends = [*starts[1:], rows.shape[1]]
    parts = (
        rows[:, start:end] @ np.swapaxes(matrix[:, part], -1, -2)
        for part, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    return np.concatenate(list(parts), axis=1)
