"""Zero-inflated negative binomial: 0 with probability ``zi``, else negative binomial with mean ``mu`` and ``shape``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _scales, _support, _zeros, negative_binomial
from multilevel.families._special import log_between

Array = NDArray[np.float64]

PARAMETERS = (*negative_binomial.PARAMETERS, "zi")
LINKS = negative_binomial.LINKS
OTHER_LINKS = {**negative_binomial.OTHER_LINKS, "zi": "logit"}
RESPONSE_TERMS = ("weights", "cens")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "ZeroInflatedNegBinomial"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return what the base's are: those of the mean of all counts, zeros of both kinds among them."""
    return negative_binomial.location_and_scale(y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the base and of the probability of a zero of the other kind."""
    return {**negative_binomial.default_priors(scale), "zi": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of logit zi, or of a parameter of the base."""
    return _scales.LOGIT_SHARE if name == "zi" else negative_binomial.location_of(name, scale)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be counts."""
    return _support.of_counts(y, "zero_inflated_negative_binomial")


def log_density(y: Array, eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, negative_binomial.log_density(y, eta, shape, link))


def log_cdf(y: Array, eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, negative_binomial.log_cdf(y, eta, shape, link))


def log_survival(y: Array, eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, negative_binomial.log_survival(y, eta, shape, link))


def log_interval(
    lower: Array, upper: Array, eta: Array, shape: Array | float, zi: Array | float, link: str = "log"
) -> Array:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, shape, link), f(upper, eta, shape, link))
        for f in (negative_binomial.log_cdf, negative_binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, shape, zi, link)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    size = np.broadcast(eta, shape, zi).shape
    return _zeros.inflated_draws(rng, zi, negative_binomial.draws(rng, np.broadcast_to(eta, size), shape, link))


def mean(eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return E[y] = (1 - zi) mu."""
    return _zeros.inflated_mean(zi, negative_binomial.mean(eta, shape, link))


def variance(eta: Array, shape: Array | float, zi: Array | float, link: str = "log") -> Array:
    """Return Var[y]."""
    return _zeros.inflated_variance(
        zi, negative_binomial.mean(eta, shape, link), negative_binomial.variance(eta, shape, link)
    )
