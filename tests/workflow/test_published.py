"""Published numbers in a run: they refit nothing, a perturbed one is said to differ, and the same inputs give the same bytes."""

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

TABLE = "results/small/replication.csv"
NUMBERS = [
    {"model": "varying", "quantity": "b(floor)", "value": "-0.67", "se": "0.07", "estimator": "reml", "source": "a"},
    {"model": "varying", "quantity": "sd(county: Intercept)", "value": "0.16", "estimator": "reml", "source": "a"},
    {"model": "varying", "quantity": "b(floor)", "value": "-0.67", "sd": "0.07", "source": "b"},
    {"model": "pooled", "quantity": "elpd_loo", "value": "-1126", "source": "c"},
]


def verdicts(project):
    table = pd.read_csv(project.folder / TABLE, dtype={"published": str})
    return dict(
        zip(table["model"] + " " + table["published"] + " " + table["statistic"], table["verdict"], strict=True)
    )


@pytest.fixture(scope="module")
def published(finished, tmp_path_factory):
    """Return a finished project to whose study published numbers were added, after a run."""
    from fixtures import small_project

    project = small_project.copy(finished, tmp_path_factory.mktemp("published") / "project")
    project.study(published=NUMBERS)
    jobs = project.planned()
    done = project.snakemake()
    assert done.status == 0, done.output
    return project, jobs


def test_published_numbers_refit_and_score_nothing(published):
    _, jobs = published
    assert {rule: found for rule, found in jobs.items() if "fit" in rule or "score" in rule} == {}
    assert jobs["maximise_likelihood"] == {"varying reml"}
    assert jobs["estimate_published"] == {"varying"}
    assert {"replicate", "write_report", "render_report"} <= set(jobs)


def test_each_number_has_its_verdict_and_the_report_shows_it(published):
    project, _ = published
    assert verdicts(project) == {
        "varying -0.67 estimate": "reproduced",
        "varying 0.07 se": "reproduced",
        "varying 0.16 estimate": "reproduced",
        "varying -0.67 mean": "reproduced",
        "varying 0.07 sd": "reproduced",
        "pooled -1126 estimate": "reproduced",
    }
    page = (project.folder / "results/small/report.html").read_text(encoding="utf-8")
    assert "All 6 published numbers that can be compared were reproduced." in page


def test_a_perturbed_number_is_compared_again_and_differs(published, tmp_path):
    from fixtures import small_project

    project = small_project.copy(published[0], tmp_path / "project")
    perturbed = [{**NUMBERS[0], "value": "-0.66"}, *NUMBERS[1:]]
    project.study(published=perturbed)
    jobs = project.planned()
    assert set(jobs) == {"replicate", "write_plan", "write_report", "render_report", "write_index"}
    done = project.snakemake()
    assert done.status == 0, done.output
    found = verdicts(project)
    assert found.pop("varying -0.66 estimate") == "differs"
    assert set(found.values()) == {"reproduced"}
    page = (project.folder / "results/small/report.html").read_text(encoding="utf-8")
    assert "5 of 6 published numbers that can be compared were reproduced." in page


def test_the_same_inputs_give_the_same_bytes(published, tmp_path):
    from fixtures import small_project

    project = small_project.copy(published[0], tmp_path / "project")
    before = project.results(".csv", ".json", ".html")
    done = project.snakemake("--forcerun", "maximise_likelihood", "estimate_published", "replicate", cores=1)
    assert done.status == 0, done.output
    assert all(f"rule {rule}:" in done.output for rule in ("maximise_likelihood", "estimate_published", "replicate"))
    assert project.results(".csv", ".json", ".html") == before


def test_numbers_of_a_missing_fit_are_not_fitted_and_those_by_reml_stand(published, tmp_path):
    from fixtures import small_project

    project = small_project.copy(published[0], tmp_path / "project")
    done = project.snakemake("--config", 'not_fitted=["small/varying"]')
    assert done.status == 0, done.output
    assert verdicts(project) == {
        "varying -0.67 estimate": "reproduced",
        "varying 0.07 se": "reproduced",
        "varying 0.16 estimate": "reproduced",
        "varying -0.67 mean": "not fitted",
        "varying 0.07 sd": "not fitted",
        "pooled -1126 estimate": "reproduced",
    }
