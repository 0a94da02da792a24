"""Student's t distribution with location ``mu``, scale ``sigma`` and ``nu`` degrees of freedom, for outlying responses.

``nu`` is above 1, as in brms, so that ``mu`` is the mean; ``sigma`` is no standard deviation: that is sigma
sqrt(nu / (nu - 2)). With known standard errors the scale is sqrt(sigma^2 + se^2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, gaussian
from multilevel.families._special import LARGEST, log_betainc, log_gamma_ratio

Array = NDArray[np.float64]

PARAMETERS = ("mu", "sigma", "nu")
LINKS = ("identity", "log", "softplus")
OTHER_LINKS = {"sigma": "log", "nu": "logm1"}
RESPONSE_TERMS = ("weights", "se", "cens", "trunc")
KIND = "continuous"
SYMBOL = "StudentT"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the mean and the sd of the response, or what they are on the scale of another link."""
    return _scales.of_mean(y, link)


def unit_of(y: Array) -> float:
    """Return what the prior of sigma is scaled by: the sd of the response (ddof 1)."""
    return float(np.std(y, ddof=1))


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of sigma and nu (Juárez & Steel 2010, J. Business & Economic Statistics 28:52)."""
    return {"sigma": ("exponential", (1.0 / scale,)), "nu": ("gamma", (2.0, 0.1))}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of log sigma, or of log(nu - 1): 95 % of nu between 1.4 and 140."""
    return {"sigma": (math.log(scale), 1.0), "nu": (2.0, 1.5)}[name]


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:
    """Return None for numbers, each of which can be drawn."""
    return gaussian.support_problem(y, terms)


def log_density(
    y: Array,
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return the log density, constants included."""
    scale, nu = gaussian.scale_of(sigma, se), np.asarray(nu, dtype=np.float64)
    with np.errstate(over="ignore"):  # far from the mean the density is 0
        t = np.abs(y - links.inverse(link, eta)) / scale / np.sqrt(nu)
    far = t > 1e100
    log_kernel = np.where(far, 2.0 * np.log(np.where(far, t, 1.0)), np.log1p(np.square(np.where(far, 0.0, t))))
    constant = log_gamma_ratio(nu / 2.0, np.asarray(0.5)) - 0.5 * np.log(nu * math.pi) - np.log(scale)
    return np.asarray(constant - 0.5 * (nu + 1.0) * log_kernel)


def _tails(
    y: Array, eta: Array, sigma: Array | float, nu: Array | float, se: Array | float, link: str
) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete beta function of nu / (nu + z^2)."""
    nu = np.asarray(nu, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        z = (y - links.inverse(link, eta)) / gaussian.scale_of(sigma, se)
        log_odds = 2.0 * np.log(np.abs(z)) - np.log(nu)  # of z^2 / (nu + z^2)
    log_x, log_y = -np.logaddexp(0.0, log_odds), -np.logaddexp(0.0, -log_odds)
    log_both, _ = log_betainc(nu / 2.0, np.asarray(0.5), np.exp(log_x), log_x, np.exp(log_y), log_y)
    outer = links.LOG_HALF + log_both
    inner = links.log1mexp(np.minimum(outer, links.LOG_HALF))
    return np.where(z < 0, outer, inner), np.where(z < 0, inner, outer)


def log_cdf(
    y: Array,
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, sigma, nu, se, link)[0]


def log_survival(
    y: Array,
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, sigma, nu, se, link)[1]


def draws(
    rng: np.random.Generator,
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return draws of y given the parameters."""
    mu, scale = links.inverse(link, eta), gaussian.scale_of(sigma, se)
    shape = np.broadcast(mu, scale, nu).shape
    return np.asarray(np.clip(mu + scale * rng.standard_t(np.broadcast_to(nu, shape)), -LARGEST, LARGEST))


def mean(
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, gaussian.scale_of(sigma, se), nu).shape)


def variance(
    eta: Array,
    sigma: Array | float = 0.0,
    nu: Array | float = 1.0,
    se: Array | float = 0.0,
    link: str = "identity",
) -> Array:
    """Return Var[y], infinite where nu is 2 or less."""
    scale, nu = gaussian.scale_of(sigma, se), np.asarray(nu, dtype=np.float64)
    factor = np.where(nu > 2.0, nu / np.where(nu > 2.0, nu - 2.0, 1.0), np.inf)
    value = np.square(scale) * factor
    return np.broadcast_to(value, np.broadcast(value, links.inverse(link, eta)).shape)
