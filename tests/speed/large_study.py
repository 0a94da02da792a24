"""A whole study at a million rows, as `make study` runs it: prepare, plan, fit, score, check, draw, compare and report.

    python tests/speed/large_study.py --rows 1000000 --cores 2

Three candidates: no groups, varying intercepts, varying slopes (500 groups). Runs in a copy of the project in a temporary
folder, from nothing: no results, no plan, no machine code kept from before (`--warm` takes the code that this project has
compiled). Prints the seconds and the largest memory of every job (Snakemake's benchmark files), the seconds of the whole run,
and the largest memory of all its processes at one time: their proportional set sizes, in which memory that several share counts
once, taken twice a second. Nothing here is asserted; times depend on the machine and on what else it does, so the load before
and after is printed.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests")]

GROUPS = 500
STUDY = """\
title: A million rows
seed: 1
data: {table: data/large/rows.csv}
defaults: {family: gaussian}
models:
  pooled: {formula: y ~ x}
  intercepts: {formula: y ~ x + (1 | g)}
  slopes: {formula: y ~ x + (1 + x | g)}
comparisons:
  main: {models: ["*"], reference: intercepts}
"""


def main() -> None:
    """Run the study and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--warm", action="store_true", help="take the machine code that this project has compiled before"
    )
    parser.add_argument("--keep", type=Path, help="run in this empty folder, and leave it")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="large-study-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(folder, chosen.rows, chosen.cores, chosen.warm)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)


def run(folder: Path, rows: int, cores: int, warm: bool) -> None:
    """Run the study in a folder and print what it took."""
    from fixtures import small_project

    project = small_project.make(folder)
    (folder / small_project.STUDY).write_text(STUDY, encoding="utf-8")
    write_rows(folder / "data" / "large" / "rows.csv", rows)
    if warm:
        from multilevel import marginal

        marginal.kernels()
        shutil.copytree(marginal.CACHE, folder / ".cache" / "multilevel" / "numba")
    print(f"{rows:,} rows, {cores} cores, load before {os.getloadavg()[0]:.2f}")
    started = time.perf_counter()
    running = project.start("--cores", str(cores))
    memory = Memory(psutil.Process(running.pid))
    status = running.wait()
    seconds = time.perf_counter() - started
    memory.stop()
    print("job | seconds | MB")
    for path in sorted((folder / "results" / "small" / "benchmarks").glob("*.tsv")):
        with path.open(encoding="utf-8") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        print(f"{path.stem} | {float(row['s']):.1f} | {number(row['max_rss'])}")
    print(f"all: {seconds:.1f} s; at most {memory.largest / 2**20:.0f} MB at one time; exit status {status}")
    print(f"load after {os.getloadavg()[0]:.2f}")
    if status:
        print(project.said[-4000:])
    sys.exit(status)


def number(text: str) -> str:
    """Return a number of a benchmark file without decimals; a job of a second is over before its memory is looked at."""
    return f"{float(text):.0f}" if text.replace(".", "").isdigit() else "-"


def write_rows(path: Path, rows: int) -> None:
    """Write rows of 500 groups with intercepts and slopes of their own."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    group, x = rng.integers(0, GROUPS, rows), rng.normal(size=rows).round(3)
    effects = rng.normal(0, [0.7, 0.3], (GROUPS, 2))
    y = 1.0 + 0.5 * x + effects[group, 0] + effects[group, 1] * x + rng.normal(size=rows)
    levels = pd.Categorical.from_codes(group, [f"g{i:03d}" for i in range(GROUPS)])
    path.parent.mkdir(parents=True)
    pd.DataFrame({"y": y.round(4), "x": x, "g": levels}).to_csv(path, index=False)


class Memory:
    """Looks twice a second at the memory of a process and of all that it started, until told to stop."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.largest = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self.stopped.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.stopped.wait(0.5):
            total = 0
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.Error:
                return
            for member in family:
                try:
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue  # it ended meanwhile
            self.largest = max(self.largest, total)


if __name__ == "__main__":
    main()
