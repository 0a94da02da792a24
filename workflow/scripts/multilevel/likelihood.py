"""Pointwise log density of the response given the group effects (conditional), in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families, predictor
from multilevel.design import Design
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

    A censored row has the log probability of its tail or interval; a row of weight w counts w times, as w equal rows.

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
    value = module.log_density(y, **arguments)
    if "cens" in design.terms:
        kinds = design.terms["cens"][rows]
        value = np.where(kinds == -1, module.log_cdf(y, **arguments), value)
        value = np.where(kinds == 1, module.log_survival(y, **arguments), value)
        if "cens_upper" in design.terms:
            upper = np.where(kinds == 2, design.terms["cens_upper"][rows], y)
            value = np.where(kinds == 2, _log_interval(module, y, upper, arguments), value)
    return np.asarray(value * design.terms["weights"][rows] if "weights" in design.terms else value)


def _log_interval(module: ModuleType, lower: Array, upper: Array, arguments: Mapping[str, Any]) -> Array:
    """Return log P(lower < Y <= upper), from the tail in which it loses no digits."""
    below = module.log_cdf(lower, **arguments), module.log_cdf(upper, **arguments)
    above = module.log_survival(upper, **arguments), module.log_survival(lower, **arguments)
    small, large = (np.where(below[1] < above[1], a, b) for a, b in zip(below, above, strict=True))
    with np.errstate(divide="ignore"):  # an empty interval has probability 0
        return np.asarray(large + np.log(-np.expm1(np.minimum(small - large, 0.0))))
