"""Zero-inflated Poisson likelihood: 0 with probability zi, else Poisson with mean mu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, observe, poisson
from multilevel.responses._special import log_between


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival, log_interval)


def log_density(y: Any, eta: Any, link: str, zi: Any) -> Any:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, poisson.log_density(y, eta, link))


def log_cdf(y: Any, eta: Any, link: str, zi: Any) -> Any:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, poisson.log_cdf(y, eta, link))


def log_survival(y: Any, eta: Any, link: str, zi: Any) -> Any:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, poisson.log_survival(y, eta, link))


def log_interval(lower: Any, upper: Any, eta: Any, link: str, zi: Any) -> Any:
    """Return log P(lower < Y <= upper)."""
    below, above = ((f(lower, eta, link), f(upper, eta, link)) for f in (poisson.log_cdf, poisson.log_survival))
    up_to = log_cdf(upper, eta, link, zi)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)
