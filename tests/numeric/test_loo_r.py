"""PSIS-LOO agrees with R's loo 2.5.1 on one matrix of log likelihoods, heavy-tailed columns among them.

The reference was made by `python tests/oracle/make_reference.py loo`, which writes the matrix from a fixed seed, with
r_eff = relative_eff(exp(log_lik)). Two steps differ between the packages and bear on nothing else:

- R rounds the length of the tail, 3 sqrt(S / r_eff), up; ArviZ rounds it down.
- R's relative efficiency comes from whole chains and may exceed 1; ours comes from split chains and is capped at 1.

So the arithmetic is compared at R's own tail length, to rounding, and the scores as they are reported within what one or
two draws more or less in the tail can do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracle import make_reference
from oracle.test_reference_is_current import need_r
from scipy.special import logsumexp

from multilevel import mcmc, psis

REFERENCE = json.loads(
    (Path(make_reference.__file__).parent / "reference" / "psis_loo_r.json").read_text(encoding="utf-8")
)
STORED = pd.DataFrame.from_dict(REFERENCE["pointwise"], orient="index")


@pytest.fixture(scope="module")
def matrix() -> pd.DataFrame:
    """The log likelihoods that R was given."""
    return pd.DataFrame(make_reference.log_likelihoods())


@pytest.fixture(scope="module")
def table(matrix: pd.DataFrame) -> pd.DataFrame:
    rows = [psis.pointwise(matrix[name].to_numpy(), REFERENCE["chains"]) for name in matrix]
    return pd.DataFrame(rows, index=matrix.columns)


def test_r_was_given_this_matrix(matrix: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "log_likelihoods.csv"
    assert make_reference.write_log_likelihoods(path) == REFERENCE["data_sha256"]
    assert list(matrix) == list(STORED.index)
    assert len(matrix) == REFERENCE["draws"]


def test_smoothing_at_the_same_tail_length_is_the_same(matrix: pd.DataFrame) -> None:
    """Both fit a generalised Pareto by the same grid: what is left is the order of sums, seen to be below 1e-10."""
    size = len(matrix)
    for name, stored in STORED.iterrows():
        tail = np.ceil(min(0.2 * size, 3 * np.sqrt(size / stored["r_eff"])))
        same_tail = 9 * size / (tail + 0.5) ** 2  # the relative efficiency at which rounding down gives that tail
        values = matrix[name].to_numpy()
        log_weights, k = mcmc.pareto_smooth(values, same_tail)
        elpd = logsumexp(log_weights + values)
        assert k == pytest.approx(stored["pareto_k"], rel=0, abs=1e-8), name
        assert elpd == pytest.approx(stored["elpd"], rel=0, abs=1e-8), name
        lpd = logsumexp(values) - np.log(size)
        assert lpd - elpd == pytest.approx(stored["p_loo"], rel=0, abs=1e-8), name


def test_reported_rows_agree(table: pd.DataFrame) -> None:
    """One draw more in a tail of about 150 changes k by 0.03 at most here, and elpd by a tenth of its Monte Carlo error."""
    assert (table["pareto_k"] - STORED["pareto_k"]).abs().max() < 0.05
    for value in ("elpd", "p_loo"):
        assert ((table[value] - STORED[value]) / STORED["mcse"]).abs().max() < 0.2, value
    assert (table["r_eff"] / STORED["r_eff"].clip(upper=1.0) - 1).abs().max() < 0.05
    # R draws the log of a normal where ours is the delta method, and r_eff enters by its root: 5 % and 2.5 % more.
    capped = STORED["mcse"] * np.sqrt(STORED["r_eff"] / STORED["r_eff"].clip(upper=1.0))
    assert (table["mcse"] / capped - 1).abs().max() < 0.08


def test_reported_totals_agree(table: pd.DataFrame) -> None:
    record = psis.summarise(table, REFERENCE["draws"])
    assert abs(record["elpd"] - REFERENCE["elpd"]) < 0.1 * record["mcse"]
    assert abs(record["p_loo"] - REFERENCE["p_loo"]) < 0.1 * record["mcse"]
    assert abs(record["looic"] - REFERENCE["looic"]) < 0.2 * record["mcse"]
    assert record["se"] == pytest.approx(REFERENCE["se"], rel=1e-3)
    high = STORED["pareto_k"] > record["k_threshold"]
    assert high.sum() == 2  # so that the heavy tails are there
    assert list(table.index[table["pareto_k"] > record["k_threshold"]]) == list(STORED.index[high])


@pytest.mark.oracle
def test_r_gives_the_stored_values() -> None:
    need_r("loo", "jsonlite")
    record = make_reference.run_loo()

    def numbers(of: dict[str, Any]) -> dict[str, float]:
        totals = {key: of[key] for key in ("elpd", "se", "p_loo", "looic")}
        return totals | {f"{row} {key}": v for row, values in of["pointwise"].items() for key, v in values.items()}

    assert record["data_sha256"] == REFERENCE["data_sha256"]
    if record["versions"]["loo"] != REFERENCE["versions"]["loo"]:
        pytest.skip(f"the stored values are those of loo {REFERENCE['versions']['loo']}")
    assert numbers(record) == pytest.approx(numbers(REFERENCE), rel=0, abs=1e-8)
