"""Pointwise log density of the response given the group effects (conditional), in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from multilevel import families, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]


def conditional(design: Design, draws: Draws, family: str) -> Iterator[tuple[slice, Array]]:
    """Yield log p(y_i | group effects, parameters) block by block.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    family
        Name of the response distribution.

    Yields
    ------
    tuple
        The rows of the block, and the log densities, shape (S, rows in the block).
    """
    module = families.get(family)
    others = {name: draws.others[name][:, None] for name in module.PARAMETERS[1:]}
    for rows in predictor.blocks(len(design.y), draws.size):
        eta = predictor.linear_predictor(design, draws, rows)
        yield rows, module.log_density(design.y[rows], eta, **others)
