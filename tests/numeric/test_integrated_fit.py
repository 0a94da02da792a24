"""A fit with the effects integrated out as a job runs it: what it stores, what it imports, what it does not depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fixtures.small_data import dataset_of, design_of

from multilevel import default_priors, predictor, sampling, storage
from multilevel.methods import integrated

ROOT = Path(__file__).resolve().parents[2]
SAMPLER = {"chains": 4, "draws": 100, "tune": 200, "target_accept": 0.9, "max_treedepth": 10}
RNG = np.random.default_rng(4)
ROOM = RNG.integers(0, 12, 90)
DATA = dataset_of(
    y=RNG.normal(size=90) + ROOM / 4,
    x=RNG.normal(size=90),
    room=[f"r{i}" for i in ROOM],
    school=[f"s{i // 3}" for i in ROOM],
)
DESIGN = design_of("y ~ x + (1 + x | school) + (1 | school:room)", DATA)
PRIORS = default_priors.resolve(DESIGN, {"b(x)": "student_t(3, 0, 1)"})


def fit(seed: int = 1, cores: int = 2) -> xr.DataTree:
    return integrated.fit(DESIGN, PRIORS, {}, SAMPLER, seed, cores)[0]


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    return fit()


def test_the_posterior_has_the_variables_of_any_other_fit(tree: xr.DataTree, tmp_path: Path) -> None:
    posterior = tree["posterior"].to_dataset()
    effects = ("school_level", "school_effect"), ("school__room_level", "school__room_effect")
    found = {str(name): (v.dims[2:], v.dtype.name) for name, v in posterior.data_vars.items()}
    assert found == {
        "b": (("coefficient",), "float64"),
        "sd_school": (("school_effect",), "float64"),
        "cor_school": (("school_pair",), "float64"),
        "r_school": (effects[0], "float32"),
        "sd_school__room": (("school__room_effect",), "float64"),
        "r_school__room": (effects[1], "float32"),
        "sigma": ((), "float64"),
    }
    assert dict(posterior.sizes) == {
        "chain": 4, "draw": 100, "coefficient": 2, "school_level": 4, "school_effect": 2, "school_pair": 1,
        "school__room_level": 12, "school__room_effect": 1,
    }  # fmt: skip
    assert posterior["school__room_level"].to_numpy().tolist() == list(DESIGN.group_terms[1].levels)
    assert set(tree["sample_stats"].data_vars) == set(sampling.SAMPLE_STATS.values())
    assert (posterior["sd_school"] > 0).all()
    assert (np.abs(posterior["cor_school"]) < 1).all()
    storage.write_netcdf(tmp_path / "posterior.nc", tree, {})
    draws = predictor.read(tmp_path / "posterior.nc", DESIGN)
    eta = predictor.linear_predictor(DESIGN, draws, slice(0, 90)).mean(axis=0)
    assert np.corrcoef(eta, DESIGN.y)[0, 1] > 0.6


def test_draws_are_the_same_at_any_number_of_cores_and_differ_by_seed_and_chain(tree: xr.DataTree) -> None:
    one = fit(cores=1)
    for group in ("posterior", "sample_stats"):
        for name, values in tree[group].data_vars.items():
            np.testing.assert_array_equal(values.to_numpy(), one[group][name].to_numpy())
    other = fit(seed=2)
    assert not np.array_equal(other["posterior"]["b"], tree["posterior"]["b"])
    for name, values in tree["posterior"].data_vars.items():
        assert not np.array_equal(values[0], values[1]), name


def test_fewer_draws_than_asked_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampling.nutpie.sample

    def interrupted(*arguments: Any, **settings: Any) -> xr.DataTree:
        return whole(*arguments, **{**settings, "draws": 60})

    monkeypatch.setattr(sampling.nutpie, "sample", interrupted)
    with pytest.raises(sampling.PartialTraceError, match="4 chains x 60 draws of 4 x 100; nothing is stored"):
        fit()


PROGRAM = """
import sys
sys.path[:0] = [{scripts!r}, {tests!r}]
from numeric.test_integrated_fit import fit
print(float(fit()["posterior"]["b"].sum()))
print(*sorted(name for name in ("pymc", "pytensor", "formulaic", "nutpie") if name in sys.modules))
"""


def start(**environment: str) -> subprocess.Popen[str]:
    program = PROGRAM.format(scripts=str(ROOT / "workflow" / "scripts"), tests=str(ROOT / "tests"))
    return subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )


def test_neither_pymc_nor_pytensor_is_imported(tree: xr.DataTree) -> None:
    said, _ = start().communicate()
    assert said.splitlines()[1] == "formulaic nutpie"
    assert float(said.splitlines()[0]) == float(tree["posterior"]["b"].sum())


@pytest.mark.slow
def test_jobs_that_compile_at_the_same_time_do_not_disturb_each_other(tree: xr.DataTree, tmp_path: Path) -> None:
    """Two on an empty cache, one where nothing can be written."""
    (tmp_path / "file").write_text("")
    jobs = [start(NUMBA_CACHE_DIR=str(tmp_path / folder)) for folder in ("cache", "cache", "file/cache")]
    said = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert {float(text.splitlines()[0]) for text in said} == {float(tree["posterior"]["b"].sum())}
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 1
    assert not list(kept[0].rglob("*.tmp.*"))
    assert start(NUMBA_CACHE_DIR=str(tmp_path / "cache")).communicate()[0] == said[0]
