"""Maximum likelihood where effects of one grouping are integrated out by adaptive Gauss-Hermite quadrature.

For responses that are not normal, with effects u ~ N(0, I) of each level j of one grouping and a lower-triangular factor Lambda,

    log L = sum_j log int prod_i p(y_i | x_i' b + offset_i + z_i' Lambda u) phi(u) du

Nodes are centred at the mode of each level's integrand and scaled by its curvature there (Pinheiro & Bates 1995, J.
Computational and Graphical Statistics 4:12-35), anew for every value of the parameters. One node is the Laplace approximation;
with `POINTS` for each effect the error is far below what is printed. The gradient is Fisher's identity,
E[d log p(y, u) / d parameter | y], by the same nodes; columns of X are orthonormal and those of Z have unit mean square, so that
no predictor's unit or zero matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular
from scipy.optimize import minimize
from scipy.special import logsumexp

from multilevel import families
from multilevel.default_priors import coefficient_name, cor_names, sd_name
from multilevel.design import Design, Term
from multilevel.gaussian_ml import SINGULAR, Maximum

Array = NDArray[np.float64]

FAMILIES = ("bernoulli", "binomial", "poisson")
"""Families with one parameter, the mean."""

MOST_EFFECTS = 2
POINTS = {0: 1, 1: 61, 2: 21}
"""Nodes for each effect, by the number of effects of a level."""

STEP = 1e-3
"""Step of the linear predictor for derivatives of the log density by central differences."""

STARTS = (0.5, 0.1)
"""Standard deviations of effects that the search starts from."""


class NotIntegrableError(ValueError):
    """A design whose likelihood is not computed here; the message says why."""


CURVE = "our maximum likelihood fits are of linear predictors, and the response follows a curve"
"""Why no curve is fitted by maximum likelihood here."""


def refusal(design: Design) -> str:
    """Return why a design's likelihood is not computed here; empty where it is."""
    if design.curve:
        return CURVE
    if design.family not in FAMILIES or len(design.predictors) > 1:
        return f"our quadrature is for {', '.join(FAMILIES[:-1])} and {FAMILIES[-1]} responses"
    if set(design.terms) - {"trials"}:
        return "our quadrature is for responses without weights, censoring and truncation"
    if other := next((t for t in design.group_terms if not t.exchangeable), None):
        return f"our quadrature is for independent normal effects, and {other.words}"
    first = design.group_terms[:1]
    if any(t.levels != first[0].levels or (t.index != first[0].index).any() for t in design.group_terms):
        return "our quadrature is for effects of one grouping"
    if sum(len(t.effects) for t in design.group_terms) > MOST_EFFECTS:
        return f"our quadrature is for at most {MOST_EFFECTS} effects of a level"
    return ""


def maximise(design: Design) -> Maximum:
    """Maximise the likelihood of a design.

    Raises
    ------
    NotIntegrableError
        When the design is not one of these (`refusal`), or its columns are linearly dependent.
    """
    if why := refusal(design):
        raise NotIntegrableError(why)
    likelihood = Likelihood.of(design)
    ends = [_descend(likelihood, likelihood.start(size)) for size in (STARTS if likelihood.free else STARTS[:1])]
    reached = [likelihood.at(end)[0] for end in ends]
    best, hessian, decrement = _polished(likelihood, ends[int(np.argmax(reached))])
    return _described(design, likelihood, best, hessian, decrement, reached)


def log_likelihood(design: Design, coefficients: Array, covariance: Array, points: int | None = None) -> float:
    """Return the log likelihood at any parameters.

    Parameters
    ----------
    design
        The design.
    coefficients
        In the order of the columns of X.
    covariance
        Covariance of the effects of a level, shape (effects, effects), those of several terms after one another.
    points
        Nodes for each effect; 1 is the Laplace approximation.
    """
    likelihood = Likelihood.of(design, points)
    factor = np.linalg.cholesky(covariance) if len(covariance) else np.zeros((0, 0))
    return likelihood.integrate(design.x @ coefficients + design.offset, factor * likelihood.z_scale[:, None])[0]


@dataclass(frozen=True)
class Likelihood:
    """The likelihood of one design as a function of coefficients, on orthonormal columns, and free elements of Lambda.

    Parameters
    ----------
    design
        The design.
    q, r
        X = q r, with columns of q of unit mean square: shapes (rows, p) and (p, p).
    z, z_scale
        Columns of Z of all terms, each divided by its root mean square: shapes (rows, effects) and (effects,).
    index, levels
        The level of each row, and how many there are.
    free
        Rows and columns of the free elements of Lambda.
    nodes, log_weights
        Nodes of the standard normal, shape (K, effects), and their weights.
    """

    design: Design
    q: Array
    r: Array
    z: Array
    z_scale: Array
    index: NDArray[np.int64]
    levels: int
    free: tuple[tuple[int, int], ...]
    nodes: Array
    log_weights: Array

    @classmethod
    def of(cls, design: Design, points: int | None = None) -> Likelihood:
        """Prepare the likelihood of a design; `points` nodes for each effect, `POINTS` if left out."""
        rows, p = design.x.shape
        q, r = qr(design.x, mode="economic") if p else (np.zeros((rows, 0)), np.zeros((0, 0)))
        if p and np.abs(np.diag(r)).min() <= 1e-9 * np.abs(np.diag(r)).max():
            raise NotIntegrableError("the columns of the fixed part are linearly dependent")
        z = np.hstack([np.zeros((rows, 0)), *(t.z for t in design.group_terms)])
        scale = np.sqrt(np.mean(np.square(z), axis=0))
        index = design.group_terms[0].index if design.group_terms else np.zeros(rows, dtype=np.int64)
        levels = len(design.group_terms[0].levels) if design.group_terms else 1
        free: list[tuple[int, int]] = []
        for term in design.group_terms:
            first = len({row for row, _ in free})
            own = [
                (i, j)
                for j in range(len(term.effects))
                for i in range(j, len(term.effects))
                if term.correlated or i == j
            ]
            free += [(first + i, first + j) for i, j in own]
        count = z.shape[1]
        x, w = np.polynomial.hermite_e.hermegauss(points or POINTS[count])
        grid = (
            np.stack(np.meshgrid(*[x] * count, indexing="ij"), axis=-1).reshape(-1, count)
            if count
            else np.zeros((1, 0))
        )
        weights = np.log(w / w.sum())
        log_weights = sum((part.ravel() for part in np.meshgrid(*[weights] * count, indexing="ij")), start=np.zeros(1))
        root = np.sqrt(rows)
        return cls(design, q * root, r / root, z / scale, scale, index, levels, tuple(free), grid, log_weights)

    @cached_property
    def module(self) -> Any:
        """The family's functions."""
        return families.get(self.design.family)

    def density(self, eta: Array) -> Array:
        """Return log p(y | eta), rows last."""
        trials = {"trials": self.design.terms["trials"]} if "trials" in self.design.terms else {}
        return np.asarray(self.module.log_density(self.design.y, eta, link=self.design.link, **trials))

    def derivatives(self, eta: Array) -> tuple[Array, Array]:
        """Return the first and second derivatives of the log density by eta."""
        below, here, above = (self.density(eta + shift) for shift in (-STEP, 0.0, STEP))
        return (above - below) / (2 * STEP), (above - 2 * here + below) / STEP**2

    def factor(self, theta: Array) -> Array:
        """Return Lambda, shape (effects, effects)."""
        found = np.zeros((len(self.z_scale),) * 2)
        for value, place in zip(theta, self.free, strict=True):
            found[place] = value
        return found

    def start(self, size: float) -> Array:
        """Return where a search starts: no slopes, uncorrelated effects of one size."""
        return np.concatenate([np.zeros(self.q.shape[1]), [size if i == j else 0.0 for i, j in self.free]])

    def at(self, parameters: Array) -> tuple[float, Array]:
        """Return the log likelihood and its gradient."""
        p = self.q.shape[1]
        fixed = self.q @ parameters[:p] + self.design.offset
        value, slopes, effects, weights = self.integrate(fixed, self.factor(parameters[p:]))
        weighted = slopes * weights[:, self.index]
        gradient = [self.q.T @ weighted.sum(axis=0)]
        for row, column in self.free:
            of_row = (weighted * effects[:, self.index, column]).sum(axis=0)
            gradient.append(np.array([self.z[:, row] @ of_row]))
        return value, np.concatenate(gradient)

    def integrate(self, fixed: Array, factor: Array) -> tuple[float, Array, Array, Array]:
        """Return the log likelihood, and at every node slopes of the log density, effects u and weights.

        Shapes (K, rows), (K, levels, effects) and (K, levels); the weights of a level add up to 1.
        """
        loadings = self.z @ factor
        modes, scales = self.modes(fixed, loadings)
        effects = modes + np.einsum("lab,kb->kla", scales, self.nodes)
        eta = fixed + np.einsum("kra,ra->kr", effects[:, self.index], loadings)
        density = self.density(eta)
        totals = np.stack([np.bincount(self.index, weights=row, minlength=self.levels) for row in density])
        ratio = 0.5 * (np.square(self.nodes).sum(axis=1)[:, None] - np.square(effects).sum(axis=2))
        terms = totals + ratio + self.log_weights[:, None]
        level = logsumexp(terms, axis=0)
        log_scale = np.log(np.abs(np.diagonal(scales, axis1=1, axis2=2))).sum(axis=1)
        slopes = (self.density(eta + STEP) - self.density(eta - STEP)) / (2 * STEP)
        return float(np.sum(level + log_scale)), slopes, effects, np.exp(terms - level)

    def modes(self, fixed: Array, loadings: Array) -> tuple[Array, Array]:
        """Return the mode of each level's integrand by Newton's method, and a factor of its inverse curvature."""
        count = loadings.shape[1]
        found = np.zeros((self.levels, count))

        def summed(values: Array) -> Array:
            return np.bincount(self.index, weights=values, minlength=self.levels)

        def height(at: Array) -> Array:
            eta = fixed + (at[self.index] * loadings).sum(axis=1)
            return summed(self.density(eta)) - 0.5 * np.square(at).sum(axis=1)

        curvature = np.tile(np.eye(count), (self.levels, 1, 1))
        here = height(found)
        for _ in range(100):
            first, second = self.derivatives(fixed + (found[self.index] * loadings).sum(axis=1))
            gradient = np.stack([summed(first * c) for c in loadings.T], axis=1) - found if count else found
            second = np.minimum(second, 0.0)
            curvature = np.tile(np.eye(count), (self.levels, 1, 1))
            for i in range(count):
                for j in range(count):
                    curvature[:, i, j] -= summed(second * loadings[:, i] * loadings[:, j])
            step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
            size = np.ones(self.levels)
            for _ in range(30):
                there = height(found + size[:, None] * step)
                worse = there < here - 1e-12 * np.abs(here)
                if not worse.any():
                    break
                size = np.where(worse, size / 2, size)
            found, here = found + size[:, None] * step, there
            if not count or np.abs(step).max() < 1e-7:
                break
        return found, np.linalg.cholesky(np.linalg.inv(curvature)) if count else curvature


def _descend(likelihood: Likelihood, start: Array) -> Array:
    def objective(parameters: Array) -> tuple[float, Array]:
        value, gradient = likelihood.at(parameters)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros_like(gradient))

    found = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-4, "maxiter": 500})
    return np.asarray(found.x)


def _polished(likelihood: Likelihood, parameters: Array, rounds: int = 6) -> tuple[Array, Array, float]:
    """Return the maximum by Newton's method from nearby, minus the Hessian there, and the Newton decrement of the deviance."""
    for _ in range(rounds):
        value, gradient = likelihood.at(parameters)
        hessian = np.zeros((len(parameters),) * 2)
        for i, step in enumerate(1e-4 * np.eye(len(parameters))):
            hessian[i] = -(likelihood.at(parameters + step)[1] - likelihood.at(parameters - step)[1]) / 2e-4
        hessian = (hessian + hessian.T) / 2
        values, vectors = np.linalg.eigh(hessian)
        kept = np.abs(values) > 1e-8 * np.abs(values).max()
        along = vectors[:, kept].T @ gradient
        decrement = 2.0 * float(np.sum(np.square(along) / np.abs(values[kept])))
        step = vectors[:, kept] @ (along / np.abs(values[kept]))
        better = likelihood.at(parameters + step)[0] > value
        if decrement < 1e-9 or not better:
            break
        parameters = parameters + step
    return parameters, hessian, decrement


def _described(
    design: Design, likelihood: Likelihood, best: Array, hessian: Array, decrement: float, reached: Sequence[float]
) -> Maximum:
    """Return the estimates under the names people write."""
    p = likelihood.q.shape[1]
    theta = likelihood.factor(best[p:])
    theta = theta * np.where(np.diag(theta) < 0, -1.0, 1.0)
    inverse = solve_triangular(likelihood.r, np.eye(p)) if p else np.zeros((0, 0))
    values, vectors = np.linalg.eigh(hessian)
    kept = values > 1e-8 * values.max() if len(values) else values > 0
    covariance = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    names = [coefficient_name(name) for name in design.coefficients]
    estimates = dict(zip(names, map(float, inverse @ best[:p]), strict=True))
    errors = np.sqrt(np.diag(inverse @ covariance[:p, :p] @ inverse.T))
    unscaled = theta / likelihood.z_scale[:, None]
    modes, _ = likelihood.modes(likelihood.q @ best[:p] + design.offset, likelihood.z @ theta)
    effects, first = modes @ unscaled.T, 0
    for term in design.group_terms:
        own = slice(first, first + len(term.effects))
        estimates |= _of_term(term, unscaled[own, own])
        estimates |= {
            f"{term.label}[{level}: {name}]": float(effects[i, first + j])
            for i, level in enumerate(term.levels)
            for j, name in enumerate(term.effects)
        }
        first += len(term.effects)
    return Maximum(
        estimator="ml",
        estimates=estimates,
        standard_errors=dict(zip(names, map(float, errors), strict=True)),
        log_likelihood=likelihood.at(best)[0],
        theta=tuple(float(unscaled[place]) for place in likelihood.free),
        singular=bool((np.abs(np.diag(theta)) < SINGULAR).any()),
        reached=tuple(map(float, reached)),
        decrement=decrement,
        rows=len(design.y),
        coefficients=p,
        known=True,
    )


def _of_term(term: Term, factor: Array) -> dict[str, float]:
    """Return the standard deviations and correlations of a term."""
    covariance = factor @ factor.T
    sd = np.sqrt(np.diag(covariance))
    found = {sd_name(term, effect): float(value) for effect, value in zip(term.effects, sd, strict=True)}
    if term.correlated:
        pairs = [(j, i) for i in range(len(sd)) for j in range(i)]
        for name, (a, b) in zip(cor_names(term), pairs, strict=True):
            varies = min(sd[a], sd[b]) > 0
            found[name] = float(np.clip(covariance[a, b] / (sd[a] * sd[b]), -1.0, 1.0)) if varies else np.nan
    return found
