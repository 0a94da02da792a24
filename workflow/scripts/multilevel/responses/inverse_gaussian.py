"""Inverse Gaussian likelihood with mean mu and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import ROOT_HALF, log_inverse, log_normal_cdf, observe
from multilevel.responses._special import log1mexp, log_add_exp, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


LOG_2_ROOT_2_OVER_PI = number(np.log(2.0) + 0.5 * np.log(2.0 / np.pi))
LOG_2PI, LOG_HALF = number(np.log(2.0 * np.pi)), number(np.log(0.5))


def log_density(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return the log density, constants included."""
    log_mu, log_y, log_shape = log_inverse(link, eta), pt.log(y), pt.log(shape)
    root = pt.exp((log_shape - log_y) / 2) * pt.expm1(log_y - log_mu)
    value = (log_shape - LOG_2PI) / 2 - number(1.5) * log_y - pt.sqr(root) / 2
    return pt.switch(pt.isinf(log_mu), number(-np.inf), value)


def _tails(y: Any, eta: Any, link: str, shape: Any) -> tuple[Any, Any]:
    """Return log P(Y <= y) and log P(Y > y) (`families.inverse_gaussian`)."""
    log_y, log_mu = pt.log(pt.maximum(y, number(1e-300))), log_inverse(link, eta)
    root = pt.exp((pt.log(shape) - log_y) / 2)
    a, b = root * pt.expm1(log_y - log_mu), root * (1 + pt.exp(log_y - log_mu))
    a, b = pt.clip(a, number(-1e150), number(1e150)), pt.minimum(b, number(1e150))
    kernel = LOG_HALF - pt.sqr(a) / 2
    outer = pt.erfcx(b * ROOT_HALF)
    below = pt.minimum(log_add_exp(log_normal_cdf(a), kernel + pt.log(outer)), number(0.0))
    upper = pt.gt(a, 0)
    difference = pt.erfcx(pt.switch(upper, a, number(0.0)) * ROOT_HALF) - outer
    far, one = pt.gt(a, 1000), number(1.0)
    log_far = LOG_2_ROOT_2_OVER_PI + pt.log(root) - pt.log(pt.maximum(a, one)) - pt.log(pt.maximum(b, one))
    above = kernel + pt.switch(far, log_far, pt.log(pt.maximum(difference, number(1e-300))))
    above = pt.switch(upper, above, log1mexp(pt.switch(upper, number(-1.0), below)))
    below = pt.switch(upper, log1mexp(pt.switch(upper, above, number(-1.0))), below)
    return pt.switch(pt.gt(y, 0), below, number(-np.inf)), pt.switch(pt.gt(y, 0), above, number(0.0))


def log_cdf(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, shape)[0]


def log_survival(y: Any, eta: Any, link: str, shape: Any) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, shape)[1]
