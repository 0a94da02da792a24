"""ML and REML with correlated residuals and standard deviations by occasion equal nlme's, on unbalanced data with unequal gaps.

The reference was made by `python tests/oracle/make_reference.py correlated`; tests/oracle makes it again where R is installed.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.correlated import data, design_with
from fixtures.small_data import dataset_of, design_of

from multilevel import correlated_ml, default_priors, design, formula, integration, published, schema, units
from multilevel.dataset import Dataset
from multilevel.design import Design
from multilevel.gaussian_ml import NotGaussianError
from multilevel.predictor import Draws

ORACLE = Path(__file__).resolve().parents[1] / "oracle"
ORTHODONT = ORACLE.parents[1] / "data" / "orthodont" / "measurements.csv"
REFERENCE = json.loads((ORACLE / "reference" / "correlated_nlme.json").read_text(encoding="utf-8"))

SDS = "0 + C(visit)"
GROWTH: dict[str, tuple[str, str, str]] = {
    "ar1": ("y ~ age * arm", "ar1(week | subject)", ""),
    "car1": ("y ~ age * arm", "car1(age | subject)", ""),
    "cs": ("y ~ age * arm", "cs(subject)", ""),
    "unstructured": ("y ~ age * arm", "unstructured(visit | subject)", ""),
    "unstructured_sds": ("y ~ age * arm", "unstructured(visit | subject)", SDS),
    "sds": ("y ~ age * arm", "", SDS),
    "car1_sds": ("y ~ age * arm", "car1(age | subject)", SDS),
    "car1_intercepts": ("y ~ age * arm + (1 | subject)", "car1(age | subject)", ""),
    "ar1_slopes": ("y ~ age * arm + (1 + age | subject)", "ar1(week | subject)", ""),
}
ORTHODONT_MODELS: dict[str, tuple[str, str, str]] = {
    "orthodont_cs": ("distance ~ age * Sex", "cs(Subject)", ""),
    "orthodont_ar1": ("distance ~ age * Sex", "ar1(occasion | Subject)", ""),
    "orthodont_car1": ("distance ~ age * Sex", "car1(age | Subject)", ""),
    "orthodont_unstructured": ("distance ~ age * Sex", "unstructured(age | Subject)", "0 + C(age)"),
    "orthodont_slopes_by_sex": ("distance ~ age * Sex + (1 + age | Subject)", "", "0 + Sex"),
    "orthodont_intercepts_ar1": ("distance ~ age * Sex + (1 | Subject)", "ar1(occasion | Subject)", ""),
}
MODELS = {**GROWTH, **ORTHODONT_MODELS}
ESTIMATORS = ("ml", "reml")


def module() -> Any:
    spec = importlib.util.spec_from_file_location("make_reference", ORACLE / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def growth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("simulated") / "growth.csv"
    assert module().write_growth(path) == REFERENCE["data_sha256"]
    frame = pd.read_csv(path)
    assert frame.groupby("subject").size().nunique() > 1  # unbalanced
    assert frame.groupby("subject")["age"].diff().round(2).nunique() > 20  # gaps that differ
    shuffled = frame.sample(frac=1.0, random_state=3)  # rows stand in no order
    return dataset_of(**{str(name): column.tolist() for name, column in shuffled.items()})


@pytest.fixture(scope="module")
def orthodont() -> Dataset:
    frame = pd.read_csv(ORTHODONT).assign(occasion=lambda d: ((d["age"] - 6) // 2).astype(int))
    return dataset_of(**{str(name): column.tolist() for name, column in frame.items()})


def made(name: str, growth: Dataset, orthodont: Dataset) -> Design:
    text, structure, sigma = MODELS[name]
    model: dict[str, Any] = {"formula": str(formula.parse(text)), "family": "gaussian"}
    model |= {"parameters": {"sigma": sigma} if sigma else {}, "residuals": structure}
    return design.build(model, orthodont if name.startswith("orthodont") else growth)


def of_nlme(stored: dict[str, Any], built: Design) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return coefficients, sigma by row, correlations and covariances of a fit of nlme, in our order."""
    named = {
        k.replace("(Intercept)", "Intercept").replace("SexMale", "Sex[Male]"): v for k, v in stored["fixed"].items()
    }
    coefficients = np.array([named[name] for name in built.coefficients])
    sigma = np.full(len(built.y), stored["sigma"])
    if stored["relative_sds"]:
        labels = [name.split("[")[1].removesuffix("]") for name in built.predictors[1].coefficients]
        sigma = built.predictors[1].x @ np.array([stored["sigma"] * stored["relative_sds"][label] for label in labels])
    correlations = np.array(stored["correlation"] or [])
    if built.residuals is not None and built.residuals.occasions:  # nlme has them column by column
        count = len(built.residuals.occasions)
        matrix = np.eye(count)
        matrix[np.triu_indices(count, k=1)] = correlations
        correlations = matrix.T[np.tril_indices(count, k=-1)]
    covariance = [np.array(stored["covariance"], dtype=float)] if stored["covariance"] else []
    return coefficients, sigma, correlations, covariance


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", MODELS)
def test_the_log_likelihood_at_nlmes_estimates_is_nlmes(
    name: str, estimator: Any, growth: Dataset, orthodont: Dataset
) -> None:
    stored, built = REFERENCE["models"][f"{name}.{estimator}"], made(name, growth, orthodont)
    found = correlated_ml.log_likelihood(built, *of_nlme(stored, built), estimator)
    assert found == pytest.approx(stored["log_likelihood"], abs=1e-6)


@pytest.mark.parametrize("name", ["car1", "car1_sds", "car1_intercepts", "ar1_slopes", "unstructured_sds"])
def test_the_integrated_likelihood_of_draws_is_nlmes(name: str, growth: Dataset, orthodont: Dataset) -> None:
    """What scores are made of: the sum over subjects, effects integrated out, at nlme's ML estimates."""
    stored, built = REFERENCE["models"][f"{name}.ml"], made(name, growth, orthodont)
    coefficients, sigma, correlations, covariances = of_nlme(stored, built)
    b = coefficients
    if len(built.predictors) > 1:
        b = np.append(b, np.linalg.lstsq(built.predictors[1].x, np.log(sigma), rcond=None)[0])
    sds = [np.sqrt(np.diag(covariance)) for covariance in covariances]
    terms = built.group_terms
    below = [np.tril_indices(len(sd), k=-1) for sd in sds]
    draws = Draws(
        chains=1,
        draws=1,
        b=b[None],
        effects={t.key: np.zeros((1, len(t.levels), len(t.effects)), np.float32) for t in terms},
        others={"sigma": sigma[:1]} if "sigma" in built.scalars else {},
        sd={t.key: sd[None] for t, sd in zip(terms, sds, strict=True)},
        cor={
            t.key: (c / np.outer(sd, sd))[i][None] for t, c, sd, i in zip(terms, covariances, sds, below, strict=True)
        },
        residual=correlations[None],
    )
    whole = integration.integral(built, draws, units.of_grouping(growth.frame, "subject"))
    total = sum(block.log_density.sum() for block in whole.blocks(draws))
    assert total == pytest.approx(stored["log_likelihood"], abs=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_is_that_of_nlme(name: str, estimator: Any, growth: Dataset, orthodont: Dataset) -> None:
    stored, built = REFERENCE["models"][f"{name}.{estimator}"], made(name, growth, orthodont)
    found = correlated_ml.maximise(built, estimator)
    assert found.converged
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], abs=1e-5)
    coefficients, sigma, correlations, covariances = of_nlme(stored, built)
    estimates = found.estimates
    assert [estimates[default_priors.coefficient_name(n)] for n in built.coefficients] == pytest.approx(
        coefficients, rel=2e-4, abs=2e-4
    )
    names = built.residuals.parameters if built.residuals else ()
    assert [estimates[name] for name in names] == pytest.approx(correlations, abs=2e-4)
    if "sigma" in estimates:
        assert estimates["sigma"] == pytest.approx(sigma[0], rel=5e-4)
    else:
        logs = [estimates[f"b({n})"] for n in built.predictors[1].coefficients]
        assert np.exp(built.predictors[1].x @ np.array(logs)) == pytest.approx(sigma, rel=2e-4)
    for term, covariance in zip(built.group_terms, covariances, strict=True):
        sds = [estimates[default_priors.sd_name(term, effect)] for effect in term.effects]
        assert sds == pytest.approx(np.sqrt(np.diag(covariance)), rel=2e-3)
    for criterion in ("aic", "bic"):
        if stored.get(criterion) is not None:
            assert found.criteria()[criterion] == pytest.approx(stored[criterion], abs=2e-5)


@pytest.mark.parametrize(
    ("text", "structure", "sigma", "reason"),
    [
        (
            "y ~ x + (1 | week)",
            "ar1(week | person)",
            "",
            "takes groups that hold whole subjects, and 'week' splits them",
        ),
        ("y ~ x + (1 | person)", "cs(person)", "", "and cs residuals have one likelihood for many values"),
        ("y ~ x", "cs(person)", "1 + (1 | person)", "our fit has no group effects on sigma"),
    ],
)
def test_what_has_no_maximum_is_refused_with_the_reason(text: str, structure: str, sigma: str, reason: str) -> None:
    built = design_with(structure, data(), text, **({"sigma": sigma} if sigma else {}))
    assert reason in correlated_ml.refusal(built)
    with pytest.raises(NotGaussianError, match=r"our fit|one likelihood"):
        correlated_ml.maximise(built, "ml")
    item = schema.Published(
        model="m", quantity="log_likelihood", value=schema.Printed("-1.0"), estimator="ml", source="here"
    )
    model = {"family": "gaussian", "link": "identity", "parameters": {}}
    rows, problems = published.resolve([item], {"m": model}, {"m": built})
    assert not problems
    assert reason in rows[0]["reason"]


def test_plain_designs_stay_with_the_plain_fit() -> None:
    assert not correlated_ml.applies(design_of("y ~ x + (1 | person)", data()))
    assert correlated_ml.applies(design_with("cs(person)", data()))
