"""What scores are of: rows as they stand, one estimand in a column, groups jointly, no number without its warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures.any_draws import any_draws
from fixtures.small_data import dataset_of, design_of
from scipy.stats import multivariate_normal, norm, poisson

from multilevel import comparison, convergence, predictor, psis, scores, storage, units
from multilevel.comparison import Candidate, UnequalDataError
from multilevel.dataset import Dataset, digest
from multilevel.predictor import Draws
from multilevel.scores import dic, logo, loo

RNG = np.random.default_rng(71)
COUNT = 24
DATA = dataset_of(
    y=RNG.normal(size=COUNT),
    other=RNG.normal(size=COUNT),
    count=np.tile([0.0, 0.0, 0.0, 1.0, 2.0, 5.0], 4),
    x=RNG.normal(size=COUNT),
    g=[f"g{i // 4}" for i in range(COUNT)],
)


def shuffled(data: Dataset, renumbered: bool) -> Dataset:
    """Return the rows in another order, with their identifiers or with new ones that count from 1 again."""
    order = np.random.default_rng(3).permutation(COUNT)
    frame = data.frame.iloc[order].reset_index(drop=True)
    row_id = data.row_id if renumbered else data.row_id[order]
    digests = {str(name): digest(frame[name]) for name in frame}
    return Dataset(frame, row_id, digests | {"row_id": digest(pd.Series(row_id))}, {})


def scored(name: str, text: str, data: Dataset, family: str = "gaussian", seed: int = 1) -> Candidate:
    """Return a candidate as the workflow makes it: scored, with the fingerprint of its data and the names of its rows."""
    built = design_of(text, data, family)
    draws = any_draws(built, 400, seed)
    record, table = loo.score(built, draws)
    table.insert(0, "row_id", data.row_id[table.index])
    record |= {"fingerprint": scores.fingerprint(built, data, "loo")}
    return Candidate(name, "ok", record, table, dic.score(built, draws)[0])


# One set of data.


def test_models_of_the_same_rows_are_compared() -> None:
    table = comparison.compare([scored("a", "y ~ x", DATA), scored("b", "y ~ x + (1 | g)", DATA)])
    assert table["rank"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("renumbered", "sentence"), [(False, "the same rows stand in another order"), (True, "the response differs")]
)
def test_shuffled_rows_are_refused(renumbered: bool, sentence: str) -> None:
    """Pairwise differences would pair strangers, though the totals are those of the same rows."""
    one, other = scored("a", "y ~ x", DATA), scored("b", "y ~ 1", shuffled(DATA, renumbered))
    with pytest.raises(UnequalDataError, match=sentence):
        comparison.compare([one, other])


def test_as_many_rows_of_another_response_are_refused() -> None:
    one, other = scored("a", "y ~ x", DATA), scored("b", "other ~ x", DATA)
    assert one.ids == other.ids
    with pytest.raises(UnequalDataError, match="the response differs"):
        comparison.compare([one, other])


# Scores that are none.


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # differences of infinities
def test_a_draw_that_rules_a_row_out_leaves_the_model_without_score_and_rank() -> None:
    built = design_of("y ~ x", DATA)
    draws = any_draws(built, 400)
    draws.others["sigma"][123] = 1e-200  # at which every response but the mean has a density of 0
    record, table = loo.score(built, draws)
    assert not np.isfinite(table["elpd"]).any()
    assert f"{COUNT} observations have no finite score." in record["warnings"]
    table.insert(0, "row_id", DATA.row_id)
    record |= {"fingerprint": scores.fingerprint(built, DATA, "loo")}
    ranking = comparison.compare([Candidate("a", "ok", record, table), scored("b", "y ~ 1", DATA)])
    assert ranking[["model", "status"]].to_numpy().tolist() == [["b", "ok"], ["a", "not scored"]]
    assert ranking["weight"].tolist()[0] == 1.0
    assert ranking.loc[1, ["rank", "weight", "pseudo_bma", "elpd_diff", "se_diff"]].isna().all()


def test_a_dataset_where_the_posterior_of_a_tree_was_meant_is_not_read(tmp_path: Path) -> None:
    """Stored flat, a posterior has the right variables in the wrong place."""
    flat = xr.Dataset(
        {"b": (("chain", "draw", "coefficient"), np.zeros((2, 5, 2))), "sigma": (("chain", "draw"), np.ones((2, 5)))}
    )
    flat.to_netcdf(tmp_path / "flat.nc", engine="netcdf4")
    storage.write_netcdf(tmp_path / "tree.nc", xr.DataTree.from_dict({"posterior": flat}), {})
    built = design_of("y ~ x", DATA)
    assert predictor.read(tmp_path / "tree.nc", built).size == 10
    with pytest.raises(OSError, match="group not found: posterior"):
        predictor.read(tmp_path / "flat.nc", built)
    with pytest.raises(KeyError, match="posterior"):
        convergence.read(tmp_path / "flat.nc")


# Estimands.


def test_the_conditional_and_the_integrated_dic_are_two_records_and_one_column_holds_one() -> None:
    made = scored("a", "y ~ x + (1 | g)", DATA)
    record: Mapping[str, Any] = made.dic or {}
    own = record["integrated"]
    assert (record["unit"], own["unit"]) == ("conditional", "integrated")
    assert "same groups" in record["predicts"]
    assert "new levels of g" in own["predicts"]
    assert abs(record["dic"] - own["dic"]) > 1  # so that one cannot pass for the other
    row = comparison.compare([made]).iloc[0]
    assert row[["dic", "p_d", "dic_p_v", "p_v"]].tolist() == [record[k] for k in ("dic", "p_d", "dic_p_v_dbar", "p_v")]


def test_waic_beside_left_out_rows_is_conditional_and_beside_left_out_groups_integrated() -> None:
    built = design_of("y ~ x + (1 | g)", DATA)
    draws = any_draws(built, 400)
    of_rows, table = loo.score(built, draws)
    of_groups, by_group = logo.score(built, draws, units.of_term(built.group_terms[0]), {})
    assert of_rows["waic"]["likelihood"] == "given the group effects"
    assert of_groups["waic"]["likelihood"] == "integrated out by closed form: the effects of g"
    for waic, found in ((of_rows["waic"], table), (of_groups["waic"], by_group)):
        assert waic["p_waic"] == pytest.approx(found["p_waic"].sum())
    assert table["estimator"].unique().tolist() == ["integrated PSIS"]  # of one estimand, whichever estimator


def test_a_group_is_scored_jointly_and_the_error_counts_groups() -> None:
    """At one draw the score of a group is the density of its rows together, which is not the product of its rows'."""
    built, tau, sigma = design_of("y ~ 0 + (1 | g)", DATA), 1.3, 0.7
    size = 100
    known = {"sigma": np.full(size, sigma)}, {"g": np.full((size, 1), tau)}
    draws = Draws(1, size, np.zeros((size, 0)), {"g": np.zeros((size, 6, 1), np.float32)}, *known)
    record, table = logo.score(built, draws, units.of_term(built.group_terms[0]), {})
    y = built.y.reshape(6, 4)
    joint = multivariate_normal.logpdf(y, np.zeros(4), tau**2 * np.ones((4, 4)) + sigma**2 * np.eye(4))
    assert table["elpd"].to_numpy() == pytest.approx(joint, abs=1e-10)
    by_row = norm.logpdf(y, 0, np.hypot(tau, sigma)).sum(axis=1)
    assert np.abs(joint - by_row).min() > 0.1
    assert record["n_units"] == 6
    assert record["se"] == pytest.approx(np.sqrt(6) * np.std(joint, ddof=1))
    assert abs(record["se"] / (np.sqrt(COUNT) * np.std(joint, ddof=1)) - 1) > 0.4


# Warnings.


@pytest.mark.parametrize(("variance", "high"), [(0.3999, 0), (0.4001, 1)])
def test_waic_is_flagged_where_a_variance_exceeds_0_4(variance: float, high: int) -> None:
    unit = np.random.default_rng(5).normal(size=1000)
    unit = (unit - unit.mean()) / unit.std(ddof=1)
    columns = [-1.0 + np.sqrt(v) * unit for v in (0.01, variance, 0.1)]
    record = psis.waic(pd.DataFrame([psis.pointwise(column, 4) for column in columns]), "any")
    assert (record["high_variances"], record["reliable"], record["variance_limit"]) == (high, not high, 0.4)


def test_a_negative_effective_number_of_parameters_is_told() -> None:
    """Two modes, each near half of the rows; their mean is near none, so that the plug-in is worse than every draw."""
    built = design_of("y ~ 1", dataset_of(y=np.tile([-3.0, 3.0], 8)), "student_t")
    modes = np.tile([[-3.0], [3.0]], (50, 1)) + 0.01 * np.random.default_rng(6).normal(size=(100, 1))
    draws = Draws(2, 50, modes, {}, {"sigma": np.full(100, 0.1), "nu": np.full(100, 2.0)})
    record, _ = dic.score(built, draws)
    # By hand, what the densities have in common being gone: the sum of (nu + 1) log(1 + (distance / 0.1)^2 / nu).
    assert record["p_d"] == pytest.approx(3 * (8 * np.log1p(60.0**2 / 2) - 16 * np.log1p(30.0**2 / 2)), abs=0.5)
    assert any(f"p_D is negative ({record['p_d']:.2f})" in sentence for sentence in record["warnings"])


@pytest.mark.parametrize(("spread", "told"), [(0.25, False), (1.5, True)])
def test_penalties_that_differ_are_told(spread: float, told: bool) -> None:
    """Of a mean with its posterior both are 1; draws too wide for the likelihood have p_V = p_D^2."""
    size, rows = 4000, 16
    built = design_of("y ~ 1", dataset_of(y=np.linspace(-1.5, 1.5, rows)))
    b = spread * np.random.default_rng(7).standard_normal((size, 1))
    record, _ = dic.score(built, Draws(4, size // 4, b, {}, {"sigma": np.ones(size)}))
    assert record["p_d"] == pytest.approx(rows * spread**2, rel=0.1)
    assert record["p_v"] == pytest.approx((rows * spread**2) ** 2, rel=0.15)
    assert any("The two penalties differ" in sentence for sentence in record["warnings"]) is told


@pytest.mark.parametrize(("spread", "told"), [(0.25, False), (1.5, True)])
def test_an_optimism_by_unreliable_weights_is_told(spread: float, told: bool) -> None:
    built = design_of("y ~ 1", dataset_of(y=np.linspace(-1.5, 1.5, 16)))
    b = spread * np.random.default_rng(7).standard_normal((4000, 1))
    record, _ = dic.score(built, Draws(4, 1000, b, {}, {"sigma": np.ones(4000)}))
    assert (record["k_max_p_opt"] > 0.7) is told
    assert any("p_opt leaves" in sentence for sentence in record["warnings"]) is told


# Mixtures.


def test_dic_of_a_mixture_is_that_of_the_observed_responses_and_says_so() -> None:
    built = design_of("count ~ x + (1 | g)", DATA, "zero_inflated_poisson")
    draws = any_draws(built, 50)
    draws = replace(draws, others={"zi": draws.others["zi"] / 2})  # probabilities
    record, _ = dic.score(built, draws)
    effects = draws.effects["g"][:, built.group_terms[0].index, 0]
    mu, zi = np.exp(draws.b @ built.x.T + effects), draws.others["zi"][:, None]
    density = np.where(built.y == 0, zi, 0.0) + (1 - zi) * poisson.pmf(built.y, mu)
    assert record["dbar"] == pytest.approx(-2 * np.log(density).sum(axis=1).mean(), rel=1e-6)
    assert record["likelihood"] == "conditional on the group effects; which zeros are of the other kind is summed out"
    assert record["integrated"]["likelihood"].endswith(
        "the effects of g; which zeros are of the other kind is summed out"
    )
    assert "no exponential family" in record["why_no_p_kl"]


@pytest.mark.parametrize("family", ["poisson", "hurdle_poisson"])
def test_what_is_no_mixture_has_nothing_summed_out(family: str) -> None:
    """Which zeros of a hurdle are of the other kind is seen: all."""
    built = design_of("count ~ x", DATA, family)
    draws = any_draws(built, 50)
    draws = replace(draws, others={name: values / 2 for name, values in draws.others.items()})
    assert dic.score(built, draws)[0]["likelihood"] == "conditional on the group effects"
