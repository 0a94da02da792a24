"""Beta-binomial distribution: successes in ``trials`` trials whose probability is beta distributed, with mean ``mu`` and ``phi``.

The variance is trials mu (1 - mu) (trials + phi) / (1 + phi); as phi grows it becomes the binomial.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _trials, beta, binomial
from multilevel.families._special import log_choose, log_rising

Array = NDArray[np.float64]

PARAMETERS = ("mu", "phi")
LINKS = ("logit", "probit", "cloglog")
OTHER_LINKS = {"phi": "log"}
RESPONSE_TERMS = ("trials", "weights", "cens", "trunc")
KIND = "discrete"
PICTURES = ("rootogram", "calibration")
SYMBOL = "BetaBinomial"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return 0 and 1: without looking at the response, a probability of one half and a spread of one."""
    return binomial.location_and_scale(y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a precision has no unit)
    """Return the default prior of the precision."""
    return {"phi": _scales.PRECISION}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a precision has no unit)
    """Return location and spread of the linear predictor of log phi."""
    return _scales.LOG_PRECISION


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:
    """Say what values cannot be successes out of that many trials."""
    return binomial.support_problem(y, terms)


def log_density(y: Array, eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y = y), from products of y, trials - y and trials factors, so that a large phi costs no digits."""
    a, log_a, b, log_b = beta.shapes(eta, phi, link)
    phi, failures = np.asarray(phi, dtype=np.float64), trials - y
    log_ways = log_choose(failures + 1.0, y)
    return np.asarray(
        log_ways
        + log_rising(log_a, a, y)
        + log_rising(log_b, b, failures)
        - log_rising(np.log(phi), phi, np.asarray(trials))
    )


def _tails(y: Array, eta: Array, phi: Array | float, trials: Array | float, link: str) -> tuple[Array, Array]:
    return _trials.log_tails(y, trials, lambda k: log_density(k, eta, phi, trials, link))


def log_cdf(y: Array, eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, phi, trials, link)[0]


def log_survival(y: Array, eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, phi, trials, link)[1]


def draws(
    rng: np.random.Generator, eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit"
) -> Array:
    """Return draws of y given the parameters."""
    p = beta.draws(rng, eta, phi, link)
    shape = np.broadcast(p, trials).shape
    return rng.binomial(np.broadcast_to(np.asarray(trials, dtype=np.int64), shape), np.broadcast_to(p, shape)).astype(
        float
    )


def mean(eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return E[y], the expected number of successes."""
    value = trials * links.inverse(link, eta)
    return np.broadcast_to(value, np.broadcast(value, phi).shape)


def variance(eta: Array, phi: Array | float, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return Var[y] = trials mu (1 - mu) (trials + phi) / (1 + phi)."""
    phi = np.asarray(phi, dtype=np.float64)
    return np.asarray(binomial.variance(eta, trials, link) * (trials + phi) / (1.0 + phi))
