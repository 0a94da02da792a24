"""Log probabilities of categories in PyTensor: what lies between two values of a link, steps over thresholds, weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped
from numpy.typing import NDArray

from multilevel.design import Design
from multilevel.responses import PI, log_normal_cdf
from multilevel.responses._special import log_one_minus_exp

pt: Any = pt_untyped  # PyTensor ships incomplete types


def log_between(link: str, lower: Any, upper: Any) -> Any:
    """Return log(F(upper) - F(lower)) for lower < upper, without loss of digits wherever both lie."""
    return _LOG_BETWEEN[link](lower, upper)


def _cloglog_between(lower: Any, upper: Any) -> Any:
    # F(b) - F(a) = exp(-e^a) (1 - exp(-(e^b - e^a)))
    log_rate = upper + pt.log(-pt.expm1(lower - upper))
    return log_one_minus_exp(log_rate) - pt.exp(lower)


def _probit_between(lower: Any, upper: Any) -> Any:
    # From the tail that both are nearer to, where the difference of the logarithms is largest.
    mirror = pt.gt(lower, 0.0)
    large = log_normal_cdf(pt.switch(mirror, -lower, upper))
    small = log_normal_cdf(pt.switch(mirror, -upper, lower))
    return large + pt.log(-pt.expm1(small - large))


_LOG_BETWEEN: dict[str, Any] = {
    # F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b))
    "logit": lambda a, b: pt.log(-pt.expm1(a - b)) - pt.softplus(-b) - pt.softplus(a),
    "probit": _probit_between,
    "cloglog": _cloglog_between,
    "cauchit": lambda a, b: pt.log(pt.arctan2(b - a, 1.0 + a * b) / PI),
}


def distances(eta: Any, others: Any, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Any:
    """Return disc (threshold - eta) at pairs of a row and a threshold, counted from 0.

    Parameters
    ----------
    eta
        Linear predictor, one value for each row.
    others
        ``thresholds``, shape (K - 1,) or (rows, K - 1), and ``disc``, one value for each row, where it is predicted.
    rows, places
        The pairs.
    """
    thresholds = others["thresholds"]
    own = thresholds[places] if thresholds.ndim == 1 else thresholds[rows, places]
    found = own - eta[rows]
    return found * others["disc"][rows] if "disc" in others else found


def add_weights(design: Design, weights: Sequence[Any]) -> None:
    """Add log probabilities that are given up to a constant, one vector over rows for each category.

    Only operations by element, which compile into one loop: a matrix of weights takes many times as long to compile.
    """
    total, chosen = weights[0], weights[0]
    for category, value in enumerate(weights[1:], 2):
        total = total + pt.softplus(value - total)  # log(exp(total) + exp(value))
        chosen = pt.switch(design.y == category, value, chosen)
    add(design, [(np.arange(len(design.y)), chosen - total)])


def steps(design: Design) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Return the pairs of a row and a threshold, counted from 0, that it went past, and those where it stopped."""
    y = design.y.astype(np.int64)
    rows, places = np.meshgrid(np.arange(len(y)), np.arange(len(design.categories) - 1), indexing="ij")
    went, stopped = places < y[:, None] - 1, places == y[:, None] - 1
    return (rows[went], places[went]), (rows[stopped], places[stopped])


def add(design: Design, parts: list[tuple[NDArray[np.int64], Any]]) -> None:
    """Add log densities in parts, each with the row of every value; a row counts as often as its weight says."""
    weights = design.terms.get("weights")
    pm.Potential("y", sum((value if weights is None else value * weights[rows]).sum() for rows, value in parts))
