"""The density that PyMC samples from is the one that the documents state, constants included.

At random points, the joint log density of the built model equals what NumPy and SciPy give for the priors, the LKJ density
of the correlation matrix, the density of the group effects (structures), the likelihood (families), and the Jacobians of
the transformations that put all parameters on the whole real line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures import correlated
from fixtures.family_cases import PAIRS
from fixtures.small_data import curve_of, dataset_of, design_of
from scipy import stats
from scipy.special import betaln, expit

from multilevel import default_priors, distributions, likelihood, predictor, relationships
from multilevel.dataset import Dataset
from multilevel.default_priors import Resolved, coefficient_name, cor_name, sd_name
from multilevel.design import INTERCEPT, Design, Term
from multilevel.predictor import Draws
from multilevel.priors import LOWEST, Prior
from multilevel.structures import ar1, independent, known

# Rounding in two orders of summation of some hundred terms; the densities are of the order of 100.
TOLERANCE = 1e-8

RNG = np.random.default_rng(20)
DATA = dataset_of(
    y=RNG.normal(2.0, 1.5, 24),
    x=RNG.normal(5.0, 2.0, 24),
    z=RNG.normal(-1.0, 0.5, 24),
    g=list("abcdef") * 4,
    h=list("uuuvvvwww") * 2 + list("uvwuvw"),
    k=list("pqr") * 8,
    w=RNG.integers(0, 4, 24).astype(float),
    s=RNG.uniform(0.5, 2.0, 24),
    c=["none", "left", "right", "interval"] * 6,
    u=RNG.uniform(8.0, 9.0, 24),
    n=RNG.integers(3, 9, 24).astype(float),
    successes=RNG.integers(0, 4, 24).astype(float),
    waiting=RNG.gamma(2.0, 1.5, 24),
    count_=RNG.negative_binomial(2.0, 0.2, 24).astype(float) * (RNG.random(24) < 0.8),
    share=RNG.beta(2.0, 3.0, 24),
    edged=np.clip(RNG.normal(0.5, 0.5, 24), 0.0, 1.0),
    yes=(RNG.random(24) < 0.4).astype(float),
    end=np.full(24, 60.0) + RNG.random(24),
    rating=np.array([1, 2, 3, 4, 2, 3] * 4, dtype=float),
    severity=pd.Categorical(["low", "high", "middle", "low"] * 6, categories=["low", "middle", "high"], ordered=True),
    travel=["bus", "car", "on foot"] * 8,
)

FREEZE: dict[str, Any] = {
    "normal": stats.norm,
    "student_t": stats.t,
    "cauchy": stats.cauchy,
    "logistic": stats.logistic,
    "half_normal": lambda sigma: stats.halfnorm(0, sigma),
    "half_student_t": lambda nu, sigma: Folded(stats.t(nu, 0, sigma)),
    "half_cauchy": lambda sigma: stats.halfcauchy(0, sigma),
    "exponential": lambda rate: stats.expon(0, 1 / rate),
    "gamma": lambda shape, rate: stats.gamma(shape, 0, 1 / rate),
    "inverse_gamma": lambda shape, scale: stats.invgamma(shape, 0, scale),
    "sqrt_inverse_gamma": lambda shape, scale: Root(stats.invgamma(shape, 0, scale)),
    "lognormal": lambda mu, sigma: stats.lognorm(sigma, 0, np.exp(mu)),
    "beta": stats.beta,
    "uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
    "positive_normal": lambda mu, sigma: stats.truncnorm(-mu / sigma, np.inf, mu, sigma),
}


class Root:
    """The square root of a positive variable."""

    def __init__(self, squared: Any) -> None:
        self.squared = squared

    def logpdf(self, value: Any) -> Any:
        return self.squared.logpdf(np.square(value)) + np.log(2.0 * np.asarray(value))

    def logsf(self, value: Any) -> Any:
        return self.squared.logsf(np.square(value))


class Folded:
    """A distribution symmetric about 0, on the positive half line."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def logpdf(self, value: Any) -> Any:
        return np.log(2) + self.whole.logpdf(value)

    def logsf(self, value: Any) -> Any:
        return np.log(2) + self.whole.logsf(value)


def log_prior(prior: Prior, value: float) -> float:
    if not prior.proper:
        return 0.0
    if prior.on:
        square = value**2 if prior.on == "variance" else value**-2
        # Of what is sampled, the square; that this gives the stated density of the sd is tested below.
        return float(FREEZE[prior.name](*prior.arguments).logpdf(square))
    return float(FREEZE[prior.name](*prior.arguments).logpdf(value))


def log_left(prior: Prior, name: str) -> float:
    """Log of what is left of a prior that is cut off where the parameter's values start."""
    return float(FREEZE[prior.name](*prior.arguments).logsf(LOWEST[name])) if name in LOWEST else 0.0


def log_lkj(correlation: np.ndarray, eta: float) -> float:
    """Log density of an LKJ(eta) correlation matrix, normalised (Lewandowski, Kurowicka & Joe 2009, eq. 16)."""
    d = len(correlation)
    log_constant = sum(
        (2 * eta - 2 + d - k) * (d - k) * np.log(2) + (d - k) * betaln(eta + (d - k - 1) / 2, eta + (d - k - 1) / 2)
        for k in range(1, d)
    )
    return float((eta - 1) * np.linalg.slogdet(correlation)[1] - log_constant)


def correlation_from(partial: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """Return the correlation matrix of partial correlations (pair (i, k), k < i, given those before k), and log |dR / dp|.

    For two and three variables, written out.
    """
    if size == 2:
        return np.array([[1.0, partial[0]], [partial[0], 1.0]]), 0.0
    r12, r13, p23 = partial
    rest = np.sqrt((1 - r12**2) * (1 - r13**2))
    r23 = r12 * r13 + p23 * rest
    return np.array([[1.0, r12, r13], [r12, 1.0, r23], [r13, r23, 1.0]]), float(np.log(rest))


def log_matrix(prior: Prior, covariance: np.ndarray, unit: float) -> float:
    """Log density of a covariance matrix; that of decov is tested in test_covariance_priors.py."""
    if prior.name == "decov":
        return distributions.log_density_of_covariance(prior, covariance, unit)
    scale = (
        np.array(prior.scale) if len(prior.scale) == len(covariance) else prior.scale[0][0] * np.eye(len(covariance))
    )
    found = stats.wishart if prior.name == "wishart" else stats.invwishart
    return float(found.logpdf(covariance, prior.arguments[0], scale))


class Point:
    """A random point of a built model: what PyMC samples, the parameters, and the Jacobian between them."""

    def __init__(self, model: Any, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.sampled: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}
        self.log_jacobian = 0.0
        start = model.initial_point()
        for variable in model.free_RVs:
            value = model.rvs_to_values[variable]
            q = np.asarray(rng.normal(0, 0.7, np.shape(start[value.name])))
            self.sampled[value.name] = q
            match value.name.removeprefix(variable.name):
                case "":
                    self.values[variable.name] = q
                case "_log__":
                    self.values[variable.name] = np.exp(q)
                    self.log_jacobian += float(q.sum())
                case "_logodds__":
                    self.values[variable.name] = expit(q)
                    self.log_jacobian += float(np.log(expit(q) * expit(-q)).sum())
                case "_interval__" if (
                    name := variable.name.split("_")[0]
                ) in LOWEST and variable.owner.op.name != "uniform":
                    self.values[variable.name] = LOWEST[name] + np.exp(q)
                    self.log_jacobian += float(q.sum())
                case "_interval__" if np.isinf(variable.owner.inputs[-1].eval()).all():  # above 0
                    self.values[variable.name] = np.exp(q)
                    self.log_jacobian += float(q.sum())
                case "_interval__":
                    lower, upper = (np.asarray(p.eval()) for p in variable.owner.inputs[-2:])
                    lower = np.maximum(lower, LOWEST.get(variable.name, lower))
                    self.values[variable.name] = lower + (upper - lower) * expit(q)
                    self.log_jacobian += float(np.log((upper - lower) * expit(q) * expit(-q)).sum())
                case "_ordered__":
                    self.values[variable.name] = q[0] + np.concatenate([[0.0], np.cumsum(np.exp(q[1:]))])
                    self.log_jacobian += float(q[1:].sum())
                case other:
                    raise AssertionError(f"unknown transformation {other} of {variable.name}")

    def vector(self, name: str, priors: list[Prior]) -> np.ndarray:
        """Return a vector of parameters, gathered where its priors are of several kinds."""
        if name in self.values:
            return self.values[name]
        positions = dict.fromkeys({(p.name, p.on) for p in priors}, 0)
        out = []
        for prior in priors:
            kind = f"{prior.on}_{prior.name}" if prior.on else prior.name
            value = float(self.values[f"{name}_{kind}"][positions[prior.name, prior.on]])
            out.append({"": value, "variance": value**0.5, "precision": value**-0.5}[prior.on])
            positions[prior.name, prior.on] += 1
        return np.array(out)

    def scalar(self, name: str, prior: Prior) -> float:
        """Return a parameter with one value."""
        if not prior.on:
            return float(self.values[name])
        return float(self.values[f"{name}_{prior.on}"]) ** (0.5 if prior.on == "variance" else -0.5)


def expected(design: Design, priors: list[Resolved], point: Point, centred: bool) -> float:
    """Return the log density of a point, from the statements of the documents."""
    by_name = {p.parameter: p.prior for p in priors}
    total = point.log_jacobian
    b = np.zeros((1, len(design.all_coefficients)))
    for part in design.predictors:
        own_b = b[0, design.columns_of(part.parameter)]  # a view
        behind = f"_{part.parameter}" if part.prefix else ""
        if part.slopes:
            own = [by_name[coefficient_name(part.coefficients[i])] for i in part.slopes]
            own_b[part.slopes] = point.vector(f"slopes{behind}", own)
            total += sum(log_prior(prior, value) for prior, value in zip(own, own_b[part.slopes], strict=True))
        if part.has_intercept:
            at_means = float(point.values[f"intercept{behind}"])
            total += log_prior(by_name[part.intercept], at_means)
            own_b[part.coefficients.index(part.intercept)] = (
                at_means - part.x[:, part.slopes].mean(axis=0) @ own_b[part.slopes]
            )
    if design.thresholds:
        total += thresholds_of(design, by_name, point, b[0])
    effects = {}
    for term in design.group_terms:
        unprefixed = "" if design.family == "categorical" or design.curve else design.parameters[0]
        effects[term.key], density = effects_of(term, by_name, point, centred, unprefixed)
        total += density
    others = {name: np.array([point.scalar(name, by_name[name])]) for name in design.scalars}
    total += sum(log_prior(by_name[name], value[0]) - log_left(by_name[name], name) for name, value in others.items())
    if design.residuals:
        residual, density = residuals_of(design, by_name, point)
        draws = Draws(1, 1, b, effects, others, residual=residual)
        return total + density + float(likelihood.joint(design, draws)[0])
    draws = Draws(1, 1, b, effects, others)
    rows = slice(0, len(design.y))
    return total + float(likelihood.of_rows(design, rows, predictor.arguments(design, draws, rows)).sum())


def residuals_of(design: Design, priors: Mapping[str, Prior], point: Point) -> tuple[np.ndarray, float]:
    """Return the correlations of residuals, shape (1, parameters), and the log density of what is sampled of them."""
    found = design.residuals
    prior = priors[default_priors.residuals_name(found)]
    if found.occasions:
        partial = 2 * point.values["partial_residuals"] - 1
        correlation, log_jacobian = correlation_from(partial, len(found.occasions))
        density = log_lkj(correlation, prior.arguments[0]) + log_jacobian + len(partial) * np.log(2)
        return correlation[np.tril_indices(len(correlation), k=-1)][None], density
    return place_of(found, found.parameters[0], prior, point)


def place_of(found: Any, name: str, prior: Prior, point: Point) -> tuple[np.ndarray, float]:
    """Return a correlation between two ends, shape (1, 1), and the log density of what is sampled of it."""
    if prior.name == "beta":  # what is sampled is the place between the ends
        place = float(point.values[f"{name}_share"])
        return np.array([[found.lowest + (found.highest - found.lowest) * place]]), log_prior(prior, place)
    value = float(point.values[name])
    if prior.name == "uniform":
        return np.array([[value]]), log_prior(prior, value)
    middle, sd = prior.arguments
    ends = (found.lowest - middle) / sd, (found.highest - middle) / sd
    return np.array([[value]]), float(stats.truncnorm(*ends, middle, sd).logpdf(value))


def thresholds_of(design: Design, priors: Mapping[str, Prior], point: Point, b: np.ndarray) -> float:
    """Fill in the thresholds at predictor values of 0 and the category-specific effects; return the log density of both."""
    names = design.thresholds.names
    count = len(names)
    if design.thresholds.equidistant:
        first, delta = float(point.values["first_threshold"]), float(point.values["delta"])
        at_means = first + delta * np.arange(count)
        total = log_prior(priors[names[0]], first) + log_prior(priors["delta"], delta)
    else:
        own = [priors[name] for name in names]
        at_means = point.vector("thresholds", own)
        total = sum(log_prior(prior, value) for prior, value in zip(own, at_means, strict=True))
        if design.family == "cumulative" and len(set(own)) == 1:
            total += np.log(math.factorial(count))  # all orders are equally likely, and one is left
    x = design.predictors[0].x
    b[:count] = at_means + x.mean(axis=0) @ b[count : count + x.shape[1]]
    if coefficients := design.thresholds.coefficients:
        own = [priors[f"b({name})"] for name in coefficients]
        effects = point.vector("specific", own)
        total += sum(log_prior(prior, value) for prior, value in zip(own, effects, strict=True))
        b[-len(effects) :] = effects
        if not design.thresholds.equidistant:
            for number, column in enumerate(design.thresholds.x.T):
                b[:count] += column.mean() * effects[number * count : (number + 1) * count]
    return total


def multivariate_t(effects: np.ndarray, covariance: np.ndarray, df: float) -> float:
    """Log density of rows that are student-t (Kotz & Nadarajah 2004, eq. 1.1)."""
    levels, size = effects.shape
    distance = np.einsum("li,ij,lj->l", effects, np.linalg.inv(covariance), effects)
    constant = math.lgamma((df + size) / 2) - math.lgamma(df / 2) - size / 2 * math.log(df * math.pi)
    constant -= np.linalg.slogdet(covariance)[1] / 2
    return float(levels * constant - (df + size) / 2 * np.log1p(distance / df).sum())


def effects_of(
    term: Term, priors: Mapping[str, Prior], point: Point, centred: bool, first: str = "mu"
) -> tuple[np.ndarray, float]:
    """Return a term's effects, shape (1, levels, effects), and the log density of all its variables."""
    size = len(term.effects)
    matrix = priors.get(default_priors.cov_name(term, first))
    own = [] if matrix else [priors[sd_name(term, effect)] for effect in term.effects]
    sd = point.vector(f"sd_{term.key}", own)
    total = 0.0 if matrix else sum(log_prior(prior, value) for prior, value in zip(own, sd, strict=True))
    correlation = np.eye(size)
    if term.correlated:
        partial = 2 * point.values[f"partial_{term.key}"] - 1
        correlation, log_jacobian = correlation_from(partial, size)
        # What is sampled is (p + 1) / 2.
        total += log_jacobian + len(partial) * np.log(2)
        total += 0.0 if matrix else log_lkj(correlation, priors[cor_name(term, first)].arguments[0])
    covariance = correlation * np.outer(sd, sd)
    if matrix:  # of the matrix's entries, times their derivatives by sds and correlations
        unit = point.scalar(matrix.unit, priors[matrix.unit]) if matrix.unit else 1.0
        total += log_matrix(matrix, covariance, unit) + size * np.log(2) + size * np.log(sd).sum()
    factor = np.linalg.cholesky(covariance)
    if term.dist == "student":
        df = float(point.values[f"df_{term.key}"])
        prior = priors[default_priors.df_name(term)]
        total += log_prior(prior, df) - log_left(prior, "df")
        effects = (factor @ point.values[f"offsets_{term.key}"]).T
        total += multivariate_t(effects, covariance, df)
        total += len(term.levels) * np.log(np.diag(factor)).sum()
    elif term.autoregressive:
        residual, density = place_of(term.chain, f"phi_{term.key}", priors[default_priors.phi_name(term)], point)
        effects = (factor @ point.values[f"offsets_{term.key}"]).T
        total += density + ar1.log_density(
            effects, covariance, term.chain.at, term.chain.subject, float(residual[0, 0])
        )
        total += len(term.levels) * np.log(np.diag(factor)).sum()
    elif term.factor is not None:
        whole = term.factor.toarray()
        effects = whole @ (factor @ point.values[f"offsets_{term.key}"]).T
        if whole.shape[0] == whole.shape[1]:
            total += known.log_density(effects, covariance, whole @ whole.T) + size * np.linalg.slogdet(whole)[1]
            total += len(effects) * np.log(np.diag(factor)).sum()
        else:  # more or fewer independent effects than levels
            total += stats.norm.logpdf(point.values[f"offsets_{term.key}"]).sum()
    elif centred and term.exchangeable:
        effects = np.column_stack([point.values[f"effects_{term.key}_{i}"] for i in range(size)])
        total += independent.log_density(effects, covariance)
    else:
        effects = (factor @ point.values[f"offsets_{term.key}"]).T
        # The density of the effects, times what a change of the offsets changes them by.
        total += independent.log_density(effects, covariance) + len(term.levels) * np.log(np.diag(factor)).sum()
    return effects[None], total


def log_density_of(model: Any) -> Any:
    """Return PyMC's joint log density as a function, run by Python: compiling it would take longer than the tests."""
    from pytensor.compile.mode import Mode

    return model.compile_logp(mode=Mode(linker="py", optimizer=None))


CASES = [
    ("y ~ x", {}, False),
    ("y ~ 0 + x", {}, False),
    ("y ~ 1", {}, False),
    ("y ~ x * z + k + offset(2 * z)", {}, False),
    ("y ~ 0 + k + x", {"b(k)": "normal(0, 10)"}, False),
    # More than eight columns: a matrix product.
    ("y ~ poly(x, 5) + poly(z, 5)", {}, False),
    ("y ~ x + (1 | g)", {}, False),
    ("y ~ x + (1 | g)", {}, True),
    ("y ~ x + (1 + x | g)", {}, False),
    ("y ~ x + (1 + x | g)", {}, True),
    ("y ~ x + (1 + x | g)", {"cor": "lkj(1)"}, False),
    ("y ~ x + (1 + x | g)", {"cor(g)": "lkj(0.5)"}, True),
    ("y ~ x + (1 + x || g)", {}, False),
    ("y ~ x + (1 + x || g)", {}, True),
    ("y ~ x + (1 + x + z | g)", {}, False),
    ("y ~ x + (1 + x + z | g)", {}, True),
    ("y ~ x + (1 + x + z | g)", {"cor": "lkj(5)"}, False),
    ("y ~ x + (1 + x + z || g)", {}, True),
    ("y ~ 0 + (0 + x | g)", {}, False),
    ("y ~ z + (1 + x | g) + (1 | h)", {}, False),
    ("y ~ z + (1 | g) + (0 + x | g) + (1 + z | h)", {}, True),
    # Priors of several kinds within one vector.
    ("y ~ x + z + k", {"b(x)": "student_t(3, 0, 2)", "b(k)": "cauchy(0, 1)"}, False),
    ("y ~ x + (1 + x + z | g)", {"sd(g: x)": "half_student_t(4, 1)", "sd(g: z)": "gamma(2, 1)"}, False),
    ("y ~ x + (1 + x | g)", {"sd(g: x)": "half_cauchy(1)"}, True),
    ("y ~ x + z", {"b(x)": "flat()", "b(z)": "logistic(0, 2)", "sigma": "half_flat()", "Intercept": "flat()"}, False),
    # Variances and precisions.
    ("y ~ x + (1 | g)", {"precision(g)": "gamma(1, 2)", "var(sigma)": "inverse_gamma(1, 2)"}, False),
    ("y ~ x + (1 + x | g)", {"var(g)": "gamma(2, 1)", "precision(sigma)": "uniform(0, 9)"}, True),
    ("y ~ x + (1 + x + z | g)", {"var(g: x)": "gamma(2, 1)", "precision(g: z)": "gamma(2, 1)"}, False),
    # Covariance matrices.
    ("y ~ x + (1 | g)", {"cov(g)": "inverse_wishart(0.002, 0.002)"}, False),
    ("y ~ x + (1 | g)", {"cov(g)": "wishart(2, 3)"}, True),
    ("y ~ x + (1 + x | g)", {"cov(g)": "inverse_wishart(3, [[1, 0.3], [0.3, 2]])"}, False),
    ("y ~ x + (1 + x | g)", {"cov(g)": "wishart(2.5, [[1, 0.3], [0.3, 2]])"}, True),
    ("y ~ x + (1 + x | g)", {"precision(g)": "wishart(2.5, [1, 2])"}, False),
    ("y ~ x + (1 + x + z | g)", {"cov(g)": "inverse_wishart(4, [[1, 0.3, 0], [0.3, 2, 0.1], [0, 0.1, 1]])"}, False),
    ("y ~ x + (1 + x + z | g)", {"cov(g)": "wishart(4, [[1, 0.3, 0], [0.3, 2, 0.1], [0, 0.1, 1]])"}, False),
    ("y ~ x + (1 | g)", {"cov(g)": "decov(1, 1, 1, 1)"}, False),
    ("y ~ x + (1 + x | g)", {"cov(g)": "decov(2, 1.5, 2, 0.7)"}, False),
    ("y ~ x + (1 + x + z | g) + (1 | h)", {"cov": "decov(1, 1, 1, 1)"}, True),
]


KNOWN = {
    "full": relationships.read_matrix("id," + ",".join("abcdef") + "\n" + "\n".join(
        f"{name}," + ",".join(f"{value:.17g}" for value in row)
        for name, row in zip("abcdef", np.cov(np.random.default_rng(4).normal(size=(6, 9))), strict=True)
    )),
    "twins": relationships.read_matrix(
        "first,second,value\n" + "\n".join(f"{a},{a},1" for a in "abcdef") + "\na,b,1\nc,d,0.5\n"
    ),
    "ancestors": relationships.read_pedigree("id,sire,dam\ns,,\nt,,\na,s,t\nb,s,t\nc,a,b\nd,a,\ne,,\nf,c,d\n"),
}  # fmt: skip
STRUCTURED = [
    ("y ~ x + (1 | mm(g, g2))", {}),
    ("y ~ x + (1 | mm(g, g2, weights=cbind(z, 0 - x)))", {}),
    ("y ~ (1 + x | mm(g, g2, weights=cbind(s, u), scale=true)) + (1 | h)", {}),
    ("y ~ x + (1 | gr(g, cov=full))", {}),
    ("y ~ x + (1 + x | gr(g, cov=full))", {}),
    ("y ~ x + (1 + x || gr(g, cov=full)) + (1 | h)", {}),
    ("y ~ (1 | gr(g, cov=twins))", {}),
    ("y ~ (1 + x | gr(g, cov=ancestors))", {}),
    ("y ~ (1 | mm(g, g2, cov=ancestors))", {}),
    ("y ~ x + (1 | gr(g, dist=student))", {"df": "gamma(3, 0.2)"}),
    ("y ~ x + (1 + x + z | gr(g, dist=student))", {}),
    ("y ~ (1 + x || gr(g, dist=student)) + (1 | gr(h, dist=student))", {"df(h)": "uniform(2, 30)"}),
    ("y ~ x + (1 | gr(g, by=sex))", {"sd(g: Intercept:sex[m])": "half_normal(1)"}),
    ("y ~ x + (1 + x | gr(g, by=sex)) + (1 | h)", {"cor(g: sex[m])": "lkj(1)", "sd": "exponential(2)"}),
    ("y ~ (1 + x | gr(g, by=sex, dist=student))", {}),
    # Levels that follow each other in time.
    ("y ~ x + (1 | ar1(week))", {}),
    ("y ~ x + (1 | ar1(week))", {"phi(week)": "uniform(0, 1)"}),
    ("y ~ x + (1 + x | ar1(h:week)) + (1 | g)", {"phi(h:week)": "normal(0.3, 0.2)"}),
    ("y ~ x + (1 | rw(week))", {}),
    ("y ~ x + (1 + x | rw(h:week))", {"sd": "half_normal(2)"}),
    ("y ~ x + (1 + x || rw(week)) + (1 | ar1(h:week))", {}),
    # Squares and matrices of structured groups.
    ("y ~ x + (1 | mm(g, g2))", {"precision(g+g2)": "gamma(1, 2)", "var(sigma)": "gamma(2, 1)"}),
    ("y ~ x + (1 + x | gr(g, cov=full))", {"cov(g)": "inverse_wishart(3, [[1, 0.3], [0.3, 2]])"}),
    ("y ~ x + (1 + x | gr(g, dist=student))", {"cov(g)": "decov(2, 1.5, 2, 0.7)"}),
    ("y ~ x + (1 + x | gr(g, by=sex))", {"cov(g)": "wishart(4, 1)", "cov(g: sex[m])": "wishart(3, [1, 2])"}),
    ("y ~ x + (1 + x | gr(g, by=sex)) + (1 | h)", {"cov(g: sex[m])": "wishart(3, [1, 2])", "var(h)": "gamma(2, 1)"}),
]


def structured_data() -> Dataset:
    more = DATA.frame.assign(
        week=np.tile([0, 1, 3, 4, 6, 7], 4),
        g2=pd.Categorical([*"cdefab"] * 4),
        sex=pd.Categorical(["f" if g in "abc" else "m" for g in DATA.frame["g"]]),
    )
    return replace(DATA, frame=more, covariances=KNOWN)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("text", "given"), STRUCTURED)
def test_the_density_of_structured_effects_is_the_one_stated(text: str, given: dict[str, str], centred: bool) -> None:
    from multilevel import model

    design = design_of(text, structured_data())
    priors = default_priors.resolve(design, given)
    built = model.build(design, priors, centred)
    density = log_density_of(built)
    for seed in range(2):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred), rel=0, abs=TOLERANCE
        )


@pytest.mark.parametrize(("text", "given", "centred"), CASES)
def test_the_joint_density_is_the_one_stated(text: str, given: dict[str, str], centred: bool) -> None:
    from multilevel import model

    design = design_of(text, DATA)
    priors = default_priors.resolve(design, given)
    built = model.build(design, priors, centred)
    density = log_density_of(built)
    for seed in range(3):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred), rel=0, abs=TOLERANCE
        )


CORRELATED = [
    ("ar1(week | person)", {}),
    ("ar1(week | person)", {"phi": "uniform(-0.5, 1)"}),
    ("car1(age | person)", {}),
    ("car1(age | person)", {"phi": "beta(1, 3)"}),
    ("cs(person)", {}),
    ("cs(person)", {"rho": "normal(0.2, 0.5)"}),
    ("unstructured(week | person)", {}),
    ("unstructured(week | person)", {"cor": "lkj(1)"}),
    ("unstructured(week | person)", {"cor(week)": "lkj(3)"}),
]


@pytest.mark.parametrize("parameters", [{}, {"sigma": "1 + late"}], ids=["one sigma", "sigma by row"])
@pytest.mark.parametrize("text", ["y ~ x", "y ~ x + (1 + x | clinic)"])
@pytest.mark.parametrize(("structure", "given"), CORRELATED)
def test_the_density_of_correlated_residuals_is_the_one_stated(
    structure: str, given: dict[str, str], text: str, parameters: dict[str, str]
) -> None:
    from multilevel import model

    rows = correlated.data()
    seen = rows.frame["week"] <= 3  # three occasions, of which some were missed
    few = dataset_of(**{str(name): column[seen].tolist() for name, column in rows.frame.items()})
    design = correlated.design_with(structure, few, text, **parameters)
    priors = default_priors.resolve(design, given)
    built = model.build(design, priors, centred=False)
    density = log_density_of(built)
    for seed in range(2):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred=False), rel=0, abs=TOLERANCE
        )


def _logistic(v: Mapping[str, np.ndarray]) -> np.ndarray:
    return v["a"] / (1.0 + np.exp(-(v["x"] - v["m"]) / v["q"]))


REAL = {"a_Intercept": "normal(3, 1)", "m_Intercept": "student_t(4, 5, 2)", "q_Intercept": "normal(1, 0.1)"}
POSITIVE = {"a_Intercept": "positive_normal(1, 2)", "m_Intercept": "normal(5, 1)", "q_Intercept": "lognormal(0, 0.3)"}
CURVES = [
    # Formula, formulas of the curve's parameters, family, priors, and the curve in NumPy, column names as in `DATA`.
    ("y ~ a / (1 + exp(-(x - m) / q))", {"a": "1 + (1 | g)", "m": "1", "q": "1"}, "gaussian", REAL, _logistic),
    (
        "y ~ logistic(x, a, m, q)",
        {"a": "1 + z + (1 | p | g)", "m": "1 + (1 | p | g)", "q": "1"},
        "gaussian",
        REAL,
        _logistic,
    ),
    (
        "y ~ logistic(x, a, m, q)",
        {"a": "1 + (1 + z | g)", "m": "1 + k + (1 | h)", "q": "1"},
        "student_t",
        POSITIVE,
        _logistic,
    ),
    (
        "y ~ a + b * exp(-exp(r) * x)",
        {"a": "0 + k", "b": "1 + offset(z)", "r": "1 + (1 | g)"},
        "gaussian",
        {"b(a)": "normal(2, 1)", "b_Intercept": "half_normal(2)", "r_Intercept": "normal(-1, 1)"},
        lambda v: v["a"] + v["b"] * np.exp(-np.exp(v["r"]) * v["x"]),
    ),
    (
        "w ~ where(x < m, a, a + b * (x - m))",
        {"a": "1 + (1 | g)", "m": "1", "b": "1"},
        "poisson",
        {"a_Intercept": "normal(0, 0.5)", "m_Intercept": "normal(5, 1)", "b_Intercept": "uniform(-1, 1)"},
        lambda v: v["a"] + v["b"] * np.maximum(v["x"] - v["m"], 0.0),
    ),
    (
        "successes | trials(n) ~ a + b * x ^ 2 / 30",
        {"a": "1 + (1 | g)", "b": "1 + z"},
        "binomial",
        {"a_Intercept": "normal(0, 1)", "b_Intercept": "beta(2, 2)"},
        lambda v: v["a"] + v["b"] * v["x"] ** 2 / 30.0,
    ),
]


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("text", "nonlinear", "family", "given", "curve"), CURVES)
def test_the_density_of_a_curve_is_the_one_stated(
    text: str, nonlinear: dict[str, str], family: str, given: dict[str, str], curve: Any, centred: bool
) -> None:
    from multilevel import model

    more = {"sigma": "1 + z"} if family == "gaussian" and "b" in nonlinear else {}
    design = curve_of(text, DATA, nonlinear, family, **more)
    priors = default_priors.resolve(design, given)
    built = model.build(design, priors, centred)
    density = log_density_of(built)
    for seed in range(3):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred), rel=0, abs=TOLERANCE
        )
    # `expected` takes the curve from the library; here it is computed by itself.
    rng = np.random.default_rng(1)
    b = rng.normal(1.0, 0.2, (5, len(design.all_coefficients)))
    effects = {t.key: rng.normal(0.0, 0.2, (5, len(t.levels), len(t.effects))) for t in design.group_terms}
    draws = Draws(1, 5, b, effects, {name: np.full(5, 3.0) for name in design.scalars})
    rows = slice(3, 20)
    values = {p: predictor.linear_predictor(design, draws, rows, p) for p in nonlinear}
    found = predictor.arguments(design, draws, rows)["eta"]
    np.testing.assert_allclose(found, curve({**values, "x": DATA.frame["x"].to_numpy()[rows]}), rtol=1e-12)


def test_a_curve_starts_where_it_is_told_on_every_chain() -> None:
    from multilevel import model

    design = curve_of("y ~ logistic(x, a, m, q)", DATA, {"a": "0 + k", "m": "1 + z", "q": "1"})
    given = {"b(a)": "lognormal(1, 1)", "m_Intercept": "normal(4, 1)", "q_Intercept": "lognormal(0.5, 1)"}
    built = model.build(design, default_priors.resolve(design, given), centred=False)
    start = built.initial_point()
    np.testing.assert_allclose(start["slopes_a_log__"], 1.0)
    assert float(start["intercept_m"]) == 4.0
    np.testing.assert_allclose(start["slopes_m"], 0.0)
    assert float(start["intercept_q_log__"]) == pytest.approx(0.5)
    assert model.still(design) >= {"slopes_a", "intercept_m", "slopes_m", "intercept_q"}


def test_sds_in_a_curve_start_small_where_their_priors_are_vague() -> None:
    from multilevel import model

    nonlinear = {"a": "1 + (1 | g)", "m": "1 + (1 | g)", "q": "1 + (1 + z | h)"}
    design = curve_of("y ~ a / (1 + exp(-(x - m) / q))", DATA, nonlinear)
    given = {
        "a_Intercept": "normal(3, 1)", "m_Intercept": "normal(5, 1)", "q_Intercept": "normal(-2, 1)",
        "sd(g: a_Intercept)": "half_student_t(3, 2000)", "precision(g: m_Intercept)": "gamma(0.001, 0.001)",
        "sd(h: q_Intercept)": "uniform(1, 9)", "sd(h: q_z)": "exponential(10)",
    }  # fmt: skip
    start = model.build(design, default_priors.resolve(design, given), centred=False).initial_point()
    assert np.exp(start["sd_g__a_log__"]) == pytest.approx([0.3])
    assert np.exp(start["sd_g__m_precision_gamma_log__"]) == pytest.approx([0.5**-2])
    assert 1.0 + 8.0 * expit(start["sd_h__q_uniform_interval__"]) == pytest.approx([5.0])
    assert np.exp(start["sd_h__q_exponential_log__"]) == pytest.approx([np.log(2) / 10])
    assert {"offsets_g__a", "effects_g__a", "level_h__q"} <= model.still(design)


BEYOND = [
    # Linear predictors of several parameters, effects shared between them.
    ("y ~ x", "gaussian", {"sigma": "1 + z"}),
    ("y ~ x + (1 | g)", "gaussian", {"sigma": "0 + k + offset(z / 10)"}),
    ("y ~ x + (1 | g)", "gaussian", {"sigma": "1 + (1 | g)"}),
    ("y ~ x + (1 | p | g)", "gaussian", {"sigma": "1 + z + (1 | p | g)"}),
    ("y ~ x + (1 | p | g) + (1 + x | h)", "gaussian", {"sigma": "1 + (1 + x | p | g) + (1 + x | h)"}),
    ("y ~ (1 | g/h)", "gaussian", {}),
    ("y ~ (1 | p | g) + (0 + z | p | g)", "gaussian", {}),
    # What stands beside the response.
    ("y | se(s) ~ x + (1 | g)", "gaussian", {}),
    ("y | se(s, sigma=true) ~ x", "gaussian", {}),
    ("y | se(s, sigma=true) ~ x", "gaussian", {"sigma": "1 + z"}),
    ("y | weights(w) ~ x + (1 | g)", "gaussian", {}),
    ("y | cens(c, u) ~ x", "gaussian", {}),
    ("y | weights(w) + cens(c, u) ~ x", "gaussian", {"sigma": "1 + z"}),
    ("successes | trials(n) ~ x + (1 | g)", "binomial", {}),
    ("successes | trials(n) + weights(w) ~ x", "binomial", {}),
    ("cbind(successes, n) ~ x + offset(z)", "binomial", {}),
    ("y | trunc(lb=-3) ~ x", "gaussian", {"sigma": "1 + z"}),
    ("y | se(s, sigma=true) + trunc(lb=-3, ub=u) ~ x", "gaussian", {}),
    ("y | weights(w) + cens(c, u) + trunc(lb=-9, ub=12) ~ x + (1 | g)", "gaussian", {}),
    ("successes | trials(n) + cens(c, successes + 2) ~ x", "binomial", {}),
    ("successes | trials(n) + trunc(ub=4) ~ x", "binomial", {}),
    # The other families, each parameter with a linear predictor somewhere.
    ("y ~ x + (1 | g)", "student_t", {}),
    ("y ~ x", "student_t", {"nu": "1 + z", "sigma": "1 + (1 | g)"}),
    ("y | se(s) + cens(c, u) ~ x", "student_t", {}),
    ("y | trunc(lb=-10, ub=u) ~ x", "student_t", {}),
    ("waiting ~ x + (1 | g) + offset(z)", "lognormal", {}),
    ("waiting | cens(c, waiting + 2) + trunc(lb=0.001) ~ x", "lognormal", {"sigma": "1 + z"}),
    ("waiting ~ x + (1 | g) + offset(z)", "gamma", {}),
    ("waiting | weights(w) ~ x", "gamma", {"shape": "1 + z + (1 | g)"}),
    ("waiting | cens(c, waiting + 2) + trunc(ub=end) ~ x", "gamma", {}),
    ("waiting ~ x + (1 | g)", "inverse_gaussian", {}),
    ("waiting | cens(c, waiting + 2) + trunc(ub=end) ~ x", "inverse_gaussian", {"shape": "1 + z"}),
    ("waiting ~ x + (1 | g)", "weibull", {}),
    ("waiting | cens(c, waiting + 2) + trunc(ub=end) ~ x", "weibull", {"shape": "1 + z"}),
    ("waiting ~ x + (1 | g)", "exponential", {}),
    ("waiting | cens(c, waiting + 2) + trunc(ub=end) ~ x", "exponential", {}),
    ("share ~ x + (1 | g)", "beta", {}),
    ("share | cens(c, 0.5 + share / 2) + trunc(lb=0.0001) ~ x", "beta", {"phi": "1 + z + (1 | g)"}),
    ("edged ~ x + (1 | g)", "zero_one_inflated_beta", {}),
    ("edged | weights(w) ~ x", "zero_one_inflated_beta", {"phi": "1 + z", "zoi": "1 + x", "coi": "1 + z"}),
    ("yes ~ x + (1 | g)", "bernoulli", {}),
    ("yes | weights(w) ~ x + (1 + x | g)", "bernoulli", {}),
    ("successes | trials(n) ~ x + (1 | g)", "beta_binomial", {}),
    ("successes | trials(n) + cens(c, successes + 1) ~ x", "beta_binomial", {"phi": "1 + z"}),
    ("successes | trials(n) + trunc(lb=0, ub=5) ~ x", "beta_binomial", {}),
    ("successes | trials(n) ~ x + (1 | g)", "zero_inflated_binomial", {"zi": "1 + z"}),
    ("successes | trials(n) + cens(c, successes + 2) ~ x", "zero_inflated_binomial", {}),
    ("count_ ~ x + (1 | g) + offset(z)", "poisson", {}),
    ("count_ | weights(w) + cens(c, count_ + 3) ~ x", "poisson", {}),
    ("count_ | trunc(lb=0, ub=end) ~ 1", "poisson", {}),
    ("count_ ~ x + (1 | g)", "negative_binomial", {}),
    ("count_ | weights(w) + cens(c, count_ + 3) + trunc(ub=end) ~ x", "negative_binomial", {"shape": "1 + (1 | g)"}),
    ("count_ ~ x + (1 | g)", "zero_inflated_poisson", {}),
    ("count_ | cens(c, count_ + 3) ~ x + (1 | p | g)", "zero_inflated_poisson", {"zi": "1 + z + (1 | p | g)"}),
    ("count_ ~ x + (1 | g)", "zero_inflated_negative_binomial", {}),
    ("count_ | cens(c, count_ + 3) ~ x", "zero_inflated_negative_binomial", {"zi": "1 + z", "shape": "1 + x"}),
    ("count_ ~ x + (1 | g)", "hurdle_poisson", {}),
    ("count_ | cens(c, count_ + 3) ~ x", "hurdle_poisson", {"hu": "1 + z + (1 | g)"}),
    ("count_ ~ x + (1 | g)", "hurdle_negative_binomial", {}),
    ("count_ | weights(w) + cens(c, count_ + 3) ~ x", "hurdle_negative_binomial", {"hu": "1 + z", "shape": "1 + x"}),
]


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("text", "family", "parameters"), BEYOND)
def test_the_joint_density_of_several_predictors_and_response_terms_is_the_one_stated(
    text: str, family: str, parameters: dict[str, str], centred: bool
) -> None:
    from multilevel import model

    design = design_of(text, DATA, family, **parameters)
    priors = default_priors.resolve(design, {})
    built = model.build(design, priors, centred)
    density = log_density_of(built)
    for seed in range(3):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred), rel=1e-12, abs=TOLERANCE
        )


RESPONSES = {
    "gaussian": "y", "student_t": "y", "beta": "share", "zero_one_inflated_beta": "edged", "bernoulli": "yes",
    "binomial": "successes | trials(n)", "beta_binomial": "successes | trials(n)",
    "zero_inflated_binomial": "successes | trials(n)",
    **dict.fromkeys(["lognormal", "gamma", "inverse_gaussian", "weibull", "exponential"], "waiting"),
}  # fmt: skip
"""A response of `DATA` for each family; counts for the others."""


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_every_link_is_the_one_of_its_name(family: str, link: str) -> None:
    from multilevel import design as designs
    from multilevel import model

    spec = {"formula": f"{RESPONSES.get(family, 'count_')} ~ 1 + x", "family": family, "link": link}
    design = designs.build(spec, DATA)
    priors = default_priors.resolve(design, {"Intercept": "normal(0.5, 0.1)", "b": "normal(0, 0.01)"})
    built = model.build(design, priors, centred=False)
    point = Point(built, 1)
    assert float(log_density_of(built)(point.sampled)) == pytest.approx(
        expected(design, priors, point, centred=False), rel=1e-12, abs=TOLERANCE
    )


@pytest.mark.parametrize("text", ["beta(2, 3)", "uniform(0.1, 0.8)", "uniform(0, 1)"])
def test_every_prior_of_a_probability_is_the_distribution_of_its_name(text: str) -> None:
    from multilevel import model

    design = design_of("count_ ~ x", DATA, "zero_inflated_poisson")
    priors = default_priors.resolve(design, {"zi": text})
    built = model.build(design, priors, centred=False)
    point = Point(built, 5)
    assert float(log_density_of(built)(point.sampled)) == pytest.approx(
        expected(design, priors, point, centred=False), rel=0, abs=TOLERANCE
    )


ORDINAL = ["cumulative", "sequential", "continuation", "adjacent"]
OF_CATEGORIES = [
    *(("rating ~ x + k + offset(z) + (1 | g)", {"family": family, "link": link}, {})
      for family in ORDINAL for link in ("logit", "probit", "cloglog", "cauchit")),
    *(("rating | weights(w) ~ x", {"family": family, "thresholds": "equidistant"}, {}) for family in ORDINAL),
    *(("severity ~ x + (1 + x | g)", {"family": family, "parameters": {"disc": "1 + z + (1 | h)"}}, {})
      for family in ORDINAL),
    *(("rating ~ x + cs(z + k) + (1 | g)", {"family": family}, {}) for family in ORDINAL[1:]),
    *(("rating ~ cs(z)", {"family": family, "thresholds": "equidistant", "parameters": {"disc": "0 + k"}}, {})
      for family in ORDINAL[1:]),
    ("rating ~ 1", {"family": "cumulative"}, {"Intercept": "student_t(3, 1, 2)"}),
    ("rating ~ x", {"family": "cumulative"}, {"Intercept": "normal(0, 3)", "Intercept[2]": "cauchy(0, 1)"}),
    ("rating ~ x", {"family": "sequential"}, {"Intercept[1]": "uniform(-4, 4)", "Intercept[3]": "student_t(3, 0, 1)"}),
    ("rating ~ cs(z + x)", {"family": "adjacent"}, {"b(z[2])": "cauchy(0, 1)", "b(x)": "student_t(4, 0, 1)"}),
    ("rating ~ x", {"family": "cumulative", "thresholds": "equidistant"}, {"delta": "gamma(2, 1)"}),
    ("severity ~ (1 | p | g) + x", {"family": "cumulative", "parameters": {"disc": "0 + z + (1 | p | g)"}}, {}),
    ("travel ~ x + offset(z)", {"family": "categorical"}, {"Intercept": "normal(1, 1)", "b": "normal(0, 3)"}),
    ("travel ~ 1 + (1 | g)", {"family": "categorical"}, {"sd(g: mu_car_Intercept)": "half_normal(2)"}),
    ("travel | weights(w) ~ x + (1 + x | g)", {"family": "categorical"}, {"cor(g: mu_on_foot)": "lkj(3)"}),
    ("travel ~ x + (1 | p | g)", {"family": "categorical"}, {}),
    ("travel ~ x", {"family": "categorical", "parameters": {"mu_on_foot": "0 + k + (1 | g)"}}, {"b(mu_car_x)": "cauchy(0, 1)"}),
    ("rating ~ 0 + x", {"family": "categorical"}, {}),
]  # fmt: skip


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("text", "spec", "given"), OF_CATEGORIES)
def test_the_joint_density_of_categories_is_the_one_stated(
    text: str, spec: dict[str, Any], given: dict[str, str], centred: bool
) -> None:
    from multilevel import design as designs
    from multilevel import formula, model

    design = designs.build({"formula": str(formula.parse(text)), **spec}, DATA)
    priors = default_priors.resolve(design, given)
    assert {p.source for p in priors} - {"default"} == {f"study: {name}" for name in given}
    built = model.build(design, priors, centred)
    density = log_density_of(built)
    for seed in range(3):
        point = Point(built, seed)
        assert float(density(point.sampled)) == pytest.approx(
            expected(design, priors, point, centred), rel=1e-12, abs=TOLERANCE
        )


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("rating ~ x + k + (1 | g)", {"family": "cumulative"}),
        ("severity ~ x + cs(z + k)", {"family": "sequential", "parameters": {"disc": "0 + z"}}),
        ("rating ~ x + cs(z)", {"family": "adjacent", "thresholds": "equidistant"}),
        ("travel ~ x + (1 + x | g)", {"family": "categorical"}),
    ],
)
def test_what_is_stored_of_categories_is_on_the_original_scale(text: str, spec: dict[str, Any]) -> None:
    """Thresholds at predictor values of 0, and every coefficient where its name says."""
    from multilevel import design as designs
    from multilevel import formula, model, sampling

    design = designs.build({"formula": str(formula.parse(text)), **spec}, DATA)
    priors = default_priors.resolve(design, {})
    by_name = {p.parameter: p.prior for p in priors}
    points = [Point(model.build(design, priors, centred=False), seed) for seed in range(4)]
    stored, encoding = sampling.posterior(as_trace(points), design, centred=False)
    posterior = stored["posterior"].to_dataset()
    assert encoding["/posterior"].keys() == set(posterior.data_vars)
    assert tuple(posterior["coefficient"].to_numpy()) == design.all_coefficients
    for number, point in enumerate(points):
        draw = posterior.isel(chain=number // 2, draw=number % 2)
        b = np.zeros(len(design.all_coefficients))
        for part in design.predictors:
            own = b[design.columns_of(part.parameter)]
            behind = f"_{part.parameter}" if part.prefix else ""
            own[part.slopes] = point.values[f"slopes{behind}"]
            if part.has_intercept:
                own[0] = point.values[f"intercept{behind}"] - part.x[:, 1:].mean(axis=0) @ own[1:]
        if design.thresholds:
            thresholds_of(design, by_name, point, b)
        np.testing.assert_allclose(draw["b"], b, rtol=1e-13)
        if spec.get("thresholds"):
            np.testing.assert_allclose(np.diff(draw["b"].to_numpy()[:3]), float(draw["delta"]), rtol=1e-10)


REAL = ["normal(1, 2)", "student_t(3, 1, 2)", "cauchy(1, 2)", "logistic(1, 2)", "uniform(-3, 5)"]
POSITIVE = [
    "half_normal(2)", "half_student_t(3, 2)", "half_cauchy(2)", "exponential(0.5)", "gamma(2, 3)", "inverse_gamma(2, 3)",
    "sqrt_inverse_gamma(2, 3)", "lognormal(0.5, 2)", "uniform(0, 5)",
]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [{target: text} for target in ("Intercept", "b(x)") for text in REAL]
    + [{target: text} for target in ("sigma", "sd(g: Intercept)", "nu") for text in POSITIVE],
)
def test_every_prior_is_the_distribution_of_its_name(given: dict[str, str]) -> None:
    from multilevel import model

    design = design_of("y ~ x + (1 | g)", DATA, "student_t" if "nu" in given else "gaussian")
    priors = default_priors.resolve(design, given)
    built = model.build(design, priors, centred=False)
    point = Point(built, 5)
    assert float(log_density_of(built)(point.sampled)) == pytest.approx(
        expected(design, priors, point, centred=False), rel=0, abs=TOLERANCE
    )


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(
    "text", ["y ~ x + z + (1 + x + z | g) + (1 | h)", "y ~ 0 + k + (1 + x || g)", "y ~ x + (1 + x | g) + (0 + z | g)"]
)
def test_what_is_stored_are_the_parameters_of_the_statement(text: str, centred: bool) -> None:
    """The posterior's coefficients, sds, correlations and effects are those of the density above, on the original scale."""
    from multilevel import model, sampling

    design = design_of(text, DATA)
    priors = default_priors.resolve(design, {})
    by_name = {p.parameter: p.prior for p in priors}
    points = [Point(model.build(design, priors, centred), seed) for seed in range(6)]
    stored, encoding = sampling.posterior(as_trace(points), design, centred)
    posterior = stored["posterior"].to_dataset()
    assert encoding["/posterior"].keys() == set(posterior.data_vars)
    for number, point in enumerate(points):
        draw = posterior.isel(chain=number // 3, draw=number % 3)
        np.testing.assert_array_equal(draw["sigma"], point.values["sigma"])
        eta = np.zeros(len(design.y)) + design.offset
        slopes = [i for i, name in enumerate(design.coefficients) if name != INTERCEPT]
        np.testing.assert_array_equal(draw["b"].to_numpy()[slopes], point.values["slopes"])
        eta += (design.x[:, slopes] - design.has_intercept * design.x[:, slopes].mean(axis=0)) @ point.values["slopes"]
        eta += point.values["intercept"] if design.has_intercept else 0.0
        for term in design.group_terms:
            effects, _ = effects_of(term, by_name, point, centred)
            assert draw[f"r_{term.key}"].dtype == np.float32
            np.testing.assert_allclose(
                draw[f"r_{term.key}"], effects[0], rtol=1e-6, atol=1e-6
            )  # stored in single precision
            np.testing.assert_array_equal(draw[f"sd_{term.key}"], point.values[f"sd_{term.key}"])
            assert (f"cor_{term.key}" in posterior) is term.correlated
            if term.correlated:
                correlation, _ = correlation_from(2 * point.values[f"partial_{term.key}"] - 1, len(term.effects))
                below = correlation[np.tril_indices(len(term.effects), -1)]
                np.testing.assert_allclose(draw[f"cor_{term.key}"], below, rtol=0, atol=1e-14)
            eta += (effects[0][term.index] * term.z).sum(axis=1)
        own = Draws(
            1, 1, draw["b"].to_numpy()[None], {t.key: draw[f"r_{t.key}"].to_numpy()[None] for t in design.group_terms}, {}
        )  # fmt: skip
        ours = predictor.linear_predictor(design, own, slice(0, len(eta)))[0]
        np.testing.assert_allclose(ours, eta, rtol=0, atol=1e-4)  # effects in single precision times x of about 10


def as_trace(points: list[Point]) -> xr.DataTree:
    """Return points as nutpie returns draws: two chains of half of them."""
    variables = {}
    for name in points[0].values:
        values = np.stack([p.values[name] for p in points])
        values = values.reshape(2, len(points) // 2, *values.shape[1:])
        variables[name] = (("chain", "draw", *(f"{name}_{i}" for i in range(values.ndim - 2))), values)
    coords = {"chain": [0, 1], "draw": np.arange(len(points) // 2)}
    statistics = {"diverging": (("chain", "draw"), np.zeros((2, len(points) // 2), dtype=bool))}
    return xr.DataTree.from_dict(
        {"posterior": xr.Dataset(variables, coords=coords), "sample_stats": xr.Dataset(statistics, coords=coords)}
    )


@pytest.mark.parametrize(
    ("text", "family", "link"),
    [
        ("y | cens(c, u) ~ x", "gaussian", "identity"),
        ("successes | trials(n) ~ x", "binomial", "probit"),
        ("successes | trials(n) ~ x", "binomial", "cloglog"),
    ],
)
def test_gradients_are_numbers_also_where_a_branch_is_not_taken(text: str, family: str, link: str) -> None:
    from multilevel import design as designs
    from multilevel import formula, model

    design = designs.build({"formula": str(formula.parse(text)), "family": family, "link": link}, DATA)
    built = model.build(design, default_priors.resolve(design, {}), centred=False)
    point = {name: np.asarray(value) * 0.0 for name, value in built.initial_point().items()}
    for far in (-60.0, 60.0, -800.0):  # predictors far from the data: every row lies deep in a tail
        gradient = built.compile_dlogp()({**point, "intercept": np.asarray(far)})
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("kind", "text", "power"),
    [("var", "gamma(0.5, 0.5)", 2.0), ("precision", "inverse_gamma(0.5, 0.5)", -2.0)],
)
def test_a_prior_of_a_square_is_its_change_of_variables(kind: str, text: str, power: float) -> None:
    """Of a squared standard normal number, the root is half-normal; the unconstrained scales differ by a factor of 2."""
    from multilevel import model

    design = design_of("y ~ x + (1 | g)", DATA)
    plain = model.build(
        design, default_priors.resolve(design, {"sd": "half_normal(1)", "sigma": "half_normal(1)"}), False
    )
    squared = model.build(design, default_priors.resolve(design, {kind: text, f"{kind}(sigma)": text}), False)
    densities = [log_density_of(built) for built in (plain, squared)]
    point = Point(plain, 3).sampled
    behind = {"var": "variance", "precision": "precision"}[kind]
    names = {
        "sd_g_log__": f"sd_g_{behind}_{text.split('(', maxsplit=1)[0]}_log__",
        "sigma_log__": f"sigma_{behind}_log__",
    }
    other = {names.get(name, name): power * value if name in names else value for name, value in point.items()}
    assert float(densities[0](point)) == pytest.approx(float(densities[1](other)) + 2 * np.log(2), rel=0, abs=TOLERANCE)


@pytest.mark.parametrize("preset", ["brms", "rstanarm"])
@pytest.mark.parametrize(
    ("text", "family"), [("y ~ x + k + (1 + x | g)", "gaussian"), ("waiting ~ x + (1 | g)", "gamma")]
)
def test_the_joint_density_under_a_preset_is_the_one_stated(preset: str, text: str, family: str) -> None:
    from multilevel import model

    design = design_of(text, DATA, family)
    priors = default_priors.resolve(design, {}, preset)
    built = model.build(design, priors, centred=False)
    point = Point(built, 5)
    assert float(log_density_of(built)(point.sampled)) == pytest.approx(
        expected(design, priors, point, centred=False), rel=1e-12, abs=TOLERANCE
    )


@pytest.mark.parametrize(
    "text",
    ["y ~ x + (1 | mm(g, g2))", "y ~ (1 + x | gr(g, cov=ancestors))", "y ~ x + (1 + x | gr(g, by=sex, dist=student))"],
)
def test_the_joint_density_of_structured_groups_under_the_preset_brms_is_the_one_stated(text: str) -> None:
    from multilevel import model

    design = design_of(text, structured_data())
    priors = default_priors.resolve(design, {}, "brms")
    assert {entry.source for entry in priors} == {"preset: brms"}
    built = model.build(design, priors, centred=False)
    point = Point(built, 5)
    assert float(log_density_of(built)(point.sampled)) == pytest.approx(
        expected(design, priors, point, centred=False), rel=1e-12, abs=TOLERANCE
    )


def test_the_prior_of_a_covariance_matrix_is_of_the_formulas_terms_alone() -> None:
    from multilevel import model

    design = design_of("y ~ x + (1 + x | g)", DATA, sigma="1 + (1 | g)")
    priors = default_priors.resolve(design, {"cov": "wishart(3, 1)"})
    assert [r.parameter for r in priors if "(g" in r.parameter] == ["cov(g)", "sd(g: sigma_Intercept)"]
    own = default_priors.resolve(design, {"cov(g)": "wishart(3, 1)", "cov(g: sigma)": "inverse_wishart(2, 3)"})
    assert [r.parameter for r in own if "(g" in r.parameter] == ["cov(g)", "cov(g: sigma)"]
    for given in (priors, own):
        built = model.build(design, given, centred=False)
        point = Point(built, 5)
        assert float(log_density_of(built)(point.sampled)) == pytest.approx(
            expected(design, given, point, centred=False), rel=1e-12, abs=TOLERANCE
        )


# Models whose rows are switched on and off.

SEEN = RNG.random(24) < 0.4
SWITCHED: list[tuple[str, dict[str, Any]]] = [
    *((text, {}) for text, _, centred in CASES if not centred),
    # Of censored successes, some are impossible at any parameters: no such model can be fitted.
    *(
        (text, {"family": family, "parameters": parameters})
        for text, family, parameters in BEYOND
        if not text.startswith("successes | trials(n) + cens")
    ),
    *((text, spec) for text, spec, _ in OF_CATEGORIES),
]


@pytest.mark.parametrize(("text", "spec"), SWITCHED)
def test_rows_that_are_not_seen_add_nothing_to_the_density(text: str, spec: dict[str, Any]) -> None:
    """A row that is not seen counts as one of weight 0, of every family; levels that have no other row keep their prior."""
    from multilevel import design as designs
    from multilevel import formula, model

    design = designs.build({"formula": str(formula.parse(text)), "family": "gaussian", **spec}, DATA)
    priors = default_priors.resolve(design, {})
    built = model.build(design, priors, centred=False, rows_change=True)
    density = log_density_of(built)
    for seen in (SEEN, ~SEEN):
        built[model.SEEN].set_value(seen.astype(float))
        weighted = replace(design, terms={**design.terms, "weights": design.terms.get("weights", np.ones(24)) * seen})
        point = Point(built, int(seen.sum()))
        assert float(density(point.sampled)) == pytest.approx(
            expected(weighted, priors, point, centred=False), rel=1e-12, abs=TOLERANCE
        )


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("y ~ x + offset(2 * z) + (1 + x | g)", {"family": "gaussian", "parameters": {"sigma": "1 + z + (1 | h)"}}),
        ("count_ | weights(w) + cens(c, count_ + 3) + trunc(ub=end) ~ x", {"family": "negative_binomial"}),
        ("rating ~ x + cs(z + k) + (1 | g)", {"family": "sequential"}),
        ("y ~ 1 + (1 | mm(g, h))", {"family": "gaussian"}),
    ],
)
def test_a_design_of_some_rows_has_the_density_of_those_rows(text: str, spec: dict[str, Any]) -> None:
    """Intercepts and thresholds keep their prior where the predictors of all rows have their means."""
    from multilevel import aggregate, formula, model
    from multilevel import design as designs

    design = designs.build({"formula": str(formula.parse(text)), **spec}, DATA)
    priors = default_priors.resolve(design, {})
    switched = model.build(design, priors, centred=False, rows_change=True)
    switched[model.SEEN].set_value(SEEN.astype(float))
    cut = model.build(aggregate.of_rows(design, np.flatnonzero(SEEN)), priors, centred=False)
    point = Point(switched, 3)
    one, other = (float(log_density_of(built)(point.sampled)) for built in (switched, cut))
    assert one == pytest.approx(other, rel=1e-12, abs=TOLERANCE)
    twice = aggregate.of_rows(aggregate.of_rows(design, np.flatnonzero(SEEN)), np.arange(5))
    for part, whole in zip(twice.predictors, design.predictors, strict=True):
        np.testing.assert_array_equal(part.means, whole.means)
