"""Exponential likelihood with mean mu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_inverse, observe
from multilevel.responses._special import log_one_minus_exp, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def _log_hazard(y: Any, eta: Any, link: str) -> Any:
    """Return the log of the cumulative hazard, log(y / mu)."""
    return pt.log(pt.maximum(y, number(1e-300))) - log_inverse(link, eta)


def log_cdf_of_hazard(y: Any, z: Any) -> Any:
    """Return log P(Y <= y) = log(1 - exp(-h)) from z = log h, which is z where h is small."""
    return pt.switch(pt.gt(y, 0), log_one_minus_exp(z), number(-np.inf))


def log_density(y: Any, eta: Any, link: str) -> Any:
    """Return the log density, constants included."""
    return -log_inverse(link, eta) - pt.switch(pt.gt(y, 0), pt.exp(_log_hazard(y, eta, link)), number(0.0))


def log_cdf(y: Any, eta: Any, link: str) -> Any:
    """Return log P(Y <= y)."""
    return log_cdf_of_hazard(y, _log_hazard(y, eta, link))


def log_survival(y: Any, eta: Any, link: str) -> Any:
    """Return log P(Y > y)."""
    return pt.switch(pt.gt(y, 0), -pt.exp(_log_hazard(y, eta, link)), number(0.0))
