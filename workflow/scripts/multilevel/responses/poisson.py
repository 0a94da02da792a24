"""Poisson likelihood with mean mu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_inverse, observe
from multilevel.responses._special import log_gammainc, log_one_minus_exp, number
from multilevel.responses.gamma import log_normaliser

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def log_density(y: Any, eta: Any, link: str) -> Any:
    """Return log P(Y = y)."""
    log_mu = log_inverse(link, eta)
    some = pt.gt(y, 0)
    k = pt.switch(some, y, number(1.0))
    r = pt.switch(some, log_mu - pt.log(k), number(0.0))
    return pt.switch(some, k * (r - pt.expm1(r)) + log_normaliser(k) - pt.log(k), -pt.exp(log_mu))


def log_not_zero(eta: Any, link: str) -> Any:
    """Return log P(Y > 0)."""
    return log_one_minus_exp(log_inverse(link, eta))


def _tails(y: Any, eta: Any, link: str) -> tuple[Any, Any]:
    log_mu = log_inverse(link, eta)
    above, below = log_gammainc(pt.maximum(y, number(0.0)) + 1, pt.exp(log_mu), log_mu)
    return pt.switch(pt.ge(y, 0), below, number(-np.inf)), pt.switch(pt.ge(y, 0), above, number(0.0))


def log_cdf(y: Any, eta: Any, link: str) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link)[0]


def log_survival(y: Any, eta: Any, link: str) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link)[1]
