"""Log density of the response given the group effects (conditional), row by row or of all rows, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families, intervals, predictor, truncation
from multilevel.design import Design
from multilevel.families._special import LARGEST, log_between
from multilevel.predictor import Draws, Rows

Array = NDArray[np.float64]


def conditional(design: Design, draws: Draws) -> Iterator[tuple[slice, Array]]:
    """Yield log p(y_i | group effects, parameters) block by block; of correlated residuals log p(y_i | y_-i, ...).

    Parameters
    ----------
    design, draws
        The design and its posterior draws.

    Yields
    ------
    tuple
        The rows of the block, and the log densities, shape (S, rows in the block).
    """
    for rows in predictor.blocks(len(design.y), draws.size * design.width):
        yield rows, pointwise(design, draws, rows)


def pointwise(design: Design, draws: Draws, rows: Rows) -> Array:
    """Return log p(y_i | group effects, parameters) of some rows, shape (S, rows).

    Where residuals are correlated, it is the density given all other rows, log p(y_i | y_-i, group effects, parameters)
    (Bürkner, Gabry & Vehtari 2021): the one whose inverse is the importance ratio of leaving the row out.
    """
    if design.residuals is None:
        return of_rows(design, rows, predictor.arguments(design, draws, rows))
    mates = design.residuals.mates(rows)
    kept = np.searchsorted(mates, np.arange(len(design.y))[rows])
    own = design.residuals.take(mates)
    out = np.empty((draws.size, len(kept)))
    for part in _some_draws(draws.size, len(mates)):
        z, log_scale = standardised(design, draws.select(part), mates)
        assert draws.residual is not None
        out[part] = (own.given_others(draws.residual[part], z) - log_scale)[:, kept]
    return out if design.log_jacobian is None else out + design.log_jacobian[rows]


def joint(design: Design, draws: Draws) -> Array:
    """Return log p(y | group effects, parameters) of all rows, shape (S,): a sum over rows, or over subjects."""
    out = np.zeros(draws.size)
    if design.residuals is None:
        for rows in predictor.blocks(len(design.y), draws.size * design.width):
            out += of_rows(design, rows, predictor.arguments(design, draws, rows)).sum(axis=-1)
        return out
    every = np.arange(len(design.y))
    for part in _some_draws(draws.size, len(design.y)):
        z, log_scale = standardised(design, draws.select(part), every)
        assert draws.residual is not None
        out[part] = design.residuals.log_density(draws.residual[part], z).sum(axis=1) - log_scale.sum(axis=1)
    return out if design.log_jacobian is None else out + design.log_jacobian.sum()


def standardised(
    design: Design, draws: Draws, rows: Rows, without: Mapping[str, NDArray[np.bool_]] | None = None
) -> tuple[Array, Array]:
    """Return (y - eta) / sigma and log sigma of some rows, shape (S, rows) each.

    Parameters
    ----------
    design
        A design with correlated residuals.
    draws, rows, without
        As for `predictor.linear_predictor`.
    """
    given = predictor.arguments(design, draws, rows, without)
    eta = given["eta"]
    sigma = np.broadcast_to(given["sigma"], eta.shape)
    return (design.y[rows] - eta) / sigma, np.log(sigma)


def _some_draws(draws: int, rows: int) -> Iterator[slice]:
    """Yield slices of draws such that draws x rows stay within a block."""
    return predictor.blocks(draws, rows)


def of_rows(design: Design, rows: Rows, arguments: Mapping[str, Any]) -> Array:
    """Return log p(y_i | arguments) of some rows, which are independent given these.

    A censored row has the log probability of its tail or interval, a truncated one is divided by the probability of what
    could be observed; a row of weight w counts w times, as w equal rows.

    Parameters
    ----------
    design
        The design.
    rows
        The rows.
    arguments
        What the family's functions take (`predictor.arguments`); arrays broadcast over draws.
    """
    if design.residuals is not None:
        raise ValueError("rows whose residuals are correlated have no density of their own: use pointwise or joint")
    module, y = families.get(design.family), design.y[rows]
    value = np.asarray(module.log_density(y, **arguments))
    if design.log_jacobian is not None:  # densities; the probability of an interval is the same on either scale
        value = value + design.log_jacobian[rows]
    if found := intervals.censoring(design):
        censored, lower, upper = found[0][rows], found[1][rows], found[2][rows]
        if censored.any():
            value = np.array(np.broadcast_to(value, np.broadcast_shapes(value.shape, y.shape)))
            within = _log_probability(module, lower[censored], upper[censored], _of_columns(arguments, censored))
            value[..., censored] = within
    if bounds := intervals.truncation(design):
        value = value - _log_probability(module, bounds[0][rows], bounds[1][rows], arguments)
    return np.asarray(value * design.terms["weights"][rows] if "weights" in design.terms else value)


def replicates(design: Design, rng: np.random.Generator, draws: Draws, rows: Rows) -> Array:
    """Return new responses of some rows, one of each draw, shape (S, rows): with residuals correlated as theirs are.

    Parameters
    ----------
    design, draws, rows
        As for `pointwise`.
    rng
        The stream.
    """
    arguments = predictor.arguments(design, draws, rows)
    if design.residuals is None:
        return draws_of_rows(design, rng, rows, arguments)
    assert draws.residual is not None
    scale = arguments["sigma"]
    found = arguments["eta"] + scale * design.residuals.take(rows).draws(rng, draws.residual)
    return np.asarray(np.clip(found, -LARGEST, LARGEST))


def draws_of_rows(design: Design, rng: np.random.Generator, rows: Rows, arguments: Mapping[str, Any]) -> Array:
    """Return new responses of some rows, shape (S, rows): of truncated ones such as could be observed.

    Parameters
    ----------
    design, rows, arguments
        As for `of_rows`.
    rng
        The stream.
    """
    module = families.get(design.family)
    found = np.asarray(module.draws(rng, **arguments))
    if bounds := intervals.truncation(design):
        lower, upper = (part[rows] for part in bounds)
        return truncation.between(module, rng, found, lower, upper, arguments)
    return found


def _log_probability(module: ModuleType, lower: Array, upper: Array, arguments: Mapping[str, Any]) -> Array:
    """Return log P(lower < Y <= upper) of each row, where an end may be infinite."""
    below, above = np.isfinite(lower), np.isfinite(upper)
    found = []
    for chosen, kind in ((~below & above, "cdf"), (below & ~above, "survival"), (below & above, "interval")):
        if chosen.any():
            at, low, high = _of_columns(arguments, chosen), lower[chosen], upper[chosen]
            match kind:
                case "cdf":
                    values = module.log_cdf(high, **at)
                case "survival":
                    values = module.log_survival(low, **at)
                case _:
                    values = _log_interval(module, low, high, at)
            found.append((chosen, np.asarray(values)))
    out = np.zeros((*np.broadcast_shapes(*(values.shape[:-1] for _, values in found)), len(lower)))
    for chosen, values in found:
        out[..., chosen] = values
    return out


def _of_columns(arguments: Mapping[str, Any], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the arguments of some rows of a block: those with a value for each row (the last axis) are cut."""
    count = len(chosen)
    return {
        name: value[..., chosen] if np.ndim(value) and np.shape(value)[-1] == count and count > 1 else value
        for name, value in arguments.items()
    }


def _log_interval(module: ModuleType, lower: Array, upper: Array, arguments: Mapping[str, Any]) -> Array:
    """Return log P(lower < Y <= upper): of a mixture by its own function, of others by differences of tails."""
    if hasattr(module, "log_interval"):
        return np.asarray(module.log_interval(lower, upper, **arguments))
    below, above = ([f(end, **arguments) for end in (lower, upper)] for f in (module.log_cdf, module.log_survival))
    return log_between((below[0], below[1]), (above[0], above[1]))
