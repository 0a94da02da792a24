"""What ordinal families share: distances from the linear predictor to the thresholds, and the tails of a link.

With F the inverse of the link, the distances are z_k = disc (threshold_k - eta), k = 1 ... K - 1 (Bürkner & Vuorre 2019,
Advances in Methods and Practices in Psychological Science 2:77), so that a larger predictor means higher categories.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_ndtr

Array = NDArray[np.float64]

LINKS = ("logit", "probit", "cloglog", "cauchit")
OTHER_LINKS = {"disc": "log"}
FIXED = {"disc": 1.0}
SPREAD = 1.0
"""Scale of default priors on the linear predictor, that of the latent distribution but for a factor near 1."""


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return location and spread of the linear predictor of log disc.

    Raises
    ------
    KeyError
        For any other parameter: thresholds have priors of their own.
    """
    return {"disc": (0.0, 1.0)}[name]


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


def log_tails(link: str, z: Array) -> tuple[Array, Array]:
    """Return log F(z) and log(1 - F(z)), without loss of digits in either tail.

    Raises
    ------
    KeyError
        When there is no such link.
    """
    match link:
        case "logit":
            return log_expit(z), log_expit(-z)
        case "probit":
            return log_ndtr(z), log_ndtr(-z)
        case "cloglog":
            with np.errstate(over="ignore"):  # an infinite rate: log(1 - F) is minus infinity
                rate = np.exp(z)
            return _log_one_minus_exp(rate, z), -rate
        case "cauchit":
            return np.log(np.arctan2(1.0, -z) / np.pi), np.log(np.arctan2(1.0, z) / np.pi)
    raise KeyError(link)


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
                value = -np.exp(lower) + _log_one_minus_exp(np.exp(log_rate), log_rate)
                return np.where(np.isposinf(np.exp(lower)), -np.inf, value)
            case "cauchit":
                return np.asarray(np.log(np.arctan2(upper - lower, 1.0 + lower * upper) / np.pi))
    raise KeyError(link)


def _log_one_minus_exp(rate: Array, log_rate: Array) -> Array:
    """Return log(1 - exp(-rate)): by expm1 where the rate is small and by log1p where it is large."""
    with np.errstate(divide="ignore"):
        small = rate < np.log(2.0)
        value = np.where(
            small, np.log(-np.expm1(-np.where(small, rate, 1.0))), np.log1p(-np.exp(-np.where(small, 1.0, rate)))
        )
    return np.where(log_rate < -36.0, log_rate, value)
