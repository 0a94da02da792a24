"""Gamma distribution with mean ``mu`` and ``shape``; the variance is mu^2 / shape, the rate shape / mu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import LARGEST, SMALLEST, STIRLING_FROM, log_gammainc, stirling_error

Array = NDArray[np.float64]

PARAMETERS = ("mu", "shape")
LINKS = ("log", "softplus", "inverse")
OTHER_LINKS = {"shape": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "Gamma"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean response, and its spread."""
    return _scales.of_mean(y, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a shape has no unit)
    """Return the default prior of the shape."""
    return {"shape": _scales.PRECISION}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a shape has no unit)
    """Return location and spread of the linear predictor of log shape."""
    return _scales.LOG_PRECISION


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are not above 0."""
    return _support.of_positive(y, "gamma")


def log_normaliser(shape: Array) -> Array:
    """Return shape log shape - shape - log Gamma(shape), which is log(shape / 2 pi) / 2 but for a small rest."""
    large = shape >= STIRLING_FROM
    a, b = np.where(large, shape, STIRLING_FROM), np.where(large, 1.0, shape)
    stirling = 0.5 * np.log(a / (2.0 * np.pi)) - stirling_error(a)
    return np.asarray(np.where(large, stirling, b * np.log(b) - b - gammaln(b)))


def log_density(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return the log density, constants included, from r = log(y / mu): shape (1 + r - exp(r)) and a normaliser."""
    shape = np.asarray(shape, dtype=np.float64)
    r = np.log(y) - links.log_inverse(link, eta)
    with np.errstate(over="ignore"):  # far above the mean the density is 0
        return np.asarray(log_normaliser(shape) + shape * (r - np.expm1(r)) - np.log(y))


def _tails(y: Array, eta: Array, shape: Array | float, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y)."""
    log_x = np.log(np.maximum(y, SMALLEST)) - links.log_inverse(link, eta) + np.log(shape)
    with np.errstate(over="ignore"):
        below, above = log_gammainc(np.asarray(shape), np.exp(log_x), log_x)
    return np.where(y > 0, below, -np.inf), np.where(y > 0, above, 0.0)


def log_cdf(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, shape, link)[0]


def log_survival(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, shape, link)[1]


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    mu = links.inverse(link, eta)
    standard = rng.gamma(np.broadcast_to(shape, np.broadcast(mu, shape).shape))
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(np.maximum(standard, SMALLEST) / shape * mu, SMALLEST, LARGEST))


def mean(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, shape).shape)


def variance(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return Var[y] = mu^2 / shape."""
    with np.errstate(over="ignore"):
        return np.asarray(np.square(links.inverse(link, eta)) / shape)
