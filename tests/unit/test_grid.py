"""The grid: names of cells, what each is fitted with, and cells that are the same model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures import small_study
from fixtures.finished_study import write_study
from fixtures.pandoc import nodes, parse, words
from fixtures.radon import radon_plan
from fixtures.small_study import changed

from multilevel import cli, plan, rules, schema, study
from multilevel.grid import AXES
from multilevel.names import MODEL_PATTERN, NAME_PATTERN
from multilevel.report import build_qmd, build_record
from multilevel.report.markdown import identifier

ROOT = Path(__file__).resolve().parents[2]
PRIORS = {"default": {}, "sceptical": {"sd(school)": "half_normal(0.1)"}}
CENTRED = {"offsets": False, "centred": True}
VARYING = {"a": {"formula": "score ~ hours + (1 | school)"}, "b": {"formula": "score ~ sex + (1 | school)"}}


def planned(folder: Path, grid: dict[str, Any], models: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the plan of the small study with other models and a grid, and no comparison but that of all models.

    Effects are sampled: where they are integrated out, the axis `centred` changes nothing.
    """
    more = {"defaults": {"integrate": False}, **more}
    text = changed(models={"pooled": None, "varying": None, **(models or VARYING)}, grid=grid, comparisons=None, **more)
    return small_study.made(folder, {"study.yaml": text})


def problems(folder: Path, grid: dict[str, Any], models: dict[str, Any] | None = None, **more: Any) -> list[str]:
    text = changed(models={"pooled": None, "varying": None, **(models or VARYING)}, grid=grid, **more)
    head, *lines = small_study.said(folder, {"study.yaml": text}).splitlines()
    assert head.startswith("study.yaml: ")
    return [line.removeprefix("  - ") for line in lines]


# Names.


def test_the_first_value_keeps_the_name_and_any_other_follows_it_after_a_dot(tmp_path: Path) -> None:
    made = planned(tmp_path, {"priors": PRIORS, "centred": CENTRED})
    assert list(made["models"]) == [
        "a", "a.centred", "a.sceptical", "a.sceptical.centred", "b", "b.centred", "b.sceptical", "b.sceptical.centred",
    ]  # fmt: skip
    assert [made["models"][f"a{end}"]["centred"] for end in ("", ".centred", ".sceptical.centred")] == [
        False,
        True,
        True,
    ]
    assert made["models"]["a"]["priors"] == {}
    assert made["models"]["a.sceptical"]["priors"] == {"sd(school)": "half_normal(0.1)"}
    assert "aliases" not in made


def test_a_parameterisation_makes_no_other_model_of_one_whose_effects_are_integrated_out(tmp_path: Path) -> None:
    made = planned(tmp_path, {"centred": CENTRED}, defaults={})
    assert made["aliases"] == {"a.centred": "a", "b.centred": "b"}


def test_the_values_of_a_name_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    made = planned(tmp_path, {"centred": CENTRED, "priors": PRIORS})
    assert list(made["models"])[:4] == ["a", "a.sceptical", "a.centred", "a.centred.sceptical"]


def test_labels_name_the_values_that_are_not_the_first(tmp_path: Path) -> None:
    models = {"a": {**VARYING["a"], "label": "Hours"}, "b": VARYING["b"]}
    made = planned(tmp_path, {"priors": PRIORS, "centred": CENTRED}, models)["models"]
    assert [made[name]["label"] for name in ("a", "a.sceptical", "a.sceptical.centred", "b.centred")] == [
        "Hours", "Hours (sceptical)", "Hours (sceptical, centred)", "b (centred)",
    ]  # fmt: skip


def test_a_list_of_families_is_called_what_it_is(tmp_path: Path) -> None:
    assert list(planned(tmp_path, {"family": ["gaussian"]})["models"]) == ["a", "b"]
    assert list(planned(tmp_path, {"family": {"normal": "gaussian"}})["models"]) == ["a", "b"]
    assert problems(tmp_path, {"family": ["gaussian", "gausian"]}, comparisons=None) == [
        "grid.family.gausian: unknown family 'gausian'; did you mean 'gaussian'?"
    ]


@pytest.mark.parametrize("name", ["bym2.sceptical", "a.b.c_1", "A", "x" * 64 + "." + "y" * 63])
def test_the_pattern_of_the_rules_takes_every_cell(name: str) -> None:
    assert re.fullmatch(MODEL_PATTERN, name)


@pytest.mark.parametrize("name", ["a.", ".a", "a..b", "a/b", "../a", "a.1", "a b", "a\n", ""])
def test_the_pattern_of_the_rules_takes_nothing_else(name: str) -> None:
    assert not re.fullmatch(MODEL_PATTERN, name)


def test_only_models_have_dots_in_the_rules() -> None:
    text = (ROOT / "workflow" / "rules" / "common.smk").read_text()
    assert re.findall(r"^    (\w+)=(\w+_PATTERN),$", text, re.MULTILINE) == [
        ("study", "NAME_PATTERN"), ("model", "MODEL_PATTERN"), ("comparison", "NAME_PATTERN"),
    ]  # fmt: skip
    assert not re.fullmatch(NAME_PATTERN, "a.b")


def test_anchors_of_cells_differ_however_long_their_names() -> None:
    names = ["a.b", "a_b", "long_model_name.b_c", "long_model_name.b.c", "long_model_name_b.c"]
    assert len({identifier("model", name) for name in names}) == len(names)


# What is left out.


def test_excluded_cells_are_not_fitted(tmp_path: Path) -> None:
    made = planned(tmp_path, {"priors": PRIORS, "centred": CENTRED, "exclude": ["b.*", "*.centred"]})
    assert list(made["models"]) == ["a", "a.sceptical", "b"]


def test_a_problem_of_the_grid_hides_none_of_the_models(tmp_path: Path) -> None:
    assert problems(tmp_path, {"priors": PRIORS, "exclude": ["c.*"]}, {"a": {"formula": "score ~ lgo(hours)"}}) == [
        "grid.exclude[0]: no model is called 'c.*'; choose from a, a.sceptical",
        "models.a.formula: 'lgo(hours)': the function 'lgo' is not allowed in a formula; did you mean 'log'?",
    ]


def test_a_problem_of_a_model_is_told_once_for_all_its_cells(tmp_path: Path) -> None:
    models = {"a": {"formula": "score ~ hour + (1 | school)"}, "b": {"formula": "score ~ scoer"}}
    assert problems(tmp_path, {"priors": PRIORS, "centred": CENTRED}, models, comparisons=None) == [
        "models.a.formula: unknown column 'hour'; did you mean 'hours'?",
        "models.b.formula: unknown column 'scoer'; did you mean 'score'?",
    ]


# Priors.


def test_a_prior_of_the_grid_goes_before_the_models_and_that_before_the_studys(tmp_path: Path) -> None:
    models = {"a": {**VARYING["a"], "priors": {"sd( school )": "half_normal(2)", "b": "normal(0, 2)"}}}
    defaults = {"priors": {"b": "normal(0, 1)", "sigma": "exponential(1)"}}
    made = planned(tmp_path, {"priors": PRIORS}, models, defaults=defaults)["models"]
    assert made["a"]["priors"] == {"b": "normal(0, 2)", "sd(school)": "half_normal(2)", "sigma": "exponential(1)"}
    assert made["a.sceptical"]["priors"] == {**made["a"]["priors"], "sd(school)": "half_normal(0.1)"}


def test_a_prior_of_the_grid_does_nothing_where_a_model_lacks_its_parameter(tmp_path: Path) -> None:
    models = {"flat": {"formula": "score ~ hours"}, **VARYING}
    made = planned(tmp_path, {"priors": PRIORS}, models)
    assert made["aliases"] == {"flat.sceptical": "flat"}
    assert list(made["models"]) == ["flat", "a", "a.sceptical", "b", "b.sceptical"]


def test_a_prior_of_the_grid_that_no_model_has_a_parameter_for_is_refused(tmp_path: Path) -> None:
    priors = {"default": {}, "odd": {"sd(schol)": "half_normal(1)", "b(hours)": "normal(0, 1)"}}
    assert problems(tmp_path, {"priors": priors}, comparisons=None) == [
        "grid.priors.odd.sd(schol): no model has a parameter 'sd(schol)'; did you mean 'sd(school)'?"
    ]


def test_a_prior_of_a_model_itself_must_have_its_parameter(tmp_path: Path) -> None:
    models = {"a": {**VARYING["a"], "priors": {"sd(schol)": "half_normal(2)"}}, "b": VARYING["b"]}
    assert problems(tmp_path, {"priors": PRIORS}, models, comparisons=None) == [
        "models.a.priors.sd(schol): the model has no parameter 'sd(schol)'; did you mean 'sd(school)'?"
    ]


# Cells that are one model.


@pytest.mark.parametrize(
    ("models", "grid", "aliases"),
    [
        # no group, so there is nothing to centre and no sd to be sceptical of
        (
            {"flat": {"formula": "score ~ hours"}, "a": VARYING["a"]},
            {"priors": PRIORS, "centred": CENTRED},
            {"flat.centred": "flat", "flat.sceptical": "flat", "flat.sceptical.centred": "flat"},
        ),
        # the same in other words
        (
            {"a": VARYING["a"]},
            {"priors": {"default": {}, "one": {"b": "normal(0, 1)"}, "other": {"b": "normal( 0,1.0 )"}}},
            {"a.other": "a.one"},
        ),
        # the more specific prior of the model itself holds
        (
            {"a": {**VARYING["a"], "priors": {"sd(school: Intercept)": "half_normal(1)"}}, "b": VARYING["b"]},
            {"priors": PRIORS},
            {"a.sceptical": "a"},
        ),
        # a model written by hand keeps its name, wherever it stands
        (
            {"a": VARYING["a"], "tight": {**VARYING["a"], "priors": {"sd(school)": "half_normal(0.1)"}}},
            {"priors": PRIORS},
            {"a.sceptical": "tight", "tight.sceptical": "tight"},
        ),
    ],
)
def test_cells_that_come_out_the_same_are_fitted_once(
    models: dict[str, Any], grid: dict[str, Any], aliases: dict[str, str], tmp_path: Path
) -> None:
    made = planned(tmp_path, grid, models)
    assert made["aliases"] == aliases
    assert not set(made["models"]) & set(aliases)
    assert set(aliases.values()) <= set(made["models"])
    assert made["warnings"] == []
    [comparison] = made["comparisons"].values()
    assert comparison["models"] == list(made["models"])


def test_a_comparison_that_names_an_alias_holds_the_fitted_model_once(tmp_path: Path) -> None:
    comparisons = {
        "main": {"models": ["*.sceptical", "flat", "a"], "reference": "flat.sceptical"},
        "flat": {"models": ["flat*", "b"], "reference": "b"},
    }
    text = changed(
        models={"pooled": None, "varying": None, "flat": {"formula": "score ~ hours"}, **VARYING},
        grid={"priors": PRIORS},
        comparisons=comparisons,
    )
    made = small_study.made(tmp_path, {"study.yaml": text})
    assert made["comparisons"]["main"]["models"] == ["flat", "a.sceptical", "b.sceptical", "a"]
    assert made["comparisons"]["main"]["reference"] == "flat"
    assert made["comparisons"]["flat"]["models"] == ["flat", "b"]


def test_wildcards_stand_for_cells(tmp_path: Path) -> None:
    comparisons = {"main": {"models": ["a*", "b.sc?ptical"], "reference": "a"}}
    text = changed(
        models={"pooled": None, "varying": None, **VARYING}, grid={"priors": PRIORS}, comparisons=comparisons
    )
    made = small_study.made(tmp_path, {"study.yaml": text})
    assert made["comparisons"]["main"]["models"] == ["a", "a.sceptical", "b.sceptical"]


def test_a_fit_named_by_an_alias_is_gone_on_without(tmp_path: Path) -> None:
    text = changed(models={"pooled": {"formula": "score ~ hours"}}, grid={"priors": PRIORS})
    small_study.write(tmp_path, {"study.yaml": text})
    config = {"studies": ["study.yaml"], "not_fitted": ["study/pooled.sceptical", "study/varying.sceptical"]}
    plans, without = study.load_all(config, Path("config.yaml"), tmp_path)
    assert plans["study"]["aliases"] == {"pooled.sceptical": "pooled"}
    assert without == {"study": ["pooled", "varying.sceptical"]}


# What identifies a cell.


def seeds(made: dict[str, Any]) -> dict[str, int]:
    return {name: model["seed"] for name, model in made["models"].items()}


@pytest.mark.parametrize(
    "grid",
    [
        {"priors": {**PRIORS, "wide": {"b": "normal(0, 100)"}}},
        {"priors": {"default": {}, "wide": {"b": "normal(0, 100)"}, "sceptical": PRIORS["sceptical"]}},
        {"priors": PRIORS, "centred": CENTRED},
        {"centred": CENTRED, "priors": PRIORS},
        {"priors": PRIORS, "family": ["gaussian"]},
    ],
)
def test_another_value_or_another_axis_moves_no_seed(grid: dict[str, Any], tmp_path: Path) -> None:
    before, after = planned(tmp_path, {"priors": PRIORS}), planned(tmp_path, grid)
    assert seeds(before).items() <= seeds(after).items()
    for name, model in before["models"].items():
        assert after["models"][name] == model
    assert len(set(seeds(after).values())) == len(after["models"])


def test_the_seed_of_a_cell_is_that_of_its_name(tmp_path: Path) -> None:
    assert seeds(planned(tmp_path, {"priors": PRIORS}))["a.sceptical"] == plan.seed(1, "study", "a.sceptical")


def test_a_study_without_a_grid_is_planned_as_before_there_was_one() -> None:
    """Seeds and models of a plan written down before the grid; a change would refit every study."""
    made = radon_plan()
    assert set(made) == {
        "study", "file", "title", "question", "citation", "description", "seed", "sampler", "thresholds", "on_failure", "data",
        "units", "labels", "drop_missing_in", "rows", "rows_fingerprint", "models", "comparisons", "left_out", "published",
        "warnings",
    }  # fmt: skip
    assert seeds(made) == {name: plan.seed(20071201, "radon", name) for name in made["models"]}
    assert seeds(made)["varying_slope"] == 1006253902
    assert json.loads(rules.report_plan(made)).keys().isdisjoint({"aliases", "grid"})


# The report.


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the page of a finished study one of whose candidates is a cell, parsed."""
    folder, planned = write_study(tmp_path_factory.mktemp("report"))
    cell = "varying_intercept.uranium"
    (folder / "models" / "county_uranium").rename(folder / "models" / cell)
    table = folder / "comparisons" / "main.observation.csv"
    table.write_text(table.read_text().replace("county_uranium", cell))
    models = {cell if name == "county_uranium" else name: model for name, model in planned["models"].items()}
    comparisons = {"main": {**planned["comparisons"]["main"], "models": list(models)}}
    aliases = {"complete_pooling.uranium": "complete_pooling", "a.b": cell, "complete_pooling.wide": "complete_pooling"}
    record = build_record(folder, {**planned, "models": models, "comparisons": comparisons, "aliases": aliases})
    return parse(build_qmd(record))


def test_the_report_says_which_names_are_one_model(page: dict[str, Any]) -> None:
    text = words(page["blocks"])
    assert "Some names of the study stand for one and the same model" in text
    assert "complete_pooling is also complete_pooling.uranium and complete_pooling.wide." in text
    assert "varying_intercept.uranium is also a.b." in text


def test_the_report_of_a_study_without_aliases_says_nothing_of_them(tmp_path: Path) -> None:
    assert "Some names of the study" not in build_qmd(build_record(*write_study(tmp_path)))


def test_a_cell_has_its_tabs_anchors_figures_and_place_in_the_ranking(page: dict[str, Any]) -> None:
    anchors = [node["c"][1][0] for node in nodes(page) if node["t"] == "Header"]
    assert len(set(anchors)) == len(anchors)
    wanted = {identifier(kind, "varying_intercept.uranium") for kind in ("model", "estimates", "chains")}
    assert wanted <= set(anchors)
    images = [node["c"][2][0] for node in nodes(page) if node["t"] == "Image"]
    assert "models/varying_intercept.uranium/figures/trace.svg" in images
    assert words(page["blocks"]).count("County uranium") > 10


# The schema and the axes.


def test_every_axis_is_a_key_of_a_model() -> None:
    assert set(AXES) == {"priors", "family", "link", "parameters", "centred"}
    assert set(AXES) <= set(schema.Model.model_fields)
    assert set(AXES) <= set(rules.SPEC)


# Speed.

TWELVE = """\
title: Radon, twelve ways
data:
  table: data/radon/houses.csv
  join:
    - {table: data/radon/counties.csv, by: county}
  derive:
    log_radon: log(where(activity == 0, 0.1, activity))
    log_uranium: log(uranium_ppm)
defaults: {integrate: false}
models:
  intercept: {formula: log_radon ~ floor + (1 | county)}
  uranium: {formula: log_radon ~ floor + log_uranium + (1 | county)}
  slope: {formula: log_radon ~ floor + log_uranium + (1 + floor | county)}
grid:
  priors: {default: {}, sceptical: {sd(county): half_normal(0.1)}}
  centred: {offsets: false, centred: true}
comparisons:
  all: {models: ["*"]}
  sceptical: {models: ["*.sceptical"], reference: intercept.sceptical}
"""


def test_twelve_cells_of_a_short_file_are_planned_and_then_from_the_cache_without_pandas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(TWELVE.splitlines()) < 40
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "twelve.yaml").write_text(TWELVE)
    (tmp_path / "config.yaml").write_text("studies: [twelve.yaml]\n")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["validate", "twelve.yaml", "--config", "config.yaml"]) == 0
    said = capsys.readouterr().out
    assert "valid; 12 models on 919 rows" in said
    code = (
        "import sys; from pathlib import Path; from multilevel import rules, study; "
        "plan = study.load(Path('twelve.yaml'), Path('config.yaml'), Path.cwd()); rules.report_plan(plan); "
        "print(len(plan['models']), sorted({'numpy', 'pandas', 'pydantic', 'formulaic', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "workflow/scripts")},
    )
    assert done.stdout.strip() == "12 []"
