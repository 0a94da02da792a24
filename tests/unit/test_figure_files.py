"""Which figures a study has, by the names of their files, before anything is drawn."""

from __future__ import annotations

import json

import pytest
from fixtures.small_data import dataset_of, design_of

from multilevel import design, rules
from multilevel.report.record import MODEL_FIGURES, STUDY_FIGURES

PLAN = {
    "models": {
        "pooled": {"groups": [], "planes": [], "suited": [], "columns": ["y", "x"]},
        "nested": {
            "groups": ["school", "school:class"],
            "planes": ["school:class"],
            "suited": ["rootogram", "calibration"],
            "columns": ["y", "class", "school"],
        },
        "other": {"groups": ["school"], "planes": [], "suited": [], "columns": ["z", "school"]},
    },
    "comparisons": {"main": {"leave_out": ["observation", "school:class"]}, "second": {"leave_out": ["observation"]}},
    "labels": {"y": "score"},
    "trajectories": {"time": "z", "subject": "school", "most": 5},
    "units": {"y": "points", "z": "cm"},
}


def test_files_of_a_grouping_of_several_columns_have_a_dot_where_its_name_has_a_colon() -> None:
    assert rules.in_path("school:class") == "school.class"
    assert rules.grouping(PLAN, "school.class") == "school:class"
    assert rules.grouping(PLAN, "school") == "school"
    with pytest.raises(KeyError):
        rules.grouping(PLAN, "class")


def test_a_fit_has_effects_of_its_groupings_and_planes_of_those_that_are_correlated() -> None:
    always = {"trace", "ranks", "pairs", "energy", "pareto_k", "predictive_by_group", "trajectories"}
    assert set(rules.model_figures(PLAN, "pooled")) == {f"models/pooled/figures/{name}" for name in always}
    nested = always | {
        "caterpillar.school", "shrinkage.school", "caterpillar.school.class", "shrinkage.school.class",
        "shrinkage_plane.school.class", "rootogram", "calibration",
    }  # fmt: skip
    assert set(rules.model_figures(PLAN, "nested")) == {f"models/nested/figures/{name}" for name in nested}


def test_a_study_has_figures_of_its_data_also_where_nothing_was_fitted() -> None:
    data = {
        "missingness", "data_response_by_group.school", "group_sizes.school", "data_response_by_group.school.class",
        "group_sizes.school.class",
    }  # fmt: skip
    rankings = ("main.observation", "main.school.class", "second.observation")
    compared = {f"{name}.{c}" for name in ("elpd_differences", "pointwise") for c in rankings}
    assert set(rules.study_figures(PLAN, [])) == {f"figures/{name}" for name in data | compared}
    fitted = {
        "forest", "predictive_density", "predictive_statistics", "predictive_quantiles", "group_statistics.school",
        "group_statistics.school.class",
    }  # fmt: skip
    assert set(rules.study_figures(PLAN, ["pooled"])) == {f"figures/{name}" for name in data | compared | fitted}


def test_a_study_without_groups_has_no_figures_of_groups() -> None:
    plan = {**PLAN, "models": {"pooled": PLAN["models"]["pooled"]}, "comparisons": {}}
    names = {"missingness", "forest", "predictive_density", "predictive_statistics", "predictive_quantiles"}
    assert set(rules.study_figures(plan, ["pooled"])) == {f"figures/{name}" for name in names}


def test_the_report_knows_every_figure_that_is_drawn() -> None:
    kinds = {path.rsplit("/", maxsplit=1)[-1].split(".")[0] for path in rules.study_figures(PLAN, ["nested"])}
    assert kinds == set(STUDY_FIGURES)
    kinds = {path.rsplit("/", maxsplit=1)[-1].split(".")[0] for path in rules.model_figures(PLAN, "nested")}
    assert kinds == set(MODEL_FIGURES)


def test_trajectories_are_drawn_where_a_study_says_who_is_followed() -> None:
    without = {key: value for key, value in PLAN.items() if key != "trajectories"}
    assert "models/pooled/figures/trajectories" not in rules.model_figures(without, "pooled")
    assert json.loads(rules.trajectories(PLAN)) == {
        "time": "z", "subject": "school", "most": 5, "axis": "z (cm)", "name": "school",
    }  # fmt: skip


def test_each_response_is_named_with_its_unit() -> None:
    assert rules.quantity(PLAN, "nested") == "score (points)"
    assert rules.quantities(PLAN, ["pooled", "other"]) == '{"other": "z (cm)", "pooled": "score (points)"}'
    assert rules.named_responses(PLAN) == '{"y": "score (points)", "z": "z (cm)"}'


@pytest.mark.parametrize(
    ("formula", "parameters", "planes"),
    [
        ("y ~ x", {}, []),
        ("y ~ x + (1 | g)", {}, []),
        ("y ~ x + (1 + x | g)", {}, ["g"]),
        ("y ~ x + (1 + x || g)", {}, []),
        ("y ~ x + (0 + x + z | g)", {}, []),
        ("y ~ x + (1 + x | g) + (1 + z | g) + (1 + x | h)", {}, ["g", "h"]),
        ("y ~ x + (1 | i | g)", {"sigma": "1 + (1 | i | g)"}, []),
        ("y ~ x + (1 + x | i | g)", {"sigma": "1 + (1 | i | g)"}, ["g"]),
    ],
)
def test_a_plane_needs_an_intercept_and_a_slope_of_the_mean_that_are_correlated(
    formula: str, parameters: dict[str, str], planes: list[str]
) -> None:
    data = dataset_of(
        y=[1.0, 2.0, 3.0, 5.0], x=[0.0, 1.0, 0.0, 2.0], z=[1.0, 0.0, 2.0, 0.0], g=["a", "a", "b", "b"], h=["p", "q"] * 2
    )
    assert design.planes(design_of(formula, data, **parameters)) == planes
