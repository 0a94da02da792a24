"""How each family's likelihood is written in PyMC: one file each, named as the family, found by name.

A response module defines ``add(design, eta, others)``, which adds the response to the model that is being built: ``eta`` is
the linear predictor of the first parameter, ``others`` the other parameters by name, scalars or one value for each row.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped

from multilevel.design import CENSORED, Design

pt: Any = pt_untyped  # PyTensor ships incomplete types

ROOT_HALF = np.asarray(np.sqrt(0.5))
"""Not a Python float: PyTensor would take it in single precision, as PyMC's own normal log cdf does its sqrt(2)."""

PI = np.asarray(np.pi)
"""Not a Python float, which PyTensor would take in single precision."""

INVERSE_LINKS: dict[str, Any] = {
    "identity": lambda eta: eta,
    "log": pt.exp,
    "logit": pt.sigmoid,
    "probit": lambda eta: 0.5 * pt.erfc(-eta * ROOT_HALF),
    "cloglog": lambda eta: -pt.expm1(-pt.exp(eta)),
}
"""From a linear predictor to its parameter, by link."""


def get(name: str) -> ModuleType:
    """Return the module of a family's PyMC likelihood.

    Raises
    ------
    ModuleNotFoundError
        When the family has none.
    """
    return importlib.import_module(f"{__name__}.{name}")


def log_normal_cdf(z: Any) -> Any:
    """Return log Phi(z), without loss of digits in either tail; its gradient is finite in both."""
    scaled = z * ROOT_HALF
    # Each branch is evaluated where it is not taken too: without the limits, infinities there make a gradient NaN.
    lower, upper = pt.minimum(scaled, 0.0), pt.maximum(scaled, -1.0)
    return pt.switch(pt.lt(z, -1.0), pt.log(0.5 * pt.erfcx(-lower)) - pt.sqr(lower), pt.log1p(-0.5 * pt.erfc(upper)))


def log_cdf(link: str, z: Any) -> Any:
    """Return log F(z) of the inverse of a link, without loss of digits in either tail."""
    return _LOG_CDF[link](z)


def log_survival(link: str, z: Any) -> Any:
    """Return log(1 - F(z)), without loss of digits in either tail."""
    return -pt.exp(z) if link == "cloglog" else _LOG_CDF[link](-z)


def log_one_minus_exp(rate: Any, log_rate: Any) -> Any:
    """Return log(1 - exp(-rate)); no branch that is not taken overflows, so that gradients are finite."""
    tiny = pt.lt(log_rate, -36.0)
    return pt.switch(tiny, log_rate, pt.log(-pt.expm1(-pt.switch(tiny, 1.0, rate))))


_LOG_CDF: dict[str, Any] = {
    "logit": lambda z: -pt.softplus(-z),
    "probit": log_normal_cdf,
    "cloglog": lambda z: log_one_minus_exp(pt.exp(z), z),
    "cauchit": lambda z: pt.log(pt.arctan2(1.0, -z) / PI),
}


def weighted(design: Design, log_density: Any) -> None:
    """Add the log densities of all rows, each as often as its weight says."""
    pm.Potential("y", (log_density * design.terms["weights"]).sum() if "weights" in design.terms else log_density.sum())


def censored(design: Design, log_density: Any, log_cdf: Any, log_survival: Any) -> Any:
    """Return the log densities with those of censored rows replaced by the log probability of their tail or interval.

    Parameters
    ----------
    design
        The design, with ``cens`` among its terms.
    log_density
        Of each row, were it observed.
    log_cdf, log_survival
        Functions from values to log probabilities of a response up to them, and above them, one for each row.
    """
    kinds, y = design.terms["cens"], design.y
    value = log_density
    if (left := kinds == CENSORED["left"]).any():
        value = pt.switch(left, log_cdf(y), value)
    if (right := kinds == CENSORED["right"]).any():
        value = pt.switch(right, log_survival(y), value)
    if (interval := kinds == CENSORED["interval"]).any():
        upper = np.where(interval, design.terms["cens_upper"], y + 1.0)
        below, above = (log_cdf(y), log_cdf(upper)), (log_survival(upper), log_survival(y))
        lower_tail = pt.lt(below[1], above[1])  # from the tail in which the difference loses no digits
        small, large = (pt.switch(lower_tail, a, b) for a, b in zip(below, above, strict=True))
        value = pt.switch(interval, large + pt.log(-pt.expm1(small - large)), value)
    return value
