"""Binomial distribution: ``y`` successes in ``trials`` trials of probability ``mu``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from multilevel import links

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = ("logit", "probit", "cloglog")
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("trials", "weights")
KIND = "discrete"

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
    raise KeyError(name)


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:
    """Say what values cannot be successes out of that many trials."""
    trials = np.broadcast_to(terms["trials"], y.shape) if "trials" in terms else np.ones_like(y)
    for bad, words in (
        (trials != np.floor(trials), "has trials that are no whole numbers"),
        (trials < 0, "has a negative number of trials"),
        (y < 0, "has negative counts"),
        (y != np.floor(y), "has counts that are no whole numbers"),
        (y > trials, "has more successes than trials"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            note = "" if "trials" in terms else "; write 'y | trials(n)' for counts out of n"
            return f"{words} ({y[row]:g} of {trials[row]:g} in row {row + 1}, {int(bad.sum())} rows in all){note}"
    return None


def log_density(y: Array, eta: Array, trials: Array | float = 1.0, link: str = "logit") -> Array:
    """Return log Binomial(y | trials, p), the number of arrangements included."""
    log_p, log_q = links.log_tails(link, np.asarray(eta, dtype=np.float64))
    failures = trials - y
    # A probability of 0 to the power of 0 is 1.
    ones = np.where(y > 0, y * log_p, 0.0) + np.where(failures > 0, failures * log_q, 0.0)
    return np.asarray(gammaln(trials + 1.0) - gammaln(y + 1.0) - gammaln(failures + 1.0) + ones)


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
    p = links.inverse(link, eta)
    return np.asarray(trials * p * (1.0 - p))
