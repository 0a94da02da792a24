"""The PyMC model's log density is the one that the project writes down, at any point, to rounding.

The other side is NumPy and SciPy: the family's log density of the project's linear predictor, priors by `scipy.stats`, the
group effects' by `structures`, and LKJ(eta) as det(R)^(eta - 1) over its constant (Lewandowski, Kurowicka & Joe 2009,
equation 16). Each change of variables is written out: the sampler's points are logs of positive parameters, log odds of
halved partial correlations and, unless centred, standard normal offsets.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pymc as pm
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats
from scipy.special import betaln, expit

from multilevel import default_priors, design, likelihood, model, structures
from multilevel.predictor import Draws
from multilevel.priors import SIGNATURES, Prior, parse
from multilevel.structures import independent

SCIPY: dict[str, Any] = {
    "normal": lambda mu, sigma: stats.norm(mu, sigma),
    "student_t": lambda nu, mu, sigma: stats.t(nu, mu, sigma),
    "cauchy": lambda mu, sigma: stats.cauchy(mu, sigma),
    "half_normal": lambda sigma: stats.halfnorm(0, sigma),
    "half_cauchy": lambda sigma: stats.halfcauchy(0, sigma),
    "exponential": lambda rate: stats.expon(scale=1 / rate),
    "gamma": lambda shape, rate: stats.gamma(shape, scale=1 / rate),
    "inverse_gamma": lambda shape, scale: stats.invgamma(shape, scale=scale),
    "lognormal": lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
    "uniform": lambda lower, upper: stats.uniform(lower, upper - lower),
}


def log_prior(prior: Prior, value: float) -> float:
    if prior.name == "half_student_t":  # a student_t folded at 0
        nu, sigma = prior.arguments
        return float(np.log(2) + stats.t.logpdf(value, nu, 0, sigma))
    return float(SCIPY[prior.name](*prior.arguments).logpdf(value))


def log_lkj(correlation: np.ndarray, eta: float) -> float:
    d = len(correlation)
    constant = sum(
        (2 * eta - 2 + d - k) * (d - k) * np.log(2) + (d - k) * betaln(eta + (d - k - 1) / 2, eta + (d - k - 1) / 2)
        for k in range(1, d)
    )
    return float((eta - 1) * np.linalg.slogdet(correlation)[1] - constant)


def correlations(partial: np.ndarray) -> np.ndarray:
    """The lower triangle, row by row, of the matrix with partial correlations r12, r13, r23.1: the textbook's recursion."""
    if len(partial) == 1:
        return partial
    r12, r13, r23_1 = partial
    return np.array([r12, r13, r23_1 * np.sqrt((1 - r12**2) * (1 - r13**2)) + r12 * r13])


def log_jacobian(partial: np.ndarray) -> float:
    """log |d correlations / d partial correlations|, by complex steps: exact to rounding."""
    step = 1e-30
    columns = [correlations(partial + 1j * step * unit).imag / step for unit in np.eye(len(partial))]
    return float(np.linalg.slogdet(np.column_stack(columns))[1])


def matrix_of(below: np.ndarray, size: int) -> np.ndarray:
    matrix = np.eye(size)
    rows, columns = np.tril_indices(size, k=-1)
    matrix[rows, columns] = matrix[columns, rows] = below
    return matrix


def expected(
    built: design.Design, resolved: list[default_priors.Resolved], point: dict[str, np.ndarray], centred: bool
) -> float:
    """Return the log density at a point of the unconstrained space."""
    prior = {p.parameter: p.prior for p in resolved}
    total = 0.0

    def positive(name: str, parameters: list[str]) -> np.ndarray:
        nonlocal total
        logs = np.atleast_1d(point[f"{name}_log__"])
        total += logs.sum() + sum(log_prior(prior[p], v) for p, v in zip(parameters, np.exp(logs), strict=True))
        return np.exp(logs)

    names = [c for c in built.coefficients if c != design.INTERCEPT]
    slopes = np.atleast_1d(point["slopes"])
    total += sum(log_prior(prior[f"b({n})"], v) for n, v in zip(names, slopes, strict=True))
    total += log_prior(prior["Intercept"], float(point["intercept"]))  # at the mean of the predictors
    at_zero = point["intercept"] - built.x[:, 1:].mean(axis=0) @ slopes
    (sigma,) = positive("sigma", ["sigma"])

    effects = {}
    for term in built.group_terms:
        size, levels = len(term.effects), len(term.levels)
        sd = positive(f"sd_{term.key}", [f"sd({term.key}: {e})" for e in term.effects])
        correlation = np.eye(size)
        if term.correlated:
            odds = point[f"partial_{term.key}_logodds__"]
            half = expit(odds)
            partial = 2 * half - 1
            correlation = matrix_of(correlations(partial), size)
            total += log_lkj(correlation, *prior[f"cor({term.key})"].arguments) + log_jacobian(partial)
            total += (np.log(2) + np.log(half) + np.log1p(-half)).sum()
        covariance = correlation * np.outer(sd, sd)
        if centred:
            values = np.column_stack([point[f"effects_{term.key}_{i}"] for i in range(size)])
        else:
            values = (np.linalg.cholesky(covariance) @ point[f"offsets_{term.key}"]).T
            total += levels * 0.5 * np.linalg.slogdet(covariance)[1]
        total += structures.independent.log_density(values, covariance)
        effects[term.key] = values[None]
    draw = Draws(1, 1, np.array([[at_zero, *slopes]]), effects, {"sigma": np.array([sigma])})
    return float(total + sum(block.sum() for _, block in likelihood.conditional(built, draw, "gaussian")))


@pytest.fixture(scope="module")
def data() -> Any:
    rng = np.random.default_rng(41)
    labels = ["a", "b", "b", "c", "c", "c", "d", "d", "d", "d", "a", "b"]
    others = ["p", "q", "r", "p", "q", "r", "p", "q", "r", "p", "q", "r"]
    count = len(labels)
    x, z = rng.normal(2.0, 1.5, count), rng.normal(-1.0, 0.5, count)
    return dataset_of(
        y=rng.normal(3.0, 2.0, count), x=x, z=z, g=labels, h=others, exposure=rng.uniform(1.0, 2.0, count)
    )


GIVEN = {
    "Intercept": "student_t(3, 1, 2)",
    "b": "cauchy(0.2, 1.5)",
    "sigma": "half_student_t(4, 2)",
    "sd": "gamma(2, 1.5)",
    "cor": "lkj(3.5)",
}
FORMULAS = {
    "one effect": "y ~ x + (1 | g)",
    "correlated": "y ~ x + (1 + x | g)",
    "uncorrelated": "y ~ x + (1 + x || g)",
    "three effects": "y ~ x + z + (1 + x + z | g)",
    "two groups and an offset": "y ~ x * z + offset(exposure) + (1 + x | g) + (1 | h)",
}


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["default priors", "given priors"])
@pytest.mark.parametrize("centred", [False, True], ids=["offsets", "centred"])
@pytest.mark.parametrize("text", FORMULAS.values(), ids=FORMULAS.keys())
def test_log_density_at_random_points(text: str, centred: bool, given: dict[str, str], data: Any) -> None:
    built = design_of(text, data)
    resolved = default_priors.resolve(built, "gaussian", given)
    built_model = model.build(built, resolved, "gaussian", centred)
    log_density = built_model.compile_logp(mode="FAST_COMPILE")
    rng = np.random.default_rng(42)
    for _ in range(5):
        point = {name: rng.normal(0.0, 1.2, np.shape(v)) for name, v in built_model.initial_point().items()}
        assert float(log_density(point)) == pytest.approx(
            expected(built, resolved, point, centred), rel=1e-12, abs=1e-8
        )


def test_priors_of_several_kinds_stay_with_their_coefficients(data: Any) -> None:
    built = design_of("y ~ x * z", data)
    given = {"b(x)": "cauchy(1, 2)", "b(z)": "normal(-1, 0.5)", "b(x:z)": "cauchy(-3, 1)"}
    resolved = default_priors.resolve(built, "gaussian", given)
    built_model = model.build(built, resolved, "gaussian", False)
    point = built_model.initial_point() | {"slopes_cauchy": np.array([0.3, 0.7]), "slopes_normal": np.array([0.4])}
    with_all = {**point, "slopes": np.array([0.3, 0.4, 0.7])}  # in the order of the columns of X
    assert built.coefficients == ("Intercept", "x", "z", "x:z")
    value = float(built_model.compile_logp(mode="FAST_COMPILE")(point))
    assert value == pytest.approx(expected(built, resolved, with_all, False), rel=1e-12, abs=1e-8)


def test_centred_and_offset_densities_differ_by_their_jacobian(data: Any) -> None:
    """`structures.independent` is SciPy's multivariate normal of each level."""
    rng = np.random.default_rng(43)
    root = rng.normal(size=(3, 3))
    covariance, effects = root @ root.T + np.eye(3), rng.normal(size=(5, 3))
    by_scipy = stats.multivariate_normal(np.zeros(3), covariance).logpdf(effects).sum()
    assert independent.log_density(effects, covariance) == pytest.approx(by_scipy, rel=1e-12)


ARGUMENTS = {
    "normal": "normal(0.7, 1.3)",
    "student_t": "student_t(3.5, 0.7, 1.3)",
    "cauchy": "cauchy(0.7, 1.3)",
    "half_normal": "half_normal(1.3)",
    "half_student_t": "half_student_t(3.5, 1.3)",
    "half_cauchy": "half_cauchy(1.3)",
    "exponential": "exponential(2.5)",
    "gamma": "gamma(2.2, 0.6)",
    "inverse_gamma": "inverse_gamma(2.2, 0.6)",
    "lognormal": "lognormal(0.4, 0.8)",
    "uniform": "uniform(0.5, 4)",
}


def test_every_prior_is_tried() -> None:
    assert {*ARGUMENTS, "lkj"} == set(SIGNATURES)
    assert {*SCIPY, "half_student_t", "lkj"} == set(SIGNATURES)


@pytest.mark.parametrize("text", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_prior_is_scipys(text: str, data: Any) -> None:
    prior = parse(text)
    target = "Intercept" if prior.name in {"normal", "student_t", "cauchy"} else "sigma"
    built = design_of("y ~ 1", data)
    resolved = default_priors.resolve(built, "gaussian", {target: text})
    variable = model.build(built, resolved, "gaussian", False)[target.lower()]
    values = [0.51, 0.9, 1.7, 3.9] + ([-2.0, 0.0, 40.0] if target == "Intercept" else [])
    found = pm.logp(variable, np.array(values)).eval(mode="FAST_COMPILE")
    assert found == pytest.approx(np.array([log_prior(prior, v) for v in values]), rel=1e-10)


@pytest.mark.parametrize(("size", "eta"), itertools.product([2, 3], [1.0, 2.0, 4.5]))
def test_lkj_constant_makes_the_density_integrate_to_one(size: int, eta: float) -> None:
    """The constant that the tests above rely on, by quadrature over the partial correlations."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    nodes, weights = np.sin(np.pi / 2 * nodes), weights * np.pi / 2 * np.cos(np.pi / 2 * nodes)
    total = 0.0
    for where in itertools.product(range(len(nodes)), repeat=size * (size - 1) // 2):
        partial = nodes[list(where)]
        log_density = log_lkj(matrix_of(correlations(partial), size), eta) + log_jacobian(partial)
        total += np.exp(log_density) * np.prod(weights[list(where)])
    assert total == pytest.approx(1.0, abs=1e-6)
