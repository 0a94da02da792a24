"""A fit that fails: the others stand, the report says which is missing, and nothing old passes for new."""

import hashlib
import json
import re

import pandas as pd
import pytest
from fixtures import small_project

pytestmark = pytest.mark.slow

# The squared distance of the data from such a mean, in such a unit, is more than a computer can hold: the density is 0
# everywhere, and the sampler finds no point to start from.
IMPOSSIBLE = {"Intercept": "normal(1e100, 1)", "sigma": "uniform(0, 1e-100)"}
COMPARISON = "results/small/comparisons/main.observation.csv"


def table(project):
    return pd.read_csv(project.folder / COMPARISON).set_index("model")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_reports_are_made_without_the_fits_that_are_named(project):
    done = project.snakemake("--config", 'not_fitted=["small/varying"]')
    assert done.status == 0, done.output
    assert table(project)["status"].to_dict() == {"pooled": "ok", "varying": "not fitted"}
    assert table(project)["elpd"].isna().to_dict() == {"pooled": False, "varying": True}
    page = (project.folder / "results/small/report.html").read_text()
    assert "not fitted: varying" in page
    provenance = json.loads((project.folder / "results/small/provenance.json").read_text())
    assert list(provenance["fits"]) == ["pooled"]
    jobs = project.planned()
    assert "fit_model" not in jobs
    assert {"compare_models", "record_provenance", "write_report"} <= set(jobs)


@pytest.fixture(scope="module")
def failed(finished, tmp_path_factory):
    """Return a finished project after a change that makes the refit of one model and a new candidate's fit fail."""
    project = small_project.copy(finished, tmp_path_factory.mktemp("failed") / "project")
    project.study(
        models={
            "varying": {"priors": IMPOSSIBLE},
            # Integrated out, an intercept is not sampled, and its posterior has a density however far its prior is away.
            "candidate": {"formula": "log_radon ~ 1", "priors": IMPOSSIBLE, "integrate": False},
        }
    )
    return project, project.wrapper("--cores", "2")


def test_the_run_fails_and_says_which_fits_are_missing(failed):
    _, done = failed
    assert done.status == 1
    assert (
        "multilevel run: rendering the reports without the fits that failed (small/varying, small/candidate)"
        in done.output
    )
    assert done.output.splitlines()[-1] == "Report: results/small/report.html"


def test_the_log_of_a_fit_that_failed_ends_in_one_sentence_and_nobody_sees_more(failed):
    project, done = failed
    for name in ("varying", "candidate"):
        lines = (project.folder / f"results/small/logs/fit_model.{name}.log").read_text().splitlines()
        assert re.fullmatch(r"\S+ \S+ multilevel: failed: no chain found a point to start from: .*", lines[-1])
        assert lines[-1] in done.output
    for noise in ("Traceback", "Segmentation fault", "Stack backtrace", "Extension modules", "died with"):
        assert noise not in done.output, noise


def test_the_other_models_keep_their_results(failed, finished):
    project, _ = failed
    ours, theirs = project.results(), finished.results()
    kept = [path for path in theirs if "models/pooled/" in path]
    assert len(kept) > 10
    assert [path for path in kept if ours.get(path) != theirs[path]] == []


def test_the_report_shows_the_models_that_were_not_fitted(failed):
    project, _ = failed
    assert table(project)["status"].to_dict() == {"pooled": "ok", "varying": "not fitted", "candidate": "not fitted"}
    page = (project.folder / "results/small/report.html").read_text()
    assert "not fitted: varying and candidate" in page


def test_a_fit_that_failed_is_planned_again(failed):
    project, _ = failed
    assert project.planned()["fit_model"] == {"varying", "candidate"}


def test_a_refit_that_fails_does_not_lose_the_draws_before_it(failed, finished):
    project, _ = failed
    folder = "results/small/models/varying"
    before = digest(finished.folder / folder / "posterior.nc")
    assert digest(project.folder / folder / "posterior.previous.nc") == before
    assert not (project.folder / folder / "posterior.nc").exists()
