"""Continuation model of ordered categories: P(y > k | y >= k) = F(disc (mu - threshold_k)); sequential, seen from above."""

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
    goes_on, stops = links.log_tails(link, -_ordinal.distances(eta, thresholds, disc))
    none = np.zeros((*stops.shape[:-1], 1))
    passed = np.concatenate([none, np.cumsum(goes_on, axis=-1)], axis=-1)
    return np.asarray(np.concatenate([stops, none], axis=-1) + passed)


probabilities, log_density, draws, mean, variance = _ordinal.functions(log_probabilities)
