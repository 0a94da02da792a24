"""Log-normal likelihood: log y ~ N(mu, sigma^2), with the Jacobian 1 / y."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import INVERSE_LINKS, log_normal_cdf, observe
from multilevel.responses._special import number
from multilevel.responses.gaussian import LOG_SQRT_2PI

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def _standard(y: Any, eta: Any, link: str, sigma: Any) -> Any:
    """Return (log y - mu) / sigma; far below any other for y of 0 or less."""
    return (
        pt.switch(pt.gt(y, 0), pt.log(pt.maximum(y, number(1e-300))), number(-1e100)) - INVERSE_LINKS[link](eta)
    ) / sigma


def log_density(y: Any, eta: Any, link: str, sigma: Any) -> Any:
    """Return the log density, constants included."""
    return -pt.sqr(_standard(y, eta, link, sigma)) / 2 - pt.log(sigma) - pt.log(y) - LOG_SQRT_2PI


def log_cdf(y: Any, eta: Any, link: str, sigma: Any) -> Any:
    """Return log P(Y <= y)."""
    return log_normal_cdf(_standard(y, eta, link, sigma))


def log_survival(y: Any, eta: Any, link: str, sigma: Any) -> Any:
    """Return log P(Y > y)."""
    return log_normal_cdf(-_standard(y, eta, link, sigma))
