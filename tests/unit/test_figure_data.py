"""The tables that figures are drawn from hold what their captions say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of

from multilevel import figure_data
from multilevel.convergence import Quantity
from multilevel.predictor import Draws


def quantity(name: str, values: np.ndarray, kind: str = "population") -> Quantity:
    return Quantity(name, kind, "", "", "", values)


def test_the_worst_parameters_are_those_of_largest_r_hat_and_first_of_all_those_without_one() -> None:
    r_hats = {"a": 1.0, "b": 1.2, "c": math.nan, "d": 1.1, "e": 1.3, "g[1: Intercept]": 9.0}
    summary = pd.DataFrame({
        "parameter": list(r_hats),
        "r_hat": list(r_hats.values()),
        "kind": ["group" if name.startswith("g[") else "population" for name in r_hats],
    })  # fmt: skip
    found = [quantity(name, np.zeros((2, 3))) for name in r_hats]
    assert [q.parameter for q in figure_data.worst(found, summary, 3)] == ["b", "c", "e"]
    assert [q.parameter for q in figure_data.worst(found, summary, 1)] == ["c"]


@pytest.mark.parametrize(("draws", "kept"), [(100, 100), (250, 250), (4000, 250)])
def test_a_trace_keeps_its_ends_and_is_thinned_evenly(draws: int, kept: int) -> None:
    values = np.arange(2.0 * draws).reshape(2, draws)
    table = figure_data.trace([quantity("a", values)])
    first = table[table["chain"] == 1]
    assert len(first) == kept
    assert (first["draw"].iloc[0], first["draw"].iloc[-1]) == (1, draws)
    assert first["draw"].diff().dropna().nunique() <= 2
    np.testing.assert_array_equal(first["value"], values[0, first["draw"] - 1])


def test_ranks_of_chains_that_agree_fill_all_bins_alike() -> None:
    table = figure_data.ranks([quantity("a", np.random.default_rng(1).normal(size=(4, 1000)))])
    assert table.groupby("chain")["count"].sum().tolist() == [1000] * 4
    assert table.groupby("bin")["count"].sum().tolist() == [200] * 20
    assert set(table["expected"]) == {50.0}
    # Counts are nearly binomial with variance 1000 * 0.05 * 0.95 * 3/4 = 36: within five standard deviations.
    assert (table["count"] - 50).abs().max() < 30


def test_ranks_of_a_chain_that_lies_apart_show_it() -> None:
    values = np.random.default_rng(1).normal(size=(4, 1000))
    values[3] += 20
    table = figure_data.ranks([quantity("a", values)])
    apart = table[table["chain"] == 4].set_index("bin")["count"]
    assert apart.loc[:14].sum() == 0
    assert apart.loc[15:].tolist() == [200] * 5


def test_tied_ranks_are_all_counted() -> None:
    table = figure_data.ranks([quantity("a", np.zeros((2, 100)))])
    assert table["count"].sum() == 200


def test_energies_are_centred_by_chain_and_compared_with_their_steps() -> None:
    rng = np.random.default_rng(2)
    stats = xr.Dataset({"energy": (("chain", "draw"), rng.normal(size=(2, 400)) + np.array([[100.0], [200.0]]))})
    table = figure_data.energy(stats)
    assert table.groupby("chain").size().tolist() == [120, 120]
    for _, rows in table.groupby("chain"):
        step = rows["x"].iloc[1] - rows["x"].iloc[0]
        # Densities integrate to one, all but the tails beyond the largest value.
        assert rows["marginal"].sum() * step == pytest.approx(1.0, abs=0.01)
        assert rows["transition"].sum() * step == pytest.approx(1.0, abs=0.01)
        assert (rows["x"] * rows["marginal"]).sum() * step == pytest.approx(0.0, abs=0.01)


def test_shrinkage_pulls_a_levels_own_mean_towards_the_others() -> None:
    design = design_of("y ~ x + (1 | g)", dataset_of(y=[3.0, 5.0, 9.0], x=[0.0, 1.0, 1.0], g=["a", "a", "b"]))
    b = np.tile([1.0, 2.0], (40, 1))
    effects = np.tile(np.array([1.0, 4.0], dtype=np.float32)[None, :, None], (40, 1, 1))
    draws = Draws(4, 10, b, {"g": effects}, {"sigma": np.full(40, 2.0)})
    table = figure_data.shrinkage(design, draws, design.group_terms[0]).set_index("level")
    # What the rest of the model leaves: 3 - 1 = 2 and 5 - 3 = 2 in a, 9 - 3 = 6 in b.
    assert table["no_pooling"].tolist() == [2.0, 6.0]
    assert table["partial"].tolist() == [1.0, 4.0]
    assert table["n"].tolist() == [2, 1]
    half = 1.959964 * 2 / np.sqrt([2, 1])
    np.testing.assert_allclose(table["no_pooling_upper"] - table["no_pooling"], half, rtol=1e-12)


def test_contrasts_of_a_factor_with_many_levels_are_left_to_the_tables() -> None:
    names = [
        "Intercept",
        "b(x)",
        *(f"b(k[{i}])" for i in range(3)),
        *(f"b(county[{i}])" for i in range(13)),
        "g[a: Intercept]",
    ]
    summary = pd.DataFrame(
        {"parameter": names, "kind": ["population"] * 18 + ["group"], "mean": 0.0, "lower": -1.0, "upper": 1.0}
    )
    table = figure_data.estimates({"m": summary}, {"m": "Model"}, {"m": "ok"})
    assert table["parameter"].tolist() == ["Intercept", "b(x)", "b(k[0])", "b(k[1])", "b(k[2])"]
    assert set(table["model"]) == {"Model"}
    assert figure_data.estimates({}, {}, {}).empty
