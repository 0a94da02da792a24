"""Gaussian fits with the effects integrated out: density, gradient and exact draws against dense algebra, row by row.

The reference never compresses, never eliminates and knows no groupings: y is normal with one covariance matrix of all rows,
sigma^2 I + sum of Z (T per level) Z' + X S X', with S the prior covariance of the coefficients that are integrated out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from numeric.test_model_density import FREEZE, Point, correlation_from, log_density_of, log_lkj, log_prior
from scipy import stats
from scipy.special import expit

from multilevel import default_priors, likelihood, marginal, nesting, predictor
from multilevel.default_priors import coefficient_name, cor_name, sd_name
from multilevel.design import Design, Term
from multilevel.priors import Prior

RNG = np.random.default_rng(7)
SCHOOL = np.repeat(list("abcdefg"), [14, 9, 20, 3, 1, 6, 7])
CLASS = np.array([f"{s}{RNG.integers(0, 3)}" for s in SCHOOL])
DATA = dataset_of(
    y=RNG.normal(200.0, 3.0, 60) + 2.0 * np.repeat(RNG.normal(size=7), [14, 9, 20, 3, 1, 6, 7]),
    x=RNG.normal(5.0, 2.0, 60),
    z=RNG.normal(-1.0, 0.5, 60),
    k=list("pqr") * 20,
    school=list(SCHOOL),
    room=list(CLASS),  # unique in the whole school district: nested without saying so
    number=[name[1] for name in CLASS],  # nested only as school:number
    pair=[f"{s}{n % 2}{c}" for s, n, c in zip(SCHOOL, range(60), CLASS, strict=True)],
    alias=[f"the {s}" for s in SCHOOL],
    w=RNG.uniform(0.2, 3.0, 60),
    s=RNG.uniform(0.5, 4.0, 60),
)

CASES: list[tuple[str, dict[str, str]]] = [
    ("y ~ x", {}),
    ("y ~ 0 + x", {}),
    ("y ~ 1 + offset(2 * z)", {}),
    ("y ~ 0 + (1 | school)", {}),
    ("y ~ x + (1 | school)", {}),
    ("y ~ x * z + k + (1 + x | school)", {}),
    ("y ~ x + (1 + x || school)", {"Intercept": "normal(0, 1)", "b": "normal(3, 0.5)"}),
    ("y ~ x + (1 + x + z | school)", {"cor": "lkj(1)"}),
    ("y ~ poly(x, 3) + (1 | school) + (0 + z | school)", {}),
    ("y ~ x + (1 | school/number)", {}),
    ("y ~ x + (1 + x | school) + (1 + z | room)", {"cor(room)": "lkj(4)"}),
    ("y ~ x + (1 | pair) + (1 | school) + (1 + x | room)", {}),
    ("y ~ x + (1 | school) + (0 + x | alias) + (1 | room)", {}),
    # Coefficients whose priors are not normal are sampled, the others are integrated out.
    ("y ~ x + z + (1 | school)", {"b(x)": "student_t(3, 0, 2)"}),
    ("y ~ x + z + (1 + z | school)", {"b": "cauchy(0, 1)", "Intercept": "student_t(4, 200, 10)"}),
    ("y ~ x + z + (1 | room)", {"Intercept": "uniform(150, 250)", "b(z)": "uniform(-5, 20)"}),
    ("y ~ z + x", {"b(x)": "cauchy(1, 2)"}),
    ("y ~ x + k + (1 | school/number)", {"b(k)": "student_t(2, 1, 3)", "Intercept": "normal(100, 3)"}),
]
SDS = [
    "half_normal(2)", "half_student_t(3, 2)", "half_cauchy(2)", "exponential(0.5)", "gamma(2, 3)", "gamma(0.7, 1)",
    "inverse_gamma(2, 3)", "sqrt_inverse_gamma(2, 3)", "lognormal(0.5, 2)", "uniform(0, 5)", "uniform(0.5, 5)",
]  # fmt: skip
# Known standard errors, and weights of the log density.
CASES += [
    ("y | weights(w) ~ x", {}),
    ("y | weights(w) ~ x * z + k + offset(z) + (1 + x | school) + (1 | room)", {"b(x)": "student_t(3, 0, 2)"}),
    ("y | se(s) ~ x + (1 + x | school)", {}),
    ("y | se(s) ~ 0 + x + (1 | school/number)", {"b": "cauchy(0, 3)"}),
    ("y | se(s) + weights(w) ~ x + (1 | school) + (0 + x | alias)", {}),
]
CASES += [("y ~ x + (1 + x | school)", {"sd(school: x)": text, "sigma": text}) for text in SDS]
# Variances and precisions, and coefficients about whose scale nothing is said.
CASES += [
    ("y ~ x + (1 | school)", {"precision(school)": "gamma(0.5, 0.5)", "precision(sigma)": "gamma(0.1, 0.1)"}),
    ("y ~ x + (1 + x | school)", {"var(school: x)": "half_normal(2)", "var(sigma)": "uniform(0.1, 90)"}),
    ("y ~ x + (1 + x | school)", {"precision(school: x)": "uniform(0, 4)", "sigma": "sqrt_inverse_gamma(0.3, 0.4)"}),
    ("y ~ x + z + (1 | room)", {"b(x)": "logistic(1, 2)", "sd(room)": "half_flat()", "sigma": "half_flat()"}),
]


def built(text: str, given: dict[str, str]) -> tuple[Design, dict[str, Prior], marginal.Marginal]:
    design = design_of(text, DATA)
    priors = default_priors.resolve(design, given)
    return design, {p.parameter: p.prior for p in priors}, marginal.build(design, priors)


@dataclass
class Parameters:
    """What the unconstrained numbers stand for, worked out here by names and priors alone."""

    b: dict[str, float]
    factors: dict[str, np.ndarray]
    sigma: float
    log_prior: float


def parameters(design: Design, priors: dict[str, Prior], found: marginal.Marginal, x: np.ndarray) -> Parameters:
    """Return the parameters at x, and their log prior with the Jacobian; each of two signs of an sd is half of it."""
    b: dict[str, float] = {}
    sds: dict[str, float] = {}
    partial: dict[str, list[float]] = {}
    sigma, total = math.nan if "sigma" in design.scalars else 1.0, 0.0
    for name, value, start in zip(found.names, x, found.start, strict=True):
        if name.startswith("cor("):
            partial.setdefault(name, []).append(math.tanh(value / 2))
            total += math.log(2 * expit(value) * expit(-value))
            continue
        prior = priors[name]
        two_sided = name.startswith("sd(") and prior.name in {
            "half_normal",
            "half_student_t",
            "half_cauchy",
            "exponential",
        }
        if prior.on or prior.name == "sqrt_inverse_gamma":
            # What moves freely is the log, or the logit within bounds, of a variance or a precision.
            square, slope = math.exp(value), math.exp(value)
            if prior.name == "uniform":
                lower, upper = prior.arguments
                square, slope = lower + (upper - lower) * expit(value), (upper - lower) * expit(value) * expit(-value)
            power = -0.5 if prior.on == "precision" else 0.5
            constrained = square**power
            slope *= abs(power) * square ** (power - 1)
            density = float(FREEZE[prior.name](*prior.arguments).logpdf(square if prior.on else constrained))
            # The density of s is 2 s p(s^2), or 2 s^-3 p(s^-2).
            density += {"variance": math.log(2 * constrained), "precision": math.log(2 * constrained**-3)}.get(
                prior.on, 0
            )
            total += math.log(slope) + density
            if name == "sigma":
                sigma = constrained
            else:
                sds[name] = constrained
            continue
        if prior.name == "uniform":
            lower, upper = prior.arguments
            if name.startswith("sd(") and lower == 0:
                constrained, slope = upper * math.tanh(value / 2), upper * 2 * expit(value) * expit(-value) / 2
            else:
                constrained = lower + (upper - lower) * expit(value)
                slope = (upper - lower) * expit(value) * expit(-value)
        elif two_sided:
            # The scale is such that chains start at half of the residual sd over that of the predictor.
            scale = scale_of(design, name) / math.sinh(start)
            constrained, slope = scale * math.sinh(value), scale * math.cosh(value) / 2
        elif name.startswith("sd(") or name == "sigma":
            constrained = slope = math.exp(value)
        else:
            constrained, slope = value, 1.0
        total += math.log(slope) + log_prior(prior, abs(constrained) if name.startswith("sd(") else constrained)
        if name == "sigma":
            sigma = constrained
        else:
            (sds if name.startswith("sd(") else b)[name] = constrained
    factors = {}
    for term in design.group_terms:
        sd = np.array([sds[sd_name(term, effect)] for effect in term.effects])
        correlation = np.eye(len(sd))
        if term.correlated:
            name = cor_name(term, "mu")
            correlation, log_jacobian = correlation_from(np.array(partial[name]), len(sd))
            total += log_lkj(correlation, priors[name].arguments[0]) + log_jacobian
        factors[term.key] = np.diag(sd) @ np.linalg.cholesky(correlation)
    return Parameters(b, factors, sigma, total)


def scale_of(design: Design, name: str) -> float:
    root = np.sqrt(weights_of(design)) / errors_of(design)
    residuals = (design.y - design.offset) * root
    if design.x.shape[1]:
        x = centred(design) * root[:, None]
        residuals = residuals - x @ np.linalg.lstsq(x, residuals)[0]
    terms = [(t, i) for t in design.group_terms for i, e in enumerate(t.effects) if sd_name(t, e) == name]
    term, i = terms[0]
    return 0.5 * float(np.sqrt(np.sum(residuals**2) / np.sum(root**2))) / term.scales[i]


def weights_of(design: Design) -> np.ndarray:
    return design.terms.get("weights", np.ones(len(design.y)))


def errors_of(design: Design) -> np.ndarray:
    return design.terms.get("se", np.ones(len(design.y)))


def centred(design: Design) -> np.ndarray:
    x = design.x.copy()
    if design.has_intercept:
        x[:, 1:] -= x[:, 1:].mean(axis=0)
    return x


def moments(
    design: Design, priors: dict[str, Prior], at: Parameters
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return the mean and covariance of y, and its covariances with the coefficients, then with the effects of each term."""
    x = centred(design)
    names = [coefficient_name(name) for name in design.coefficients]
    mean, spread = np.zeros(len(names)), np.zeros(len(names))
    for i, name in enumerate(names):
        mean[i], spread[i] = (at.b[name], 0.0) if name in at.b else priors[name].arguments
    across = [x * spread**2]
    covariance = np.diag((at.sigma * errors_of(design)) ** 2 / weights_of(design)) + across[0] @ x.T
    for term in design.group_terms:
        flat = wide(term)
        across.append(flat @ np.kron(np.eye(len(term.levels)), at.factors[term.key] @ at.factors[term.key].T))
        covariance += across[-1] @ flat.T
    return x @ mean + design.offset, covariance, across


@pytest.mark.parametrize(("text", "given"), CASES)
def test_the_density_is_that_of_one_normal_vector_times_the_priors(text: str, given: dict[str, str]) -> None:
    design, priors, found = built(text, given)
    assert nesting.reason_against(design) == ""
    for seed in range(3):
        x = found.start + np.random.default_rng(seed).normal(0, 0.8, len(found.start))
        at = parameters(design, priors, found, x)
        mean, covariance, _ = moments(design, priors, at)
        expected = at.log_prior + stats.multivariate_normal(mean, covariance).logpdf(design.y)
        # w log N(y | mu, s^2) is log N(y | mu, s^2 / w) but for this:
        w, s = weights_of(design), errors_of(design) * at.sigma
        expected += float(np.sum((1 - w) * (np.log(s) + 0.5 * np.log(2 * np.pi)) - 0.5 * np.log(w)))
        assert found.log_density(x)[0] == pytest.approx(expected, rel=1e-11, abs=1e-9)


@pytest.mark.parametrize(("text", "given"), CASES)
def test_the_gradient_is_that_of_the_density(text: str, given: dict[str, str]) -> None:
    _, _, found = built(text, given)
    for seed in range(2):
        x = found.start + np.random.default_rng(seed).normal(0, 0.8, len(found.start))
        _, gradient = found.log_density(x)
        h = 1e-4
        for i, unit in enumerate(np.eye(len(x))):
            # Five points: the error is of the order of h^4 times the fifth derivative.
            values = [found.log_density(x + k * h * unit)[0] for k in (-2, -1, 1, 2)]
            slope = float(np.dot([1, -8, 8, -1], values)) / (12 * h)
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-6)


FLAT = [
    ("y ~ x + z", {"b": "flat()", "Intercept": "flat()"}),
    ("y ~ x * z + k + (1 + x | school)", {"b": "flat()"}),
    ("y ~ x + z + (1 | school/number)", {"b(x)": "flat()", "Intercept": "student_t(3, 200, 4)"}),
    ("y | weights(w) ~ x + z + k + (1 + x | school)", {"b(k)": "flat()", "b(x)": "cauchy(0, 1)"}),
]


@pytest.mark.parametrize(("text", "given"), FLAT)
def test_coefficients_with_flat_priors_are_integrated_out_as_in_restricted_likelihoods(
    text: str, given: dict[str, str]
) -> None:
    """Of y ~ N(X b, V), p(y) = (2 pi)^((p - n) / 2) |V|^(-1/2) |X'V^-1 X|^(-1/2) exp(-r'V^-1 r / 2), r of least squares."""
    design, priors, found = built(text, given)
    names = [coefficient_name(name) for name in design.coefficients]
    flat = [i for i, name in enumerate(names) if priors[name].name == "flat"]
    assert found.normal == len([name for name in names if priors[name].name in {"flat", "normal"}])
    proper = {name: Prior("normal", (0.0, 0.0)) if prior.name == "flat" else prior for name, prior in priors.items()}
    x = found.start + np.random.default_rng(5).normal(0, 0.6, len(found.start))
    at = parameters(design, priors, found, x)
    mean, covariance, _ = moments(design, proper, at)
    columns = centred(design)[:, flat]
    spread = np.linalg.inv(columns.T @ np.linalg.solve(covariance, columns))
    estimates = spread @ columns.T @ np.linalg.solve(covariance, design.y - mean)
    expected = at.log_prior + stats.multivariate_normal(mean + columns @ estimates, covariance).logpdf(design.y)
    expected += 0.5 * (len(flat) * np.log(2 * np.pi) + np.linalg.slogdet(spread)[1])
    w, s = weights_of(design), errors_of(design) * at.sigma
    expected += float(np.sum((1 - w) * (np.log(s) + 0.5 * np.log(2 * np.pi)) - 0.5 * np.log(w)))
    density, gradient = found.log_density(x)
    assert density == pytest.approx(expected, rel=1e-10, abs=1e-8)
    for i, unit in enumerate(np.eye(len(x))):
        values = [found.log_density(x + k * 1e-4 * unit)[0] for k in (-2, -1, 1, 2)]
        assert gradient[i] == pytest.approx(float(np.dot([1, -8, 8, -1], values)) / 12e-4, rel=1e-6, abs=1e-6)
    drawn = found.draw(np.tile(x, (40_000, 1)), (3, 0))
    part = design.predictors[0]
    b = np.empty((40_000, len(names)))
    b[:, part.slopes] = drawn.slopes
    if part.has_intercept:
        b[:, 0] = drawn.intercept
    error = np.sqrt(np.diag(spread) / len(b))
    np.testing.assert_allclose((b[:, flat].mean(axis=0) - estimates) / error, 0.0, atol=4.5)
    np.testing.assert_allclose(b[:, flat].var(axis=0) / np.diag(spread), 1.0, atol=0.04)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("y ~ x * z + k + (1 + x | school)", {}),
        ("y ~ 0 + x + (1 | school/number)", {"b": "normal(3, 50)"}),
        ("y ~ x + z + (1 + z | school) + (1 | room)", {"b(x)": "student_t(3, 0, 2)"}),
        ("y ~ z + x", {"sigma": "half_normal(3)"}),
        ("y | weights(w) ~ x + (1 + z | school)", {"b(x)": "student_t(3, 0, 2)"}),
        ("y | se(s) ~ x + (1 + z | school) + (1 | room)", {}),
        ("y | se(s) + weights(w) ~ x + (1 | school)", {}),
    ],
)
def test_the_density_is_pymcs_over_the_conditional_one_of_what_is_integrated(text: str, given: dict[str, str]) -> None:
    """p(theta, y) = p(theta, b, effects, y) / p(b, effects | theta, y), at any b and effects."""
    from multilevel import model

    design, priors, found = built(text, given)
    pymc = model.build(design, default_priors.resolve(design, given), centred=False)
    point = Point(pymc, 3)
    # Our own coordinates of the same parameters, without the Jacobians of either.
    x, ours = same_point(design, priors, found, point)
    at = parameters(design, priors, found, x)
    names = [coefficient_name(name) for name in design.coefficients]
    free = [i for i, name in enumerate(names) if name not in at.b]
    known = centred(design) @ [at.b.get(name, 0.0) for name in names] + design.offset
    precise = weights_of(design) / (at.sigma * errors_of(design)) ** 2
    columns, values = [centred(design)[:, free]], [coefficients(design, priors, point)[free]]
    for term in design.group_terms:
        columns.append(wide(term) @ np.kron(np.eye(len(term.levels)), at.factors[term.key]))
        values.append(point.values[f"offsets_{term.key}"].T.ravel())
    joint, effects = np.column_stack(columns), len(np.concatenate(values)) - len(free)
    mu, sd = np.array([priors[names[i]].arguments for i in free]).reshape(-1, 2).T
    # The conditional distribution by its precision, which loses no digits where priors are wide.
    weights = np.concatenate([sd**-2, np.ones(effects)])
    precision = np.diag(weights) + joint.T @ (joint * precise[:, None])
    linear = weights * np.concatenate([mu, np.zeros(effects)]) + joint.T @ (precise * (design.y - known))
    deviation = np.concatenate(values) - np.linalg.solve(precision, linear)
    conditional = 0.5 * (np.linalg.slogdet(precision / (2 * np.pi))[1] - deviation @ precision @ deviation)
    expected = float(log_density_of(pymc)(point.sampled)) - point.log_jacobian - conditional
    assert found.log_density(x)[0] - ours == pytest.approx(expected, rel=0, abs=1e-8)


def wide(term: Term) -> np.ndarray:
    """Return Z of all levels side by side, the effects of each level next to each other, shape (rows, levels x effects)."""
    z = np.zeros((len(term.index), len(term.levels), len(term.effects)))
    z[np.arange(len(z)), term.index] = term.z
    return z.reshape(len(z), -1)


def coefficients(design: Design, priors: dict[str, Prior], point: Point) -> np.ndarray:
    """Return the coefficients of a point, the intercept at the predictors' means."""
    part = design.predictors[0]
    b = np.zeros(len(design.coefficients))
    if part.slopes:
        b[part.slopes] = point.vector("slopes", [priors[coefficient_name(design.coefficients[i])] for i in part.slopes])
    if part.has_intercept:
        b[0] = float(point.values["intercept"])
    return b


def same_point(
    design: Design, priors: dict[str, Prior], found: marginal.Marginal, point: Point
) -> tuple[np.ndarray, float]:
    """Return our unconstrained numbers of a point of PyMC's, and the log of our Jacobian, halves of densities included."""
    names = [coefficient_name(name) for name in design.coefficients]
    values = dict(zip(names, coefficients(design, priors, point), strict=True))
    partial: list[float] = []
    for term in design.group_terms:
        own = point.vector(f"sd_{term.key}", [priors[sd_name(term, e)] for e in term.effects])
        values |= {sd_name(term, e): v for e, v in zip(term.effects, own, strict=True)}
        if term.correlated:
            partial += list(2 * point.values[f"partial_{term.key}"] - 1)
    if "sigma" in design.scalars:
        values["sigma"] = float(point.values["sigma"])
    x, log_jacobian = [], 0.0
    for name, start in zip(found.names, found.start, strict=True):
        if name.startswith("cor("):
            x.append(2 * math.atanh(partial.pop(0)))
            log_jacobian += math.log(expit(x[-1]) * expit(-x[-1]))  # of (p + 1) / 2
        elif name.startswith("sd("):
            scale = scale_of(design, name) / math.sinh(start)
            x.append(math.asinh(values[name] / scale))
            log_jacobian += math.log(scale * math.cosh(x[-1]) / 2)
        elif name == "sigma":
            x.append(math.log(values[name]))
            log_jacobian += x[-1]
        else:
            x.append(values[name])
    return np.array(x), log_jacobian


DRAWN = [
    ("y ~ x", {}),
    ("y ~ x + z + (1 + z | school)", {"b(x)": "student_t(3, 0, 2)"}),
    ("y ~ 0 + x + (1 + x + z | school)", {}),
    ("y ~ x + (1 | school) + (0 + x | alias) + (1 + z | room) + (1 | pair)", {}),
    ("y | weights(w) ~ x + (1 + x | school) + (1 | room)", {}),
    ("y | se(s) ~ x + (1 + x | school)", {}),
]


@pytest.mark.parametrize(("text", "given"), DRAWN)
def test_draws_have_the_conditional_distribution_of_coefficients_and_effects(text: str, given: dict[str, str]) -> None:
    design, priors, found = built(text, given)
    # The first sd is negative: its sign turns those of correlations, and nothing else.
    x = found.start + np.random.default_rng(1).normal(0, 0.4, len(found.start))
    if design.group_terms:
        x[len(found.names) - len(found.start) + next(i for i, n in enumerate(found.names) if n.startswith("sd("))] *= -1
    at = parameters(design, priors, found, x)
    mean, covariance, across = moments(design, priors, at)
    count = 40_000
    drawn = found.draw(np.tile(x, (count, 1)), (3, 0))
    part = design.predictors[0]
    b = np.zeros((count, len(design.coefficients)))
    b[:, part.slopes] = drawn.slopes
    if part.has_intercept:
        b[:, 0] = drawn.intercept
    effects = [drawn.effects[t.key].reshape(count, -1).astype(float) for t in design.group_terms]
    joint = np.column_stack(across)
    names = [coefficient_name(name) for name in design.coefficients]
    means = [at.b[n] if n in at.b else priors[n].arguments[0] for n in names]
    variances = [0.0 if n in at.b else priors[n].arguments[1] ** 2 for n in names]
    own = np.zeros((joint.shape[1],) * 2)
    own[: len(names), : len(names)] = np.diag(variances)
    start = len(names)
    for term in design.group_terms:
        size = len(term.levels) * len(term.effects)
        t = at.factors[term.key] @ at.factors[term.key].T
        own[start : start + size, start : start + size] = np.kron(np.eye(len(term.levels)), t)
        start += size
    gain = np.linalg.solve(covariance, joint).T
    expected = np.concatenate([means, np.zeros(start - len(names))]) + gain @ (design.y - mean)
    spread = own - gain @ joint
    values = np.column_stack([b, *effects])
    sd = np.sqrt(np.maximum(np.diag(spread), 1e-20))
    # 4.5 standard errors over some hundred means; covariances to 4.5 of theirs.
    assert (np.abs(values.mean(axis=0) - expected) < 4.5 * sd / np.sqrt(count) + 1e-6 * np.abs(expected)).all()
    correlation = spread / np.outer(sd, sd)
    sampled = np.cov(values.T) / np.outer(sd, sd)
    varies = sd > 1e-9
    error = np.sqrt((1 + correlation**2) / count)
    assert (np.abs(sampled - correlation) < 5 * error)[np.ix_(varies, varies)].all()
    # The parameters stored: sds without signs, correlations with them.
    for term in design.group_terms:
        t = at.factors[term.key] @ at.factors[term.key].T
        assert drawn.sd[term.key][0] == pytest.approx(np.sqrt(np.diag(t)))
        if term.correlated:
            r, _ = correlation_from(drawn.partial[term.key][0], len(term.effects))
            assert r * np.outer(drawn.sd[term.key][0], drawn.sd[term.key][0]) == pytest.approx(t, rel=1e-10)
    assert drawn.sigma[0] == pytest.approx(at.sigma)


def test_draws_do_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, found = built("y ~ x + (1 + x | school/number)", {})
    x = found.start + np.random.default_rng(2).normal(0, 0.5, (50, len(found.start)))
    whole = found.draw(x, (3, 0))
    monkeypatch.setattr(marginal, "BLOCK", 7 * 60)
    parts = found.draw(x, (3, 0))
    for key in whole.effects:
        np.testing.assert_array_equal(whole.effects[key], parts.effects[key])
    np.testing.assert_array_equal(whole.slopes, parts.slopes)
    assert not np.array_equal(whole.slopes, found.draw(x, (3, 1)).slopes)


HARD = {
    "as they come": {},
    "a response far from 0": {"y": 1e7},
    "calendar years": {"x": 2000.0},
    "a predictor a million of its sds from 0": {"x": 1e6},
    "both": {"x": -1e5, "y": -1e9},
}


@pytest.mark.parametrize("case", HARD)
def test_compressing_the_rows_loses_no_digits_that_matter(case: str) -> None:
    """Against the density group by group, which compresses nothing; 20 000 rows, relative error below 1e-9."""
    rng = np.random.default_rng(11)
    groups, each = 400, 50
    g = np.repeat(np.arange(groups), each)
    x = rng.normal(HARD[case].get("x", 0.0), 1.0, len(g))
    deviation = x - x.mean()
    y = HARD[case].get("y", 0.0) + rng.normal(size=groups)[g] + (1 + 0.3 * rng.normal(size=groups)[g]) * deviation
    data = dataset_of(y=y + rng.normal(0, 0.5, len(g)), x=x, g=[f"g{i}" for i in g])
    design = design_of("y ~ x + (1 + x | g)", data)
    # With these priors every coefficient is sampled, so that groups are independent.
    given = {"Intercept": "student_t(3, 0, 100)", "b": "student_t(3, 0, 10)"}
    resolved = default_priors.resolve(design, given)
    priors = {p.parameter: p.prior for p in resolved}
    found = marginal.build(design, resolved)
    for seed in range(3):
        u = found.start + np.random.default_rng(seed).normal(0, 0.5, len(found.start)) * (found.spread > 0.5)
        at = parameters(design, priors, found, u)
        mean, t = centred(design) @ [at.b["Intercept"], at.b["b(x)"]], at.factors["g"]
        total = at.log_prior
        for j in range(groups):
            rows = design.group_terms[0].index == j
            # By an orthogonal factor of the rows themselves.
            z = design.group_terms[0].z[rows] @ t
            q, r = np.linalg.qr(np.vstack([z / at.sigma, np.eye(2)]))
            deviations = (design.y - mean)[rows] / at.sigma
            rest = deviations - q[:each] @ (q[:each].T @ deviations)
            total -= 0.5 * float(deviations @ rest) + float(np.log(np.abs(np.diag(r))).sum())
            total -= each * (math.log(at.sigma) + 0.5 * math.log(2 * math.pi))
        assert found.log_density(u)[0] == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(
    "text", ["y ~ x + (1 + x | school/room)", "y ~ x + (1 | town) + (1 + x | school) + (1 | room)"]
)
def test_more_levels_than_are_worked_on_at_a_time(text: str) -> None:
    """Strips of levels end in the middle of towns and schools, some of which have one room with one row."""
    rng = np.random.default_rng(3)
    rows, lanes = 700, marginal.kernels().LANES
    school = np.concatenate([np.arange(150), rng.integers(0, 150, rows - 150)])
    room = 3 * school + rng.integers(0, 3, rows)
    data = dataset_of(
        y=rng.normal(size=rows) + rng.normal(size=150)[school],
        x=rng.normal(size=rows),
        town=[f"t{i // 2}" for i in school],
        school=[f"s{i}" for i in school],
        room=[f"r{i}" for i in room],
    )
    design = design_of(text, data)
    resolved = default_priors.resolve(design, {})
    priors = {p.parameter: p.prior for p in resolved}
    found = marginal.build(design, resolved)
    assert min(g.levels for g in found.groupings) > lanes
    for seed in range(2):
        x = found.start + np.random.default_rng(seed).normal(0, 0.8, len(found.start))
        mean, covariance, _ = moments(design, priors, at := parameters(design, priors, found, x))
        expected = at.log_prior + stats.multivariate_normal(mean, covariance).logpdf(design.y)
        value, gradient = found.log_density(x)
        assert value == pytest.approx(expected, rel=1e-11)
        for i, unit in enumerate(1e-4 * np.eye(len(x))):
            values = [found.log_density(x + k * unit)[0] for k in (-2, -1, 1, 2)]
            assert gradient[i] == pytest.approx(float(np.dot([1, -8, 8, -1], values)) / 12e-4, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("name", ["sd(school: Intercept)", "cor(school: Intercept, x)", "sigma"])
def test_the_density_and_its_gradient_are_finite_where_a_chain_may_stray(name: str) -> None:
    """Far out on the unconstrained scale: a variance of 1e-13 or 1e13 times its start, a correlation of 1 - 1e-6."""
    _, _, found = built("y ~ x + (1 + x | school) + (1 | room)", {})
    place = next(
        i for i, n in enumerate(found.names) if n == name or (n.startswith("cor(") and name.startswith("cor("))
    )
    for away in (-15.0, 15.0):
        x = found.start.copy()
        x[place] += away
        value, gradient = found.log_density(x)
        assert math.isfinite(value)
        assert np.isfinite(gradient).all()
        assert value < found.log_density(found.start)[0]


@pytest.mark.parametrize(("text", "given"), [*CASES[:18], *(c for c in CASES if "|" in c[0].split("~")[0])])
def test_the_deviance_of_compressed_rows_is_that_of_the_rows(text: str, given: dict[str, str]) -> None:
    rng, size = np.random.default_rng(0), 7
    design, _, _ = built(text, given)
    effects = {
        t.key: rng.normal(size=(size, len(t.levels), len(t.effects))).astype(np.float32) for t in design.group_terms
    }
    others = {"sigma": rng.uniform(0.5, 2.0, size)} if "sigma" in design.scalars else {}
    draws = predictor.Draws(1, size, rng.normal(0, 3, (size, len(design.coefficients))), effects, others)
    expected = sum(-2.0 * values.sum(axis=1) for _, values in likelihood.conditional(design, draws))
    found = marginal.deviance(design, draws.b, effects, others.get("sigma", np.ones(size)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
