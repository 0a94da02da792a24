"""Weibull likelihood with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_inverse, observe
from multilevel.responses._special import number
from multilevel.responses.exponential import log_cdf_of_hazard

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def _log_hazard(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return the log of the cumulative hazard, shape log(y / scale)."""
    log_y = pt.log(pt.maximum(y, number(1e-300)))
    return shape * (log_y - log_inverse(link, eta) + pt.gammaln(1 + 1 / shape))


def log_density(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return the log density, constants included."""
    z = _log_hazard(y, eta, link, shape)
    return pt.log(shape) - pt.log(y) + z - pt.exp(z)


def log_cdf(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y <= y)."""
    return log_cdf_of_hazard(y, _log_hazard(y, eta, link, shape))


def log_survival(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y > y)."""
    return pt.switch(pt.gt(y, 0), -pt.exp(_log_hazard(y, eta, link, shape)), number(0.0))
