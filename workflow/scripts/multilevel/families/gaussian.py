"""Normal distribution with mean ``mu`` and standard deviation ``sigma``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PARAMETERS = ("mu", "sigma")
LINKS = ("identity",)
KIND = "continuous"

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def location_and_scale(y: Array) -> tuple[float, float]:
    """Return what default priors are scaled by: the mean and the sd (ddof 1) of the response."""
    return float(np.mean(y)), float(np.std(y, ddof=1))


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the parameters other than the linear predictor's."""
    return {"sigma": ("exponential", (1.0 / scale,))}


def support_problem(y: Array) -> str | None:
    """Return None for numbers, each of which can be drawn; missing ones are for the caller to drop."""
    return None if np.isfinite(y).all() else "has values that are not finite"


def log_density(y: Array, mu: Array, sigma: Array) -> Array:
    """Return log N(y | mu, sigma^2), constants included."""
    z = (y - mu) / sigma
    return -0.5 * z * z - np.log(sigma) - _LOG_SQRT_2PI


def draws(rng: np.random.Generator, mu: Array, sigma: Array) -> Array:
    """Return draws of y given the parameters."""
    return mu + sigma * rng.standard_normal(np.broadcast(mu, sigma).shape)


def mean(mu: Array, sigma: Array) -> Array:
    """Return E[y]."""
    return np.broadcast_to(mu, np.broadcast(mu, sigma).shape)


def variance(mu: Array, sigma: Array) -> Array:
    """Return Var[y]."""
    return np.broadcast_to(np.square(sigma), np.broadcast(mu, sigma).shape)
