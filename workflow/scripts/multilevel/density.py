"""Densities of values as they are drawn: Gaussian kernels for continuous values, shares for whole numbers.

Kernels have the width of Scott's rule, sd n^(-1/5) (Scott 1992, Multivariate Density Estimation, eq. 6.42), as in
`scipy.stats.gaussian_kde`, which costs half a second to import and refuses values that are all equal.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINNED_ABOVE: Final = 2_000
"""Values above which they are first counted in bins of a sixteenth of the kernel's width."""


def kernel(values: Array, grid: Array, width: float | None = None) -> Array:
    """Return the kernel density of `values` at the points of `grid`, both one-dimensional.

    Values that are all equal, or a single one, get a kernel as wide as a step of the grid: a spike where they are. `width`
    is the sd of the kernel, that of Scott's rule if left out.
    """
    if width is None:
        width = float(values.std(ddof=1)) * len(values) ** -0.2 if len(values) > 1 else 0.0
    width = max(width, 0.5 * float(np.ptp(grid)) / max(len(grid) - 1, 1), np.finfo(float).tiny)
    places, weights = _binned(values, width) if len(values) > BINNED_ABOVE else (values, np.ones(len(values)))
    z = (grid[:, None] - places[None, :]) / width
    return np.asarray(np.exp(-0.5 * z * z) @ weights / (len(values) * width * np.sqrt(2 * np.pi)))


def robust_width(values: Array) -> float:
    """Return the sd of a kernel that a long tail does not widen: with the quartiles' distance / 1.349 where it is less than sd.

    Silverman (1986), Density Estimation for Statistics and Data Analysis, eq. 3.30.
    """
    if len(values) < 2:
        return 0.0
    quartiles = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.349
    spread = float(values.std(ddof=1))
    return float((min(spread, quartiles) if quartiles > 0 else spread) * len(values) ** -0.2)


def _binned(values: Array, width: float) -> tuple[Array, Array]:
    """Return the centres of the bins that hold values, and how many each holds."""
    bins, counts = np.unique(np.round(values * (16 / width)), return_counts=True)
    return bins * (width / 16), counts.astype(np.float64)


def shares(values: Array, grid: Array) -> Array:
    """Return what share of `values`, whole numbers, equals each point of `grid`, consecutive whole numbers."""
    places = np.round(values - grid[0]).astype(np.int64)
    inside = places[(places >= 0) & (places < len(grid))]
    return np.bincount(inside, minlength=len(grid)) / max(len(values), 1)
