"""Poisson distribution of counts with mean ``mu``, which is also the variance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _special, _support, gamma
from multilevel.families._special import log_gammainc

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = ("log", "softplus")
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "Poisson"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return the predictor of the mean count, and its spread."""
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
    """Say what values cannot be counts."""
    return _support.of_counts(y, "poisson")


def log_density(y: Array, eta: Array, link: str = "log") -> Array:
    """Return log P(Y = y), from r = log(mu / y), so that nothing of the size of y log y cancels."""
    log_mu = links.log_inverse(link, eta)
    some = y > 0
    k = np.where(some, y, 1.0)
    r = log_mu - np.log(k)
    with np.errstate(over="ignore"):  # far below the mean the probability is 0
        positive = k * (r - np.expm1(r)) + gamma.log_normaliser(k) - np.log(k)
        return np.asarray(np.where(some, positive, -np.exp(log_mu)))


def log_not_zero(eta: Array, link: str) -> Array:
    """Return log P(Y > 0) = log(1 - exp(-mu)), which is log mu where mu is small."""
    return links.log_one_minus_exp(links.log_inverse(link, eta))


def _tails(y: Array, eta: Array, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete gamma function of y + 1 at mu."""
    log_mu = links.log_inverse(link, eta)
    with np.errstate(over="ignore"):
        above, below = log_gammainc(np.maximum(y, 0.0) + 1.0, np.exp(log_mu), log_mu)
    return np.where(y >= 0, below, -np.inf), np.where(y >= 0, above, 0.0)


def log_cdf(y: Array, eta: Array, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link)[0]


def log_survival(y: Array, eta: Array, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, link)[1]


def draws(rng: np.random.Generator, eta: Array, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    return _special.poisson(rng, links.inverse(link, eta))


def mean(eta: Array, link: str = "log") -> Array:
    """Return E[y]."""
    return links.inverse(link, eta)


def variance(eta: Array, link: str = "log") -> Array:
    """Return Var[y] = mu."""
    return links.inverse(link, eta)
