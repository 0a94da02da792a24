"""How each family's likelihood is written in PyMC: one file each, named as the family, found by name.

A response module defines ``add(design, eta, others)``, which adds the response to the model that is being built: ``eta`` is
the linear predictor of the first parameter, ``others`` the other parameters by name, scalars or one value for each row.

Most do so by `observe` from the twins of their family's functions: ``log_density(y, eta, link, **others)`` and, where the
response may be censored or truncated, ``log_cdf`` and ``log_survival``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped

from multilevel import intervals
from multilevel.design import Design
from multilevel.responses._special import log_between, log_one_minus_exp, number

pt: Any = pt_untyped  # PyTensor ships incomplete types

ROOT_HALF = np.asarray(np.sqrt(0.5))
"""Not a Python float: PyTensor would take it in single precision, as PyMC's own normal log cdf does its sqrt(2)."""

PI = np.asarray(np.pi)
"""Not a Python float, which PyTensor would take in single precision."""

FUNCTION_TERMS = ("trials", "se", "arrangements")
"""Response terms that a family's functions take; the last one where `aggregate` has added rows up."""


def _inverse_of_inverse(eta: Any) -> Any:
    return pt.switch(pt.gt(eta, 0), 1 / pt.switch(pt.gt(eta, 0), eta, number(1.0)), number(np.inf))


INVERSE_LINKS: dict[str, Any] = {
    "identity": lambda eta: eta,
    "log": pt.exp,
    "softplus": pt.softplus,
    "inverse": _inverse_of_inverse,
    "logm1": lambda eta: 1 + pt.exp(eta),
    "logit": pt.sigmoid,
    "probit": lambda eta: 0.5 * pt.erfc(-eta * ROOT_HALF),
    "cloglog": lambda eta: -pt.expm1(-pt.exp(eta)),
}
"""From a linear predictor to its parameter, by link."""


def log_inverse(link: str, eta: Any) -> Any:
    """Return the logarithm of the positive parameter whose linear predictor is `eta` (`links.log_inverse`)."""
    match link:
        case "log":
            return eta
        case "softplus":
            far = pt.lt(eta, -37)
            return pt.switch(far, eta, pt.log(pt.softplus(pt.switch(far, number(0.0), eta))))
        case "inverse":
            return pt.switch(pt.gt(eta, 0), -pt.log(pt.switch(pt.gt(eta, 0), eta, number(1.0))), number(np.inf))
    raise KeyError(link)


def log_tails(link: str, eta: Any) -> tuple[Any, Any]:
    """Return log p and log(1 - p) of the probability whose linear predictor is `eta` (`links.log_tails`)."""
    return log_cdf(link, eta), log_survival(link, eta)


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
    low = pt.lt(z, -1)
    deep, near = pt.switch(low, -scaled, number(1.0)), pt.switch(low, number(0.0), scaled)
    return pt.switch(low, pt.log(0.5 * pt.erfcx(deep)) - pt.sqr(deep), pt.log1p(-0.5 * pt.erfc(near)))


def log_cdf(link: str, z: Any) -> Any:
    """Return log F(z) of the inverse of a link, without loss of digits in either tail."""
    return _LOG_CDF[link](z)


def log_survival(link: str, z: Any) -> Any:
    """Return log(1 - F(z)), without loss of digits in either tail."""
    return -pt.exp(z) if link == "cloglog" else _LOG_CDF[link](-z)


_LOG_CDF: dict[str, Any] = {
    "logit": lambda z: -pt.softplus(-z),
    "probit": log_normal_cdf,
    "cloglog": log_one_minus_exp,
    "cauchit": lambda z: pt.log(pt.arctan2(1.0, -z) / PI),
}


def weighted(design: Design, log_density: Any) -> None:
    """Add the log densities of all rows, each as often as its weight says."""
    pm.Potential("y", (log_density * design.terms["weights"]).sum() if "weights" in design.terms else log_density.sum())


def observe(
    design: Design,
    eta: Any,
    others: Mapping[str, Any],
    log_density: Callable[..., Any],
    log_cdf: Callable[..., Any] | None = None,
    log_survival: Callable[..., Any] | None = None,
    log_interval: Callable[..., Any] | None = None,
) -> None:
    """Add the response: each row by its density or, where it is censored, by the probability of what is known of it.

    Truncated responses are divided by the probability of the interval in which they could be observed.

    Parameters
    ----------
    design
        The design.
    eta, others
        Linear predictor of the first parameter, and the other parameters by name: scalars, or one value for each row.
    log_density, log_cdf, log_survival
        Functions of y, eta, link, the other parameters and those response terms that the family takes (`FUNCTION_TERMS`):
        log density, log P(Y <= y) and log P(Y > y). The last two only where the response may be censored or truncated.
    log_interval
        The same of the two ends of an interval: log P(lower < Y <= upper), where it is more than a difference of tails.
    """
    terms = {name: design.terms[name] for name in FUNCTION_TERMS if name in design.terms}
    weights = design.terms.get("weights")
    parts: list[Any] = []

    def at(rows: Any) -> dict[str, Any]:
        values = {"eta": eta, **others, **terms}
        return {"link": design.link, **{k: v if rows is None or not np.ndim(v) else v[rows] for k, v in values.items()}}

    def add(rows: Any, values: Any) -> None:
        parts.append((values if weights is None else values * (weights if rows is None else weights[rows])).sum())

    def add_intervals(sign: int, rows: Any, lower: Any, upper: Any) -> None:
        """Add or subtract log P(lower < Y <= upper), in each row from the tail in which it loses no digits."""
        assert log_cdf is not None
        assert log_survival is not None
        below, above = np.isfinite(lower), np.isfinite(upper)
        if (chosen := rows[~below[rows] & above[rows]]).size:
            add(chosen, sign * log_cdf(upper[chosen], **at(chosen)))
        if (chosen := rows[below[rows] & ~above[rows]]).size:
            add(chosen, sign * log_survival(lower[chosen], **at(chosen)))
        if (chosen := rows[below[rows] & above[rows]]).size:
            ends, here = (lower[chosen], upper[chosen]), at(chosen)
            if log_interval is not None:
                add(chosen, sign * log_interval(*ends, **here))
            else:
                below_ends, above_ends = ([f(end, **here) for end in ends] for f in (log_cdf, log_survival))
                add(chosen, sign * log_between((below_ends[0], below_ends[1]), (above_ends[0], above_ends[1])))

    every = np.arange(len(design.y)) if design.terms else None
    if found := intervals.censoring(design):
        censored, lower, upper = found
        assert every is not None
        if (seen := every[~censored]).size:
            add(seen, log_density(design.y[seen], **at(seen)))
        add_intervals(1, every[censored], lower, upper)
    else:
        add(None, log_density(design.y, **at(None)))
    if bounds := intervals.truncation(design):
        assert every is not None
        add_intervals(-1, every, *bounds)
    pm.Potential("y", sum(parts))
