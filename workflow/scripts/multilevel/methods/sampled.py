"""Everything is sampled, group effects included, from a model that PyMC builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from multilevel import aggregate, attempts, model, sampling
from multilevel.default_priors import Resolved
from multilevel.design import Design


def fit(
    design: Design, priors: Sequence[Resolved], spec: dict[str, Any], sampler: dict[str, Any], seed: int, cores: int
) -> tuple[xr.DataTree, dict[str, dict[str, Any]], dict[str, float], list[dict[str, Any]]]:
    """Sample a model, twice where draws diverge; see the package.

    Raises
    ------
    multilevel.errors.FitError
        When the sampler finds no point to start from, fails, or returns fewer draws than asked for.
    """
    return attempts.fit(design, spec["centred"], sampler, seed, cores, sampling_of(aggregate.rows(design), priors))


def sampling_of(seen: Design, priors: Sequence[Resolved]) -> attempts.Sample:
    """Return what samples from a model that is built and compiled for one use.

    Parameters
    ----------
    seen
        What the sampler sees of the design (`aggregate.rows`).
    priors
        The prior of every parameter.
    """

    def sample(
        ways: Mapping[str, str], settings: dict[str, Any], seed: int, cores: int
    ) -> tuple[xr.DataTree, dict[str, float]]:
        return sampling.sample(model.build(seen, priors, ways), settings, seed, cores, model.still(seen))

    return sample


def fit_rows(
    design: Design,
    priors: Sequence[Resolved],
    spec: dict[str, Any],
    sampler: dict[str, Any],
    seed: int,
    cores: int,
    rows: NDArray[np.bool_],
    compiled: dict[str, Any],
) -> tuple[xr.DataTree, dict[str, dict[str, Any]], dict[str, float], list[dict[str, Any]]]:
    """Sample a model given some of its rows; levels without any have effects drawn as their prior says, given the others.

    Parameters
    ----------
    design, priors, spec, sampler, seed, cores
        As for `fit`, of all rows.
    rows
        Which rows are seen, shape (rows,).
    compiled
        What was compiled, by parameterisation, which serves any rows; what is compiled here is put into it.

    Raises
    ------
    multilevel.errors.FitError
        When the sampler finds no point to start from, fails, or returns fewer draws than asked for.
    """

    def sample(
        ways: Mapping[str, str], settings: dict[str, Any], seed: int, cores: int
    ) -> tuple[xr.DataTree, dict[str, float]]:
        key = repr(sorted(ways.items()))
        if key not in compiled:
            built = model.build(design, priors, ways, rows_change=True)
            compiled[key] = sampling.compile_model(built, model.still(design))
        return sampling.run(compiled[key].with_data(**{model.SEEN: rows.astype(np.float64)}), settings, seed, cores), {}

    return attempts.fit(design, spec["centred"], sampler, seed, cores, sample)
