"""Normal likelihood: y ~ N(mu, sigma^2), or with known standard errors N(mu, sigma^2 + se^2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import INVERSE_LINKS, log_normal_cdf, observe
from multilevel.responses._special import number

pt: Any = pt_untyped  # PyTensor ships incomplete types

LOG_SQRT_2PI = number(0.5 * np.log(2.0 * np.pi))


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    if design.terms:
        observe(design, eta, others, log_density, log_cdf, log_survival)
    else:
        pm.Normal("y", INVERSE_LINKS[design.link](eta), others["sigma"], observed=design.y)


def scale_of(sigma: Any, se: Any) -> Any:
    """Return the standard deviation of the response: sqrt(sigma^2 + se^2), of which either may be absent."""
    if se is None:
        return sigma
    return se if sigma is None else pt.sqrt(pt.sqr(sigma) + np.square(se))


def log_density(y: Any, eta: Any, link: str, sigma: Any = None, se: Any = None) -> Any:
    """Return the log density, constants included."""
    scale = scale_of(sigma, se)
    return -pt.sqr((y - INVERSE_LINKS[link](eta)) / scale) / 2 - pt.log(scale) - LOG_SQRT_2PI


def log_cdf(y: Any, eta: Any, link: str, sigma: Any = None, se: Any = None) -> Any:
    """Return log P(Y <= y)."""
    return log_normal_cdf((y - INVERSE_LINKS[link](eta)) / scale_of(sigma, se))


def log_survival(y: Any, eta: Any, link: str, sigma: Any = None, se: Any = None) -> Any:
    """Return log P(Y > y)."""
    return log_normal_cdf((INVERSE_LINKS[link](eta) - y) / scale_of(sigma, se))
