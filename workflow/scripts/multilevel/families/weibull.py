"""Weibull distribution of waiting times, with mean ``mu`` and ``shape``, as in brms.

``mu`` is the mean, so that the usual scale is mu / Gamma(1 + 1 / shape); the hazard rises with time where the shape is above
1, and is constant where it is 1 (`exponential`). With a log link a coefficient b multiplies the mean, and every quantile, by
exp(b) (accelerated failure time) and the hazard by exp(-b shape) (proportional hazards).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import LARGEST, SMALLEST

Array = NDArray[np.float64]

PARAMETERS = ("mu", "shape")
LINKS = ("log", "softplus", "inverse")
OTHER_LINKS = {"shape": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "Weibull"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean response, and its spread."""
    return _scales.of_mean(y, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a shape has no unit)
    """Return the default prior of the shape: 95 % between 0.14 and 7.1, centred at a constant hazard."""
    return {"shape": ("lognormal", (0.0, 1.0))}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a shape has no unit)
    """Return location and spread of the linear predictor of log shape."""
    return 0.0, 1.0


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are not above 0."""
    return _support.of_positive(y, "weibull")


def _log_hazard(y: Array, eta: Array, shape: Array | float, link: str) -> Array:
    """Return the log of the cumulative hazard, shape log(y / scale); minus infinity for y of 0 or less."""
    with np.errstate(divide="ignore"):
        log_y = np.log(np.maximum(y, 0.0))
    return np.asarray(shape * (log_y - links.log_inverse(link, eta) + gammaln(1.0 + 1.0 / np.asarray(shape))))


def log_density(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return the log density, constants included."""
    z = _log_hazard(y, eta, shape, link)
    with np.errstate(over="ignore"):  # far above the mean the density is 0
        return np.asarray(np.log(shape) - np.log(y) + z - np.exp(z))


def log_cdf(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return links.log_one_minus_exp(_log_hazard(y, eta, shape, link))


def log_survival(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y), minus the cumulative hazard."""
    with np.errstate(over="ignore"):
        return np.asarray(-np.exp(_log_hazard(y, eta, shape, link)))


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    log_mu = links.log_inverse(link, eta)
    shape = np.asarray(shape, dtype=np.float64)
    hazard = rng.standard_exponential(np.broadcast(log_mu, shape).shape)
    log_y = log_mu - gammaln(1.0 + 1.0 / shape) + np.log(np.maximum(hazard, SMALLEST)) / shape
    return np.asarray(np.exp(np.clip(log_y, math.log(SMALLEST), math.log(LARGEST))))


def mean(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, shape).shape)


def variance(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return Var[y] = mu^2 [Gamma(1 + 2 / shape) / Gamma(1 + 1 / shape)^2 - 1]."""
    shape = np.asarray(shape, dtype=np.float64)
    log_ratio = gammaln(1.0 + 2.0 / shape) - 2.0 * gammaln(1.0 + 1.0 / shape)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        log_excess = np.where(log_ratio > 37.0, log_ratio, np.log(np.expm1(np.clip(log_ratio, 0.0, 37.0))))
        value = np.exp(2.0 * links.log_inverse(link, eta) + log_excess)
        return np.asarray(np.nan_to_num(value, nan=np.inf, posinf=np.inf))  # an infinite mean, with a spread of 0 even
