"""Simulation-based calibration of whole fits, run by hand: parameters from the prior, data from the model, posterior by it.

Where everything is right, the rank of a parameter among its posterior draws is uniform over data sets (Talts, Betancourt,
Simpson, Vehtari & Gelman 2018, arXiv:1804.06788). The log likelihood is ranked too: it sees errors that no parameter does
(Modrák et al. 2023, Bayesian Analysis, doi:10.1214/23-BA1404). Parameters and data are drawn by SciPy and NumPy
(`fixtures.simulation`); the model is the one that the workflow builds, compiled once, with the data changed in place.

Run in the repository's folder, about five minutes for each family:

    PYTHONPATH=workflow/scripts:tests .venv/bin/python tests/calibration/run.py gaussian bernoulli negative_binomial cumulative

writes ``tests/calibration/<family>.csv``, one row for each data set: the rank of every quantity among `KEPT` draws, the
number of divergences and the smallest effective sample size. `test_calibration.py` judges them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import nutpie
import pandas as pd
import pytensor
from fixtures import simulation
from fixtures.small_data import dataset_of

from multilevel import convergence, default_priors, design, families, formula, model, sampling
from multilevel.design import Design
from multilevel.predictor import Draws

SETS, ROWS, LEVELS = 300, 120, 15
TUNE, DRAWS, KEPT = 500, 3000, 100
"""Of one chain every thirtieth draw is kept, so that those ranked among are nearly independent."""

CASES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "gaussian": (
        "y ~ x + (1 + x | g)",
        {"family": "gaussian"},
        {"Intercept": "normal(0, 1)", "b": "normal(0, 1)", "sd": "exponential(1)", "sigma": "exponential(1)"},
    ),
    "bernoulli": (
        "y ~ x + (1 | g)",
        {"family": "bernoulli"},
        {"Intercept": "normal(0, 1.5)", "b": "normal(0, 1)", "sd": "exponential(1)"},
    ),
    "negative_binomial": (
        "y ~ x + (1 | g)",
        {"family": "negative_binomial"},
        {"Intercept": "normal(1, 1)", "b": "normal(0, 0.5)", "sd": "exponential(2)", "shape": "gamma(2, 0.5)"},
    ),
    "cumulative": (
        "y ~ x + (1 | g)",
        {"family": "cumulative"},
        {"Intercept": "normal(0, 1.5)", "b": "normal(0, 1)", "sd": "exponential(1)"},
    ),
}
"""Formula, family and priors; the correlation of `gaussian` has the default, lkj(2)."""

CATEGORIES = 4


def calibrate(family: str, sets: int) -> pd.DataFrame:
    """Return the ranks of every quantity, one row for each data set."""
    text, rest, given = CASES[family]
    spec = {"formula": str(formula.parse(text)), **rest}
    rng = np.random.default_rng([2018, *family.encode()])
    columns = {"x": rng.normal(0.5, 1.0, ROWS), "g": np.repeat(np.arange(1, LEVELS + 1), ROWS // LEVELS)}
    filler = np.arange(ROWS) % CATEGORIES + 1.0 if families.has_categories(family) else np.arange(ROWS) % 2
    blank = design.build(spec, dataset_of(y=filler, **columns))
    resolved = default_priors.resolve(blank, given)
    name, built, values_of = _with_data(blank)
    compiled = nutpie.compile_pymc_model(model.build(built, resolved, centred=False))
    rows = []
    for number in range(sets):
        truth = simulation.from_prior(blank, resolved, rng)
        found = replace(blank, y=simulation.response(blank, truth, rng))
        trace = nutpie.sample(
            compiled.with_data(**{name: values_of(found.y)}),
            draws=DRAWS, tune=TUNE, chains=1, cores=1, seed=number, target_accept=0.95, progress_bar=False,
        )  # fmt: skip
        posterior, _ = sampling.posterior(trace, blank, centred=False)
        kept = posterior["posterior"].to_dataset().isel(draw=slice(DRAWS // KEPT - 1, None, DRAWS // KEPT))
        quantities = convergence.quantities(posterior["posterior"].to_dataset(), blank)
        row = {"log likelihood": _rank(simulation.log_likelihood(found, _draws(kept, blank)), found, truth)}
        for q in quantities:
            if q.kind != "group" or q.level == "1":
                row[q.parameter] = int(
                    (q.values.ravel()[DRAWS // KEPT - 1 :: DRAWS // KEPT] < truth.values[q.parameter]).sum()
                )
        summary = convergence.summarise([q for q in quantities if q.kind != "group"])
        row["divergences"] = int(posterior["sample_stats"]["diverging"].sum())
        row["least_ess"] = int(summary["ess_bulk"].min())
        rows.append(row)
        if sys.stderr.isatty() or number % 50 == 49:
            print(f"{family}: {number + 1} of {sets} data sets", file=sys.stderr)
    return pd.DataFrame(rows)


def _rank(values: np.ndarray, found: Design, truth: simulation.Truth) -> int:
    """Return how many of the kept draws have a smaller log likelihood than the truth."""
    return int((values < simulation.log_likelihood(found, truth.draws)[0]).sum())


def _draws(kept: Any, blank: Design) -> Draws:
    """Return the kept draws as `predictor.read` would."""
    flat = {name: kept[name].to_numpy()[0] for name in kept.data_vars}
    effects = {term.key: flat[f"r_{term.key}"] for term in blank.group_terms}
    return Draws(1, KEPT, flat["b"], effects, {name: flat[name] for name in blank.scalars})


def _with_data(blank: Design) -> tuple[str, Any, Any]:
    """Return a design whose data can be changed after compiling: the name of what changes, the design, and y to its values.

    The density of categories is written for the rows of each category. It is asked for every row in every category, and
    the data say, as weights of 1 and 0, which of them count.
    """
    if not families.has_categories(blank.family):
        return "observed", replace(blank, y=pytensor.shared(np.zeros(ROWS), name="observed")), lambda y: y
    number = np.arange(1.0, CATEGORIES + 1.0)
    row, y = np.repeat(np.arange(ROWS), CATEGORIES), np.tile(number, ROWS)
    built = replace(
        blank,
        y=y,
        terms={"weights": pytensor.shared(np.zeros(len(y)), name="counted")},
        predictors=tuple(replace(p, x=p.x[row], offset=p.offset[row]) for p in blank.predictors),
        group_terms=tuple(replace(t, z=t.z[row], index=t.index[row]) for t in blank.group_terms),
        thresholds=replace(blank.thresholds, x=blank.thresholds.x[row]) if blank.thresholds else None,
    )
    return "counted", built, lambda seen: (seen[row] == y).astype(float)


def main() -> None:
    """Calibrate the families named and write their ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="+", choices=list(CASES))
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent)
    chosen = parser.parse_args()
    for family in chosen.families:
        calibrate(family, chosen.sets).to_csv(chosen.into / f"{family}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
