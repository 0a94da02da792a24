"""A grid over the small study: what is new is fitted, what is the same is not, and every file bears the names of cells."""

import json
import re

import pandas as pd
import pytest
import xarray as xr
from fixtures import small_project

pytestmark = pytest.mark.slow

GRID = {"priors": {"default": {}, "sceptical": {"sd(county)": "half_normal(0.1)"}}}
CELL = "varying.sceptical"
COMPARISON = "results/small/comparisons/main.observation.csv"


@pytest.fixture(scope="module")
def crossed(finished, tmp_path_factory):
    """Return the finished project with a grid, before and after a run, and what the run was to do."""
    project = small_project.copy(finished, tmp_path_factory.mktemp("grid") / "project")
    project.study(grid=GRID, comparisons={"main": {"models": ["varying*", "pooled.sceptical"], "reference": CELL}})
    jobs = project.planned()
    done = project.snakemake()
    assert done.status == 0, done.output
    return project, jobs


def test_only_the_new_cell_is_fitted_and_no_alias(crossed):
    _, jobs = crossed
    for rule in (
        "fit_model",
        "diagnose_fit",
        "score_loo",
        "score_dic",
        "check_predictions",
        "draw_fit",
        "describe_model",
    ):
        assert jobs[rule] == {CELL}, rule


def test_the_fits_that_were_there_are_what_they_were(crossed, finished):
    project, _ = crossed
    ours, theirs = project.results(), finished.results()
    for name in ("pooled", "varying"):
        kept = [path for path in theirs if f"models/{name}/" in path]
        assert len(kept) > 10
        assert [path for path in kept if ours[path] != theirs[path]] == []
    assert not (project.folder / "results/small/models/pooled.sceptical").exists()


def test_a_comparison_holds_the_fitted_models_once(crossed):
    project, _ = crossed
    table = pd.read_csv(project.folder / COMPARISON)
    assert sorted(table["model"]) == ["pooled", "varying", CELL]
    assert set(table["status"]) == {"ok"}


def test_files_records_and_pages_bear_the_name_of_the_cell(crossed):
    project, _ = crossed
    here = project.folder / "results/small"
    with xr.open_datatree(here / f"models/{CELL}/posterior.nc", engine="netcdf4") as tree:
        assert json.loads(tree.attrs["model"])["priors"] == {"sd(county)": "half_normal(0.1)"}
        narrow = float(tree["posterior"]["sd_county"].mean())
    with xr.open_datatree(here / "models/varying/posterior.nc", engine="netcdf4") as tree:
        assert narrow < float(tree["posterior"]["sd_county"].mean())
    assert (here / f"logs/fit_model.{CELL}.log").read_text()
    assert set(json.loads((here / "provenance.json").read_text())["fits"]) == {"pooled", "varying", CELL}
    page = (here / "report.html").read_text()
    assert "varying (sceptical)" in page
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert "pooled is also pooled.sceptical." in text


def test_a_second_run_has_nothing_to_do(crossed):
    project, _ = crossed
    assert project.planned() == {}


def test_a_cell_can_be_gone_on_without(crossed, tmp_path):
    project = small_project.copy(crossed[0], tmp_path / "project")
    done = project.snakemake("--config", f'not_fitted=["small/{CELL}"]')
    assert done.status == 0, done.output
    status = pd.read_csv(project.folder / COMPARISON).set_index("model")["status"].to_dict()
    assert status == {"pooled": "ok", "varying": "ok", CELL: "not fitted"}
    assert "not fitted: varying (sceptical)" in (project.folder / "results/small/report.html").read_text()
