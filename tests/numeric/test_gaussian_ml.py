"""ML and REML fits of Gaussian multilevel models equal lme4's, and their likelihood that of the whole covariance matrix.

The reference was made by `python tests/oracle/make_reference.py ml`; tests/oracle makes it again where R is installed.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from multilevel import design, gaussian_ml
from multilevel.dataset import Dataset
from multilevel.gaussian_ml import CrossProducts, NotGaussianError

ORACLE = Path(__file__).resolve().parents[1] / "oracle"
REFERENCE = json.loads((ORACLE / "reference" / "gaussian_ml_lme4.json").read_text(encoding="utf-8"))
RADON = json.loads((ORACLE / "reference" / "radon_lme4.json").read_text(encoding="utf-8"))


def simulation_module() -> Any:
    spec = importlib.util.spec_from_file_location("make_reference", ORACLE / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_dataset(frame: pd.DataFrame) -> Dataset:
    made = frame.copy()
    for name in made.columns:
        if made[name].dtype.kind not in "fiub":
            made[name] = pd.Categorical(made[name].astype(str))
    return Dataset(made, np.arange(len(made)).astype(str).astype(object), {}, {})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("simulated") / "simulated.csv"
    assert simulation_module().write_simulation(path) == REFERENCE["data_sha256"]
    return as_dataset(pd.read_csv(path))


def design_of(name: str, data: Dataset) -> design.Design:
    return design.build({"formula": REFERENCE["models"][name]["formula"], "family": "gaussian"}, data)


MODELS = sorted(REFERENCE["models"])


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_is_that_of_lme4(name: str, simulated: Dataset) -> None:
    stored = REFERENCE["models"][name]
    found = gaussian_ml.maximise(design_of(name, simulated), stored["estimator"])
    assert found.converged
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)
    assert found.singular == stored["singular"]
    for part in ("fixed", "sd"):
        assert {k: found.estimates[k] for k in stored[part]} == pytest.approx(stored[part], rel=1e-4, abs=1e-6), part
    for correlation, value in stored["cor"].items():
        assert found.estimates[correlation] == pytest.approx(value, abs=2e-4), correlation
    assert found.estimates["sigma"] == pytest.approx(stored["sigma"], rel=1e-5)
    assert found.standard_errors == pytest.approx(stored["standard_errors"], rel=1e-4)
    predicted = {level: found.estimates[f"school[{level}: Intercept]"] for level in stored["school_intercepts"]}
    assert predicted == pytest.approx(stored["school_intercepts"], abs=2e-4)
    criteria = found.criteria()
    for criterion in ("aic", "bic"):
        if stored["estimator"] == "ml":
            assert criteria[criterion] == pytest.approx(stored[criterion], rel=0, abs=1e-5)
    if stored["estimator"] == "reml":
        assert criteria["reml_criterion"] == pytest.approx(-2 * stored["log_likelihood"], rel=0, abs=2e-6)


def test_a_zero_that_is_the_maximum_is_exactly_zero(simulated: Dataset) -> None:
    found = gaussian_ml.maximise(design_of("boundary.ml", simulated), "ml")
    assert found.estimates["sd(school: Intercept)"] == 0.0
    assert found.theta == (0.0,)
    assert found.singular


@pytest.mark.parametrize("name", ["varying_intercept", "county_uranium", "varying_slope", "cross_level"])
def test_radon_by_ml_is_the_best_that_lme4_finds(name: str, radon_plan: dict[str, Any], radon: Dataset) -> None:
    """lme4 itself stops at a singular point of cross_level from its own start; from others it ends here."""
    stored = RADON["models"][name]
    found = gaussian_ml.maximise(design.build(radon_plan["models"][name], radon), "ml")
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)
    assert not found.singular
    for part in ("fixed", "sd", "cor"):
        for parameter, value in stored.get(part, {}).items():
            assert found.estimates[parameter] == pytest.approx(value, rel=1e-4, abs=1e-5), parameter


def test_without_group_terms_ml_is_least_squares(radon_plan: dict[str, Any], radon: Dataset) -> None:
    stored = RADON["models"]["complete_pooling"]
    built = design.build(radon_plan["models"]["complete_pooling"], radon)
    ml, reml = gaussian_ml.maximise(built, "ml"), gaussian_ml.maximise(built, "reml")
    assert ml.log_likelihood == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)
    assert ml.estimates["sigma"] == pytest.approx(stored["sigma"], rel=1e-9)
    coefficients, rss, *_ = np.linalg.lstsq(built.x, built.y)
    assert [ml.estimates["Intercept"], ml.estimates["b(floor)"]] == pytest.approx(list(coefficients), rel=1e-9)
    assert reml.estimates["sigma"] == pytest.approx(float(np.sqrt(rss[0] / (len(built.y) - 2))), rel=1e-9)
    covariance = rss[0] / (len(built.y) - 2) * np.linalg.inv(built.x.T @ built.x)
    assert list(reml.standard_errors.values()) == pytest.approx(list(np.sqrt(np.diag(covariance))), rel=1e-9)


def whole_covariance(built: design.Design, covariances: list[np.ndarray], sigma: float) -> np.ndarray:
    variance = np.eye(len(built.y)) * sigma**2
    for term, covariance in zip(built.group_terms, covariances, strict=True):
        variance += (term.index[:, None] == term.index[None, :]) * (term.z @ covariance @ term.z.T)
    return variance


@pytest.mark.parametrize("name", [m for m in MODELS if m.endswith(".ml")])
def test_the_likelihood_at_any_parameters_is_that_of_the_whole_covariance_matrix(name: str, simulated: Dataset) -> None:
    built = design_of(name, simulated)
    rng = np.random.default_rng(sum(name.encode()))
    sigma = rng.uniform(0.5, 3.0)
    coefficients = np.array([50.0, 0.6, 1.4, 0.1][: built.x.shape[1]]) + rng.normal(0, 0.3, built.x.shape[1])
    roots = [rng.normal(0, 1, (len(t.effects),) * 2) * np.tri(len(t.effects)) for t in built.group_terms]
    roots = [root if t.correlated else np.diag(np.diag(root)) for root, t in zip(roots, built.group_terms, strict=True)]
    covariances = [root @ root.T for root in roots]
    variance = whole_covariance(built, covariances, sigma)
    dense = multivariate_normal(built.x @ coefficients, variance).logpdf(built.y)
    ours = gaussian_ml.log_likelihood(built, coefficients, sigma, covariances)
    assert ours == pytest.approx(float(dense), rel=0, abs=1e-6)
    # Restricted: the density of residual contrasts, up to |X'X|, which does not depend on the parameters (Harville 1974).
    inverse = np.linalg.inv(variance)
    information = built.x.T @ inverse @ built.x
    best = np.linalg.solve(information, built.x.T @ inverse @ built.y)
    residual = built.y - built.x @ best
    free = len(built.y) - built.x.shape[1]
    dense = free * np.log(2 * np.pi) + np.linalg.slogdet(variance)[1] + np.linalg.slogdet(information)[1]
    dense = -0.5 * (dense + residual @ inverse @ residual)
    ours = gaussian_ml.log_likelihood(built, coefficients, sigma, covariances, "reml")
    assert ours == pytest.approx(float(dense), rel=0, abs=1e-6)


def test_a_covariance_that_is_singular_is_allowed(simulated: Dataset) -> None:
    built = design_of("slope.ml", simulated)
    coefficients, covariance = np.array([50.0, 0.6, 1.4]), np.array([[0.25, -0.5], [-0.5, 1.0]])
    dense = multivariate_normal(built.x @ coefficients, whole_covariance(built, [covariance], 1.3)).logpdf(built.y)
    assert gaussian_ml.log_likelihood(built, coefficients, 1.3, [covariance]) == pytest.approx(float(dense), abs=1e-6)


@pytest.mark.parametrize("name", ["slope.ml", "three_effects.reml", "uncorrelated.reml"])
def test_the_way_of_several_groupings_gives_the_same_as_that_of_one(name: str, simulated: Dataset) -> None:
    built, estimator = design_of(name, simulated), REFERENCE["models"][name]["estimator"]
    by_level, by_sparse = CrossProducts.of(built), CrossProducts.of(built, one_grouping=False)
    assert by_level.blocks is not None
    assert by_sparse.blocks is None
    rng = np.random.default_rng(3)
    for _ in range(5):
        theta = rng.normal(0, 1, by_level.theta_size)
        assert by_level.deviance(theta, estimator) == pytest.approx(
            by_sparse.deviance(theta, estimator), rel=0, abs=1e-8
        )
        for a, b in zip(
            by_level.solve(by_level.factors(theta))[2], by_sparse.solve(by_sparse.factors(theta))[2], strict=True
        ):
            assert a == pytest.approx(b, abs=1e-9)


def test_no_other_parameters_are_more_likely(simulated: Dataset) -> None:
    built = design_of("crossed_slope.ml", simulated)
    found = gaussian_ml.maximise(built, "ml")
    products = CrossProducts.of(built)
    rng = np.random.default_rng(5)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(20):
            theta = np.array(found.theta) + rng.normal(0, size, len(found.theta))
            scaled = [f * s[:, None] for f, s in zip(products.factors(theta), products.z_scales, strict=True)]
            positions = [gaussian_ml._positions(t) for t in products.terms]
            moved = np.array([f[p] for f, where in zip(scaled, positions, strict=True) for p in where])
            assert -0.5 * products.deviance(moved, "ml") <= found.log_likelihood + 1e-9


def test_units_and_zeros_of_predictors_change_nothing_else(simulated: Dataset) -> None:
    plain = gaussian_ml.maximise(design_of("slope.ml", simulated), "ml")
    frame = simulated.frame.assign(x=simulated.frame["x"] * 1000.0 + 5000.0)
    moved = gaussian_ml.maximise(design_of("slope.ml", as_dataset(frame)), "ml")
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, rel=0, abs=1e-6)
    assert moved.estimates["b(x)"] * 1000 == pytest.approx(plain.estimates["b(x)"], rel=1e-5)
    assert moved.estimates["sd(school: x)"] * 1000 == pytest.approx(plain.estimates["sd(school: x)"], rel=1e-4)
    assert moved.estimates["sigma"] == pytest.approx(plain.estimates["sigma"], rel=1e-6)


def test_an_offset_is_taken_off_the_response(simulated: Dataset) -> None:
    with_offset = design.build({"formula": "y ~ x + offset(2 * arm) + (1 | school)", "family": "gaussian"}, simulated)
    frame = simulated.frame.assign(y=simulated.frame["y"] - 2 * simulated.frame["arm"])
    without = design.build({"formula": "y ~ x + (1 | school)", "family": "gaussian"}, as_dataset(frame))
    a, b = gaussian_ml.maximise(with_offset, "reml"), gaussian_ml.maximise(without, "reml")
    assert a.estimates == pytest.approx(b.estimates, abs=1e-7)


def test_without_fixed_part(simulated: Dataset) -> None:
    built = design.build({"formula": "y ~ 0 + (1 | school)", "family": "gaussian"}, simulated)
    ml, reml = gaussian_ml.maximise(built, "ml"), gaussian_ml.maximise(built, "reml")
    assert ml.log_likelihood == pytest.approx(reml.log_likelihood, rel=0, abs=1e-9)
    sd, sigma = ml.estimates["sd(school: Intercept)"], ml.estimates["sigma"]
    dense = multivariate_normal(np.zeros(len(built.y)), whole_covariance(built, [np.array([[sd**2]])], sigma)).logpdf(
        built.y
    )
    assert ml.log_likelihood == pytest.approx(float(dense), abs=1e-6)


def test_collinear_columns_are_refused(simulated: Dataset) -> None:
    frame = simulated.frame.assign(again=simulated.frame["x"] * 2 - 1)
    built = design.build({"formula": "y ~ x + again + (1 | school)", "family": "gaussian"}, as_dataset(frame))
    with pytest.raises(NotGaussianError, match="the columns of the fixed part are linearly dependent"):
        gaussian_ml.maximise(built, "ml")


def test_a_response_without_residual_is_refused(simulated: Dataset) -> None:
    frame = simulated.frame.assign(y=3 + 2 * simulated.frame["x"])
    built = design.build({"formula": "y ~ x + (1 | school)", "family": "gaussian"}, as_dataset(frame))
    with pytest.raises(NotGaussianError, match="explains the response without a residual"):
        gaussian_ml.maximise(built, "ml")


def test_a_stored_maximum_reads_back(simulated: Dataset) -> None:
    found = gaussian_ml.maximise(design_of("boundary_slope.reml", simulated), "reml")
    record = json.loads(json.dumps(gaussian_ml.as_record(found)))
    values = gaussian_ml.values_of(record)
    assert values["reml_criterion"] == pytest.approx(-2 * found.log_likelihood)
    assert values["sd(school: x)"] == found.estimates["sd(school: x)"]
    assert record["singular"] is True
    assert record["converged"] is True
    assert record["starts"] == len(found.reached)


def with_errors(simulated: Dataset, formula: str) -> design.Design:
    """Return a design whose standard errors, from 0.5 to 4, are known."""
    frame = pd.DataFrame(simulated.frame).assign(s=np.random.default_rng(3).uniform(0.5, 4.0, len(simulated.frame)))
    return design.build({"formula": formula, "family": "gaussian"}, as_dataset(frame))


@pytest.mark.parametrize("estimator", ["ml", "reml"])
@pytest.mark.parametrize("grouping", ["(1 | school)", "(1 + x | school)", "(1 | school) + (1 | rater)"])
def test_known_standard_errors_are_the_residual(simulated: Dataset, grouping: str, estimator: Any) -> None:
    """At the maximum the likelihood is that of the whole covariance matrix, and nowhere nearby is it larger."""
    built = with_errors(simulated, f"y | se(s) ~ x + {grouping}")
    found = gaussian_ml.maximise(built, estimator)
    assert found.converged
    assert "sigma" not in found.estimates
    names = [[f"sd({t.label}: {e})" for e in t.effects] for t in built.group_terms]
    sds = [np.array([found.estimates[name] for name in own]) for own in names]
    covariances = [np.outer(sd, sd) for sd in sds]
    for covariance, own, term in zip(covariances, sds, built.group_terms, strict=True):
        if len(own) == 2:
            covariance[0, 1] = covariance[1, 0] = found.estimates[f"cor({term.label}: Intercept, x)"] * own.prod()
    coefficients = np.array([found.estimates["Intercept"], found.estimates["b(x)"]])

    def dense(coefficients: np.ndarray, covariances: list[np.ndarray]) -> float:
        variance = whole_covariance(built, covariances, 0.0) + np.diag(built.terms["se"] ** 2)
        inverse = np.linalg.inv(variance)
        residual = built.y - built.x @ coefficients
        value = len(built.y) * np.log(2 * np.pi) + np.linalg.slogdet(variance)[1] + residual @ inverse @ residual
        if estimator == "reml":
            value += np.linalg.slogdet(built.x.T @ inverse @ built.x)[1] - built.x.shape[1] * np.log(2 * np.pi)
        return -0.5 * float(value)

    assert found.log_likelihood == pytest.approx(dense(coefficients, covariances), rel=0, abs=1e-6)
    anywhere = gaussian_ml.log_likelihood(built, coefficients, 1.0, covariances, estimator)
    assert anywhere == pytest.approx(found.log_likelihood, rel=0, abs=1e-6)
    for share in (0.9, 1.1):
        assert dense(coefficients, [c * share for c in covariances]) < found.log_likelihood
        assert dense(coefficients * share, covariances) < found.log_likelihood
    information = built.x.T @ np.linalg.solve(
        whole_covariance(built, covariances, 0.0) + np.diag(built.terms["se"] ** 2), built.x
    )
    assert list(found.standard_errors.values()) == pytest.approx(list(np.sqrt(np.diag(np.linalg.inv(information)))))
    if estimator == "ml":
        parameters = 2 + len(found.theta)
        assert found.criteria()["aic"] == pytest.approx(-2 * found.log_likelihood + 2 * parameters)


def test_equal_known_errors_are_a_sigma_that_is_known(simulated: Dataset) -> None:
    frame = pd.DataFrame(simulated.frame).assign(s=1.7)
    known = design.build({"formula": "y | se(s) ~ x + (1 | school)", "family": "gaussian"}, as_dataset(frame))
    plain = design.build({"formula": "y ~ x + (1 | school)", "family": "gaussian"}, as_dataset(frame))
    arguments = (np.array([50.0, 0.6]), [np.array([[0.8]])])
    assert gaussian_ml.log_likelihood(known, arguments[0], 1.0, arguments[1]) == pytest.approx(
        gaussian_ml.log_likelihood(plain, arguments[0], 1.7, arguments[1]), rel=1e-12
    )
