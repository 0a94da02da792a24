"""Negative binomial likelihood with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_inverse, observe
from multilevel.responses._special import log_betainc, log_choose, log_one_minus_exp, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def log_density(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y = y)."""
    odds = log_inverse(link, eta) - pt.log(shape)
    return log_choose(shape, y) - y * pt.softplus(-odds) - shape * pt.softplus(odds)


def log_not_zero(eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y > 0)."""
    log_h = pt.log(shape) + log_inverse("softplus", log_inverse(link, eta) - pt.log(shape))
    return log_one_minus_exp(log_h)


def _tails(y: Any, eta: Any, link: str, shape: Any) -> tuple[Any, Any]:
    odds = log_inverse(link, eta) - pt.log(shape)
    log_x, log_y = -pt.softplus(-odds), -pt.softplus(odds)
    k = pt.maximum(y, number(0.0)) + 1
    above, below = log_betainc(k, shape, pt.exp(log_x), log_x, pt.exp(log_y), log_y)
    return pt.switch(pt.ge(y, 0), below, number(-np.inf)), pt.switch(pt.ge(y, 0), above, number(0.0))


def log_cdf(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, shape)[0]


def log_survival(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, shape)[1]
