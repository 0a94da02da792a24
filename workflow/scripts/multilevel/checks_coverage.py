"""Coverage of predictive intervals: in what share of rows the response lies within the central interval of its replicates.

The place of a response among the replicates of its row, ties counted half, is compared with the places that replicates
themselves have among the others; so that what a count with few values can reach is told, not the nominal share. The rows
are those that the model was fitted to, and intervals that know them are a little too often right. Of very many rows, a random
sample is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]

PROBABILITIES = (0.5, 0.8, 0.95)
"""Probabilities of the central intervals."""

MOST_REPLICATES = 200
"""Replicates of a row among which its response is placed."""

MOST_VALUES = 8_000_000
"""Most values (replicates x rows) that are kept: of very many rows, fewer replicates."""

FEWEST_REPLICATES = 40
"""Replicates that are kept of however many rows: an interval of 95 % needs as many."""


MOST_ROWS = 50_000
"""Rows of a random sample of more than these."""


class Sample:
    """Some of the replicates that stream by, evenly spaced; of very many rows, those of a random sample.

    Parameters
    ----------
    count
        How many there are in all.
    rows
        Rows of each.
    """

    def __init__(self, count: int, rows: int) -> None:
        self.rows = np.arange(rows)
        if rows > MOST_ROWS:
            chosen = np.random.default_rng([rows, MOST_ROWS]).choice(rows, MOST_ROWS, replace=False, shuffle=False)
            self.rows = np.sort(chosen)
        most = min(count, MOST_REPLICATES, max(FEWEST_REPLICATES, MOST_VALUES // max(len(self.rows), 1)))
        self.wanted = set(np.linspace(0, count - 1, most).round().astype(int).tolist())
        self.kept: list[Array] = []

    def of(self, blocks: Iterable[Array]) -> Iterator[Array]:
        """Yield the blocks as they are, and keep what is wanted of them."""
        done = 0
        for block in blocks:
            self.kept += [row[self.rows] for place, row in enumerate(block, done) if place in self.wanted]
            done += len(block)
            yield block

    @property
    def replicates(self) -> Array:
        """What was kept, shape (replicates, rows of the sample)."""
        return np.stack(self.kept)


def coverage(y: Array, replicates: Array) -> pd.DataFrame:
    """Return the coverage of central intervals.

    Parameters
    ----------
    y
        The response, shape (rows,).
    replicates
        Shape (replicates, rows).

    Returns
    -------
    pandas.DataFrame
        One row for each of `PROBABILITIES`: ``rows`` looked at; ``probability``; ``observed``, the share of responses inside;
        ``predicted``, that of replicates, on average; and the interval ``lower`` to ``upper`` that holds 95 % of the
        replicates' shares.
    """
    both = np.concatenate([y[None, :], replicates])
    place = (rankdata(both, axis=0) - 0.5) / len(both)
    rows = []
    for probability in PROBABILITIES:
        inside = (np.abs(place - 0.5) <= probability / 2).mean(axis=1)
        lower, upper = np.quantile(inside[1:], (0.025, 0.975))
        rows.append((len(y), probability, inside[0], inside[1:].mean(), lower, upper))
    return pd.DataFrame(rows, columns=["rows", "probability", "observed", "predicted", "lower", "upper"])
