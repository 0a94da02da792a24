"""Unordered categories: log(P(y = k) / P(y = reference)) is the linear predictor mu_k of each category but the reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _categories

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = ("logit",)
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("weights",)
KIND = "nominal"
NO_SPECIFIC_EFFECTS = "every effect differs between its categories anyway"

SPREAD = 1.0

support_problem = _categories.support_problem


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: without looking at the response, categories as likely as the reference, and a spread of one."""
    return 0.0, SPREAD


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (one shape)
    """Return nothing: there is no other parameter."""
    return {}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of one category; they are the same for all.

    Raises
    ------
    KeyError
        When it is no predictor of a category.
    """
    if not name.startswith("mu_"):
        raise KeyError(name)
    return 0.0, scale


def log_probabilities(eta: Array, link: str = "logit") -> Array:
    """Return the log probability of every category, shape (..., K).

    Parameters
    ----------
    eta
        Linear predictors of the categories but the first, shape (..., K - 1).
    link
        ``logit``, the only one.
    """
    if link != "logit":
        raise KeyError(link)
    eta = np.asarray(eta, dtype=np.float64)
    return _categories.log_normalised(np.concatenate([np.zeros((*eta.shape[:-1], 1)), eta], axis=-1))


def probabilities(eta: Array, link: str = "logit") -> Array:
    """Return the probability of every category, shape (..., K)."""
    return np.exp(log_probabilities(eta, link))


def log_density(y: Array, eta: Array, link: str = "logit") -> Array:
    """Return the log probability of category y, counted from 1."""
    return _categories.pick(log_probabilities(eta, link), y)


def draws(rng: np.random.Generator, eta: Array, link: str = "logit") -> Array:
    """Return draws of y given the parameters."""
    return _categories.draw(rng, probabilities(eta, link))


def mean(*parameters: Array, link: str = "logit") -> Array:  # noqa: ARG001 (one shape)
    """Raise: categories without an order have no mean.

    Raises
    ------
    TypeError
        Always; `probabilities` says what is expected.
    """
    raise TypeError("categories without an order have no mean or variance, only probabilities")


variance = mean
