"""Tail probabilities of a number of successes as sums over all that are possible, where no closed form is at hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_tails(y: Array, trials: Array | float, log_density: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y), each the sum of its own terms, so that neither tail loses digits.

    Parameters
    ----------
    y, trials
        The values and the numbers of trials.
    log_density
        Log probability of numbers of successes.
    """
    below = above = np.asarray(-np.inf)
    for k in range(int(np.max(trials)) + 1):
        value = np.where(k <= np.asarray(trials), log_density(np.minimum(float(k), trials)), -np.inf)
        below = np.where(k <= y, np.logaddexp(below, value), below)
        above = np.where(k > y, np.logaddexp(above, value), above)
    # The sums of all terms are 1, but for rounding.
    return np.minimum(below, 0.0), np.minimum(above, 0.0)
