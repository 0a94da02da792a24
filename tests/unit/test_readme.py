"""What the README tells people to type and to write works."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from multilevel import plan, preparation, schema, strict_yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

COVERED = {
    "make study": "run by .ci/run",
    "make test": "run by .ci/run",
    ".venv/bin/snakemake --cores 2": "run by tests/workflow on a smaller study",
    "make validate STUDY=config/studies/radon.yaml": "run below",
    "make study CONFIG=config/published.yaml ARGS=replication": "run by .ci/run",
    ".venv/bin/snakemake --cores 2 --config 'studies=[\"config/studies/radon.yaml\"]'": "planned below",
}


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def commands() -> list[str]:
    lines = [line.split("   #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_is_run_by_a_test_or_by_ci():
    assert [command for command in commands() if command not in COVERED] == []
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    in_ci = [command for command, where in COVERED.items() if where == "run by .ci/run"]
    assert [command for command in in_ci if command not in script.splitlines()] == []


def test_the_study_it_shows_is_valid(tmp_path):
    (study,) = [block for block in blocks("yaml") if block.startswith("title:")]
    path = tmp_path / "shown.yaml"
    path.write_text(study, encoding="utf-8")
    made = plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    assert list(made["models"]) == ["pooled", "partial", "uranium"]


def test_the_data_it_shows_are_read_as_it_says(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("data:")]
    content, lines = strict_yaml.parse(f"title: t\nmodels: {{m: {{formula: score ~ month}}}}\n{shown}")
    study, problems = schema.validate(schema.Study, content, lines)
    assert problems == []
    table = "patient,born,treated,severity,score_2,score_3\na,01.01.1980,01.01.2020,high,5,-99\nb,01.01.1990,01.01.2020,low,.,7\n"
    path = tmp_path / study.data.table
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(table.encode()))
    data = preparation.prepare(plan._without_defaults(study.data.model_dump()), ["score"], tmp_path)
    assert list(data.row_id) == ["a:2", "b:3"]
    assert [round(age) for age in data.frame["age"]] == [40, 30]
    assert list(data.frame["severity"].cat.categories) == ["low", "high"]


def test_the_priors_it_shows_are_valid(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("priors:")]
    study = (ROOT / "config" / "studies" / "radon.yaml").read_text(encoding="utf-8")
    model = "  shown:\n    formula: log_radon ~ 0 + county + floor + (1 + floor | county)\n    " + shown.strip() + "\n"
    path = tmp_path / "shown.yaml"
    path.write_text(study.replace("models:\n", "models:\n" + model, 1), encoding="utf-8")
    assert (
        len(plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)["models"]["shown"]["priors"]) == 3
    )


def test_the_published_numbers_it_shows_are_valid(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("published:")]
    (study,) = [block for block in blocks("yaml") if block.startswith("title:")]
    path = tmp_path / "shown.yaml"
    path.write_text(study + shown, encoding="utf-8")
    made = plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    assert [row["published"] for row in made["published"]] == ["-0.69", "0.07", "0.33"]


def test_validating_the_default_study_as_it_says():
    done = subprocess.run(
        [sys.executable, "-m", "multilevel", "validate", "config/studies/radon.yaml"],
        cwd=ROOT,
        env={"PYTHONPATH": "workflow/scripts", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "config/studies/radon.yaml: valid; 7 models on 919 rows" in done.stdout
    assert "validate $(STUDY)" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.slow
def test_naming_the_study_on_the_command_line_as_it_says():
    words = ["--cores", "2", "--config", 'studies=["config/studies/radon.yaml"]', "--dry-run", "--quiet", "all"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_growth_curves_are_valid(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("trajectories:")]
    path = tmp_path / "growth.yaml"
    path.write_text(f"title: Growth\ndata: {{table: data/orange/trees.csv}}\n{shown}", encoding="utf-8")
    made = plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    assert list(made["models"]) == ["own", "ready_made"]
    assert made["warnings"] == []


def test_the_models_with_correlated_residuals_are_valid(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("models:\n  growth:")]
    data = "data: {table: data/orthodont/measurements.csv, rename: {child: Subject}}"
    path = tmp_path / "shown.yaml"
    path.write_text(f"title: t\n{data}\n{shown}", encoding="utf-8")
    made = plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)
    assert [model["residuals"] for model in made["models"].values()] == [
        "car1(age | child)",
        "unstructured(age | child)",
    ]


def test_the_model_with_a_predicted_sigma_is_valid(tmp_path):
    (shown,) = [block for block in blocks("yaml") if block.startswith("models:\n  steady:")]
    study = (ROOT / "config" / "studies" / "radon.yaml").read_text(encoding="utf-8")
    path = tmp_path / "shown.yaml"
    path.write_text(study.replace("models:\n", shown, 1), encoding="utf-8")
    model = plan.make(path, plan.read_config(ROOT / "config" / "config.yaml"), ROOT)["models"]["unsteady"]
    assert model["parameters"] == {"sigma": "1 + floor + (1 | id | county)"}
