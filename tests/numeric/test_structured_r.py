"""Crossed groups have the log likelihood of lme4; multiple membership and a pedigree have the posteriors of JAGS.

The reference was made by `python tests/oracle/make_reference.py structured`, from the data and under the priors that stand in
`structured.R`. The animal model is written there as a pedigree is read, animal by animal, without a relationship matrix.
Posterior means and standard deviations may differ by four combined Monte Carlo standard errors.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multilevel import dataset, design, gaussian_ml, mcmc, plan, preparation

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = json.loads((ROOT / "tests" / "oracle" / "reference" / "structured.json").read_text(encoding="utf-8"))


@cache
def prepared(study: str) -> tuple[dict[str, Any], dataset.Dataset]:
    made = plan.make(Path(f"config/studies/{study}.yaml"), plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    return made, preparation.prepare(made["data"], made["drop_missing_in"], ROOT)


def design_of(study: str, model: str) -> design.Design:
    made, data = prepared(study)
    return design.build(made["models"][model], data)


@pytest.mark.parametrize("name", REFERENCE["data_sha256"])
def test_the_reference_is_of_these_data(name: str) -> None:
    assert hashlib.sha256((ROOT / "data" / name).read_bytes()).hexdigest() == REFERENCE["data_sha256"][name]


@pytest.mark.parametrize("name", REFERENCE["likelihood"])
def test_crossed_groups_have_the_log_likelihood_of_lme4(name: str) -> None:
    study, estimator = name.split(".")
    stored = REFERENCE["likelihood"][name]
    built = design_of(study, "crossed")
    covariances = [np.array([[stored["sds"][term.group] ** 2]]) for term in built.group_terms]
    found = gaussian_ml.log_likelihood(
        built, np.array(stored["coefficients"]), stored["sds"]["Residual"], covariances, estimator
    )
    assert found == pytest.approx(stored["log_likelihood"], rel=0, abs=1e-6)


SAMPLED = [
    (
        "multiple_membership",
        "both_schools",
        {"Intercept": "mu", "sd(school_1+school_2: Intercept)": "tau", "sigma": "sigma"},
    ),
    (
        "pedigree",
        "animal_litters",
        {
            "b(sex[m])": "b",
            "sd(animal: Intercept)": "tau",
            "sd(litter: Intercept)": "lambda",
            "sigma": "sigma",
        },
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "model", "names"), SAMPLED)
def test_posteriors_are_those_of_jags(study: str, model: str, names: dict[str, str]) -> None:
    from multilevel import convergence, default_priors, sampling
    from multilevel import model as models

    built, spec = design_of(study, model), prepared(study)[0]["models"][model]
    priors = default_priors.resolve(built, spec["priors"])
    settings = {"chains": 4, "draws": 1500, "tune": 1000, "target_accept": 0.9, "max_treedepth": 10}
    trace, _ = sampling.sample(models.build(built, priors, False), settings, spec["seed"], 2)
    posterior, _ = sampling.posterior(trace, built, False)
    found = convergence.quantities(posterior["posterior"].to_dataset(), built, effects=False)
    values = {q.parameter: q.values for q in found}
    distances = {}
    for ours, theirs in names.items():
        stored = REFERENCE["posterior"][study][theirs]
        error = np.hypot(mcmc.mcse_mean(values[ours]), stored["mcse_mean"])
        distances[ours, "mean"] = (values[ours].mean() - stored["mean"]) / error
        # The error of a standard deviation of about normal draws is that of the mean over the root of 2.
        error = np.hypot(mcmc.mcse_mean(values[ours]) / np.sqrt(2), stored["mcse_sd"])
        distances[ours, "sd"] = (values[ours].std(ddof=1) - stored["sd"]) / error
    assert {what: z for what, z in distances.items() if abs(z) > 4} == {}
