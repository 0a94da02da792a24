"""From stored draws on, leave-one-out, WAIC, differences and weights are those of R's loo 2.5.1, to 1e-4 or better.

The reference was made by `python tests/oracle/make_reference.py weights`: R computes its own log likelihoods from the same draws
of four models. Some rows lie far from every model, so that high values of k and WAIC's high variances are among them.

R is told that r_eff is 1 (which newer versions assume), so ours is set to 1; and S = 900, of which both programs take 90 draws
for the tail, though one rounds its length up and the other down. Nothing else stands between the two.
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

from multilevel import comparison, likelihood, mcmc, weights
from multilevel.comparison import Candidate
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import loo

REFERENCE = json.loads(
    (Path(make_reference.__file__).parent / "reference" / "loo_of_draws.json").read_text(encoding="utf-8")
)
FORMULAS = {"x_alone": "y ~ x", "z_alone": "y ~ z", "both": "y ~ x + z", "both_and_groups": "y ~ x + z + (1 | g)"}
NAMES = list(FORMULAS)
CLOSE = 1e-8


@pytest.fixture(scope="module", autouse=True)
def as_if_independent() -> Any:
    """R was told that the draws are, and does not estimate it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mcmc, "ess", lambda values, *_: float(values.size))
        yield


def built(model: str) -> Design:
    return design_of(FORMULAS[model], dataset_of(**design_formulas.scored_columns()))


def drawn(model: str, design: Design) -> Draws:
    """Return the stored draws of a model, as two chains."""
    table = pd.DataFrame(design_formulas.scored_draws()).query("model == @model")
    columns = {"Intercept": "intercept", "x": "x", "z": "z"}
    b = table[[columns[name] for name in design.coefficients]].to_numpy()
    effects = {t.key: table[list(t.levels)].to_numpy(dtype=np.float32)[..., None] for t in design.group_terms}
    sd = {t.key: np.full((len(table), 1), 0.3) for t in design.group_terms}
    return Draws(2, len(table) // 2, b, effects, {"sigma": table["sigma"].to_numpy()}, sd)


@pytest.fixture(scope="module")
def scored() -> dict[str, tuple[dict[str, Any], pd.DataFrame]]:
    return {name: loo.score(built(name), drawn(name, built(name))) for name in NAMES}


def conditional(model: str) -> Candidate:
    """Return a candidate scored given the group effects, as R scores it."""
    design = built(model)
    draws = drawn(model, design)
    record, table = loo.from_log_density((block for _, block in likelihood.conditional(design, draws)), draws.chains)
    table.insert(0, "row_id", [str(i) for i in range(len(table))])
    return Candidate(model, "ok", record | {"fingerprint": {}}, table)


@pytest.fixture(scope="module")
def candidates() -> list[Candidate]:
    return [conditional(name) for name in NAMES]


def test_r_was_given_these_rows_and_draws(tmp_path: Path) -> None:
    rows, draws = design_formulas.scored_columns(), design_formulas.scored_draws()
    assert design_formulas.write(tmp_path / "rows.csv", rows) == REFERENCE["data_sha256"]["rows"]
    assert design_formulas.write(tmp_path / "draws.csv", draws) == REFERENCE["data_sha256"]["draws"]
    assert NAMES == list(REFERENCE["models"]) == list(design_formulas.DRAWS_OF)


@pytest.mark.parametrize("model", NAMES)
def test_leave_one_out_of_every_row_and_in_total(model: str, scored: Any) -> None:
    record, table = scored[model]
    stored = REFERENCE["models"][model]
    np.testing.assert_allclose(table["elpd_conditional"], stored["elpd"], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(table["pareto_k_conditional"], stored["pareto_k"], rtol=0, atol=CLOSE)
    own = record["conditional"]
    for ours, theirs in (("elpd", "elpd_loo"), ("p_loo", "p_loo"), ("looic", "looic")):
        assert own[ours] == pytest.approx(stored["loo"][theirs]["estimate"], rel=0, abs=CLOSE), ours
    assert own["se"] == pytest.approx(stored["loo"]["elpd_loo"]["se"], rel=0, abs=CLOSE)
    high = np.array(stored["pareto_k"]) > own["k_threshold"]
    assert high.sum() >= 2  # so that unreliable rows are there
    assert own["k_counts"]["bad"] + own["k_counts"]["very_bad"] == high.sum()
    if not built(model).group_terms:  # with group effects, what is reported integrates them out, which R's loo does not
        assert record["elpd"] == own["elpd"]
        np.testing.assert_allclose(table["p_loo"], stored["p_loo"], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("model", NAMES)
def test_the_widely_applicable_information_criterion(model: str, scored: Any) -> None:
    record, table = scored[model]
    stored, own = REFERENCE["models"][model], record["waic"]
    np.testing.assert_allclose(table["p_waic"], stored["p_waic"], rtol=0, atol=CLOSE)
    for ours, theirs in (("elpd", "elpd_waic"), ("p_waic", "p_waic"), ("waic", "waic")):
        assert own[ours] == pytest.approx(stored["waic"][theirs]["estimate"], rel=0, abs=CLOSE), ours
    assert own["se"] == pytest.approx(stored["waic"]["elpd_waic"]["se"], rel=0, abs=CLOSE)
    high = sum(value > 0.4 for value in stored["p_waic"])
    assert high >= 3
    assert (own["high_variances"], own["reliable"]) == (high, False)


def test_differences_and_their_errors(candidates: list[Candidate]) -> None:
    table = comparison.compare(candidates)
    assert list(table["model"]) == [row["model"] for row in REFERENCE["compare"]]
    for name in ("elpd_diff", "se_diff"):
        np.testing.assert_allclose(table[name], [row[name] for row in REFERENCE["compare"]], rtol=0, atol=CLOSE)


def test_stacking_weights(candidates: list[Candidate]) -> None:
    table = comparison.compare(candidates).set_index("model")
    stored = REFERENCE["stacking"]
    assert sorted(stored.values())[1] > 0.05  # three models share the weight
    assert table["weight"].to_dict() == pytest.approx(stored, rel=0, abs=1e-4)


def test_pseudo_bma_weights(candidates: list[Candidate]) -> None:
    """Both are random: their means over repeats differ by no more than four combined errors of these."""
    matrix = np.column_stack([c.elpd for c in candidates])
    ours = np.array([weights.pseudo_bma(matrix, seed) for seed in range(25)])
    theirs = np.array([[run[name] for name in NAMES] for run in REFERENCE["pseudo_bma"]["repeats"]])
    errors = np.sqrt((ours.var(axis=0, ddof=1) / len(ours)) + theirs.var(axis=0, ddof=1) / len(theirs))
    assert (errors < 0.005).all()
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4 * errors).all()


@pytest.mark.oracle
def test_r_gives_the_stored_values() -> None:
    need_r("loo", "jsonlite")
    record: Any = make_reference.run_weights()
    assert record["data_sha256"] == REFERENCE["data_sha256"]
    if record["versions"]["loo"] != REFERENCE["versions"]["loo"]:
        pytest.skip(f"the stored values are those of loo {REFERENCE['versions']['loo']}")
    for name, stored in REFERENCE["models"].items():
        now = record["models"][name]
        for part in ("elpd", "p_loo", "pareto_k", "p_waic"):
            assert now[part] == pytest.approx(stored[part], rel=0, abs=1e-8), (name, part)
        for criterion in ("loo", "waic"):
            for total, values in stored[criterion].items():
                assert now[criterion][total] == pytest.approx(values, rel=0, abs=1e-8), (name, total)
    for before, after in zip(REFERENCE["compare"], record["compare"], strict=True):
        assert after == {key: pytest.approx(v, abs=1e-8) if key != "model" else v for key, v in before.items()}
    assert record["stacking"] == pytest.approx(REFERENCE["stacking"], rel=0, abs=1e-6)
