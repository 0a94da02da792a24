"""Link functions in NumPy: from a parameter to its linear predictor and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_ndtr, ndtr, ndtri

Array = NDArray[np.float64]

_INVERSE: dict[str, Callable[[Array], Array]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": expit,
    "probit": ndtr,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
}

_FORWARD: dict[str, Callable[[Array], Array]] = {
    "identity": lambda value: value,
    "log": np.log,
    "logit": lambda value: np.log(value) - np.log1p(-value),
    "probit": ndtri,
    "cloglog": lambda value: np.log(-np.log1p(-value)),
}

NAMES = tuple(_INVERSE)


def inverse(link: str, eta: Array) -> Array:
    """Return the parameter whose linear predictor is `eta`.

    Raises
    ------
    KeyError
        When there is no such link.
    """
    return np.asarray(_INVERSE[link](np.asarray(eta, dtype=np.float64)))


def forward(link: str, value: Array) -> Array:
    """Return the linear predictor of a parameter.

    Raises
    ------
    KeyError
        When there is no such link.
    """
    return np.asarray(_FORWARD[link](np.asarray(value, dtype=np.float64)))


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
            return log_one_minus_exp(rate, z), -rate
        case "cauchit":
            return np.log(np.arctan2(1.0, -z) / np.pi), np.log(np.arctan2(1.0, z) / np.pi)
    raise KeyError(link)


def log_one_minus_exp(rate: Array, log_rate: Array) -> Array:
    """Return log(1 - exp(-rate)): by expm1 where the rate is small and by log1p where it is large."""
    with np.errstate(divide="ignore"):
        small = rate < np.log(2.0)
        value = np.where(
            small, np.log(-np.expm1(-np.where(small, rate, 1.0))), np.log1p(-np.exp(-np.where(small, 1.0, rate)))
        )
    return np.where(log_rate < -36.0, log_rate, value)
