"""Posterior predictive checks: replicated data against the observed, by statistics and by density.

Replicates are new responses of the same rows in the same groups (the group effects are kept). A tail probability is
P(T(y_rep) >= T(y)), ties counted half (Gelman, Meng & Stern 1996, Statistica Sinica 6:733).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gaussian_kde, skew

from multilevel import families, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]

MAX_REPLICATES = 1000
"""Replicates that the statistics are computed from, evenly spaced over the draws."""

SHOWN_REPLICATES = 40
"""Replicates whose density is drawn."""

STATISTICS: dict[str, Callable[[Array], Array]] = {
    "mean": lambda y: y.mean(axis=-1),
    "sd": lambda y: y.std(axis=-1, ddof=1),
    "minimum": lambda y: y.min(axis=-1),
    "10 % quantile": lambda y: np.quantile(y, 0.1, axis=-1),
    "median": lambda y: np.median(y, axis=-1),
    "90 % quantile": lambda y: np.quantile(y, 0.9, axis=-1),
    "maximum": lambda y: y.max(axis=-1),
    "skewness": lambda y: np.asarray(skew(y, axis=-1)),
}


def replicate(design: Design, draws: Draws, seed: int) -> Array:
    """Return replicated responses, shape (replicates, rows).

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    seed
        The fit's seed; the replicates have a stream of their own.
    """
    count = min(MAX_REPLICATES, draws.size)
    chosen = draws.select(np.linspace(0, draws.size - 1, count).round().astype(int))
    module = families.get(design.family)
    rng = np.random.default_rng([seed, 1])
    out = np.empty((count, len(design.y)))
    for rows in predictor.blocks(len(design.y), count * design.width):
        out[:, rows] = module.draws(rng, **predictor.arguments(design, chosen, rows))
    return out


def functions_of(design: Design, groups: Mapping[str, NDArray[np.int64]]) -> dict[str, Callable[[Array], Array]]:
    """Return the statistics that suit the response, by name.

    Parameters
    ----------
    design
        The design. Of categories, the share of each is checked; if they are ordered, also mean and sd of their numbers.
    groups
        Level index of each row by group; each adds the sd of the group means, where means make sense.
    """
    functions = dict(STATISTICS)
    if design.categories:
        shares = {f"share of {label}": _share(k) for k, label in enumerate(design.categories, 1)}
        moments = {"mean category": STATISTICS["mean"], "sd of category": STATISTICS["sd"]}
        functions = shares if design.nominal else {**shares, **moments}
    if not design.nominal:
        functions |= {f"sd of {name} means": _sd_of_means(index) for name, index in groups.items()}
    return functions


def _share(category: int) -> Callable[[Array], Array]:
    return lambda y: np.asarray((y == category).mean(axis=-1))


def statistics(y: Array, replicates: Array, functions: Mapping[str, Callable[[Array], Array]]) -> pd.DataFrame:
    """Return one row for each statistic: observed, predicted mean, 95 % interval, tail probability.

    Parameters
    ----------
    y
        The response, shape (rows,).
    replicates
        Shape (replicates, rows).
    functions
        The statistics by name (`functions_of`).
    """
    rows = []
    for name, function in functions.items():
        observed, predicted = float(function(y)), np.asarray(function(replicates))
        lower, upper = np.quantile(predicted, [0.025, 0.975])
        tail = float((predicted > observed).mean() + 0.5 * (predicted == observed).mean())
        rows.append((name, observed, float(predicted.mean()), float(lower), float(upper), tail))
    return pd.DataFrame(rows, columns=["statistic", "observed", "predicted", "lower", "upper", "tail_probability"])


def densities(y: Array, replicates: Array, categories: int = 0, points: int = 128) -> pd.DataFrame:
    """Return kernel densities of the observed response and of some replicates on one grid.

    Parameters
    ----------
    y
        The response, shape (rows,).
    replicates
        Shape (replicates, rows).
    categories
        The number of categories: then the shares of each are returned instead, at 1 to that number.
    points
        Points of the grid.

    Returns
    -------
    pandas.DataFrame
        Columns source (``observed`` or ``replicate``), replicate, x, density.
    """
    shown = replicates[np.linspace(0, len(replicates) - 1, min(SHOWN_REPLICATES, len(replicates))).round().astype(int)]
    if categories:
        every = np.arange(1.0, categories + 1)
        shares = [(values[:, None] == every).mean(axis=0) for values in (y, *shown)]
        tables = [
            pd.DataFrame({"source": "replicate" if i else "observed", "replicate": i, "x": every, "density": share})
            for i, share in enumerate(shares)
        ]
        return pd.concat(tables, ignore_index=True)
    low, high = min(y.min(), np.quantile(shown, 0.001)), max(y.max(), np.quantile(shown, 0.999))
    margin = 0.05 * (high - low)
    grid = np.linspace(low - margin, high + margin, points)
    parts = [_density("observed", 0, y, grid)]
    parts += [_density("replicate", i + 1, row, grid) for i, row in enumerate(shown)]
    return pd.concat(parts, ignore_index=True)


def _density(source: str, number: int, values: Array, grid: Array) -> pd.DataFrame:
    return pd.DataFrame({"source": source, "replicate": number, "x": grid, "density": gaussian_kde(values)(grid)})


def _sd_of_means(index: NDArray[np.int64]) -> Callable[[Array], Array]:
    counts: Any = np.bincount(index)

    def statistic(values: Array) -> Array:
        two = np.atleast_2d(values)
        means = np.stack([np.bincount(index, weights=row) / counts for row in two])
        return np.asarray(means.std(axis=-1, ddof=1)).reshape(values.shape[:-1])

    return statistic
