"""Log likelihoods of ordinal and unordered categories equal those of MASS, VGAM and nnet in R, at their estimates."""

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
R = json.loads((REFERENCE / "categories_r.json").read_text(encoding="utf-8"))

TOLERANCE = 1e-6
"""What lme4's log likelihoods are held to as well: R's optimisers stop when a step changes less."""

SIGN = {
    "cumulative": 1,
    "cumulative_cauchit": 1,
    "sequential": 1,
    "sequential_cloglog": 1,
    "continuation_cloglog": -1,
    "adjacent": -1,
}
"""VGAM's linear predictor is threshold + effects where ours is threshold - eta (1), or the negative of that (-1)."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("categories") / "categories.csv"
    assert design_formulas.write(path, design_formulas.category_columns()) == R["data_sha256"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = {"k", "travel"}
    return dataset_of(**{n: [r[n] if n in text else float(r[n]) for r in rows] for n in rows[0]})


def log_likelihood(spec: dict[str, Any], data: Dataset, b: list[float]) -> float:
    built = design.build(spec, data)
    draws = Draws(1, 1, np.array([b]), {}, {})
    rows = slice(0, len(built.y))
    return float(likelihood.of_rows(built, rows, predictor.arguments(built, draws, rows)).sum())


def is_best(spec: dict[str, Any], data: Dataset, b: list[float]) -> bool:
    """Tell whether no coefficient can be moved for a larger log likelihood: a wrong sign or shape would move the maximum."""
    best = log_likelihood(spec, data, b)
    moved = [
        log_likelihood(spec, data, [*b[:i], b[i] + shift, *b[i + 1 :]])
        for i in range(len(b))
        for shift in (-0.01, 0.01)
    ]
    return max(moved) < best


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_cumulative_models_are_those_of_polr(link: str, data: Dataset) -> None:
    found = R["polr"][link]
    spec = {"formula": "rating | weights(w) ~ 1 + x + k", "family": "cumulative", "link": link}
    b = [*found["thresholds"], *found["effects"]]
    assert log_likelihood(spec, data, b) == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)
    assert is_best(spec, data, b)


@pytest.mark.parametrize(
    ("name", "specific"),
    [
        (name, specific)
        for name in SIGN
        for specific in (False, True)
        if not (specific and name.startswith("cumulative"))
    ],
)
def test_ordinal_families_with_and_without_category_specific_effects_are_those_of_vgam(
    name: str, specific: bool, data: Dataset
) -> None:
    family, _, link = name.partition("_")
    found, sign = R["vglm"][name]["specific" if specific else "same"], SIGN[name]
    thresholds = [sign * value for value in found["thresholds"]]
    z = [-sign * value for value in np.atleast_1d(found["z"])]
    formula = f"rating | weights(w) ~ 1 + x + {'cs(z)' if specific else 'z'}"
    spec = {"formula": formula, "family": family, "link": link or "logit"}
    b = [*thresholds, -sign * found["x"], *z]
    assert len(z) == (3 if specific else 1)
    assert log_likelihood(spec, data, b) == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)
    assert is_best(spec, data, b)


def test_unordered_categories_are_those_of_multinom(data: Dataset) -> None:
    found = R["multinom"]
    assert (found["categories"], found["terms"]) == (["car", "on foot"], ["(Intercept)", "x", "kq", "kr"])
    spec = {"formula": "travel | weights(w) ~ 1 + x + k", "family": "categorical"}
    names = [f"mu_{way}_{term}" for way in ("car", "on_foot") for term in ("Intercept", "x", "k[q]", "k[r]")]
    assert list(design.build(spec, data).all_coefficients) == names
    b = [*found["b"][0], *found["b"][1]]
    assert log_likelihood(spec, data, b) == pytest.approx(found["log_likelihood"], rel=0, abs=TOLERANCE)
    assert is_best(spec, data, b)
