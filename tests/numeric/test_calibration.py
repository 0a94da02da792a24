"""Stored ranks of simulation-based calibration are uniform: whole fits of four families are right, not only their densities.

Made by hand by ``tests/calibration/run.py``, which says how; 300 data sets for each family.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from calibration import bands

FOLDER = Path(__file__).parents[1] / "calibration"
FAMILIES = ("gaussian", "bernoulli", "negative_binomial", "cumulative")
SETS = 300


@pytest.fixture(scope="module")
def uniform() -> np.ndarray:
    return bands.null(SETS)


def test_every_quantity_is_uniform(uniform: np.ndarray) -> None:
    found = {
        (family, name): bands.p_value(column.to_numpy(), uniform)
        for family in FAMILIES
        for name, column in bands.ranks(FOLDER, family).items()
    }
    # The smallest of so many p-values, each uniform where nothing is wrong.
    worst = min(found, key=found.__getitem__)
    assert found[worst] > 0.05 / len(found), (worst, found[worst])
    assert len({name for _, name in found}) >= 10


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stored_runs_are_whole(family: str) -> None:
    table = pd.read_csv(FOLDER / f"{family}.csv")
    assert len(table) == SETS
    assert "log likelihood" in table
    ranks = bands.ranks(FOLDER, family)
    assert ranks.min().min() >= 0
    assert ranks.max().max() <= bands.KEPT
    # Divergent transitions and slow chains would make ranks that say little.
    assert (table["divergences"] > 0).mean() < 0.1
    assert (table["least_ess"] >= bands.KEPT).mean() > 0.9


@pytest.mark.parametrize(("shift", "factor"), [(0.35, 1.0), (0.0, 0.75), (0.0, 1.4)])
def test_a_wrong_posterior_would_be_seen(shift: float, factor: float, uniform: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=SETS)
    posterior = shift + factor * rng.normal(size=(SETS, bands.KEPT))
    assert bands.p_value((posterior < truth[:, None]).sum(axis=1), uniform) < 0.05 / 30


def test_right_posteriors_are_seldom_suspected(uniform: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, bands.KEPT + 1, (400, SETS))
    p = np.array([bands.p_value(row, uniform) for row in values])
    assert 0.02 < (p < 0.05).mean() < 0.09


def test_the_band_holds_as_often_as_it_says(uniform: np.ndarray) -> None:
    lower, upper = bands.band(SETS, uniform, 0.95)
    rng = np.random.default_rng(4)
    shares = bands.ecdf(rng.integers(0, bands.KEPT + 1, (2000, SETS)))
    inside = ((shares >= lower) & (shares <= upper)).all(axis=1).mean()
    assert 0.93 < inside < 0.975
