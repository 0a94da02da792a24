"""Beta likelihood with mean mu and precision phi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_tails, observe
from multilevel.responses._special import log_beta, log_betainc, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def shapes(eta: Any, link: str, phi: Any) -> tuple[Any, Any, Any, Any]:
    """Return a = mu phi, log a, b = (1 - mu) phi and log b."""
    log_p, log_q = log_tails(link, eta)
    log_a, log_b = log_p + pt.log(phi), log_q + pt.log(phi)
    return pt.exp(log_a), log_a, pt.exp(log_b), log_b


def log_density(y: Any, eta: Any, link: str, phi: Any) -> Any:
    """Return the log density, constants included."""
    a, log_a, b, log_b = shapes(eta, link, phi)
    return (a - 1) * pt.log(y) + (b - 1) * pt.log1p(-y) - log_beta(a, log_a, b, log_b)


def _tails(y: Any, eta: Any, link: str, phi: Any) -> tuple[Any, Any]:
    a, _, b, _ = shapes(eta, link, phi)
    x = pt.clip(y, number(1e-300), number(1.0 - 2.0**-53))
    a, b = pt.maximum(a, number(1e-300)), pt.maximum(b, number(1e-300))
    below, above = log_betainc(a, b, x, pt.log(x), 1 - x, pt.log1p(-x))
    low, high = pt.le(y, 0), pt.ge(y, 1)
    never, always = number(-np.inf), number(0.0)
    return (
        pt.switch(low, never, pt.switch(high, always, below)),
        pt.switch(low, always, pt.switch(high, never, above)),
    )


def log_cdf(y: Any, eta: Any, link: str, phi: Any) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, phi)[0]


def log_survival(y: Any, eta: Any, link: str, phi: Any) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, phi)[1]
