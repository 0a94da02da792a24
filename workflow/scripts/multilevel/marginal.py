"""Gaussian models with their group effects integrated out: the density that is sampled, and exact draws given each draw.

For y = X b + sum of Z r + e with e ~ N(0, sigma^2), or N(0, s^2) with a known s for each row, the effects r of one nested
chain of groupings, and all coefficients b whose priors are normal or flat, have a closed integral. What is sampled are the
sds, the correlations, sigma and the coefficients with other priors, in the coordinates of `model`; b and r are then drawn from
their exact conditional distribution, once for each draw. The posterior is that of the plain fit. Likelihood weights count as
in `model`.

Rows enter only by a triangle for each level of a grouping, so a gradient costs as much for a thousand rows as for a million.
`marginal_kernels` has the algebra.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from multilevel import nesting
from multilevel.default_priors import Resolved, coefficient_name, cor_name, sd_name
from multilevel.design import Design
from multilevel.nesting import Grouping
from multilevel.priors import Prior

Array = NDArray[np.float64]

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "multilevel" / "numba"

CLOSED = ("normal", "flat")
"""Priors of coefficients that are integrated out."""

BLOCK = 4_000_000
"""Most standard normals that a block of draws takes: 32 MB."""

ROWS = 200_000
"""Rows that are compressed at a time."""


@cache
def kernels() -> ModuleType:
    """Return `marginal_kernels`, whose machine code is kept between runs.

    Its folder, in the project's cache or where NUMBA_CACHE_DIR says, has a name of its own for each state of the code, of
    Numba and of the processor: jobs that run at the same time write the same files there, whole ones, and none finds what
    another state left.
    """
    import llvmlite.binding as llvm
    import numba

    source = Path(__file__).with_name("marginal_kernels.py").read_bytes()
    state = repr((numba.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()))
    settings: Any = numba.config
    before = settings.CACHE_DIR
    folder = Path(before or CACHE) / hashlib.sha256(source + state.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:  # a project folder that cannot be written: compiling again only costs time
        folder = Path(tempfile.mkdtemp(prefix="multilevel-numba-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings.CACHE_DIR = str(folder)
    try:
        from multilevel import marginal_kernels
    finally:
        settings.CACHE_DIR = before
    return marginal_kernels


@dataclass(frozen=True)
class Drawn:
    """Exact draws of everything, given draws of the sampled parameters; N is chains x draws or whatever stands in front.

    Parameters
    ----------
    intercept
        At the means of the predictors, shape (N,); zeros where the design has none.
    slopes
        The other coefficients, shape (N, slopes).
    sd
        By term key, shape (N, effects).
    partial
        Partial correlations by key of a correlated term, shape (N, pairs).
    effects
        By term key, shape (N, levels, effects).
    sigma
        Shape (N,); ones where the formula has known standard errors for it.
    """

    intercept: Array
    slopes: Array
    sd: dict[str, Array]
    partial: dict[str, Array]
    effects: dict[str, NDArray[np.float32]]
    sigma: Array


@dataclass(frozen=True)
class Marginal:
    """The density of a design with effects and coefficients integrated out; made by `build`.

    Parameters
    ----------
    design, groupings
        The design, and its groupings from the coarsest to the finest.
    names
        What is sampled, one name for each unconstrained number: coefficients with other priors, then for each term
        its sds and partial correlations, then sigma, unless it is known.
    start, spread
        Where chains start, shape (parameters,), and how far around it.
    normal
        Number of coefficients with normal or flat priors.
    back, origin, order
        From coefficients in the basis of X to those at the predictors' means: ``origin + back @ them``, and which
        coefficient of the design each of these is.
    data
        What `marginal_kernels` takes.
    """

    design: Design
    groupings: tuple[Grouping, ...]
    names: tuple[str, ...]
    start: Array
    spread: Array
    normal: int
    back: Array
    origin: Array
    order: tuple[int, ...]
    data: Array

    def log_density(self, x: Array) -> tuple[float, Array]:
        """Return the log density of unconstrained parameters, shape (parameters,), constants included, and its gradient."""
        grad = np.empty(len(x))
        return kernels().density(x, grad, self.data, self.data.view(np.int64)), grad

    def initial(self, seed: int) -> Array:
        """Return where a chain starts, shape (parameters,)."""
        return self.start + self.spread * np.random.default_rng(seed).uniform(-1.0, 1.0, len(self.start))

    def draw(self, x: Array, seed: Sequence[int]) -> Drawn:
        """Draw coefficients and effects once for each draw of the sampled parameters.

        Parameters
        ----------
        x
            Unconstrained parameters, shape (N, parameters).
        seed
            Seed of these draws.
        """
        count, normal = len(x), self.normal
        wide = [g.effects * g.levels for g in self.groupings]
        known = "sigma" not in self.design.scalars
        values, basis = np.empty((count, x.shape[1] + known)), np.empty((count, len(self.origin)))
        effects = {
            term.key: np.empty((count, len(term.levels), len(term.effects)), np.float32)
            for term in self.design.group_terms
        }
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(seed))))
        step = max(1, BLOCK // (normal + sum(wide) + 1))
        for first in range(0, count, step):
            block = slice(first, min(count, first + step))
            size = block.stop - block.start
            flat = np.empty((size, sum(wide)), np.float32)
            normals = rng.standard_normal((size, normal + sum(wide)))
            kernels().draw(
                np.ascontiguousarray(x[block]),
                normals,
                self.data,
                self.data.view(np.int64),
                values[block],
                basis[block],
                flat,
            )
            at = 0
            for grouping, width in zip(self.groupings, wide, strict=True):
                whole = flat[:, at : at + width].reshape(size, grouping.levels, grouping.effects)
                column = 0
                for term, order in zip(grouping.terms, grouping.orders, strict=True):
                    effects[term.key][block][:, order] = whole[:, :, column : column + len(term.effects)]
                    column += len(term.effects)
                at += width
        return self._named(values, basis, effects)

    def _named(self, values: Array, basis: Array, effects: dict[str, NDArray[np.float32]]) -> Drawn:
        part = self.design.predictors[0]
        b = np.empty((len(values), len(part.coefficients)))
        b[:, self.order] = self.origin + basis @ self.back.T
        intercept = b[:, part.coefficients.index(part.intercept)] if part.has_intercept else np.zeros(len(b))
        sd, partial = {}, {}
        at = len(self.origin) - self.normal
        for term in (t for g in self.groupings for t in g.terms):
            size = len(term.effects)
            signed, at = values[:, at : at + size], at + size
            sd[term.key] = np.abs(signed)
            if term.correlated:
                # Turning an sd's sign turns that of the effect's correlations.
                pairs = size * (size - 1) // 2
                rows, columns = np.tril_indices(size, k=-1)
                signs = np.where(signed < 0.0, -1.0, 1.0)
                partial[term.key] = values[:, at : at + pairs] * signs[:, rows] * signs[:, columns]
                at += pairs
        return Drawn(intercept, b[:, part.slopes], sd, partial, effects, values[:, -1])


def build(design: Design, priors: Sequence[Resolved]) -> Marginal:
    """Compress the rows of a design and lay out what is sampled.

    Parameters
    ----------
    design
        A design that `reason_against` has nothing against.
    priors
        The prior of every parameter, from `default_priors.resolve`.
    """
    by_name = {p.parameter: p.prior for p in priors}
    found = nesting.chain(design.group_terms)
    if isinstance(found, tuple):
        raise ValueError(f"the groups {found[0]} and {found[1]} are crossed")
    by_row = _by_row(design)
    fixed = _fixed(design, by_name, by_row.scale)
    unit = math.sqrt(float(fixed.residuals @ fixed.residuals) / float(by_row.scale @ by_row.scale)) or 1.0
    sampled = [*fixed.sampled, *_of_terms(found, by_name, design.parameters[0], unit)]
    known = "sigma" not in design.scalars
    sampled += [] if known else [_Sampled("sigma", by_name["sigma"], unit)]
    constant = fixed.constant + by_row.constant - 0.5 * by_row.count * math.log(2.0 * math.pi)
    sizes = [constant, by_row.count, max((g.effects for g in found), default=1), float(known)]
    table, first = [], 0
    for position, grouping in enumerate(found):
        for term in grouping.terms:
            table.append([position, first, len(term.effects), int(term.correlated)])
            first += len(term.effects)
        first = 0
    shapes, parents, children, triangles, c = _compressed(found, fixed, by_row.scale)
    parts = [
        sizes, [_coded(s) for s in sampled], np.array(table, np.int64), shapes, parents, children, triangles, c,
        fixed.at_mean, fixed.at_scale, fixed.precision,
    ]  # fmt: skip
    return Marginal(
        design=design,
        groupings=tuple(found),
        names=tuple(s.name for s in sampled),
        start=np.array([_unconstrained(s) for s in sampled]),
        spread=np.array([s.spread for s in sampled]),
        normal=len(fixed.precision),
        back=fixed.back,
        origin=fixed.origin,
        order=fixed.order,
        data=_packed(parts),
    )


@dataclass(frozen=True)
class _ByRow:
    """What known standard errors s and weights w of the rows do: w log N(y | mu, s^2 sigma^2), as if of fewer or more rows.

    Parameters
    ----------
    scale
        What a row of y, X and Z is multiplied by: sqrt(w) / s, shape (rows,).
    count
        Sum of the weights, which is how often log sigma counts.
    constant
        - sum of w log s.
    """

    scale: Array
    count: float
    constant: float


def _by_row(design: Design) -> _ByRow:
    ones = np.ones(len(design.y))
    weights, errors = design.terms.get("weights", ones), design.terms.get("se", ones)
    return _ByRow(np.sqrt(weights) / errors, float(weights.sum()), -float(weights @ np.log(errors)))


def deviance(design: Design, b: Array, effects: Mapping[str, NDArray[np.float32]], sigma: Array) -> Array:
    """Return -2 log p(y | coefficients, group effects, sigma) of draws, shape (S,), without touching the rows for each.

    The squares of the residuals are those of what the compressed rows leave, which are as many as there are effects.

    Parameters
    ----------
    design
        A design that `nesting.reason_against` has nothing against, or from which nothing would be left to sample.
    b
        Coefficients, intercept at predictor values of 0, shape (S, coefficients).
    effects
        By term key, shape (S, levels, effects).
    sigma
        Shape (S,); ones where the formula has known standard errors for it.
    """
    found, part, by_row = nesting.chain(design.group_terms), design.predictors[0], _by_row(design)
    if isinstance(found, tuple):
        raise ValueError(f"the groups {found[0]} and {found[1]} are crossed")
    flat = {coefficient_name(name): Prior("uniform", (0.0, 1.0)) for name in part.coefficients}  # of none is use made
    fixed = _fixed(design, flat, by_row.scale)
    shapes, _, _, triangles, c = _compressed(found, fixed, by_row.scale)
    centred = b.copy()
    if part.has_intercept:
        centred[:, part.coefficients.index(part.intercept)] += b[:, part.slopes] @ part.means
    size = len(fixed.order)
    w = np.ones((len(b), size + 1))
    w[:, :size] = -np.linalg.solve(fixed.back, (centred[:, fixed.order] - fixed.origin).T).T
    squares = np.einsum("si,ij,sj->s", w, c.reshape(size + 1, size + 1), w, optimize=True)
    step = max(1, BLOCK // max(1, sum(g.effects * g.levels for g in found)))
    for first in range(0, len(b) if found else 0, step):
        block = slice(first, first + step)
        above = np.empty((len(w[block]), 1, 0))
        for grouping, shape in zip(found, shapes.reshape(len(found), -1), strict=True):
            q, width, levels, at = (int(n) for n in shape[:4])
            own = [-effects[t.key][block][:, o] for t, o in zip(grouping.terms, grouping.orders, strict=True)]
            above = np.concatenate([*own, above[:, grouping.parents]], axis=2)
            every = np.broadcast_to(w[block, None], (len(above), levels, size + 1))
            rows = triangles[at : at + q * width * levels].reshape(q, width, levels)
            left = np.einsum("iml,slm->sil", rows, np.concatenate([above, every], axis=2), optimize=True)
            squares[block] += np.square(left).sum(axis=(1, 2))
    constant = by_row.constant
    if design.log_jacobian is not None:
        constant += float(design.terms.get("weights", np.ones(len(design.y))) @ design.log_jacobian)
    logs = by_row.count * (2.0 * np.log(sigma) + math.log(2.0 * math.pi)) - 2.0 * constant
    return np.asarray(logs + squares / np.square(sigma))


def _packed(parts: Sequence[Any]) -> Array:
    """Return arrays as one, with where each starts and the last one ends in front; whole numbers keep their bits."""
    arrays = [np.ascontiguousarray(part).ravel() for part in parts]
    flat = [p.view(np.float64) if p.dtype == np.int64 else p.astype(np.float64) for p in arrays]
    starts = np.cumsum([len(flat) + 1, *(len(p) for p in flat)], dtype=np.int64)
    return np.concatenate([starts.view(np.float64), *flat])


@dataclass(frozen=True)
class _Sampled:
    """One number that is sampled.

    Parameters
    ----------
    name, prior
        Its name and its prior; ``partial(s)`` is that of a partial correlation p with (p + 1) / 2 ~ Beta(s, s).
    value, spread
        Where chains start, and how far around it on the unconstrained scale.
    two_sided
        Whether it is a standard deviation that may take both signs.
    """

    name: str
    prior: Prior
    value: float
    spread: float = 1.0
    two_sided: bool = False


def _of_terms(groupings: Sequence[Grouping], priors: dict[str, Prior], first: str, unit: float) -> list[_Sampled]:
    """Return the sds and partial correlations of every term; `unit` is the sd of the residuals of least squares."""
    found = []
    for term in (t for g in groupings for t in g.terms):
        for effect, scale in zip(term.effects, term.scales, strict=True):
            name = sd_name(term, effect)
            found.append(_Sampled(name, priors[name], 0.5 * unit / float(scale), two_sided=_finite_at_0(priors[name])))
        if term.correlated:
            name, size = cor_name(term, first), len(term.effects)
            eta = priors[name].arguments[0]
            # As in `model`: partial correlations of variables k < i given the first k ones.
            shapes = [eta + (size - 2 - k) / 2.0 for i in range(1, size) for k in range(i)]
            found += [_Sampled(name, Prior("partial", (shape,)), 0.0) for shape in shapes]
    return found


def _finite_at_0(prior: Prior) -> bool:
    """Tell whether a prior of a standard deviation has a density at 0 that is neither 0 nor infinite."""
    at_0 = {"half_normal", "half_student_t", "half_cauchy", "exponential"}
    if prior.on:
        return False
    return prior.name in at_0 or (prior.name == "uniform" and prior.arguments[0] == 0.0)


@dataclass(frozen=True)
class _Fixed:
    """The fixed part in a basis of orthogonal columns, those of coefficients with normal or flat priors first."""

    basis: Array
    residuals: Array
    sampled: list[_Sampled]
    constant: float
    at_mean: Array
    at_scale: Array
    precision: Array
    back: Array
    origin: Array
    order: tuple[int, ...]


def _fixed(design: Design, priors: dict[str, Prior], scale: Array) -> _Fixed:
    part = design.predictors[0]
    y = (design.y - part.offset) * scale
    x = part.x
    if part.has_intercept:
        x = x.copy()
        x[:, part.slopes] -= part.means
    own = [priors[coefficient_name(name)] for name in part.coefficients]
    order = sorted(range(len(own)), key=lambda i: own[i].name not in CLOSED)
    normal = sum(p.name in CLOSED for p in own)
    basis, triangle = _orthogonal(x[:, order] * scale[:, None])
    fitted = basis.T @ y / len(y)
    residuals = y - basis @ fitted
    again = basis.T @ residuals / len(y)  # what rounding left
    residuals -= basis @ again
    back = _inverse(triangle)
    origin = back @ (fitted + again)
    # A flat prior is a normal one of infinite width, its density 1.
    closed = [own[i] for i in order[:normal]]
    mu = np.array([prior.arguments[0] if prior.proper else at for prior, at in zip(closed, origin, strict=False)])
    sd = np.array([prior.arguments[1] if prior.proper else np.inf for prior in closed])
    widths = np.array([prior.arguments[1] if prior.proper else 1.0 / math.sqrt(2.0 * math.pi) for prior in closed])
    at_scale = triangle[:, normal:].copy()
    at_mean = -at_scale @ origin[normal:]
    at_mean[:normal] += triangle[:normal, :normal] @ (mu - origin[:normal])
    # Coefficients with such priors in the basis in which these are independent.
    scaled = back[:normal, :normal] / sd[:, None]
    precision, rotation = np.linalg.eigh(scaled.T @ scaled)
    precision = np.maximum(precision, 0.0)  # where some are flat, rounding leaves a little of either sign
    basis[:, :normal] = basis[:, :normal] @ rotation
    back[:, :normal] = back[:, :normal] @ rotation
    at_mean[:normal], at_scale[:normal] = rotation.T @ at_mean[:normal], rotation.T @ at_scale[:normal]
    deviation = math.sqrt(float(residuals @ residuals) / len(y))
    errors = deviation * np.sqrt(np.square(back).sum(axis=1) / len(y))
    # Chains start three standard errors around least squares, where the coefficient has no bounds.
    sampled = [
        _Sampled(
            coefficient_name(part.coefficients[i]),
            own[i],
            float(origin[k]),
            1.0 if own[i].name == "uniform" else 3.0 * float(errors[k]),
        )
        for k, i in enumerate(order)
        if k >= normal
    ]
    return _Fixed(
        basis=basis,
        residuals=residuals,
        sampled=sampled,
        constant=-float(np.log(np.abs(np.diag(triangle))[:normal]).sum() + np.log(widths).sum()),
        at_mean=at_mean,
        at_scale=at_scale,
        precision=precision,
        back=back,
        origin=origin,
        order=tuple(order),
    )


def _orthogonal(columns: Array) -> tuple[Array, Array]:
    """Return orthogonal columns of mean square 1 that span the same space, and the triangle that gives the columns back."""
    if not columns.shape[1]:
        return columns, np.zeros((0, 0))
    basis, triangle = np.linalg.qr(columns)
    root = math.sqrt(len(columns))
    return basis * root, triangle / root


def _inverse(triangle: Array) -> Array:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(triangle, np.eye(len(triangle)))) if len(triangle) else triangle


def _compressed(
    groupings: Sequence[Grouping], fixed: _Fixed, scale: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Return shapes, parents, children, R and D of every level, and the cross-products that are left of X and y."""
    rows, p = len(fixed.residuals), len(fixed.order)
    shapes, children, at_rows, at_parents, at_children, width = [], [], 0, 0, 0, p + 1
    for position, grouping in enumerate(groupings):
        width += grouping.effects
        shapes.append([grouping.effects, width, grouping.levels, at_rows, at_parents, at_children])
        at_rows, at_parents = at_rows + grouping.levels * grouping.effects * width, at_parents + grouping.levels
        if position + 1 < len(groupings):
            counts = np.bincount(groupings[position + 1].parents, minlength=grouping.levels)
            children.append(np.concatenate([[0], np.cumsum(counts)]))
            at_children += grouping.levels + 1
    parents = np.concatenate([np.zeros(0, np.int64), *(g.parents for g in groupings)])
    within = np.concatenate([np.zeros(0, np.int64), *children])
    table, triangles = np.array(shapes, np.int64).ravel(), np.zeros(at_rows)
    if not groupings:
        # The columns of X are orthogonal to each other and to the residuals.
        squares = float(fixed.residuals @ fixed.residuals)
        return table, parents, within, triangles, np.diag([*[float(rows)] * p, squares])
    c = np.zeros((p + 1) ** 2)
    finest = groupings[-1].index
    for start in range(0, rows, ROWS):
        block = slice(start, start + ROWS)
        z = [term.z[block] * scale[block, None] for grouping in reversed(groupings) for term in grouping.terms]
        columns = np.column_stack([*z, fixed.basis[block], fixed.residuals[block]])
        kernels().compress(np.ascontiguousarray(columns), finest[block], table, parents, triangles, c)
    return table, parents, within, triangles, c


def _coded(sampled: _Sampled) -> list[float]:
    """Return a row of priors as `marginal_kernels.prior` takes it: kind, three arguments, log of the constant, power."""
    prior, power = sampled.prior, {"": 1.0, "variance": 0.5, "precision": -0.5}[sampled.prior.on]
    if prior.name == "sqrt_inverse_gamma":
        prior, power = replace(prior, name="inverse_gamma"), 0.5
    return [*_distribution(replace(sampled, prior=prior)), power]


def _distribution(sampled: _Sampled) -> list[float]:
    """Return what a row of priors says of what has the distribution."""
    k, prior, value = kernels(), sampled.prior, sampled.prior.arguments
    log_2, log_pi = math.log(2.0), math.log(math.pi)

    def student(nu: float, scale: float) -> float:
        return float(gammaln((nu + 1) / 2) - gammaln(nu / 2)) - 0.5 * (math.log(nu) + log_pi) - math.log(scale)

    def row(kind: int, arguments: Sequence[float], constant: float) -> list[float]:
        return [float(kind), *arguments, *[0.0] * (3 - len(arguments)), constant]

    two, width = sampled.two_sided, sampled.value
    match prior.name:
        case "normal":
            return row(k.NORMAL, value, -0.5 * (log_2 + log_pi) - math.log(value[1]))
        case "student_t":
            return row(k.STUDENT, value, student(value[0], value[2]))
        case "cauchy":
            return row(k.STUDENT, (1.0, *value), student(1.0, value[1]))
        case "logistic":
            return row(k.LOGISTIC, value, -math.log(value[1]))
        case "half_flat":
            return row(k.GAMMA, (1.0, 0.0), 0.0)
        case "uniform":
            return row(k.TWO_UNIFORM if two else k.UNIFORM, value, 0.0)
        case "half_normal":
            # Of two signs, each has half of the density.
            constant = (0.0 if two else log_2) - 0.5 * (log_2 + log_pi) - math.log(value[0])
            return row(k.TWO_NORMAL, (value[0], 0.0, width), constant) if two else row(k.HALF_NORMAL, value, constant)
        case "half_student_t" | "half_cauchy":
            nu, scale = value if prior.name == "half_student_t" else (1.0, *value)
            constant = (0.0 if two else log_2) + student(nu, scale)
            return (
                row(k.TWO_STUDENT, (nu, scale, width), constant) if two else row(k.HALF_STUDENT, (nu, scale), constant)
            )
        case "exponential":
            constant = math.log(value[0]) - (log_2 if two else 0.0)
            return (
                row(k.TWO_EXPONENTIAL, (value[0], 0.0, width), constant)
                if two
                else row(k.GAMMA, (1.0, *value), constant)
            )
        case "gamma" | "inverse_gamma":
            constant = value[0] * math.log(value[1]) - float(gammaln(value[0]))
            return row(k.GAMMA if prior.name == "gamma" else k.INVERSE_GAMMA, value, constant)
        case "lognormal":
            return row(k.LOGNORMAL, value, -0.5 * (log_2 + log_pi) - math.log(value[1]))
        case "partial":
            return row(k.PARTIAL, value, -float(betaln(value[0], value[0])))
        case other:
            raise KeyError(other)


def _unconstrained(sampled: _Sampled) -> float:
    """Return where a value stands on the whole real line; of a uniform prior, one well inside its bounds."""
    name, value = sampled.prior.name, sampled.value
    if sampled.prior.on or name == "sqrt_inverse_gamma":
        value **= -2.0 if sampled.prior.on == "precision" else 2.0
    if name == "uniform":
        lower, upper = sampled.prior.arguments
        share = min(max((value - lower) / (upper - lower), 0.1), 0.9)
        return 2.0 * math.atanh(share) if sampled.two_sided else math.log(share / (1.0 - share))
    if name in {"normal", "student_t", "cauchy", "logistic"}:
        return value
    if name == "partial":
        return 2.0 * math.atanh(value)
    return math.asinh(1.0) if sampled.two_sided else math.log(value)
