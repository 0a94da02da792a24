"""What a change reruns: asked of Snakemake's plan, in copies of a finished study."""

import csv
import time

from fixtures.small_project import MODELS, STUDY

REPORTING = {
    "draw_comparison", "draw_data", "draw_effects", "draw_fit", "draw_groups", "draw_models", "draw_shrinkage_plane",
    "describe_data", "record_provenance", "render_report", "write_index", "write_plan", "write_report",
}  # fmt: skip


def refitted(jobs):
    return jobs.get("fit_model", set())


def touched(jobs):
    """Return the models that some job stands for."""
    return {name for wildcards in jobs.values() for name in wildcards} & (MODELS | {"candidate"})


def test_a_second_run_has_nothing_to_do(project, record_property):
    began = time.perf_counter()
    done = project.snakemake()
    seconds = time.perf_counter() - began
    record_property("seconds_of_a_run_with_nothing_to_do", round(seconds, 2))
    print(f"a run with nothing to do took {seconds:.2f} s")
    assert done.status == 0
    assert "Nothing to be done" in done.output


def test_a_changed_prior_refits_its_model_and_redoes_what_rests_on_it(project):
    project.study(models={"pooled": {"priors": {"b(floor)": "normal(0, 1)"}}})
    jobs = project.planned()
    assert refitted(jobs) == {"pooled"}
    assert touched(jobs) == {"pooled"}
    for rule in ("diagnose_fit", "describe_model", "score_loo", "score_dic", "check_predictions", "draw_fit"):
        assert jobs[rule] == {"pooled"}
    assert {
        "compare_models",
        "draw_comparison",
        "draw_models",
        "record_provenance",
        "write_report",
        "render_report",
    } <= set(jobs)
    assert "prepare_data" not in jobs


def test_an_edit_of_one_score_rescores_by_it_and_refits_nothing(project):
    project.append("workflow/scripts/multilevel/scores/dic.py", "\nEDITED = True\n")
    jobs = project.planned()
    assert jobs["score_dic"] == MODELS
    assert {"compare_models", "write_report", "render_report"} <= set(jobs)
    assert not {"fit_model", "diagnose_fit", "score_loo", "check_predictions", "prepare_data"} & set(jobs)


def test_an_edit_of_the_sampling_refits_everything(project):
    project.append("workflow/scripts/multilevel/sampling.py", "\nEDITED = True\n")
    assert refitted(project.planned()) == MODELS


def test_words_alone_rerun_nothing(project):
    scripts = "workflow/scripts"
    for path in (
        f"{scripts}/fit_model.py",
        f"{scripts}/prepare_data.py",
        f"{scripts}/multilevel/sampling.py",
        f"{scripts}/multilevel/dataset.py",
        f"{scripts}/multilevel/families/gaussian.py",
        f"{scripts}/multilevel/scores/loo.py",
        "workflow/rules/fit.smk",
        "workflow/rules/common.smk",
        "Snakefile",
        "config/config.yaml",
        "envs/requirements.lock",
        "workflow/profiles/default/config.yaml",
        STUDY,
    ):
        project.append(path, "\n# A remark.\n")
    for path in (f"{scripts}/multilevel/model.py", f"{scripts}/multilevel/tables.py", f"{scripts}/score_model.py"):
        text = (project.folder / path).read_text()
        assert text.startswith('"""')
        (project.folder / path).write_text('"""Other words: ' + text.removeprefix('"""'))
    project.append("results/README.md", "\nA remark.\n")
    project.append("reports/README.md", "\nA remark.\n")
    assert project.planned() == {}


def test_a_new_candidate_on_the_same_rows_is_all_that_is_fitted(project):
    project.study(models={"candidate": {"formula": "log_radon ~ floor + (1 | county)"}})
    jobs = project.planned()
    assert refitted(jobs) == {"candidate"}
    assert jobs["score_loo"] == jobs["diagnose_fit"] == {"candidate"}
    assert jobs["compare_models"] == {"main observation"}
    assert "prepare_data" not in jobs


def test_a_new_version_of_the_sampling_stack_refits_everything(project):
    lock = (project.folder / "envs/requirements.lock").read_text()
    [line] = [line for line in lock.splitlines() if line.startswith("nutpie==")]
    project.edit("envs/requirements.lock", line, "nutpie==99.0.0 \\")
    jobs = project.planned()
    assert refitted(jobs) == MODELS
    assert "prepare_data" not in jobs


def test_a_new_version_of_matplotlib_redraws_and_refits_nothing(project):
    lock = (project.folder / "envs/requirements.lock").read_text()
    [line] = [line for line in lock.splitlines() if line.startswith("matplotlib==")]
    project.edit("envs/requirements.lock", line, "matplotlib==99.0.0 \\")
    jobs = project.planned()
    assert jobs["draw_fit"] == MODELS
    assert set(jobs) <= REPORTING


def test_a_new_family_touches_no_fit_of_another(project):
    for package in ("families", "responses"):
        folder = project.folder / "workflow/scripts/multilevel" / package
        (folder / "poisson.py").write_text((folder / "gaussian.py").read_text() + "\nNEW = True\n")
    assert project.planned() == {}


def test_a_new_derived_column_prepares_the_data_anew_and_refits_nothing(project):
    project.study(data={"derive": {"centred_floor": "floor - mean(floor)"}})
    jobs = project.planned()
    assert "prepare_data" in jobs
    assert not {"fit_model", "diagnose_fit", "score_loo", "score_dic", "compare_models"} & set(jobs)


def test_a_new_table_that_no_model_uses_refits_nothing(project):
    counties = (project.folder / "data/radon/counties.csv").read_text().splitlines()[1:]
    rows = "".join(f"{line.split(',')[0]},{i}\n" for i, line in enumerate(counties))
    (project.folder / "data/radon/altitudes.csv").write_text("county,altitude\n" + rows)
    joined = {"by": "county", "cardinality": "many_to_one"}
    project.study(data={"join": [joined | {"table": f"data/radon/{t}.csv"} for t in ("counties", "altitudes")]})
    jobs = project.planned()
    assert "prepare_data" in jobs
    assert not {"fit_model", "diagnose_fit", "score_loo", "score_dic", "compare_models"} & set(jobs)


def change_value(project, table, column, change):
    """Change the first value of a column of a raw table, and declare the table's new content."""
    path = project.folder / table
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    rows[0][column] = change(rows[0][column])
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    project.declare(table)


def test_a_changed_raw_value_refits_the_models_that_use_its_column(project):
    change_value(project, "data/radon/counties.csv", "uranium_ppm", lambda value: str(float(value) * 2))
    jobs = project.planned()
    assert "prepare_data" in jobs
    assert refitted(jobs) == jobs["score_loo"] == jobs["diagnose_fit"] == {"varying"}


def test_a_changed_raw_value_of_a_column_that_no_model_uses_refits_nothing(project):
    change_value(project, "data/radon/houses.csv", "pcterr", lambda value: str(float(value) + 1))
    jobs = project.planned()
    assert "prepare_data" in jobs
    assert not {"fit_model", "diagnose_fit", "score_loo", "score_dic", "compare_models"} & set(jobs)


def test_new_words_in_the_study_rerun_only_what_shows_them(project):
    project.study(title="Another title", models={"pooled": {"label": "All counties alike"}})
    project.study(data={"labels": {"log_radon": "radon, logarithm"}})
    jobs = project.planned()
    assert {"write_report", "render_report", "draw_comparison"} <= set(jobs)
    assert set(jobs) <= REPORTING


def test_a_candidate_with_missing_values_changes_the_common_rows_and_refits_everything(project):
    project.study(models={"candidate": {"formula": "log_radon ~ floor + basement"}})
    jobs = project.planned()
    assert "prepare_data" in jobs
    assert refitted(jobs) == MODELS | {"candidate"}


def test_a_deleted_posterior_is_fitted_again_alone(project):
    (project.folder / "results/small/models/varying/posterior.nc").unlink()
    jobs = project.planned()
    assert refitted(jobs) == {"varying"}
    assert jobs["score_loo"] == jobs["diagnose_fit"] == {"varying"}


def test_other_thresholds_check_again_and_refit_nothing(project):
    project.edit("config/config.yaml", "r_hat: 1.1", "r_hat: 1.09")
    jobs = project.planned()
    assert jobs["diagnose_fit"] == MODELS
    assert not {"fit_model", "score_loo", "score_dic", "prepare_data"} & set(jobs)
