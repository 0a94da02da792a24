"""Zero-inflated negative binomial likelihood: 0 with probability zi, else negative binomial with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, negative_binomial, observe
from multilevel.responses._special import log_between


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival, log_interval)


def log_density(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, negative_binomial.log_density(y, eta, link, shape))


def log_cdf(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, negative_binomial.log_cdf(y, eta, link, shape))


def log_survival(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, negative_binomial.log_survival(y, eta, link, shape))


def log_interval(lower: Any, upper: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, link, shape), f(upper, eta, link, shape))
        for f in (negative_binomial.log_cdf, negative_binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, link, shape, zi)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)
