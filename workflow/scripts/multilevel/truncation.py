"""Draws of a truncated response: those of the whole distribution that fall between the bounds.

What falls outside is drawn again some times; what is left, where hardly anything falls inside, is drawn by inverting the
distribution function: the value at which the probability of the interval has reached a uniform share, found by bisection.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 20
"""How often values outside the bounds are drawn again."""

BISECTIONS = 200
"""Most halvings of an interval."""

FARTHEST, MOST_COUNTS = 1e100, 2.0**53
"""Where an interval without an end is searched to; the largest count up to which floating-point numbers miss none."""


def between(
    module: ModuleType, rng: np.random.Generator, found: Array, lower: Array, upper: Array, arguments: Mapping[str, Any]
) -> Array:
    """Return draws with lower < y <= upper.

    Parameters
    ----------
    module
        The family.
    rng
        The stream.
    found
        Draws of the whole distribution, shape (S, rows), of which those inside stay.
    lower, upper
        The bounds, shape (rows,), infinite where there is none.
    arguments
        What the family's functions take.
    """
    shape = found.shape
    out = np.array(found, dtype=np.float64)
    full = {name: np.broadcast_to(value, shape) if np.ndim(value) else value for name, value in arguments.items()}
    low, high = np.broadcast_to(lower, shape), np.broadcast_to(upper, shape)
    for _ in range(ROUNDS):
        outside = (out <= low) | (out > high)
        if not outside.any():
            return out
        out[outside] = module.draws(rng, **_at(full, outside))
    outside = (out <= low) | (out > high)
    if outside.any():
        here = _at(full, outside)
        out[outside] = _inverse(module, rng, low[outside], high[outside], here)
    return out


def _at(arguments: Mapping[str, Any], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    return {name: value[chosen] if np.ndim(value) else value for name, value in arguments.items()}


def _inverse(
    module: ModuleType, rng: np.random.Generator, lower: Array, upper: Array, arguments: Mapping[str, Any]
) -> Array:
    """Return the values at which a uniform share of the probability of the intervals is reached.

    Compared is log P(Y > y), or log P(Y <= y) where the interval lies in the lower tail, so that no digits are lost far out.
    """
    whole = module.KIND == "discrete"
    farthest = MOST_COUNTS if whole else FARTHEST
    start, end = np.maximum(lower, -farthest), np.minimum(upper, farthest)
    share = rng.uniform(np.finfo(float).tiny, 1.0, size=start.shape)
    log_share, log_rest = np.log(share), np.log1p(-share)
    cdf = module.log_cdf(start, **arguments), module.log_cdf(end, **arguments)
    survival = module.log_survival(start, **arguments), module.log_survival(end, **arguments)
    in_lower_tail = cdf[1] < survival[0]
    # What is to be reached lies between the values at the two ends, in the proportion of the share.
    target_cdf = np.logaddexp(log_rest + cdf[0], log_share + cdf[1])
    target_survival = np.logaddexp(log_rest + survival[0], log_share + survival[1])
    for _ in range(BISECTIONS):
        if bool((end - start <= (1.0 if whole else 1e-14 * np.abs(end))).all()):
            break
        # Half way on a scale that is linear near 0 and logarithmic far from it, where an end stands for infinity.
        middle = np.sinh(0.5 * (np.arcsinh(start) + np.arcsinh(end)))
        if whole:
            middle = np.clip(np.floor(middle), np.minimum(start + 1.0, end), np.maximum(end - 1.0, start))
        reached = np.where(
            in_lower_tail,
            module.log_cdf(middle, **arguments) >= target_cdf,
            module.log_survival(middle, **arguments) <= target_survival,
        )
        start, end = np.where(reached, start, middle), np.where(reached, middle, end)
    return np.asarray(end)
