"""Responses of categories: from the columns of a table to the design, its priors, its summary and its checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fixtures.small_data import dataset_of

from multilevel import (
    categories,
    checks,
    convergence,
    data_summary,
    dataset,
    default_priors,
    design,
    equations,
    figure_data,
    formula,
    plan,
    predictor,
    preparation,
)
from multilevel.dataset import Dataset
from multilevel.design import Design
from multilevel.errors import StudyError
from multilevel.predictor import Draws
from multilevel.scores import dic

SEVERITY = ["low", "middle", "high", "low", "middle", "low", "high", "middle", "low", "low", "middle", "high"]
DATA = dataset_of(
    rating=np.array([1, 2, 3, 4] * 3),
    severity=pd.Categorical(SEVERITY, categories=["low", "middle", "high"], ordered=True),
    travel=["bus", "car", "on foot"] * 4,
    x=np.array([0.0, 1, 2, 4, 3, 7, 8, 9, 1, 5, 2, 6]),
    z=np.array([1.0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1]),
    k=list("pqrpqrppqqrr"),
    g=list("aabbccddaabb"),
)


def built(text: str, family: str, data: Dataset = DATA, **rest: Any) -> Design:
    return design.build({"formula": str(formula.parse(text)), "family": family, **rest}, data)


def refused(text: str, family: str, data: Dataset = DATA, **rest: Any) -> str:
    with pytest.raises(StudyError) as caught:
        built(text, family, data, **rest)
    (problem,) = caught.value.problems
    return str(problem)


# The response.


def test_levels_and_numbers_are_coded_in_their_order() -> None:
    by_level, by_number = built("severity ~ x", "cumulative"), built("rating ~ x", "cumulative")
    assert by_level.y.tolist() == [1, 2, 3, 1, 2, 1, 3, 2, 1, 1, 2, 3]
    assert by_level.categories == ("low", "middle", "high")
    assert by_number.y.tolist() == [1, 2, 3, 4] * 3
    assert by_number.categories == ("1", "2", "3", "4")


def test_the_first_level_of_unordered_categories_is_the_reference() -> None:
    found = built("travel ~ x", "categorical")
    assert (found.categories, found.parameters) == (("bus", "car", "on foot"), ("mu_car", "mu_on_foot"))
    turned = pd.Categorical(["bus", "car", "on foot"] * 4, categories=["car", "bus", "on foot"])
    found = built("travel ~ x", "categorical", dataset_of(travel=turned, x=np.arange(12.0)))
    assert (found.categories, found.parameters) == (("car", "bus", "on foot"), ("mu_bus", "mu_on_foot"))
    assert found.y[:3].tolist() == [2, 1, 3]


LATIN = ["a", "b", "c"] * 4


@pytest.mark.parametrize(
    ("column", "family", "sentence"),
    [
        (
            LATIN,
            "cumulative",
            (
                "the response 'y' has levels whose order is not said (a, b, c), and cumulative needs one; "
                "list them from the lowest to the highest under data.ordered.y, without a data.reference"
            ),
        ),
        (
            pd.Categorical(LATIN, categories=["a", "d", "b", "c"], ordered=True),
            "sequential",
            "the response 'y' has no row of 'd'; leave that level out",
        ),
        (["no", "yes"] * 6, "categorical", "the response 'y' has only two categories; use the family bernoulli"),
        (["no"] * 12, "categorical", "the response 'y' has one category only"),
        (
            np.array([1, 2, 4] * 4),
            "adjacent",
            "the response 'y' has no row of category 3 (of 4); number the categories",
        ),
        (np.array([0, 1, 2] * 4), "adjacent", "the response 'y' has categories below 1 (0 in row 1, 4 rows in all)"),
        (np.arange(12) / 4, "cumulative", "the response 'y' has categories that are no whole numbers (0.25 in row 2"),
        (["a!", "b", "b!"] * 4, "categorical", "the categories 'b' and 'b!' would both have the linear predictor mu_b"),
    ],
)
def test_a_response_that_is_not_of_categories_is_refused_in_a_sentence(column: Any, family: str, sentence: str) -> None:
    assert refused("y ~ x", family, dataset_of(y=column, x=np.arange(12.0))).startswith(sentence)


# The design.


def test_thresholds_stand_for_the_intercept() -> None:
    found = built("rating ~ x + k + (1 | g)", "cumulative")
    assert found.all_coefficients == ("Intercept[1]", "Intercept[2]", "Intercept[3]", "x", "k[q]", "k[r]")
    assert found.thresholds is not None
    assert (found.thresholds.ordered, found.thresholds.equidistant) == (True, False)
    assert not found.has_intercept
    assert found.predictors[0].centred
    assert found.parameters == ("mu",)  # disc is 1
    assert found.columns_of("mu") == slice(3, 6)
    assert built("rating ~ 1", "adjacent").all_coefficients == ("Intercept[1]", "Intercept[2]", "Intercept[3]")


def test_category_specific_effects_stand_last_and_are_coded_as_with_an_intercept() -> None:
    found = built("severity ~ x + cs(z + k) + (1 | g)", "sequential")
    own = ("z[1]", "z[2]", "k[q][1]", "k[q][2]", "k[r][1]", "k[r][2]")
    assert found.all_coefficients == ("Intercept[1]", "Intercept[2]", "x", *own)
    assert found.thresholds is not None
    assert found.thresholds.x.shape == (12, 3)
    assert not found.thresholds.ordered


def test_a_discrimination_is_estimated_where_it_is_predicted_and_has_no_intercept() -> None:
    for text in ("1 + k", "0 + k", "k"):
        found = built("severity ~ x", "cumulative", parameters={"disc": text})
        assert found.parameters == ("mu", "disc")
        assert found.all_coefficients == ("Intercept[1]", "Intercept[2]", "x", "disc_k[q]", "disc_k[r]")
        assert found.scalars == ()


def test_unordered_categories_have_a_linear_predictor_each() -> None:
    found = built("travel ~ x + (1 | g)", "categorical", parameters={"mu_on_foot": "0 + z"})
    assert found.all_coefficients == ("mu_car_Intercept", "mu_car_x", "mu_on_foot_z")
    assert [(t.key, t.label, t.effects) for t in found.group_terms] == [("g__mu_car", "g", ("mu_car_Intercept",))]
    found = built("travel ~ (1 | p | g)", "categorical")
    assert [t.effects for t in found.group_terms] == [("mu_car_Intercept", "mu_on_foot_Intercept")]
    found = built("travel ~ (1 | g)", "categorical")
    assert [t.key for t in found.group_terms] == ["g__mu_car", "g__mu_on_foot"]


def test_a_predictor_of_no_category_is_refused_with_what_there_is() -> None:
    assert refused("travel ~ x", "categorical", parameters={"mu_foot": "1"}) == (
        "no category has the linear predictor 'mu_foot'; did you mean 'mu_on_foot'?"
    )
    assert refused("travel ~ x", "categorical", parameters={"mu_bus": "1"}) == (
        "no category has the linear predictor 'mu_bus'; 'bus' is the reference, which has none; "
        "the others have mu_car, mu_on_foot"
    )


# Priors.


def priors_of(found: Design, **given: str) -> dict[str, str]:
    return {p.parameter: f"{p.prior} {p.note}".strip() for p in default_priors.resolve(found, given)}


def test_thresholds_have_the_prior_of_an_intercept_at_the_mean_of_the_predictors() -> None:
    x_sd = float(np.std(DATA.frame["x"], ddof=1))
    at_means = "normal(0, 2.5) at the mean of the predictors"
    assert priors_of(built("severity ~ x + (1 | g)", "cumulative")) == {
        "Intercept[1]": f"{at_means}, restricted to increase",
        "Intercept[2]": f"{at_means}, restricted to increase",
        "b(x)": f"normal(0, {2.5 / x_sd:.6g})",
        "sd(g: Intercept)": "exponential(1)",
    }
    found = priors_of(built("severity ~ cs(x)", "sequential", thresholds="equidistant"), delta="normal(1, 2)")
    assert found == {
        "Intercept[1]": "normal(0, 2.5)",
        "delta": "normal(1, 2)",
        "b(x[1])": f"normal(0, {2.5 / x_sd:.6g})",
        "b(x[2])": f"normal(0, {2.5 / x_sd:.6g})",
    }
    assert priors_of(built("severity ~ 1", "cumulative", thresholds="equidistant"))["delta"] == "half_normal(2.5)"


def test_a_threshold_or_an_effect_of_one_category_can_have_a_prior_of_its_own() -> None:
    given = {
        "Intercept": "normal(0, 1)",
        "Intercept[2]": "normal(3, 1)",
        "b": "normal(0, 9)",
        "b(x[2])": "cauchy(0, 1)",
    }
    assert priors_of(built("severity ~ z + cs(x)", "adjacent"), **given) == {
        "Intercept[1]": "normal(0, 1) at the mean of the predictors",
        "Intercept[2]": "normal(3, 1) at the mean of the predictors",
        "b(z)": "normal(0, 9)",
        "b(x[1])": "normal(0, 9)",
        "b(x[2])": "cauchy(0, 1)",
    }
    assert "b(x)" in default_priors.targets(built("severity ~ cs(x)", "adjacent"))


def test_classes_of_priors_are_given_to_every_category() -> None:
    given = {"Intercept": "normal(0, 1)", "b": "normal(0, 2)", "b(mu_car_x)": "normal(0, 3)", "sd": "half_normal(4)"}
    assert priors_of(built("travel ~ x + (1 | g)", "categorical"), **given) == {
        "mu_car_Intercept": "normal(0, 1) at the mean of the predictors",
        "b(mu_car_x)": "normal(0, 3)",
        "mu_on_foot_Intercept": "normal(0, 1) at the mean of the predictors",
        "b(mu_on_foot_x)": "normal(0, 2)",
        "sd(g: mu_car_Intercept)": "half_normal(4)",
        "sd(g: mu_on_foot_Intercept)": "half_normal(4)",
    }


# From a study file.

CONFIG = "studies: [study.yaml]\n"


def planned(folder: Path, models: str, data: str = "", table: Dataset = DATA) -> dict[str, Any]:
    table.frame.to_csv(folder / "table.csv", index=False)
    (folder / "config.yaml").write_text(CONFIG)
    text = f"title: t\ndata: {{table: table.csv{', ' if data else ''}{data}}}\nmodels:\n"
    (folder / "study.yaml").write_text(text + "".join(f"  {line}\n" for line in models.strip().splitlines()))
    return plan.make(Path("study.yaml"), plan.read_config(folder / "config.yaml"), folder)


ORDERED = "ordered: {severity: [low, middle, high]}"
NEED = "families that take them: adjacent, continuation, sequential"


@pytest.mark.parametrize(
    ("model", "data", "problem"),
    [
        (
            "{formula: severity ~ cs(x), family: cumulative}",
            ORDERED,
            (
                "models.a.formula: the family cumulative takes no category-specific effects, cs(): its "
                "thresholds could then cross, "
                f"and a probability be negative; {NEED}"
            ),
        ),
        (
            "{formula: travel ~ cs(x), family: categorical}",
            "",
            (
                "models.a.formula: the family categorical takes no category-specific effects, cs(): every "
                "effect differs between its "
                f"categories anyway; {NEED}"
            ),
        ),
        (
            "{formula: x ~ cs(z)}",
            "",
            (
                "models.a.formula: the family gaussian takes no category-specific effects, cs(): its "
                "responses are no ordered "
                f"categories; {NEED}"
            ),
        ),
        (
            "{formula: severity ~ 0 + k, family: sratio}",
            ORDERED,
            (
                "models.a.formula: the thresholds of a sequential model are its intercepts, so '0 +' has "
                "nothing to take out; "
                "leave '0 +' out"
            ),
        ),
        (
            "{formula: severity ~ x, family: cumulative, parameters: {disc: '1'}}",
            ORDERED,
            "models.a.parameters.disc: the formula of 'disc' predicts it by nothing; its level is 1; add predictors",
        ),
        (
            "{formula: severity ~ x, family: cumulative, parameters: {disc: cs(x)}}",
            ORDERED,
            "models.a.parameters.disc: 'cs(x)': category-specific effects, cs(...), stand in the formula of the response",
        ),
        (
            "{formula: x ~ z, thresholds: equidistant}",
            "",
            (
                "models.a.thresholds: the family gaussian has no thresholds; "
                "families that have them: adjacent, continuation, cumulative, sequential"
            ),
        ),
        (
            "{formula: severity ~ x, family: cumulative, link: log}",
            ORDERED,
            "models.a.link: the family cumulative has no link 'log'; did you mean 'logit'?",
        ),
        (
            "{formula: severity ~ x, family: cumulatve}",
            ORDERED,
            "models.a.family: unknown family 'cumulatve'; did you mean 'cumulative'?",
        ),
        (
            "{formula: severity ~ x + cs(x), family: acat}",
            ORDERED,
            "models.a.formula: collinear columns: 'x' can be computed from the columns before; leave one out",
        ),
        (
            "{formula: severity ~ x, family: cumulative, priors: {Intercept: 'uniform(-5, 5)'}}",
            ORDERED,
            "models.a.priors: uniform cannot be the prior of thresholds that must increase (Intercept[1]): use normal",
        ),
        (
            "{formula: severity ~ x, family: cumulative, thresholds: equidistant, priors: {delta: 'normal(0, 1)'}}",
            ORDERED,
            "models.a.priors: normal(0, 1) reaches below 0, and delta, the distance of thresholds that increase, does not",
        ),
        (
            "{formula: severity ~ x, family: cumulative, priors: {'Intercept[3]': 'normal(0, 1)'}}",
            ORDERED,
            "models.a.priors.Intercept[3]: the model has no parameter 'Intercept[3]'; did you mean 'Intercept[2]'?",
        ),
        (
            "{formula: severity ~ x, family: cumulative}",
            "",
            (
                "models.a.formula: the response 'severity' has levels whose order is not said (high, low, "
                "middle), and cumulative "
                "needs one; list them from the lowest to the highest under data.ordered.severity, without a data.reference"
            ),
        ),
        (
            "{formula: severity ~ cs(severity), family: sequential}",
            ORDERED,
            "models.a.formula: the response 'severity' cannot explain itself; take it out on the right",
        ),
        (
            "{formula: travel ~ x + I(2 * x), family: categorical}",
            "",
            "models.a.formula: collinear columns: 'I(2 * x)' can be computed from the columns before; leave one out",
        ),
    ],
)
def test_what_a_family_of_categories_does_not_take_is_refused(
    model: str, data: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError) as caught:
        planned(tmp_path, f"a: {model}", data)
    assert [str(p) for p in caught.value.problems] == [problem]


def test_declared_levels_reach_the_design_in_their_order_through_the_file(tmp_path: Path) -> None:
    found = planned(tmp_path, "a: {formula: severity ~ x + cs(z), family: sratio, thresholds: equidistant}", ORDERED)
    model = found["models"]["a"]
    assert (model["family"], model["thresholds"], model["link"]) == ("sequential", "equidistant", "logit")
    prepared = preparation.prepare(found["data"], found["drop_missing_in"], tmp_path)
    dataset.write(tmp_path / "data.nc", prepared)
    again = dataset.read(tmp_path / "data.nc")
    assert again.frame["severity"].cat.ordered
    assert design.build(model, again).categories == ("low", "middle", "high")


def test_whether_an_order_was_said_is_part_of_the_content(tmp_path: Path) -> None:
    levels = ["high", "low", "middle"]  # the order that text has anyway
    said, unsaid = (pd.Series(pd.Categorical(SEVERITY, categories=levels, ordered=o)) for o in (True, False))
    assert dataset.digest(said) != dataset.digest(unsaid)


def test_a_density_and_probabilities_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        planned(tmp_path, "a: {formula: rating ~ x}\nb: {formula: rating ~ x, family: cumulative}")
    (problem,) = caught.value.problems
    assert str(problem) == (
        "comparisons.main.models: 'a' (gaussian) is scored by a density and 'b' (cumulative) by probabilities: such scores "
        "cannot be compared; compare models whose families are all continuous or all discrete"
    )


def test_models_that_differ_in_their_thresholds_are_two_models(tmp_path: Path) -> None:
    models = (
        "a: {formula: rating ~ x, family: adjacent}\nb: {formula: rating ~ x, family: acat, thresholds: equidistant}"
    )
    found = planned(tmp_path, models)
    assert list(found["models"]) == ["a", "b"]
    few = "'rating' has fewer than 5 rows of '1' (3), '2' (3), '3' (3), '4' (3); what tells them apart rests on priors."
    assert found["warnings"][1:] == [f"Model a: {few}", f"Model b: {few}"]
    same = planned(tmp_path, models.replace("equidistant", "flexible"))
    assert same["aliases"] == {"b": "a"}


# What is made of draws.


def draws_of(found: Design, count: int = 3) -> Draws:
    rng = np.random.default_rng(2)
    b = rng.normal(size=(count, len(found.all_coefficients)))
    if found.thresholds:
        b[:, : len(found.thresholds.names)].sort(axis=1)
    effects = {
        t.key: rng.normal(size=(count, len(t.levels), len(t.effects))).astype(np.float32) for t in found.group_terms
    }
    return Draws(1, count, b, effects, {})


def test_thresholds_are_shifted_row_by_row_by_category_specific_effects() -> None:
    found = built("severity ~ x + cs(z + k)", "sequential")
    draws = draws_of(found)
    thresholds = predictor.arguments(found, draws, slice(2, 7))["thresholds"]
    assert thresholds.shape == (3, 5, 2)
    k = np.array(list("pqrpqrppqqrr"))
    for s, row, place in np.ndindex(3, 5, 2):
        b, i = draws.b[s], 2 + row
        shift = DATA.frame["z"][i] * b[3 + place] + (k[i] == "q") * b[5 + place] + (k[i] == "r") * b[7 + place]
        assert thresholds[s, row, place] == pytest.approx(b[place] - shift, rel=1e-12)
    np.testing.assert_allclose(
        predictor.linear_predictor(found, draws, slice(0, 12)), draws.b[:, 2:3] * DATA.frame["x"].to_numpy(), rtol=1e-12
    )


def test_every_coefficient_has_its_name_in_the_summary() -> None:
    found = built("severity ~ x + cs(z)", "adjacent", thresholds="equidistant")
    b = np.random.default_rng(1).normal(size=(2, 5, 5))
    posterior = xr.Dataset(
        {"b": (("chain", "draw", "coefficient"), b), "delta": (("chain", "draw"), b[..., 1] - b[..., 0])}
    )
    table = convergence.quantities(posterior, found)
    assert [q.parameter for q in table] == ["Intercept[1]", "Intercept[2]", "b(x)", "b(z[1])", "b(z[2])", "delta"]
    assert {q.kind for q in table} == {"population"}


def test_the_plug_in_of_dic_is_at_the_mean_of_thresholds_effects_and_coefficients() -> None:
    for text, family in (("severity ~ x + cs(z) + (1 | g)", "sequential"), ("travel ~ x + (1 | g)", "categorical")):
        found = built(text, family)
        draws = draws_of(found, 40)
        mean = Draws(
            1, 1, draws.b.mean(0)[None], {k: v.mean(0, dtype=float)[None] for k, v in draws.effects.items()}, {}
        )
        from multilevel import likelihood

        ((_, log_density),) = likelihood.conditional(found, mean)
        assert dic.plug_in_deviance(found, draws) == pytest.approx(-2 * log_density.sum(), rel=1e-12)
        by_hand = np.mean([predictor.linear_predictor(found, draws, slice(0, 12))], axis=1)
        np.testing.assert_allclose(predictor.linear_predictor(found, mean, slice(0, 12)), by_hand, rtol=1e-6)


def test_checks_are_of_the_shares_of_categories() -> None:
    groups = {"g": checks.Grouping(*design.code_grouping(DATA.frame, "g"))}
    found = built("severity ~ x + (1 | g)", "cumulative")
    functions = checks.functions_of(found, groups)
    assert list(functions) == [
        "share of low", "share of middle", "share of high", "mean category", "sd of category", "sd of g means"
    ]  # fmt: skip
    assert [float(functions[f"share of {label}"](found.y)) for label in found.categories] == [5 / 12, 4 / 12, 3 / 12]
    replicates = np.concatenate(list(checks.replicate_blocks(found, draws_of(found, 40), seed=1)))
    assert set(np.unique(replicates)) <= {1.0, 2.0, 3.0}
    table = checks.check(found.y, [replicates], groups, 40, discrete=True, functions=functions)
    shares = table.statistics.set_index("statistic").loc[
        ["share of low", "share of middle", "share of high"], "predicted"
    ]
    assert shares.sum() == pytest.approx(1.0)
    whole = table.densities[(table.densities["group"] == "") & (table.densities["source"] == "observed")]
    assert whole["density"].tolist() == [5 / 12, 4 / 12, 3 / 12]
    assert whole["x"].tolist() == [1, 2, 3]
    assert list(checks.functions_of(built("travel ~ x", "categorical"), groups)) == [
        "share of bus", "share of car", "share of on foot"
    ]  # fmt: skip


def test_a_level_alone_has_the_estimate_of_maximum_likelihood() -> None:
    """For each group by itself, with the rest of the model held: where the log likelihood of its rows is largest."""
    from scipy.optimize import minimize_scalar

    from multilevel import families

    data = dataset_of(y=np.array([1, 2, 3, 2, 1, 2, 3, 3, 2, 1, 1, 2]), x=np.arange(12.0) / 6, g=list("aaaabbbbcccc"))
    found = built("y ~ x + (1 | g)", "sequential", data)
    b, effects = np.array([-0.4, 0.6, 0.8]), np.array([0.3, 0.5, -0.9])
    rows = [*found.all_coefficients, *(f"g[{level}: Intercept]" for level in "abc")]
    summary = pd.DataFrame(
        {
            "parameter": [default_priors.coefficient_name(r) if "g[" not in r else r for r in rows],
            "mean": [*b, *effects],
            **dict.fromkeys(("lower", "upper", "inner_lower", "inner_upper"), 0.0),
            "kind": ["population"] * 3 + ["group"] * 3,
            "group": [""] * 3 + ["g"] * 3,
            "level": ["", "", "", "a", "b", "c"],
            "effect": [""] * 3 + ["Intercept"] * 3,
        }
    )
    table = figure_data.shrinkage(found, summary, "g").set_index("level")
    module = families.get("sequential")
    for number, level in enumerate("abc"):
        own = found.group_terms[0].index == number
        eta = 0.8 * data.frame["x"].to_numpy()[own]

        def loss(u: float, eta: np.ndarray = eta, y: np.ndarray = found.y[own]) -> float:
            return -float(module.log_density(y, eta + u, b[:2]).sum())

        best = minimize_scalar(loss, bounds=(-10, 10), method="bounded", options={"xatol": 1e-9}).x
        assert table.loc[level, "no_pooling"] == pytest.approx(best, abs=1e-5)


def test_effects_on_unordered_categories_have_no_estimate_of_a_level_alone() -> None:
    found = built("travel ~ x + (1 | g)", "categorical")
    names = [f"g[{level}: {effect}]" for t in found.group_terms for level in t.levels for effect in t.effects]
    summary = pd.DataFrame(
        {
            "parameter": names,
            "kind": "group",
            "group": "g",
            "level": [n[2] for n in names],
            "effect": [n[5:-1] for n in names],
            **dict.fromkeys(("mean", "lower", "upper", "inner_lower", "inner_upper"), 0.0),
        }
    )
    assert figure_data.shrinkage(found, summary, "g").empty
    assert design.planes(built("travel ~ (1 + x | g)", "categorical")) == []


# What the report says.


def test_the_report_counts_the_categories() -> None:
    assert categories.counts(DATA.frame["severity"]) == [
        {"label": "low", "rows": 5}, {"label": "middle", "rows": 4}, {"label": "high", "rows": 3}
    ]  # fmt: skip
    assert categories.counts(DATA.frame["rating"]) == [{"label": str(k), "rows": 3} for k in (1, 2, 3, 4)]
    assert categories.counts(pd.Series([0.5, 1.0])) == []
    assert categories.counts(pd.Series(np.arange(40))) == []


def test_the_data_summary_takes_a_response_of_levels(tmp_path: Path) -> None:
    found = planned(tmp_path, "a: {formula: severity ~ x, family: cumulative}", ORDERED)
    prepared = preparation.prepare(found["data"], found["drop_missing_in"], tmp_path)
    words: dict[str, dict[str, str]] = {"units": {}, "labels": {}}
    response = data_summary.describe(prepared, "severity", [], ["severity", "x"], words)["response"]
    assert (response["min"], response["max"]) == (1.0, 3.0)
    assert [entry["label"] for entry in response["categories"]] == ["low", "middle", "high"]


def lines(found: Design) -> list[str]:
    return [line for level in equations.describe(found)["levels"] for line in level["latex"]]


@pytest.mark.parametrize(
    ("family", "first"),
    [
        ("cumulative", r"\operatorname{logit}\,\Pr(\text{rating}_i \le k) = \tau_k - \eta_i,\quad k = 1, \dots, 3"),
        (
            "sequential",
            r"\operatorname{logit}\,\Pr(\text{rating}_i = k \mid \text{rating}_i \ge k) = \tau_k - \eta_i,\quad k = 1, \dots, 3",
        ),
        (
            "continuation",
            r"\operatorname{logit}\,\Pr(\text{rating}_i > k \mid \text{rating}_i \ge k) = \eta_i - \tau_k,\quad k = 1, \dots, 3",
        ),
        (
            "adjacent",
            (
                r"\operatorname{logit}\,\Pr(\text{rating}_i = k + 1 \mid \text{rating}_i \in \{k, k + 1\}) = \eta_i - \tau_k,"
                r"\quad k = 1, \dots, 3"
            ),
        ),
    ],
)
def test_the_equations_of_ordinal_families_say_what_is_modelled(family: str, first: str) -> None:
    found = lines(built("rating ~ x + (1 | g)", family))
    assert found[0] == first
    assert (r"\tau_1 < \dots < \tau_{3}" in found) is (family == "cumulative")
    assert r"\eta_i = \beta_{0,j[i]} + \gamma_{\text{x}}\,\text{x}_i" in found


def test_the_equations_name_shifts_distances_and_discrimination() -> None:
    found = lines(
        built("severity ~ cs(x)", "sequential", thresholds="equidistant", link="probit", parameters={"disc": "z"})
    )
    assert found == [
        (
            r"\Phi^{-1}\,\Pr(\text{severity}_i = k \mid \text{severity}_i \ge k) = "
            r"\text{disc}_i\,(\tau_k - \eta_i - \gamma_{k,\text{x}}\,\text{x}_i),\quad k = 1, \dots, 2"
        ),
        r"\tau_k = \tau_1 + (k - 1)\,\delta",
        r"\eta_i = 0",
        r"\log \text{disc}_i = \delta_{\text{z}}\,\text{z}_i",
    ]
    found = lines(built("travel ~ x", "categorical"))
    assert found == [
        r"\text{travel}_i \sim \operatorname{Categorical}(p_{i,\text{bus}}, p_{i,\text{car}}, p_{i,\text{on foot}})",
        r"\log(p_{i,\text{car}} / p_{i,\text{bus}}) = \gamma^{(\text{car})}_{0} + \gamma^{(\text{car})}_{\text{x}}\,\text{x}_i",
        (
            r"\log(p_{i,\text{on foot}} / p_{i,\text{bus}}) = "
            r"\gamma^{(\text{on foot})}_{0} + \gamma^{(\text{on foot})}_{\text{x}}\,\text{x}_i"
        ),
    ]


def test_a_sentence_says_which_effects_differ_between_categories() -> None:
    assert equations.describe(built("severity ~ z + cs(x)", "adjacent"))["plain"].startswith(
        "severity is explained by z, x (the effect of x differs between the categories)"
    )
    assert equations.describe(built("severity ~ 1", "adjacent"))["plain"].startswith(
        "severity has the same probability of each category in every row"
    )
    assert equations.describe(built("travel ~ x", "categorical"))["plain"].startswith("travel is explained by x;")
