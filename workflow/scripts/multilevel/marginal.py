"""Gaussian models with their group effects integrated out: the density that is sampled, and exact draws given each draw.

For y = X b + sum of Z r + e with e ~ N(0, sigma^2), the effects r of one nested chain of groupings, and all coefficients b
whose priors are normal, have a closed integral. What is sampled are the sds, the correlations, sigma and the coefficients
with other priors, in the coordinates of `model`; b and r are then drawn from their exact conditional distribution, once for
each draw. The posterior is that of the plain fit.

Rows enter only by their cross-products within each level of a grouping, so a gradient costs as much for a thousand rows as
for a million. To lose no digits in these sums, y is taken as the residual of a least-squares fit, and X, and Z of each term,
in a basis of orthogonal columns, which the factors of their covariance are moved into and the draws out of again.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

BLOCK = 4_000_000
"""Most standard normals that a block of draws takes: 32 MB."""


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
        Shape (N,).
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
    names
        What is sampled, one name for each unconstrained number: coefficients whose prior is no normal, then for each term
        its sds and partial correlations, then sigma.
    start
        Where chains start, shape (parameters,), and how far around it.
    constant
        What the log density has beside what the loops add up.
    rows
        Number of rows.
    priors
        One row for each name, as `marginal_kernels.prior` takes it.
    at_mean, at_scale, precision
        What `marginal_kernels.regress` takes.
    back, origin
        From coefficients in the basis of X to those at the predictors' means: ``origin + back @ them``.
    order
        Which coefficient of the design each of these is.
    terms, bases, shapes, parents, a, b, c
        What `marginal_kernels` takes.
    """

    design: Design
    groupings: tuple[Grouping, ...]
    names: tuple[str, ...]
    start: Array
    spread: Array
    constant: float
    rows: float
    priors: Array
    at_mean: Array
    at_scale: Array
    precision: Array
    back: Array
    origin: Array
    order: tuple[int, ...]
    terms: NDArray[np.int64]
    bases: Array
    shapes: NDArray[np.int64]
    parents: NDArray[np.int64]
    a: Array
    b: Array
    c: Array

    def _fixed(self) -> tuple[Any, ...]:
        """Return what the loops take last: the same for every call, and work space for one thread."""
        most = max((g.effects for g in self.groupings), default=1)
        # With one grouping nothing changes its cross-products, so the work space is themselves.
        work = (self.a, self.b) if len(self.groupings) < 2 else (np.empty_like(self.a), np.empty_like(self.b))
        return (
            self.priors, self.terms, self.bases, self.shapes, self.parents, self.a, self.b, self.c, self.at_mean, self.at_scale,
            self.precision, most, *work, np.empty_like(self.a), np.empty_like(self.b),
        )  # fmt: skip

    def function(self) -> Callable[[Array], tuple[float, Array]]:
        """Return a function from unconstrained parameters to log density and gradient, with work space of its own."""
        compiled, fixed, constant, rows = kernels().density, self._fixed(), self.constant, self.rows

        def log_density(x: Array) -> tuple[float, Array]:
            grad = np.empty(len(x))
            return compiled(x, grad, constant, rows, *fixed), grad

        return log_density

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
        count, coefficients, normal = len(x), len(self.origin), len(self.precision)
        wide = [g.effects * g.levels for g in self.groupings]
        values, basis = np.empty(x.shape), np.empty((count, coefficients))
        effects = {
            term.key: np.empty((count, len(term.levels), len(term.effects)), np.float32)
            for term in self.design.group_terms
        }
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(seed))))
        step = max(1, BLOCK // (normal + sum(wide) + 1))
        fixed, compiled = self._fixed(), kernels().draw
        for first in range(0, count, step):
            block = slice(first, min(count, first + step))
            size = block.stop - block.start
            flat = np.empty((size, sum(wide)), np.float32)
            normals = rng.standard_normal((size, normal + sum(wide)))
            compiled(np.ascontiguousarray(x[block]), normals, *fixed, values[block], basis[block], flat)
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
        at = len(self.at_mean) - len(self.precision)
        for term in (t for g in self.groupings for t in g.terms):
            size = len(term.effects)
            pairs = size * (size - 1) // 2 if term.correlated else 0
            sd[term.key] = values[:, at : at + size]
            if pairs:
                partial[term.key] = values[:, at + size : at + size + pairs]
            at += size + pairs
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
    fixed = _fixed(design, by_name)
    terms, bases, columns = _terms(found)
    shapes, parents, a, b = _cross_products(found, columns, np.column_stack([fixed.basis, fixed.residuals]))
    sampled = [(name, by_name[name], value, spread) for name, value, spread in fixed.sampled]
    unit = math.sqrt(float(np.mean(np.square(fixed.residuals)))) or 1.0
    for term in (t for g in found for t in g.terms):
        for effect, scale in zip(term.effects, term.scales, strict=True):
            name = sd_name(term, effect)
            sampled.append((name, by_name[name], 0.5 * unit / float(scale), 1.0))
        if term.correlated:
            name, size = cor_name(term, design.parameters[0]), len(term.effects)
            eta = by_name[name].arguments[0]
            # As in `model`: partial correlations of variables k < i given the first k ones.
            shape = [eta + (size - 2 - k) / 2.0 for i in range(1, size) for k in range(i)]
            sampled += [(name, Prior("partial", (s,)), 0.0, 1.0) for s in shape]
    sampled.append(("sigma", by_name["sigma"], unit, 1.0))
    return Marginal(
        design=design,
        groupings=tuple(found),
        names=tuple(name for name, *_ in sampled),
        start=np.array([_unconstrained(prior, value) for _, prior, value, _ in sampled]),
        spread=np.array([spread for *_, spread in sampled]),
        constant=fixed.constant - 0.5 * len(design.y) * math.log(2.0 * math.pi),
        rows=float(len(design.y)),
        priors=np.array([_coded(prior) for _, prior, _, _ in sampled]),
        at_mean=fixed.at_mean,
        at_scale=fixed.at_scale.ravel(),
        precision=fixed.precision,
        back=fixed.back,
        origin=fixed.origin,
        order=fixed.order,
        terms=terms,
        bases=bases,
        shapes=shapes,
        parents=parents,
        a=a,
        b=b,
        c=np.diag([*[float(len(design.y))] * fixed.basis.shape[1], float(fixed.residuals @ fixed.residuals)]).ravel(),
    )


@dataclass(frozen=True)
class _Fixed:
    """The fixed part in a basis of orthogonal columns, those of coefficients with normal priors first."""

    basis: Array
    residuals: Array
    sampled: list[tuple[str, float, float]]
    constant: float
    at_mean: Array
    at_scale: Array
    precision: Array
    back: Array
    origin: Array
    order: tuple[int, ...]


def _fixed(design: Design, priors: dict[str, Prior]) -> _Fixed:
    part = design.predictors[0]
    y = design.y - part.offset
    x = part.x
    if part.has_intercept:
        x = x.copy()
        x[:, part.slopes] -= x[:, part.slopes].mean(axis=0)
    own = [priors[coefficient_name(name)] for name in part.coefficients]
    order = sorted(range(len(own)), key=lambda i: own[i].name != "normal")
    normal = sum(p.name == "normal" for p in own)
    basis, triangle = _orthogonal(x[:, order])
    fitted = basis.T @ y / len(y)
    residuals = y - basis @ fitted
    again = basis.T @ residuals / len(y)  # what rounding left
    residuals -= basis @ again
    back = _inverse(triangle)
    origin = back @ (fitted + again)
    mu, sd = (np.array([own[i].arguments[k] for i in order[:normal]]) for k in range(2))
    at_scale = triangle[:, normal:].copy()
    at_mean = -at_scale @ origin[normal:]
    at_mean[:normal] += triangle[:normal, :normal] @ (mu - origin[:normal])
    # Coefficients with normal priors in the basis in which these are independent.
    scaled = back[:normal, :normal] / sd[:, None]
    precision, rotation = np.linalg.eigh(scaled.T @ scaled)
    basis[:, :normal] = basis[:, :normal] @ rotation
    back[:, :normal] = back[:, :normal] @ rotation
    at_mean[:normal], at_scale[:normal] = rotation.T @ at_mean[:normal], rotation.T @ at_scale[:normal]
    deviation = math.sqrt(float(residuals @ residuals) / len(y))
    errors = deviation * np.sqrt(np.square(back).sum(axis=1) / len(y))
    # Chains start three standard errors around least squares, where the coefficient has no bounds.
    sampled = [
        (
            coefficient_name(part.coefficients[i]),
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
        constant=-float(np.log(np.abs(np.diag(triangle))[:normal]).sum() + np.log(sd).sum()),
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


def _terms(groupings: Sequence[Grouping]) -> tuple[NDArray[np.int64], Array, list[Array]]:
    """Return the table of terms, their bases, and for each grouping the columns of its effects in those bases."""
    table, bases, columns = [], [], []
    at = 0
    for position, grouping in enumerate(groupings):
        first, parts = 0, []
        for term in grouping.terms:
            size = len(term.effects)
            basis, triangle = _orthogonal(term.z)
            table.append([position, first, size, int(term.correlated), at])
            bases.append(triangle.ravel())
            parts.append(basis)
            first, at = first + size, at + size * size
        columns.append(np.column_stack(parts))
    return np.array(table, np.int64).reshape(-1, 5), np.concatenate([np.zeros(0), *bases]), columns


def _cross_products(
    groupings: Sequence[Grouping], columns: Sequence[Array], rest: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Return shapes, parents, and the cross-products of every level: Z'Z, and Z' with the columns that remain after it."""
    shapes, parents, a, b = [], [], [np.zeros(0)], [np.zeros(0)]
    at_a = at_b = at_level = 0
    for grouping, z in zip(groupings, columns, strict=True):
        q, r, levels = z.shape[1], rest.shape[1], grouping.levels
        shapes.append([q, r, levels, at_a, at_b, at_level])
        parents.append(grouping.parents)
        own, other = np.empty((levels, q, q)), np.empty((levels, q, r))
        for i in range(q):
            for j in range(i + 1):
                own[:, i, j] = own[:, j, i] = np.bincount(grouping.index, z[:, i] * z[:, j], levels)
            for j in range(r):
                other[:, i, j] = np.bincount(grouping.index, z[:, i] * rest[:, j], levels)
        a.append(own.ravel())
        b.append(other.ravel())
        at_a, at_b, at_level = at_a + own.size, at_b + other.size, at_level + levels
        rest = np.column_stack([z, rest])
    return (
        np.array(shapes, np.int64).reshape(-1, 6),
        np.concatenate([np.zeros(0, np.int64), *parents]),
        np.concatenate(a),
        np.concatenate(b),
    )


def _coded(prior: Prior) -> list[float]:
    """Return a row of `Marginal.priors`: kind, three arguments, and the log of the density's constant."""
    k, arguments = kernels(), prior.arguments
    log_2pi, log_pi = math.log(2.0 * math.pi), math.log(math.pi)

    def student(nu: float, scale: float) -> float:
        return float(gammaln((nu + 1) / 2) - gammaln(nu / 2)) - 0.5 * (math.log(nu) + log_pi) - math.log(scale)

    match prior.name:
        case "normal":
            kind, constant = k.NORMAL, -0.5 * log_2pi - math.log(arguments[1])
        case "student_t":
            kind, constant = k.STUDENT, student(arguments[0], arguments[2])
        case "cauchy":
            arguments = (1.0, *arguments)
            kind, constant = k.STUDENT, student(1.0, arguments[2])
        case "uniform":
            kind, constant = k.UNIFORM, 0.0
        case "half_normal":
            kind, constant = k.HALF_NORMAL, 0.5 * (math.log(2.0) - log_pi) - math.log(arguments[0])
        case "half_student_t":
            kind, constant = k.HALF_STUDENT, math.log(2.0) + student(*arguments)
        case "half_cauchy":
            arguments = (1.0, *arguments)
            kind, constant = k.HALF_STUDENT, math.log(2.0) + student(*arguments)
        case "exponential":
            arguments = (1.0, *arguments)
            kind, constant = k.GAMMA, math.log(arguments[1])
        case "gamma":
            kind, constant = k.GAMMA, arguments[0] * math.log(arguments[1]) - float(gammaln(arguments[0]))
        case "inverse_gamma":
            kind, constant = k.INVERSE_GAMMA, arguments[0] * math.log(arguments[1]) - float(gammaln(arguments[0]))
        case "lognormal":
            kind, constant = k.LOGNORMAL, -0.5 * log_2pi - math.log(arguments[1])
        case "partial":
            kind, constant = k.PARTIAL, -float(betaln(arguments[0], arguments[0]))
        case other:
            raise KeyError(other)
    return [float(kind), *arguments, *[0.0] * (3 - len(arguments)), constant]


def _unconstrained(prior: Prior, value: float) -> float:
    """Return where a value stands on the whole real line; of a uniform prior, one well inside its bounds."""
    if prior.name == "uniform":
        lower, upper = prior.arguments
        share = min(max((value - lower) / (upper - lower), 0.1), 0.9)
        return math.log(share / (1.0 - share))
    return value if prior.name in {"normal", "student_t", "cauchy", "partial"} else math.log(value)
