# Functions that the rules call; no rules.
#
# needs   the configuration and the study files that it names
# makes   STUDIES, the plan of each study, and the params that make a job rerun exactly when its result would change
# steps   read and check every study (from a cache where nothing changed), then hand out small slices of the plans


import json
import os
import re
import sys
from pathlib import Path

# One thread for linear algebra in every job: results must not depend on how many cores a machine has, and chains and
# jobs are what runs in parallel.
for variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
):
    os.environ.setdefault(variable, "1")

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from multilevel import code, rules, study
from multilevel.errors import StudyError
from multilevel.names import MODEL_PATTERN, NAME_PATTERN

try:
    STUDIES, NOT_FITTED = study.load_all(
        dict(config), Path("config/config.yaml"), Path.cwd()
    )
except StudyError as error:
    # Not a WorkflowError: Snakemake would wrap the message in the place of this line, which is nothing to the user.
    raise SystemExit(str(error)) from None

REPORT_TEMPLATES = sorted(
    str(path) for path in Path("reports/templates").glob("**/*.j2")
)
REPORT_THEME = [
    "reports/_quarto.yml",
    *sorted(str(path) for path in Path("reports/theme").glob("*")),
]
LOCKED = rules.locked(ROOT / "envs" / "requirements.lock")


wildcard_constraints:
    study=NAME_PATTERN,
    model=MODEL_PATTERN,
    comparison=NAME_PATTERN,
    fingerprint="[0-9a-f]{64}",
    unit="|".join(map(re.escape, rules.units(STUDIES.values()))),
    time="|".join(map(re.escape, rules.times(STUDIES.values()))) or "none",


def plan_of(wildcards):
    """Return the plan of the study that a job belongs to."""
    return STUDIES[wildcards.study]


def model_of(wildcards):
    """Return the model of the plan that a job belongs to."""
    return plan_of(wildcards)["models"][wildcards.model]


def raw_tables(wildcards):
    """Return the raw tables of a study and the data packages beside them."""
    return rules.raw_tables(plan_of(wildcards), Path.cwd())


def data_of(wildcards):
    """Return the file with the columns that a model uses, named after their content."""
    return f"results/{wildcards.study}/data/{model_of(wildcards)['fingerprint']}.nc"


def scored_data_of(wildcards):
    """Return the file that a model is scored on: its own, or all columns where scores are not of its response."""
    if "scored_as" in model_of(wildcards):
        return f"results/{wildcards.study}/data.nc"
    return data_of(wildcards)


def model_params(wildcards):
    """Return what decides a model's design and likelihood, as JSON."""
    return rules.as_json(rules.model_spec(model_of(wildcards)))


def identity(wildcards):
    """Return what decides a fit's draws, as JSON."""
    return rules.as_json(rules.identity(plan_of(wildcards), wildcards.model, LOCKED))


def code_of(script, *packages):
    """Return a function from wildcards to the digest of the code that a script runs for a model of that family.

    Packages name the registries from which the job loads one file by the family's name.
    """
    return lambda wildcards: code.digest(
        script, [f"multilevel.{p}.{model_of(wildcards)['family']}" for p in packages]
    )


def group_of(wildcards):
    """Return the grouping that a job is about: ``school:class`` where its files are called ``school.class``."""
    return rules.grouping(plan_of(wildcards), wildcards.group)


def quantity_of(wildcards):
    """Return how the response of a model is named on an axis."""
    return rules.quantity(plan_of(wildcards), wildcards.model)


def labels_of_fitted(wildcards):
    """Return the labels of the fitted models of a study, as JSON."""
    return rules.labels(plan_of(wildcards), fitted(wildcards.study))


def quantities_of_fitted(wildcards):
    """Return how the response of each fitted model of a study is named on an axis, as JSON."""
    return rules.quantities(plan_of(wildcards), fitted(wildcards.study))


def fitted(study_name):
    """Return the models of a study, without those that a run could not fit and was told to go on without."""
    return [m for m in STUDIES[study_name]["models"] if m not in NOT_FITTED[study_name]]


def posteriors():
    """Return every posterior of this run, so that one that was deleted is made again though its report still stands."""
    return [
        f"results/{study_name}/models/{model}/posterior.nc"
        for study_name in STUDIES
        for model in fitted(study_name)
    ]


def of_fitted(pattern):
    """Return an input function: a pattern with {model}, for every fitted model of the study."""
    return lambda wildcards: expand(
        pattern, study=wildcards.study, model=fitted(wildcards.study)
    )


def of_compared(pattern):
    """Return an input function: a pattern with {model}, for every fitted model of a comparison.

    It may hold {score}, the score of the unit that the comparison leaves out.
    """

    def paths(wildcards):
        unit = wildcards.unit if "unit" in wildcards.keys() else "observation"
        return expand(
            pattern,
            study=wildcards.study,
            model=compared(wildcards),
            score=rules.score(unit),
        )

    return paths


def compared(wildcards):
    """Return the fitted models of a comparison."""
    named = plan_of(wildcards)["comparisons"][wildcards.comparison]["models"]
    return [m for m in named if m in fitted(wildcards.study)]


def compared_specs(wildcards):
    """Return what decides design and likelihood of each fitted model of a comparison, as JSON, by name."""
    models = plan_of(wildcards)["models"]
    return {m: rules.as_json(rules.model_spec(models[m])) for m in compared(wildcards)}


def data_of_compared(wildcards):
    """Return the file with the columns of each fitted model of a comparison, in the order of the models."""
    models = plan_of(wildcards)["models"]
    return [
        f"results/{wildcards.study}/data/{models[m]['fingerprint']}.nc"
        for m in compared(wildcards)
    ]


def left_out_of(wildcards):
    """Return what a job leaves out at a time: an observation, a level of a grouping, or the future of a column of time."""
    if wildcards.unit == "observation":
        return wildcards.unit
    return rules.left_out(plan_of(wildcards), wildcards.unit)["group"]


def groups_data_of(wildcards):
    """Return the file with the columns of the grouping that a job leaves out."""
    chosen = rules.left_out(plan_of(wildcards), wildcards.unit)
    return f"results/{wildcards.study}/data/{chosen['fingerprint']}.nc"


def future_of(wildcards):
    """Return how a job leaves out the future of a column of time."""
    return rules.left_out(plan_of(wildcards), f"{rules.FUTURE}{wildcards.time}")


def times_data_of(wildcards):
    """Return the file with the column of time whose future a job leaves out."""
    return f"results/{wildcards.study}/data/{future_of(wildcards)['fingerprint']}.nc"


def compared_dic(wildcards):
    """Return the DIC of every fitted model of a comparison, where it stands in the same table."""
    found = of_compared("results/{study}/models/{model}/scores/dic.conditional.json")
    return found(wildcards) if wildcards.unit == "observation" else []


def fit_memory(wildcards, attempt):
    """Return the MB that a fit may use; a new attempt gets twice as much."""
    return rules.fit_memory(plan_of(wildcards), wildcards.model) * 2 ** (attempt - 1)


def figures_of(wildcards):
    """Return the figures of a study, of its fits and of its comparisons, each as SVG, as PNG and as the CSV drawn."""
    plan, found = plan_of(wildcards), fitted(wildcards.study)
    names = rules.study_figures(plan, found)
    names += [name for model in found for name in rules.model_figures(plan, model)]
    return expand(
        "results/{study}/{name}.{suffix}",
        study=wildcards.study,
        name=names,
        suffix=["svg", "png", "csv"],
    )


def small_files_of(wildcards):
    """Return the JSON and CSV files that a study's report is made from."""
    plan, here = plan_of(wildcards), f"results/{wildcards.study}"
    names = [
        "diagnostics.json",
        "summary.csv",
        "checks.csv",
        "checks_coverage.csv",
    ]
    found = [
        f"{here}/data_summary.json",
        f"{here}/provenance.json",
        f"{here}/study.yaml",
    ]
    found += expand(
        f"{here}/models/{{model}}/{{name}}", model=fitted(wildcards.study), name=names
    )
    for model in fitted(wildcards.study):
        names = rules.scores(plan, model)
        found += expand(f"{here}/models/{model}/scores/{{name}}.json", name=names)
    found += expand(
        f"{here}/models/{{model}}/{{name}}",
        model=plan["models"],
        name=["priors.json", "prior_predictive.json", "equations.json"],
    )
    if plan["published"]:
        found.append(f"{here}/replication.csv")
    for comparison, unit in rules.rankings(plan):
        made = expand(
            f"{here}/comparisons/{comparison}.{unit}.{{suffix}}", suffix=["csv", "json"]
        )
        found += made
        if unit == "observation":
            found.append(f"{here}/comparisons/{comparison}.{unit}.stacked.json")
    return found
