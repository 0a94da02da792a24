"""Sequential model of ordered categories (stopping ratio): P(y = k | y >= k) = F(disc (threshold_k - mu))."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: the middle of the latent scale, and its spread."""
    return 0.0, _ordinal.SPREAD


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of the distance between equidistant thresholds."""
    return {"delta": ("normal", (0.0, 2.5 * scale))}


def log_probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the log probability of every category, shape (..., K)."""
    stops, goes_on = _ordinal.log_tails(link, _ordinal.distances(eta, thresholds, disc))
    none = np.zeros((*stops.shape[:-1], 1))
    passed = np.concatenate([none, np.cumsum(goes_on, axis=-1)], axis=-1)
    return np.asarray(np.concatenate([stops, none], axis=-1) + passed)


def probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the probability of every category, shape (..., K)."""
    return np.exp(log_probabilities(eta, thresholds, disc, link))


def log_density(y: Array, eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the log probability of category y, counted from 1."""
    return _categories.pick(log_probabilities(eta, thresholds, disc, link), y)


def draws(
    rng: np.random.Generator, eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit"
) -> Array:
    """Return draws of y given the parameters."""
    return _categories.draw(rng, probabilities(eta, thresholds, disc, link))


def mean(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the mean of the category's number, which treats categories as equally far apart."""
    return _categories.moments(probabilities(eta, thresholds, disc, link))[0]


def variance(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the variance of the category's number."""
    return _categories.moments(probabilities(eta, thresholds, disc, link))[1]
