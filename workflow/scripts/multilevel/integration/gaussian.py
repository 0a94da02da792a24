"""Closed forms for normal responses with an identity link: y_j ~ N(eta, D + Z Sigma Z').

With P = D^-1 and Sigma = L L', A = I + L' Z'P Z L is small and well conditioned, singular Sigma included, and (Woodbury's
identity and the determinant lemma)

    log N(y | eta, D + Z Sigma Z') = log N(y | eta, D) - (log|A| - h' A^-1 h) / 2,        h = L' Z'P (y - eta).

A row of weight w has the log density of w equal rows: that of a row of precision w / d, and a constant. With t_i the
residual and a_i = z_i' Var(b | y_j) z_i the variance of a row's predictor given the whole unit, the row given the others is
(Rasmussen & Williams 2006, section 5.4.2, with weights)

    log p(y_i | y_j,-i) = -w_i/2 log(2 pi d_i) + log(1 - p_i a_i) / 2 - p_i t_i^2 / (2 (1 - p_i a_i)).

`arrow` has A and its factors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import predictor
from multilevel.design import Design
from multilevel.integration.arrow import Arrow, added, whitened
from multilevel.integration.local import Batch, Features, with_nodes
from multilevel.predictor import Draws

Array = NDArray[np.float64]

_LOG_2PI = float(np.log(2.0 * np.pi))

NODES = 5
"""Gauss-Hermite nodes for averages over a normal predictor: exact up to its ninth power."""


def applies(design: Design, parameters: tuple[str, ...]) -> bool:
    """Tell whether the integral over effects on these parameters has a closed form."""
    return (
        design.curve is None
        and design.family == "gaussian"
        and design.link == "identity"
        and not {"cens", "lb", "ub"} & set(design.terms)
        and set(parameters) <= {design.parameters[0]}
    )


def values(batch: Batch) -> int:
    """Return about how many numbers a draw takes."""
    units, segments, rows, inner, outer = batch.sizes
    return int(rows * (6 + 2 * inner + 2 * outer) + segments * inner * (inner + outer) * 3 + units * outer**2 * 3)


def log_likelihood(
    batch: Batch, draws: Draws, with_rows: bool, features: Features | None = None
) -> tuple[Array, Array | None, Array | None]:
    """Return log p(y_j | phi) of the batch's units and, where wanted, log p(y_i | y_j,-i, phi) of its rows.

    Parameters
    ----------
    batch
        The units.
    draws
        Draws, few enough that draws x `values` fit in memory.
    with_rows
        Whether the rows' values are wanted.
    features
        What is averaged over the effects given the other rows of the unit, where that is wanted.

    Returns
    -------
    tuple
        Shapes (S, units), (S, rows), and (features, S, rows), the rows in the batch's order.
    """
    design, without = batch.structure.design, batch.structure.without
    given = predictor.arguments(design, draws, batch.rows, without)
    variance = np.square(given.get("sigma", np.zeros((1, 1)))) + np.square(given.get("se", 0.0))
    weight = design.terms["weights"][batch.rows] if "weights" in design.terms else np.ones(len(batch.rows))
    residual = design.y[batch.rows] - given["eta"]
    for moved in batch.shift(draws).values():
        residual = residual - moved
    mean = design.parameters[0]
    inner, outer = batch.inner_factor(draws), batch.outer_factor(draws)
    precision = np.broadcast_to(weight / variance, residual.shape)
    system = Arrow(batch, inner, outer, {(mean, mean): precision})
    at_inner, at_outer, explained = system.solve(whitened(batch, inner, outer, {mean: precision * residual}))
    quadratic = np.add.reduceat(precision * np.square(residual), batch.unit_starts, axis=1) - explained
    jacobian = 0.0 if design.log_jacobian is None else design.log_jacobian[batch.rows]
    unweighted = weight * (jacobian - 0.5 * (_LOG_2PI + np.log(variance)))
    constant = np.add.reduceat(np.broadcast_to(unweighted, residual.shape), batch.unit_starts, axis=1)
    units = constant - 0.5 * (quadratic + system.log_determinant)
    if not with_rows:
        return units, None, None
    fitted = added(batch, inner, outer, (at_inner[:, None], at_outer[:, None]))[mean][:, 0]
    spread = system.spread(mean)
    rest = 1.0 - precision * spread
    of_rows = unweighted + 0.5 * np.log(rest) - 0.5 * precision * np.square(residual - fitted) / rest
    if features is None:
        return units, of_rows, None
    # Given the other rows, the predictor is normal: mean y_i - t_i / (1 - p_i a_i), variance a_i / (1 - p_i a_i).
    middle, sd = design.y[batch.rows] - (residual - fitted) / rest, np.sqrt(np.maximum(spread / rest, 0.0))
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    with_axis = with_nodes(given)
    with_axis["eta"] = middle[:, None] + sd[:, None] * points[:, None]
    averaged = np.einsum("k,fskn->fsn", weights / weights.sum(), features(batch.rows, with_axis))
    return units, of_rows, averaged
