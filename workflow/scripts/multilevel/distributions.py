"""Prior distributions in SciPy: draws, and the probability above a number; `model` writes the same distributions in PyMC."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from multilevel.priors import LOWEST, Prior, class_of

Array = NDArray[np.float64]

_FROZEN: dict[str, Callable[..., Any]] = {
    "normal": stats.norm,
    "student_t": stats.t,
    "cauchy": stats.cauchy,
    "logistic": stats.logistic,
    "half_normal": lambda sigma: stats.halfnorm(0.0, sigma),
    "half_student_t": lambda nu, sigma: stats.t(nu, 0.0, sigma),
    "half_cauchy": lambda sigma: stats.halfcauchy(0.0, sigma),
    "exponential": lambda rate: stats.expon(0.0, 1.0 / rate),
    "gamma": lambda shape, rate: stats.gamma(shape, 0.0, 1.0 / rate),
    "inverse_gamma": lambda shape, scale: stats.invgamma(shape, 0.0, scale),
    "sqrt_inverse_gamma": lambda shape, scale: stats.gengamma(shape, -2.0, 0.0, math.sqrt(scale)),
    "lognormal": lambda mu, sigma: stats.lognorm(sigma, 0.0, math.exp(mu)),
    "beta": stats.beta,
    "uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
}


def log_survival(prior: Prior, x: float) -> float:
    """Return the log of the probability above x, for a prior of a positive parameter and x of at least 0."""
    both_signs = math.log(2.0) if prior.name == "half_student_t" else 0.0
    return float(_FROZEN[prior.name](*prior.arguments).logsf(x)) + both_signs


def draw(prior: Prior, parameter: str, rng: np.random.Generator, size: int) -> Array:
    """Return draws of a parameter from its prior, which is cut off where the parameter's values start (`priors.LOWEST`).

    Parameters
    ----------
    prior
        Any but ``lkj``.
    parameter
        Its name, as ``sd(county)`` or ``nu``.
    rng, size
        The stream, and how many.
    """
    frozen = _FROZEN[prior.name](*prior.arguments)
    out = np.asarray(frozen.rvs(size=size, random_state=rng))
    if prior.name == "half_student_t":
        out = np.abs(out)
    lowest = LOWEST.get(class_of(parameter), -np.inf)
    while (short := out <= lowest).any():
        again = np.asarray(frozen.rvs(size=int(short.sum()), random_state=rng))
        out[short] = np.abs(again) if prior.name == "half_student_t" else again
    return out
