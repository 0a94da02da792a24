"""The special functions of ``families/_special.py`` in PyTensor, written alike, with gradients that are finite everywhere.

Where a formula holds in one region only, its arguments are replaced elsewhere by harmless ones: a gradient of `switch` is
that of the chosen branch plus 0 times that of the other, which must therefore not be infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.families._special import DEEP, FRACTION_TERMS, SMALLEST, STIRLING, STIRLING_FROM
from multilevel.links import LOG_HALF

pt: Any = pt_untyped  # PyTensor ships incomplete types


def number(value: float) -> Any:
    """Return a number in double precision; PyTensor would take Python's own in single precision."""
    return np.asarray(value, dtype=np.float64)


def stirling_error(x: Any) -> Any:
    """Return log Gamma(x) minus Stirling's formula, for x of at least `STIRLING_FROM`."""
    inverse = 1 / x
    square = inverse * inverse
    total: Any = number(0.0)
    for coefficient in reversed(STIRLING):
        total = total * square + number(coefficient)
    return total * inverse


def log_gamma_ratio(x: Any, d: Any) -> Any:
    """Return log Gamma(x + d) - log Gamma(x), for positive x and x + d; x the large one of the two where one is large."""
    large = pt.ge(pt.minimum(x, x + d), number(STIRLING_FROM))
    a, b = pt.switch(large, x, number(STIRLING_FROM)), pt.switch(large, d, number(0.0))
    stirling = b * pt.log(a) + ((a + b - number(0.5)) * pt.log1p(b / a) - b) + stirling_error(a + b) - stirling_error(a)
    u, v = pt.switch(large, number(1.0), x), pt.switch(large, number(0.0), d)
    return pt.switch(large, stirling, pt.gammaln(u + v) - pt.gammaln(u))


def log_gamma_small(x: Any, log_x: Any) -> Any:
    """Return log Gamma(x) from x and log x, finite also where x underflows to 0."""
    small = pt.lt(x, 1)
    return pt.switch(
        small,
        pt.gammaln(1 + pt.switch(small, x, number(0.0))) - log_x,
        pt.gammaln(pt.switch(small, number(1.0), x)),
    )


def log_choose(a: Any, k: Any) -> Any:
    """Return log [Gamma(a + k) / (Gamma(a) k!)], for a > 0 and whole k >= 0: the log of a binomial coefficient, a real."""
    larger, smaller = pt.maximum(a, k + 1), pt.minimum(a, k + 1)
    return pt.switch(pt.gt(k, 0), log_gamma_ratio(larger, smaller - 1) - pt.gammaln(smaller), number(0.0))


def log_rising(log_x: Any, x: Any, k: Any) -> Any:
    """Return log of x (x + 1) ... (x + k - 1), for whole k >= 0 and x > 0, which may underflow: its log is given too."""
    several = pt.ge(k, 1)
    rest = log_gamma_ratio(x + 1, pt.switch(several, k - 1, number(0.0)))
    return pt.switch(several, log_x + rest, number(0.0))


def log_beta(a: Any, log_a: Any, b: Any, log_b: Any) -> Any:
    """Return log B(a, b), from a and b and their logarithms, so that either may underflow."""
    first = pt.le(a, b)
    smaller, log_smaller, larger = pt.switch(first, a, b), pt.switch(first, log_a, log_b), pt.switch(first, b, a)
    log_larger = pt.switch(first, log_b, log_a)
    tiny = pt.lt(larger, number(1e-10))
    both = log_add_exp(log_smaller, log_larger) - log_smaller - log_larger
    safe = pt.switch(tiny, number(1.0), larger)
    return pt.switch(tiny, both, log_gamma_small(smaller, log_smaller) - log_gamma_ratio(safe, smaller))


def log_add_exp(a: Any, b: Any) -> Any:
    """Return log(exp(a) + exp(b)) of finite numbers."""
    return pt.maximum(a, b) + pt.softplus(-pt.abs(a - b))


def log1mexp(x: Any) -> Any:
    """Return log(1 - exp(x)) for x < 0, by expm1 near 0 and by log1p far below."""
    near = pt.gt(x, number(LOG_HALF))
    return pt.switch(
        near,
        pt.log(-pt.expm1(pt.switch(near, x, number(-1.0)))),
        pt.log1p(-pt.exp(pt.switch(near, number(-1.0), x))),
    )


def log_one_minus_exp(log_rate: Any) -> Any:
    """Return log(1 - exp(-rate)) of a rate given by its logarithm (`links.log_one_minus_exp`).

    The rate is cut off where 1 - exp(-rate) has long been 1: an infinite one would make the gradient 0 times infinity.
    """
    small = pt.lt(log_rate, -37)
    rate = pt.exp(pt.minimum(pt.switch(small, number(0.0), log_rate), number(700.0)))
    return pt.switch(small, log_rate, log1mexp(-rate))


def log_between(below: tuple[Any, Any], above: tuple[Any, Any]) -> Any:
    """Return log P(lower < Y <= upper) from log P(Y <= .) and log P(Y > .), each at the lower and at the upper end."""
    lower_tail = pt.lt(below[1], above[0])
    small, large = pt.switch(lower_tail, below[0], above[1]), pt.switch(lower_tail, below[1], above[0])
    return large + log1mexp(pt.minimum(small - large, number(-1e-300)))


def log_share(p: Any) -> tuple[Any, Any]:
    """Return log p and log(1 - p) of a probability; one that rounds to 0 or 1 counts as the number next to it."""
    p = pt.clip(p, number(1e-300), number(1.0 - 2.0**-53))
    return pt.log(p), pt.log1p(-p)


def log_gammainc(a: Any, x: Any, log_x: Any) -> tuple[Any, Any]:
    """Return log P(a, x) and log Q(a, x), the regularised incomplete gamma functions, also where they underflow."""
    p, q = pt.gammainc(a, x), pt.gammaincc(a, x)
    low, high = pt.lt(p, number(DEEP)) & pt.lt(x, a), pt.lt(q, number(DEEP)) & pt.gt(x, a)
    u, v = pt.switch(low, a, number(2.0)), pt.switch(low, x, number(1.0))
    log_p = u * pt.switch(low, log_x, number(0.0)) - v - pt.gammaln(u) - pt.log(_lower_fraction(u, v))
    x, log_x = pt.minimum(x, number(1e300)), pt.minimum(log_x, number(700.0))
    u, v = pt.switch(high, a, number(1.0)), pt.switch(high, x, number(2.0))
    log_q = u * pt.switch(high, log_x, number(np.log(2.0))) - v - pt.gammaln(u) - pt.log(_upper_fraction(u, v))
    return _log_pair(p, q, low, log_p, high, log_q)


def _lower_fraction(a: Any, x: Any) -> Any:
    value = a + 2 * FRACTION_TERMS
    for k in range(FRACTION_TERMS, 0, -1):
        value = a + (2 * k - 1) + k * x / value
        value = a + (2 * k - 2) - (a + (k - 1)) * x / value
    return value


def _upper_fraction(a: Any, x: Any) -> Any:
    value = x + (2 * FRACTION_TERMS + 1) - a
    for k in range(FRACTION_TERMS, 0, -1):
        value = x + (2 * k - 1) - a - k * (k - a) / value
    return value


def log_betainc(a: Any, b: Any, x: Any, log_x: Any, y: Any, log_y: Any) -> tuple[Any, Any]:
    """Return log I_x(a, b) and log I_y(b, a), the regularised incomplete beta function and its complement, y = 1 - x."""
    # PyTensor has no complement of its own. Of the two the one whose argument is the smaller holds the digits of both; the
    # other is its difference from 1 where that is no small one, or where its own argument is 1 but for rounding.
    near, first, second = pt.le(x, y), pt.betainc(a, b, x), pt.betainc(b, a, y)
    p = pt.switch(near | ~_from_complement(second, y), first, 1 - second)
    q = pt.switch(near & _from_complement(first, x), 1 - first, second)
    mean = a / (a + b)
    low, high = pt.lt(p, number(DEEP)) & pt.lt(x, mean), pt.lt(q, number(DEEP)) & pt.gt(x, mean)
    return _log_pair(p, q, low, _beta_tail(low, a, b, x, log_x, log_y), high, _beta_tail(high, b, a, y, log_y, log_x))


def _from_complement(other: Any, argument: Any) -> Any:
    large, tiny, small = number(0.5), number(1e-14), number(1e-8)
    return pt.lt(other, large) | pt.le(argument, tiny) | (pt.le(argument, small) & pt.gt(1 - other, small))


def _beta_tail(deep: Any, a: Any, b: Any, x: Any, log_x: Any, log_y: Any) -> Any:
    u, v, z = (pt.switch(deep, value, number(safe)) for value, safe in ((a, 1.0), (b, 1.0), (x, 0.25)))
    log_z, log_1mz = (pt.switch(deep, value, number(np.log(safe))) for value, safe in ((log_x, 0.25), (log_y, 0.75)))
    value: Any = number(1.0)
    for m in range(FRACTION_TERMS, -1, -1):
        value = 1 - (u + m) * (u + v + m) * z / ((u + 2 * m) * (u + (2 * m + 1))) / value
        if m:
            value = 1 + m * (v - m) * z / ((u + (2 * m - 1)) * (u + 2 * m)) / pt.maximum(value, number(SMALLEST))
    log_b = log_beta(u, pt.log(u), v, pt.log(v))
    return u * log_z + v * log_1mz - pt.log(u) - log_b - pt.log(pt.maximum(value, number(SMALLEST)))


def _log_pair(p: Any, q: Any, low: Any, log_p: Any, high: Any, log_q: Any) -> tuple[Any, Any]:
    tiny, half = number(1e-300), number(0.5)
    p, q = pt.maximum(p, tiny), pt.maximum(q, tiny)
    from_p = pt.switch(pt.gt(p, half), pt.log1p(-pt.minimum(q, half)), pt.log(p))
    from_q = pt.switch(pt.gt(q, half), pt.log1p(-pt.minimum(p, half)), pt.log(q))
    return pt.switch(low, log_p, from_p), pt.switch(high, log_q, from_q)
