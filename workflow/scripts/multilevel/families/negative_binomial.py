"""Negative binomial distribution of counts with mean ``mu`` and ``shape``; the variance is mu + mu^2 / shape.

A Poisson whose mean is gamma distributed; as the shape grows it becomes the Poisson.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _special, _support
from multilevel.families._special import LARGEST, SMALLEST, log_betainc, log_choose

Array = NDArray[np.float64]

PARAMETERS = ("mu", "shape")
LINKS = ("log", "softplus")
OTHER_LINKS = {"shape": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "NegBinomial"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean count, and its spread."""
    return _scales.of_mean(y, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a shape has no unit)
    """Return the default prior of the shape."""
    return {"shape": _scales.PRECISION}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a shape has no unit)
    """Return location and spread of the linear predictor of log shape."""
    return _scales.LOG_PRECISION


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be counts."""
    return _support.of_counts(y, "negative_binomial")


def _log_odds(eta: Array, shape: Array | float, link: str) -> Array:
    """Return log(mu / shape), the log odds of one more event against none of the `shape` stops."""
    return np.asarray(links.log_inverse(link, eta) - np.log(shape))


def log_not_zero(eta: Array, shape: Array | float, link: str) -> Array:
    """Return log P(Y > 0) = log(1 - exp(-h)) with h = shape log(1 + mu / shape), which is log h where h is small."""
    shape = np.asarray(shape, dtype=np.float64)
    log_h = np.log(shape) + links.log_inverse("softplus", _log_odds(eta, shape, link))
    return links.log_one_minus_exp(log_h)


def log_density(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y = y)."""
    odds = _log_odds(eta, shape, link)
    events = np.where(y > 0, -y * np.logaddexp(0.0, -odds), 0.0)
    return np.asarray(log_choose(np.asarray(shape), y) + events - shape * np.logaddexp(0.0, odds))


def _tails(y: Array, eta: Array, shape: Array | float, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete beta function of y + 1 and shape."""
    odds = _log_odds(eta, shape, link)
    log_x, log_y = -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)
    k = np.maximum(y, 0.0) + 1.0
    above, below = log_betainc(k, np.asarray(shape), np.exp(log_x), log_x, np.exp(log_y), log_y)
    return np.where(y >= 0, below, -np.inf), np.where(y >= 0, above, 0.0)


def log_cdf(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, shape, link)[0]


def log_survival(y: Array, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, shape, link)[1]


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters: Poisson draws of gamma means."""
    mu = links.inverse(link, eta)
    standard = rng.gamma(np.broadcast_to(shape, np.broadcast(mu, shape).shape))
    with np.errstate(over="ignore"):
        return _special.poisson(rng, np.clip(np.maximum(standard, SMALLEST) / shape * mu, 0.0, LARGEST))


def mean(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, shape).shape)


def variance(eta: Array, shape: Array | float, link: str = "log") -> Array:
    """Return Var[y] = mu + mu^2 / shape."""
    mu = links.inverse(link, eta)
    with np.errstate(over="ignore"):
        return np.asarray(mu + np.square(mu) / shape)
