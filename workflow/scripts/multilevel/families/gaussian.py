"""Normal distribution with mean ``mu`` and standard deviation ``sigma``, or with known standard errors of its responses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from multilevel import links
from multilevel.families._special import LARGEST

Array = NDArray[np.float64]

PARAMETERS = ("mu", "sigma")
LINKS = ("identity", "log")
OTHER_LINKS = {"sigma": "log"}
RESPONSE_TERMS = ("weights", "se", "cens", "trunc")
KIND = "continuous"
SYMBOL = "Normal"

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return what default priors are scaled by: the mean and the sd (ddof 1) of the response.

    With a log link the predictor is that of the mean, so they are the logarithm of the mean and 1.
    """
    if link == "log":
        return float(np.log(max(float(np.mean(y)), np.finfo(float).tiny))), 1.0
    return float(np.mean(y)), float(np.std(y, ddof=1))


def unit_of(y: Array) -> float:
    """Return what the prior of sigma is scaled by: the sd of the response (ddof 1)."""
    return float(np.std(y, ddof=1))


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the parameters other than the linear predictor's."""
    return {"sigma": ("exponential", (1.0 / scale,))}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (sigma is the only one)
    """Return location and spread of the linear predictor of log sigma."""
    return math.log(scale), 1.0


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Return None for numbers, each of which can be drawn; missing ones are for the caller to drop."""
    return None if np.isfinite(y).all() else "has values that are not finite"


def scale_of(sigma: Array | float, se: Array | float) -> Array:
    """Return the standard deviation of the response: sqrt(sigma^2 + se^2)."""
    return np.asarray(np.hypot(sigma, se)) if np.any(se) else np.asarray(sigma)


def log_density(
    y: Array, eta: Array, sigma: Array | float = 0.0, se: Array | float = 0.0, link: str = "identity"
) -> Array:
    """Return log N(y | mu, sigma^2 + se^2), constants included."""
    scale = scale_of(sigma, se)
    with np.errstate(over="ignore"):  # far from the mean the density is 0
        z = (y - links.inverse(link, eta)) / scale
        return np.asarray(-0.5 * z * z - np.log(scale) - _LOG_SQRT_2PI)


def log_cdf(y: Array, eta: Array, sigma: Array | float = 0.0, se: Array | float = 0.0, link: str = "identity") -> Array:
    """Return log P(Y <= y)."""
    with np.errstate(over="ignore"):
        return np.asarray(log_ndtr((y - links.inverse(link, eta)) / scale_of(sigma, se)))


def log_survival(
    y: Array, eta: Array, sigma: Array | float = 0.0, se: Array | float = 0.0, link: str = "identity"
) -> Array:
    """Return log P(Y > y)."""
    with np.errstate(over="ignore"):
        return np.asarray(log_ndtr((links.inverse(link, eta) - y) / scale_of(sigma, se)))


def draws(
    rng: np.random.Generator,
    eta: Array,
    sigma: Array | float = 0.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return draws of y given the parameters."""
    mu, scale = links.inverse(link, eta), scale_of(sigma, se)
    return np.clip(mu + scale * rng.standard_normal(np.broadcast(mu, scale).shape), -LARGEST, LARGEST)


def mean(eta: Array, sigma: Array | float = 0.0, se: Array | float = 0.0, link: str = "identity") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, scale_of(sigma, se)).shape)


def variance(eta: Array, sigma: Array | float = 0.0, se: Array | float = 0.0, link: str = "identity") -> Array:
    """Return Var[y]."""
    scale = scale_of(sigma, se)
    return np.broadcast_to(np.square(scale), np.broadcast(links.inverse(link, eta), scale).shape)
