"""Zero-inflated binomial likelihood: 0 with probability zi, else binomial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, binomial, observe
from multilevel.responses._special import log_between, number

ONE = number(1.0)


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival, log_interval)


def log_density(y: Any, eta: Any, link: str, zi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, binomial.log_density(y, eta, link, trials))


def log_cdf(y: Any, eta: Any, link: str, zi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, binomial.log_cdf(y, eta, link, trials))


def log_survival(y: Any, eta: Any, link: str, zi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, binomial.log_survival(y, eta, link, trials))


def log_interval(lower: Any, upper: Any, eta: Any, link: str, zi: Any, trials: Any = ONE) -> Any:
    """Return log P(lower < Y <= upper)."""
    below, above = (
        (f(lower, eta, link, trials), f(upper, eta, link, trials)) for f in (binomial.log_cdf, binomial.log_survival)
    )
    up_to = log_cdf(upper, eta, link, zi, trials)
    return _zeros.inflated_log_interval(lower, zi, log_between(below, above), up_to)
