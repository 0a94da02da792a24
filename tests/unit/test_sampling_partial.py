"""What the sampler returns after an interrupt looks whole; it is not stored."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import multilevel
from multilevel.errors import FitError

OF_PYMC = ("multilevel.sampling", "multilevel.model", "multilevel.responses")
"""Modules that import PyMC: none of them may keep the empty one."""


def of_pymc() -> list[str]:
    return [name for name in sys.modules if name.startswith(OF_PYMC)]


@pytest.fixture
def sampling(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module, imported beside empty modules in place of PyMC and nutpie: nothing here samples."""
    for name in ("nutpie", "pymc"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in of_pymc():
        monkeypatch.delitem(sys.modules, name)
    for name in OF_PYMC:
        monkeypatch.delattr(multilevel, name.rsplit(".", 1)[1], raising=False)
    yield importlib.import_module("multilevel.sampling")
    for name in of_pymc():
        del sys.modules[name]
    for name in OF_PYMC:
        if hasattr(multilevel, short := name.rsplit(".", 1)[1]):
            delattr(multilevel, short)


def trace(chains: int = 4, draws: int = 100, **holes: tuple[int, ...]) -> xr.DataTree:
    rng = np.random.default_rng(1)
    values = {
        "sigma": (("chain", "draw"), rng.exponential(size=(chains, draws))),
        "offsets_g": (("chain", "draw", "effect", "level"), rng.normal(size=(chains, draws, 2, 3))),
        "count": (("chain", "draw"), np.zeros((chains, draws), dtype=int)),
    }
    for name, where in holes.items():
        values[name][1][where] = np.nan
    return xr.DataTree.from_dict({"posterior": xr.Dataset(values)})


def test_a_whole_trace_is_taken(sampling: ModuleType) -> None:
    sampling.refuse_partial(trace(), 4, 100)


@pytest.mark.parametrize(
    ("partial", "sentence"),
    [
        (trace(draws=99), "the sampler returned 4 chains x 99 draws of 4 x 100; nothing is stored"),
        (trace(draws=0), "the sampler returned 4 chains x 0 draws of 4 x 100"),
        (trace(chains=3), "the sampler returned 3 chains x 100 draws of 4 x 100"),
        # One chain was cut short and padded.
        (trace(sigma=(2, 99)), "the sampler returned 4 chains x 100 draws with gaps of 4 x 100"),
        (trace(offsets_g=(0, 57, 1, 2)), "with gaps"),
        (xr.DataTree.from_dict({"posterior": xr.Dataset()}), "the sampler returned 0 chains x 0 draws of 4 x 100"),
    ],
)
def test_missing_chains_draws_and_values_are_refused(partial: xr.DataTree, sentence: str, sampling: ModuleType) -> None:
    with pytest.raises(sampling.PartialTraceError) as caught:
        sampling.refuse_partial(partial, 4, 100)
    assert sentence in str(caught.value)


def test_more_draws_than_asked_for_are_refused_too(sampling: ModuleType) -> None:
    with pytest.raises(sampling.PartialTraceError):
        sampling.refuse_partial(trace(draws=101), 4, 100)


def test_warm_up_is_no_part_of_what_is_counted(sampling: ModuleType) -> None:
    both = trace()
    both["warmup_posterior"] = trace(draws=50)["posterior"]
    sampling.refuse_partial(both, 4, 100)


SETTINGS = {"tune": 10, "draws": 10, "chains": 2, "target_accept": 0.9, "max_treedepth": 10}
NOWHERE = "All initialization points failed\n\nCaused by:\n    Logp function returned error: ErrorCode(3)\n\nStack backtrace:\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            NOWHERE,
            "no chain found a point to start from: the log density of priors and likelihood is no finite number near 0;",
        ),
        ("Chain 2 panicked\n\nStack backtrace:\n   0: <unknown>", "the sampler stopped: Chain 2 panicked"),
    ],
)
def test_what_the_sampler_says_becomes_one_sentence(
    said: str, sentence: str, sampling: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(sampling.nutpie, "compile_pymc_model", lambda _: SimpleNamespace(n_dim=3), raising=False)
    monkeypatch.setattr(sampling.nutpie, "sample", fail, raising=False)
    with pytest.raises(FitError) as caught:
        sampling.sample(None, SETTINGS, 1, 1)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_job_that_is_stopped_ends_its_log_with_the_reason_whatever_would_crash_on_the_way_out(tmp_path: Path) -> None:
    code = (
        "import atexit, os, sys; from multilevel import joblog; joblog.begin(sys.argv[1]); "
        "atexit.register(lambda: os.kill(os.getpid(), 11)); print('at work'); joblog.stop('nothing to start from')"
    )
    log = tmp_path / "job.log"
    library = str(Path(multilevel.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, str(log)], env={"PYTHONPATH": library}, check=False)
    assert done.returncode == 1
    assert log.read_text().splitlines()[-1].endswith("multilevel: failed: nothing to start from")
    assert "at work\n" in log.read_text()
