"""Hurdle negative binomial likelihood: 0 with probability hu, else negative binomial without its zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, negative_binomial, observe
from multilevel.responses._special import log_between


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival, log_interval)


def log_density(y: Any, eta: Any, link: str, shape: Any, hu: Any) -> Any:
    """Return log P(Y = y)."""
    density = negative_binomial.log_density(y, eta, link, shape)
    return _zeros.hurdle_log_density(y, hu, density, negative_binomial.log_not_zero(eta, link, shape))


def log_cdf(y: Any, eta: Any, link: str, shape: Any, hu: Any) -> Any:
    """Return log P(Y <= y)."""
    below, above = negative_binomial.log_cdf(y, eta, link, shape), negative_binomial.log_survival(y, eta, link, shape)
    return _zeros.hurdle_log_cdf(y, hu, below, above, negative_binomial.log_not_zero(eta, link, shape))


def log_survival(y: Any, eta: Any, link: str, shape: Any, hu: Any) -> Any:
    """Return log P(Y > y)."""
    above = negative_binomial.log_survival(y, eta, link, shape)
    return _zeros.hurdle_log_survival(y, hu, above, negative_binomial.log_not_zero(eta, link, shape))


def log_interval(lower: Any, upper: Any, eta: Any, link: str, shape: Any, hu: Any) -> Any:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, link, shape), f(upper, eta, link, shape))
        for f in (negative_binomial.log_cdf, negative_binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, link, shape, hu)
    return _zeros.hurdle_log_interval(
        lower, hu, log_between(below, above), up_to, negative_binomial.log_not_zero(eta, link, shape)
    )
