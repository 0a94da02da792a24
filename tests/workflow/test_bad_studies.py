"""Studies that cannot run: one clear message each, before any job, and nothing touched."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from fixtures import small_project
from fixtures.small_project import SMALL_STUDY


@dataclass(frozen=True)
class Bad:
    """An edit that spoils the small study, and the problem that is to be named."""

    old: str
    new: str
    problem: str


POOLED = "pooled: {formula: log_radon ~ floor, integrate: false}"
DERIVE = "    log_uranium: log(uranium_ppm)"
ATTACK = "__import__('os').system('touch attacked')"

BAD = {
    "column": Bad(
        "log_radon ~ floor,",
        "log_radon ~ flor,",
        "models.pooled.formula: unknown column 'flor'; did you mean 'floor'?",
    ),
    "compared_model": Bad(
        'models: ["*"]',
        "models: [pooled, varyng]",
        "comparisons.main.models: unknown model 'varyng'; did you mean 'varying'?",
    ),
    "reference": Bad(
        "reference: pooled",
        "reference: quadratic",
        "comparisons.main.reference: unknown model 'quadratic'; choose from pooled, varying",
    ),
    "family": Bad(
        POOLED,
        "pooled: {formula: log_radon ~ floor, family: gausian}",
        "models.pooled.family: unknown family 'gausian'; did you mean 'gaussian'?",
    ),
    "prior": Bad(
        POOLED,
        'pooled: {formula: log_radon ~ floor, priors: {b(floor): "nomal(0, 1)"}}',
        "models.pooled.priors.b(floor): unknown prior 'nomal'; did you mean 'normal'?",
    ),
    "prior_target": Bad(
        POOLED,
        'pooled: {formula: log_radon ~ floor, priors: {b(flor): "normal(0, 1)"}}',
        "models.pooled.priors.b(flor): the model has no parameter 'b(flor)'; did you mean 'b(floor)'?",
    ),
    "key": Bad(
        "sampler: {chains: 2,",
        "sampler: {chain: 2,",
        "sampler.chain (line 16): unknown key 'chain'; did you mean 'chains'?",
    ),
    "ragged": Bad(
        "table: data/radon/houses.csv",
        "table: data/ragged/houses.csv",
        "data.table: 'data/ragged/houses.csv' cannot be read as CSV: row 920 has 3 fields and the header 8; a field that holds "
        "the separator stands in quotation marks",
    ),
    "yaml": Bad(
        f"  {POOLED}\n",
        f"\t{POOLED}\n",
        "line 12, column 1: not valid YAML: a tab stands where blanks should; indent with blanks",
    ),
    "power": Bad(
        "log_radon ~ floor,",
        "log_radon ~ (floor + uppm + pcterr + typebldg + basement)^10,",
        "models.pooled.formula: '(floor + uppm + pcterr + typebldg + basement)^10' stands for too many terms; write out those "
        "that are meant",
    ),
    "grid": Bad(
        "comparisons:",
        "grid: {priors: {default: {}, tight: {sd: half_normal(1)}}, exclude: [pooled.tihgt]}\ncomparisons:",
        "grid.exclude[0]: no model is called 'pooled.tihgt'; did you mean 'pooled.tight'?",
    ),
    "one_model": Bad(
        'comparisons:\n  main: {models: ["*"], reference: pooled}',
        "grid: {priors: {default: {}, tight: {sd: half_normal(1)}}}\ncomparisons:\n  main: {models: [pooled*]}",
        "comparisons.main.models: 'pooled' and 'pooled.tight' are the same model, so nothing is left to compare",
    ),
    "table": Bad(
        "table: data/radon/houses.csv",
        "table: data/radon/house.csv",
        "data.table: no file 'data/radon/house.csv'; did you mean 'data/radon/houses.csv'?",
    ),
    "hash": Bad(
        "table: data/radon/houses.csv",
        "table: data/edited/houses.csv",
        "data.table: 'data/edited/houses.csv' has SHA-256 abe0956cac86... but its datapackage.json declares 83476f639567...; "
        "raw tables are never edited: restore the file, or declare the new content if it is meant",
    ),
    "duplicate_key": Bad(
        f"  {POOLED}\n",
        f"  {POOLED}\n  {POOLED}\n",
        "models.pooled: the key 'pooled' stands twice (lines 12 and 13)",
    ),
    "constant_response": Bad(
        "log_radon: log(where(activity == 0, 0.1, activity))",
        "log_radon: where(activity >= 0, 1, activity)",
        "models.pooled.formula, models.varying.formula: the response 'log_radon' is constant (1 in all 919 rows), so there is "
        "nothing to model",
    ),
    "code_in_a_formula": Bad(
        POOLED,
        f'pooled: {{formula: "log_radon ~ {ATTACK}"}}',
        f"models.pooled.formula: '{ATTACK}' is not allowed in a formula (a call of __import__('os').system)",
    ),
    "code_in_derive": Bad(
        DERIVE,
        f'{DERIVE}\n    attack: "{ATTACK}"',
        f"data.derive.attack: '{ATTACK}' holds a dot (attribute access), which is not allowed: only columns, numbers and "
        "listed functions are",
    ),
    "code_in_filter": Bad(
        "  derive:",
        f'  filter: "{ATTACK}"\n  derive:',
        f"data.filter: '{ATTACK}' holds a dot (attribute access), which is not allowed: only columns, numbers and listed "
        "functions are",
    ),
    "code_in_a_prior": Bad(
        POOLED,
        f'pooled: {{formula: log_radon ~ floor, priors: {{b(floor): "{ATTACK}"}}}}',
        f"models.pooled.priors.b(floor): '{ATTACK}' is no prior; write a distribution with numbers, such as normal(0, 1)",
    ),
}

# What Snakemake says of itself before it reads the workflow.
PREAMBLE = (
    "Using workflow specific profile",
    "Config file config/config.yaml is extended by additional config specified via the command line.",
)


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """Return a copy of the finished project with every bad study in it."""
    project = small_project.copy(finished, tmp_path_factory.mktemp("bad") / "project")
    edited = project.folder / "data" / "edited"
    shutil.copytree(project.folder / "data" / "radon", edited)
    with (edited / "houses.csv").open("a") as handle:
        handle.write("6000,AITKIN,0,Y,2.2,14.5,4,1\n")
    ragged = project.folder / "data" / "ragged"
    shutil.copytree(project.folder / "data" / "radon", ragged)
    with (ragged / "houses.csv").open("a") as handle:
        handle.write("6000,AITKIN,0\n")
    project.declare("data/ragged/houses.csv")
    for name, bad in BAD.items():
        assert SMALL_STUDY.count(bad.old) == 1, bad.old
        text = SMALL_STUDY.replace(bad.old, bad.new)
        (project.folder / "config" / "studies" / f"{name}.yaml").write_text(text)
    return project


@pytest.fixture(scope="module")
def runs(folder):
    """Return what a run of each bad study left, and the files of the results before and after."""

    def run(name):
        return folder.snakemake("--config", f'studies=["config/studies/{name}.yaml"]', cores=1)

    def files():
        return {path: path.stat().st_mtime_ns for path in (folder.folder / "results").rglob("*")}

    before = files()
    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(BAD, pool.map(run, BAD), strict=True))
    return done, before, files()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_study_ends_in_one_clear_message(runs, name):
    done = runs[0][name]
    said = [line for line in done.output.splitlines() if line and not line.startswith(PREAMBLE)]
    assert said == [f"config/studies/{name}.yaml: 1 problem", f"  - {BAD[name].problem}"]
    assert done.status == 1


def test_bad_studies_start_nothing_and_touch_no_results(folder, runs):
    _, before, after = runs
    assert after == before
    assert not any(path.name.startswith("attacked") for path in folder.folder.rglob("*"))
    assert not list((folder.folder / ".snakemake" / "locks").glob("*"))


def test_the_wrapper_says_no_more(folder):
    words = ("--cores", "1", "--", "--config", 'studies=["config/studies/column.yaml"]')
    done = folder.wrapper(*words)
    said = [line for line in done.output.splitlines() if line and not line.startswith(PREAMBLE)]
    assert said == ["config/studies/column.yaml: 1 problem", f"  - {BAD['column'].problem}"]
    assert done.status == 1
