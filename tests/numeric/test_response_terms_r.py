"""Log likelihoods with weights, censoring, trials and a predicted sigma equal those of nlme, survival and glm in R."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of
from oracle import design_formulas

from multilevel import design, likelihood, predictor
from multilevel.dataset import Dataset
from multilevel.predictor import Draws

REFERENCE = Path(__file__).resolve().parents[1] / "oracle" / "reference"
R = json.loads((REFERENCE / "response_terms.json").read_text(encoding="utf-8"))

TOLERANCE = 1e-6
"""What lme4's log likelihoods are held to as well: R's optimisers stop when a step changes less."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("responses") / "responses.csv"
    assert design_formulas.write(path, design_formulas.response_columns()) == R["data_sha256"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return dataset_of(**{n: [r[n] if n == "kind" else float(r[n]) for r in rows] for n in rows[0]})


def log_likelihood(spec: dict[str, Any], data: Dataset, b: list[float], **others: float) -> float:
    """Return our log likelihood of a model without groups at given coefficients and other parameters."""
    built = design.build(spec, data)
    draws = Draws(1, 1, np.array([b]), {}, {name: np.array([value]) for name, value in others.items()})
    rows = slice(0, len(built.y))
    return float(likelihood.of_rows(built, rows, predictor.arguments(built, draws, rows)).sum())


def test_a_sigma_with_a_predictor_is_that_of_gls(data: Dataset) -> None:
    found = R["predicted_sigma"]
    spec = {"formula": "y ~ 1 + x", "family": "gaussian", "parameters": {"sigma": "1 + z"}}
    ours = log_likelihood(spec, data, [*found["b"], *found["sigma"]])
    assert ours == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)


def test_censored_and_weighted_rows_are_those_of_survreg(data: Dataset) -> None:
    found = R["censored"]
    spec = {"formula": "y | weights(w) + cens(kind, upper) ~ 1 + x", "family": "gaussian"}
    ours = log_likelihood(spec, data, found["b"], sigma=found["sigma"])
    assert ours == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_successes_out_of_trials_are_those_of_glm(link: str, data: Dataset) -> None:
    found = R["binomial"][link]
    spec = {"formula": "successes | trials(trials) ~ 1 + x", "family": "binomial", "link": link}
    assert log_likelihood(spec, data, found["b"]) == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)


def test_a_weight_is_the_number_of_times_that_a_row_stands(data: Dataset) -> None:
    found = R["repeated_rows"]
    spec = {"formula": "successes | trials(trials) + weights(w) ~ 1 + x", "family": "binomial"}
    assert log_likelihood(spec, data, found["b"]) == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)


def test_the_estimates_are_where_our_log_likelihood_is_largest(data: Dataset) -> None:
    """A wrong constant could hide in a difference; a wrong shape would move the maximum."""
    found = R["censored"]
    spec = {"formula": "y | weights(w) + cens(kind, upper) ~ 1 + x", "family": "gaussian"}
    best = log_likelihood(spec, data, found["b"], sigma=found["sigma"])
    for shift in (-0.01, 0.01):
        assert log_likelihood(spec, data, [found["b"][0] + shift, found["b"][1]], sigma=found["sigma"]) < best
        assert log_likelihood(spec, data, [found["b"][0], found["b"][1] + shift], sigma=found["sigma"]) < best
        assert log_likelihood(spec, data, found["b"], sigma=found["sigma"] * (1 + shift)) < best
