"""Zero-inflated binomial: 0 with probability ``zi``, else successes in ``trials`` trials of probability ``mu``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _scales, _zeros, binomial
from multilevel.families._special import log_between

Array = NDArray[np.float64]

PARAMETERS = (*binomial.PARAMETERS, "zi")
LINKS = binomial.LINKS
OTHER_LINKS = {**binomial.OTHER_LINKS, "zi": "logit"}
RESPONSE_TERMS = ("trials", "weights", "cens")
KIND = "discrete"
PICTURES = ("rootogram", "calibration")
SYMBOL = "ZeroInflatedBinomial"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return 0 and 1: without looking at the response, a probability of one half and a spread of one."""
    return binomial.location_and_scale(y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the base and of the probability of a zero of the other kind."""
    return {**binomial.default_priors(scale), "zi": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of logit zi, or of a parameter of the base."""
    return _scales.LOGIT_SHARE if name == "zi" else binomial.location_of(name, scale)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:
    """Say what values cannot be successes out of that many trials."""
    return binomial.support_problem(y, terms)


def log_density(y: Array, eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, binomial.log_density(y, eta, trials, link))


def log_cdf(y: Array, eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, binomial.log_cdf(y, eta, trials, link))


def log_survival(y: Array, eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, binomial.log_survival(y, eta, trials, link))


def log_interval(
    lower: Array, upper: Array, eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit"
) -> Array:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, trials, link), f(upper, eta, trials, link)) for f in (binomial.log_cdf, binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, zi, trials, link)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)


def draws(
    rng: np.random.Generator, eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit"
) -> Array:
    """Return draws of y given the parameters."""
    size = np.broadcast(eta, zi, trials).shape
    return _zeros.inflated_draws(rng, zi, binomial.draws(rng, np.broadcast_to(eta, size), trials, link))


def mean(eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return E[y] = (1 - zi) trials mu."""
    return _zeros.inflated_mean(zi, binomial.mean(eta, trials, link))


def variance(eta: Array, zi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return Var[y]."""
    return _zeros.inflated_variance(zi, binomial.mean(eta, trials, link), binomial.variance(eta, trials, link))
