"""Gamma likelihood with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.families._special import STIRLING_FROM
from multilevel.responses import log_inverse, observe
from multilevel.responses._special import log_gammainc, number, stirling_error

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


TWO_PI = number(2.0 * np.pi)


def log_normaliser(shape: Any) -> Any:
    """Return shape log shape - shape - log Gamma(shape), which is log(shape / 2 pi) / 2 but for a small rest."""
    large = pt.ge(shape, number(STIRLING_FROM))
    a, b = pt.switch(large, shape, number(STIRLING_FROM)), pt.switch(large, number(1.0), shape)
    return pt.switch(large, pt.log(a / TWO_PI) / 2 - stirling_error(a), b * pt.log(b) - b - pt.gammaln(b))


def log_density(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return the log density, constants included."""
    r = pt.log(y) - log_inverse(link, eta)
    return log_normaliser(shape) + shape * (r - pt.expm1(r)) - pt.log(y)


def _tails(y: Any, eta: Any, link: str, shape: Any) -> tuple[Any, Any]:
    log_x = pt.log(pt.maximum(y, number(1e-300))) - log_inverse(link, eta) + pt.log(shape)
    below, above = log_gammainc(shape, pt.exp(log_x), log_x)
    return pt.switch(pt.gt(y, 0), below, number(-np.inf)), pt.switch(pt.gt(y, 0), above, number(0.0))


def log_cdf(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, shape)[0]


def log_survival(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, shape)[1]
