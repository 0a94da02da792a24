"""Coefficients that the rows of a single unit inform: without them, a fixed effect for each group cannot be left out.

In ``y ~ 0 + county + x`` the coefficient of a county is known from that county's rows alone; without them its posterior is
its prior, and weighting the draws by 1 / likelihood would have to turn one into the other. So such a direction among
the coefficients is integrated out over its prior, given everything else, in closed form where that prior is normal.

With X the rows of all other units, a direction d is one with X d = 0. It need not be a single coefficient: with treatment
contrasts, the reference level's is the intercept up and all other levels down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multilevel.default_priors import coefficient_name
from multilevel.design import Design, Predictor
from multilevel.priors import Prior
from multilevel.units import Units

Array = NDArray[np.float64]

INFORMED = 1e-8
"""Share of a direction's information that other rows must have, for it to count as informed by them."""

ZERO = 1e-10
"""Relative size below which a direction does not touch a coefficient."""


class NotIntegrableError(ValueError):
    """A unit whose likelihood cannot be had by integration; the message says why."""


@dataclass(frozen=True)
class Direction:
    """Directions among the coefficients of one parameter that only one unit's rows inform, at a draw of the others.

    Parameters
    ----------
    parameter
        The parameter.
    names
        Coefficients that they touch.
    z
        What a step along each adds to the linear predictor of the unit's rows, shape (rows of the unit, directions).
    factor
        Lower-triangular factor of the prior covariance of the steps, shape (directions, directions).
    pull
        The prior mean of the step from a draw is ``pull @ c``, c the draw's distance from the prior location (`centred`),
        shape (directions, coefficients).
    """

    parameter: str
    names: tuple[str, ...]
    z: Array
    factor: Array
    pull: Array


def centred(design: Design, priors: Mapping[str, Prior], parameter: str, b: Array) -> Array:
    """Return how far each draw of a parameter's coefficients is from its prior location, shape (S, coefficients).

    The intercept is taken at the predictors' means, as its prior is. A coefficient without a normal prior is taken from 0.
    """
    part = next(p for p in design.predictors if p.parameter == parameter)
    return np.asarray(b[:, design.columns_of(parameter)] @ _centring(part).T - _location(part, priors))


def directions(design: Design, priors: Mapping[str, Prior], units: Units) -> dict[int, tuple[Direction, ...]]:
    """Return, by unit, the directions that only its rows inform; units without any are left out.

    Parameters
    ----------
    design
        The design.
    priors
        The prior of every parameter by name.
    units
        The units.

    Raises
    ------
    NotIntegrableError
        When the prior along such a direction is not normal, or when it moves the thresholds of an ordinal family, whose
        prior is none of independent parameters.
    """
    _refuse_thresholds(design, units)
    found: dict[int, tuple[Direction, ...]] = {}
    for predictor in design.predictors:
        for unit, steps in _uninformed(predictor.x, units).items():
            rows = np.flatnonzero(units.index == unit)
            direction = _direction(predictor, priors, steps, predictor.x[rows] @ steps, units, units.labels[unit])
            found[unit] = (*found.get(unit, ()), direction)
    return found


def _refuse_thresholds(design: Design, units: Units) -> None:
    """Raise where thresholds, or effects that shift single ones, rest on the rows of one unit alone.

    Thresholds have no column among the coefficients. With a constant in their place, a direction that touches it is one in
    which thresholds and coefficients move together, as where each unit has a coefficient of its own and one is the reference.
    """
    if design.thresholds is None:
        return
    matrices = [("the thresholds", np.column_stack([np.ones(len(design.y)), design.predictors[0].x]))]
    if design.thresholds.predictors:
        matrices.append((f"the effects cs({', '.join(design.thresholds.predictors)})", design.thresholds.x))
    for what, x in matrices:
        for unit, steps in _uninformed(x, units).items():
            if what == "the thresholds" and not np.abs(steps[0]).max():
                continue
            raise NotIntegrableError(
                f"without the rows of {units.labels[unit]}, nothing tells {what} from the coefficients of {units.name}: "
                f"leaving out one {units.name} at a time is not defined; give {units.name} a group term"
            )


def _uninformed(x: Array, units: Units) -> dict[int, Array]:
    """Return, by unit, the directions d with X d = 0 in all other rows and not in its own, shape (coefficients, m)."""
    if not x.shape[1] or units.count < 2:
        return {}
    scale = np.linalg.norm(x, axis=0)
    left, singular, right = np.linalg.svd(x / np.where(scale > 0, scale, 1.0), full_matrices=False)
    rank = int((singular > 1e-10 * singular[0]).sum())
    # Rows of an orthonormal basis: a direction that only one unit informs has all its length in the rows of that unit.
    left, back = left[:, :rank], right[:rank].T / singular[:rank]
    order = np.argsort(units.index, kind="stable")
    starts = np.append(0, np.cumsum(units.sizes))
    found: dict[int, Array] = {}
    for unit in range(units.count):
        own = left[order[starts[unit] : starts[unit + 1]]]
        if np.square(own).sum() < 1.0 - INFORMED:
            continue
        _, lengths, basis = np.linalg.svd(own, full_matrices=False)
        if (alone := np.square(lengths) > 1.0 - INFORMED).any():
            steps = back @ basis[alone].T / np.where(scale > 0, scale, 1.0)[:, None]
            size = np.abs(steps).max(axis=0)
            found[unit] = np.where(np.abs(steps) > ZERO * size, steps, 0.0)
    return found


def _direction(
    predictor: Predictor, priors: Mapping[str, Prior], steps: Array, z: Array, units: Units, label: str
) -> Direction:
    """Return the directions with the normal prior along them, given everything else.

    With c = M b the coefficients that have independent priors N(m, s^2), M b the intercept at the predictors' means, a
    step u from b changes c by C u, C = M D. So log p(u | all else) is quadratic: precision C' S^-2 C, mean
    -(C' S^-2 C)^-1 C' S^-2 (M b - m).
    """
    change = _centring(predictor) @ steps
    touched = np.asarray(np.abs(change).max(axis=1) > ZERO * np.abs(change).max())
    names = tuple(name for name, yes in zip(predictor.coefficients, touched, strict=True) if yes)
    for name in names:
        prior = priors[coefficient_name(name)]
        if prior.name != "normal":
            raise NotIntegrableError(
                f"only the rows of {label} inform {coefficient_name(name)}, whose prior {prior} is not normal: "
                f"leaving out one {units.name} at a time is not defined without integrating it out"
            )
    weight = np.where(touched, _precision(predictor, priors), 0.0)
    covariance = np.linalg.inv(change.T @ (weight[:, None] * change))
    return Direction(
        parameter=predictor.parameter,
        names=names,
        z=z,
        factor=np.linalg.cholesky(0.5 * (covariance + covariance.T)),
        pull=-covariance @ (change.T * weight),
    )


def _centring(predictor: Predictor) -> Array:
    """Return M with M b the coefficients, the intercept at the predictors' means."""
    matrix = np.eye(len(predictor.coefficients))
    if predictor.has_intercept:
        slopes = predictor.slopes
        matrix[predictor.coefficients.index(predictor.intercept), slopes] = predictor.x[:, slopes].mean(axis=0)
    return matrix


def _normal(predictor: Predictor, priors: Mapping[str, Prior]) -> list[tuple[float, float]]:
    """Return location and scale of each coefficient's prior; (0, infinity) where it is not normal."""
    found = [priors[coefficient_name(name)] for name in predictor.coefficients]
    return [(p.arguments[0], p.arguments[1]) if p.name == "normal" else (0.0, np.inf) for p in found]


def _location(predictor: Predictor, priors: Mapping[str, Prior]) -> Array:
    return np.array([location for location, _ in _normal(predictor, priors)])


def _precision(predictor: Predictor, priors: Mapping[str, Prior]) -> Array:
    return np.array([scale**-2.0 for _, scale in _normal(predictor, priors)])
