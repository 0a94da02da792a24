"""The record: what is missing is a fact, what cannot be read is an error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import MODELS, STUDY_FIGURES, write_stand_in, write_study

from multilevel.report import RecordError, build_record
from multilevel.report.ranking import BEST, SAME, WORSE, is_decisive, rank
from multilevel.report.record import FAILED, NOT_FITTED, OK, find_model, label_of

LIBRARY = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return write_study(tmp_path)


def test_a_finished_study_is_read_whole(study: tuple[Path, dict[str, Any]]) -> None:
    record = build_record(*study)
    assert [model["name"] for model in record["models"]] == list(MODELS)
    assert {model["status"] for model in record["models"]} == {OK}
    assert all(model["summary"] and model["checks"] and len(model["scores"]) == 2 for model in record["models"])
    assert sum(len(figures) for figures in record["figures"].values()) == len(STUDY_FIGURES)
    assert record["figures"]["group_sizes"] == [{"path": "figures/group_sizes.county.svg", "about": "county"}]
    assert record["figures"]["forest"] == [{"path": "figures/forest.svg", "about": ""}]
    plane = {"path": "models/cross_level/figures/shrinkage_plane.county.svg", "about": "county"}
    assert find_model(record, "cross_level")["figures"]["shrinkage_plane"] == [plane]
    assert record["comparisons"][0]["made"]
    assert isinstance(record["comparisons"][0]["rows"][0]["elpd"], float)


def test_a_figure_of_a_grouping_of_several_columns_is_about_it(study: tuple[Path, dict[str, Any]]) -> None:
    write_stand_in(study[0] / "figures" / "group_sizes.school.class.svg")
    write_stand_in(study[0] / "models" / "cross_level" / "figures" / "caterpillar.school.class.svg")
    record = build_record(*study)
    assert [figure["about"] for figure in record["figures"]["group_sizes"]] == ["county", "school:class"]
    abouts = [figure["about"] for figure in find_model(record, "cross_level")["figures"]["caterpillar"]]
    assert abouts == ["county", "school:class"]


def test_a_figure_that_no_longer_belongs_to_the_study_is_not_in_the_record(study: tuple[Path, dict[str, Any]]) -> None:
    known = ["figures/forest.svg", "models/cross_level/figures/trace.svg", "figures/never_drawn.svg"]
    record = build_record(*study, figures=known)
    assert record["figures"] == {"forest": [{"path": "figures/forest.svg", "about": ""}]}
    assert find_model(record, "cross_level")["figures"] == {"trace": [{"path": known[1], "about": ""}]}
    assert find_model(record, "no_pooling")["figures"] == {}


def test_the_record_is_plain_json(study: tuple[Path, dict[str, Any]]) -> None:
    record = build_record(*study)
    assert json.loads(json.dumps(record)) == record


def test_the_record_holds_no_path_of_this_machine(study: tuple[Path, dict[str, Any]]) -> None:
    assert str(study[0]) not in json.dumps(build_record(*study))


def test_nothing_at_all_is_a_record_of_nothing(tmp_path: Path, study: tuple[Path, dict[str, Any]]) -> None:
    record = build_record(tmp_path / "nowhere", study[1])
    assert {model["status"] for model in record["models"]} == {NOT_FITTED}
    assert record["data"] is None
    assert not record["comparisons"][0]["made"]


@pytest.mark.parametrize("mark", ["no_pooling", "models/no_pooling", "models/no_pooling/posterior.nc"])
def test_what_the_workflow_calls_missing_is_not_fitted(study: tuple[Path, dict[str, Any]], mark: str) -> None:
    record = build_record(*study, [mark])
    assert find_model(record, "no_pooling")["status"] == NOT_FITTED
    assert find_model(record, "cross_level")["status"] == OK


def test_a_missing_score_leaves_the_fit_standing(study: tuple[Path, dict[str, Any]]) -> None:
    shutil.rmtree(study[0] / "models" / "no_pooling" / "scores")
    model = find_model(build_record(*study), "no_pooling")
    assert model["status"] == OK
    assert model["scores"] == {}


def test_a_failed_check_names_itself(tmp_path: Path) -> None:
    record = build_record(*write_study(tmp_path, failed=["varying_slope"]))
    model = find_model(record, "varying_slope")
    assert model["status"] == FAILED
    assert model["failed"] == ["R-hat", "bulk ESS"]


def test_a_failed_check_counts_even_where_the_file_says_passed(study: tuple[Path, dict[str, Any]]) -> None:
    path = study[0] / "models" / "cross_level" / "diagnostics.json"
    content = json.loads(path.read_text())
    content["checks"][4]["passed"] = False
    path.write_text(json.dumps(content))
    assert find_model(build_record(*study), "cross_level")["failed"] == ["divergences"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data_summary.json", "{not json"),
        ("models/no_pooling/diagnostics.json", ""),
        ("models/no_pooling/summary.csv", "a,b\n1\n"),
        ("comparisons/main.observation.csv", "a,b\n1,2,3\n"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(study: tuple[Path, dict[str, Any]], name: str, content: str) -> None:
    (study[0] / name).write_text(content)
    with pytest.raises(RecordError, match=name.rsplit("/", maxsplit=1)[-1].replace(".", r"\.")):
        build_record(*study)


def test_labels() -> None:
    assert label_of("varying_slope") == "Varying slope"
    assert label_of("bym2.sceptical") == "bym2.sceptical"
    assert label_of("a", "A label") == "A label"
    assert label_of("a", "  ") == "A"


@pytest.mark.parametrize(
    ("difference", "error", "decisive"),
    [
        (-3.9, 0.1, False),
        (-4.0, 1.9, True),
        (-10.0, 5.1, False),
        (-10.0, 4.9, True),
        (None, 1.0, False),
        (-9.0, None, False),
    ],
)
def test_a_lead_is_decisive_from_four_and_two_standard_errors(
    difference: float | None, error: float | None, decisive: bool
) -> None:
    assert is_decisive(difference, error) is decisive


def test_candidates_are_ranked_with_words(study: tuple[Path, dict[str, Any]]) -> None:
    record = build_record(*study)
    found = rank(record, record["comparisons"][0])
    assert found.best is not None
    assert found.best.model["name"] == "cross_level"
    verdicts = {entry.model["name"]: entry.verdict for entry in found.ranked}
    assert verdicts["cross_level"] == BEST
    assert verdicts["county_uranium"] == SAME
    assert verdicts["complete_pooling"] == WORSE
    assert not found.unranked


def test_a_failed_fit_is_not_ranked_even_where_the_comparison_says_ok(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    path = folder / "models" / "cross_level" / "diagnostics.json"
    path.write_text(path.read_text().replace('"passed": true', '"passed": false', 1))
    record = build_record(folder, plan)
    found = rank(record, record["comparisons"][0])
    assert "cross_level" not in [entry.model["name"] for entry in found.ranked]
    assert [entry.model["name"] for entry in found.unranked] == ["cross_level"]


def test_a_candidate_that_the_comparison_lost_is_shown_as_not_ranked(study: tuple[Path, dict[str, Any]]) -> None:
    record = build_record(*study)
    comparison = record["comparisons"][0]
    comparison["rows"] = [row for row in comparison["rows"] if row["model"] != "no_pooling"]
    assert [entry.model["name"] for entry in rank(record, comparison).unranked] == ["no_pooling"]


def test_the_report_imports_nothing_that_could_open_a_posterior() -> None:
    program = (
        "import sys; import multilevel.report; "
        "heavy = {'numpy', 'pandas', 'xarray', 'pymc', 'arviz', 'matplotlib', 'netCDF4', 'scipy', 'pyarrow'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(LIBRARY)}
    )
    assert done.stdout.strip() == "[]"
