"""A study of counts, of a binary outcome and of a logarithm runs to its report, with the checks that suit each."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import yaml
from fixtures import small_project
from fixtures.small_project import STUDY, THRESHOLDS, Project

pytestmark = pytest.mark.slow

ROWS = 240
STUDY_FILE = {
    "title": "Five families",
    "data": {"table": "data/visits/visits.csv", "derive": {"log_cost": "log(cost)"}},
    "models": {
        "poisson": {"formula": "visits ~ old + (1 | clinic)", "family": "poisson"},
        "overdispersed": {
            "formula": "visits ~ old + (1 | clinic)",
            "family": "negative_binomial",
            "parameters": {"shape": "1 + old"},
        },
        "binary": {"formula": "treated ~ old + (1 | clinic)", "family": "bernoulli"},
        "direct": {"formula": "cost ~ age", "family": "lognormal"},
        "derived": {"formula": "log_cost ~ age", "scored_as": "cost"},
    },
    "comparisons": {
        "counts": {"models": ["poisson", "overdispersed"]},
        "costs": {"models": ["direct", "derived"]},
    },
    "sampler": {"chains": 2, "draws": 300, "tune": 300},
}


@pytest.fixture(scope="module")
def finished_families(tmp_path_factory):
    """Return the finished project of the study above."""
    project: Project = small_project.make(tmp_path_factory.mktemp("families"))
    rng = np.random.default_rng(5)
    clinic, old = rng.integers(0, 6, ROWS), rng.integers(0, 2, ROWS)
    age = rng.normal(50.0, 10.0, ROWS).round(1)
    frame = pd.DataFrame({
        "clinic": [f"clinic {k}" for k in clinic], "old": old, "age": age,
        "visits": rng.negative_binomial(1.0, 1 / (1 + np.exp(1.0 + 0.3 * old + 0.2 * clinic))),
        "treated": (rng.random(ROWS) < 1 / (1 + np.exp(0.5 - old))).astype(int),
        "cost": np.exp(3.0 + 0.01 * age + rng.normal(0.0, 0.6, ROWS)).round(3),
    })  # fmt: skip
    (project.folder / "data" / "visits").mkdir()
    frame.to_csv(project.folder / "data/visits/visits.csv", index=False)
    (project.folder / STUDY).write_text(yaml.safe_dump(STUDY_FILE, sort_keys=False), encoding="utf-8")
    assert THRESHOLDS
    done = project.snakemake()
    assert done.status == 0, done.output
    return project, frame


def read(project, model, name):
    return json.loads((project.folder / "results/small/models" / model / name).read_text())


def test_the_record_says_how_many_rows_were_taken_together(finished_families):
    project, frame = finished_families
    distinct = {
        "poisson": len(frame.drop_duplicates(["clinic", "old", "visits"])),
        "binary": 12,
        "direct": ROWS,
    }
    for model, count in distinct.items():
        record = read(project, model, "fit.json")
        assert (record["rows"], record["rows_sampled"]) == (ROWS, count)
        units = pd.read_parquet(project.folder / f"results/small/models/{model}/scores/loo.observation.parquet")
        assert len(units) == ROWS


def test_each_family_has_the_pictures_that_suit_it(finished_families):
    project, frame = finished_families
    here = project.folder / "results/small/models"
    drawn = {path.parents[1].name for path in here.glob("*/figures/rootogram.svg")}
    assert drawn == {"poisson", "overdispersed"}
    assert [path.parents[1].name for path in here.glob("*/figures/calibration.png")] == ["binary"]
    table = pd.read_csv(here / "overdispersed/figures/rootogram.csv")
    assert table["observed"].sum() == ROWS
    assert table["observed"].iloc[0] == (frame["visits"] == 0).sum()
    inside = ((table["observed"] >= table["lower"]) & (table["observed"] <= table["upper"])).mean()
    assert inside > 0.8
    shares = pd.read_csv(here / "binary/figures/calibration.csv")
    assert shares["n"].sum() == ROWS


def test_statistics_and_coverage_tell_the_poisson_from_the_negative_binomial(finished_families):
    project, _ = finished_families
    tails = {}
    for model in ("poisson", "overdispersed"):
        table = pd.read_csv(project.folder / f"results/small/models/{model}/checks.csv").set_index("statistic")
        tails[model] = table.loc["variance / mean", "tail_probability"]
        coverage = pd.read_csv(project.folder / f"results/small/models/{model}/checks_coverage.csv")
        assert coverage["probability"].tolist() == [0.5, 0.8, 0.95]
    assert tails["poisson"] == 0.0
    assert 0.02 < tails["overdispersed"] < 0.98


def test_the_better_family_of_counts_wins(finished_families):
    project, _ = finished_families
    table = pd.read_csv(project.folder / "results/small/comparisons/counts.observation.csv")
    assert table["model"].tolist() == ["overdispersed", "poisson"]
    assert table["elpd_diff"][1] < -20


def test_a_logarithm_scores_as_the_lognormal_that_it_is(finished_families):
    """The same model in two ways: elpd on one scale, up to the difference of their priors and of their draws."""
    project, frame = finished_families
    scores = {model: read(project, model, "scores/loo.observation.json") for model in ("direct", "derived")}
    assert scores["derived"]["elpd"] == pytest.approx(scores["direct"]["elpd"], abs=1.0)
    assert "as densities of cost" in scores["derived"]["predicts"]
    own_scale = scores["derived"]["elpd"] + float(np.log(frame["cost"]).sum())
    assert math.fabs(own_scale - scores["direct"]["elpd"]) > 100
    assert (project.folder / "results/small/comparisons/costs.observation.csv").is_file()


def test_the_report_shows_the_checks(finished_families):
    project, _ = finished_families
    page = (project.folder / "results/small/report.html").read_text(encoding="utf-8")
    for words in ("How often each count occurs", "came true as often as predicted", "Coverage of predictive intervals"):
        assert words in page
    assert "variance / mean" in page
