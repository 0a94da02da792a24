"""Predictive checks compare replicates of the same rows in the same groups with the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import checks, predictor
from multilevel.predictor import Draws

Y = np.array([1.0, 2.0, 3.0, 6.0])
GROUPS = np.array([0, 0, 1, 1])


def statistics(replicates: np.ndarray) -> dict[str, dict[str, float]]:
    table = checks.statistics(Y, replicates, {"g": GROUPS})
    return {row.pop("statistic"): row for row in table.to_dict("records")}


def test_observed_statistics_are_those_of_the_data() -> None:
    found = {name: row["observed"] for name, row in statistics(Y[None, :]).items()}
    # Central moments: second (4 + 1 + 0 + 9) / 4, third (-8 - 1 + 0 + 27) / 4; group means 1.5 and 4.5.
    assert found == {
        "mean": 3.0,
        "sd": pytest.approx(np.sqrt(14 / 3), rel=1e-15),
        "minimum": 1.0,
        "10 % quantile": pytest.approx(1.3, rel=1e-15),
        "median": 2.5,
        "90 % quantile": pytest.approx(5.1, rel=1e-15),
        "maximum": 6.0,
        "skewness": pytest.approx(4.5 / 3.5**1.5, rel=1e-14),
        "sd of g means": pytest.approx(3 / np.sqrt(2), rel=1e-15),
    }


@pytest.mark.parametrize(
    ("shifts", "tail"),
    [([1, 1, 1, 1], 1.0), ([-1, -1, -1, -1], 0.0), ([0, 0, 0, 0], 0.5), ([-1, 0, 1, 1], 0.625)],
)
def test_a_tail_probability_counts_ties_half(shifts: list[int], tail: float) -> None:
    found = statistics(Y + np.array(shifts, dtype=float)[:, None])
    assert found["mean"]["tail_probability"] == tail
    assert found["maximum"]["tail_probability"] == tail


def test_predicted_means_and_intervals_are_over_the_replicates() -> None:
    replicates = Y + np.linspace(-1, 1, 401)[:, None]
    found = statistics(replicates)["mean"]
    assert found["predicted"] == pytest.approx(3.0, abs=1e-12)
    assert (found["lower"], found["upper"]) == (pytest.approx(2.05, abs=1e-12), pytest.approx(3.95, abs=1e-12))


DESIGN = design_of("y ~ x + (1 | g)", dataset_of(y=Y, x=[0.0, 1.0, 0.0, 1.0], g=["a", "a", "b", "b"]))


def draws_of(count: int, sigma: float = 1.0) -> Draws:
    b = np.tile([1.0, 2.0], (count, 1))
    effects = np.tile(np.array([10.0, -10.0], dtype=np.float32)[None, :, None], (count, 1, 1))
    return Draws(4, count // 4, b, {"g": effects}, {"sigma": np.full(count, sigma)})


def test_replicates_are_of_the_same_rows_in_the_same_groups() -> None:
    found = checks.replicate(DESIGN, draws_of(4000), seed=1)
    assert found.shape == (checks.MAX_REPLICATES, 4)
    # Means 11, 13, -9, -7; a mean of 1000 replicates has an error of 0.03.
    np.testing.assert_allclose(found.mean(axis=0), [11, 13, -9, -7], atol=0.13)
    np.testing.assert_allclose(found.std(axis=0, ddof=1), 1.0, atol=0.1)


def test_replicates_come_from_draws_spread_over_all_chains() -> None:
    numbered = draws_of(4000, sigma=1e-9)
    numbered = replace(
        numbered, b=np.column_stack([np.arange(4000.0), np.zeros(4000)]), effects={"g": numbered.effects["g"] * 0}
    )
    first = checks.replicate(DESIGN, numbered, seed=1)[:, 0]
    assert (first.min(), first.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(3999, abs=1e-6))
    assert np.all(np.abs(np.diff(first) - 4) < 1.1)


def test_the_seed_decides_the_replicates() -> None:
    one, same, other = (checks.replicate(DESIGN, draws_of(400), seed) for seed in (1, 1, 2))
    assert one.shape == (400, 4)  # as many as there are draws
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_densities_share_one_grid_that_holds_the_data() -> None:
    replicates = checks.replicate(DESIGN, draws_of(400), seed=1)
    table = checks.densities(Y, replicates)
    assert set(table["replicate"]) == set(range(checks.SHOWN_REPLICATES + 1))
    assert list(table.loc[table["replicate"] == 0, "source"].unique()) == ["observed"]
    grids = table.groupby("replicate")["x"].apply(tuple)
    assert grids.nunique() == 1
    assert min(grids[0]) < Y.min() < Y.max() < max(grids[0])
    assert (table["density"] >= 0).all()


# The linear predictor that all of this rests on.


def test_a_linear_predictor_is_the_same_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = draws_of(8)
    whole = predictor.linear_predictor(DESIGN, draws, slice(0, 4))
    monkeypatch.setattr(predictor, "BLOCK_VALUES", 8)
    slices = list(predictor.blocks(4, draws.size))
    assert slices == [slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4)]
    np.testing.assert_array_equal(np.hstack([predictor.linear_predictor(DESIGN, draws, s) for s in slices]), whole)
    np.testing.assert_array_equal(whole[0], [11, 13, -9, -7])


@pytest.mark.parametrize(("rows", "count"), [(0, 0), (1, 1), (500, 1), (919, 2), (10_000, 20)])
def test_blocks_hold_every_row_once(rows: int, count: int) -> None:
    found = list(predictor.blocks(rows, 8000))
    assert len(found) == count
    assert [row for block in found for row in range(block.start, block.stop)] == list(range(rows))


def test_some_draws_are_one_chain() -> None:
    some = draws_of(400).select([3, 1, 2])
    assert (some.chains, some.draws, some.size) == (1, 3, 3)
    assert len(some.b) == len(some.effects["g"]) == len(some.others["sigma"]) == 3
