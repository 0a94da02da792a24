"""Hurdle Poisson distribution: 0 with probability ``hu``, else a Poisson of mean ``mu`` without its zeros."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _support, _zeros, poisson
from multilevel.families._special import log_between

Array = NDArray[np.float64]

PARAMETERS = ("mu", "hu")
LINKS = poisson.LINKS
OTHER_LINKS = {"hu": "logit"}
RESPONSE_TERMS = ("weights", "cens")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "HurdlePoisson"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return the predictor of the mean of the counts above 0, and its spread."""
    return poisson.location_and_scale(y[y > 0] if (y > 0).sum() > 1 else y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a probability has no unit)
    """Return the default prior of the probability of 0."""
    return {"hu": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a probability has no unit)
    """Return location and spread of the linear predictor of logit hu."""
    return _scales.LOGIT_SHARE


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be counts."""
    return _support.of_counts(y, "hurdle_poisson")


def log_density(y: Array, eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y = y)."""
    return _zeros.hurdle_log_density(y, hu, poisson.log_density(y, eta, link), poisson.log_not_zero(eta, link))


def log_cdf(y: Array, eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    below, above = poisson.log_cdf(y, eta, link), poisson.log_survival(y, eta, link)
    return _zeros.hurdle_log_cdf(y, hu, below, above, poisson.log_not_zero(eta, link))


def log_survival(y: Array, eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    return _zeros.hurdle_log_survival(y, hu, poisson.log_survival(y, eta, link), poisson.log_not_zero(eta, link))


def log_interval(lower: Array, upper: Array, eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return log P(lower < Y <= upper)."""
    below, above = ((f(lower, eta, link), f(upper, eta, link)) for f in (poisson.log_cdf, poisson.log_survival))
    up_to = log_cdf(upper, eta, hu, link)
    return _zeros.hurdle_log_interval(lower, hu, log_between(below, above), up_to, poisson.log_not_zero(eta, link))


def draws(rng: np.random.Generator, eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    mu = np.broadcast_to(links.inverse(link, eta), np.broadcast(eta, hu).shape)
    return _zeros.hurdle_draws(rng, hu, _zeros.poisson_above_zero(rng, mu))


def mean(eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return E[y] = (1 - hu) mu / (1 - exp(-mu))."""
    return _zeros.hurdle_mean(hu, links.log_inverse(link, eta), poisson.log_not_zero(eta, link))


def variance(eta: Array, hu: Array | float, link: str = "log") -> Array:
    """Return Var[y]."""
    ratio = 1.0 + links.inverse(link, eta)
    return _zeros.hurdle_variance(hu, links.log_inverse(link, eta), ratio, poisson.log_not_zero(eta, link))
