"""Pointwise log density of the response given the group effects (conditional), in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families, intervals, predictor, truncation
from multilevel.design import Design
from multilevel.families._special import log_between
from multilevel.predictor import Draws, Rows

Array = NDArray[np.float64]


def conditional(design: Design, draws: Draws) -> Iterator[tuple[slice, Array]]:
    """Yield log p(y_i | group effects, parameters) block by block.

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
        yield rows, of_rows(design, rows, predictor.arguments(design, draws, rows))


def of_rows(design: Design, rows: Rows, arguments: Mapping[str, Any]) -> Array:
    """Return log p(y_i | arguments) of some rows.

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
