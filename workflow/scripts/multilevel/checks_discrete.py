"""Predictive checks that suit counts and binary outcomes: rootograms, calibration, and statistics of zeros and of spread.

A rootogram compares how often each count occurs with how often it is predicted to (Kleiber & Zeileis 2016, American
Statistician 70:296). Calibration compares predicted probabilities with the shares in which what they are of came true.
Both are of the rows that the model was fitted to: a model that knows its groups looks better here than on new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import families, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]

MOST_BARS = 50
"""Most counts that stand on their own in a rootogram; a wider range is taken together in classes of equal width.

Zeros are a class of their own at any width.
"""

FARTHEST = 0.25
"""How far classes go beyond the largest count, as a share of the range of the counts, before the last one takes the rest."""

BINS = 10
"""Bins of predicted probabilities, of about equal numbers of rows."""

INTERVAL = (0.025, 0.975)
"""Probabilities of the ends of the intervals of replicated values."""


def pictures(module: ModuleType) -> tuple[str, ...]:
    """Return the checks of this module that suit a family: ``rootogram``, ``calibration``."""
    return tuple(getattr(module, "PICTURES", ()))


def statistics_of(module: ModuleType) -> dict[str, Callable[[Array], Array]]:
    """Return the statistics beyond the common ones that suit a family, as functions along the last axis."""
    found: dict[str, Callable[[Array], Array]] = {}
    if "rootogram" in pictures(module) or "zoi" in module.PARAMETERS:
        found["share of zeros"] = lambda y: (y == 0).mean(axis=-1)
    if "coi" in module.PARAMETERS:
        found["share of ones"] = lambda y: (y == 1).mean(axis=-1)
    if "rootogram" in pictures(module):
        found["variance / mean"] = _dispersion
    return found


def _dispersion(y: Array) -> Array:
    """Return the index of dispersion, 1 for a Poisson sample; 0 where all counts are 0."""
    mean = y.mean(axis=-1)
    return np.asarray(y.var(axis=-1, ddof=1) / np.where(mean > 0, mean, 1.0))


def rootogram(y: Array, replicates: Iterable[Array]) -> pd.DataFrame:
    """Return how often each count occurs and how often it is predicted to.

    Parameters
    ----------
    y
        The counts, shape (rows,).
    replicates
        Blocks of replicates, shape (some, rows) each.

    Returns
    -------
    pandas.DataFrame
        One row for each count or class of counts: ``low``, ``high`` (infinite in the last one, which is open above),
        ``observed`` frequency, ``predicted`` (mean over replicates), and the interval ``lower`` to ``upper`` that holds
        95 % of the replicated frequencies.
    """
    blocks = iter(replicates)
    first = next(blocks)
    bottom = float(min(y.min(), first.min()))
    # Replicates beyond the last class all count in it: a few wild ones would stretch the scale past reading.
    reach = FARTHEST * max(float(y.max()) - bottom, 1.0)
    top = float(np.clip(np.quantile(first, 0.999), y.max(), y.max() + np.ceil(reach)))
    low = _classes(bottom, top)
    counts = [_frequencies(block, low) for block in (first, *blocks)]
    replicated = np.concatenate(counts)
    lower, upper = np.quantile(replicated, INTERVAL, axis=0)
    return pd.DataFrame(
        {
            "low": low,
            "high": [*(low[1:] - 1.0), np.inf],
            "observed": _frequencies(y[None, :], low)[0],
            "predicted": replicated.mean(axis=0),
            "lower": lower,
            "upper": upper,
        }
    )


def _classes(bottom: float, top: float) -> Array:
    """Return the smallest count of each class; zeros, of which models differ most, are a class of their own."""
    width = max(1.0, np.ceil((top - bottom + 1.0) / MOST_BARS))
    zeros = [0.0] if bottom == 0.0 and width > 1.0 else []
    start = bottom + len(zeros)
    return np.array([*zeros, *(start + width * np.arange(int((top - start) // width) + 1))])


def _frequencies(block: Array, low: Array) -> Array:
    """Return how many values of each row of a block fall into each class, shape (some, classes)."""
    classes = np.maximum(np.searchsorted(low, block, side="right") - 1, 0)
    places = classes + len(low) * np.arange(len(block))[:, None]
    return np.bincount(places.ravel(), minlength=block.shape[0] * len(low)).reshape(len(block), -1).astype(np.float64)


def calibration(design: Design, draws: Draws, replicates: Iterable[Array]) -> pd.DataFrame:
    """Return predicted probabilities, in bins, beside the shares in which the outcome occurred.

    Parameters
    ----------
    design, draws
        The design, of a family of successes in trials, and its posterior draws.
    replicates
        Blocks of replicates, shape (some, rows) each.

    Returns
    -------
    pandas.DataFrame
        One row for each bin: ``low`` and ``high``, the smallest and the largest probability in it; ``n`` rows; ``trials``;
        ``predicted``, their mean probability; ``observed`` share of successes; and the interval ``lower`` to ``upper``
        that holds 95 % of the replicated shares.
    """
    trials = design.terms.get("trials", np.ones(len(design.y)))
    p = expected(design, draws) / np.maximum(trials, 1.0)
    kept = trials > 0
    edges = np.unique(np.quantile(p[kept], np.linspace(0.0, 1.0, BINS + 1)))
    bins = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(len(edges) - 2, 0))
    used, bins = np.unique(np.where(kept, bins, bins[kept][0]), return_inverse=True)

    def shares(values: Array) -> Array:
        sums = np.stack([np.bincount(bins, weights=row, minlength=len(used)) for row in values])
        return np.asarray(sums / np.bincount(bins, weights=trials, minlength=len(used)))

    lower, upper = np.quantile(np.concatenate([shares(block) for block in replicates]), INTERVAL, axis=0)
    probabilities = pd.Series(p[kept]).groupby(bins[kept])
    return pd.DataFrame(
        {
            "low": probabilities.min().to_numpy(),
            "high": probabilities.max().to_numpy(),
            "n": np.bincount(bins[kept], minlength=len(used)),
            "trials": np.bincount(bins, weights=trials, minlength=len(used)),
            "predicted": shares((p * trials)[None, :])[0],
            "observed": shares(design.y[None, :])[0],
            "lower": lower,
            "upper": upper,
        }
    )


def expected(design: Design, draws: Draws) -> Array:
    """Return the posterior mean of E[y] of every row, shape (rows,)."""
    module = families.get(design.family)
    out = np.empty(len(design.y))
    for rows in predictor.blocks(len(design.y), draws.size):
        out[rows] = np.asarray(module.mean(**predictor.arguments(design, draws, rows))).mean(axis=0)
    return out
