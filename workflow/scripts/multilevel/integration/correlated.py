"""Closed forms for normal responses whose residuals are correlated within subjects: y_j ~ N(eta, D C D + Z Sigma Z').

A unit holds whole subjects, so that units are independent given what is conditioned on. Its covariance V is a matrix of as
many rows as it has; with P = V^-1 a row given the others of its unit is (Bürkner, Gabry & Vehtari 2021, eq. 12 to 14)

    log p(y_i | y_j,-i) = log P_ii / 2 - ((P (y - eta))_i)^2 / (2 P_ii) - log(2 pi) / 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import predictor
from multilevel.design import Design
from multilevel.integration.coefficients import NotIntegrableError
from multilevel.integration.local import Batch, Structure
from multilevel.predictor import Draws
from multilevel.units import Units

Array = NDArray[np.float64]

_LOG_2PI = float(np.log(2.0 * np.pi))

MATRICES = 6
"""Matrices of a unit that are held at a time, about."""


def refuse(structure: Structure) -> None:
    """Refuse units that split a subject, and effects whose integral has no closed form.

    Raises
    ------
    NotIntegrableError
        With the reason.
    """
    design, of = structure.design, structure.units
    assert design.residuals is not None
    if splits(design, of):
        raise NotIntegrableError(
            f"{design.residuals.words}, and rows of one {design.residuals.group} belong to several levels of {of.name}"
        )
    if other := [p for p in structure.parameters if p != design.parameters[0]]:
        raise NotIntegrableError(f"{design.residuals.words}, beside which effects on {other[0]} are not integrated out")


def splits(design: Design, of: Units) -> bool:
    """Tell whether the rows of a subject belong to several units."""
    assert design.residuals is not None
    subject = design.residuals.subject
    first = np.full(int(subject.max()) + 1, -1, dtype=np.int64)
    first[subject] = of.index
    return bool((first[subject] != of.index).any())


def values(batch: Batch) -> int:
    """Return about how many numbers a draw takes."""
    return int(MATRICES * np.square(batch.unit_sizes).sum())


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
    design = batch.structure.design
    given = predictor.arguments(design, draws, batch.rows, batch.structure.without)
    sigma = np.broadcast_to(given["sigma"], given["eta"].shape)
    residual = design.y[batch.rows] - given["eta"]
    for moved in batch.shift(draws).values():
        residual = residual - moved
    inner, outer = batch.inner_factor(draws), batch.outer_factor(draws)
    of_units, of_rows = np.empty((draws.size, len(batch.units))), np.empty(residual.shape)
    ends = np.append(batch.unit_starts[1:], len(batch.rows))
    for unit, (start, end) in enumerate(zip(batch.unit_starts, ends, strict=True)):
        own = slice(start, end)
        covariance = _covariance(batch, draws, own, sigma[:, own], inner, outer[:, unit if outer.shape[1] > 1 else 0])
        factor = np.linalg.inv(np.linalg.cholesky(covariance))
        white = np.einsum("sij,sj->si", factor, residual[:, own])
        log_roots = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        of_units[:, unit] = log_roots - 0.5 * (np.square(white).sum(axis=1) + (end - start) * _LOG_2PI)
        diagonal = np.square(factor).sum(axis=1)
        pulled = np.einsum("sji,sj->si", factor, white)
        of_rows[:, own] = 0.5 * (np.log(diagonal) - np.square(pulled) / diagonal - _LOG_2PI)
    if design.log_jacobian is not None:
        jacobian = design.log_jacobian[batch.rows]
        of_rows += jacobian
        of_units += np.add.reduceat(jacobian, batch.unit_starts)
    return of_units, of_rows if with_rows else None


def _covariance(batch: Batch, draws: Draws, own: slice, sigma: Array, inner: Array, outer: Array) -> Array:
    """Return the covariance of a unit's rows, effects integrated out, shape (S, n, n)."""
    residuals, theta = batch.structure.design.residuals, draws.residual
    assert residuals is not None
    assert theta is not None
    found = residuals.correlation(theta, batch.rows[own]) * sigma[:, :, None] * sigma[:, None, :]
    if batch.z_inner.shape[1]:
        half = batch.z_inner[own] @ inner
        segment = batch.segment_of_row[own]
        found = found + half @ np.swapaxes(half, 1, 2) * (segment[:, None] == segment)
    if batch.z_outer.shape[1]:
        half = batch.z_outer[own] @ outer
        found = found + half @ np.swapaxes(half, 1, 2)
    return np.asarray(found)
