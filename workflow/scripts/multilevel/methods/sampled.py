"""Everything is sampled, group effects included, from a model that PyMC builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from multilevel import aggregate, model, sampling
from multilevel.default_priors import Resolved
from multilevel.design import Design


def fit(
    design: Design, priors: Sequence[Resolved], spec: dict[str, Any], sampler: dict[str, Any], seed: int, cores: int
) -> tuple[xr.DataTree, dict[str, dict[str, Any]], dict[str, float]]:
    """Sample a model; see the package.

    Raises
    ------
    multilevel.errors.FitError
        When the sampler finds no point to start from, fails, or returns fewer draws than asked for.
    """
    trace, timings = sampling.sample(model.build(aggregate.rows(design), priors, spec["centred"]), sampler, seed, cores)
    return *sampling.posterior(trace, design, spec["centred"]), timings
