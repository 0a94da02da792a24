"""Log-normal distribution: log y is normal with mean ``mu`` and standard deviation ``sigma``.

The honest way to model a logarithm: the response stays what was measured, so that its scores compare with those of gamma,
Weibull and other families of y, and no Jacobian is left to think of. Its mean is exp(mu + sigma^2 / 2), its median exp(mu).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from multilevel import links
from multilevel.families import _support
from multilevel.families._special import LARGEST

Array = NDArray[np.float64]

PARAMETERS = ("mu", "sigma")
LINKS = ("identity",)
OTHER_LINKS = {"sigma": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "LogNormal"
OF_LOGARITHM = True
"""The linear predictor, offsets included, is that of log y."""

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the mean and the sd (ddof 1) of log y."""
    return float(np.mean(np.log(y))), unit_of(y)


def unit_of(y: Array) -> float:
    """Return what the prior of sigma is scaled by: the sd of log y (ddof 1)."""
    return float(np.std(np.log(y), ddof=1))


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of sigma."""
    return {"sigma": ("exponential", (1.0 / scale,))}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (sigma is the only one)
    """Return location and spread of the linear predictor of log sigma."""
    return math.log(scale), 1.0


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are not above 0."""
    return _support.of_positive(y, "lognormal")


def _standard(y: Array, eta: Array, sigma: Array | float, link: str) -> Array:
    """Return (log y - mu) / sigma; minus infinity for y of 0 or less."""
    with np.errstate(divide="ignore"):
        return np.asarray((np.log(np.maximum(y, 0.0)) - links.inverse(link, eta)) / sigma)


def log_density(y: Array, eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return the log density of y, constants and the Jacobian 1 / y included."""
    z = _standard(y, eta, sigma, link)
    return np.asarray(-0.5 * z * z - np.log(sigma) - np.log(y) - _LOG_SQRT_2PI)


def log_cdf(y: Array, eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return log P(Y <= y)."""
    return np.asarray(log_ndtr(_standard(y, eta, sigma, link)))


def log_survival(y: Array, eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return log P(Y > y)."""
    return np.asarray(log_ndtr(-_standard(y, eta, sigma, link)))


def draws(rng: np.random.Generator, eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return draws of y given the parameters."""
    mu = links.inverse(link, eta)
    log_y = mu + sigma * rng.standard_normal(np.broadcast(mu, sigma).shape)
    return np.asarray(np.exp(np.clip(log_y, -700.0, math.log(LARGEST))))


def mean(eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return E[y] = exp(mu + sigma^2 / 2)."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(links.inverse(link, eta) + 0.5 * np.square(sigma)))


def variance(eta: Array, sigma: Array | float, link: str = "identity") -> Array:
    """Return Var[y] = (exp(sigma^2) - 1) exp(2 mu + sigma^2)."""
    with np.errstate(over="ignore"):
        return np.asarray(np.expm1(np.square(sigma)) * np.exp(2.0 * links.inverse(link, eta) + np.square(sigma)))
