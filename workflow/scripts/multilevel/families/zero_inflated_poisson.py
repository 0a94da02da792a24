"""Zero-inflated Poisson distribution: 0 with probability ``zi``, else Poisson with mean ``mu``, which may be 0 as well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _scales, _support, _zeros, poisson
from multilevel.families._special import log_between

Array = NDArray[np.float64]

PARAMETERS = (*poisson.PARAMETERS, "zi")
LINKS = poisson.LINKS
OTHER_LINKS = {**poisson.OTHER_LINKS, "zi": "logit"}
RESPONSE_TERMS = ("weights", "cens")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "ZeroInflatedPoisson"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return what the base's are: those of the mean of all counts, zeros of both kinds among them."""
    return poisson.location_and_scale(y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the base and of the probability of a zero of the other kind."""
    return {**poisson.default_priors(scale), "zi": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of logit zi, or of a parameter of the base."""
    return _scales.LOGIT_SHARE if name == "zi" else poisson.location_of(name, scale)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be counts."""
    return _support.of_counts(y, "zero_inflated_poisson")


def log_density(y: Array, eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, poisson.log_density(y, eta, link))


def log_cdf(y: Array, eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, poisson.log_cdf(y, eta, link))


def log_survival(y: Array, eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, poisson.log_survival(y, eta, link))


def log_interval(lower: Array, upper: Array, eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return log P(lower < Y <= upper)."""
    below, above = ((f(lower, eta, link), f(upper, eta, link)) for f in (poisson.log_cdf, poisson.log_survival))
    up_to = log_cdf(upper, eta, zi, link)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)


def draws(rng: np.random.Generator, eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    size = np.broadcast(eta, zi).shape
    return _zeros.inflated_draws(rng, zi, poisson.draws(rng, np.broadcast_to(eta, size), link))


def mean(eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return E[y] = (1 - zi) mu."""
    return _zeros.inflated_mean(zi, poisson.mean(eta, link))


def variance(eta: Array, zi: Array | float, link: str = "log") -> Array:
    """Return Var[y]."""
    return _zeros.inflated_variance(zi, poisson.mean(eta, link), poisson.variance(eta, link))
