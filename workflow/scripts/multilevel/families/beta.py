"""Beta distribution of shares, with mean ``mu`` and precision ``phi``; the variance is mu (1 - mu) / (1 + phi).

Its usual shape parameters are mu phi and (1 - mu) phi (Ferrari & Cribari-Neto 2004, J. Applied Statistics 31:799).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel import links
from multilevel.families import _scales, _support
from multilevel.families._special import SMALLEST, log_beta, log_betainc

Array = NDArray[np.float64]

PARAMETERS = ("mu", "phi")
LINKS = ("logit", "probit", "cloglog")
OTHER_LINKS = {"phi": "log"}
RESPONSE_TERMS = ("weights", "cens", "trunc")
KIND = "continuous"
SYMBOL = "Beta"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:  # noqa: ARG001 (one shape)
    """Return 0 and 1: without looking at the response, a mean of one half and a spread of one."""
    return 0.0, 1.0


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:  # noqa: ARG001 (a precision has no unit)
    """Return the default prior of the precision."""
    return {"phi": _scales.PRECISION}


def location_of(name: str, scale: float) -> tuple[float, float]:  # noqa: ARG001 (a precision has no unit)
    """Return location and spread of the linear predictor of log phi."""
    return _scales.LOG_PRECISION


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are not between 0 and 1."""
    outside = _support.outside_unit(y, "beta")
    hint = "zero_one_inflated_beta takes zeros and ones"
    edge = (y == 0) | (y == 1)
    return outside or _support.problem(y, edge, "has zeros or ones, and beta describes shares between them", hint)


def shapes(eta: Array, phi: Array | float, link: str) -> tuple[Array, Array, Array, Array]:
    """Return a = mu phi, log a, b = (1 - mu) phi and log b."""
    log_p, log_q = links.log_tails(link, eta)
    log_phi = np.log(phi)
    log_a, log_b = log_p + log_phi, log_q + log_phi
    with np.errstate(over="ignore"):
        return np.exp(log_a), log_a, np.exp(log_b), log_b


def log_density(y: Array, eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return the log density, constants included."""
    a, log_a, b, log_b = shapes(eta, phi, link)
    return np.asarray((a - 1.0) * np.log(y) + (b - 1.0) * np.log1p(-y) - log_beta(a, log_a, b, log_b))


def _tails(y: Array, eta: Array, phi: Array | float, link: str) -> tuple[Array, Array]:
    """Return log P(Y <= y) and log P(Y > y)."""
    a, _, b, _ = shapes(eta, phi, link)
    x = np.clip(y, SMALLEST, 1.0 - 2.0**-53)
    a, b = np.maximum(a, SMALLEST), np.maximum(b, SMALLEST)
    below, above = log_betainc(a, b, x, np.log(x), 1.0 - x, np.log1p(-x))
    inside = (y > 0) & (y < 1)
    return (
        np.where(inside, below, np.where(y <= 0, -np.inf, 0.0)),
        np.where(inside, above, np.where(y <= 0, 0.0, -np.inf)),
    )


def log_cdf(y: Array, eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return log P(Y <= y)."""
    return _tails(y, eta, phi, link)[0]


def log_survival(y: Array, eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return log P(Y > y)."""
    return _tails(y, eta, phi, link)[1]


def draws(rng: np.random.Generator, eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return draws of y given the parameters, never exactly 0 or 1."""
    a, _, b, _ = shapes(eta, phi, link)
    drawn = rng.beta(np.clip(a, 1e-100, 1e100), np.clip(b, 1e-100, 1e100))
    return np.asarray(np.clip(drawn, SMALLEST, 1.0 - 2.0**-53))


def mean(eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return E[y]."""
    mu = links.inverse(link, eta)
    return np.broadcast_to(mu, np.broadcast(mu, phi).shape)


def variance(eta: Array, phi: Array | float, link: str = "logit") -> Array:
    """Return Var[y] = mu (1 - mu) / (1 + phi)."""
    log_p, log_q = links.log_tails(link, eta)
    return np.asarray(np.exp(log_p + log_q) / (1.0 + np.asarray(phi)))
