"""What the sampler returns after an interrupt looks whole; it is not stored."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import xarray as xr

import multilevel


@pytest.fixture
def sampling(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module, imported beside empty modules in place of PyMC and nutpie: nothing here samples."""
    for name in ("nutpie", "pymc"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, "multilevel.sampling", raising=False)
    monkeypatch.delattr(multilevel, "sampling", raising=False)
    yield importlib.import_module("multilevel.sampling")
    del sys.modules["multilevel.sampling"], multilevel.sampling


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
