"""Inverse Gaussian distribution with mean ``mu`` and ``shape``; the variance is mu^3 / shape, so the shape has the unit of y."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import LARGEST, SMALLEST
from multilevel.links import log1mexp

Array = NDArray[np.float64]

PARAMETERS = ("mu", "shape")
LINKS = ("log", "softplus", "inverse")
OTHER_LINKS = {"shape": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "InverseGaussian"

_LOG_2_ROOT_2_OVER_PI = math.log(2.0) + 0.5 * math.log(2.0 / math.pi)


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean response, and its spread."""
    return _scales.of_mean(y, link)


def unit_of(y: Array) -> float:
    """Return what the prior of the shape is scaled by: the mean of the response, whose unit the shape has."""
    return float(np.mean(y))


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of the shape: that of shape / mu, which has no unit, is that of other families' shapes."""
    name, (alpha, beta) = _scales.PRECISION
    return {"shape": (name, (alpha, beta * scale))}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (the shape is the only one)
    """Return location and spread of the linear predictor of log shape."""
    location, spread = _scales.LOG_PRECISION
    return location + math.log(scale), spread


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are not above 0."""
    return _support.of_positive(y, "inverse_gaussian")


def log_density(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return the log density, constants included."""
    log_mu, log_y, log_shape = links.log_inverse(link, eta), np.log(y), np.log(shape)
    with np.errstate(over="ignore"):  # far from the mean the density is 0
        # shape (y - mu)^2 / (mu^2 y) = [sqrt(shape / y) (y / mu - 1)]^2
        root = np.exp(0.5 * (log_shape - log_y)) * np.expm1(log_y - log_mu)
        value = 0.5 * (log_shape - math.log(2.0 * math.pi)) - 1.5 * log_y - 0.5 * np.square(root)
    return np.asarray(np.where(np.isposinf(log_mu), -np.inf, value))  # an inverse link's predictor of 0 or less


def _tails(y: Array, eta: Array, shape: Array | float, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y).

    P(Y <= y) = Phi(a) + exp(2 shape / mu) Phi(-b) with a, b = sqrt(shape / y) (y / mu -+ 1). As b^2 = a^2 + 4 shape / mu,
    the second part is exp(-a^2 / 2) erfcx(b / sqrt 2) / 2: no large numbers cancel.
    """
    log_y, log_mu = np.log(np.maximum(y, SMALLEST)), links.log_inverse(link, eta)
    with np.errstate(over="ignore"):
        root = np.exp(0.5 * (np.log(shape) - log_y))
        a, b = root * np.expm1(log_y - log_mu), root * (1.0 + np.exp(log_y - log_mu))
    a, b = np.clip(a, -1e150, 1e150), np.minimum(b, 1e150)
    half, root_half = math.log(0.5), math.sqrt(0.5)
    kernel = -0.5 * a * a
    second = kernel + half + np.log(erfcx(b * root_half))
    below = np.minimum(np.logaddexp(log_ndtr(a), second), 0.0)
    # Above the mean P(Y > y) = exp(-a^2 / 2) [erfcx(a / sqrt 2) - erfcx(b / sqrt 2)] / 2.
    upper = a > 0.0
    difference = erfcx(np.where(upper, a, 0.0) * root_half) - erfcx(b * root_half)
    # Far out that is sqrt(2 / pi) (1 / a - 1 / b), whose b - a is 2 sqrt(shape / y).
    far, safe = a > 1e3, np.maximum(a, 1.0)
    log_far = _LOG_2_ROOT_2_OVER_PI + np.log(root) - np.log(safe) - np.log(np.maximum(b, 1.0))
    above = kernel + half + np.where(far, log_far, np.log(np.maximum(difference, 1e-300)))
    above = np.where(upper, above, log1mexp(np.where(upper, -1.0, below)))
    below = np.where(upper, log1mexp(np.where(upper, above, -1.0)), below)
    return np.where(y > 0, below, -np.inf), np.where(y > 0, above, 0.0)


def log_cdf(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, shape, link)[0]


def log_survival(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, shape, link)[1]


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters (Michael, Schucany & Haas 1976, American Statistician 30:88).

    Its quadratic is solved for the smaller root without cancellation, so that no draw is 0 where mu exceeds the shape.
    """
    mu = links.inverse(link, eta)
    size = np.broadcast(mu, shape).shape
    with np.errstate(over="ignore", invalid="ignore"):
        r = 0.5 * np.square(rng.standard_normal(size)) * mu / shape
        smaller = 1.0 / (1.0 + r + np.sqrt(r * (r + 2.0)))  # in units of mu
        chosen = np.where(rng.random(size) * (1.0 + smaller) <= 1.0, smaller, 1.0 / np.maximum(smaller, SMALLEST))
        return np.asarray(np.clip(np.nan_to_num(mu * chosen, nan=LARGEST), SMALLEST, LARGEST))


def mean(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, shape).shape)


def variance(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return Var[y] = mu^3 / shape."""
    with np.errstate(over="ignore"):
        return np.asarray(links.inverse(link, eta) ** 3 / shape)
