"""Compiled loops of `marginal`: the log density with the effects integrated out, its gradient, and exact draws of the effects.

Notation, for one level of a grouping with cross-products A = Z'Z (effects x effects) and B = Z'W, where W are the columns
that remain (effects of the groupings above it, X, y), and F the factor of the effects' covariance over sigma^2:

    K = I + F'AF = cc',    u = c^-1 F'B,    h = K^-1 F'B

Integrating the level's effects out takes u'u from the cross-products of what remains and divides the density by |c|
(Woodbury, and the determinant lemma). Given what remains, with coefficients w (1 for y, minus the effect or coefficient for
every other column), the effects are F v with v ~ N(h w, sigma^2 K^-1). The gradient follows from Fisher's identity: with
G = E[ww'] / sigma^2, that for F is B G h' - A F (h G h' + K^-1).

Groupings stand from the coarsest (0) to the finest, and levels such that those within one level follow each other. Matrices
stand row by row in flat arrays, those of all levels and groupings one after another; SHAPES and TERMS say where, in the
columns that the constants below name. Numba compiles what is written here in proportion to its length, so products of
matrices are all made by `product`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Matrix = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

NORMAL, STUDENT, UNIFORM, HALF_NORMAL, HALF_STUDENT, GAMMA, INVERSE_GAMMA, LOGNORMAL, PARTIAL = range(9)
"""Kinds of priors, the first entry of a row of `priors`; then three arguments and the log of the constant."""

TWO_SIDED = 9
TWO_NORMAL, TWO_STUDENT, TWO_EXPONENTIAL, TWO_UNIFORM = range(TWO_SIDED, TWO_SIDED + 4)
"""Kinds of priors of standard deviations that have a density at 0; the argument after their own is a scale."""

PRIOR = 5
"""Numbers in a row of `priors`."""

SIZES, PRIORS, TERMS, BASES, SHAPES, PARENTS, A, B, C, AT_MEAN, AT_SCALE, PRECISION, PARTS = range(13)
"""Parts of the data, one after another: constant of the density, rows and most effects of a grouping; priors by row; terms;
bases of the terms' effects; shapes of the groupings; the level above each level; the cross-products; and what `regress`
takes. The data start with where each part starts, and where the last one ends. `whole` are the
same data taken for whole numbers, which SHAPES, TERMS, PARENTS and those first numbers are."""

EFFECTS, REST, LEVELS, AT_A, AT_B, AT_LEVEL, SHAPE = range(7)
"""Columns of SHAPES: number of effects, of remaining columns, of levels; where A, B and the levels' entries start."""

GROUPING, FIRST, SIZE, CORRELATED, AT_BASIS, TERM = range(6)
"""Columns of TERMS: its grouping, its first effect there, number of effects, whether correlated, where its basis starts."""


_types: Any = numba.types
_TYPES = {
    "Array": _types.float64[::1],
    "Ints": _types.int64[::1],
    "Matrix": _types.float64[:, ::1],
    "Singles": _types.float32[:, ::1],
    "int": _types.int64,
    "float": _types.float64,
    "bool": _types.boolean,
    "None": _types.void,
    "tuple[float, float, float, float]": _types.UniTuple(_types.float64, 4),
}


def _jit[F: Callable[..., Any]](function: F) -> F:
    """Compile for the types of the annotations; Numba would compile again for every combination of literal numbers."""
    *arguments, result = (_TYPES[str(annotation)] for annotation in function.__annotations__.values())
    compiled: Any = numba.njit(result(*arguments), cache=True, nogil=True, error_model="numpy")(function)
    return cast("F", compiled)


@_jit
def part(data: Array, whole: Ints, which: int) -> Array:
    """Return one part of the data."""
    return data[whole[which] : whole[which + 1]]


@_jit
def whole_part(whole: Ints, which: int) -> Ints:
    """Return a part of the data that holds whole numbers."""
    return whole[whole[which] : whole[which + 1]]


@_jit
def prior(row: Array, x: float) -> tuple[float, float, float, float]:
    """Return the log density at an unconstrained x, Jacobian included, its derivative, the value and its derivative.

    A standard deviation whose prior has a density at 0 takes both signs, each with half of that density: where a posterior
    reaches down to 0 it is smooth there, while that of a logarithm has a long tail. Such a value is a hyperbolic sine,
    which behaves like an exponential where it is large.
    """
    kind, a, b, c, constant = int(row[0]), row[1], row[2], row[3], row[4]
    if kind == NORMAL:
        z = (x - a) / b
        return constant - 0.5 * z * z, -z / b, x, 1.0
    if kind == STUDENT:
        z = (x - b) / c
        return constant - 0.5 * (a + 1.0) * math.log1p(z * z / a), -(a + 1.0) * z / (a + z * z) / c, x, 1.0
    if kind in (UNIFORM, TWO_UNIFORM, PARTIAL):
        t = math.tanh(0.5 * x)
        spread = abs(x) + 2.0 * math.log1p(math.exp(-abs(x)))  # minus the log of a logistic density
        if kind == PARTIAL:
            return constant - a * spread, -a * t, t, 0.5 * (1.0 - t * t)
        if kind == TWO_UNIFORM:
            return -spread, -t, b * t, 0.5 * b * (1.0 - t * t)
        return -spread, -t, a + 0.5 * (b - a) * (1.0 + t), 0.25 * (b - a) * (1.0 - t * t)
    if kind >= TWO_SIDED:
        value, slope = c * math.sinh(x), c * math.cosh(x)
        constant += math.log(slope)
        if kind == TWO_EXPONENTIAL:
            return constant - a * abs(value), value / slope - math.copysign(a * slope, x), value, slope
        if kind == TWO_NORMAL:
            z = value / a
            return constant - 0.5 * z * z, value / slope - z / a * slope, value, slope
        z = value / b
        bend = (a + 1.0) * z / (a + z * z) / b
        return constant - 0.5 * (a + 1.0) * math.log1p(z * z / a), value / slope - bend * slope, value, slope
    value = math.exp(x)
    if kind == LOGNORMAL:
        z = (x - a) / b
        return constant - 0.5 * z * z, -z / b, value, value
    if kind == HALF_NORMAL:
        z = value / a
        return constant - 0.5 * z * z + x, 1.0 - z * z, value, value
    if kind == HALF_STUDENT:
        z = value / b
        slope = 1.0 - (a + 1.0) * z * z / (a + z * z)
        return constant - 0.5 * (a + 1.0) * math.log1p(z * z / a) + x, slope, value, value
    if kind == GAMMA:
        return constant + a * x - b * value, a - b * value, value, value
    return constant - a * x - b / value, b / value - a, value, value  # INVERSE_GAMMA


@_jit
def product(
    out: Array, at: int, x: Array, at_x: int, row_x: int, step_x: int, y: Array, at_y: int, step_y: int, column_y: int,
    rows: int, inner: int, columns: int, sign: float,
) -> None:  # fmt: skip
    """Add sign * XY to the (rows, columns) matrix of `out` at `at`.

    X[i, k] stands at ``at_x + i * row_x + k * step_x``, and Y[k, j] at ``at_y + k * step_y + j * column_y``.
    """
    for i in range(rows):
        for k in range(inner):
            value = sign * x[at_x + i * row_x + k * step_x]
            if value != 0.0:
                for j in range(columns):
                    out[at + i * columns + j] += value * y[at_y + k * step_y + j * column_y]


@_jit
def clear(out: Array, at: int, count: int) -> None:
    """Overwrite by zeros; assigning to a slice takes Numba a second to compile."""
    for i in range(count):
        out[at + i] = 0.0


@_jit
def copy(out: Array, at: int, source: Array, start: int, count: int) -> None:
    """Copy numbers of one flat array into another."""
    for i in range(count):
        out[at + i] = source[start + i]


@_jit
def fill(out: Array, at: int, n: int, diagonal: float) -> None:
    """Overwrite the (n, n) matrix at `at` by a multiple of the identity."""
    clear(out, at, n * n)
    for i in range(n):
        out[at + i * n + i] = diagonal


@_jit
def cholesky(flat: Array, at: int, n: int) -> float:
    """Overwrite the positive definite (n, n) matrix at `at` by its lower factor; return log |factor|, NaN if it has none."""
    total = 0.0
    for j in range(n):
        pivot = flat[at + j * n + j]
        if not pivot > 0.0:
            return np.nan
        pivot = math.sqrt(pivot)
        total += math.log(pivot)
        flat[at + j * n + j] = pivot
        for i in range(j + 1, n):
            value = flat[at + i * n + j] / pivot
            flat[at + i * n + j] = value
            if value != 0.0:
                for k in range(j + 1, i + 1):
                    flat[at + i * n + k] -= value * flat[at + k * n + j]
    return total


@_jit
def solve(factor: Array, at: int, n: int, right: Array, start: int, columns: int, transposed: bool) -> None:
    """Overwrite the (n, columns) matrix of `right` at `start` by the inverse of the lower factor or its transpose times it."""
    for step in range(n):
        i = n - 1 - step if transposed else step
        for m in range(columns):
            right[start + i * columns + m] /= factor[at + i * n + i]
        for k in range(i) if transposed else range(i + 1, n):
            value = factor[at + i * n + k] if transposed else factor[at + k * n + i]
            if value != 0.0:
                for m in range(columns):
                    right[start + k * columns + m] -= value * right[start + i * columns + m]


@_jit
def unpack(x: Array, priors: Array, values: Array, slopes: Array, grad: Array) -> float:
    """Write values, their derivatives and the gradient of the log prior; return the log prior.

    x holds coefficients whose prior is no normal, then for each term its sds and partial correlations, then sigma.
    """
    total = 0.0
    for i in range(len(x)):
        density, grad[i], values[i], slopes[i] = prior(priors[i * PRIOR : i * PRIOR + PRIOR], x[i])
        total += density
    return total


@_jit
def correlation_factor(values: Array, at: int, size: int, pairs: int, out: Array) -> None:
    """Write the Cholesky factor of the correlation matrix with the partial correlations at `at`, the identity without any."""
    fill(out, 0, size, 1.0)
    if pairs:
        for i in range(1, size):
            rest = 1.0
            for j in range(i):
                p = values[at]
                out[i * size + j] = p * rest
                rest *= math.sqrt(1.0 - p * p)
                at += 1
            out[i * size + i] = rest


@_jit
def factors(
    values: Array, terms: Ints, coefficients: int, bases: Array, most: int, original: Array, rebased: Array
) -> None:
    """Write F of every grouping, (most, most) each: of its effects as they are, and in the basis that A and B have."""
    clear(original, 0, len(original))
    clear(rebased, 0, len(rebased))
    cor, block = np.empty(most * most), np.empty(most * most)
    at = coefficients
    for t in range(len(terms) // TERM):
        first, size = terms[t * TERM + FIRST], terms[t * TERM + SIZE]
        pairs = size * (size - 1) // 2 if terms[t * TERM + CORRELATED] else 0
        correlation_factor(values, at + size, size, pairs, cor)
        for i in range(size):
            for j in range(size):
                cor[i * size + j] *= values[at + i] / values[-1]
                block[i * size + j] = 0.0
        product(block, 0, bases, terms[t * TERM + AT_BASIS], size, 1, cor, 0, size, 1, size, size, size, 1.0)
        start = (terms[t * TERM + GROUPING] * most + first) * most + first
        for i in range(size):
            for j in range(size):
                original[start + i * most + j] = cor[i * size + j]
                rebased[start + i * most + j] = block[i * size + j]
        at += size + pairs


@_jit
def eliminate(
    data: Array, whole: Ints, f: Array, most: int, wa: Array, wb: Array, m: Array, lower: Array, u: Array
) -> float:
    """Integrate out the effects of every grouping, from the finest up; return the sum of log |c|.

    Writes what is left of the cross-products: `m` of X and y; `wa` and `wb` of the levels of all groupings (which are the
    data themselves where there is one); and c and u of every level (`lower`, `u`).
    """
    shapes, parents = whole_part(whole, SHAPES), whole_part(whole, PARENTS)
    depth = len(shapes) // SHAPE
    total = 0.0
    fa = np.empty(most * most)
    copy(m, 0, part(data, whole, C), 0, len(m))
    if depth > 1:
        copy(wa, 0, part(data, whole, A), 0, len(wa))
        copy(wb, 0, part(data, whole, B), 0, len(wb))
    clear(u, 0, len(u))
    for d in range(depth - 1, -1, -1):
        q, r = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + REST]
        at_f = d * most * most
        for level in range(shapes[d * SHAPE + LEVELS]):
            at_a, at_b = shapes[d * SHAPE + AT_A] + level * q * q, shapes[d * SHAPE + AT_B] + level * q * r
            fill(fa, 0, q, 0.0)
            product(fa, 0, f, at_f, 1, most, wa, at_a, q, 1, q, q, q, 1.0)
            fill(lower, at_a, q, 1.0)
            product(lower, at_a, fa, 0, q, 1, f, at_f, most, 1, q, q, q, 1.0)
            product(u, at_b, f, at_f, 1, most, wb, at_b, r, 1, q, q, r, 1.0)
            total += cholesky(lower, at_a, q)
            solve(lower, at_a, q, u, at_b, r, False)
            # Take u'u from the cross-products of every grouping above, and of X and y.
            at_u, ancestor = at_b, level
            for e in range(d - 1, -1, -1):
                ancestor = parents[shapes[(e + 1) * SHAPE + AT_LEVEL] + ancestor]
                q_e, r_e = shapes[e * SHAPE + EFFECTS], shapes[e * SHAPE + REST]
                into_a, into_b = (
                    shapes[e * SHAPE + AT_A] + ancestor * q_e * q_e,
                    shapes[e * SHAPE + AT_B] + ancestor * q_e * r_e,
                )
                product(wa, into_a, u, at_u, 1, r, u, at_u, r, 1, q_e, q, q_e, -1.0)
                product(wb, into_b, u, at_u, 1, r, u, at_u + q_e, r, 1, q_e, q, r_e, -1.0)
                at_u += q_e
            p = r - (at_u - at_b)
            product(m, 0, u, at_u, 1, r, u, at_u, r, 1, p, q, p, -1.0)
    return total


@_jit
def regress(data: Array, whole: Ints, m: Array, values: Array, factor: Array, w: Array, mean: Array) -> float:
    """Integrate out the coefficients with normal priors; return the log density that is left, but for its constant.

    Writes the factor of their posterior precision, and w at their posterior mean. Given values of the sampled coefficients,
    AT_MEAN + AT_SCALE values are the prior means of the others, then the sampled ones, in the basis of X. There the others
    are independent a priori, with precisions PRECISION.
    """
    precision, at_mean, at_scale = part(data, whole, PRECISION), part(data, whole, AT_MEAN), part(data, whole, AT_SCALE)
    normal, p = len(precision), len(at_mean)
    sampled, width = p - normal, p + 1
    variance = values[-1] * values[-1]
    copy(mean, 0, at_mean, 0, p)
    product(mean, 0, at_scale, 0, sampled, 1, values, 0, 1, 1, p, sampled, 1, 1.0)
    w[p] = 1.0
    for i in range(normal, p):
        w[i] = -mean[i]
    linear, along = np.empty(width), np.empty(width)
    clear(along, 0, width)
    product(along, 0, m, normal, width, 1, w, normal, 1, 1, width, width - normal, 1, 1.0 / variance)
    quadratic = 0.0
    for i in range(normal, width):
        quadratic += w[i] * along[i]
    for i in range(normal):
        linear[i] = along[i] + precision[i] * mean[i]
        quadratic += precision[i] * mean[i] * mean[i]
        for j in range(normal):
            factor[i * normal + j] = m[i * width + j] / variance
        factor[i * normal + i] += precision[i]
    log_determinant = cholesky(factor, 0, normal)
    solve(factor, 0, normal, linear, 0, 1, False)
    for i in range(normal):
        quadratic -= linear[i] * linear[i]
    solve(factor, 0, normal, linear, 0, 1, True)
    for i in range(normal):
        w[i] = -linear[i]
    return float(-log_determinant - 0.5 * quadratic)


@_jit
def _widen(
    g: Array, wider: Array, f: Array, at_f: int, most: int, fv: Array, gh: Array, q: int, r: int, block: Array
) -> None:
    """Write G with the effects of one more level before the columns of `g`: their second moments, and those with the others."""
    width = q + r
    fill(block, 0, q, 0.0)
    product(block, 0, fv, 0, q, 1, f, at_f, 1, most, q, q, q, 1.0)
    for i in range(q):
        for j in range(q):
            wider[i * width + j] = block[i * q + j]
    clear(block, 0, q * r)
    product(block, 0, f, at_f, most, 1, gh, 0, 1, q, q, q, r, -1.0)
    for i in range(q):
        for j in range(r):
            wider[i * width + q + j] = wider[(q + j) * width + i] = block[i * r + j]
    for i in range(r):
        for j in range(r):
            wider[(q + i) * width + q + j] = g[i * r + j]


@_jit
def _gradient_of_factors(
    whole: Ints, f: Array, most: int, wa: Array, wb: Array, lower: Array, u: Array, g: Array, out: Array
) -> None:
    """Add up the gradient for F over the levels of every grouping; `g` is G of X and y."""
    shapes, parents = whole_part(whole, SHAPES), whole_part(whole, PARENTS)
    depth = len(shapes) // SHAPE
    if depth == 0:
        return
    widest = shapes[(depth - 1) * SHAPE + REST]
    above = np.empty((depth, widest * widest))  # G of what remains after the current level of each grouping
    copy(above[0], 0, g, 0, len(g))
    h, gh = np.empty(most * widest), np.empty(widest * most)
    vv, fv, block = np.empty(most * most), np.empty(most * most), np.empty(most * widest)
    current, chain = np.empty(depth, np.int64), np.empty(depth, np.int64)
    for d in range(depth):
        current[d] = -1
    for finest in range(shapes[(depth - 1) * SHAPE + LEVELS]):
        chain[depth - 1] = finest
        for d in range(depth - 1, 0, -1):
            chain[d - 1] = parents[shapes[d * SHAPE + AT_LEVEL] + chain[d]]
        for d in range(depth):
            if chain[d] == current[d]:
                continue
            current[d] = chain[d]
            q, r, at_f = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + REST], d * most * most
            at_a, at_b = shapes[d * SHAPE + AT_A] + chain[d] * q * q, shapes[d * SHAPE + AT_B] + chain[d] * q * r
            copy(h, 0, u, at_b, q * r)
            clear(gh, 0, q * r)
            solve(lower, at_a, q, h, 0, r, True)
            product(gh, 0, above[d], 0, r, 1, h, 0, 1, r, r, r, q, 1.0)
            # vv = h G h' + K^-1: the second moments of v, over sigma^2.
            fill(vv, 0, q, 1.0)
            solve(lower, at_a, q, vv, 0, q, False)
            solve(lower, at_a, q, vv, 0, q, True)
            product(vv, 0, h, 0, r, 1, gh, 0, q, 1, q, r, q, 1.0)
            fill(fv, 0, q, 0.0)
            product(fv, 0, f, at_f, most, 1, vv, 0, q, 1, q, q, q, 1.0)
            fill(block, 0, q, 0.0)
            product(block, 0, wb, at_b, r, 1, gh, 0, q, 1, q, r, q, 1.0)
            product(block, 0, wa, at_a, q, 1, fv, 0, q, 1, q, q, q, -1.0)
            for i in range(q):
                for j in range(q):
                    out[at_f + i * most + j] += block[i * q + j]
            if d + 1 < depth:
                _widen(above[d], above[d + 1], f, at_f, most, fv, gh, q, r, block)


@_jit
def _gradient_of_terms(
    values: Array,
    slopes: Array,
    terms: Ints,
    coefficients: int,
    bases: Array,
    most: int,
    of_factors: Array,
    grad: Array,
) -> None:
    """Add the gradient for sds and partial correlations, given that for F in the basis of A and B."""
    at = coefficients
    cor, rows = np.empty(most * most), np.empty(most * most)
    for t in range(len(terms) // TERM):
        first, size = terms[t * TERM + FIRST], terms[t * TERM + SIZE]
        pairs = size * (size - 1) // 2 if terms[t * TERM + CORRELATED] else 0
        correlation_factor(values, at + size, size, pairs, cor)
        # Of the factor of the effects' covariance as they are.
        fill(rows, 0, size, 0.0)
        start = (terms[t * TERM + GROUPING] * most + first) * most + first
        product(
            rows,
            0,
            bases,
            terms[t * TERM + AT_BASIS],
            1,
            size,
            of_factors,
            start,
            most,
            1,
            size,
            size,
            size,
            1.0 / values[-1],
        )
        position = at + size
        for i in range(size):
            for j in range(i + 1):
                grad[at + i] += rows[i * size + j] * cor[i * size + j] * slopes[at + i]
            rest = 1.0
            for j in range(i if pairs else 0):
                p = values[position]
                # cor[i, j] is p times what the partials before it left; every entry after it has the factor sqrt(1 - p^2).
                value = rows[i * size + j] * rest * slopes[position]
                for k in range(j + 1, i + 1):
                    value -= rows[i * size + k] * cor[i * size + k] * 0.5 * p
                grad[position] += value * values[at + i]
                rest *= math.sqrt(1.0 - p * p)
                position += 1
        at += size + pairs


@_jit
def density(x: Array, grad: Array, data: Array, whole: Ints) -> float:
    """Return the log density of the unconstrained parameters with all effects integrated out, and write its gradient."""
    sizes, terms, shapes, bases = (
        part(data, whole, SIZES),
        whole_part(whole, TERMS),
        whole_part(whole, SHAPES),
        part(data, whole, BASES),
    )
    at_mean, at_scale, precision = part(data, whole, AT_MEAN), part(data, whole, AT_SCALE), part(data, whole, PRECISION)
    constant, rows, most = sizes[0], sizes[1], int(sizes[2])
    normal, p, n, depth = len(precision), len(at_mean), len(x), len(shapes) // SHAPE
    width = p + 1
    wa, wb = part(data, whole, A), part(data, whole, B)
    lower, u = np.empty(len(wa)), np.empty(len(wb))
    if depth > 1:
        wa, wb = np.empty(len(wa)), np.empty(len(wb))
    values, slopes = np.empty(n), np.empty(n)
    total = constant + unpack(x, part(data, whole, PRIORS), values, slopes, grad)
    sigma = values[n - 1]
    original, rebased = np.empty(depth * most * most), np.empty(depth * most * most)
    factors(values, terms, p - normal, bases, most, original, rebased)
    m, factor, w, mean = np.empty(width * width), np.empty(normal * normal), np.empty(width), np.empty(p)
    total -= eliminate(data, whole, rebased, most, wa, wb, m, lower, u) + rows * math.log(sigma)
    total += regress(data, whole, m, values, factor, w, mean)
    # G of the columns of X and y.
    g, inverse = np.empty(width * width), np.empty(normal * normal)
    clear(g, 0, width * width)
    fill(inverse, 0, normal, 1.0)
    solve(factor, 0, normal, inverse, 0, normal, False)
    solve(factor, 0, normal, inverse, 0, normal, True)
    product(g, 0, w, 0, 1, 1, w, 0, 1, 1, width, 1, width, 1.0 / (sigma * sigma))
    for i in range(normal):
        for j in range(normal):
            g[i * width + j] += inverse[i * normal + j] / (sigma * sigma)
    of_factors = np.empty(depth * most * most)
    clear(of_factors, 0, len(of_factors))
    _gradient_of_factors(whole, rebased, most, wa, wb, lower, u, g, of_factors)
    # log sigma: of the density given F, then through F, which is over sigma.
    along = -rows
    for i in range(width * width):
        along += g[i] * m[i]
    for i in range(depth * most * most):
        along -= of_factors[i] * rebased[i]
    grad[n - 1] += along / sigma * slopes[n - 1]
    # Sampled coefficients: through the residuals, and through the prior means of the others.
    through, of_sampled = np.empty(p), np.empty(p - normal)
    clear(through, 0, p)
    clear(of_sampled, 0, p - normal)
    for i in range(normal):
        through[i] = precision[i] * (-w[i] - mean[i])
    product(through, normal, m, normal * width, width, 1, w, 0, 1, 1, p - normal, width, 1, 1.0 / (sigma * sigma))
    product(of_sampled, 0, at_scale, 0, 1, p - normal, through, 0, 1, 1, p - normal, p, 1, 1.0)
    for i in range(p - normal):
        grad[i] += of_sampled[i] * slopes[i]
    _gradient_of_terms(values, slopes, terms, p - normal, bases, most, of_factors, grad)
    return float(total)


@_jit
def draw(
    xs: Matrix,
    normals: Matrix,
    data: Array,
    whole: Ints,
    out_values: Matrix,
    out_coefficients: Matrix,
    out_effects: Singles,
) -> None:
    """For each draw x: write the values of its parameters, and draw the coefficients and all effects given them.

    `out_coefficients` are those of X in its own basis; `out_effects` holds the effects of all groupings as they are, level
    by level, one grouping after another. `normals` has one standard normal for each coefficient with a normal prior, then
    for each effect in that order.
    """
    most, terms, shapes, bases = (
        int(part(data, whole, SIZES)[2]),
        whole_part(whole, TERMS),
        whole_part(whole, SHAPES),
        part(data, whole, BASES),
    )
    parents, priors = whole_part(whole, PARENTS), part(data, whole, PRIORS)
    normal, p, n, depth = (
        len(part(data, whole, PRECISION)),
        len(part(data, whole, AT_MEAN)),
        xs.shape[1],
        len(shapes) // SHAPE,
    )
    wa, wb = part(data, whole, A), part(data, whole, B)
    lower, u = np.empty(len(wa)), np.empty(len(wb))
    if depth > 1:
        wa, wb = np.empty(len(wa)), np.empty(len(wb))
    widest = p + 1
    starts = np.empty(depth + 1, np.int64)
    starts[0] = 0
    for d in range(depth):
        widest += shapes[d * SHAPE + EFFECTS]
        starts[d + 1] = starts[d] + shapes[d * SHAPE + EFFECTS] * shapes[d * SHAPE + LEVELS]
    slopes, grad = np.empty(n), np.empty(n)
    original, rebased = np.empty(depth * most * most), np.empty(depth * most * most)
    m, factor, w, mean = np.empty((p + 1) * (p + 1)), np.empty(normal * normal), np.empty(p + 1), np.empty(p)
    v, moved = np.empty(max(most, normal)), np.empty(2 * most)
    above = np.empty((depth + 1, widest))
    current, chain = np.empty(depth, np.int64), np.empty(depth, np.int64)
    for s in range(xs.shape[0]):
        values = out_values[s]
        unpack(xs[s], priors, values, slopes, grad)
        factors(values, terms, p - normal, bases, most, original, rebased)
        eliminate(data, whole, rebased, most, wa, wb, m, lower, u)
        regress(data, whole, m, values, factor, w, mean)
        copy(v, 0, normals[s], 0, normal)
        solve(factor, 0, normal, v, 0, 1, True)
        for i in range(p):
            w[i] -= v[i] if i < normal else 0.0
            out_coefficients[s, i] = -w[i]
        copy(above[0], 0, w, 0, p + 1)
        for d in range(depth):
            current[d] = -1
        for finest in range(shapes[(depth - 1) * SHAPE + LEVELS] if depth else 0):
            chain[depth - 1] = finest
            for d in range(depth - 1, 0, -1):
                chain[d - 1] = parents[shapes[d * SHAPE + AT_LEVEL] + chain[d]]
            for d in range(depth):
                if chain[d] == current[d]:
                    continue
                current[d] = chain[d]
                q, r, at_f = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + REST], d * most * most
                at_a, at_b = shapes[d * SHAPE + AT_A] + chain[d] * q * q, shapes[d * SHAPE + AT_B] + chain[d] * q * r
                at = starts[d] + chain[d] * q
                # v = h w + sigma c'^-1 z = c'^-1 (u w + sigma z)
                for i in range(q):
                    v[i] = values[n - 1] * normals[s, normal + at + i]
                product(v, 0, u, at_b, r, 1, above[d], 0, 1, 1, q, r, 1, 1.0)
                solve(lower, at_a, q, v, 0, 1, True)
                clear(moved, 0, 2 * most)
                product(moved, 0, original, at_f, most, 1, v, 0, 1, 1, q, q, 1, 1.0)
                product(moved, most, rebased, at_f, most, 1, v, 0, 1, 1, q, q, 1, -1.0)
                for i in range(q):
                    out_effects[s, at + i] = moved[i]
                    above[d + 1, i] = moved[most + i]
                copy(above[d + 1], q, above[d], 0, r)


_POINTER = _types.CPointer(_types.float64)
_carray: Any = numba.carray  # type: ignore[attr-defined]


@numba.cfunc(
    _types.int64(_types.uint64, _POINTER, _POINTER, _POINTER, _types.voidptr),
    cache=True,
    error_model="numpy",
)
def density_for_nutpie(size, x_at, grad_at, value_at, data_at):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Write log density and gradient, as nutpie's threads ask for them; return 0, or what refuses the point."""
    x, grad, value = _carray(x_at, (size,)), _carray(grad_at, (size,)), _carray(value_at, (1,))
    length = _carray(data_at, (PARTS + 1,), np.int64)[PARTS]
    data, whole = _carray(data_at, (length,), np.float64), _carray(data_at, (length,), np.int64)
    value[0] = density(x, grad, data, whole)
    for i in range(size):
        if not math.isfinite(grad[i]):
            return 3
    return 0 if math.isfinite(value[0]) else 4


@numba.cfunc(_types.int64(_types.uint64, _types.uint64, _POINTER, _POINTER, _types.voidptr), cache=True)
def same_for_nutpie(size, _, x_at, out_at, __):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Write what is stored of a draw: the unconstrained parameters as they are."""
    x, out = _carray(x_at, (size,)), _carray(out_at, (size,))
    for i in range(size):
        out[i] = x[i]
    return 0
