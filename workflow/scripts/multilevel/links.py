"""Link functions in NumPy: from a parameter to its linear predictor and back, also in logarithms, where tails keep digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_ndtr, ndtr, ndtri

Array = NDArray[np.float64]

LOG_HALF = math.log(0.5)

POSITIVE = ("log", "softplus", "inverse")
"""Links of a parameter above 0, a mean or a scale. Under ``inverse`` a predictor of 0 or less has density 0."""

PROBABILITY = ("logit", "probit", "cloglog")
"""Links of a probability."""


def _inverse_of_inverse(eta: Array) -> Array:
    with np.errstate(divide="ignore", over="ignore"):  # 1 / eta grows without end as eta falls to 0, and stays there
        return np.asarray(1.0 / np.maximum(eta, 0.0))


def _exp(eta: Array) -> Array:
    with np.errstate(over="ignore"):  # beyond the largest number the limit is infinite, and right
        return np.asarray(np.exp(eta))


_INVERSE: dict[str, Callable[[Array], Array]] = {
    "identity": lambda eta: eta,
    "log": _exp,
    "softplus": lambda eta: np.logaddexp(0.0, eta),
    "inverse": _inverse_of_inverse,
    "logm1": lambda eta: 1.0 + _exp(eta),
    "logit": expit,
    "probit": ndtr,
    "cloglog": lambda eta: -np.expm1(-_exp(eta)),
}

_FORWARD: dict[str, Callable[[Array], Array]] = {
    "identity": lambda value: value,
    "log": np.log,
    "softplus": lambda value: value + np.log(-np.expm1(-value)),
    "inverse": lambda value: 1.0 / value,
    "logm1": lambda value: np.log(value - 1.0),
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


def log_inverse(link: str, eta: Array) -> Array:
    """Return the logarithm of the positive parameter whose linear predictor is `eta`, exact where the parameter underflows.

    Raises
    ------
    KeyError
        When the link is none of `POSITIVE`.
    """
    eta = np.asarray(eta, dtype=np.float64)
    match link:
        case "log":
            return eta
        case "softplus":
            # log(1 + exp(eta)) is exp(eta) to the last digit where eta is below -37.
            return np.asarray(np.where(eta < -37.0, eta, np.log(np.logaddexp(0.0, np.maximum(eta, -37.0)))))
        case "inverse":
            with np.errstate(divide="ignore"):
                return np.asarray(-np.log(np.maximum(eta, 0.0)))
    raise KeyError(link)


def log_tails(link: str, z: Array) -> tuple[Array, Array]:
    """Return log F(z) and log(1 - F(z)), without loss of digits in either tail.

    Raises
    ------
    KeyError
        When there is no such link.
    """
    z = np.asarray(z, dtype=np.float64)
    match link:
        case "logit":
            return np.asarray(log_expit(z)), np.asarray(log_expit(-z))
        case "probit":
            return np.asarray(log_ndtr(z)), np.asarray(log_ndtr(-z))
        case "cloglog":
            return log_one_minus_exp(z), -_exp(z)
        case "cauchit":
            return np.log(np.arctan2(1.0, -z) / np.pi), np.log(np.arctan2(1.0, z) / np.pi)
    raise KeyError(link)


def log1mexp(x: Array) -> Array:
    """Return log(1 - exp(x)) for x <= 0, by expm1 near 0 and by log1p far below; minus infinity at 0."""
    near = x > LOG_HALF
    with np.errstate(divide="ignore"):
        return np.asarray(
            np.where(near, np.log(-np.expm1(np.where(near, x, -1.0))), np.log1p(-np.exp(np.where(near, -1.0, x))))
        )


def log_one_minus_exp(log_rate: Array) -> Array:
    """Return log(1 - exp(-rate)) of a rate given by its logarithm, to which it is equal in every digit below -37."""
    small = log_rate < -37.0
    return np.asarray(np.where(small, log_rate, log1mexp(-_exp(np.where(small, 0.0, log_rate)))))
