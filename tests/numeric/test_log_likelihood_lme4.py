"""Our likelihood, the group effects integrated out in closed form, equals lme4's at lme4's own ML estimates.

The reference was made by `python tests/oracle/make_reference.py lme4`; tests/oracle makes it again where R is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multilevel import design, families, predictor
from multilevel.dataset import Dataset
from multilevel.default_priors import coefficient_name, sd_name
from multilevel.predictor import Draws

REFERENCE = json.loads(
    (Path(__file__).resolve().parents[1] / "oracle" / "reference" / "radon_lme4.json").read_text(encoding="utf-8")
)
UNCORRELATED = "log_radon ~ 1 + floor + (1 + floor || county)"


def spec_of(name: str, plan: dict[str, Any]) -> dict[str, Any]:
    if name == "varying_slope_uncorrelated":
        return {"formula": UNCORRELATED, "family": "gaussian", "priors": {}, "centred": False}
    return plan["models"][name]


def at_estimates(built: design.Design, stored: dict[str, Any]) -> Draws:
    """Return one draw at lme4's estimates, the group effects at zero: they are integrated out below."""
    b = np.array([[stored["fixed"][coefficient_name(name)] for name in built.coefficients]])
    effects = {t.key: np.zeros((1, len(t.levels), len(t.effects)), dtype=np.float32) for t in built.group_terms}
    return Draws(1, 1, b, effects, {"sigma": np.array([stored["sigma"]])})


def covariance_of_effects(term: design.Term, stored: dict[str, Any]) -> np.ndarray:
    sd = np.array([stored["sd"][sd_name(term, effect)] for effect in term.effects])
    correlation = np.eye(len(sd))
    if term.correlated:
        (value,) = stored["cor"].values()
        correlation[0, 1] = correlation[1, 0] = value
    return correlation * np.outer(sd, sd)


def integrated_log_likelihood(built: design.Design, stored: dict[str, Any]) -> float:
    """log N(y | X b, Z Sigma Z' + sigma^2 I), with the project's X, Z and linear predictor."""
    eta = predictor.linear_predictor(built, at_estimates(built, stored), slice(0, len(built.y)))[0]
    variance = np.eye(len(built.y)) * stored["sigma"] ** 2
    for term in built.group_terms:
        same = term.index[:, None] == term.index[None, :]
        variance += same * (term.z @ covariance_of_effects(term, stored) @ term.z.T)
    factor = np.linalg.cholesky(variance)
    whitened = np.linalg.solve(factor, built.y - eta)
    return float(-0.5 * (whitened @ whitened + len(eta) * np.log(2 * np.pi)) - np.log(np.diag(factor)).sum())


@pytest.mark.parametrize("name", sorted(REFERENCE["models"]))
def test_log_likelihood_at_the_estimates_of_lme4(name: str, radon_plan: dict[str, Any], radon: Dataset) -> None:
    stored = REFERENCE["models"][name]
    built = design.build(spec_of(name, radon_plan), radon)
    assert integrated_log_likelihood(built, stored) == pytest.approx(stored["log_likelihood"], abs=1e-6, rel=0)


@pytest.mark.parametrize("name", ["complete_pooling", "no_pooling"])
def test_without_group_effects_the_family_gives_the_same_sum(
    name: str, radon_plan: dict[str, Any], radon: Dataset
) -> None:
    stored = REFERENCE["models"][name]
    built = design.build(radon_plan["models"][name], radon)
    eta = predictor.linear_predictor(built, at_estimates(built, stored), slice(0, len(built.y)))[0]
    density = families.get("gaussian").log_density(built.y, eta, np.array(stored["sigma"]))
    assert density.sum() == pytest.approx(stored["log_likelihood"], abs=1e-6, rel=0)
