"""Posteriors and scores agree with JAGS under identical priors.

The reference was made by `python tests/oracle/make_reference.py jags`: 20,000 draws of each model, smallest bulk ESS 10,828.
Four combined Monte Carlo standard errors are allowed. Over the 90 or so means that are compared, chance alone would break
that about once in 170 runs of the test with fresh seeds; the seeds are fixed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multilevel import predictor
from multilevel.scores import dic, loo

REFERENCE = json.loads(
    (Path(__file__).resolve().parents[1] / "oracle" / "reference" / "radon_jags.json").read_text(encoding="utf-8")
)
MODELS = sorted(REFERENCE["models"])

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", MODELS)
def test_every_stored_parameter_has_the_same_posterior(name: str, fits: dict[str, Any]) -> None:
    summary = fits[name].summary.set_index("parameter")
    stored = REFERENCE["models"][name]["parameters"]
    assert len(stored) >= 3
    ours = {"mean": "mean", "lower": "lower", "upper": "upper"}
    distances = {}
    for parameter, values in stored.items():
        for key, column in ours.items():
            own, error = summary.loc[parameter, column], summary.loc[parameter, f"mcse_{key}"]
            distances[parameter, key] = (own - values[key]) / np.hypot(error, values[f"mcse_{key}"])
    assert {what: z for what, z in distances.items() if abs(z) > 4} == {}


@pytest.mark.parametrize("name", MODELS)
def test_the_deviance_and_its_penalties_are_the_same(name: str, fits: dict[str, Any]) -> None:
    fit, stored = fits[name], REFERENCE["models"][name]["dic"]
    record, _ = dic.score(fit.built, predictor.read(fit.path, fit.built))
    assert abs(record["dbar"] - stored["dbar"]) < 4 * np.hypot(record["mcse_dbar"], stored["mcse_dbar"])
    assert abs(record["p_v"] - stored["p_v"]) < 4 * np.hypot(record["mcse_p_v"], stored["mcse_p_v"])
    # Both p_D take the same plug-in; the error of a p_D is at most that of its Dbar plus that of its plug-in, which is smaller.
    assert abs(record["p_d"] - stored["p_d"]) < 4 * 2 * np.hypot(record["mcse_dbar"], stored["mcse_dbar"])


@pytest.mark.parametrize("name", MODELS)
def test_the_leave_one_out_score_is_the_same(name: str, fits: dict[str, Any]) -> None:
    fit, stored = fits[name], REFERENCE["models"][name]["loo"]
    record, table = loo.score(fit.built, predictor.read(fit.path, fit.built))
    # JAGS' own error is not known where R's loo found a high k: it has five times our draws, so ours is a bound for it.
    error = np.hypot(record["mcse"], stored["mcse"] if stored["mcse"] is not None else record["mcse"])
    # Where k is high the delta method understates the error of those rows: half a unit of log density is allowed for each.
    allowance = 0.5 * int((table["pareto_k"] > record["k_threshold"]).sum())
    assert abs(record["elpd"] - stored["elpd"]) < 4 * error + allowance
    # p_loo has the error of log p(y_i | y) too, which is given the effects: about that of the conditional score.
    error = np.hypot(record["conditional"]["mcse"], stored["mcse"] if stored["mcse"] is not None else error)
    assert abs(record["p_loo"] - stored["p_loo"]) < 4 * error + allowance
    assert record["se"] == pytest.approx(stored["se"], rel=0.01)  # a sum over the same 919 rows; both are estimates
