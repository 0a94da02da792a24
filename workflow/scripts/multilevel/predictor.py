"""Linear predictors from stored draws, in NumPy, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from multilevel.design import Design

Array = NDArray[np.float64]

BLOCK_VALUES = 4_000_000
"""Most values (draws x rows) that a block holds: 32 MB of float64."""


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one model, chains after one another.

    Parameters
    ----------
    chains, draws
        Their numbers; S = chains x draws.
    b
        Coefficients, shape (S, coefficients).
    effects
        Group effects by term key, shape (S, levels, effects).
    others
        Scalar parameters of the family, shape (S,) each.
    """

    chains: int
    draws: int
    b: Array
    effects: dict[str, NDArray[np.float32]]
    others: dict[str, Array]

    @property
    def size(self) -> int:
        """Number of draws of all chains."""
        return self.chains * self.draws

    def select(self, index: Any) -> Draws:
        """Return some of the draws, as one chain."""
        b = self.b[index]
        return Draws(
            1, len(b), b, {k: v[index] for k, v in self.effects.items()}, {k: v[index] for k, v in self.others.items()}
        )


def read(path: Path, design: Design) -> Draws:
    """Read the draws that a linear predictor and a likelihood need from posterior.nc."""
    with xr.open_dataset(path, group="posterior", engine="netcdf4") as posterior:
        posterior.load()
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]

    def flat(name: str) -> Any:
        values = posterior[name].to_numpy()
        return values.reshape(chains * draws, *values.shape[2:])

    terms = [term.key for term in design.group_terms]
    special = {"b", *(f"{kind}_{key}" for key in terms for kind in ("sd", "cor", "r"))}
    b = flat("b") if "b" in posterior else np.zeros((chains * draws, 0))
    others = {str(name): flat(str(name)) for name in posterior.data_vars if name not in special}
    return Draws(chains, draws, b, {key: flat(f"r_{key}") for key in terms}, others)


def blocks(rows: int, draws: int) -> Iterator[slice]:
    """Yield slices of rows such that a block of draws x rows stays within `BLOCK_VALUES`."""
    step = max(1, BLOCK_VALUES // max(1, draws))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def linear_predictor(design: Design, draws: Draws, rows: slice) -> Array:
    """Return eta = X b + sum of Z r[level] + offset for some rows, shape (S, rows in the block)."""
    eta = draws.b @ design.x[rows].T + design.offset[rows]
    for term in design.group_terms:
        effects = draws.effects[term.key][:, term.index[rows], :]
        for position in range(len(term.effects)):
            eta += effects[:, :, position] * term.z[rows, position]
    return np.asarray(eta)
