"""Make the reference values that the oracle tests compare with: lme4's maximum-likelihood fits, JAGS' posteriors, R's loo.

    python tests/oracle/make_reference.py prepare --into DIR   the CSV that R reads, as DIR/radon_prepared.csv
    python tests/oracle/make_reference.py lme4                 tests/oracle/reference/radon_lme4.json   (seconds)
    python tests/oracle/make_reference.py jags                 tests/oracle/reference/radon_jags.json   (15 minutes)
    python tests/oracle/make_reference.py loo                  tests/oracle/reference/psis_loo_r.json   (seconds)
    python tests/oracle/make_reference.py designs              tests/oracle/reference/designs_r.json    (seconds)
    python tests/oracle/make_reference.py responses            tests/oracle/reference/response_terms.json (seconds)
    python tests/oracle/make_reference.py categories           tests/oracle/reference/categories_r.json (seconds)
    python tests/oracle/make_reference.py patsy                tests/oracle/reference/designs_patsy.json (needs patsy)
    python tests/oracle/make_reference.py ml                   tests/oracle/reference/gaussian_ml_lme4.json   (seconds)
    python tests/oracle/make_reference.py structured           tests/oracle/reference/structured.json         (minutes)
    python tests/oracle/make_reference.py weights              tests/oracle/reference/loo_of_draws.json (seconds)
    python tests/oracle/make_reference.py correlated           tests/oracle/reference/correlated_nlme.json    (seconds)
    python tests/oracle/make_reference.py glmer                tests/oracle/reference/glmer.json        (seconds)
    python tests/oracle/make_reference.py penalties            tests/oracle/reference/penalties_jags.json (3 minutes)
    python tests/oracle/make_reference.py priors               tests/oracle/reference/default_priors.json (a minute)
    python tests/oracle/make_reference.py growth               tests/oracle/reference/growth.json       (seconds)

Needs Rscript and the Debian packages r-cran-lme4, r-cran-jsonlite; for correlated r-cran-nlme;
for loo r-cran-loo; for categories r-cran-mass,
r-cran-nnet, r-cran-vgam; for priors r-cran-brms, r-cran-rstanarm; for JAGS also jags, r-cran-rjags,
r-cran-loo, r-cran-posterior. What R reads is made with the standard library alone, from data/radon/ or from a seed, so that
nothing under test has a hand in it.
"""

import argparse
import csv
import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # this file is run as a script and imported by tests

from oracle import default_prior_cases, design_formulas  # noqa: E402

DATA = HERE.parents[1] / "data" / "radon"
COLUMNS = ("log_radon", "floor", "log_uranium", "county")


def prepare(path: Path, data: Path = DATA) -> str:
    """Write the joined and transformed radon data to `path`, in the order of houses.csv; return its sha256.

    log_radon is log(activity), with 0.1 for an activity of 0 (Gelman & Hill 2007); log_uranium is the log of the
    county's uranium in parts per million. Numbers are printed so that they read back exactly.
    """
    with (data / "counties.csv").open(newline="", encoding="utf-8") as file:
        uranium = {row["county"]: float(row["uranium_ppm"]) for row in csv.DictReader(file)}
    with (data / "houses.csv").open(newline="", encoding="utf-8") as file:
        houses = list(csv.DictReader(file))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for house in houses:
            log_radon = math.log(float(house["activity"]) or 0.1)
            log_uranium = math.log(uranium[house["county"]])
            writer.writerow([repr(log_radon), house["floor"], repr(log_uranium), house["county"]])
    return hashlib.sha256(path.read_bytes()).hexdigest()


PSIS = {"seed": 20240729, "chains": 4, "draws": 500}
TAILS = (0.3, 0.5, 0.65, 0.85, 1.2)
"""Pareto k of the importance ratios in the heavy-tailed columns."""


def log_likelihoods() -> dict[str, list[float]]:
    """Return columns of log likelihoods, chain after chain, to six decimals.

    12 columns are normal log densities along autoregressive chains (the autocorrelation goes from -0.3 to 0.8, the distance
    of the observation from 0 to 3.5 sd); then one for each of `TAILS`, whose ratios 1 / likelihood are Pareto.
    """
    source = random.Random(PSIS["seed"])
    columns: dict[str, list[float]] = {}
    for i in range(12):
        rho, distance, values = -0.3 + 0.1 * i, 3.5 * i / 11, []
        for _ in range(PSIS["chains"]):
            state = source.gauss(0.0, 1.0)
            for _ in range(PSIS["draws"]):
                state = rho * state + math.sqrt(1.0 - rho * rho) * source.gauss(0.0, 1.0)
                values.append(-0.5 * (distance - 0.4 * state) ** 2 - 0.9189)
        columns[f"normal_{i + 1}"] = values
    for k in TAILS:
        size = PSIS["chains"] * PSIS["draws"]
        columns[f"pareto_{k}"] = [k * math.log(1.0 - source.random()) - 1.0 for _ in range(size)]
    return {name: [round(value, 6) for value in values] for name, values in columns.items()}


def write_log_likelihoods(path: Path) -> str:
    """Write `log_likelihoods` to `path`, a column per observation; return its sha256."""
    columns = log_likelihoods()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return hashlib.sha256(path.read_bytes()).hexdigest()


SIMULATION = {"seed": 20231105, "schools": 24, "raters": 7}


def write_simulation(path: Path) -> str:
    """Write pupils in classes in schools, each marked by a rater who marks in many schools; return the file's sha256.

    Schools differ in level, in the effect of x and in that of arm; `flat` is y with its school means moved to the overall
    mean of y, so that schools differ by less than chance alone would make them.
    """
    source = random.Random(SIMULATION["seed"])
    rater_effects = [source.gauss(0.0, 0.8) for _ in range(SIMULATION["raters"])]
    rows: list[dict[str, Any]] = []
    for school in range(SIMULATION["schools"]):
        level, tilt, gain = source.gauss(0.0, 1.2), source.gauss(0.0, 0.5), source.gauss(0.0, 0.4)
        for room in range(2 + school % 3):
            climate = source.gauss(0.0, 0.6)
            for pupil in range(3 + (school + room) % 5):
                x, arm, rater = source.gauss(3.0, 2.0), pupil % 2, source.randrange(SIMULATION["raters"])
                y = 50.0 + level + climate + rater_effects[rater] + (0.7 + tilt) * x + (1.5 + gain) * arm
                y += source.gauss(0.0, 1.5)
                rows.append(
                    {"y": round(y, 4), "x": round(x, 4), "arm": arm, "school": f"s{school:02}"}
                    | {"class": f"s{school:02}c{room}", "rater": f"r{rater}"}
                )
    overall = math.fsum(row["y"] for row in rows) / len(rows)
    for school in {row["school"] for row in rows}:
        own = [row for row in rows if row["school"] == school]
        shift = overall - math.fsum(row["y"] for row in own) / len(own)
        for row in own:
            row["flat"] = round(row["y"] + shift, 4)
    columns = ("y", "flat", "x", "arm", "school", "class", "rater")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _printed_by(script: str, *arguments: str | Path) -> dict[str, object]:
    """Run an R script on one thread; return the JSON that it printed."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=os.environ | one_thread,
    )
    return dict(json.loads(done.stdout))


GROWTH = {"seed": 20261, "subjects": 24}
"""How `write_growth` simulates."""


def write_growth(path: Path) -> str:
    """Write measurements of subjects at unequal ages, some visits missing; return the file's sha256.

    Subjects differ in level; deviations within a subject are a continuous autoregression, 0.6 one unit of age apart.
    """
    source = random.Random(GROWTH["seed"])
    rows: list[dict[str, Any]] = []
    for subject in range(GROWTH["subjects"]):
        level, arm, before, error = source.gauss(0.0, 0.8), subject % 2, 0.0, 0.0
        for visit, week in enumerate((1, 2, 4, 7), start=1):
            age = round(0.8 * week + source.uniform(0.0, 0.6), 2)
            keep = 0.6 ** (age - before) if visit > 1 else 0.0
            error = keep * error + math.sqrt(1.0 - keep**2) * source.gauss(0.0, 1.2 + 0.2 * visit)
            before = age
            if source.random() < 0.8 or visit == 1 + subject % 4:
                y = 10.0 + level + (0.5 + 0.3 * arm) * age + error
                rows.append(
                    {
                        "y": round(y, 4),
                        "age": age,
                        "week": week,
                        "visit": visit,
                        "arm": arm,
                        "subject": f"s{subject:02}",
                    }
                )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("y", "age", "week", "visit", "arm", "subject"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_correlated() -> dict[str, object]:
    """Run correlated.R on simulated data and on Orthodont: what it printed, headed by the command and the CSVs' sha256."""
    orthodont = DATA.parent / "orthodont" / "measurements.csv"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "growth.csv"
        digest = write_growth(path)
        printed = _printed_by("correlated.R", path, str(orthodont))
    return {
        "command": "python tests/oracle/make_reference.py correlated",
        "runs": "Rscript --vanilla tests/oracle/correlated.R growth.csv data/orthodont/measurements.csv",
        "data_sha256": digest,
        "orthodont_sha256": hashlib.sha256(orthodont.read_bytes()).hexdigest(),
        "simulation": GROWTH,
    } | printed


def run_ml() -> dict[str, object]:
    """Run gaussian_ml.R on simulated data: what it printed, headed by the command and the CSV's sha256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.csv"
        digest = write_simulation(path)
        printed = _printed_by("gaussian_ml.R", path)
    return {
        "command": "python tests/oracle/make_reference.py ml",
        "runs": "Rscript --vanilla tests/oracle/gaussian_ml.R simulated.csv",
        "data_sha256": digest,
        "simulation": SIMULATION,
    } | printed


def run_loo() -> dict[str, object]:
    """Run psis_loo.R on `log_likelihoods`: what it printed, headed by the command and the CSV's sha256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log_likelihoods.csv"
        digest = write_log_likelihoods(path)
        printed = _printed_by("psis_loo.R", path, str(PSIS["chains"]))
    return {
        "command": "python tests/oracle/make_reference.py loo",
        "runs": f"Rscript --vanilla tests/oracle/psis_loo.R log_likelihoods.csv {PSIS['chains']}",
        "data_sha256": digest,
        "seed": PSIS["seed"],
        "chains": PSIS["chains"],
    } | printed


def run_weights() -> dict[str, object]:
    """Run loo_of_draws.R on stored draws of four models: what it printed, headed by the command and the CSVs' sha256."""
    with tempfile.TemporaryDirectory() as folder:
        table, draws = Path(folder) / "scored.csv", Path(folder) / "draws.csv"
        digests = {
            "rows": design_formulas.write(table, design_formulas.scored_columns()),
            "draws": design_formulas.write(draws, design_formulas.scored_draws()),
        }
        printed = _printed_by("loo_of_draws.R", table, draws)
    return {"command": "python tests/oracle/make_reference.py weights", "data_sha256": digests} | printed


def run_designs() -> dict[str, object]:
    """Run design_matrices.R on the formulas of design_formulas.py: what it printed, headed by the command."""
    with tempfile.TemporaryDirectory() as folder:
        data, formulas = Path(folder) / "designs.csv", Path(folder) / "formulas.txt"
        digest = design_formulas.write(data)
        formulas.write_text("\n".join(design_formulas.IN_R.values()) + "\n", encoding="utf-8")
        printed = _printed_by("design_matrices.R", data, formulas)
    return {"command": "python tests/oracle/make_reference.py designs", "data_sha256": digest} | printed


def run_responses() -> dict[str, object]:
    """Run response_terms.R on `design_formulas.response_columns`."""
    return _run_on("responses", "response_terms.R", design_formulas.response_columns())


def run_priors() -> dict[str, object]:
    """Run default_priors.R on the models and the data of `default_prior_cases`."""
    with tempfile.TemporaryDirectory() as name:
        data, cases, out = (Path(name) / file for file in ("data.csv", "cases.json", "out.json"))
        columns = default_prior_cases.rows()
        with data.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        cases.write_text(json.dumps({"brms": default_prior_cases.BRMS, "rstanarm": default_prior_cases.RSTANARM}))
        subprocess.run(["Rscript", str(HERE / "default_priors.R"), str(data), str(cases), str(out)], check=True)
        return dict(json.loads(out.read_text(encoding="utf-8")))


def run_categories() -> dict[str, object]:
    """Run categories.R on `design_formulas.category_columns`."""
    return _run_on("categories", "categories.R", design_formulas.category_columns())


def run_glmer() -> dict[str, object]:
    """Run glmer.R on `design_formulas.clinic_columns`."""
    return _run_on("glmer", "glmer.R", design_formulas.clinic_columns())


def run_penalties() -> dict[str, object]:
    """Run penalties_jags.R on `design_formulas.penalty_columns`."""
    return _run_on("penalties", "penalties_jags.R", design_formulas.penalty_columns())


def _run_on(what: str, script: str, columns: dict[str, list[Any]]) -> dict[str, object]:
    """Run an R script on a table: what it printed, headed by the command and the CSV's sha256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{what}.csv"
        digest = design_formulas.write(path, columns)
        printed = _printed_by(script, path)
    return {"command": f"python tests/oracle/make_reference.py {what}", "data_sha256": digest} | printed


def run_patsy() -> dict[str, object]:
    """Build the matrices of `design_formulas.IN_PATSY` with patsy."""
    import patsy

    with tempfile.TemporaryDirectory() as folder:
        digest = design_formulas.write(Path(folder) / "designs.csv")
    columns = design_formulas.columns()
    found = {text: patsy.dmatrix(text, columns) for text in design_formulas.IN_PATSY}
    return {
        "command": "python tests/oracle/make_reference.py patsy",
        "data_sha256": digest,
        "versions": {"patsy": patsy.__version__},
        "designs": {
            text: {"names": m.design_info.column_names, "values": [[float(v) for v in row] for row in m]}
            for text, m in found.items()
        },
    }


def run_structured() -> dict[str, object]:
    """Run structured.R on the tables of four studies: what it printed, headed by the command and the tables' sha256."""
    data = HERE.parents[1] / "data"
    tables = ["scotssec/pupils.csv", "insteval/evaluations.csv", "multiple_membership/pupils.csv"]
    tables += ["pedigree/animals.csv", "pedigree/pedigree.csv"]
    digests = {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in tables}
    command = {"command": "python tests/oracle/make_reference.py structured", "data_sha256": digests}
    return command | _printed_by("structured.R", data)


def run_growth() -> dict[str, object]:
    """Run growth.R on the tables of two studies: what it printed, headed by the command and the tables' sha256."""
    data = HERE.parents[1] / "data"
    digests = {
        name: hashlib.sha256((data / name).read_bytes()).hexdigest()
        for name in ("orange/trees.csv", "loblolly/trees.csv")
    }
    return {"command": "python tests/oracle/make_reference.py growth", "data_sha256": digests} | _printed_by(
        "growth.R", data
    )


def run_script(program: str) -> dict[str, object]:
    """Run radon_<program>.R on freshly prepared data: what it printed, headed by the command and the data's sha256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radon_prepared.csv"
        digest = prepare(path)
        printed = _printed_by(f"radon_{program}.R", path)
    return {"command": f"python tests/oracle/make_reference.py {program}", "data_sha256": digest} | printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        choices=[
            *("prepare", "lme4", "jags", "loo", "designs", "patsy", "responses", "categories", "ml", "structured"),
            *("glmer", "penalties", "weights", "priors", "correlated", "growth"),
        ],
    )
    parser.add_argument("--into", type=Path, default=HERE / "reference", help="folder to write to")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    if arguments.what == "prepare":
        print(prepare(arguments.into / "radon_prepared.csv"))
        return
    own = {
        "loo": ("psis_loo_r", run_loo),
        "designs": ("designs_r", run_designs),
        "patsy": ("designs_patsy", run_patsy),
        "responses": ("response_terms", run_responses),
        "categories": ("categories_r", run_categories),
        "ml": ("gaussian_ml_lme4", run_ml),
        "structured": ("structured", run_structured),
        "correlated": ("correlated_nlme", run_correlated),
        "glmer": ("glmer", run_glmer),
        "penalties": ("penalties_jags", run_penalties),
        "weights": ("loo_of_draws", run_weights),
        "priors": ("default_priors", run_priors),
        "growth": ("growth", run_growth),
    }
    if arguments.what in own:
        name, run = own[arguments.what]
        record = run()
    else:
        name, record = f"radon_{arguments.what}", run_script(arguments.what)
    # Matrices of numbers stand on few lines.
    text = json.dumps(record, indent=None if "designs" in record else 2, ensure_ascii=False) + "\n"
    (arguments.into / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
