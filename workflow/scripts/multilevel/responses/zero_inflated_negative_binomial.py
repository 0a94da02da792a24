"""Zero-inflated negative binomial likelihood: 0 with probability zi, else negative binomial with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _zeros, negative_binomial, observe


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def log_density(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y = y)."""
    return _zeros.inflated_log_density(y, zi, negative_binomial.log_density(y, eta, link, shape))


def log_cdf(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y <= y)."""
    return _zeros.inflated_log_cdf(y, zi, negative_binomial.log_cdf(y, eta, link, shape))


def log_survival(y: Any, eta: Any, link: str, shape: Any, zi: Any) -> Any:
    """Return log P(Y > y)."""
    return _zeros.inflated_log_survival(y, zi, negative_binomial.log_survival(y, eta, link, shape))
