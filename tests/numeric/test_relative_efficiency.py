"""The relative efficiency, and with it every score, depends on the log likelihood alone.

ArviZ' own loo averages the effective sample size over every variable of the posterior, deterministics included.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of

from multilevel import integration, mcmc, predictor, storage
from multilevel.design import Design
from multilevel.scores import dic, loo

CHAINS, DRAWS = 4, 300


@pytest.fixture(scope="module")
def built() -> Design:
    rng = np.random.default_rng(61)
    return design_of(
        "y ~ x + (1 | g)", dataset_of(y=rng.normal(size=16), x=rng.normal(size=16), g=list("aabbccddeeffgghh"))
    )


def walk(rng: np.random.Generator, *shape: int, rho: float) -> np.ndarray:
    """Return autoregressive chains of unit variance, shape (CHAINS, DRAWS, ...)."""
    out = np.empty((CHAINS, DRAWS, *shape))
    out[:, 0] = rng.normal(size=(CHAINS, *shape))
    for step in range(1, DRAWS):
        out[:, step] = rho * out[:, step - 1] + np.sqrt(1 - rho**2) * rng.normal(size=(CHAINS, *shape))
    return out


def posterior(rho: float = 0.6) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    rng = np.random.default_rng(62)
    at = ("chain", "draw")
    return {
        "b": ((*at, "coefficient"), 0.2 * walk(rng, 2, rho=rho)),
        "sd_g": ((*at, "g_effect"), np.exp(0.2 * walk(rng, 1, rho=rho))),
        "r_g": ((*at, "g_level", "g_effect"), (0.3 * walk(rng, 8, 1, rho=rho)).astype(np.float32)),
        "sigma": (at, np.exp(0.1 * walk(rng, rho=rho))),
    }


def deterministics() -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """A variable whose chains hardly move, and one of many columns with draws that alternate."""
    rng = np.random.default_rng(63)
    at = ("chain", "draw")
    return {
        "variance_share": (at, walk(rng, rho=0.999)),
        "contrasts": ((*at, "contrast"), walk(rng, 40, rho=-0.8)),
    }


def draws_of(variables: dict[str, tuple[tuple[str, ...], np.ndarray]], built: Design, path: Path) -> predictor.Draws:
    storage.write_netcdf(path, xr.DataTree.from_dict({"posterior": xr.Dataset(variables)}), {})
    return predictor.read(path, built)


def test_more_variables_in_the_posterior_change_no_score(built: Design, tmp_path: Path) -> None:
    plain = draws_of(posterior(), built, tmp_path / "plain.nc")
    more = draws_of(posterior() | deterministics(), built, tmp_path / "more.nc")
    assert more.others.keys() == plain.others.keys()  # what is no parameter of the family is not even read
    record, table = loo.score(built, plain)
    record_of_more, table_of_more = loo.score(built, more)
    assert record == record_of_more
    assert table.equals(table_of_more)
    assert dic.score(built, plain) == dic.score(built, more)


def test_relative_efficiency_is_that_of_each_rows_likelihood(built: Design, tmp_path: Path) -> None:
    draws = draws_of(posterior() | deterministics(), built, tmp_path / "posterior.nc")
    _, table = loo.score(built, draws)
    integral, _ = integration.most(built, draws)
    assert integral is not None
    log_density = np.empty((CHAINS * DRAWS, len(built.y)))
    for block in integral.blocks(draws, with_rows=True):
        log_density[:, block.rows] = block.of_rows
    by_row = [mcmc.ess(np.exp(row).reshape(CHAINS, DRAWS), "mean") / (CHAINS * DRAWS) for row in log_density.T]
    assert table["r_eff"].to_numpy() == pytest.approx(np.minimum(by_row, 1.0), rel=1e-9)
    assert table["r_eff"].nunique() == len(table)


def test_relative_efficiency_follows_the_chains_of_the_likelihood(built: Design, tmp_path: Path) -> None:
    slow, fast = (
        loo.score(built, draws_of(posterior(rho), built, tmp_path / f"{rho}.nc"))[0]["r_eff"] for rho in (0.9, 0.0)
    )
    assert slow < 0.4
    assert fast > 0.8
