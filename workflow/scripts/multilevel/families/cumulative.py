"""Cumulative model of ordered categories: P(y <= k) = F(disc (threshold_k - mu)), the thresholds in increasing order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _categories, _ordinal

Array = NDArray[np.float64]

PARAMETERS = ("mu", "disc")
LINKS = _ordinal.LINKS
OTHER_LINKS = _ordinal.OTHER_LINKS
FIXED = _ordinal.FIXED
RESPONSE_TERMS = ("weights",)
KIND = "ordinal"
THRESHOLDS = "ordered"
NO_SPECIFIC_EFFECTS = "its thresholds could then cross, and a probability be negative"

support_problem = _categories.support_problem
location_of = _ordinal.location_of
location_and_scale = _ordinal.location_and_scale


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of the distance between equidistant thresholds."""
    return {"delta": ("half_normal", (2.5 * scale,))}


def log_probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the log probability of every category, shape (..., K)."""
    z = _ordinal.distances(eta, thresholds, disc)
    first, last = links.log_tails(link, z[..., :1])[0], links.log_tails(link, z[..., -1:])[1]
    return np.concatenate([first, _ordinal.log_between(link, z[..., :-1], z[..., 1:]), last], axis=-1)


probabilities, log_density, draws, mean, variance = _ordinal.functions(log_probabilities)
