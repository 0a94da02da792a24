"""Whether a linear predictor tells the two values of a response apart, so that only the prior bounds its coefficients.

With signs s_i = 1 where y_i = 1 and -1 where y_i = 0, the rows are separated when some b with b != 0 has s_i x_i'b >= 0 for
every row: completely when all are above 0, quasi-completely when some are 0 (Albert & Anderson 1984, Biometrika 71, 1-10).
Which of them holds is decided by linear programmes in b, bounded to the cube -1 <= b <= 1 (Konis 2007, "Linear programming
algorithms for detecting separated data in binary logistic regression models", section 4.2):

    maximise sum_i s_i x_i'b   subject to  s_i x_i'b >= 0      above 0: separated
    maximise t                 subject to  s_i x_i'b >= t      above 0: completely

Each is solved for a few rows, then for those rows and the ones that its solution violates, until it violates none: a
solution for some rows that holds for all rows is one for all rows, and rows that cannot be separated already in part cannot
be separated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_VALUES = 20_000_000
"""Most values (rows times columns) that are looked at."""

MOST_COLUMNS = 200

_FIRST_ROWS = 1_000
_TOLERANCE = 1e-6


class TooLargeError(ValueError):
    """A matrix with more values than `MOST_VALUES` or more columns than `MOST_COLUMNS`."""


@dataclass(frozen=True)
class Separation:
    """How a response is separated.

    Parameters
    ----------
    complete
        Whether every row is told apart; else some rows of both values lie on the border.
    rows
        How many rows are told apart.
    columns
        The columns that do it, by position: one that tells all rows apart on its own, or else all that take part.
    """

    complete: bool
    rows: int
    columns: tuple[int, ...]


def find(y: Array, x: Array) -> Separation | None:
    """Look for separation.

    Parameters
    ----------
    y
        The response, 0 or 1, shape (rows,).
    x
        The matrix, shape (rows, columns), of finite numbers.

    Returns
    -------
    Separation or None
        None where the values overlap, so that the likelihood has a maximum.

    Raises
    ------
    TooLargeError
        When the matrix is too large to look at in a moment.
    ValueError
        When the response holds anything but 0 and 1.
    """
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("the response holds values other than 0 and 1")
    if x.size > MOST_VALUES or x.shape[1] > MOST_COLUMNS:
        raise TooLargeError(f"{x.shape[0]:,} rows x {x.shape[1]:,} columns")
    if not x.size:
        return None
    constant = np.ptp(x, axis=0) == 0
    # Beside an intercept a column's zero is of no account; at its mean, what is small against it is not lost.
    scaled = x - np.where(constant, 0.0, x.mean(axis=0)) if (constant & (x[0] != 0)).any() else x
    scaled = scaled / np.maximum(np.abs(scaled).max(axis=0), 1e-300)
    rows = np.where(y[:, None] == 1.0, 1.0, -1.0) * scaled
    weak = _solve(rows, margin=False)
    if weak is None:
        return None
    strict = _solve(rows, margin=True)
    if strict is None:
        return Separation(False, int((rows @ weak > _TOLERANCE).sum()), _taking_part(weak, constant))
    alone = [j for j in np.flatnonzero(~constant) if _apart(scaled[:, j], y)]
    return Separation(True, len(y), (int(alone[0]),) if alone else _taking_part(strict, constant))


def _taking_part(direction: Array, constant: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the columns that a direction rests on, the heaviest first, a constant one only where no other does."""
    weight = np.abs(direction)
    heavy = [int(j) for j in np.argsort(-weight, kind="stable") if weight[j] > 1e-3 * weight.max()]
    return tuple([j for j in heavy if not constant[j]] or heavy)


def _apart(column: Array, y: Array) -> bool:
    """Tell whether the values of a column where y is 1 all lie above, or all below, those where it is 0."""
    ones, zeros = column[y == 1.0], column[y == 0.0]
    if not (len(ones) and len(zeros)):
        return False
    return bool(ones.min() - zeros.max() > _TOLERANCE or zeros.min() - ones.max() > _TOLERANCE)


def expand(successes: Array, trials: Array, x: Array) -> tuple[Array, Array]:
    """Return counts of successes as rows of 0 and 1: a row with both has one of each, because repetitions change nothing.

    Parameters
    ----------
    successes, trials
        Counts, shape (rows,).
    x
        The matrix, shape (rows, columns).
    """
    some, others = successes > 0, successes < trials
    y = np.concatenate([np.ones(int(some.sum())), np.zeros(int(others.sum()))])
    return y, np.concatenate([x[some], x[others]])


def _solve(rows: Array, *, margin: bool) -> Array | None:
    """Return a direction with ``rows @ b >= 0`` that is above 0 somewhere (everywhere, with a margin), or None."""
    chosen = _spanning(rows)
    while True:
        b, value = _programme(rows[chosen], margin)
        if value <= _TOLERANCE:
            return None
        products = rows @ b
        worst = np.flatnonzero(products < (min(value, 1.0) * (1 - 1e-6) if margin else 0.0) - _TOLERANCE)
        worst = np.setdiff1d(worst, chosen)
        if not len(worst):
            return b if not margin or float(products.min()) > _TOLERANCE / 2 else None
        worst = worst[np.argsort(products[worst])][:_FIRST_ROWS]
        chosen = np.concatenate([chosen, worst])


def _spanning(rows: Array) -> NDArray[np.int64]:
    """Return the rows to begin with: some of all, and enough to span what all span, so that no direction is overlooked."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, _FIRST_ROWS).astype(np.int64))
    while len(chosen) < len(rows):
        values, vectors = np.linalg.eigh(rows[chosen].T @ rows[chosen])
        blind = vectors[:, values <= 1e-12 * max(float(values[-1]), 1e-300)]
        if not blind.shape[1]:
            break
        seen = np.abs(rows @ blind)
        new = np.setdiff1d(seen.argmax(axis=0)[seen.max(axis=0) > _TOLERANCE], chosen)
        if not len(new):
            break
        chosen = np.concatenate([chosen, new])
    return chosen


def _programme(rows: Array, margin: bool) -> tuple[Array, float]:
    """Solve one linear programme; return b and what was maximised, by row where it is a sum."""
    from scipy.optimize import linprog

    count, columns = rows.shape
    if margin:
        objective = np.append(np.zeros(columns), -1.0)
        constraints = np.hstack([-rows, np.ones((count, 1))])
        bounds = [(-1.0, 1.0)] * columns + [(None, None)]
    else:
        objective = -rows.sum(axis=0)
        constraints, bounds = -rows, [(-1.0, 1.0)] * columns
    solved = linprog(objective, A_ub=constraints, b_ub=np.zeros(count), bounds=bounds, method="highs")
    if solved.x is None:
        return np.zeros(columns), 0.0
    return np.asarray(solved.x[:columns]), -float(solved.fun or 0.0)
