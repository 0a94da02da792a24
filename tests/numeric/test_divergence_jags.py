"""Plummer's penalties and the mean deviance are those of rjags::dic.samples, of normal, Bernoulli and Poisson rows.

The reference was made by `python tests/oracle/make_reference.py penalties`, from the data and under the priors that stand in
`penalties_jags.R`. JAGS reports no Monte Carlo errors: its runs are repeated, and the errors are those of their means. Four
combined errors are allowed.

Three differences of computation, none of estimand:

- JAGS takes the divergence of pairs of chains at the same iteration; we take it of all pairs of draws, by a covariance.
- For popt both weight a draw by 1 / p(y_i | theta), which makes it one of the posterior without row i. JAGS takes these weights
  as they are, we smooth their largest by a Pareto distribution: where they have no variance JAGS' popt jumps from run to run,
  ours is biased, and the record warns. The rows here have a Pareto k below 0.7.
- Weights of JAGS are of a pair, w_1 w_2 over chains at one iteration, ours are of each draw; both sum to the same mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from oracle import design_formulas, make_reference
from oracle.test_reference_is_current import need_r

from multilevel import default_priors, methods, names, predictor, storage
from multilevel.design import Design
from multilevel.scores import dic

REFERENCE = json.loads(
    (Path(make_reference.__file__).parent / "reference" / "penalties_jags.json").read_text(encoding="utf-8")
)
RESPONSES = {"gaussian": "y", "bernoulli": "yes", "poisson": "count"}
PRIORS = {"Intercept": "normal(0, 3)", "b": "normal(0, 2)", "sd": "exponential(1)"}
SAMPLER = {"chains": 4, "draws": 8000, "tune": 1000, "target_accept": 0.95, "max_treedepth": 10}
COMPARED = ("dbar", "p_kl", "p_opt")


def design_for(family: str) -> Design:
    data = dataset_of(**design_formulas.penalty_columns())
    return design_of(f"{RESPONSES[family]} ~ x + (1 | g)", data, family)


def of_jags(runs: list[dict[str, float]], name: str) -> tuple[float, float]:
    """Return the mean over the runs and its standard error."""
    values = np.array([run[name] for run in runs])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def test_jags_was_given_these_data(tmp_path: Path) -> None:
    digest = design_formulas.write(tmp_path / "penalties.csv", design_formulas.penalty_columns())
    assert digest == REFERENCE["data_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("family", RESPONSES)
def test_penalties_are_those_of_jags(family: str, tmp_path: Path) -> None:
    built = design_for(family)
    given = PRIORS | ({"sigma": "exponential(1)"} if family == "gaussian" else {})
    tree, encoding, *_ = methods.get("sampled").fit(
        built, default_priors.resolve(built, given), {"centred": False}, SAMPLER, 3, 2
    )
    storage.write_netcdf(tmp_path / "posterior.nc", tree, encoding)
    record, _ = dic.score(built, predictor.read(tmp_path / "posterior.nc", built))
    assert record["k_max_p_opt"] < names.HIGH_K
    distances = {}
    for name in COMPARED:
        theirs, their_error = of_jags(REFERENCE["models"][family], name)
        error = np.hypot(record[f"mcse_{name}"], their_error)
        distances[name] = (record[name] - theirs) / error
        assert 0 < error < 0.02 * theirs, name  # else agreement says little
    assert {name: z for name, z in distances.items() if abs(z) > 4} == {}


@pytest.mark.slow
@pytest.mark.oracle
def test_jags_gives_the_stored_values() -> None:
    need_r("rjags", "jsonlite")
    record: Any = make_reference.run_penalties()
    assert record["data_sha256"] == REFERENCE["data_sha256"]
    for family, runs in REFERENCE["models"].items():
        for name in COMPARED:
            (before, error), (now, error_now) = of_jags(runs, name), of_jags(record["models"][family], name)
            assert abs(now - before) < 4 * np.hypot(error, error_now), (family, name)
