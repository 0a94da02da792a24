"""What ordinal families share: distances from the linear predictor to the thresholds, and the tails of a link.

With F the inverse of the link, the distances are z_k = disc (threshold_k - eta), k = 1 ... K - 1 (Bürkner & Vuorre 2019,
Advances in Methods and Practices in Psychological Science 2:77), so that a larger predictor means higher categories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_ndtr

from multilevel import links
from multilevel.families import _categories

Array = NDArray[np.float64]

LINKS = ("logit", "probit", "cloglog", "cauchit")
OTHER_LINKS = {"disc": "log"}
FIXED = {"disc": 1.0}
SPREAD = 1.0
"""Scale of default priors on the linear predictor, that of the latent distribution but for a factor near 1."""


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: the middle of the latent scale, and its spread."""
    return 0.0, SPREAD


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default prior of the distance between equidistant thresholds that need not increase."""
    return {"delta": ("normal", (0.0, 2.5 * scale))}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return location and spread of the linear predictor of log disc.

    Raises
    ------
    KeyError
        For any other parameter: thresholds have priors of their own.
    """
    return {"disc": (0.0, 1.0)}[name]


class Functions(NamedTuple):
    """What a family defines beside its log probabilities, each a function of the same parameters."""

    probabilities: Callable[..., Array]
    log_density: Callable[..., Array]
    draws: Callable[..., Array]
    mean: Callable[..., Array]
    variance: Callable[..., Array]


def functions(log_probabilities: Callable[..., Array]) -> Functions:
    """Return what follows from the log probability of every category, shape (..., K).

    Parameters
    ----------
    log_probabilities
        Of `eta`, ``thresholds``, ``disc`` and ``link``.
    """

    def probabilities(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
        """Return the probability of every category, shape (..., K)."""
        return np.exp(log_probabilities(eta, thresholds, disc, link))

    def log_density(y: Array, eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
        """Return the log probability of category y, counted from 1."""
        return _categories.pick(log_probabilities(eta, thresholds, disc, link), y)

    def draws(
        rng: np.random.Generator, eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit"
    ) -> Array:
        """Return draws of y given the parameters."""
        return _categories.draw(rng, probabilities(eta, thresholds, disc, link))

    def mean(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
        """Return the mean of the category's number, which treats categories as equally far apart."""
        return _categories.moments(probabilities(eta, thresholds, disc, link))[0]

    def variance(eta: Array, thresholds: Array, disc: Array | float = 1.0, link: str = "logit") -> Array:
        """Return the variance of the category's number."""
        return _categories.moments(probabilities(eta, thresholds, disc, link))[1]

    return Functions(probabilities, log_density, draws, mean, variance)


def distances(eta: Array, thresholds: Array, disc: Array | float) -> Array:
    """Return disc (threshold - eta), shape (..., K - 1).

    Parameters
    ----------
    eta
        Linear predictor, any shape.
    thresholds
        Thresholds, shape (..., K - 1), where the dimensions before the last broadcast with those of `eta`.
    disc
        Discrimination, broadcast with `eta`.
    """
    eta, disc = np.asarray(eta, dtype=np.float64), np.asarray(disc, dtype=np.float64)
    return np.asarray(disc[..., None] * (np.asarray(thresholds, dtype=np.float64) - eta[..., None]))


def log_between(link: str, lower: Array, upper: Array) -> Array:
    """Return log(F(upper) - F(lower)) for lower <= upper, without loss of digits wherever both lie.

    Raises
    ------
    KeyError
        When there is no such link.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # an empty interval has probability 0
        match link:
            case "logit":
                # F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b))
                return np.asarray(log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper)))
            case "probit":
                # From the tail that both are nearer to, where the difference of the logarithms is largest.
                mirror = lower > 0
                large = log_ndtr(np.where(mirror, -lower, upper))
                small = log_ndtr(np.where(mirror, -upper, lower))
                value = large + np.log(-np.expm1(small - large))
                return np.where(np.isneginf(large), -np.inf, value)
            case "cloglog":
                # F(b) - F(a) = exp(-e^a) (1 - exp(-(e^b - e^a)))
                log_rate = lower + np.log(np.expm1(upper - lower))
                log_rate = np.where(upper - lower > 700.0, upper, log_rate)
                value = -np.exp(lower) + links.log_one_minus_exp(log_rate)
                return np.where(np.isposinf(np.exp(lower)), -np.inf, value)
            case "cauchit":
                return np.asarray(np.log(np.arctan2(upper - lower, 1.0 + lower * upper) / np.pi))
    raise KeyError(link)
