"""Link functions in NumPy: from a parameter to its linear predictor and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

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
