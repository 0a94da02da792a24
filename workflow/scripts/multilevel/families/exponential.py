"""Exponential distribution of waiting times with mean ``mu``, as in brms; the rate, a constant hazard, is 1 / mu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import LARGEST, SMALLEST

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = ("log", "softplus", "inverse")
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "Exponential"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean response, and its spread."""
    return _scales.of_mean(y, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (one shape)
    """Return nothing: there is no other parameter."""
    return {}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Raise: there is no other parameter.

    Raises
    ------
    KeyError
        Always.
    """
    return _scales.none(name)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are negative; an event at time 0 has a density."""
    return _support.problem(
        y, y < 0, "has negative values, and exponential describes waiting times", _support.EITHER_SIGN
    )


def _log_hazard(y: Array, eta: Array, link: str) -> Array:
    """Return the log of the cumulative hazard, log(y / mu); minus infinity for y of 0 or less."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(y, 0.0)) - links.log_inverse(link, eta))


def log_density(y: Array, eta: Array, link: str = "log") -> Array:
    """Return the log density, constants included."""
    with np.errstate(over="ignore"):  # far above the mean the density is 0
        return np.asarray(-links.log_inverse(link, eta) - np.exp(_log_hazard(y, eta, link)))


def log_cdf(y: Array, eta: Array, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return links.log_one_minus_exp(_log_hazard(y, eta, link))


def log_survival(y: Array, eta: Array, link: str = "log") -> Array:
    """Return log P(Y > y), minus the cumulative hazard."""
    with np.errstate(over="ignore"):
        return np.asarray(-np.exp(_log_hazard(y, eta, link)))


def draws(rng: np.random.Generator, eta: Array, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    mu = links.inverse(link, eta)
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(mu * np.maximum(rng.standard_exponential(mu.shape), SMALLEST), SMALLEST, LARGEST))


def mean(eta: Array, link: str = "log") -> Array:
    """Return E[y]."""
    return links.inverse(link, eta)


def variance(eta: Array, link: str = "log") -> Array:
    """Return Var[y] = mu^2."""
    with np.errstate(over="ignore"):
        return np.asarray(np.square(links.inverse(link, eta)))
