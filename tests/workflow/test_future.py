"""Leaving out the future in the real pipeline: fits are kept, and only what depends on a changed setting is made again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from fixtures import small_project
from fixtures.small_project import STUDY, Project

pytestmark = pytest.mark.slow

GROWTH = """\
# Four days of some people: one model is sampled, one has its effects integrated out.
title: Growth, in short
seed: 3
data: {table: data/sleepstudy/tests.csv, filter: Days < 6}
models:
  sampled: {formula: Reaction ~ Days, integrate: false}
  integrated: {formula: Reaction ~ Days + (1 | Subject)}
comparisons:
  main: {models: ["*"], leave_out: [{future: Days, after: 3}]}
sampler: {chains: 2, draws: 200, tune: 200}
"""
RANKING = "results/small/comparisons/main.future.Days.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = small_project.make(tmp_path_factory.mktemp("growth"))
    (project.folder / STUDY).write_text(GROWTH, encoding="utf-8")
    done = project.snakemake(RANKING)
    assert done.status == 0, done.output
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return small_project.copy(finished, tmp_path / "project")


def fits(project: Project) -> dict[str, str]:
    folder = project.folder / "results/small/models"
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("refits/*/*/*.nc")
    }


def test_every_model_is_scored_by_time_and_compared(finished: Project) -> None:
    table = pd.read_csv(finished.folder / RANKING)
    assert set(table["model"]) == {"sampled", "integrated"}
    assert (table["status"] == "ok").all()
    for model in ("sampled", "integrated"):
        values = pd.read_parquet(finished.folder / f"results/small/models/{model}/scores/lfo.Days.parquet")
        assert list(values["level"]) == ["3", "4", "5"]
        assert list(values["rows"]) == [18, 18, 18]
    assert {Path(name).parts[0] for name in fits(finished)} == {"sampled", "integrated"}


def test_a_second_run_has_nothing_to_do(finished: Project) -> None:
    done = finished.snakemake(RANKING)
    assert "Nothing to be done" in done.output


@pytest.mark.parametrize(
    "setting",
    ["{future: Days, after: 3, pareto_k: 0.3}", "{future: Days, after: 4}", "{future: Days, after: 3, steps: 2}"],
)
def test_another_setting_scores_again_and_fits_no_model(project: Project, setting: str) -> None:
    project.edit(STUDY, "{future: Days, after: 3}", setting)
    jobs = project.planned(RANKING)
    assert jobs == {"score_future": {"sampled Days", "integrated Days"}, "compare_models": {"main future.Days"}}


def test_fits_that_are_kept_are_not_made_again_though_thresholds_change(project: Project) -> None:
    before = fits(project)
    config = project.folder / "config" / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("e_bfmi: 0.01", "e_bfmi: 0.02"), encoding="utf-8")
    jobs = project.planned(RANKING)
    assert set(jobs) == {"score_future", "diagnose_fit", "compare_models"}
    done = project.snakemake(RANKING)
    assert done.status == 0, done.output
    assert fits(project) == before
    for model in ("sampled", "integrated"):
        log = (project.folder / f"results/small/logs/score_future.{model}.Days.log").read_text(encoding="utf-8")
        assert "is there already" in log
        assert "sampled in" not in log


def test_another_prior_of_one_model_fits_that_one_alone(project: Project) -> None:
    project.study(models={"integrated": {"priors": {"b(Days)": "normal(0, 50)"}}})
    jobs = project.planned(RANKING)
    assert jobs["score_future"] == {"integrated Days"}
    assert jobs["fit_model"] == {"integrated"}


def test_too_many_fits_stop_the_run_with_a_sentence_and_keep_what_was_made(project: Project) -> None:
    project.edit(STUDY, "{future: Days, after: 3}", "{future: Days, after: 1, pareto_k: 0.0001, most_refits: 1}")
    done = project.snakemake(RANKING, "--keep-going")
    assert done.status != 0
    said = (project.folder / "results/small/logs/score_future.integrated.Days.log").read_text(encoding="utf-8")
    assert "1 fit is made, as many as 'most_refits' allows" in said
    assert "Traceback" not in said
    assert len([name for name in fits(project) if name.startswith("integrated")]) > 1  # those of before among them
