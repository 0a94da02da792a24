"""Prior distributions in SciPy: draws, and the probability above a number; `model` writes the same distributions in PyMC."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import betaln, gammaln

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
    "positive_normal": lambda mu, sigma: stats.truncnorm(-mu / sigma, math.inf, mu, sigma),
}


def median(prior: Prior) -> float:
    """Return the median of a proper prior of a single parameter."""
    share = 0.75 if prior.name == "half_student_t" else 0.5  # of the whole distribution, whose other half is folded
    return float(_FROZEN[prior.name](*prior.arguments).ppf(share))


def median_of_sd(prior: Prior) -> float:
    """Return the median of a standard deviation, whose prior may be on its square or precision; 1 of an improper one."""
    if not prior.proper:
        return 1.0
    middle = max(median(prior), 1e-12)
    return {"": middle, "variance": math.sqrt(middle), "precision": 1.0 / math.sqrt(middle)}[prior.on]


def allows(prior: Prior, value: float) -> bool:
    """Tell whether a prior of a single parameter has density at a value."""
    if not prior.proper:
        return prior.name == "flat" or value > 0
    positive = prior.name == "half_student_t"  # of which the whole distribution stands in the table
    return bool(_FROZEN[prior.name](*prior.arguments).pdf(value) > 0) and (value > 0 or not positive)


def sd(prior: Prior) -> float:
    """Return the standard deviation of a prior of a single parameter; infinite or NaN where it has none."""
    if not prior.proper:
        return math.inf
    found = float(_FROZEN[prior.name](*prior.arguments).std())
    if prior.name == "half_student_t":  # about 0 is that of the whole; the mean of the half is sigma E|t|
        found = math.sqrt(max(found**2 - _mean_of_half_t(*prior.arguments) ** 2, 0.0)) if found < math.inf else found
    return found


def _mean_of_half_t(nu: float, sigma: float) -> float:
    return sigma * 2.0 * math.sqrt(nu / math.pi) * math.exp(gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0)) / (nu - 1.0)


def log_survival(prior: Prior, x: float) -> float:
    """Return the log of the probability above x, for a prior of a positive parameter and x of at least 0."""
    both_signs = math.log(2.0) if prior.name == "half_student_t" else 0.0
    return float(_FROZEN[prior.name](*prior.arguments).logsf(x)) + both_signs


def draw(prior: Prior, parameter: str, rng: np.random.Generator, size: int) -> Array:
    """Return draws of a parameter from its prior, which is cut off where the parameter's values start (`priors.LOWEST`).

    Parameters
    ----------
    prior
        Any proper one but ``lkj`` and those of matrices.
    parameter
        Its name, as ``sd(county)`` or ``nu``.
    rng, size
        The stream, and how many.
    """
    if prior.on:
        # Of a precision that underflows to 0 the standard deviation is the largest there is, not infinite.
        values = np.maximum(draw(replace(prior, on=""), "sd", rng, size), np.finfo(float).tiny)
        return np.sqrt(values if prior.on == "variance" else 1.0 / values)
    frozen = _FROZEN[prior.name](*prior.arguments)
    out = np.asarray(frozen.rvs(size=size, random_state=rng))
    if prior.name == "half_student_t":
        out = np.abs(out)
    lowest = LOWEST.get(class_of(parameter), -np.inf)
    while (short := out <= lowest).any():
        again = np.asarray(frozen.rvs(size=int(short.sum()), random_state=rng))
        out[short] = np.abs(again) if prior.name == "half_student_t" else again
    return out


def draw_between(prior: Prior, lowest: float, highest: float, rng: np.random.Generator, size: int) -> Array:
    """Return draws of a correlation of residuals, which lies between two ends (`priors.CORRELATION`)."""
    first, second = prior.arguments
    if prior.name == "beta":
        return np.asarray(lowest + (highest - lowest) * rng.beta(first, second, size))
    if prior.name == "uniform":
        return rng.uniform(first, second, size)
    ends = (lowest - first) / second, (highest - first) / second
    return np.asarray(stats.truncnorm(*ends, first, second).rvs(size=size, random_state=rng))


def draw_covariance(prior: Prior, size: int, unit: Array, rng: np.random.Generator) -> Array:
    """Return covariance matrices from a prior of `priors.MATRIX`, shape (len(unit), size, size).

    Parameters
    ----------
    prior
        The prior.
    size
        Number of effects.
    unit
        What standard deviations are measured in, one value for each draw; used by ``decov`` alone.
    rng
        The stream.
    """
    count = len(unit)
    if prior.name == "decov":
        regularization, concentration, shape, scale = prior.arguments
        tau = unit * scale * rng.gamma(shape, size=count)
        shares = rng.dirichlet(np.full(size, concentration), count)
        sd = np.sqrt(size * shares) * tau[:, None]
        return np.asarray(lkj(size, regularization, rng, count) * sd[:, :, None] * sd[:, None, :])
    drawn = stats.wishart if prior.name == "wishart" else stats.invwishart
    found = drawn(prior.arguments[0], scale_matrix(prior, size)).rvs(size=count, random_state=rng)
    return np.asarray(found, dtype=np.float64).reshape(count, size, size)


def scale_matrix(prior: Prior, size: int) -> Array:
    """Return the scale of a Wishart or inverse Wishart of some effects, shape (size, size)."""
    scale = np.array(prior.scale)
    return scale if len(scale) == size else np.eye(size) * scale[0, 0]


def lkj(size: int, eta: float, rng: np.random.Generator, count: int) -> Array:
    """Return correlation matrices from LKJ(eta), shape (count, size, size), grown row by row.

    The onion method of Lewandowski, Kurowicka & Joe (2009), J. Multivariate Analysis 100:1989, section 3.2.
    """
    out = np.broadcast_to(np.eye(size), (count, size, size)).copy()
    beta = eta + (size - 2) / 2.0
    if size > 1:
        out[:, 0, 1] = out[:, 1, 0] = 2.0 * rng.beta(beta, beta, count) - 1.0
    for k in range(2, size):
        beta -= 0.5
        direction = rng.normal(size=(count, k))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        z = np.sqrt(rng.beta(k / 2.0, beta, count))[:, None] * direction
        row = np.einsum("cij,cj->ci", np.linalg.cholesky(out[:, :k, :k]), z)
        out[:, k, :k] = out[:, :k, k] = row
    return out


def log_density_of_covariance(prior: Prior, covariance: Array, unit: float = 1.0) -> float:
    """Return the log density of a covariance matrix under a prior of `priors.MATRIX`, with respect to its own entries.

    Wishart and inverse Wishart are SciPy's: exp(-tr(V^-1 S) / 2) |S|^((nu - p - 1) / 2) and exp(-tr(V S^-1) / 2)
    |S|^(-(nu + p + 1) / 2), normalised. ``decov`` is rstanarm's (Goodrich et al., *Prior distributions*): with p effects,
    correlations LKJ, variances p (scale tau unit)^2 times a point of a symmetric Dirichlet distribution, tau ~ Gamma(shape, 1).
    """
    size = len(covariance)
    if prior.name == "decov":
        return _log_decov(prior, covariance, unit)
    found = stats.wishart if prior.name == "wishart" else stats.invwishart
    return float(found.logpdf(covariance, prior.arguments[0], scale_matrix(prior, size)))


def _log_decov(prior: Prior, covariance: Array, unit: float) -> float:
    regularization, concentration, shape, scale = prior.arguments
    size = len(covariance)
    variance = np.diag(covariance) / (unit * scale) ** 2
    tau = math.sqrt(variance.mean())
    shares = variance / variance.sum()
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    total = float(stats.gamma.logpdf(tau, shape)) - math.log(2.0 * size * tau)  # of the trace, p tau^2
    total += gammaln(size * concentration) - size * gammaln(concentration)
    total += (concentration - 1.0) * float(np.log(shares).sum()) - (size - 1) * math.log(float(variance.sum()))
    total -= size * 2.0 * math.log(unit * scale)
    # Of variances and correlations; entries of the covariance matrix are the latter times two sds.
    total += (regularization - 1.0) * float(np.linalg.slogdet(correlation)[1]) - log_lkj_constant(size, regularization)
    return total - 0.5 * (size - 1) * float(np.log(np.diag(covariance)).sum())


def log_lkj_constant(size: int, eta: float) -> float:
    """Return the log of the integral of det(R)^(eta - 1) over correlation matrices (Lewandowski et al. 2009, eq. 16)."""
    pairs = [(size - k, eta + (size - k - 1) / 2.0) for k in range(1, size)]
    return float(sum((2.0 * eta - 2.0 + d) * d * math.log(2.0) + d * betaln(s, s) for d, s in pairs))
