"""Make the reference values that the oracle tests compare with: lme4's maximum-likelihood fits and JAGS' posteriors.

    python tests/oracle/make_reference.py prepare --into DIR   the CSV that R reads, as DIR/radon_prepared.csv
    python tests/oracle/make_reference.py lme4                 tests/oracle/reference/radon_lme4.json   (seconds)
    python tests/oracle/make_reference.py jags                 tests/oracle/reference/radon_jags.json   (15 minutes)

Needs Rscript and the Debian packages r-cran-lme4, r-cran-jsonlite; for JAGS also jags, r-cran-rjags, r-cran-loo,
r-cran-posterior. The CSV is made from data/radon/ with the standard library alone, so that nothing under test has a
hand in it.
"""

import argparse
import csv
import hashlib
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
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


def run_script(program: str) -> dict[str, object]:
    """Run radon_<program>.R on freshly prepared data: what it printed, headed by the command and the data's sha256."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "radon_prepared.csv"
        digest = prepare(prepared)
        done = subprocess.run(
            ["Rscript", "--vanilla", str(HERE / f"radon_{program}.R"), str(prepared)],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            env=os.environ | one_thread,
        )
    printed: dict[str, object] = json.loads(done.stdout)
    return {"command": f"python tests/oracle/make_reference.py {program}", "data_sha256": digest} | printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "lme4", "jags"])
    parser.add_argument("--into", type=Path, default=HERE / "reference", help="folder to write to")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    if arguments.what == "prepare":
        print(prepare(arguments.into / "radon_prepared.csv"))
        return
    text = json.dumps(run_script(arguments.what), indent=2, ensure_ascii=False) + "\n"
    (arguments.into / f"radon_{arguments.what}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
