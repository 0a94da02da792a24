"""Likelihoods with group effects integrated out, as scores take them, are lme4's at lme4's own ML estimates.

The references were made by `python tests/oracle/make_reference.py lme4`, `... ml` and `... glmer`. What integrates is the package
that leave-one-out, leave-one-group-out and integrated DIC use; it is handed one draw, lme4's estimates.

Of `glmer(nAGQ = 25)`, logLik() of the lme4 that made the reference (1.1-31) is not the log likelihood: it is half a deviance
whose rows are measured from the saturated model, so it lacks that model's log likelihood, sum_i log p(y_i | mean y_i). That is
0 for Bernoulli rows; for Poisson rows it is a constant of the data, which is added. That this is the right constant is shown
by lme4's own Laplace approximation, which has it, and by sums over a grid clinic by clinic.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from oracle import design_formulas, make_reference
from oracle.test_reference_is_current import need_r
from scipy.special import expit, logsumexp
from scipy.stats import bernoulli, norm, poisson

from multilevel import default_priors, design, integration
from multilevel.dataset import Dataset
from multilevel.design import Design
from multilevel.predictor import Draws

STORED = Path(make_reference.__file__).parent / "reference"
GLMER, SIMULATED, RADON = (
    json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("glmer", "gaussian_ml_lme4", "radon_lme4")
)


def at_estimates(built: Design, stored: dict[str, Any]) -> Draws:
    """Return one draw at lme4's estimates, group effects at zero: they are integrated out."""
    b = np.array([[stored["fixed"][default_priors.coefficient_name(name)] for name in built.coefficients]])
    effects = {t.key: np.zeros((1, len(t.levels), len(t.effects)), dtype=np.float32) for t in built.group_terms}
    sd = {t.key: np.array([[stored["sd"][default_priors.sd_name(t, e)] for e in t.effects]]) for t in built.group_terms}
    # A correlation with an effect that does not vary is null, and means nothing.
    cor = {
        t.key: np.array([[stored["cor"][name] or 0.0 for name in default_priors.cor_names(t)]])
        for t in built.group_terms
        if t.correlated
    }
    others = {"sigma": np.array([stored["sigma"]])} if "sigma" in stored else {}
    return Draws(1, 1, b, effects, others, sd, cor)


def integrated(built: Design, stored: dict[str, Any], by: str) -> float:
    """Return the log likelihood as the scores integrate it, by the given method."""
    draws = at_estimates(built, stored)
    found, reason = integration.most(built, draws)
    assert found is not None, reason
    assert found.method == by
    assert found.structure.conditioned == ()  # else it is not lme4's likelihood
    total = sum(float(block.log_density.sum()) for block in found.blocks(draws))
    assert not found.warnings()
    return total


# Normal responses: lmer by ML.


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("simulated") / "simulated.csv"
    assert make_reference.write_simulation(path) == SIMULATED["data_sha256"]
    frame = pd.read_csv(path)
    return dataset_of(**{str(name): frame[name].to_numpy() for name in frame})


BY_ML = ["intercept", "slope", "uncorrelated", "three_effects", "nested", "boundary", "boundary_slope"]
"""The fits of one grouping, or of one within another; crossed effects factor over neither."""


@pytest.mark.parametrize("name", BY_ML)
def test_normal_models_have_the_log_likelihood_of_lmer(name: str, simulated: Dataset) -> None:
    stored = SIMULATED["models"][f"{name}.ml"]
    built = design_of(stored["formula"], simulated)
    ours = integrated(built, stored, integration.CLOSED_FORM)
    assert ours == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)


@pytest.mark.parametrize("name", [n for n, stored in RADON["models"].items() if "sd" in stored])
def test_radon_models_have_the_log_likelihood_of_lmer(name: str, radon_plan: dict[str, Any], radon: Dataset) -> None:
    stored = RADON["models"][name]
    spec = {"formula": "log_radon ~ 1 + floor + (1 + floor || county)", "family": "gaussian"}
    built = design.build(radon_plan["models"].get(name, spec), radon)
    ours = integrated(built, stored, integration.CLOSED_FORM)
    assert ours == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)


# Bernoulli and Poisson responses: glmer.


FORMULAS = {
    "bernoulli": "yes ~ x + (1 | clinic)",
    "poisson": "count ~ x + offset(log_exposure) + (1 | clinic)",
}


@pytest.fixture(scope="module")
def clinics() -> Dataset:
    columns = design_formulas.clinic_columns()
    return dataset_of(**columns, log_exposure=np.log(columns["exposure"]))


def test_glmer_was_given_these_data(tmp_path: Path) -> None:
    columns = design_formulas.clinic_columns()
    assert design_formulas.write(tmp_path / "clinics.csv", columns) == GLMER["data_sha256"]
    assert len(columns["x"]) == GLMER["n_rows"]


@pytest.mark.parametrize("family", FORMULAS)
def test_discrete_models_have_the_log_likelihood_of_glmer_with_25_nodes(
    family: str, clinics: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, built = GLMER["models"][family], design_of(FORMULAS[family], clinics, family)
    theirs = stored["agq"]["log_lik"] + stored["saturated"]
    # Scores double the nodes until it changes the total by less than 0.01, and are nearer than that; 25 nodes are nearer still.
    as_scored = integrated(built, stored["agq"], integration.QUADRATURE)
    assert as_scored == pytest.approx(theirs, rel=0, abs=0.1 * integration.TOLERANCE)
    monkeypatch.setattr(integration, "TOLERANCE", 1e-6)
    assert integrated(built, stored["agq"], integration.QUADRATURE) == pytest.approx(theirs, rel=0, abs=1e-6)


def log_probability(family: str, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    found = bernoulli.logpmf(y, expit(eta)) if family == "bernoulli" else poisson.logpmf(y, np.exp(eta))
    return np.asarray(found.sum(axis=-1))


@pytest.mark.parametrize("family", FORMULAS)
def test_what_glmer_leaves_out_is_the_saturated_model(family: str, clinics: Dataset) -> None:
    stored, built = GLMER["models"][family], design_of(FORMULAS[family], clinics, family)
    fixed, (sd,) = np.array(list(stored["agq"]["fixed"].values())), stored["agq"]["sd"].values()
    (term,) = built.group_terms
    # For a smooth function that fades at both ends the trapezoid rule is as good as exact.
    u, step = np.linspace(-8.0, 8.0, 3201, retstep=True)
    total = 0.0
    for level in range(len(term.levels)):
        rows = np.flatnonzero(term.index == level)
        eta = built.x[rows] @ fixed + built.offset[rows] + sd * u[:, None]
        total += float(logsumexp(log_probability(family, built.y[rows], eta) + norm.logpdf(u))) + np.log(step)
    assert total == pytest.approx(stored["agq"]["log_lik"] + stored["saturated"], rel=0, abs=1e-6)
    # Laplace's approximation, which has the constant, is not exact, but off by far less than that.
    assert abs(total - stored["laplace"]["log_lik"]) < 0.5


def test_the_saturated_models_are_those_of_the_data(clinics: Dataset) -> None:
    assert GLMER["models"]["bernoulli"]["saturated"] == 0
    count = clinics.frame["count"].to_numpy()
    assert GLMER["models"]["poisson"]["saturated"] == pytest.approx(poisson.logpmf(count, count).sum(), rel=1e-12)


@pytest.mark.oracle
def test_glmer_gives_the_stored_values() -> None:
    need_r("lme4", "jsonlite")
    record: Any = make_reference.run_glmer()
    assert record["data_sha256"] == GLMER["data_sha256"]
    if record["versions"]["lme4"] != GLMER["versions"]["lme4"]:
        pytest.skip(f"the stored values are those of lme4 {GLMER['versions']['lme4']}")
    for family, stored in GLMER["models"].items():
        now = record["models"][family]
        assert now["saturated"] == pytest.approx(stored["saturated"], rel=0, abs=1e-8)
        for kind in ("agq", "laplace"):
            assert now[kind]["log_lik"] == pytest.approx(stored[kind]["log_lik"], rel=0, abs=1e-6), (family, kind)
            for part in ("fixed", "sd"):
                assert now[kind][part] == pytest.approx(stored[kind][part], rel=0, abs=1e-4), (family, kind)
