"""Hurdle Poisson likelihood: 0 with probability hu, else Poisson with mean mu without its zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, observe, poisson
from multilevel.responses._special import log_between


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival, log_interval)


def log_density(y: Any, eta: Any, link: str, hu: Any) -> Any:
    """Return log P(Y = y)."""
    density = poisson.log_density(y, eta, link)
    return _zeros.hurdle_log_density(y, hu, density, poisson.log_not_zero(eta, link))


def log_cdf(y: Any, eta: Any, link: str, hu: Any) -> Any:
    """Return log P(Y <= y)."""
    below, above = poisson.log_cdf(y, eta, link), poisson.log_survival(y, eta, link)
    return _zeros.hurdle_log_cdf(y, hu, below, above, poisson.log_not_zero(eta, link))


def log_survival(y: Any, eta: Any, link: str, hu: Any) -> Any:
    """Return log P(Y > y)."""
    above = poisson.log_survival(y, eta, link)
    return _zeros.hurdle_log_survival(y, hu, above, poisson.log_not_zero(eta, link))


def log_interval(lower: Any, upper: Any, eta: Any, link: str, hu: Any) -> Any:
    """Return log P(lower < Y <= upper)."""
    below, above = ((f(lower, eta, link), f(upper, eta, link)) for f in (poisson.log_cdf, poisson.log_survival))
    up_to = log_cdf(upper, eta, link, hu)
    return _zeros.hurdle_log_interval(lower, hu, log_between(below, above), up_to, poisson.log_not_zero(eta, link))
