"""Binomial distribution: ``y`` successes in ``trials`` trials of probability ``mu``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import log_betainc, log_choose

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = ("logit", "probit", "cloglog")
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("trials", "weights", "cens", "trunc")
KIND = "discrete"
PICTURES = ("rootogram", "calibration")
SYMBOL = "Binomial"

SPREAD = 1.0
"""Scale of default priors on the linear predictor: a coefficient's is 2.5 wide for a predictor of sd 1 (rstanarm's)."""


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: without looking at the response, a probability of one half and a spread of one."""
    return 0.0, SPREAD


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


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:
    """Say what values cannot be successes out of that many trials."""
    given = "trials" in terms
    return _support.of_trials(y, np.broadcast_to(terms["trials"], y.shape) if given else np.ones_like(y), given)


def log_density(y: Array, eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log Binomial(y | trials, p), the number of arrangements included."""
    log_p, log_q = links.log_tails(link, eta)
    failures = trials - y
    with np.errstate(invalid="ignore"):  # a probability of 0 to the power of 0 is 1
        ones = np.where(y > 0, y * log_p, 0.0) + np.where(failures > 0, failures * log_q, 0.0)
    return np.asarray(log_choose(failures + 1.0, y) + ones)


def _tails(y: Array, eta: Array, trials: Array | float, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete beta function of y + 1 and trials - y."""
    log_p, log_q = links.log_tails(link, eta)
    inside = (y >= 0) & (y < trials)
    k, rest = np.where(inside, y + 1.0, 1.0), np.where(inside, trials - y, 1.0)
    above, below = log_betainc(k, rest, np.exp(log_p), log_p, np.exp(log_q), log_q)
    return (
        np.where(inside, below, np.where(y < 0, -np.inf, 0.0)),
        np.where(inside, above, np.where(y < 0, 0.0, -np.inf)),
    )


def log_cdf(y: Array, eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, trials, link)[0]


def log_survival(y: Array, eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, trials, link)[1]


def draws(rng: np.random.Generator, eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return draws of y given the parameters."""
    p = links.inverse(link, eta)
    return rng.binomial(np.broadcast_to(np.asarray(trials, dtype=np.int64), np.broadcast(p, trials).shape), p).astype(
        float
    )


def mean(eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return E[y], the expected number of successes."""
    return np.asarray(trials * links.inverse(link, eta))


def variance(eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return Var[y]."""
    log_p, log_q = links.log_tails(link, eta)
    return np.asarray(trials * np.exp(log_p + log_q))
