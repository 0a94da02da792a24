"""Gaussian random slopes with the effects integrated out, beside the same model with everything sampled.

    python tests/speed/integrated_fits.py --rows 1000 10000 100000 1000000 2000000 --sampled-up-to 10000

Each fit runs in a process of its own, one after another, so times, which depend on the machine and on what else it does, are
compared within one run, and the memory is that of one fit. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests")]

GROUPS = 500
COLUMNS = (
    "rows",
    "method",
    "compress or compile s",
    "sample s",
    "draw effects s",
    "all s",
    "of first",
    "MB",
    "min ESS",
    "ESS/s",
)


def main() -> None:
    """Measure every size and method asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000, 2_000_000])
    parser.add_argument(
        "--sampled-up-to", type=int, default=10_000, help="largest number of rows to sample everything for"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "ROWS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one[0], int(chosen.one[1]), chosen.cores, chosen.draws)))
        return
    measured("integrated", min(chosen.rows), chosen)  # machine code is compiled once and kept
    first: dict[str, float] = {}
    print(" | ".join(COLUMNS))
    for rows in sorted(chosen.rows):
        for method in ["integrated", *(["sampled"] if rows <= chosen.sampled_up_to else [])]:
            found = measured(method, rows, chosen)
            ratio = found["all_s"] / first.setdefault(method, found["all_s"])
            times = [found.get(key, 0.0) for key in ("compile_s", "sample_s", "draw_effects_s", "all_s")]
            numbers = [*(f"{t:.2f}" for t in times), f"{ratio:.2f}", f"{found['mb']:.0f}", f"{found['ess']:.0f}"]
            print(" | ".join([f"{rows:,}", method, *numbers, f"{found['ess'] / found['all_s']:.0f}"]), flush=True)


def measured(method: str, rows: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Measure one fit in a process of its own."""
    words = ["--one", method, str(rows), "--cores", str(chosen.cores), "--draws", str(chosen.draws)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def simulated(rows: int) -> Any:
    """Return rows of 500 groups with intercepts and slopes of their own."""
    import numpy as np
    import pandas as pd
    from fixtures.small_data import dataset_of

    rng = np.random.default_rng(1)
    group, x = rng.integers(0, GROUPS, rows), rng.normal(size=rows)
    effects = rng.normal(0, [0.7, 0.3], (GROUPS, 2))
    y = 1.0 + 0.5 * x + effects[group, 0] + effects[group, 1] * x + rng.normal(size=rows)
    levels = [f"g{i:03d}" for i in range(GROUPS)]
    used = np.unique(group)
    codes = np.searchsorted(used, group)
    return dataset_of(y=y, x=x, g=pd.Categorical.from_codes(codes, [levels[i] for i in used]))


def measure(method: str, rows: int, cores: int, draws: int) -> dict[str, float]:
    """Fit, and return seconds, most memory in MB, and the smallest bulk effective sample size of any parameter or effect."""
    from fixtures.small_data import design_of

    from multilevel import convergence, default_priors, mcmc, methods

    data = simulated(rows)
    module = methods.get(method)
    sampler = {"chains": 4, "draws": draws, "tune": draws, "target_accept": 0.9, "max_treedepth": 10}
    started = time.perf_counter()
    design = design_of("y ~ x + (1 + x | g)", data)
    priors = default_priors.resolve(design, {})
    tree, _, timings, _ = module.fit(design, priors, {"centred": rows > 20 * GROUPS}, sampler, 1, cores)
    seconds = time.perf_counter() - started
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    quantities = convergence.quantities(tree["posterior"].to_dataset(), design)
    return {**timings, "all_s": seconds, "mb": mb, "ess": min(mcmc.ess(q.values, "bulk") for q in quantities)}


if __name__ == "__main__":
    main()
