"""Where a row is scored by the probability of an interval: censored responses, and the bounds of truncated ones.

Every interval is open below and closed above, P(lower < Y <= upper), with infinite ends where there is none. That is what
the log probabilities of a family give; a bound of a count belongs to what can be observed, so that its lower end is one less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import families
from multilevel.design import CENSORED, Design

Array = NDArray[np.float64]


def truncation(design: Design) -> tuple[Array, Array] | None:
    """Return the ends of the interval in which each response could be observed, shape (rows,); None where it could be any."""
    if not {"lb", "ub"} & set(design.terms):
        return None
    shape = (len(design.terms["lb"] if "lb" in design.terms else design.terms["ub"]),)
    lower = design.terms.get("lb", np.full(shape, -np.inf))
    upper = design.terms.get("ub", np.full(shape, np.inf))
    if families.get(design.family).KIND == "discrete":
        return np.ceil(lower) - 1.0, np.floor(upper)
    return lower, upper


def censoring(design: Design) -> tuple[NDArray[np.bool_], Array, Array] | None:
    """Return which rows are censored and the ends of what is known of each; None where none is.

    A truncated response that is censored lies within its bounds.
    """
    if "cens" not in design.terms:
        return None
    kinds, y = design.terms["cens"], design.y
    lower, upper = truncation(design) or (np.full(y.shape, -np.inf), np.full(y.shape, np.inf))
    left, right, interval = (kinds == CENSORED[name] for name in ("left", "right", "interval"))
    lower = np.where(right | interval, y, lower)
    upper = np.where(left, y, upper)
    if interval.any():
        upper = np.where(interval, design.terms["cens_upper"], upper)
    return kinds != CENSORED["none"], lower, upper
