"""Distributions with zeros of their own: zero-inflated, a mixture with 0, and hurdle, 0 or a distribution without 0.

A base distribution is given by its log density, log probabilities and moments; ``zi`` and ``hu`` are the probabilities of a
zero of the other kind (Lambert 1992, Technometrics 34:1; Mullahy 1986, J. Econometrics 33:341).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel.families._special import log_share, poisson
from multilevel.links import log1mexp

Array = NDArray[np.float64]


def inflated_log_density(y: Array, zi: Array | float, base: Array) -> Array:
    """Return the log density of a mixture of 0 and a base with log density `base` at y."""
    log_zi, log_rest = log_share(zi)
    value = log_rest + base
    return np.asarray(np.where(y == 0, np.logaddexp(log_zi, value), value))


def inflated_log_cdf(y: Array, zi: Array | float, base: Array) -> Array:
    """Return log P(Y <= y) of a mixture of 0 and a base with log P(Y <= y) `base`."""
    log_zi, log_rest = log_share(zi)
    return np.asarray(np.where(y >= 0, np.minimum(np.logaddexp(log_zi, log_rest + base), 0.0), -np.inf))


def inflated_log_survival(y: Array, zi: Array | float, base: Array) -> Array:
    """Return log P(Y > y) of a mixture of 0 and a base with log P(Y > y) `base`."""
    return np.asarray(np.where(y >= 0, log_share(zi)[1] + base, 0.0))


def inflated_log_interval(lower: Array, zi: Array | float, between: Array, up_to: Array) -> Array:
    """Return log P(lower < Y <= upper): that of the base `between`, or all `up_to` the upper end where 0 is part of it."""
    return np.asarray(np.where(lower >= 0, log_share(zi)[1] + between, up_to))


def inflated_draws(rng: np.random.Generator, zi: Array | float, base: Array) -> Array:
    """Return draws of the base, some of them replaced by 0."""
    return np.where(rng.random(base.shape) < zi, 0.0, base)


def inflated_mean(zi: Array | float, mean: Array) -> Array:
    """Return the mean of a mixture of 0 and a base with that mean."""
    with np.errstate(invalid="ignore"):
        return np.where(np.asarray(zi) < 1.0, (1.0 - np.asarray(zi)) * mean, 0.0)


def inflated_variance(zi: Array | float, mean: Array, variance: Array) -> Array:
    """Return the variance of a mixture of 0 and a base with that mean and variance."""
    zi = np.asarray(zi)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(zi < 1.0, (1.0 - zi) * (variance + (zi * mean) * mean), 0.0)


def hurdle_log_density(y: Array, hu: Array | float, base: Array, log_not_zero: Array) -> Array:
    """Return the log density of 0 or else of a base without 0, whose log P(Y > 0) is `log_not_zero`."""
    log_hu, log_rest = log_share(hu)
    return np.asarray(np.where(y == 0, log_hu, log_rest + base - log_not_zero))


def hurdle_log_cdf(y: Array, hu: Array | float, below: Array, above: Array, log_not_zero: Array) -> Array:
    """Return log P(Y <= y), from log P(Y <= y) and log P(Y > y) of the base."""
    log_hu, log_rest = log_share(hu)
    more = y >= 1
    # P(0 < Y <= y) / P(Y > 0) of the base: the complement of P(Y > y) / P(Y > 0) unless that is nearly 1.
    share = np.where(more, np.minimum(above - log_not_zero, 0.0), -1.0)
    zero = log1mexp(np.minimum(log_not_zero, -1e-300))
    difference = below + log1mexp(np.where(more, np.minimum(zero - below, 0.0), -1.0)) - log_not_zero
    between = np.where(share < -0.1, log1mexp(share), difference)
    value = np.minimum(np.logaddexp(log_hu, log_rest + between), 0.0)
    return np.asarray(np.where(more, value, np.where(y >= 0, log_hu, -np.inf)))


def hurdle_log_survival(y: Array, hu: Array | float, above: Array, log_not_zero: Array) -> Array:
    """Return log P(Y > y), from log P(Y > y) of the base."""
    return np.asarray(np.where(y >= 0, log_share(hu)[1] + np.minimum(above - log_not_zero, 0.0), 0.0))


def hurdle_log_interval(lower: Array, hu: Array | float, between: Array, up_to: Array, log_not_zero: Array) -> Array:
    """Return log P(lower < Y <= upper): that of the base `between`, or all `up_to` the upper end where 0 is part of it."""
    return np.asarray(np.where(lower >= 0, log_share(hu)[1] + np.minimum(between - log_not_zero, 0.0), up_to))


def hurdle_draws(rng: np.random.Generator, hu: Array | float, positive: Array) -> Array:
    """Return draws of the base without 0, some of them replaced by 0."""
    return np.where(rng.random(positive.shape) < hu, 0.0, positive)


def hurdle_mean(hu: Array | float, log_mean: Array, log_not_zero: Array) -> Array:
    """Return the mean of 0 or else of a base without 0, from the log of the base's mean."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.asarray(hu) < 1.0, (1.0 - np.asarray(hu)) * np.exp(log_mean - log_not_zero), 0.0)


def hurdle_variance(hu: Array | float, log_mean: Array, ratio: Array, log_not_zero: Array) -> Array:
    """Return the variance of 0 or else of a base without 0; `ratio` is E[Y^2] / E[Y] of the base."""
    rest = 1.0 - np.asarray(hu)
    with np.errstate(over="ignore", invalid="ignore"):
        given = np.exp(log_mean - log_not_zero)  # the mean of the base without 0
        spread = np.maximum(given * (ratio - given), 0.0)
        return np.asarray(np.nan_to_num(rest * (spread + (1.0 - rest) * np.square(given)), nan=np.inf, posinf=np.inf))


def poisson_above_zero(rng: np.random.Generator, mu: Array) -> Array:
    """Return Poisson draws given that they are not 0: of a unit of time the first event takes a truncated exponential part."""
    first = -np.log1p(rng.random(mu.shape) * np.expm1(-mu))
    return np.asarray(1.0 + poisson(rng, np.maximum(mu - first, 0.0)))
