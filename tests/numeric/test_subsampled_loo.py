"""Leave-one-out from a sample of rows against that of all rows: totals, differences, and the errors that they claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import comparison, default_priors
from multilevel.comparison import Candidate
from multilevel.design import Design
from multilevel.methods import integrated
from multilevel.predictor import Draws
from multilevel.scores import loo, subsampled

ROWS, GROUPS, SAMPLE = 3000, 60, 300
SAMPLER = {"chains": 4, "draws": 150, "tune": 300, "target_accept": 0.9, "max_treedepth": 10}
FORMULAS = {"pooled": "y ~ x", "intercepts": "y ~ x + (1 | g)", "slopes": "y ~ x + (1 + x | g)"}


def data() -> Any:
    rng = np.random.default_rng(8)
    g, x = rng.integers(0, GROUPS, ROWS), rng.normal(size=ROWS)
    effects = rng.normal(0, [0.7, 0.3], (GROUPS, 2))
    y = effects[g, 0] + (0.5 + effects[g, 1]) * x + rng.normal(size=ROWS)
    return dataset_of(y=y, x=x, g=[f"g{i}" for i in g])


@pytest.fixture(scope="module")
def fits() -> dict[str, tuple[Design, Draws]]:
    found, rows = {}, data()
    for name, text in FORMULAS.items():
        design = design_of(text, rows)
        tree, *_ = integrated.fit(design, default_priors.resolve(design, {}), {}, SAMPLER, 1, 2)
        posterior = tree["posterior"].to_dataset()

        def flat(variable: str, posterior: Any = posterior) -> Any:
            values = posterior[variable].to_numpy()
            return values.reshape(-1, *values.shape[2:])

        keys = [term.key for term in design.group_terms]
        effects, sd = ({key: flat(f"{kind}_{key}") for key in keys} for kind in ("r", "sd"))
        cor = {t.key: flat(f"cor_{t.key}") for t in design.group_terms if t.correlated}
        found[name] = design, Draws(4, SAMPLER["draws"], flat("b"), effects, {"sigma": flat("sigma")}, sd, cor)
    return found


@pytest.fixture(scope="module")
def whole(fits: dict[str, tuple[Design, Draws]]) -> dict[str, tuple[dict[str, Any], pd.DataFrame]]:
    return {name: loo.score(*fit) for name, fit in fits.items()}


def samples(count: int) -> list[np.ndarray]:
    return [np.sort(np.random.default_rng(i).choice(ROWS, SAMPLE, replace=False)) for i in range(count)]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_sampled_row_has_the_score_that_it_has_among_all(fits: Any, whole: Any, name: str) -> None:
    record, table = subsampled.score(*fits[name], rows := samples(1)[0])
    columns = ["elpd", "p_loo", "pareto_k", "r_eff", "mcse", "estimator", "elpd_conditional", "p_waic"]
    assert list(table.index) == list(rows)
    pd.testing.assert_frame_equal(table[columns], whole[name][1].loc[rows, columns])
    assert record["n_units"] == ROWS
    assert record["subsampling"]["rows"] == SAMPLE
    assert sum(record["k_counts"].values()) == SAMPLE


@pytest.mark.parametrize("name", FORMULAS)
def test_totals_are_those_of_all_rows_within_the_error_of_sampling(fits: Any, whole: Any, name: str) -> None:
    """Over 20 samples: unbiased, spread as the standard error says, and far closer than N times the sample's mean."""
    record, table = whole[name]
    z, spread = [], []
    for rows in samples(20):
        found, _ = subsampled.score(*fits[name], rows)
        z.append((found["elpd"] - record["elpd"]) / found["subsampling"]["se"])
        spread.append(found["elpd"])
        # Ten times as close as the sample alone: rows that were not sampled tell of the spread through their surrogates.
        assert found["se"] == pytest.approx(record["se"], rel=0.05)
        # Where effects are integrated out of scores, those of the surrogates still move with the draws, tenfold.
        assert 0.3 < found["mcse"] / record["mcse"] < (3 if name == "pooled" else 15)
    assert abs(np.mean(z)) < 4 / np.sqrt(20)
    assert 0.5 < np.std(z, ddof=1) < 1.7
    plain = ROWS * np.sqrt((1 - SAMPLE / ROWS) * np.var(table["elpd"], ddof=1) / SAMPLE)
    assert np.std(spread) < 0.2 * plain


def candidates(scored: dict[str, tuple[dict[str, Any], pd.DataFrame]]) -> list[Candidate]:
    found = []
    for name, (record, table) in scored.items():
        units = table.assign(row_id=[str(i) for i in table.index])
        found.append(Candidate(name, "ok", record | {"fingerprint": {"rows": "same"}}, units))
    return found


def test_differences_between_models_are_those_of_all_rows(fits: Any, whole: Any) -> None:
    expected = comparison.compare(candidates(whole)).set_index("model")
    z = []
    for rows in samples(10):
        scored = {name: subsampled.score(*fit, rows) for name, fit in fits.items()}
        made = comparison.compare(candidates(scored)).set_index("model")
        assert list(made.index) == list(expected.index)
        other = [name for name in made.index if made.loc[name, "rank"] != 1]
        for name in other:
            error = made.loc[name, "subsampling_se_diff"]
            z.append((made.loc[name, "elpd_diff"] - expected.loc[name, "elpd_diff"]) / error)
            without = np.sqrt(made.loc[name, "se_diff"] ** 2 - error**2)
            assert without == pytest.approx(expected.loc[name, "se_diff"], rel=0.4)
        assert made["pseudo_bma"].sum() == pytest.approx(1)
        np.testing.assert_allclose(made["pseudo_bma"], expected["pseudo_bma"], atol=0.05)
        assert made["weight"].sum() == pytest.approx(1)
        assert made["weight"].idxmax() == expected["weight"].idxmax()
    assert abs(np.mean(z)) < 4 / np.sqrt(10)
    assert np.abs(z).max() < 4
    notes = comparison.describe(candidates(scored), made.reset_index())["notes"]
    assert "a random sample of 300 of 3,000 rows" in notes[0]


def test_scores_of_a_sample_are_not_compared_with_those_of_all_rows(fits: Any, whole: Any) -> None:
    mixed = {"pooled": whole["pooled"], "slopes": subsampled.score(*fits["slopes"], samples(1)[0])}
    with pytest.raises(comparison.UnequalDataError):
        comparison.compare(candidates(mixed))


def test_models_of_the_same_rows_are_sampled_at_the_same_rows() -> None:
    assert subsampled.sample(subsampled.LARGE) is None
    rows = subsampled.sample(subsampled.LARGE + 1)
    assert rows is not None
    assert len(set(rows.tolist())) == subsampled.SAMPLE
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, subsampled.sample(subsampled.LARGE + 1))


def test_loo_scores_a_sample_where_there_are_very_many_rows(fits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsampled, "LARGE", ROWS - 1)
    monkeypatch.setattr(subsampled, "SAMPLE", SAMPLE)
    record, table = loo.score(*fits["slopes"])
    assert record["subsampling"]["rows"] == len(table) == SAMPLE
    assert record["conditional"]["subsampling"]["of"] == ROWS
