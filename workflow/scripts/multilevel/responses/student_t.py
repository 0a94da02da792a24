"""Student's t likelihood: location mu, scale sigma (with known standard errors sqrt(sigma^2 + se^2)), nu degrees of freedom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import INVERSE_LINKS, observe
from multilevel.responses._special import log1mexp, log_betainc, log_gamma_ratio, number
from multilevel.responses.gaussian import scale_of

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


PI, LOG_HALF = number(np.pi), number(np.log(0.5))


def log_density(y: Any, eta: Any, link: str, nu: Any, sigma: Any = None, se: Any = None) -> Any:
    """Return the log density, constants included."""
    scale = scale_of(sigma, se)
    t = pt.abs(y - INVERSE_LINKS[link](eta)) / scale / pt.sqrt(nu)
    far = pt.gt(t, number(1e100))
    log_kernel = pt.switch(
        far, 2 * pt.log(pt.switch(far, t, number(1.0))), pt.log1p(pt.sqr(pt.switch(far, number(0.0), t)))
    )
    constant = log_gamma_ratio(nu / 2, number(0.5)) - pt.log(nu * PI) / 2 - pt.log(scale)
    return constant - (nu + 1) / 2 * log_kernel


def _tails(y: Any, eta: Any, link: str, nu: Any, sigma: Any, se: Any) -> tuple[Any, Any]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete beta function of nu / (nu + z^2)."""
    z = (y - INVERSE_LINKS[link](eta)) / scale_of(sigma, se)
    log_odds = 2 * pt.log(pt.maximum(pt.abs(z), number(1e-150))) - pt.log(nu)
    log_x, log_y = -pt.softplus(log_odds), -pt.softplus(-log_odds)
    log_both, _ = log_betainc(nu / 2, number(0.5), pt.exp(log_x), log_x, pt.exp(log_y), log_y)
    outer = LOG_HALF + log_both
    inner = log1mexp(pt.minimum(outer, LOG_HALF))
    return pt.switch(pt.lt(z, 0), outer, inner), pt.switch(pt.lt(z, 0), inner, outer)


def log_cdf(y: Any, eta: Any, link: str, nu: Any, sigma: Any = None, se: Any = None) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, nu, sigma, se)[0]


def log_survival(y: Any, eta: Any, link: str, nu: Any, sigma: Any = None, se: Any = None) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, nu, sigma, se)[1]
