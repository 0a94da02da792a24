"""Bernoulli distribution: ``y`` is 1 with probability ``mu``, else 0: the binomial of one trial."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multilevel.families import _scales, _support, binomial

Array = NDArray[np.float64]

PARAMETERS = ("mu",)
LINKS = binomial.LINKS
OTHER_LINKS: dict[str, str] = {}
RESPONSE_TERMS = ("weights",)
KIND = "discrete"
PICTURES = ("calibration",)
SYMBOL = "Bernoulli"


def location_and_scale(y: Array, terms: Mapping[str, Array], link: str) -> tuple[float, float]:
    """Return 0 and 1: without looking at the response, a probability of one half and a spread of one."""
    return binomial.location_and_scale(y, terms, link)


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


def support_problem(y: Array, terms: Mapping[str, Array]) -> str | None:  # noqa: ARG001 (one shape)
    """Say what values are neither 0 nor 1."""
    counts = bool(((y >= 0) & (y == np.floor(y))).all())
    hint = (
        "binomial takes counts out of trials(n), poisson counts without a limit"
        if counts
        else "derive a column of zeros and ones (data.derive)"
    )
    return _support.problem(y, (y != 0) & (y != 1), "has values other than 0 and 1", hint)


def log_density(y: Array, eta: Array, link: str = "logit") -> Array:
    """Return log P(Y = y)."""
    return binomial.log_density(y, eta, 1.0, link)


def draws(rng: np.random.Generator, eta: Array, link: str = "logit") -> Array:
    """Return draws of y given the parameters."""
    return binomial.draws(rng, eta, 1.0, link)


def mean(eta: Array, link: str = "logit") -> Array:
    """Return E[y], the probability of 1."""
    return binomial.mean(eta, 1.0, link)


def variance(eta: Array, link: str = "logit") -> Array:
    """Return Var[y]."""
    return binomial.variance(eta, 1.0, link)
