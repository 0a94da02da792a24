"""Make the tables of the studies with structured groups: simulated ones, and published ones laid out row by row.

    python data/make_structured.py FOLDER

FOLDER holds twindata_bmi.csv, flatlizards_contests.csv, flatlizards_predictors.csv (as their R packages have them). What is
simulated comes from fixed seeds; the parameters below are those that the studies are to find again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent

MEMBERSHIP = {"Intercept": 20.0, "sd_school": 2.5, "sigma": 3.5}
"""Pupils of two schools, a quarter of them movers; the effects of their schools count by the years spent there."""

PEDIGREE = {"Intercept": 10.0, "b_sex": 1.0, "sd_additive": 1.2, "sd_litter": 0.6, "sigma": 1.0}
"""An animal model: additive genetic values, litters, residuals."""


def multiple_membership() -> pd.DataFrame:
    """1000 pupils of 40 schools; a quarter moved once, after one to five of six years."""
    rng = np.random.default_rng(20260)
    schools, pupils = 40, 1000
    effects = rng.normal(0.0, MEMBERSHIP["sd_school"], schools)
    effects *= MEMBERSHIP["sd_school"] / effects.std(ddof=1)
    first = rng.integers(0, schools, pupils)
    moved = rng.random(pupils) < 0.25
    second = np.where(moved, (first + rng.integers(1, schools, pupils)) % schools, first)
    years = np.where(moved, rng.integers(1, 6, pupils), 6)
    share = years / 6.0
    mean = MEMBERSHIP["Intercept"] + share * effects[first] + (1.0 - share) * effects[second]
    noise = rng.normal(0.0, MEMBERSHIP["sigma"], pupils)
    return pd.DataFrame(
        {
            "school_1": [f"s{i + 1:02d}" for i in first],
            "school_2": [f"s{i + 1:02d}" for i in second],
            "years_1": years,
            "years_2": 6 - years,
            "score": np.round(mean + noise, 3),
        }
    )


def pedigree() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Five generations: 40 founders, then 8 sires and 20 dams a generation with litters of 6; all but founders measured."""
    rng = np.random.default_rng(1976)
    rows: list[tuple[str, str, str]] = []
    value: dict[str, float] = {}
    records: list[dict[str, Any]] = []
    sexes: dict[str, str] = {}
    parents = [f"f{i + 1:02d}" for i in range(40)]
    inbreeding = dict.fromkeys(parents, 0.0)
    for i, name in enumerate(parents):
        rows.append((name, "", ""))
        value[name] = rng.normal(0.0, PEDIGREE["sd_additive"])
        sexes[name] = "m" if i % 2 else "f"
    for generation in range(1, 5):
        males = [p for p in parents if sexes[p] == "m"]
        females = [p for p in parents if sexes[p] == "f"]
        sires, dams = rng.permutation(males)[:8], rng.permutation(females)[:20]
        offspring = []
        for number, dam in enumerate(dams):
            sire, litter = sires[number % len(sires)], f"g{generation}l{number + 1:02d}"
            shared = rng.normal(0.0, PEDIGREE["sd_litter"])
            for place in range(6):
                name = f"{litter}{'abcdef'[place]}"
                # Mendelian sampling: half the additive variance, less the parents' inbreeding (small here, and neglected).
                spread = PEDIGREE["sd_additive"] * np.sqrt(0.5 * (1 - (inbreeding[sire] + inbreeding[dam]) / 2))
                value[name] = 0.5 * (value[sire] + value[dam]) + rng.normal(0.0, spread)
                inbreeding[name] = 0.0
                sexes[name] = "m" if rng.random() < 0.5 else "f"
                rows.append((name, sire, dam))
                mean = PEDIGREE["Intercept"] + PEDIGREE["b_sex"] * (sexes[name] == "m") + value[name] + shared
                weight = round(mean + rng.normal(0.0, PEDIGREE["sigma"]), 3)
                records.append({"animal": name, "litter": litter, "sex": sexes[name], "weight": weight})
                offspring.append(name)
        parents = offspring
    return pd.DataFrame(records), pd.DataFrame(rows, columns=["id", "sire", "dam"])


def twins(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Young female twins, one row for each who was measured; elements of their relationship matrix."""
    wide = pd.read_csv(folder / "twindata_bmi.csv")
    wide = wide[wide["zygosity"].isin(["MZFF", "DZFF"]) & (wide["cohort"] == "younger")]
    people, elements = [], []
    for row in wide.itertuples():
        there = [k for k in (1, 2) if pd.notna(getattr(row, f"bmi{k}"))]
        names = [f"t{row.fam}_{k}" for k in there]
        for k, name in zip(there, names, strict=True):
            bmi = getattr(row, f"bmi{k}")
            people.append({"person": name, "pair": f"p{row.fam}", "zygosity": row.zygosity, "bmi": bmi})
            elements.append((name, name, 1.0))
        if len(names) == 2:
            elements.append((names[1], names[0], 1.0 if row.zygosity == "MZFF" else 0.5))
    return pd.DataFrame(people), pd.DataFrame(elements, columns=["first", "second", "value"])


def lizards(folder: Path) -> pd.DataFrame:
    """One row for each contest: the two lizards in the order of their names, and whether the first one won."""
    contests = pd.read_csv(folder / "flatlizards_contests.csv")
    found = pd.read_csv(folder / "flatlizards_predictors.csv").set_index("lizard")
    names = {"SVL": "svl", "head.length": "head", "throat.PC1": "throat1", "throat.PC3": "throat3"}
    rows = []
    for contest in contests.itertuples():
        first, second = sorted([contest.winner, contest.loser])
        row = {"first": first, "second": second, "won": int(first == contest.winner)}
        for column, short in names.items():
            row[short] = round(found.loc[first, column] - found.loc[second, column], 10)
        rows.append(row)
    return pd.DataFrame(rows)


def write(folder: str, tables: dict[str, pd.DataFrame], **words: Any) -> None:
    """Write tables and the data package beside them."""
    resources = []
    for name, table in tables.items():
        path = HERE / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, lineterminator="\n")
        resources.append(described(path, table))
    package(folder, resources, **words)


def described(path: Path, table: pd.DataFrame) -> dict[str, Any]:
    """Return what the data package says of a table."""
    content = path.read_bytes()
    return {
        "name": path.stem,
        "path": path.name,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "rows": len(table),
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }


def package(folder: str, resources: list[dict[str, Any]], **words: Any) -> None:
    """Write datapackage.json."""
    content = {"name": folder.replace("_", "-"), **words, "resources": resources}
    (HERE / folder / "datapackage.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def licensed(title: str, *sources: str, name: str = "GPL-2.0-or-later") -> dict[str, Any]:
    """Return licence and sources."""
    found = [{"title": source} for source in sources]
    return {"licenses": [{"name": name, "title": title}], "sources": found, "citation": sources[-1]}


def main(folder: Path) -> None:
    """Make every table."""
    made = licensed("Public domain (CC0 1.0)", "data/make_structured.py", name="CC0-1.0")
    write(
        "multiple_membership",
        {"pupils.csv": multiple_membership()},
        title="Simulated scores of 1000 pupils, some of whom moved between 40 schools",
        description="A row is a pupil. school_1 and school_2 name the schools attended (twice the same where the pupil did "
        "not move), years_1 and years_2 the years spent there, of six. Made with an intercept of 20, an sd of schools of 2.5 "
        "(the effects drawn have that sd exactly) and a residual sd of 3.5.",
        **made,
    )
    animals, parents = pedigree()
    write(
        "pedigree",
        {"animals.csv": animals, "pedigree.csv": parents},
        title="Simulated weights of four generations of animals with a known pedigree",
        description="A row is an animal; pedigree.csv has those and the 40 founders, which were not weighed. Made with an "
        "intercept of 10, males heavier by 1, an additive genetic sd of 1.2, an sd of litters of 0.6 and a residual of 1.",
        **made,
    )
    people, elements = twins(folder)
    write(
        "twinbmi",
        {"twins.csv": people, "kinship.csv": elements},
        title="Body mass of young Australian female twins",
        description="Twins of the younger cohort of the Australian twin registry, identical (MZFF) and fraternal (DZFF) "
        "female pairs, one row for each twin who was measured; a twin whose sister was not measured stays. bmi is "
        "7 ln(kg/m^2). kinship.csv has the additive relationships that are not 0: 1 with oneself and an identical twin, so "
        "that the matrix is singular, and 0.5 with a fraternal one.",
        **licensed(
            "Apache 2.0, as the R package OpenMx",
            "The object twinData of the R package OpenMx 2.21.1 (Debian r-cran-openmx), laid out by data/make_structured.py",
            "Martin, N. G. and Jardine, R. (1986). Eysenck's contributions to behaviour genetics. In: Modgil and Modgil "
            "(eds), Hans Eysenck: Consensus and Controversy. Falmer.",
            name="Apache-2.0",
        ),
    )
    write(
        "flatlizards",
        {"contests.csv": lizards(folder)},
        title="Contests between male flat lizards",
        description="100 contests between 77 lizards. A row is a contest: the two lizards in the order of their names, whether "
        "the first won, and differences of predictors, first less second (snout-vent length, head length, two principal "
        "components of the throat's reflectance; the throats of lizard096 and lizard099 were not measured).",
        **licensed(
            "GPL-2 or later, as the R package BradleyTerry2",
            "The object flatlizards of the R package BradleyTerry2 1.1-2, laid out by data/make_structured.py",
            "Whiting, M. J., Stuart-Fox, D. M., O'Connor, D., Firth, D., Bennett, N. C. and Blomberg, S. P. (2006). "
            "Ultraviolet signals ultra-aggression in a lizard. Animal Behaviour 72, 353-363.",
        ),
    )
    for name, file, title, *sources in (
        (
            "scotssec",
            "pupils.csv",
            "Attainment of 3435 Scottish pupils by primary and secondary school",
            "The object ScotsSec of the R package mlmRev 1.0-8 (Debian r-cran-mlmrev), written as CSV without a change",
            "Paterson, L. (1991). Socio-economic status and educational attainment. Evaluation and Research in Education 5.",
        ),
        (
            "insteval",
            "evaluations.csv",
            "73421 evaluations of lecturers by students at ETH Zurich",
            "The object InstEval of the R package lme4 1.1-31 (Debian r-cran-lme4), written as CSV without a change",
            "Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Journal of Statistical Software 67(1).",
        ),
    ):
        path = HERE / name / file
        words = licensed("GPL-2 or later, as the R package", *sources)
        package(name, [described(path, pd.read_csv(path))], title=title, description=f"{title}; one row each.", **words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
