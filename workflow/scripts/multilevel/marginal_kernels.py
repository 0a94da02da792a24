"""Compiled loops of `marginal`: the log density with the effects integrated out, its gradient, and exact draws of the effects.

The rows of one level of a grouping, Z (effects) beside W (the columns that remain: effects of the groupings above it, X, y),
are turned by an orthogonal transformation into as many rows as there are effects, R (a triangle) beside D, and rows in which
Z is zero, which count for what remains (Golub & Van Loan, Matrix Computations, 4th ed., section 5.2). With F the factor of
the effects' covariance over sigma^2, another one gives

    | I    0 |      | S  u |
    | RF   D |  ->  | 0  E |        S'S = I + F'R'RF,    h = S^-1 u.

Integrating the level's effects out leaves the rows E for what remains, and divides the density by |S|. (The same as Woodbury's
formula and the determinant lemma, but no squares are formed, so no digits are lost in differences of large sums.) Given what
remains, with coefficients w (1 for y, minus the effect or coefficient for every other column), the effects are F v with
v ~ N(h w, sigma^2 (S'S)^-1). The gradient follows from Fisher's identity: with G = E[ww'] / sigma^2, that for F is
R' (D G h' - RF (h G h' + (S'S)^-1)).

Groupings stand from the coarsest (0) to the finest. Everything that is done for every level is done for LANES of them at a
time, number by number, in loops that the compiler turns into vector instructions: R and D of a grouping, and S and u, stand
such that the same entry of all levels stands together, row by row. In what follows a *strip* is one number of LANES levels.
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

NORMAL, STUDENT, UNIFORM, HALF_NORMAL, HALF_STUDENT, GAMMA, INVERSE_GAMMA, LOGNORMAL, PARTIAL, LOGISTIC = range(10)
"""Kinds of priors, the first entry of a row of `priors`; then three arguments, the log of the constant, and a power."""

TWO_SIDED = 10
TWO_NORMAL, TWO_STUDENT, TWO_EXPONENTIAL, TWO_UNIFORM = range(TWO_SIDED, TWO_SIDED + 4)
"""Kinds of priors of standard deviations that have a density at 0; the argument after their own is a scale."""

PRIOR = 6
"""Numbers in a row of `priors`; the last is the power of what has the distribution that the parameter is, 1 but for variances
and precisions."""

SIZES, PRIORS, TERMS, SHAPES, PARENTS, CHILDREN, ROWS, C, AT_MEAN, AT_SCALE, PRECISION, PARTS = range(12)
"""Parts of the data, one after another: constant of the density, rows, most effects of a grouping, and 1 where sigma is known to
be 1, not sampled; priors by row; terms;
shapes of the groupings; the level above each level; the first of the levels within each, and the number of all; R and D; the
cross-products of X and y in the rows that these leave; and what `regress` takes. The data start with where each part starts,
and where the last one ends. `whole` are the same data taken for whole numbers, which SHAPES, TERMS, PARENTS, CHILDREN and
those first numbers are."""

EFFECTS, WIDTH, LEVELS, AT_ROWS, AT_PARENTS, AT_CHILDREN, SHAPE = range(7)
"""Columns of SHAPES: number of effects, of columns of R and D, of levels; where its entries in ROWS, PARENTS, CHILDREN start."""

GROUPING, FIRST, SIZE, CORRELATED, TERM = range(5)
"""Columns of TERMS: its grouping, its first effect there, number of effects, whether correlated."""

LANES = 64
"""Levels that are worked on at a time."""

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
def _of_distribution(row: Array, x: float) -> tuple[float, float, float, float]:
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
    if kind == LOGISTIC:
        z = (x - a) / b
        return constant - abs(z) - 2.0 * math.log1p(math.exp(-abs(z))), -math.tanh(0.5 * z) / b, x, 1.0
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
def prior(row: Array, x: float) -> tuple[float, float, float, float]:
    """Return the log density at an unconstrained x, Jacobian included, its derivative, the parameter and its derivative.

    Where a variance or a precision has the distribution, x stands for that, and the standard deviation follows from it.
    """
    density, derivative, value, slope = _of_distribution(row, x)
    power = row[5]
    if power == 1.0:
        return density, derivative, value, slope
    parameter = value**power
    return density, derivative, parameter, power * parameter / value * slope


@_jit
def product(
    out: Array, at: int, stride: int, x: Array, at_x: int, row_x: int, step_x: int, y: Array, at_y: int, step_y: int,
    column_y: int, rows: int, inner: int, columns: int, sign: float,
) -> None:  # fmt: skip
    """Add sign * XY to the (rows, columns) matrix of `out` at `at`, whose rows are `stride` apart.

    X[i, k] stands at ``at_x + i * row_x + k * step_x``, and Y[k, j] at ``at_y + k * step_y + j * column_y``.
    """
    for i in range(rows):
        for k in range(inner):
            value = sign * x[at_x + i * row_x + k * step_x]
            if value != 0.0:
                for j in range(columns):
                    out[at + i * stride + j] += value * y[at_y + k * step_y + j * column_y]


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
def cholesky(flat: Array, n: int) -> float:
    """Overwrite a positive definite (n, n) matrix by its upper factor S, S'S; return log |S|, NaN if it has none."""
    total = 0.0
    for j in range(n):
        pivot = flat[j * n + j]
        if not pivot > 0.0:
            return math.nan
        pivot = math.sqrt(pivot)
        total += math.log(pivot)
        flat[j * n + j] = pivot
        for i in range(j + 1, n):
            flat[j * n + i] /= pivot
        for i in range(j + 1, n):
            value = flat[j * n + i]
            if value != 0.0:
                for k in range(i, n):
                    flat[i * n + k] -= value * flat[j * n + k]
    return total


@_jit
def solve(factor: Array, at: int, stride: int, n: int, right: Array, columns: int, transposed: bool) -> None:
    """Overwrite `right` (n, columns) by the inverse of the upper factor at `at`, or of its transpose, times it."""
    for step in range(n):
        i = step if transposed else n - 1 - step
        for m in range(columns):
            right[i * columns + m] /= factor[at + i * stride + i]
        for k in range(i + 1, n) if transposed else range(i):
            value = factor[at + i * stride + k] if transposed else factor[at + k * stride + i]
            if value != 0.0:
                for m in range(columns):
                    right[k * columns + m] -= value * right[i * columns + m]


@_jit
def absorb(
    triangle: Array, at: int, stride: int, n: int, width: int, rows: Array, first: int, apart: int, count: int
) -> None:
    """Rotate rows into a triangle: n rows of `width` columns, of which the first n are a triangle, its entries `stride` apart.

    By a Householder reflection for each of these columns, which are zero in the rows afterwards and not written. The rows
    start at `first` and are `apart` from each other.
    """
    for j in range(n):
        squares = 0.0
        for i in range(count):
            squares += rows[first + i * apart + j] ** 2
        if squares == 0.0:
            continue
        pivot = at + (j * width + j) * stride
        norm = -math.copysign(math.sqrt(triangle[pivot] ** 2 + squares), triangle[pivot])
        own = triangle[pivot] - norm
        triangle[pivot] = norm
        scale = 2.0 / (own * own + squares)
        for m in range(j + 1, width):
            place = at + (j * width + m) * stride
            value = own * triangle[place]
            for i in range(count):
                value += rows[first + i * apart + j] * rows[first + i * apart + m]
            value *= scale
            triangle[place] -= value * own
            for i in range(count):
                rows[first + i * apart + m] -= value * rows[first + i * apart + j]


@_jit
def compress(block: Matrix, index: Ints, shapes: Ints, parents: Ints, rows: Array, c: Array) -> None:
    """Rotate rows of the data, the effects of the finest grouping first, into R and D of their levels and the rest into C.

    `index` is the level of each row in the finest grouping.
    """
    depth, width = len(shapes) // SHAPE, block.shape[1]
    p = width
    for d in range(depth):
        p -= shapes[d * SHAPE + EFFECTS]
    for s in range(block.shape[0]):
        row, column, level = block[s], 0, index[s]
        for d in range(depth - 1, -1, -1):
            q, wide = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + WIDTH]
            absorb(
                rows, shapes[d * SHAPE + AT_ROWS] + level, shapes[d * SHAPE + LEVELS], q, wide, row, column, width, 1
            )
            column += q
            if d:
                level = parents[shapes[d * SHAPE + AT_PARENTS] + level]
        product(c, 0, p, row, column, 1, 1, row, column, 1, 1, p, 1, p, 1.0)


@_jit
def load(flat: Array, at: int, levels: int, first: int, count: int, strips: int, out: Matrix, into: int) -> None:
    """Copy the entries of `count` levels from `first` on into strips; entries are `levels` apart and start at `at`."""
    for s in range(strips):
        start = np.uint64(at + s * levels + first)  # unsigned: Numba would look for negative indices, number by number
        for k in range(np.uint64(count)):
            out[into + s, k] = flat[start + k]


@_jit
def store(flat: Array, at: int, levels: int, first: int, count: int, strips: int, source: Matrix) -> None:
    """Copy strips back to where `load` took them from."""
    for s in range(strips):
        start = np.uint64(at + s * levels + first)
        for k in range(np.uint64(count)):
            flat[start + k] = source[s, k]


@_jit
def blank(strips: Matrix, first: int, number: int, value: float, n: int) -> None:
    """Fill strips with a value."""
    for s in range(first, first + number):
        for k in range(n):
            strips[s, k] = value


@_jit
def times(out: Matrix, o: int, x: Matrix, a: int, y: Matrix, b: int, n: int) -> None:
    """Add the product of two strips to a strip."""
    for k in range(n):
        out[o, k] += x[a, k] * y[b, k]


@_jit
def minus(out: Matrix, o: int, x: Matrix, a: int, y: Matrix, b: int, n: int) -> None:
    """Take the product of two strips from a strip."""
    for k in range(n):
        out[o, k] -= x[a, k] * y[b, k]


@_jit
def scaled(out: Matrix, o: int, x: Matrix, a: int, factor: float, n: int) -> None:
    """Add a multiple of a strip to a strip."""
    for k in range(n):
        out[o, k] += factor * x[a, k]


@_jit
def reflect(rows: Matrix, done: Matrix, q: int, width: int, n: int, spare: Matrix) -> None:
    """Rotate the strips RF beside D into I beside 0: S and u in `done`, E in the last columns of `rows`; as `absorb` does."""
    for j in range(q):
        blank(spare, 0, 1, 0.0, n)
        for i in range(q):
            times(spare, 0, rows, i * width + j, rows, i * width + j, n)
        for k in range(n):
            squares = spare[0, k]
            norm = math.sqrt(1.0 + squares)
            done[j * width + j, k] = -norm
            spare[1, k] = 1.0 + norm
            spare[2, k] = 2.0 / ((1.0 + norm) * (1.0 + norm) + squares)
        for m in range(j):
            blank(done, j * width + m, 1, 0.0, n)
        for m in range(j + 1, width):
            blank(spare, 0, 1, 0.0, n)
            for i in range(q):
                times(spare, 0, rows, i * width + j, rows, i * width + m, n)
            for k in range(n):
                spare[0, k] *= spare[2, k]
                done[j * width + m, k] = -spare[0, k] * spare[1, k]
            for i in range(q):
                minus(rows, i * width + m, spare, 0, rows, i * width + j, n)


@_jit
def unpack(x: Array, priors: Array, values: Array, slopes: Array, grad: Array) -> float:
    """Write values, their derivatives and the gradient of the log prior; return the log prior.

    x holds the coefficients that `regress` leaves, then for each term its sds and partial correlations, then sigma. Where
    sigma is not sampled, it is 1, and the last of the values all the same.
    """
    total = 0.0
    values[-1] = 1.0
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
def factors(values: Array, terms: Ints, coefficients: int, most: int, out: Array) -> None:
    """Write F of every grouping, (most, most) each."""
    clear(out, 0, len(out))
    cor = np.empty(most * most)
    at = coefficients
    for t in range(len(terms) // TERM):
        first, size = terms[t * TERM + FIRST], terms[t * TERM + SIZE]
        pairs = size * (size - 1) // 2 if terms[t * TERM + CORRELATED] else 0
        correlation_factor(values, at + size, size, pairs, cor)
        start = (terms[t * TERM + GROUPING] * most + first) * most + first
        for i in range(size):
            for j in range(i + 1):
                out[start + i * most + j] = cor[i * size + j] * values[at + i] / values[-1]
        at += size + pairs


@_jit
def _leave(whole: Ints, work: Array, d: int, level: int, rows: Array, count: int, width: int, m: Array) -> None:
    """Rotate what a level leaves, `count` rows, into those of the groupings above, and what is left of it into `m`."""
    shapes, parents = whole_part(whole, SHAPES), whole_part(whole, PARENTS)
    column = 0
    for e in range(d - 1, -1, -1):
        level = parents[shapes[(e + 1) * SHAPE + AT_PARENTS] + level]
        q, wide = shapes[e * SHAPE + EFFECTS], shapes[e * SHAPE + WIDTH]
        absorb(
            work, shapes[e * SHAPE + AT_ROWS] + level, shapes[e * SHAPE + LEVELS], q, wide, rows, column, width, count
        )
        column += q
    p = width - column
    product(m, 0, p, rows, column, 1, width, rows, column, width, 1, p, count, p, 1.0)


@_jit
def eliminate(data: Array, whole: Ints, f: Array, most: int, work: Array, done: Array, m: Array) -> float:
    """Integrate out the effects of every grouping, from the finest up; return the sum of log |S|.

    Writes R and D of all levels with what the groupings below left to them (`work`; the data themselves where there is one
    grouping), S and u of all levels (`done`), and the cross-products that are left of X and y (`m`).
    """
    shapes = whole_part(whole, SHAPES)
    depth = len(shapes) // SHAPE
    total, size = 0.0, 1.0
    copy(m, 0, part(data, whole, C), 0, len(m))
    if depth == 0:
        return total
    if depth > 1:
        copy(work, 0, part(data, whole, ROWS), 0, len(work))
    p = shapes[WIDTH] - shapes[EFFECTS]
    most_strips = most * shapes[(depth - 1) * SHAPE + WIDTH]
    rows, kept = np.empty((most_strips + most * most, LANES)), np.empty((most_strips, LANES))
    spare, left = np.empty((3, LANES)), np.empty((p * p, LANES))
    row = np.empty(most_strips)
    blank(left, 0, p * p, 0.0, LANES)
    for d in range(depth - 1, -1, -1):
        q, width, at_f = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + WIDTH], d * most * most
        levels, at = shapes[d * SHAPE + LEVELS], shapes[d * SHAPE + AT_ROWS]
        for first in range(0, levels, LANES):
            n = min(LANES, levels - first)
            load(work, at, levels, first, n, q * width, rows, 0)
            blank(rows, q * width, q * q, 0.0, n)
            for i in range(q):
                for j in range(q):
                    for k in range(max(i, j), q):
                        scaled(rows, q * width + i * q + j, rows, i * width + k, f[at_f + k * most + j], n)
            for i in range(q):
                for j in range(q):
                    for k in range(n):
                        rows[i * width + j, k] = rows[q * width + i * q + j, k]
            reflect(rows, kept, q, width, n, spare)
            store(done, at, levels, first, n, q * width, kept)
            for j in range(q):
                for k in range(n):
                    size *= abs(kept[j * width + j, k])
                    if not size < 1e100:  # no factor is below 1; a logarithm of each would take as long as the rest
                        total += math.log(size)
                        size = 1.0
            if d == 0:
                for i in range(q):
                    for x in range(p):
                        for y in range(x + 1):
                            times(left, x * p + y, rows, i * width + q + x, rows, i * width + q + y, n)
            else:
                for k in range(n):
                    for i in range(q):
                        for j in range(width - q):
                            row[i * (width - q) + j] = rows[i * width + q + j, k]
                    _leave(whole, work, d, first + k, row, q, width - q, m)
    for x in range(p):
        for y in range(x + 1):
            for k in range(LANES):
                m[x * p + y] += left[x * p + y, k]
            m[y * p + x] = m[x * p + y]
    return total + math.log(size)


@_jit
def regress(data: Array, whole: Ints, m: Array, values: Array, factor: Array, w: Array, mean: Array) -> float:
    """Integrate out the coefficients with normal or flat priors; return the log density that is left, but for its constant.

    Writes the factor of their posterior precision, and w at their posterior mean. Given values of the sampled coefficients,
    AT_MEAN + AT_SCALE values are the prior means of the others, then the sampled ones, in the basis of X. There the others
    are independent a priori, with precisions PRECISION.
    """
    precision, at_mean, at_scale = part(data, whole, PRECISION), part(data, whole, AT_MEAN), part(data, whole, AT_SCALE)
    normal, p = len(precision), len(at_mean)
    sampled, width = p - normal, p + 1
    variance = values[-1] * values[-1]
    copy(mean, 0, at_mean, 0, p)
    product(mean, 0, 1, at_scale, 0, sampled, 1, values, 0, 1, 1, p, sampled, 1, 1.0)
    w[p] = 1.0
    for i in range(normal, p):
        w[i] = -mean[i]
    linear, along = np.empty(width), np.empty(width)
    clear(along, 0, width)
    product(along, 0, 1, m, normal, width, 1, w, normal, 1, 1, width, width - normal, 1, 1.0 / variance)
    quadratic = 0.0
    for i in range(normal, width):
        quadratic += w[i] * along[i]
    for i in range(normal):
        linear[i] = along[i] + precision[i] * mean[i]
        quadratic += precision[i] * mean[i] * mean[i]
        for j in range(normal):
            factor[i * normal + j] = m[i * width + j] / variance
        factor[i * normal + i] += precision[i]
    log_determinant = cholesky(factor, normal)
    solve(factor, 0, normal, normal, linear, 1, True)
    for i in range(normal):
        quadratic -= linear[i] * linear[i]
    solve(factor, 0, normal, normal, linear, 1, False)
    for i in range(normal):
        w[i] = -linear[i]
    return float(-log_determinant - 0.5 * quadratic)


@_jit
def _widen(
    g: Array, wider: Array, f: Array, at_f: int, most: int, s: Matrix, fv: int, gh: int, k: int, q: int, r: int
) -> None:
    """Write G with the effects of one more level before the columns of `g`: their second moments, and those with the others."""
    width = q + r
    for i in range(q):
        for j in range(q):
            value = 0.0
            for e in range(j + 1):
                value += s[fv + i * q + e, k] * f[at_f + j * most + e]
            wider[i * width + j] = value
        for j in range(r):
            value = 0.0
            for e in range(i + 1):
                value -= f[at_f + i * most + e] * s[gh + j * q + e, k]
            wider[i * width + q + j] = wider[(q + j) * width + i] = value
    for i in range(r):
        for j in range(r):
            wider[(q + i) * width + q + j] = g[i * r + j]


@_jit
def _gradient_of_levels(
    whole: Ints, f: Array, most: int, work: Array, done: Array, d: int, start: int, stop: int, above: Matrix, s: Matrix,
    each: int, sums: Matrix,
) -> None:  # fmt: skip
    """Add up the gradient for F over some levels of grouping d and all levels within them; `above[d]` is G of what remains."""
    shapes, children = whole_part(whole, SHAPES), whole_part(whole, CHILDREN)
    q, width, at_f = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + WIDTH], d * most * most
    levels, at, r = shapes[d * SHAPE + LEVELS], shapes[d * SHAPE + AT_ROWS], width - q
    kept = d * each
    rows = kept + q * width
    inverse, h = rows + q * width, rows + q * width + q * q
    gh = h + q * r
    vv, fv, block = gh + q * r, gh + q * r + q * q, gh + q * r + 2 * q * q
    for first in range(start, stop, LANES):
        n = min(LANES, stop - first)
        load(done, at, levels, first, n, q * width, s, kept)
        load(work, at, levels, first, n, q * width, s, rows)
        blank(s, inverse, block + q * q - inverse, 0.0, n)
        for i in range(q - 1, -1, -1):
            for j in range(i, q):
                if i == j:
                    blank(s, inverse + i * q + j, 1, 1.0, n)
                for k in range(i + 1, j + 1):
                    minus(s, inverse + i * q + j, s, kept + i * width + k, s, inverse + k * q + j, n)
                for k in range(n):
                    s[inverse + i * q + j, k] /= s[kept + i * width + i, k]
        for i in range(q):
            for j in range(r):
                for k in range(i, q):
                    times(s, h + i * r + j, s, inverse + i * q + k, s, kept + k * width + q + j, n)
            for j in range(r):
                for k in range(r):
                    scaled(s, gh + j * q + i, s, h + i * r + k, above[d, j * r + k], n)
        # vv = h G h' + (S'S)^-1: the second moments of v, over sigma^2.
        for i in range(q):
            for j in range(q):
                for k in range(r):
                    times(s, vv + i * q + j, s, h + i * r + k, s, gh + k * q + j, n)
                for k in range(max(i, j), q):
                    times(s, vv + i * q + j, s, inverse + i * q + k, s, inverse + j * q + k, n)
        for i in range(q):
            for j in range(q):
                for k in range(i + 1):
                    scaled(s, fv + i * q + j, s, vv + k * q + j, f[at_f + i * most + k], n)
        for i in range(q):
            for j in range(q):
                for k in range(r):
                    times(s, block + i * q + j, s, rows + i * width + q + k, s, gh + k * q + j, n)
                for k in range(i, q):
                    minus(s, block + i * q + j, s, rows + i * width + k, s, fv + k * q + j, n)
        for i in range(q):
            for j in range(i + 1):
                for k in range(i + 1):
                    times(sums, at_f + i * most + j, s, rows + k * width + i, s, block + k * q + j, n)
        if (d + 1) * SHAPE < len(shapes):
            for k in range(n):
                _widen(above[d], above[d + 1], f, at_f, most, s, fv, gh, k, q, r)
                place = shapes[d * SHAPE + AT_CHILDREN] + first + k
                _gradient_of_levels(
                    whole, f, most, work, done, d + 1, children[place], children[place + 1], above, s, each, sums
                )


@_jit
def _gradient_of_factors(whole: Ints, f: Array, most: int, work: Array, done: Array, g: Array, out: Array) -> None:
    """Add up the gradient for F over the levels of every grouping; `g` is G of X and y."""
    shapes = whole_part(whole, SHAPES)
    depth = len(shapes) // SHAPE
    if depth == 0:
        return
    widest = shapes[(depth - 1) * SHAPE + WIDTH]
    each = most * (4 * widest + 4 * most)
    strips, sums = np.empty((depth * each, LANES)), np.empty((depth * most * most, LANES))
    above = np.empty((depth, widest * widest))
    blank(sums, 0, depth * most * most, 0.0, LANES)
    copy(above[0], 0, g, 0, len(g))
    _gradient_of_levels(whole, f, most, work, done, 0, 0, shapes[LEVELS], above, strips, each, sums)
    for i in range(depth * most * most):
        for k in range(LANES):
            out[i] += sums[i, k]


@_jit
def _gradient_of_terms(
    values: Array, slopes: Array, terms: Ints, coefficients: int, most: int, of_factors: Array, grad: Array
) -> None:
    """Add the gradient for sds and partial correlations, given that for F."""
    at = coefficients
    cor = np.empty(most * most)
    for t in range(len(terms) // TERM):
        first, size = terms[t * TERM + FIRST], terms[t * TERM + SIZE]
        pairs = size * (size - 1) // 2 if terms[t * TERM + CORRELATED] else 0
        correlation_factor(values, at + size, size, pairs, cor)
        start = (terms[t * TERM + GROUPING] * most + first) * most + first
        position = at + size
        for i in range(size):
            row, scale = start + i * most, values[at + i] / values[-1]
            for j in range(i + 1):
                grad[at + i] += of_factors[row + j] * cor[i * size + j] / values[-1] * slopes[at + i]
            rest = 1.0
            for j in range(i if pairs else 0):
                p = values[position]
                # cor[i, j] is p times what the partials before it left; every entry after it has the factor sqrt(1 - p^2).
                value = of_factors[row + j] * rest * slopes[position]
                for k in range(j + 1, i + 1):
                    value -= of_factors[row + k] * cor[i * size + k] * 0.5 * p
                grad[position] += value * scale
                rest *= math.sqrt(1.0 - p * p)
                position += 1
        at += size + pairs


@_jit
def density(x: Array, grad: Array, data: Array, whole: Ints) -> float:
    """Return the log density of the unconstrained parameters with all effects integrated out, and write its gradient."""
    sizes, terms, shapes = part(data, whole, SIZES), whole_part(whole, TERMS), whole_part(whole, SHAPES)
    at_mean, at_scale, precision = part(data, whole, AT_MEAN), part(data, whole, AT_SCALE), part(data, whole, PRECISION)
    constant, rows, most = sizes[0], sizes[1], int(sizes[2])
    normal, p, n, depth = len(precision), len(at_mean), len(x), len(shapes) // SHAPE
    width = p + 1
    work = part(data, whole, ROWS)
    done = np.empty(len(work))
    if depth > 1:
        work = np.empty(len(work))
    values, slopes = np.empty(n + int(sizes[3])), np.empty(n)
    total = constant + unpack(x, part(data, whole, PRIORS), values, slopes, grad)
    sigma = values[-1]
    f = np.empty(depth * most * most)
    factors(values, terms, p - normal, most, f)
    m, factor, w, mean = np.empty(width * width), np.empty(normal * normal), np.empty(width), np.empty(p)
    total -= eliminate(data, whole, f, most, work, done, m) + rows * math.log(sigma)
    total += regress(data, whole, m, values, factor, w, mean)
    # G of the columns of X and y.
    g, inverse = np.empty(width * width), np.empty(normal * normal)
    clear(g, 0, width * width)
    fill(inverse, 0, normal, 1.0)
    solve(factor, 0, normal, normal, inverse, normal, True)
    solve(factor, 0, normal, normal, inverse, normal, False)
    product(g, 0, width, w, 0, 1, 1, w, 0, 1, 1, width, 1, width, 1.0 / (sigma * sigma))
    for i in range(normal):
        for j in range(normal):
            g[i * width + j] += inverse[i * normal + j] / (sigma * sigma)
    of_factors = np.empty(depth * most * most)
    clear(of_factors, 0, len(of_factors))
    _gradient_of_factors(whole, f, most, work, done, g, of_factors)
    # log sigma: of the density given F, then through F, which is over sigma.
    if len(values) == n:
        along = -rows
        for i in range(width * width):
            along += g[i] * m[i]
        for i in range(depth * most * most):
            along -= of_factors[i] * f[i]
        grad[n - 1] += along / sigma * slopes[n - 1]
    # Sampled coefficients: through the residuals, and through the prior means of the others.
    through, of_sampled = np.empty(p), np.empty(p - normal)
    clear(through, 0, p)
    clear(of_sampled, 0, p - normal)
    for i in range(normal):
        through[i] = precision[i] * (-w[i] - mean[i])
    product(through, normal, 1, m, normal * width, width, 1, w, 0, 1, 1, p - normal, width, 1, 1.0 / (sigma * sigma))
    product(of_sampled, 0, 1, at_scale, 0, 1, p - normal, through, 0, 1, 1, p - normal, p, 1, 1.0)
    for i in range(p - normal):
        grad[i] += of_sampled[i] * slopes[i]
    _gradient_of_terms(values, slopes, terms, p - normal, most, of_factors, grad)
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
    most, terms, shapes = int(part(data, whole, SIZES)[2]), whole_part(whole, TERMS), whole_part(whole, SHAPES)
    parents, priors = whole_part(whole, PARENTS), part(data, whole, PRIORS)
    normal, p = len(part(data, whole, PRECISION)), len(part(data, whole, AT_MEAN))
    n, depth = xs.shape[1], len(shapes) // SHAPE
    work = part(data, whole, ROWS)
    done = np.empty(len(work))
    if depth > 1:
        work = np.empty(len(work))
    widest = p + 1
    starts = np.empty(depth + 1, np.int64)
    starts[0] = 0
    for d in range(depth):
        widest += shapes[d * SHAPE + EFFECTS]
        starts[d + 1] = starts[d] + shapes[d * SHAPE + EFFECTS] * shapes[d * SHAPE + LEVELS]
    slopes, grad = np.empty(n), np.empty(n)
    f = np.empty(depth * most * most)
    m, factor, w, mean = np.empty((p + 1) * (p + 1)), np.empty(normal * normal), np.empty(p + 1), np.empty(p)
    v, effects = np.empty(max(most, normal)), np.empty(most)
    above = np.empty((depth + 1, widest))
    current, chain = np.empty(depth, np.int64), np.empty(depth, np.int64)
    for s in range(xs.shape[0]):
        values = out_values[s]
        unpack(xs[s], priors, values, slopes, grad)
        factors(values, terms, p - normal, most, f)
        eliminate(data, whole, f, most, work, done, m)
        regress(data, whole, m, values, factor, w, mean)
        copy(v, 0, normals[s], 0, normal)
        solve(factor, 0, normal, normal, v, 1, False)
        for i in range(p):
            w[i] -= v[i] if i < normal else 0.0
            out_coefficients[s, i] = -w[i]
        copy(above[0], 0, w, 0, p + 1)
        for d in range(depth):
            current[d] = -1
        for finest in range(shapes[(depth - 1) * SHAPE + LEVELS] if depth else 0):
            chain[depth - 1] = finest
            for d in range(depth - 1, 0, -1):
                chain[d - 1] = parents[shapes[d * SHAPE + AT_PARENTS] + chain[d]]
            for d in range(depth):
                if chain[d] == current[d]:
                    continue
                current[d] = chain[d]
                q, width = shapes[d * SHAPE + EFFECTS], shapes[d * SHAPE + WIDTH]
                r, levels, at = width - q, shapes[d * SHAPE + LEVELS], shapes[d * SHAPE + AT_ROWS] + chain[d]
                # v = h w + sigma S^-1 z = S^-1 (u w + sigma z)
                place = starts[d] + chain[d] * q
                for i in range(q - 1, -1, -1):
                    row = at + i * width * levels
                    v[i] = values[-1] * normals[s, normal + place + i]
                    for j in range(r):
                        v[i] += done[row + (q + j) * levels] * above[d, j]
                    for j in range(i + 1, q):
                        v[i] -= done[row + j * levels] * v[j]
                    v[i] /= done[row + i * levels]
                clear(effects, 0, q)
                product(effects, 0, 1, f, d * most * most, most, 1, v, 0, 1, 1, q, q, 1, 1.0)
                for i in range(q):
                    out_effects[s, place + i] = effects[i]
                    above[d + 1, i] = -effects[i]
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
