"""What is wrong with the values of a response, as the end of a sentence, with the first such value and its row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EITHER_SIGN = "gaussian and student_t take numbers of either sign"


def problem(y: Array, bad: NDArray[np.bool_], words: str, hint: str) -> str | None:
    """Return ``words (value in row i, k rows in all); hint`` where there is a bad row, else None."""
    if not bad.any():
        return None
    row = int(np.argmax(bad))
    return f"{words} ({y[row]:g} in row {row + 1}, {int(bad.sum())} rows in all); {hint}"


def of_counts(y: Array, family: str) -> str | None:
    """Say what values cannot be counts."""
    return problem(y, y < 0, f"has negative values, and {family} describes counts", EITHER_SIGN) or problem(
        y,
        y != np.floor(y),
        f"has values that are no whole numbers, and {family} describes counts",
        "gamma and lognormal take numbers above 0, beta shares between 0 and 1",
    )


def of_positive(y: Array, family: str) -> str | None:
    """Say what values are not above 0."""
    found = problem(y, y < 0, f"has negative values, and {family} describes numbers above 0", EITHER_SIGN)
    counts = bool((y == np.floor(y)).all())
    hint = (
        "poisson and negative_binomial describe counts, zeros among them"
        if counts
        else "exponential takes zeros; otherwise filter them or model them apart"
    )
    return found or problem(y, y == 0, f"has zeros, and {family} describes numbers above 0", hint)


def outside_unit(y: Array, family: str) -> str | None:
    """Say what values are below 0 or above 1."""
    percentages = float(y.min()) >= 0 and 1 < float(y.max()) <= 100
    hint = "divide percentages by 100" if percentages else EITHER_SIGN
    return problem(y, (y < 0) | (y > 1), f"has values outside 0 to 1, and {family} describes shares", hint)


def of_trials(y: Array, trials: Array, given: bool) -> str | None:
    """Say what values cannot be successes out of that many trials; `given` tells whether the formula names trials."""
    for bad, words in (
        (trials != np.floor(trials), "has trials that are no whole numbers"),
        (trials < 0, "has a negative number of trials"),
        (y < 0, "has negative counts"),
        (y != np.floor(y), "has counts that are no whole numbers"),
        (y > trials, "has more successes than trials"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            note = "" if given else "; write 'y | trials(n)' for counts out of n"
            return f"{words} ({y[row]:g} of {trials[row]:g} in row {row + 1}, {int(bad.sum())} rows in all){note}"
    return None
