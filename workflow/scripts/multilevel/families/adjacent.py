"""Adjacent-category model of ordered categories: P(y = k + 1 | y is k or k + 1) = F(disc (mu - threshold_k))."""

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
THRESHOLDS = "free"

support_problem = _categories.support_problem
location_of = _ordinal.location_of
location_and_scale = _ordinal.location_and_scale
default_priors = _ordinal.default_priors


def log_probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the log probability of every category, shape (..., K)."""
    above, below = links.log_tails(link, -_ordinal.distances(eta, thresholds, disc))
    none = np.zeros((*above.shape[:-1], 1))
    # Category k has passed the thresholds before it and not those from its own on.
    passed = np.concatenate([none, np.cumsum(above, axis=-1)], axis=-1)
    ahead = np.concatenate([np.cumsum(below[..., ::-1], axis=-1)[..., ::-1], none], axis=-1)
    return _categories.log_normalised(passed + ahead)


probabilities, log_density, draws, mean, variance = _ordinal.functions(log_probabilities)
