"""Everything is sampled, group effects included, from a model that PyMC builds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from multilevel import aggregate, attempts
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
    return attempts.fit(design, aggregate.rows(design), priors, spec["centred"], sampler, seed, cores)
