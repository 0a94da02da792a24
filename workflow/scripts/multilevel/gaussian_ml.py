"""Maximum likelihood and REML for Gaussian multilevel models, the group effects integrated out in closed form.

The model is y ~ N(X b + offset, sigma^2 V) with V = I + Z Lambda Lambda' Z', where Lambda holds one lower-triangular factor
for each group term, repeated over its levels; sigma^2 Lambda Lambda' is the covariance of the group effects. With
M = Lambda' Z'Z Lambda + I, r^2 = min_b (y - X b)' V^-1 (y - X b), n rows and p coefficients, the deviances, b and sigma
profiled out, are (Bates, Maechler, Bolker & Walker 2015, J. Statistical Software 67(1), equations 35 and 42)

    ML      log|M| + n (1 + log(2 pi r^2 / n))
    REML    log|M| + log|X' V^-1 X| + (n - p) (1 + log(2 pi r^2 / (n - p)))

and half of them, with the sign turned, are the log likelihood and the restricted log likelihood as lme4 and nlme print them.

Where every row's standard error s_i is known (a meta-analysis), rows are divided by it, sigma is 1 and is not profiled:

    ML      log|M| + n log(2 pi) + r^2 + 2 sum log s_i
    REML    log|M| + log|X' V^-1 X| + (n - p) log(2 pi) + r^2 + 2 sum log s_i

metafor adds log|X'X| / 2 to the restricted log likelihood (its REMLf); lme4, nlme and this module do not.

Rows enter through their cross-products alone, computed once: with one grouping as one small block for each level
(Woodbury's identity level by level), with several groupings, nested or crossed, as sparse matrices. Everything is computed
on coordinates in which X has orthonormal columns, y is the least-squares residual and each column of Z has unit mean square,
so that neither a predictor's unit nor its zero costs digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import block_diag, cho_factor, cho_solve, qr, solve_triangular
from scipy.optimize import minimize
from scipy.sparse.linalg import splu

from multilevel.default_priors import coefficient_name, cor_names, sd_name
from multilevel.design import Design, Term

Array = NDArray[np.float64]
Estimator = Literal["ml", "reml"]


class Objective(Protocol):
    """What is minimised: `CrossProducts`, or another deviance."""

    def deviance(self, theta: Array, estimator: Estimator, /) -> float:
        """Return the deviance or REML criterion."""


LOG_2PI = float(np.log(2.0 * np.pi))
SINGULAR = 1e-4
"""Relative size of a diagonal element of Lambda below which a fit is singular, as in lme4's isSingular."""

SAME_DEVIANCE = 1e-4
"""Starts whose deviance ends within this of the lowest have reached the same maximum."""

LARGEST_DECREMENT = 1e-6
"""Largest Newton decrement of the deviance, about twice what a further step could gain, of a maximum that was reached."""

SIZES = (1.0, 0.3, 0.05)
"""Relative standard deviations that the search starts from."""


class NotGaussianError(ValueError):
    """A design that has no likelihood of this form; the message says why."""


@dataclass(frozen=True)
class Maximum:
    """What maximises the likelihood or the restricted likelihood of a design.

    Parameters
    ----------
    estimator
        ``ml`` or ``reml``.
    estimates
        Every parameter and every predicted group effect, by the name people write: ``Intercept``, ``b(x)``,
        ``sd(g: x)``, ``cor(g: Intercept, x)``, ``sigma``, ``g[A: Intercept]``. A correlation with an effect that does not
        vary is NaN.
    standard_errors
        Of the coefficients alone, from sigma^2 (X' V^-1 X)^-1.
    log_likelihood
        The log likelihood (``ml``) or the restricted log likelihood (``reml``) at the maximum.
    theta
        Lower triangles of Lambda, column by column, in the order of the terms (lme4 puts the grouping with most levels first).
    singular
        Whether the maximum is on the boundary: an effect that does not vary, or effects that are perfectly correlated.
    reached
        (Restricted) log likelihood at which the search from each start ended.
    decrement
        Newton decrement of the deviance at the maximum.
    rows, coefficients
        Numbers of rows and of coefficients.
    known
        Whether there is no sigma to estimate: standard errors of the rows are known, or the family has none.
    further
        Number of further parameters: correlations of residuals and coefficients of log sigma (`correlated_ml`).
    """

    estimator: Estimator
    estimates: dict[str, float]
    standard_errors: dict[str, float]
    log_likelihood: float
    theta: tuple[float, ...]
    singular: bool
    reached: tuple[float, ...]
    decrement: float
    rows: int
    coefficients: int
    known: bool = False
    further: int = 0

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.decrement <= LARGEST_DECREMENT

    def criteria(self) -> dict[str, float]:
        """Return what is printed of a fit as a whole.

        Both estimators have ``log_likelihood`` and ``deviance``, -2 times it; for REML the deviance is the
        ``reml_criterion``. ML has ``aic`` and ``bic`` too, with one parameter for each coefficient, each element of theta
        and, unless standard errors are known, sigma, and for each of the further parameters.
        """
        deviance = -2.0 * self.log_likelihood
        if self.estimator == "reml":
            return {"log_likelihood": self.log_likelihood, "reml_criterion": deviance}
        parameters = self.coefficients + len(self.theta) + (not self.known) + self.further
        return {
            "log_likelihood": self.log_likelihood,
            "deviance": deviance,
            "aic": deviance + 2.0 * parameters,
            "bic": deviance + float(np.log(self.rows)) * parameters,
        }


def maximise(design: Design, estimator: Estimator) -> Maximum:
    """Maximise the likelihood or the restricted likelihood of a design.

    The profiled deviance is smooth in Lambda and does not change when a column of Lambda changes its sign. So it is
    minimised without bounds, where a boundary of the covariance is a stationary point like any other, from several starts;
    the lowest is polished by Newton's method.

    Parameters
    ----------
    design
        The design of a Gaussian model.
    estimator
        ``ml`` or ``reml``.

    Raises
    ------
    NotGaussianError
        When the columns of X are linearly dependent, or leave no residual.
    """
    products = CrossProducts.of(design)
    ends = [descend(products, estimator, start) for start in starts(products.terms)]
    reached = [products.deviance(end, estimator) for end in ends]
    theta, decrement = polished(products, estimator, ends[int(np.argmin(reached))])
    theta = on_the_boundary(products, estimator, theta)
    return described(design, products, estimator, theta, reached, decrement)


def log_likelihood(
    design: Design, coefficients: Array, sigma: float, covariances: Sequence[Array], estimator: Estimator = "ml"
) -> float:
    """Return the log likelihood with the group effects integrated out, at any parameters.

    Parameters
    ----------
    design
        The design.
    coefficients
        In the order of the columns of X, shape (coefficients,). The restricted likelihood does not depend on them.
    sigma
        Residual standard deviation; 1 where the standard errors of the rows are known.
    covariances
        Covariance of the effects of each group term, shape (effects, effects) each; singular ones are allowed.
    estimator
        ``reml`` for the restricted log likelihood.
    """
    products = CrossProducts.of(design)
    factors = [_semidefinite_factor(np.asarray(c) / sigma**2) for c in covariances]
    factors = [f * scale[:, None] for f, scale in zip(factors, products.z_scales, strict=True)]
    log_det, inner, _ = products.solve(factors)
    p = products.coefficients
    if estimator == "reml":
        quadratic = inner[p, p] - inner[p, :p] @ np.linalg.solve(inner[:p, :p], inner[:p, p]) if p else inner[p, p]
        count = products.rows - p
        log_det += products.log_det_x(inner[:p, :p])
    else:
        shift = products.r @ (coefficients - products.least_squares)
        quadratic = inner[p, p] - 2.0 * inner[p, :p] @ shift + shift @ inner[:p, :p] @ shift
        count = products.rows
    constant = count * (LOG_2PI + 2.0 * np.log(sigma)) + products.log_errors
    return -0.5 * float(constant + log_det + quadratic / sigma**2)


# -- the profiled deviance ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrossProducts:
    """Cross-products of a design, on coordinates that cost no digits.

    Parameters
    ----------
    terms
        The group terms.
    z_scales
        Root mean square of each term's columns of Z, which are divided by it: shape (effects,) each.
    rows, coefficients
        Numbers of rows (n) and of coefficients (p).
    r
        Upper-triangular factor of X = Q r, shape (p, p).
    least_squares
        Coefficients without group effects, shape (p,).
    gram
        W'W of W = [Q e], e the least-squares residual: shape (p + 1, p + 1).
    blocks
        With one grouping, Z_j' Z_j and Z_j' W_j of every level: shapes (levels, q, q) and (levels, q, p + 1).
    z, zw
        With several groupings, Z with the columns of each term level by level, and Z' W.
    known
        Whether rows were divided by standard errors that are known, which makes sigma 1.
    log_errors
        2 sum log s_i of the known standard errors; 0 without them.
    """

    terms: tuple[Term, ...]
    z_scales: tuple[Array, ...]
    rows: int
    coefficients: int
    r: Array
    least_squares: Array
    gram: Array
    blocks: tuple[Array, Array] | None
    z: Any
    zw: Array
    known: bool = False
    log_errors: float = 0.0

    @classmethod
    def of(cls, design: Design, *, one_grouping: bool | None = None) -> CrossProducts:
        """Compute the cross-products of a design.

        Parameters
        ----------
        design
            The design.
        one_grouping
            Whether to compute level by level; where that is possible if left out.

        Raises
        ------
        NotGaussianError
            When the columns of X are linearly dependent, or leave no residual.
        """
        known = knows_errors(design)
        errors = design.terms["se"] if known else np.ones(len(design.y))
        y, x = (design.y - design.offset) / errors, design.x / errors[:, None]
        n, p = x.shape
        q, r = qr(x, mode="economic") if p else (np.zeros((n, 0)), np.zeros((0, 0)))
        size = np.linalg.norm(x, axis=0)
        if p and (p > n or np.abs(np.diag(r)).min() <= 1e-9 * size.max() or (size == 0).any()):
            raise NotGaussianError("the columns of the fixed part are linearly dependent")
        least_squares = solve_triangular(r, q.T @ y) if p else np.zeros(0)
        residual = y - q @ (q.T @ y)
        residual -= q @ (q.T @ residual)
        if not np.linalg.norm(residual) > 1e-10 * np.linalg.norm(y):
            raise NotGaussianError("the fixed part explains the response without a residual")
        w = np.column_stack([q, residual])
        terms = tuple(replace(t, z=t.z / errors[:, None]) for t in design.group_terms) if known else design.group_terms
        scales = tuple(np.maximum(np.sqrt(np.mean(np.square(t.z), axis=0)), 1e-300) for t in terms)
        scaled = [t.z / s for t, s in zip(terms, scales, strict=True)]
        if other := next((t for t in terms if t.dist != "gaussian" or t.autoregressive), None):
            raise NotGaussianError(other.words)
        together = all(_same_grouping(t, terms[0]) for t in terms)
        if one_grouping is None:
            one_grouping = together
        blocks, z, zw = None, None, np.zeros((0, p + 1))
        if terms and one_grouping:
            blocks = _by_level(terms[0], np.column_stack(scaled), w)
        elif terms:
            z = sparse.hstack([_indicator(t, s) for t, s in zip(terms, scaled, strict=True)], format="csc")
            zw = np.asarray(z.T @ w)
            z = (z.T @ z).tocsc()
        log_errors = 2.0 * float(np.log(errors).sum())
        return cls(terms, scales, n, p, r, least_squares, w.T @ w, blocks, z, zw, known, log_errors)

    @cached_property
    def theta_size(self) -> int:
        """Number of free elements of Lambda."""
        return sum(len(_positions(t)) for t in self.terms)

    def factors(self, theta: Array) -> list[Array]:
        """Return the lower-triangular factor of each term, shape (effects, effects)."""
        found, start = [], 0
        for term in self.terms:
            positions = _positions(term)
            factor = np.zeros((len(term.effects), len(term.effects)))
            for value, (row, column) in zip(theta[start:], positions, strict=False):
                factor[row, column] = value
            start += len(positions)
            found.append(factor)
        return found

    def solve(self, factors: Sequence[Array]) -> tuple[float, Array, list[Array]]:
        """Return log|M|, W' V^-1 W, and Lambda M^-1 Lambda' Z' W of each term.

        The last, of shape (levels, effects, p + 1) each, are the group effects predicted for each column of W.
        """
        if not self.terms:
            return 0.0, self.gram, []
        if self.blocks is None:
            return self._solve_sparse(factors)
        zz, zw = self.blocks
        whole = np.asarray(block_diag(*factors)) if len(factors) > 1 else factors[0]
        m = whole.T @ zz @ whole + np.eye(len(whole))
        lower = np.linalg.cholesky(m)
        right = whole.T @ zw
        half = np.linalg.solve(lower, right)
        log_det = 2.0 * float(np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())
        flat = half.reshape(-1, half.shape[2])
        effects = whole @ np.linalg.solve(np.swapaxes(lower, 1, 2), half)
        ends = np.cumsum([len(f) for f in factors])[:-1]
        return log_det, self.gram - flat.T @ flat, np.split(effects, ends, axis=1)

    def _solve_sparse(self, factors: Sequence[Array]) -> tuple[float, Array, list[Array]]:
        """Do the same for several groupings, by a sparse factorisation of M."""
        whole = sparse.block_diag(
            [
                sparse.kron(sparse.eye(t.sources), sparse.csc_matrix(f))
                for t, f in zip(self.terms, factors, strict=True)
            ],
            format="csc",
        )
        m = (whole.T @ self.z @ whole + sparse.eye(whole.shape[0], format="csc")).tocsc()
        # M is positive definite: without pivoting its LU factors are those of Cholesky, and U's diagonal is positive.
        lu = splu(m, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        right = np.asarray(whole.T @ self.zw)
        solved = lu.solve(right)
        log_det = float(np.log(lu.U.diagonal()).sum())
        effects = np.asarray(whole @ solved)
        sizes = [t.sources * len(t.effects) for t in self.terms]
        parts = np.split(effects, np.cumsum(sizes)[:-1], axis=0)
        shaped = [part.reshape(t.sources, len(t.effects), -1) for t, part in zip(self.terms, parts, strict=True)]
        shaped = [part if t.factor is None else _of_levels(t, part) for t, part in zip(self.terms, shaped, strict=True)]
        return log_det, self.gram - right.T @ solved, shaped

    def deviance(self, theta: Array, estimator: Estimator) -> float:
        """Return the profiled deviance or REML criterion; infinite where Lambda is too large to compute with."""
        try:
            log_det, inner, _ = self.solve(self.factors(theta))
            p = self.coefficients
            left = self.rows - p if estimator == "reml" else self.rows
            rss = self._residual_sum(inner)
            if estimator == "reml":
                log_det += self.log_det_x(inner[:p, :p])
        except (np.linalg.LinAlgError, RuntimeError):
            return np.inf
        if self.known:
            value = log_det + left * LOG_2PI + rss + self.log_errors
        else:
            value = log_det + left * (1.0 + LOG_2PI + np.log(rss / left)) if rss > 0 else np.inf
        return float(value) if np.isfinite(value) else np.inf

    def _residual_sum(self, inner: Array) -> float:
        """Return r^2, the generalised sum of squares at the best coefficients."""
        p = self.coefficients
        shift = cho_solve(cho_factor(inner[:p, :p]), inner[:p, p]) if p else np.zeros(0)
        return float(inner[p, p] - inner[p, :p] @ shift)

    def log_det_x(self, inner: Array) -> float:
        """Return log|X' V^-1 X| from Q' V^-1 Q."""
        if not self.coefficients:
            return 0.0
        return 2.0 * float(
            np.log(np.abs(np.diag(np.linalg.cholesky(inner)))).sum() + np.log(np.abs(np.diag(self.r))).sum()
        )


def knows_errors(design: Design) -> bool:
    """Tell whether the standard error of every row is known, and with it the whole residual."""
    return "se" in design.terms and "sigma" not in design.scalars


def _same_grouping(a: Term, b: Term) -> bool:
    """Tell whether two terms share their levels, row by row."""
    return a.exchangeable and b.exchangeable and a.levels == b.levels and bool((a.index == b.index).all())


def _by_level(term: Term, z: Array, w: Array) -> tuple[Array, Array]:
    """Return Z_j' Z_j and Z_j' W_j of every level."""
    count = len(term.levels)

    def summed(left: Array, right: Array) -> Array:
        return np.bincount(term.index, weights=left * right, minlength=count)

    zz = np.stack([[summed(a, b) for b in z.T] for a in z.T])
    zw = np.stack([[summed(a, b) for b in w.T] for a in z.T])
    return np.ascontiguousarray(np.moveaxis(zz, 2, 0)), np.ascontiguousarray(np.moveaxis(zw, 2, 0))


def _indicator(term: Term, z: Array) -> Any:
    """Return the sparse columns of Z of a term, the effects of one level beside one another.

    Of levels with a known covariance F F', the columns are those of Z F, of effects that are independent.
    """
    member = term.membership() if term.factor is None else term.membership() @ term.factor
    parts = [sparse.diags(column) @ member for column in z.T]
    order = np.arange(term.sources * len(parts)).reshape(len(parts), -1).T.ravel()
    return sparse.hstack(parts, format="csc")[:, order]


def _of_levels(term: Term, effects: Array) -> Array:
    """Return the effects of the levels of a known covariance, made of independent ones, shape (levels, effects, p + 1)."""
    flat = term.factor @ effects.reshape(term.sources, -1)
    return np.asarray(flat).reshape(len(term.levels), *effects.shape[1:])


def _positions(term: Term) -> list[tuple[int, int]]:
    """Return the free elements of a term's factor, column by column."""
    size = len(term.effects)
    if not term.correlated:
        return [(i, i) for i in range(size)]
    return [(row, column) for column in range(size) for row in range(column, size)]


def _diagonal(terms: Sequence[Term]) -> NDArray[np.bool_]:
    """Tell which elements of theta stand on the diagonal of Lambda."""
    return np.array([row == column for term in terms for row, column in _positions(term)], dtype=bool)


def _semidefinite_factor(covariance: Array) -> Array:
    """Return a factor F with F F' equal to a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


# -- the search --------------------------------------------------------------------------------------------------------


def starts(terms: Sequence[Term]) -> list[Array]:
    """Return where the search starts.

    Every size for all terms alike, uncorrelated and correlated either way; then each term small beside the others.
    """
    if not terms:
        return [np.zeros(0)]
    diagonal = _diagonal(terms)
    tilts = (0.0, 0.5, -0.5) if not diagonal.all() else (0.0,)
    starts = [np.where(diagonal, size, size * tilt) for size, tilt in itertools.product(SIZES, tilts)]
    owner = np.concatenate([np.full(len(_positions(t)), i) for i, t in enumerate(terms)])
    if len(terms) > 1:
        starts += [np.where(diagonal, np.where(owner == i, 0.05, 1.0), 0.0) for i in range(len(terms))]
    return starts


def descend(products: Objective, estimator: Estimator, start: Array) -> Array:
    """Return where a quasi-Newton search from a start ends."""
    if not len(start):
        return start
    scale = products.deviance(start, estimator)

    def objective(theta: Array) -> float:
        return min(products.deviance(theta, estimator), abs(scale) * 1e3 + 1e6)

    def gradient(theta: Array) -> Array:
        return _gradient(products, estimator, theta)

    found = minimize(objective, start, jac=gradient, method="BFGS", options={"gtol": 1e-5, "maxiter": 500})
    return np.asarray(found.x)


def _gradient(products: Objective, estimator: Estimator, theta: Array) -> Array:
    """Return the gradient of the deviance by central differences."""
    gradient = np.zeros(len(theta))
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = 1e-5 * max(1.0, abs(theta[i]))
        above, below = (products.deviance(theta + sign * step, estimator) for sign in (1.0, -1.0))
        gradient[i] = (above - below) / (2.0 * step[i])
    return np.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)


def _hessian(products: Objective, estimator: Estimator, theta: Array) -> Array:
    """Return the matrix of second derivatives of the deviance by central differences."""
    size = len(theta)
    steps = [1e-3 * max(0.1, abs(value)) * row for value, row in zip(theta, np.eye(size), strict=True)]
    here = products.deviance(theta, estimator)
    hessian = np.zeros((size, size))
    for i, j in itertools.combinations_with_replacement(range(size), 2):
        a, b = steps[i], steps[j]
        if i == j:
            value = products.deviance(theta + a, estimator) - 2.0 * here + products.deviance(theta - a, estimator)
        else:
            corners = [products.deviance(theta + s * a + t * b, estimator) for s in (1, -1) for t in (1, -1)]
            value = (corners[0] - corners[1] - corners[2] + corners[3]) / 4.0
        hessian[i, j] = hessian[j, i] = value / (a[i] * b[j])
    return hessian


def polished(products: Objective, estimator: Estimator, theta: Array, rounds: int = 20) -> tuple[Array, float]:
    """Return the minimum by Newton's method from nearby, and the Newton decrement g' H^-1 g there.

    Directions along which the deviance does not change (where an effect does not vary, its correlations are free) are left
    alone.
    """
    if not len(theta):
        return theta, 0.0
    decrement = np.inf
    for _ in range(rounds):
        gradient, hessian = _gradient(products, estimator, theta), _hessian(products, estimator, theta)
        values, vectors = np.linalg.eigh(hessian)
        kept = np.abs(values) > 1e-6 * np.abs(values).max()
        along = vectors[:, kept].T @ gradient
        decrement = float(np.sum(np.square(along) / np.abs(values[kept])))
        step = -vectors[:, kept] @ (along / np.abs(values[kept]))
        here = products.deviance(theta, estimator)
        size = next((s for s in 0.5 ** np.arange(12) if products.deviance(theta + s * step, estimator) < here), None)
        if size is None:
            break
        theta = theta + size * step
    return theta, decrement


def on_the_boundary(products: CrossProducts, estimator: Estimator, theta: Array) -> Array:
    """Return theta with a positive diagonal, and exactly zero where zero is as good."""
    if not len(theta):
        return theta
    diagonal, here = _diagonal(products.terms), products.deviance(theta, estimator)
    for i in np.flatnonzero(diagonal & (np.abs(theta) < 1e-3)):
        flat = theta.copy()
        flat[i] = 0.0
        if products.deviance(flat, estimator) <= here + 1e-9:
            theta = flat
    factors = [factor * np.where(np.diag(factor) < 0, -1.0, 1.0) for factor in products.factors(theta)]
    return np.array([f[p] for f, t in zip(factors, products.terms, strict=True) for p in _positions(t)])


# -- the estimates -----------------------------------------------------------------------------------------------------


def described(
    design: Design,
    products: CrossProducts,
    estimator: Estimator,
    theta: Array,
    reached: Sequence[float],
    decrement: float,
) -> Maximum:
    """Return the estimates at the minimum of the deviance, under the names people write."""
    factors = products.factors(theta)
    _, inner, effects = products.solve(factors)
    p = products.coefficients
    left = products.rows - p if estimator == "reml" else products.rows
    sigma = 1.0 if products.known else float(np.sqrt(products._residual_sum(inner) / left))
    shift = np.linalg.solve(inner[:p, :p], inner[:p, p]) if p else np.zeros(0)
    coefficients = products.least_squares + (solve_triangular(products.r, shift) if p else shift)
    inverse = solve_triangular(products.r, np.eye(p)) if p else np.zeros((0, 0))
    variances = np.diag(inverse @ np.linalg.solve(inner[:p, :p], inverse.T)) if p else np.zeros(0)
    names = [coefficient_name(name) for name in design.coefficients]
    estimates = dict(zip(names, map(float, coefficients), strict=True))
    standard_errors = dict(zip(names, map(float, sigma * np.sqrt(variances)), strict=True))
    estimates |= _covariances(products, factors, sigma)
    if not products.known:
        estimates["sigma"] = sigma
    weights = np.append(-shift, 1.0)
    for term, scale, effect in zip(products.terms, products.z_scales, effects, strict=True):
        predicted = effect @ weights / scale
        estimates |= {
            f"{term.label}[{level}: {name}]": float(predicted[i, j])
            for i, level in enumerate(term.levels)
            for j, name in enumerate(term.effects)
        }
    unscaled = [f / scale[:, None] for f, scale in zip(factors, products.z_scales, strict=True)]
    return Maximum(
        estimator=estimator,
        estimates=estimates,
        standard_errors=standard_errors,
        log_likelihood=-0.5 * products.deviance(theta, estimator),
        theta=tuple(float(f[p]) for f, t in zip(unscaled, products.terms, strict=True) for p in _positions(t)),
        singular=any(_is_singular(factor) for factor in factors),
        reached=tuple(-0.5 * value for value in reached),
        decrement=decrement,
        rows=products.rows,
        coefficients=p,
        known=products.known,
    )


def _covariances(products: CrossProducts, factors: Sequence[Array], sigma: float) -> dict[str, float]:
    """Return the standard deviations and correlations of the effects of every term."""
    found: dict[str, float] = {}
    for term, scale, factor in zip(products.terms, products.z_scales, factors, strict=True):
        relative = factor @ factor.T
        sd = np.sqrt(np.diag(relative))
        found |= {sd_name(term, e): float(sigma * s / k) for e, s, k in zip(term.effects, sd, scale, strict=True)}
        if term.correlated:
            pairs = [(j, i) for i in range(len(sd)) for j in range(i)]
            for name, (a, b) in zip(cor_names(term), pairs, strict=True):
                varies = min(sd[a], sd[b]) > 0
                found[name] = float(np.clip(relative[a, b] / (sd[a] * sd[b]), -1.0, 1.0)) if varies else np.nan
    return found


def _is_singular(factor: Array) -> bool:
    """Tell whether a diagonal element of a relative factor is zero for all purposes."""
    return bool((np.abs(np.diag(factor)) < SINGULAR).any())


def as_record(maximum: Maximum) -> dict[str, Any]:
    """Return a maximum as plain values, to be stored."""
    lowest = max(maximum.reached)
    return {
        "estimator": maximum.estimator,
        "converged": maximum.converged,
        "singular": maximum.singular,
        "starts": len(maximum.reached),
        "starts_elsewhere": sum(value < lowest - SAME_DEVIANCE for value in maximum.reached),
        "rows": maximum.rows,
        **maximum.criteria(),
        "theta": list(maximum.theta),
        "estimates": dict(maximum.estimates),
        "standard_errors": dict(maximum.standard_errors),
    }


def values_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the estimates and the criteria of a stored maximum by name; what is null there is NaN."""
    criteria = ("log_likelihood", "deviance", "reml_criterion", "aic", "bic")
    found = {**record["estimates"], **{key: record[key] for key in criteria if key in record}}
    return {name: np.nan if value is None else float(value) for name, value in found.items()}
