"""Hurdle negative binomial: 0 with probability ``hu``, else a negative binomial of ``mu`` and ``shape`` without its zeros."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from multilevel import links
from multilevel.families import _scales, _support, _zeros, negative_binomial
from multilevel.families._special import log_between

Array = NDArray[np.float64]

PARAMETERS = ("mu", "shape", "hu")
LINKS = negative_binomial.LINKS
OTHER_LINKS = {"shape": "log", "hu": "logit"}
RESPONSE_TERMS = ("weights", "cens")
KIND = "discrete"
PICTURES = ("rootogram",)
SYMBOL = "HurdleNegBinomial"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return the predictor of the mean of the counts above 0, and its spread."""
    return negative_binomial.location_and_scale(y[y > 0] if (y > 0).sum() > 1 else y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the shape and of the probability of 0."""
    return {**negative_binomial.default_priors(scale), "hu": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of logit hu or log shape."""
    return _scales.LOGIT_SHARE if name == "hu" else negative_binomial.location_of(name, scale)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values cannot be counts."""
    return _support.of_counts(y, "hurdle_negative_binomial")


def log_density(y: Array, eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y = y)."""
    base = negative_binomial.log_density(y, eta, shape, link)
    return _zeros.hurdle_log_density(y, hu, base, negative_binomial.log_not_zero(eta, shape, link))


def log_cdf(y: Array, eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y <= y)."""
    below = negative_binomial.log_cdf(y, eta, shape, link)
    above = negative_binomial.log_survival(y, eta, shape, link)
    return _zeros.hurdle_log_cdf(y, hu, below, above, negative_binomial.log_not_zero(eta, shape, link))


def log_survival(y: Array, eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return log P(Y > y)."""
    above = negative_binomial.log_survival(y, eta, shape, link)
    return _zeros.hurdle_log_survival(y, hu, above, negative_binomial.log_not_zero(eta, shape, link))


def log_interval(
    lower: Array, upper: Array, eta: Array, shape: Array | float, hu: Array | float, link: str = "log"
) -> Array:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, shape, link), f(upper, eta, shape, link))
        for f in (negative_binomial.log_cdf, negative_binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, shape, hu, link)
    return _zeros.hurdle_log_interval(
        lower, hu, log_between(below, above), up_to, negative_binomial.log_not_zero(eta, shape, link)
    )


def draws(rng: np.random.Generator, eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return draws of y given the parameters."""
    size = np.broadcast(eta, shape, hu).shape
    eta, shape = np.broadcast_to(eta, size), np.broadcast_to(np.asarray(shape, dtype=np.float64), size)
    return _zeros.hurdle_draws(rng, hu, _above_zero(rng, eta, shape, link))


def _above_zero(rng: np.random.Generator, eta: Array, shape: Array, link: str) -> Array:
    """Return negative binomial draws given that they are not 0.

    Zeros are drawn again where fewer than nine of ten are. Elsewhere from a Poisson number, not 0 and nearly always 1, of
    logarithmic counts, whose sum is negative binomial (Quenouille 1949, Biometrics 5:162).
    """
    log_share = negative_binomial.log_not_zero(eta, shape, link)
    often = log_share > np.log(0.1)
    out = np.zeros(eta.shape)
    left = np.flatnonzero(often)
    while len(left):
        out.flat[left] = negative_binomial.draws(rng, eta.flat[left], shape.flat[left], link)
        left = left[out.flat[left] == 0]
    if (rare := np.flatnonzero(~often)).size:
        numbers = _zeros.poisson_above_zero(rng, -np.log1p(-np.exp(log_share.flat[rare])))
        odds = links.log_inverse(link, eta.flat[rare]) - np.log(shape.flat[rare])
        share = np.clip(expit(odds), 0.0, 1.0 - 2.0**-53)
        for more in range(int(numbers.max())):
            counted = numbers > more
            out.flat[rare[counted]] += rng.logseries(share[counted])
    return out


def mean(eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return E[y] = (1 - hu) mu / P(Y > 0)."""
    return _zeros.hurdle_mean(hu, links.log_inverse(link, eta), negative_binomial.log_not_zero(eta, shape, link))


def variance(eta: Array, shape: Array | float, hu: Array | float, link: str = "log") -> Array:
    """Return Var[y]."""
    with np.errstate(over="ignore"):
        ratio = 1.0 + links.inverse(link, eta) * (1.0 + 1.0 / np.asarray(shape))
    log_not_zero = negative_binomial.log_not_zero(eta, shape, link)
    return _zeros.hurdle_variance(hu, links.log_inverse(link, eta), ratio, log_not_zero)
