"""Levels that follow each other in time: a random walk that sums to zero over each series.

A step over a time d has covariance d Sigma; sds are those of one unit of time, and levels that were not seen between two only
make the step longer. Where the walk stands as a whole is left to the intercept (or the coefficient of the same predictor), so
effects sum to zero within a series, a space on which the walk has the proper density

    log p(b) = - sum of step^2 / (2 d tau^2) - (m - 1) log tau + constant,        m levels of one effect,

that of b = F u tau, u standard normal of m - 1 values: the cumulated steps less their mean (Rue & Held 2005, Gaussian Markov
Random Fields, section 3.3.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from multilevel.structures import known

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SENTENCE = "levels follow each other in time, each the one before and a step at random, and sum to zero"


def factor(order: Ints, gaps: Array, starts: Ints) -> Any:
    """Return F, sparse, shape (levels, steps): K = F F' is the covariance of the walk with steps of variance 1 a unit of time.

    Parameters
    ----------
    order
        Levels sorted by series and time, shape (levels,).
    gaps
        Time since the level before in that order, infinite for the first of a series, shape (levels,).
    starts
        Places of the first levels of the series, shape (series,).
    """
    blocks = []
    for first, end in zip(starts, [*starts[1:], len(order)], strict=True):
        steps = np.sqrt(gaps[first + 1 : end])
        walk = np.tril(np.ones((end - first, end - first)))[:, 1:] * steps
        blocks.append(sparse.csr_matrix(walk - walk.mean(axis=0)))
    whole = sparse.block_diag(blocks, format="csr")
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return whole[back]


def spread(walk: Any) -> float:
    """Return the root mean square of the levels where a step over a unit of time has sd 1."""
    return float(np.sqrt(walk.multiply(walk).sum() / walk.shape[0]))


def log_density(effects: Array, covariance: Array, order: Ints, gaps: Array) -> float:
    """Return the log density of the steps between effects that sum to zero, shape (levels, effects).

    It is the density of m - 1 steps: that of the effects on the space where they sum to zero differs by a constant.
    """
    sorted_ = effects[order]
    later = np.flatnonzero(np.isfinite(gaps))
    steps = (sorted_[later] - sorted_[later - 1]) / np.sqrt(gaps[later])[:, None]
    size = effects.shape[1]
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), steps.T)
    constant = len(later) * (np.linalg.slogdet(covariance)[1] + size * np.log(2.0 * np.pi))
    return float(-0.5 * (np.square(whitened).sum() + constant + size * np.log(gaps[later]).sum()))


def draws(rng: np.random.Generator, walk: Any, covariance: Array) -> Array:
    """Return effects of all levels from the factor of the walk, shape (levels, effects)."""
    return known.draws(rng, walk, covariance)
