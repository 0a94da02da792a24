"""Normal likelihood: y ~ N(mu, sigma^2), or with known standard errors N(mu, sigma^2 + se^2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import INVERSE_LINKS, censored, log_normal_cdf, weighted

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    mu = INVERSE_LINKS[design.link](eta)
    scale: Any = others.get("sigma", 0.0)
    if (se := design.terms.get("se")) is not None:
        scale = pt.sqrt(scale**2 + np.square(se)) if "sigma" in others else se
    if not {"weights", "cens"} & set(design.terms):
        pm.Normal("y", mu, scale, observed=design.y, dims="row")
        return
    value = pm.logp(pm.Normal.dist(mu, scale), design.y)
    if "cens" in design.terms:
        value = censored(
            design,
            value,
            lambda y: log_normal_cdf((y - mu) / scale),
            lambda y: log_normal_cdf((mu - y) / scale),
        )
    weighted(design, value)
