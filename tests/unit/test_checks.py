"""Predictive checks compare replicates of the same rows in the same groups with the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import checks, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Y = np.array([1.0, 2.0, 3.0, 6.0])
GROUPS = np.array([0, 0, 1, 1])


def table_of(y: np.ndarray, replicates: np.ndarray, index: np.ndarray) -> pd.DataFrame:
    """Return the statistics of all rows, from replicates in one block."""
    groups = {"g": checks.Grouping(index, tuple(f"level {i}" for i in range(index.max() + 1)))}
    return checks.check(y, [replicates], groups, count=len(replicates), discrete=False).statistics


def statistics(replicates: np.ndarray) -> dict[str, dict[str, float]]:
    return {row.pop("statistic"): row for row in table_of(Y, replicates, GROUPS).to_dict("records")}


def replicate(design: Design, draws: Draws, seed: int) -> np.ndarray:
    return np.concatenate(list(checks.replicate_blocks(design, draws, seed)))


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
    found = replicate(DESIGN, draws_of(4000), seed=1)
    assert found.shape == (checks.MAX_REPLICATES, 4)
    # Means 11, 13, -9, -7; a mean of 1000 replicates has an error of 0.03.
    np.testing.assert_allclose(found.mean(axis=0), [11, 13, -9, -7], atol=0.13)
    np.testing.assert_allclose(found.std(axis=0, ddof=1), 1.0, atol=0.1)


def test_replicates_come_from_draws_spread_over_all_chains() -> None:
    numbered = draws_of(4000, sigma=1e-9)
    numbered = replace(
        numbered, b=np.column_stack([np.arange(4000.0), np.zeros(4000)]), effects={"g": numbered.effects["g"] * 0}
    )
    first = replicate(DESIGN, numbered, seed=1)[:, 0]
    assert (first.min(), first.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(3999, abs=1e-6))
    assert np.all(np.abs(np.diff(first) - 4) < 1.1)


def test_the_seed_decides_the_replicates() -> None:
    one, same, other = (replicate(DESIGN, draws_of(400), seed) for seed in (1, 1, 2))
    assert one.shape == (400, 4)  # as many as there are draws
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_densities_share_one_grid_that_holds_the_data() -> None:
    replicates = replicate(DESIGN, draws_of(400), seed=1)
    table = checks.densities(Y, replicates[:30], {})
    assert set(table["replicate"]) == set(range(31))
    assert list(table.loc[table["replicate"] == 0, "source"].unique()) == ["observed"]
    assert set(table["n"]) == {4}
    assert set(table["scale"]) == {"density"}
    grids = table.groupby("replicate")["x"].apply(tuple)
    assert grids.nunique() == 1
    assert min(grids[0]) < Y.min() < Y.max() < max(grids[0])
    assert (table["density"] >= 0).all()


# By group, by quantile, in blocks.


def grouped(rows: int = 60, levels: int = 7, seed: int = 3) -> tuple[np.ndarray, checks.Grouping, np.ndarray]:
    rng = np.random.default_rng(seed)
    index = np.sort(rng.integers(0, levels, rows))
    index[:levels] = np.arange(levels)
    rng.shuffle(index)
    y = rng.normal(size=rows) + 0.5 * index
    return y, checks.Grouping(index, tuple(f"L{i}" for i in range(levels))), y + rng.normal(size=(200, rows))


def whole(y: np.ndarray, group: checks.Grouping, replicates: np.ndarray, step: int) -> checks.Checks:
    blocks = [replicates[start : start + step] for start in range(0, len(replicates), step)]
    return checks.check(y, blocks, {"g": group}, len(replicates), discrete=False)


def test_every_level_has_its_mean_and_with_five_rows_its_sd() -> None:
    y, group, replicates = grouped()
    table = whole(y, group, replicates, 200).by_group.set_index(["statistic", "level"])
    for place, level in enumerate(group.levels):
        rows = group.index == place
        means = replicates[:, rows].mean(axis=1)
        found = table.loc[("mean", level)]
        assert found["n"] == rows.sum()
        assert found["observed"] == pytest.approx(y[rows].mean(), rel=1e-12)
        assert found["predicted"] == pytest.approx(means.mean(), rel=1e-12)
        assert (found["lower"], found["upper"]) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), rel=1e-12)
        assert found["tail_probability"] == (means > y[rows].mean()).mean()
        if rows.sum() >= 5:
            sds = replicates[:, rows].std(axis=1, ddof=1)
            assert table.loc[("sd", level), "observed"] == pytest.approx(y[rows].std(ddof=1), rel=1e-12)
            assert table.loc[("sd", level), "predicted"] == pytest.approx(sds.mean(), rel=1e-12)
        else:
            assert ("sd", level) not in table.index
    assert set(table["group"]) == {"g"}


def test_levels_far_from_zero_keep_the_digits_of_their_sd() -> None:
    y, group, replicates = grouped()
    near, far = (whole(y + shift, group, replicates + shift, 50).by_group for shift in (0.0, 1e8))
    sds = near["statistic"] == "sd"
    np.testing.assert_allclose(far.loc[sds, "predicted"], near.loc[sds, "predicted"], rtol=1e-6)


@pytest.mark.parametrize("step", [1, 7, 64, 200])
def test_checks_in_blocks_are_those_of_all_replicates_at_once(step: int) -> None:
    y, group, replicates = grouped()
    once, blocks = whole(y, group, replicates, 200), whole(y, group, replicates, step)
    for part in ("statistics", "by_group", "quantiles", "densities"):
        pd.testing.assert_frame_equal(getattr(blocks, part), getattr(once, part), rtol=1e-12)
    pd.testing.assert_frame_equal(blocks.statistics, table_of(y, replicates, group.index), rtol=1e-12)


def test_replicates_do_not_depend_on_the_size_of_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = replicate(DESIGN, draws_of(400), seed=1)
    monkeypatch.setattr(predictor, "BLOCK_VALUES", 12)  # three replicates of four rows
    blocks = list(checks.replicate_blocks(DESIGN, draws_of(400), seed=1))
    assert {len(block) for block in blocks} == {3, 1}
    np.testing.assert_array_equal(np.concatenate(blocks), at_once)


@pytest.mark.parametrize("step", [1, 7, 200])
def test_of_very_many_levels_every_so_manyth_replicate_is_kept(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y, group, replicates = grouped()
    monkeypatch.setattr(checks, "MOST_GROUP_VALUES", 7 * 50)  # of 200 replicates, 50
    thin = whole(y, group, replicates, step).by_group
    monkeypatch.undo()
    expected = whole(y, group, replicates[::4], 50).by_group
    pd.testing.assert_frame_equal(thin, expected, rtol=1e-12)


def test_quantiles_are_compared_over_the_whole_range() -> None:
    y = np.arange(101.0)
    table = checks.check(
        y, [np.stack([y + shift for shift in np.linspace(-1, 1, 41)])], {}, 41, discrete=False
    ).quantiles
    assert table["probability"].is_monotonic_increasing
    half = table[table["probability"] == 0.5].iloc[0]
    assert (half["observed"], half["predicted"]) == (50.0, pytest.approx(50.0))
    assert (half["lower"], half["upper"]) == (pytest.approx(49.05), pytest.approx(50.95))
    np.testing.assert_allclose(table["observed"], 100 * table["probability"], rtol=1e-12)


def test_quantiles_of_whole_numbers_do_not_jump() -> None:
    # A quarter are 0, half are 1, a quarter is 3: spread over [-0.5, 0.5], [0.5, 1.5] and [2.5, 3.5].
    found = dict(
        zip(checks.PROBABILITIES, checks.quantiles_of(np.array([[0.0, 1.0, 1.0, 3.0]]), True)[:, 0], strict=True)
    )
    assert [found[p] for p in (0.125, 0.5, 0.625)] == pytest.approx([0.0, 1.0, 1.25])
    assert found[0.875] == pytest.approx(3.0)


def test_without_groups_the_table_by_group_has_columns_and_no_rows() -> None:
    found = checks.check(Y, [np.stack([Y, Y + 1])], {}, 2, discrete=False)
    assert found.by_group.empty
    assert list(found.by_group) == [
        "group", "statistic", "level", "n", "observed", "predicted", "lower", "upper", "tail_probability",
    ]  # fmt: skip
    assert set(found.densities["group"]) == {""}


def test_the_largest_levels_have_panels_and_small_ones_have_none() -> None:
    sizes = [30, 4, 12, 5, 9]
    index = np.repeat(np.arange(5), sizes)
    groups = {"g": checks.Grouping(index, tuple("abcde"))}
    assert checks.largest(groups) == [("g", 0), ("g", 2), ("g", 4), ("g", 3)]
    y = np.arange(60.0)
    table = checks.densities(y, np.stack([y] * 20), groups)
    panels = table.groupby(["group", "level"], sort=False)
    assert panels.ngroups == 5
    assert panels["n"].first().tolist() == [60, 30, 12, 9, 5]
    assert panels["replicate"].max().tolist() == [20, 12, 12, 12, 12]
    many = {name: checks.Grouping(np.repeat(np.arange(20), 10), tuple(map(str, range(20)))) for name in "abcdef"}
    assert len(checks.largest(many)) == 12
    assert len(checks.largest({"a": many["a"]})) == 11


def test_whole_numbers_have_shares() -> None:
    y = np.array([0.0, 1.0, 1.0, 3.0])
    table = checks.densities(y, np.array([[0.0, 0.0, 0.0, 2.0]]), {}, discrete=True)
    observed, replicate = (part.set_index("x")["density"].to_dict() for _, part in table.groupby("replicate"))
    assert observed == {0.0: 0.25, 1.0: 0.5, 2.0: 0.0, 3.0: 0.25}
    assert replicate == {0.0: 0.75, 1.0: 0.0, 2.0: 0.25, 3.0: 0.0}
    assert set(table["scale"]) == {"share"}
    wide = checks.densities(y * 100, np.array([y]) * 100, {}, discrete=True)
    assert set(wide["scale"]) == {"density"}


@pytest.mark.parametrize("value", [0.0, 5.0, 1e6])
def test_a_constant_response_has_a_density(value: float) -> None:
    y = np.full(6, value)
    table = checks.densities(y, y[None, :], {"g": checks.Grouping(np.zeros(6, dtype=np.int64), ("a",))})
    assert np.isfinite(table["density"]).all()
    curve = table[(table["source"] == "observed") & (table["group"] == "")]
    assert np.trapezoid(curve["density"], curve["x"]) == pytest.approx(1.0, abs=0.02)


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
