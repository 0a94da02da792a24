"""Cumulative model of ordered categories: P(y <= k) = F(disc (threshold_k - mu)), the thresholds in increasing order."""

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
THRESHOLDS = "ordered"
NO_SPECIFIC_EFFECTS = "its thresholds could then cross, and a probability be negative"

support_problem = _categories.support_problem
location_of = _ordinal.location_of


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: the middle of the latent scale, and its spread."""
    return 0.0, _ordinal.SPREAD


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of the distance between equidistant thresholds."""
    return {"delta": ("half_normal", (2.5 * scale,))}


def log_probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
    """Return the log probability of every category, shape (..., K)."""
    z = _ordinal.distances(eta, thresholds, disc)
    first, last = _ordinal.log_tails(link, z[..., :1])[0], _ordinal.log_tails(link, z[..., -1:])[1]
    return np.concatenate([first, _ordinal.log_between(link, z[..., :-1], z[..., 1:]), last], axis=-1)


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
