"""The tables that figures are drawn from hold what their captions say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures import correlated
from fixtures.small_data import dataset_of, design_of

from multilevel import checks, figure_data, storage
from multilevel.convergence import TEXT, Quantity
from multilevel.default_priors import coefficient_name
from multilevel.design import Design


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
    energies = stats["energy"].to_numpy()
    fractions = [np.square(np.diff(chain)).mean() / np.var(chain, ddof=1) for chain in energies]
    assert table.groupby("chain")["e_bfmi"].first().tolist() == pytest.approx(fractions, rel=1e-12)
    for _, rows in table.groupby("chain"):
        step = rows["x"].iloc[1] - rows["x"].iloc[0]
        # Densities integrate to one, all but the tails beyond the largest value.
        assert rows["marginal"].sum() * step == pytest.approx(1.0, abs=0.01)
        assert rows["transition"].sum() * step == pytest.approx(1.0, abs=0.01)
        assert (rows["x"] * rows["marginal"]).sum() * step == pytest.approx(0.0, abs=0.01)


def test_a_chain_that_never_moved_has_no_fraction_and_no_width() -> None:
    stats = xr.Dataset({"energy": (("chain", "draw"), np.full((1, 50), 7.0))})
    table = figure_data.energy(stats)
    assert table["e_bfmi"].isna().all()
    assert np.isfinite(table["marginal"]).all()


def test_the_hardest_parameters_are_those_that_exceed_their_limits_most() -> None:
    summary = pd.DataFrame({
        "parameter": ["a", "b", "c", "d", "g[1: Intercept]"],
        "kind": ["population"] * 4 + ["group"],
        "r_hat": [1.001, 1.03, 1.002, math.nan, 2.0],  # b exceeds 1.01 threefold
        "ess_bulk": [4000.0, 900.0, 500.0, 4000.0, 5.0],
        "ess_tail": [4000.0, 900.0, 100.0, 4000.0, 5.0],  # of 4 chains, c has a quarter of 100 each: fourfold
    })  # fmt: skip
    found = [quantity(name, np.zeros((4, 3))) for name in summary["parameter"]]
    assert [q.parameter for q in figure_data.hardest(found, summary, 1)] == ["d"]
    assert [q.parameter for q in figure_data.hardest(found, summary, 2)] == ["c", "d"]
    assert [q.parameter for q in figure_data.hardest(found, summary, 3)] == ["b", "c", "d"]


def sampled(chains: int, draws: int, divergent: list[int]) -> xr.Dataset:
    diverging = np.zeros(chains * draws, dtype=bool)
    diverging[divergent] = True
    dims = ("chain", "draw")
    lp = np.arange(float(chains * draws)).reshape(chains, draws)
    return xr.Dataset({"lp": (dims, lp), "diverging": (dims, diverging.reshape(chains, draws))})


SUMMARY = pd.DataFrame({"parameter": ["a"], "kind": "population", "r_hat": 1.01, "ess_bulk": 90.0, "ess_tail": 80.0})


def test_pairs_hold_the_log_posterior_and_every_divergent_draw() -> None:
    values = np.arange(8000.0).reshape(4, 2000) / 10
    table, note = figure_data.pairs([quantity("a", values)], sampled(4, 2000, [3, 2001, 7998]), SUMMARY)
    wide = {name: part.reset_index(drop=True) for name, part in table.groupby("parameter", sort=False)}
    assert list(wide) == ["a", "log posterior"]
    a, lp = wide.values()
    assert len(a) == len(lp) == 603
    np.testing.assert_array_equal(a["value"], values[a["chain"] - 1, a["draw"] - 1])
    np.testing.assert_allclose(a["value"] * 10, lp["value"])
    assert a.loc[a["diverging"] == 1, "value"].tolist() == pytest.approx([0.3, 200.1, 799.8])
    assert (a["r_hat"][0], a["ess"][0]) == (1.01, 80.0)
    assert lp[["r_hat", "ess"]].isna().all().all()
    assert note == "603 of 8000 draws, all of the 3 divergent ones among them."


@pytest.mark.parametrize(("divergent", "words"), [(0, "600 of 8000 draws."), (2000, "300 of the 2000 divergent ones")])
def test_many_divergent_draws_are_thinned_and_counted(divergent: int, words: str) -> None:
    table, note = figure_data.pairs([], sampled(4, 2000, list(range(divergent))), SUMMARY)
    assert words in note
    assert table["diverging"].sum() == min(divergent, 300)
    # Draws that did not diverge are as dense as without divergences.
    assert abs((table["diverging"] == 0).sum() - 600 * (8000 - divergent) / 8000) <= 1


def summary_of(design: Design, values: dict[str, float]) -> pd.DataFrame:
    """A summary whose means are given and whose intervals are one and a half around them; 0 where none is given."""
    rows: list[dict[str, Any]] = [
        {"parameter": coefficient_name(name), "kind": "population", "group": "", "level": "", "effect": name}
        for name in design.all_coefficients
    ]
    for term in design.group_terms:
        rows += [
            {"parameter": f"sd({term.label}: {e})", "kind": "sd", "group": term.label, "level": "", "effect": e}
            for e in term.effects
        ]
        pairs = [(i, j) for j in range(len(term.effects)) for i in range(j)] if term.correlated else []
        rows += [
            {"parameter": f"cor({term.label}: {term.effects[i]}, {term.effects[j]})", "kind": "cor", "group": term.label,
             "level": "", "effect": ""}
            for i, j in pairs
        ]  # fmt: skip
    correlated = design.residuals.parameters if design.residuals else ()
    rows += [
        {"parameter": n, "kind": "residual", "group": "", "level": "", "effect": ""}
        for n in (*design.scalars, *correlated)
    ]
    for term in design.group_terms:
        rows += [
            {"parameter": f"{term.label}[{level}: {e}]", "kind": "group", "group": term.label, "level": level, "effect": e}
            for level in term.levels for e in term.effects
        ]  # fmt: skip
    table = pd.DataFrame(rows)
    assert set(values) <= set(table["parameter"]), set(values) - set(table["parameter"])
    mean = table["parameter"].map(values).fillna(0.0)
    return table.assign(
        mean=mean, lower=mean - 1, upper=mean + 1, inner_lower=mean - 0.5, inner_upper=mean + 0.5, r_hat=1.0,
        ess_bulk=1e3, ess_tail=1e3,
    )  # fmt: skip


def test_shrinkage_pulls_a_levels_own_mean_towards_the_others() -> None:
    design = design_of("y ~ x + (1 | g)", dataset_of(y=[3.0, 5.0, 9.0], x=[0.0, 1.0, 1.0], g=["a", "a", "b"]))
    means = {"Intercept": 1.0, "b(x)": 2.0, "sigma": 2.0, "g[a: Intercept]": 1.0, "g[b: Intercept]": 4.0}
    table = figure_data.shrinkage(design, summary_of(design, means), "g").set_index("level")
    # What the rest of the model leaves: 3 - 1 = 2 and 5 - 3 = 2 in a, 9 - 3 = 6 in b.
    assert table["no_pooling"].tolist() == pytest.approx([2.0, 6.0], abs=1e-9)
    assert table["partial"].tolist() == [1.0, 4.0]
    assert table[["partial_lower", "partial_upper"]].to_numpy().tolist() == [[0.0, 2.0], [3.0, 5.0]]
    assert table["n"].tolist() == [2, 1]
    assert set(table["effect"]) == {"Intercept"}
    half = 1.959964 * 2 / np.sqrt([2, 1])
    np.testing.assert_allclose(table["no_pooling_upper"] - table["no_pooling"], half, rtol=1e-6)


def test_a_levels_own_estimate_weighs_rows_by_how_they_are_correlated() -> None:
    """Generalised least squares by whole matrices: (Z' R^-1 Z)^-1 Z' R^-1 (y - rest) of each level."""
    design = correlated.design_with("car1(age | person)", correlated.data(), "y ~ x + (1 + x | clinic)")
    means = {"Intercept": 1.0, "b(x)": 2.0, "sigma": 1.5, "phi": 0.6}
    table = figure_data.shrinkage(design, summary_of(design, means), "clinic").set_index(["effect", "level"])
    term, found = design.group_terms[0], design.residuals
    assert found is not None
    lags = np.abs(found.at[:, None] - found.at)
    cov = 1.5**2 * np.where(found.subject[:, None] == found.subject, 0.6**lags, 0.0)
    rest = design.y - design.x @ [1.0, 2.0]
    for number, level in enumerate(term.levels):
        own = term.index == number
        z, inverse = term.z[own], np.linalg.inv(cov[np.ix_(own, own)])
        spread = np.linalg.inv(z.T @ inverse @ z)
        expected = spread @ z.T @ inverse @ rest[own]
        for effect in (0, 1):
            row = table.loc[(term.effects[effect], level)]
            assert row["no_pooling"] == pytest.approx(expected[effect], abs=1e-9)
            half = 1.959964 * np.sqrt(spread[effect, effect])
            assert row["no_pooling_upper"] - row["no_pooling"] == pytest.approx(half, rel=1e-6)


def test_a_level_of_part_of_a_subject_has_no_estimate_of_its_own() -> None:
    design = correlated.design_with("cs(person)", correlated.data(), "y ~ x + (1 | week)")
    table = figure_data.shrinkage(design, summary_of(design, {"sigma": 1.0, "rho": 0.3}), "week")
    assert table["no_pooling"].isna().all()


SLOPES = dataset_of(
    y=[1.0, 3.0, 8.0, 4.0, 4.0, 7.0, 2.0], x=[0.0, 1.0, 2.0, 1.0, 1.0, 0.0, 3.0], g=["a"] * 3 + ["b"] * 2 + ["c", "d"]
)


def test_own_estimates_of_intercept_and_slope_are_a_regression_in_each_level() -> None:
    design = design_of("y ~ 1 + (1 + x | g)", SLOPES)
    means = {"Intercept": 1.0, "sigma": 2.0, "g[a: Intercept]": 0.3, "g[a: x]": 0.7}
    table = figure_data.shrinkage(design, summary_of(design, means), "g").set_index(["effect", "level"])
    # Level a: y - 1 is 0, 2, 7 at x = 0, 1, 2: slope 3.5 and intercept -0.5; (Z'Z)^-1 = [[5, -3], [-3, 3]] / 6.
    assert table.loc[("Intercept", "a"), "no_pooling"] == pytest.approx(-0.5, abs=1e-8)
    assert table.loc[("x", "a"), "no_pooling"] == pytest.approx(3.5, abs=1e-8)
    errors = (table["no_pooling_upper"] - table["no_pooling"]) / 1.959964
    assert errors[("Intercept", "a")] == pytest.approx(2 * np.sqrt(5 / 6), rel=1e-6)
    assert errors[("x", "a")] == pytest.approx(2 * np.sqrt(1 / 2), rel=1e-6)
    # Level b has x = 1 in both rows, and d a single row at x = 3: neither tells intercept from slope.
    # Level c has x = 0 only: an intercept of 7 - 1 and no slope.
    unknown = table["no_pooling"].isna()
    assert unknown[unknown].index.tolist() == [
        ("Intercept", "b"), ("Intercept", "d"), ("x", "b"), ("x", "c"), ("x", "d"),
    ]  # fmt: skip
    assert table.loc[("Intercept", "c"), "no_pooling"] == pytest.approx(6.0, abs=1e-8)
    assert table["partial"].notna().all()


def test_own_estimates_do_not_depend_on_the_units_of_a_predictor() -> None:
    wide = dataset_of(
        y=SLOPES.frame["y"].to_numpy(), x=SLOPES.frame["x"].to_numpy() * 1e-7, g=list(SLOPES.frame["g"].astype(str))
    )
    design = design_of("y ~ 1 + (1 + x | g)", wide)
    table = figure_data.shrinkage(design, summary_of(design, {"Intercept": 1.0, "sigma": 2.0}), "g")
    table = table.set_index(["effect", "level"])
    assert table.loc[("x", "a"), "no_pooling"] == pytest.approx(3.5e7, rel=1e-6)
    assert table["no_pooling"].isna().sum() == 5


def test_the_effects_of_other_groupings_are_taken_off_first() -> None:
    data = dataset_of(y=[5.0, 9.0, 6.0, 12.0], g=["a", "a", "b", "b"], h=["p", "q", "p", "q"])
    design = design_of("y ~ 1 + (1 | g) + (1 | h)", data)
    means = {"Intercept": 1.0, "sigma": 1.0, "h[p: Intercept]": 2.0, "h[q: Intercept]": 4.0, "g[a: Intercept]": 9.0}
    found = summary_of(design, means)
    # y - 1 - h: 2, 4 in a; 3, 7 in b.
    assert figure_data.shrinkage(design, found, "g")["no_pooling"].tolist() == pytest.approx([3.0, 5.0], abs=1e-8)
    # y - 1 - g: -5, -1 in a (its effect is 9); 5, 11 in b.
    assert figure_data.shrinkage(design, found, "h")["no_pooling"].tolist() == pytest.approx([0.0, 5.0], abs=1e-8)


def test_several_terms_of_one_grouping_are_estimated_together() -> None:
    design = design_of("y ~ 1 + (1 | g) + (0 + x | g)", SLOPES)
    found = summary_of(design, {"Intercept": 1.0, "sigma": 2.0})
    table = figure_data.shrinkage(design, found, "g").set_index(["effect", "level"])
    assert table.loc[("Intercept", "a"), "no_pooling"] == pytest.approx(-0.5, abs=1e-8)
    assert table.loc[("x", "a"), "no_pooling"] == pytest.approx(3.5, abs=1e-8)
    assert list(figure_data.caterpillar(design, found, "g")["effect"].unique()) == ["Intercept", "x"]


def test_rows_count_by_their_weights_and_known_errors() -> None:
    data = dataset_of(y=[1.0, 4.0, 2.0, 5.0], w=[3.0, 1.0, 1.0, 1.0], s=[1.0, 1.0, 1.0, 2.0], g=["a", "a", "b", "b"])
    weighted = design_of("y | weights(w) ~ 1 + (1 | g)", data)
    found = figure_data.shrinkage(weighted, summary_of(weighted, {"sigma": 1.0}), "g")
    assert found["no_pooling"].tolist() == pytest.approx([7 / 4, 3.5], abs=1e-8)
    known = design_of("y | se(s) ~ 1 + (1 | g)", data)
    found = figure_data.shrinkage(known, summary_of(known, {}), "g")
    # Level b by precision: (2 / 1 + 5 / 4) / (1 + 1 / 4) = 2.6, with a standard error of 1 / sqrt(1.25).
    assert found["no_pooling"].tolist() == pytest.approx([2.5, 2.6], abs=1e-8)
    assert found["no_pooling_upper"][1] - 2.6 == pytest.approx(1.959964 / np.sqrt(1.25), rel=1e-6)


def test_own_estimates_of_proportions_are_maximum_likelihood_on_the_logit_scale() -> None:
    data = dataset_of(y=[3.0, 4.0, 5.0], n=[10.0, 10.0, 5.0], g=["a", "a", "b"])
    design = design_of("y | trials(n) ~ 1 + (1 | g)", data, family="binomial")
    table = figure_data.shrinkage(design, summary_of(design, {"Intercept": 0.4}), "g").set_index("level")
    # 7 of 20 in a, on the logit scale, less the intercept; the information is 20 p (1 - p).
    assert table.loc["a", "no_pooling"] == pytest.approx(math.log(0.35 / 0.65) - 0.4, abs=1e-6)
    half = table.loc["a", "no_pooling_upper"] - table.loc["a", "no_pooling"]
    assert half == pytest.approx(1.959964 / math.sqrt(20 * 0.35 * 0.65), rel=1e-4)
    # 5 of 5 in b: the estimate runs off to infinity, which is no estimate.
    assert math.isnan(table.loc["b", "no_pooling"])


def test_censored_responses_give_no_estimates_of_their_own() -> None:
    data = dataset_of(y=[1.0, 2.0, 3.0], c=[0.0, 1.0, 0.0], g=["a", "a", "b"])
    design = design_of("y | cens(c) ~ 1 + (1 | g)", data)
    table = figure_data.shrinkage(design, summary_of(design, {"sigma": 1.0, "g[a: Intercept]": 0.5}), "g")
    assert table["no_pooling"].isna().all()
    assert table["partial"].tolist() == [0.5, 0.0]


def test_effects_on_other_parameters_are_ordered_and_have_no_shrinkage() -> None:
    data = dataset_of(y=[1.0, 2.0, 3.0, 5.0], g=["a", "a", "b", "b"])
    design = design_of("y ~ 1", data, sigma="1 + (1 | g)")
    found = summary_of(design, {"g[a: sigma_Intercept]": 0.5, "g[b: sigma_Intercept]": -0.5})
    assert figure_data.shrinkage(design, found, "g").empty
    table = figure_data.caterpillar(design, found, "g")
    assert table["effect"].tolist() == ["sigma_Intercept"] * 2
    assert table["mean"].tolist() == [0.5, -0.5]
    assert table["inner_upper"].tolist() == [1.0, 0.0]


def test_a_plane_holds_both_estimates_of_both_effects_and_their_distribution() -> None:
    design = design_of("y ~ 1 + (1 + x | g)", SLOPES)
    means = {
        "Intercept": 1.0, "sigma": 2.0, "g[a: Intercept]": 0.3, "g[a: x]": 0.7, "sd(g: Intercept)": 1.5, "sd(g: x)": 0.4,
        "cor(g: Intercept, x)": -0.6,
    }  # fmt: skip
    table = figure_data.shrinkage_plane(design, summary_of(design, means), "g").set_index("level")
    a = table.loc["a"]
    assert (a["x_effect"], a["y_effect"], a["n"]) == ("Intercept", "x", 3)
    assert (a["alone_x"], a["alone_y"]) == (pytest.approx(-0.5, abs=1e-8), pytest.approx(3.5, abs=1e-8))
    assert (a["partial_x"], a["partial_y"]) == (0.3, 0.7)
    assert (a["sd_x"], a["sd_y"], a["cor"]) == (1.5, 0.4, -0.6)
    assert (table.loc["c", "alone_x"], math.isnan(table.loc["c", "alone_y"])) == (pytest.approx(6.0, abs=1e-8), True)


def test_contrasts_of_a_factor_with_many_levels_are_left_to_the_tables_and_counted() -> None:
    names = [
        "b(x)",
        *(f"b(k[{i}])" for i in range(3)),
        *(f"b(county[{i}])" for i in range(13)),
        "sigma",
        "Intercept",
        "g[a: Intercept]",
        "sd(g: Intercept)",
    ]
    kinds = ["population"] * 17 + ["residual", "population", "group", "sd"]
    summary = pd.DataFrame({"parameter": names, "kind": kinds, "mean": 0.0, "lower": -1.0, "upper": 1.0})
    summary = summary.assign(inner_lower=-0.5, inner_upper=0.5)
    table, note = figure_data.forest({"m": summary}, {"m": "Model"}, {"m": "ok"}, {"m": "y"})
    assert table["parameter"].tolist() == [
        "b(x)", "b(k[0])", "b(k[1])", "b(k[2])", "Intercept", "sd(g: Intercept)", "sigma",
    ]  # fmt: skip
    assert set(table["model"]) == {"Model"}
    assert note == "Not drawn, but in the tables: 13 of b(county[…])."
    assert figure_data.forest({}, {}, {}, {})[0].empty


def test_a_forest_has_sixty_trees() -> None:
    summary = pd.DataFrame({"parameter": [f"b(x{i})" for i in range(70)], "kind": "population", "mean": 0.0})
    summary = summary.assign(lower=-1.0, upper=1.0, inner_lower=-0.5, inner_upper=0.5)
    table, note = figure_data.forest({"m": summary}, {"m": "Model"}, {"m": "ok"}, {"m": "y"})
    assert len(table) == 60
    assert note == "Not drawn, but in the tables: 10 more parameters."


def test_parameters_of_different_responses_have_facets_of_their_own() -> None:
    summary = pd.DataFrame({"parameter": ["Intercept"], "kind": "population", "mean": 0.0, "lower": -1.0, "upper": 1.0})
    summaries = dict.fromkeys("abc", summary.assign(inner_lower=-0.5, inner_upper=0.5))
    words = {"labels": dict.fromkeys("abc", "Model"), "status": dict.fromkeys("abc", "ok")}
    table, _ = figure_data.forest(summaries, **words, quantities={"a": "y", "b": "y", "c": "z (cm)"})
    assert table["parameter"].tolist() == ["Intercept, y", "Intercept, y", "Intercept, z (cm)"]


def test_differences_are_drawn_in_rank_order_with_the_group_of_each_row() -> None:
    models = [f"m{i}" for i in range(12)]
    differences = pd.DataFrame(
        [(str(row), model, float(row)) for model in reversed(models[1:]) for row in (1, 2)],
        columns=["row_id", "model", "diff"],
    )
    groups = {"1": "A", "2": "B"}
    labels = {model: model.upper() for model in models}
    table, note = figure_data.pointwise(differences, models, labels, groups.__getitem__)
    assert list(dict.fromkeys(table["model"])) == [f"M{i}" for i in range(1, 9)]
    assert table["group"].tolist() == ["A", "B"] * 8
    assert note == "The 8 models ranked next are drawn; 3 more are not."
    table, note = figure_data.pointwise(differences, models[:1], labels, groups.__getitem__)
    assert (len(table), note) == (0, "")
    assert list(table) == ["model", "row_id", "group", "diff"]


def test_missing_values_are_counted_for_the_columns_used_and_for_others_that_have_any() -> None:
    summary = {
        "missing": {"y": 0, "x": 3, "spare": 0, "gappy": 5, "worse": 9},
        "rows": {"after_filter": 10},
        "steps": {"centre": {"x_c": {"column": "x"}}},
    }
    table, note = figure_data.missingness(summary, ["y", "x_c"])
    assert table.to_dict("list") == {"column": ["y", "x", "worse", "gappy"], "missing": [0, 3, 9, 5], "n": [10] * 4}
    assert note == "The first 2 are used by some model."
    assert figure_data.missingness(summary | {"missing": {"y": 0}}, ["y"])[1] == ""
    many = {f"c{i}": i for i in range(90)}
    table, note = figure_data.missingness(summary | {"missing": many}, ["c0"])
    assert len(table) == 60
    assert note == "The first 1 are used by some model. 30 more columns are not drawn."


def test_panels_of_groups_say_which_grouping_where_there_are_several() -> None:
    y = np.arange(20.0)
    index = np.repeat([0, 1], 10)
    one = {"school": checks.Grouping(index, ("A", "B"))}
    two = one | {"school:class": checks.Grouping(index, ("A:1", "B:1"))}
    table, words = figure_data.by_group(checks.densities(y, np.stack([y, y]), one))
    assert list(dict.fromkeys(table["level"])) == ["all rows", "A", "B"]
    assert words == {"y": "Density", "note": "All rows, then the largest levels of school; in brackets, how many rows."}
    table, words = figure_data.by_group(checks.densities(y, np.stack([y, y]), two, discrete=True))
    levels = ["all rows", "school: A", "school: B", "school:class: A:1", "school:class: B:1"]
    assert list(dict.fromkeys(table["level"])) == levels
    assert words["y"] == "Share of rows"
    assert "school and of school:class" in words["note"]
    assert figure_data.by_group(checks.densities(y, np.stack([y, y]), {}))[1]["note"] == ""


def test_a_failed_fit_is_marked_in_its_label(tmp_path: Path) -> None:
    for name, passed in (("a", True), ("b", False)):
        storage.write_json(tmp_path / name / "diagnostics.json", {"passed": passed})
    status = figure_data.statuses({name: tmp_path / name for name in "ab"})
    assert status == {"a": "ok", "b": "failed checks"}
    assert figure_data.marked({"a": "A", "b": "B"}, status) == {"a": "A", "b": "B (failed checks)"}


def test_labels_say_the_response_where_there_are_several() -> None:
    labels = {"a": "A", "b": "B"}
    assert figure_data.with_responses(labels, {"a": "y (cm)", "b": "y (cm)"}) == (
        labels, {"quantity": "y (cm)", "share": True},
    )  # fmt: skip
    named, words = figure_data.with_responses(labels, {"a": "y (cm)", "b": "log z"})
    assert named == {"a": "A, y (cm)", "b": "B, log z"}
    assert words == {"quantity": "response of each candidate", "share": False}


def test_levels_called_na_or_01_are_levels(tmp_path: Path) -> None:
    index = np.repeat([0, 1, 2], 6)
    y = np.arange(18.0)
    found = checks.check(y, [np.stack([y, y + 1])], {"g": checks.Grouping(index, ("NA", "01", ""))}, 2, discrete=False)
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        storage.write_csv(folder / "checks_by_group.csv", found.by_group.assign(model=name))
    table, note = figure_data.group_statistics({n: tmp_path / n for n in "ab"}, {"a": "A", "b": "B"}, "g")
    assert list(dict.fromkeys(table["level"])) == ["NA", "01", ""]
    assert table.groupby("model").size().to_dict() == {"A": 6, "B": 6}
    assert note == ""
    summary = pd.DataFrame({"parameter": ["g[NA: Intercept]"], "level": ["NA"], "mean": [np.nan], "sd": [0.5]})
    storage.write_csv(tmp_path / "summary.csv", summary)
    back = storage.read_csv(tmp_path / "summary.csv", TEXT)
    assert back["level"].tolist() == ["NA"]
    assert back["mean"].isna().all()


def test_only_what_a_script_writes_itself_is_handed_to_it() -> None:
    outputs = [
        ("trace", "a/trace.svg"),
        ("trace_png", "a/trace.png"),
        ("trace_data", "a/trace.csv"),
        ("summary", "s.json"),
    ]
    assert figure_data.pictures(outputs) == {"trace": "a/trace.svg", "summary": "s.json"}
