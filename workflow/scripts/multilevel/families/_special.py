"""Special functions that keep their digits where the textbook formula subtracts numbers of 1e8 or takes the log of 0.

Each has its twin in ``responses/_special.py``, written alike, so that the density that is sampled from and the one that is
scored agree to the last digits also at extreme parameters.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, gammainc, gammaincc, gammaln

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LARGEST = 1e100
"""Largest number drawn: what a draw overflows to; its square is finite."""

SMALLEST = 1e-300
"""Smallest positive number drawn: what a draw underflows to."""

STIRLING_FROM = 15.0
"""From here on Stirling's series with the coefficients below has an error of 1e-16."""

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""Coefficients of 1/x, 1/x^3, ... in log Gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] (DLMF 5.11.1)."""

DEEP = 1e-290
"""Below this probability, its logarithm comes from a continued fraction: the probability itself is about to underflow."""

FRACTION_TERMS = 8
"""Terms of the continued fractions of deep tails, where they converge quickly: four give every digit of the logarithm."""


def stirling_error(x: Array) -> Array:
    """Return log Gamma(x) minus Stirling's formula, for x of at least `STIRLING_FROM`."""
    inverse = 1.0 / x
    square = inverse * inverse
    total = np.zeros_like(inverse)
    for coefficient in reversed(STIRLING):
        total = total * square + coefficient
    return np.asarray(total * inverse)


def log_gamma_ratio(x: Array, d: Array) -> Array:
    """Return log Gamma(x + d) - log Gamma(x), for positive x and x + d; x the large one of the two where one is large.

    From Stirling's series where both arguments are large, so that nothing of the size of log Gamma(x) cancels.
    """
    x, d = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(d, dtype=np.float64))
    large = np.minimum(x, x + d) >= STIRLING_FROM
    a, b = np.where(large, x, STIRLING_FROM), np.where(large, d, 0.0)
    stirling = b * np.log(a) + ((a + b - 0.5) * np.log1p(b / a) - b) + stirling_error(a + b) - stirling_error(a)
    u, v = np.where(large, 1.0, x), np.where(large, 0.0, d)
    return np.asarray(np.where(large, stirling, gammaln(u + v) - gammaln(u)))


def log_gamma_small(x: Array, log_x: Array) -> Array:
    """Return log Gamma(x) from x and log x, finite also where x underflows to 0."""
    small = x < 1.0
    return np.asarray(np.where(small, gammaln(1.0 + np.where(small, x, 0.0)) - log_x, gammaln(np.where(small, 1.0, x))))


def log_choose(a: Array, k: Array) -> Array:
    """Return log [Gamma(a + k) / (Gamma(a) k!)], for a > 0 and whole k >= 0: the log of a binomial coefficient, a real."""
    larger, smaller = np.maximum(a, k + 1.0), np.minimum(a, k + 1.0)
    # For k of 0 it is 0, which a below 1e-16 would miss: 1 + (a - 1) is no longer a.
    return np.asarray(np.where(k > 0, log_gamma_ratio(larger, smaller - 1.0) - gammaln(smaller), 0.0))


def log_rising(log_x: Array, x: Array, k: Array) -> Array:
    """Return log of x (x + 1) ... (x + k - 1), for whole k >= 0 and x > 0, which may underflow: its log is given too."""
    several = k >= 1.0
    rest = log_gamma_ratio(x + 1.0, np.where(several, k - 1.0, 0.0))
    return np.asarray(np.where(several, log_x + rest, 0.0))


def log_beta(a: Array, log_a: Array, b: Array, log_b: Array) -> Array:
    """Return log B(a, b), from a and b and their logarithms, so that either may underflow."""
    first = a <= b
    smaller, log_smaller, larger = np.where(first, a, b), np.where(first, log_a, log_b), np.where(first, b, a)
    log_larger = np.where(first, log_b, log_a)
    # Where both are tiny, B(a, b) is 1/a + 1/b = (a + b) / (a b).
    tiny = larger < 1e-10
    both = np.logaddexp(log_smaller, log_larger) - log_smaller - log_larger
    safe = np.where(tiny, 1.0, larger)
    return np.asarray(np.where(tiny, both, log_gamma_small(smaller, log_smaller) - log_gamma_ratio(safe, smaller)))


def poisson(rng: np.random.Generator, mu: Array) -> Array:
    """Return Poisson draws; of a mean above 1e15, which NumPy refuses, the rounded normal's, whose error is below 1e-7 sds."""
    many = mu > 1e15
    drawn = rng.poisson(np.where(many, 1.0, mu)).astype(np.float64)
    if many.any():
        large = np.minimum(mu[many], LARGEST)
        drawn[many] = np.minimum(np.rint(large + np.sqrt(large) * rng.standard_normal(large.shape)), LARGEST)
    return drawn


def log_between(below: tuple[Array, Array], above: tuple[Array, Array]) -> Array:
    """Return log P(lower < Y <= upper), from the tail in which it loses no digits.

    Parameters
    ----------
    below, above
        log P(Y <= .) and log P(Y > .), each at the lower and at the upper end.
    """
    lower_tail = below[1] < above[0]
    small, large = np.where(lower_tail, below[0], above[1]), np.where(lower_tail, below[1], above[0])
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty interval has probability 0
        difference = np.minimum(np.where(np.isneginf(small), -np.inf, small - large), 0.0)
        return np.asarray(large + np.log(-np.expm1(difference)))


def log_share(p: Array | float) -> tuple[Array, Array]:
    """Return log p and log(1 - p) of a probability; one that rounds to 0 or 1 counts as the number next to it."""
    p = np.clip(np.asarray(p, dtype=np.float64), 1e-300, 1.0 - 2.0**-53)
    return np.asarray(np.log(p)), np.asarray(np.log1p(-p))


def log_gammainc(a: Array, x: Array, log_x: Array) -> tuple[Array, Array]:
    """Return log P(a, x) and log Q(a, x), the regularised incomplete gamma functions, also where they underflow.

    Deep in a tail from their continued fractions (DLMF 8.9.2 for Q; that of the confluent hypergeometric function for P).

    Parameters
    ----------
    a, x
        Positive; x may underflow or be infinite.
    log_x
        log x.
    """
    a, x, log_x = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, x, log_x)))
    p, q = (np.asarray(f(a, x), dtype=np.float64) for f in (gammainc, gammaincc))
    low, high = (p < DEEP) & (x < a), (q < DEEP) & (x > a)
    u, v, log_v = np.where(low, a, 2.0), np.where(low, x, 1.0), np.where(low, log_x, 0.0)
    log_p: Array = np.asarray(u * log_v - v - gammaln(u) - np.log(_lower_fraction(u, v)))
    x, log_x = np.minimum(x, 1e300), np.minimum(log_x, 700.0)  # an infinite x would leave infinity minus infinity
    u, v, log_v = np.where(high, a, 1.0), np.where(high, x, 2.0), np.where(high, log_x, math.log(2.0))
    log_q: Array = np.asarray(u * log_v - v - gammaln(u) - np.log(_upper_fraction(u, v)))
    return _log_pair(p, q, low, log_p, high, log_q)


def _lower_fraction(a: Array, x: Array) -> Array:
    value = np.asarray(a + 2.0 * FRACTION_TERMS)
    for k in range(FRACTION_TERMS, 0, -1):
        value = a + (2.0 * k - 1.0) + k * x / value
        value = a + (2.0 * k - 2.0) - (a + (k - 1.0)) * x / value
    return value


def _upper_fraction(a: Array, x: Array) -> Array:
    value = np.asarray(x + 2.0 * FRACTION_TERMS + 1.0 - a)
    for k in range(FRACTION_TERMS, 0, -1):
        value = x + (2.0 * k - 1.0) - a - k * (k - a) / value
    return value


def log_betainc(a: Array, b: Array, x: Array, log_x: Array, y: Array, log_y: Array) -> tuple[Array, Array]:
    """Return log I_x(a, b) and log I_y(b, a), the regularised incomplete beta function and its complement, y = 1 - x.

    Deep in a tail from the continued fraction of DLMF 8.17.22.

    Parameters
    ----------
    a, b
        Positive.
    x, log_x, y, log_y
        x, 1 - x and their logarithms, all given because one of them cannot be had from another without loss of digits.
    """
    a, b, x, log_x, y, log_y = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (a, b, x, log_x, y, log_y))
    )
    near = x <= y  # x is the smaller, and holds the digits of both
    p = np.where(near, betainc(a, b, x), betaincc(b, a, y))
    q = np.where(near, betaincc(a, b, x), betainc(b, a, y))
    mean = a / (a + b)
    low, high = (p < DEEP) & (x < mean), (q < DEEP) & (x > mean)
    return _log_pair(p, q, low, _beta_tail(low, a, b, x, log_x, log_y), high, _beta_tail(high, b, a, y, log_y, log_x))


def _beta_tail(deep: Mask, a: Array, b: Array, x: Array, log_x: Array, log_y: Array) -> Array:
    """Return log I_x(a, b) in the deep lower tail; anything finite elsewhere."""
    u, v, z = np.where(deep, a, 1.0), np.where(deep, b, 1.0), np.where(deep, x, 0.25)
    log_z, log_1mz = np.where(deep, log_x, math.log(0.25)), np.where(deep, log_y, math.log(0.75))
    value = np.ones_like(u)
    for m in range(FRACTION_TERMS, -1, -1):
        value = 1.0 - (u + m) * (u + v + m) * z / ((u + 2.0 * m) * (u + (2.0 * m + 1.0))) / value
        if m:
            value = 1.0 + m * (v - m) * z / ((u + (2.0 * m - 1.0)) * (u + 2.0 * m)) / np.maximum(value, SMALLEST)
    log_b = log_beta(u, np.log(u), v, np.log(v))
    return np.asarray(u * log_z + v * log_1mz - np.log(u) - log_b - np.log(np.maximum(value, SMALLEST)))


def _log_pair(p: Array, q: Array, low: Mask, log_p: Array, high: Mask, log_q: Array) -> tuple[Array, Array]:
    """Return the logs of a probability and its complement, each from the smaller of the two or from its deep tail."""
    p, q = np.maximum(p, 1e-300), np.maximum(q, 1e-300)
    from_p = np.where(p > 0.5, np.log1p(-np.minimum(q, 0.5)), np.log(p))
    from_q = np.where(q > 0.5, np.log1p(-np.minimum(p, 0.5)), np.log(q))
    return np.asarray(np.where(low, log_p, from_p)), np.asarray(np.where(high, log_q, from_q))
