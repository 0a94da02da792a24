"""Zero-one-inflated beta distribution of shares that may be 0 or 1.

0 or 1 with probability ``zoi``, and then 1 with probability ``coi``; else beta with mean ``mu`` and precision ``phi``
(Ospina & Ferrari 2010, Statistical Papers 51:111).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _scales, _support, beta
from multilevel.families._special import log_share

Array = NDArray[np.float64]

PARAMETERS = ("mu", "phi", "zoi", "coi")
LINKS = beta.LINKS
OTHER_LINKS = {"phi": "log", "zoi": "logit", "coi": "logit"}
RESPONSE_TERMS = ("weights",)
KIND = "continuous"
SYMBOL = "ZeroOneInflatedBeta"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return 0 and 1: without looking at the response, a mean of one half and a spread of one."""
    return beta.location_and_scale(y, terms, link)


def default_priors(scale: float) -> dict[str, tuple[str, tuple[float, ...]]]:
    """Return the default priors of the precision and of the two probabilities."""
    return {**beta.default_priors(scale), "zoi": _scales.SHARE, "coi": _scales.SHARE}


def location_of(name: str, scale: float) -> tuple[float, float]:
    """Return location and spread of the linear predictor of log phi, logit zoi or logit coi."""
    return beta.location_of(name, scale) if name == "phi" else _scales.LOGIT_SHARE


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are below 0 or above 1."""
    return _support.outside_unit(y, "zero_one_inflated_beta")


def log_density(
    y: Array, eta: Array, phi: Array | float, zoi: Array | float, coi: Array | float, link: str = "logit"
) -> Array:
    """Return the log density between 0 and 1, the log probability at 0 and 1."""
    log_zoi, log_rest = log_share(zoi)
    log_one, log_zero = log_share(coi)
    edge = (y == 0) | (y == 1)
    inner = log_rest + beta.log_density(np.where(edge, 0.5, y), eta, phi, link)
    return np.asarray(np.where(edge, log_zoi + np.where(y == 1, log_one, log_zero), inner))


def draws(
    rng: np.random.Generator,
    eta: Array,
    phi: Array | float,
    zoi: Array | float,
    coi: Array | float,
    link: str = "logit",
) -> Array:
    """Return draws of y given the parameters."""
    size = np.broadcast(eta, phi, zoi, coi).shape
    inner = beta.draws(rng, np.broadcast_to(eta, size), phi, link)
    edge = (rng.random(size) < coi).astype(np.float64)
    return np.where(rng.random(size) < zoi, edge, inner)


def mean(eta: Array, phi: Array | float, zoi: Array | float, coi: Array | float, link: str = "logit") -> Array:
    """Return E[y] = zoi coi + (1 - zoi) mu."""
    zoi = np.asarray(zoi)
    return np.asarray(zoi * coi + (1.0 - zoi) * beta.mean(eta, phi, link))


def variance(eta: Array, phi: Array | float, zoi: Array | float, coi: Array | float, link: str = "logit") -> Array:
    """Return Var[y]: the mean of the variances of the two parts, and the variance of their means."""
    zoi, coi = np.asarray(zoi), np.asarray(coi)
    mu = beta.mean(eta, phi, link)
    within = zoi * coi * (1.0 - coi) + (1.0 - zoi) * beta.variance(eta, phi, link)
    return np.asarray(within + zoi * (1.0 - zoi) * np.square(coi - mu))
