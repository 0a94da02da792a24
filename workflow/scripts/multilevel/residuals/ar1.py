"""First-order autoregression over whole occasions: cor(e_t, e_u) = phi^|t - u|, -1 < phi < 1; occasions not seen count.

A row given the earlier ones of its subject is N(r z_before, 1 - r^2), r = phi^gap: the density is a product of those, and the
precision has three diagonals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENTENCE = "residuals of one {group} are correlated, by a power of phi for each step of {time} between them"
TIME = "whole"


def power(theta: Array, gaps: Array) -> Array:
    """Return phi^gap, 0 where the gap is infinite, shape (S, gaps)."""
    phi = theta[:, :1]
    seen = np.isfinite(gaps)
    lags = np.where(seen, gaps, 1.0)
    sign = np.where((phi < 0) & (lags % 2 == 1), -1.0, 1.0)
    with np.errstate(divide="ignore"):  # of phi = 0 the logarithm is -inf and every power 0
        found = np.exp(lags * np.log(np.abs(phi)))
    return np.asarray(np.where(seen, sign * np.where(lags == 0, 1.0, found), 0.0))


def log_determinant(found: Any, theta: Array) -> Array:
    """Return log |C| of each subject: the sum of log(1 - r^2)."""
    r = power(theta, found.gaps)
    return np.asarray(np.add.reduceat(np.log1p(-np.square(r)), found.starts, axis=-1))


def whitened(found: Any, theta: Array, z: Array) -> Array:
    """Return the innovations over their standard deviations."""
    r = power(theta, found.gaps)
    return np.asarray((z - r * _shifted(z, 1)) / np.sqrt(1.0 - np.square(r)))


def precision(found: Any, theta: Array, z: Array) -> tuple[Array, Array]:
    """Return P z and the diagonal of P, from a row's own step and the next one's."""
    r = power(theta, found.gaps)
    rest = 1.0 - np.square(r)
    own = (z - r * _shifted(z, 1)) / rest
    after = np.append(r[..., 1:], np.zeros((*r.shape[:-1], 1)), axis=-1)
    rest_after = 1.0 - np.square(after)
    return own - after * _shifted(own, -1), 1.0 / rest + np.square(after) / rest_after


def coloured(found: Any, theta: Array, w: Array) -> Array:
    """Return residuals made of independent innovations, step by step for all subjects at once."""
    r = power(theta, found.gaps)
    scale = np.sqrt(1.0 - np.square(r))
    out = np.array(w)
    step = np.arange(len(found.gaps)) - found.starts[found.place]
    for number in range(1, int(step.max(initial=0)) + 1):
        rows = np.flatnonzero(step == number)
        out[..., rows] = r[..., rows] * out[..., rows - 1] + scale[..., rows] * w[..., rows]
    return out


def correlation(found: Any, theta: Array, places: Any) -> Array:
    """Return C of some sorted rows."""
    at, subject = found.at[found.order][places], found.place[places]
    same = subject[:, None] == subject[None, :]
    lags = np.where(same, np.abs(at[:, None] - at[None, :]), np.inf)
    return power(theta, lags.ravel()).reshape(len(theta), len(at), len(at))


def _shifted(values: Array, by: int) -> Array:
    """Return the value of the row before (1) or after (-1), 0 at the ends."""
    out = np.zeros_like(values)
    if by > 0:
        out[..., 1:] = values[..., :-1]
    else:
        out[..., :-1] = values[..., 1:]
    return out
