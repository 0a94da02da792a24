"""The report's source: every section, in order, with what failed or is missing shown wherever its numbers would be."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import MODELS, STUDY_FIGURES, model_figures, write_stand_in, write_study
from fixtures.pandoc import nodes, parse, words

from multilevel.report import build_qmd, build_record
from multilevel.report.numbers import fixed
from multilevel.report.sections import plain, provenance, quality

SECTIONS = [
    "Quality record",
    "In plain language",
    "Data",
    "Models",
    "Priors",
    "Estimates",
    "Comparison",
    "Predictive checks",
    "Convergence",
    "How to read each score",
    "Provenance",
]
TABLES_OF_CANDIDATES = [
    "Every check of every fit",
    "Reliability of the scores of leaving out one observation at a time",
    "Candidate models",
    "Estimates side by side",
    "Ranking by prediction of what was left out: one observation at a time",
    "Conditional deviance information criterion",
    "Predictive checks",
    "Sampler settings",
]
FIXTURE = {"failed": ["varying_slope"], "not_fitted": ["no_pooling"]}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return build_record(*write_study(tmp_path_factory.mktemp("good")))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return build_record(*write_study(tmp_path_factory.mktemp("mixed"), **FIXTURE), ["no_pooling"])


@pytest.fixture(scope="module")
def tree(mixed: dict[str, Any]) -> dict[str, Any]:
    return parse(build_qmd(mixed))


def text_of(record: dict[str, Any]) -> str:
    return words(parse(build_qmd(record))["blocks"])


def tables(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the first table under each label."""
    found: dict[str, dict[str, Any]] = {}
    for node in nodes(tree):
        if node["t"] == "Div" and "ml-scroll" in node["c"][0][1]:
            found.setdefault(dict(node["c"][0][2])["aria-label"], node)
    return found


def test_sections_stand_in_order(tree: dict[str, Any]) -> None:
    headings = [words(node["c"][2]) for node in nodes(tree) if node["t"] == "Header" and node["c"][0] == 2]
    assert headings == SECTIONS


@pytest.mark.parametrize("label", TABLES_OF_CANDIDATES)
def test_every_table_shows_what_is_missing_and_what_failed(tree: dict[str, Any], label: str) -> None:
    text = words(tables(tree)[label]).replace(" ", "")  # label and state stand in one cell or in two
    assert "Nopooling" in text
    assert "○notfitted" in text
    assert "Varyingslope" in text
    assert "✕failed:R-hatandbulkESS" in text


def test_every_figure_of_a_failed_fit_says_which_check(tree: dict[str, Any]) -> None:
    images = [node for node in nodes(tree) if node["t"] == "Image"]
    own = [image for image in images if "varying_slope" in image["c"][2][0]]
    assert len(own) == len(model_figures("varying_slope"))
    assert all("failed its checks: R-hat and bulk ESS" in words(image) for image in own)
    shared = [
        image
        for image in images
        if image["c"][2][0] in {"figures/elpd_differences.main.observation.svg", "figures/forest.svg"}
    ]
    assert len(shared) == 2
    assert all("Failed checks: Varying slope (R-hat and bulk ESS)" in words(image) for image in shared)
    assert all("Not fitted: No pooling" in words(image) for image in shared)


def test_every_figure_that_exists_is_shown_with_words_for_it(tree: dict[str, Any]) -> None:
    images = [node for node in nodes(tree) if node["t"] == "Image"]
    fitted = [model for model in MODELS if model != "no_pooling"]
    assert len(images) == len(STUDY_FIGURES) + sum(len(model_figures(model)) for model in fitted)
    for image in images:
        assert len(dict(image["c"][0][2])["fig-alt"]) > 30
        assert len(words(image)) > 20


def test_figures_say_what_they_are_about(tree: dict[str, Any]) -> None:
    images = {node["c"][2][0]: node for node in nodes(tree) if node["t"] == "Image"}
    sizes, differences = (
        images["figures/group_sizes.county.svg"],
        images["figures/elpd_differences.main.observation.svg"],
    )
    assert words(sizes).startswith("Groups of county. ")
    assert "from 1 to 116, median 5" in dict(sizes["c"][0][2])["fig-alt"]
    assert words(differences).startswith("Comparison main, leaving out one observation at a time. ")
    assert "County uranium: −2.2, standard error 2.6" in dict(differences["c"][0][2])["fig-alt"]


def alternative(image: dict[str, Any]) -> str:
    return dict(image["c"][0][2])["fig-alt"]


def test_alternative_texts_carry_the_numbers_of_their_figures(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    record["missingness"] = [
        {"column": "basement", "missing": 41.0, "n": 919.0},
        {"column": "y", "missing": 0.0, "n": 919.0},
    ]
    plane = next(model for model in record["models"] if model["name"] == "cross_level")
    for row in plane["summary"]:
        if row["kind"] == "group":
            row.update(mean=0.0, lower=-1.0, upper=1.0)
    first, last = (
        row for row in plane["summary"] if row["parameter"] in {"county[AITKIN: floor]", "county[ANOKA: floor]"}
    )
    first.update(mean=0.52, lower=0.1, upper=0.9)
    last.update(mean=-0.34, lower=-0.7, upper=-0.1)
    plane["scores"]["loo.observation"].update(k_max=0.83, k_counts={"good": 917, "bad": 1, "very_bad": 1})
    images = {node["c"][2][0]: node for node in nodes(parse(build_qmd(record))) if node["t"] == "Image"}
    own = "models/cross_level/figures"
    assert "basement in 41 of 919 rows; the other columns drawn have none." in alternative(
        images["figures/missingness.svg"]
    )
    groups = alternative(images["figures/group_statistics.county.svg"])
    assert "Complete pooling: mean inside in 68 of 85" in groups
    assert "Cross level: sd inside in 40 of 40" in groups
    caterpillar = alternative(images[f"{own}/caterpillar.county.svg"])
    assert "floor: highest AITKIN with 0.52, lowest ANOKA with −0.34; 2 of 85 intervals leave out 0." in caterpillar
    assert "sd(county: floor) 0.33, cor(county: Intercept, floor) −0.28" in alternative(
        images[f"{own}/shrinkage_plane.county.svg"]
    )
    assert "floor: 85 partially pooled estimates from −0.34 to 0.52." in alternative(
        images[f"{own}/shrinkage.county.svg"]
    )
    assert "AITKIN (120 rows), ANOKA (119 rows)" in alternative(images[f"{own}/predictive_by_group.svg"])
    assert "Divergent transitions: 0" in alternative(images[f"{own}/pairs.svg"])
    assert words(images[f"{own}/caterpillar.county.svg"]).startswith("Cross level, groups of county. ")


def test_quantiles_and_differences_are_told_in_words(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    for name in ("predictive_quantiles", "pointwise.main.observation", "predictive_statistics"):
        write_stand_in(folder / "figures" / f"{name}.svg")
    for name in ("energy", "pareto_k"):
        write_stand_in(folder / "models" / "no_pooling" / "figures" / f"{name}.svg")
    images = {n["c"][2][0]: n for n in nodes(parse(build_qmd(build_record(folder, plan)))) if n["t"] == "Image"}
    assert "No pooling: 1 of 19 outside" in alternative(images["figures/predictive_quantiles.svg"])
    assert "County uranium: −2.2, standard error 2.6" in alternative(images["figures/pointwise.main.observation.svg"])
    assert "Complete pooling misses between county sd" in alternative(images["figures/predictive_statistics.svg"])
    assert "Smallest E-BFMI: 0." in alternative(images["models/no_pooling/figures/energy.svg"])
    assert "Largest 0.83; 2 above 0.70." in alternative(images["models/no_pooling/figures/pareto_k.svg"])


def test_every_figure_that_the_workflow_draws_has_a_caption_and_words() -> None:
    from multilevel.report.record import MODEL_FIGURES, STUDY_FIGURES
    from multilevel.report.sections import alternatives, figures

    assert set(STUDY_FIGURES) == set(figures._STUDY_CAPTIONS) == set(alternatives._STUDY)
    assert set(MODEL_FIGURES) == set(figures._MODEL_CAPTIONS) == set(alternatives._MODEL)


def test_versions_of_each_fit_are_shown_only_where_they_differ(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    fits = {name: {"seed": 1, "digest": name, "versions": {"pymc": "6.4.0"}} for name in ("a_fit", "b_fit")}
    record["provenance"] = {"versions": {"pymc": "6.4.0", "numpy": "2.5.5"}, "fits": fits, "commit": ""}
    text = words(parse(provenance.blocks(record)))
    assert "a_fit" in text
    assert "pymc 6.4.0" not in text
    assert "Commit" not in text
    fits["b_fit"]["versions"] = {"pymc": "6.3.0"}
    assert "pymc 6.3.0" in words(parse(provenance.blocks(record)))


def test_figures_that_were_not_drawn_leave_no_broken_image(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    shutil.rmtree(folder / "figures")
    for name in MODELS:
        shutil.rmtree(folder / "models" / name / "figures")
    text = build_qmd(build_record(folder, plan))
    assert "![" not in text
    assert "No figures of the chains were drawn." in text


def test_every_check_of_every_fit_is_listed(good: dict[str, Any]) -> None:
    table = quality.checks_table(good)
    for model in good["models"]:
        for check in model["diagnostics"]["checks"]:
            assert re.sub(r"([(])", "&#40;", check["label"]).replace(")", "&#41;") in table
    assert table.count("✓") == len(MODELS) * 8


def test_thresholds_that_differ_stand_in_the_cells(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    record["models"][0]["diagnostics"]["checks"][2]["threshold"] = 800
    table = words(parse(quality.checks_table(record)))
    assert "(at least 800)" in table
    assert "(at least 400)" in table


def test_the_paragraph_says_who_leads_and_that_it_is_not_decisive(good: dict[str, Any]) -> None:
    text = words(parse(plain.paragraph(good)))
    assert "Six candidate models of log_radon were compared on 919 observations in 85 groups (county)" in text
    assert "predicts a new observation in a known group, Cross level comes first" in text
    assert "2.2 points of log predictive density ahead of County uranium" in text
    assert "cannot be told apart" in text
    assert "0.13 between groups of county" in text
    assert "a decisive lead" not in text


def test_the_paragraph_says_when_a_lead_is_decisive(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    rows = record["comparisons"][0]["rows"]
    rows[1].update(elpd_diff=-20.0, se_diff=4.0)
    text = words(parse(plain.paragraph(record)))
    assert "20.0 points of log predictive density ahead of County uranium, 5.0 times the standard error" in text
    assert "a decisive lead" in text
    assert "these two cannot be told apart" not in text


def test_the_paragraph_names_what_takes_no_part(mixed: dict[str, Any]) -> None:
    text = words(parse(plain.paragraph(mixed)))
    assert "Varying slope (R-hat and bulk ESS) failed a check of the sampler and takes no part in the ranking" in text
    assert "No pooling was not fitted" in text


def test_the_ranking_says_what_it_leaves_out(tree: dict[str, Any]) -> None:
    text = words(tree)
    assert "Leaves out: one observation at a time; predicts a new observation in a known group" in text
    assert "Conditional DIC" in text
    assert "posterior mean of each linear predictor and of log(sigma)" in text


def test_a_candidate_that_the_comparison_refuses_is_shown_with_its_reason(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    rows = {row["model"]: row for row in record["comparisons"][0]["rows"]}
    rows["no_pooling"].update(status="failed checks", rank=None, note="failed: tail ESS")
    rows["varying_slope"].update(status="other rows", rank=None, note="scored on 918 rows")
    text = words(
        tables(parse(build_qmd(record)))["Ranking by prediction of what was left out: one observation at a time"]
    )
    assert "✕ not ranked" in text
    assert "failed: tail ESS" in text
    assert "▲ other rows" in text
    assert "scored on 918 rows" in text


def test_dic_and_loo_share_no_table(tree: dict[str, Any]) -> None:
    found = tables(tree)
    assert "DIC" not in words(found["Ranking by prediction of what was left out: one observation at a time"])
    assert "elpd" not in words(found["Conditional deviance information criterion"])


def test_deviances_of_different_responses_share_no_table(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    other = record["models"][2]
    other["formula"] = "log_radon_plus ~ 1"
    other["scores"]["dic.conditional"]["fingerprint"] = {"rows": "r", "response": "of another coding"}
    found = tables(parse(build_qmd(record)))
    label = "Conditional deviance information criterion of"
    assert other["label"] in words(found[f"{label} log_radon_plus"])
    assert other["label"] not in words(found[f"{label} log_radon"])
    assert record["models"][0]["label"] in words(found[f"{label} log_radon"])


def test_the_mixture_is_told_with_its_weights_its_lead_and_its_predictions(good: dict[str, Any]) -> None:
    text = words(parse(build_qmd(good)))
    assert (
        "Stacked: the mixture 0.61 Cross level + 0.22 County uranium + 0.09 Varying slope + 0.08 No pooling has" in text
    )
    assert f"an elpd of {fixed(-1061.2, 1)} (SE 28.9), 3.1 (SE 1.7) more than the best candidate alone" in text
    assert "Its weights were chosen for these very scores, so that is a little too good" in text
    assert "predictions of 919 observations are in comparisons/main.observation.stacked.parquet" in text
    assert "51.3% lie within its central 50% interval and 95.7% within its 95% interval" in text
    record = copy.deepcopy(good)
    record["comparisons"][0]["stacked"] = {"refused": "the candidates predict different responses, y and log_y"}
    text = words(parse(build_qmd(record)))
    assert "Its predictions were not made: the candidates predict different responses, y and log_y." in text
    record["comparisons"][0]["mixture"] = {}
    assert "Stacked:" not in words(parse(build_qmd(record)))


def test_integrated_deviances_have_a_table_of_their_own(good: dict[str, Any]) -> None:
    found = tables(parse(build_qmd(good)))
    conditional = words(found["Conditional deviance information criterion"])
    integrated = words(found["Integrated deviance information criterion"])
    label = good["models"][4]["label"]
    score = good["models"][4]["scores"]["dic.conditional"]
    assert fixed(score["dic"], 1) in conditional
    assert fixed(score["integrated"]["dic"], 1) not in conditional
    assert fixed(score["integrated"]["dic"], 1) in integrated
    assert label in integrated
    assert "Complete pooling" not in integrated
    text = words(parse(build_qmd(good)))
    assert "No pooling, Complete pooling: the model has no group effects." in text


def test_integrated_deviances_of_new_levels_of_different_groupings_share_no_table(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    other = record["models"][4]
    other["scores"]["dic.conditional"]["integrated"]["predicts"] = (
        "a replicate of the same observations in new levels of house"
    )
    found = {k: words(t) for k, t in tables(parse(build_qmd(record))).items() if k.startswith("Integrated deviance")}
    (own,) = [text for label, text in found.items() if "new levels of house" in label]
    (others,) = [text for label, text in found.items() if "new levels of county" in label]
    assert other["label"] in own
    assert other["label"] not in others


def test_penalties_of_plummer_are_told_or_why_there_are_none(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    score = record["models"][0]["scores"]["dic.conditional"]
    for key in [key for key in score if "p_kl" in key]:
        del score[key]
    score["why_no_p_kl"] = "the family student_t is no exponential family"
    record["models"][1]["scores"]["dic.conditional"]["k_max_p_opt"] = 0.93
    text = words(tables(parse(build_qmd(record)))["Penalties of Plummer, given the group effects"])
    assert "none: the family student_t is no exponential family" in text
    assert "▲ 0.93" in text
    assert fixed(record["models"][2]["scores"]["dic.conditional"]["penalised_expected_deviance"], 1) in text


def test_penalties_that_disagree_are_flagged(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    assert "The two penalties disagree" not in build_qmd(record)
    record["models"][1]["scores"]["dic.conditional"].update(p_d=-3.0)
    assert "The two penalties disagree" in build_qmd(record)
    assert "−3\\.0 negative" in build_qmd(record) or "−3.0 negative" in build_qmd(record)


def test_warnings_are_printed_word_for_word(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    record["warnings"] = ["3 rows of `counties` matched nothing | <b>"]
    record["missing"] = ["models/cross_level/figures/trace.svg"]
    text = text_of(record)
    assert "3 rows of `counties` matched nothing | <b>" in text
    assert "Missing: models/cross_level/figures/trace.svg" in text
    assert "2 observations have a Pareto k above 0.7" in text


def test_dropped_rows_are_an_amber_light(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    record["data"]["rows"].update(dropped_missing=19, used=900)
    card = quality.cards(record)[2]
    assert card.state == "care"
    assert "19 rows dropped" in card.text


def test_many_levels_of_a_factor_share_a_line(good: dict[str, Any]) -> None:
    text = words(tables(parse(build_qmd(good)))["Estimates side by side"])
    assert "b(county[…])" in text
    assert "85 levels" in text
    assert "AITKIN" not in text
    priors = words(tables(parse(build_qmd(good)))["Priors"])
    assert "b(county[…]) (85 levels)normal(0, 10)set by the study" in priors


def test_a_study_without_anything_is_still_a_page(tmp_path: Path, good: dict[str, Any]) -> None:
    _, plan = write_study(tmp_path / "other")
    text = text_of(build_record(tmp_path / "nowhere", plan))
    assert "The summary of the data is missing" in text
    assert "This comparison was not made" in build_qmd(build_record(tmp_path / "nowhere", plan))
    assert "No candidate could be ranked" in text


def test_a_plan_with_the_least_is_still_a_page(tmp_path: Path) -> None:
    plan = {"study": "s", "title": "T", "models": {"a": {"formula": "y ~ x", "family": "gaussian"}}}
    text = text_of(build_record(tmp_path, plan))
    assert "The study asks for no comparison" in text


def test_a_lone_scored_candidate_is_not_called_best(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    record["comparisons"][0]["rows"] = record["comparisons"][0]["rows"][:1]
    record["comparisons"][0]["models"] = ["cross_level"]
    assert "so there is no comparison to report" in words(parse(plain.paragraph(record)))


def test_differences_from_a_reference_that_is_not_best(good: dict[str, Any]) -> None:
    record = copy.deepcopy(good)
    for row in record["comparisons"][0]["rows"]:
        row.update(elpd_diff=row["elpd"] + 1126.9, se_diff=11.0)
    record["comparisons"][0]["rows"][-1].update(elpd_diff=0.0, se_diff=0.0)
    text = text_of(record)
    assert "62.6 points of log predictive density (standard error 11.0) from the reference Complete pooling" in text
    assert "Difference from Complete pooling" in text
    assert "✓ clearly better" in text


def test_the_same_record_gives_the_same_bytes(good: dict[str, Any]) -> None:
    again = json.loads(json.dumps(good))
    assert build_qmd(good) == build_qmd(again)


def test_no_date_and_no_path_of_this_machine(good: dict[str, Any]) -> None:
    text = build_qmd(good)
    assert str(Path.home()) not in text
    assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", text)


def test_hostile_names_everywhere_stay_text(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    bad = '</td><script>x</script> | $a$ `b` ::: [c](javascript:d) {{< e >}} "f" # g\n\n# h'
    plan.update(title=bad, question=bad, citation=bad, description=bad, warnings=[bad])
    for model in plan["models"].values():
        model.update(label=bad, description=bad, formula=bad, family=bad)
    plan["data"].update(derive={bad: bad}, filter=bad)
    summary = json.loads((folder / "data_summary.json").read_text())
    summary["columns"][3].update(name=bad, unit=bad, description=bad, type=bad, levels=[bad, bad])
    summary["groups"][0]["name"] = summary["response"]["name"] = summary["tables"][0]["source"] = bad
    (folder / "data_summary.json").write_text(json.dumps(summary))
    (folder / "provenance.json").write_text(
        json.dumps({bad: bad, "software": {bad: bad}, "inputs": [{bad: bad}], "commands": [bad]})
    )
    text = build_qmd(build_record(folder, plan, [bad]))
    tree = parse(text)
    found = {node["t"] for node in nodes(tree)}
    assert not found & {"RawInline", "RawBlock", "Link", "Cite", "Note", "CodeBlock"}
    assert {words(node["c"][2]) for node in nodes(tree) if node["t"] == "Header" and node["c"][0] == 2} == set(SECTIONS)
    assert "<script" not in text
    assert "{{<" not in text
