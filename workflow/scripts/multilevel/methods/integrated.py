"""The group effects are integrated out of what is sampled, then drawn exactly, once for each draw; see `marginal`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from multilevel import attempts, marginal, nesting, parameterisation, rotation, sampling
from multilevel.default_priors import Resolved
from multilevel.design import Design, variable_name

LOG = logging.getLogger(__name__)


def fit(
    design: Design,
    priors: Sequence[Resolved],
    spec: dict[str, Any],  # noqa: ARG001 (one shape)
    sampler: dict[str, Any],
    seed: int,
    cores: int,
) -> tuple[xr.DataTree, dict[str, dict[str, Any]], dict[str, float], list[dict[str, Any]]]:
    """Sample a model; see the package. The draws are the same at any number of cores.

    Raises
    ------
    multilevel.errors.FitError
        When the sampler finds no point to start from, fails, or returns fewer draws than asked for.
    """
    started = time.perf_counter()
    # The groups of a design that is fitted this way are one nested chain, or can be rotated.
    rotated = rotation.of(design) if nesting.against_groups(design) else None
    density = marginal.build(design if rotated is None else rotated.design, priors)
    loops, size = marginal.kernels(), len(density.names)  # compiled on the way, or taken from the cache
    compiled_at = time.perf_counter()
    LOG.info("effects integrated out; %d parameters are sampled: %s", size, ", ".join(density.names))
    compiled = sampling.of_density(size, loops.density_for_nutpie, loops.same_for_nutpie, density.data, density.initial)
    ways = {term.key: "integrated" for term in design.group_terms}

    def sample(
        _: Mapping[str, str], settings: dict[str, Any], seed: int, cores: int
    ) -> tuple[xr.DataTree, dict[str, float]]:
        return sampling.run(compiled, settings, seed, cores), {}

    trace, _, _, tried = attempts.tried(design, ways, ways, sampler, seed, cores, sample)
    sampled_at = time.perf_counter()
    x = trace["posterior"]["x"].to_numpy()
    with ThreadPoolExecutor(cores) as pool:
        drawn = list(pool.map(lambda chain: density.draw(x[chain], (seed, chain)), range(len(x))))
    if rotated is not None:
        drawn = [_turned_back(one, rotated, (seed, chain, 1)) for chain, one in enumerate(drawn)]
    trace["posterior"] = xr.DataTree(_as_sampled(drawn, design, trace["posterior"].coords))
    drawn_at = time.perf_counter()
    LOG.info("drew the effects in %.1f s", drawn_at - sampled_at)
    timings = {
        "compile_s": compiled_at - started,
        "sample_s": sampled_at - compiled_at,
        "draw_effects_s": drawn_at - sampled_at,
    }
    as_drawn = {term.key: parameterisation.CENTRED for term in design.group_terms}
    return *sampling.posterior(trace, design, as_drawn), timings, tried


def _turned_back(drawn: marginal.Drawn, rotated: rotation.Rotated, seed: Sequence[int]) -> marginal.Drawn:
    """Return the effects of the levels instead of those of rotated rows."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(seed))))
    effects = {}
    for key, of_rows in drawn.effects.items():
        sd = drawn.sd[key][:, 0]
        step = max(1, marginal.BLOCK // rotated.width(key))
        parts = [
            rotated.effects(key, of_rows[at : at + step, :, 0], sd[at : at + step], rng)
            for at in range(0, len(sd), step)
        ]
        effects[key] = np.concatenate(parts)[:, :, None]
    return replace(drawn, effects=effects)


def _as_sampled(chains: list[marginal.Drawn], design: Design, coords: Any) -> xr.Dataset:
    """Return the draws under the names that the trace of a centred model has."""
    part = design.predictors[0]
    found: dict[str, Any] = {
        variable_name("slopes", part): np.stack([c.slopes for c in chains]),
    }
    if "sigma" in design.scalars:
        found["sigma"] = np.stack([c.sigma for c in chains])
    if part.has_intercept:
        found[variable_name("intercept", part)] = np.stack([c.intercept for c in chains])
    for term in design.group_terms:
        found[f"sd_{term.key}"] = np.stack([c.sd[term.key] for c in chains])
        if term.correlated:
            found[f"partial_{term.key}"] = 0.5 * (1.0 + np.stack([c.partial[term.key] for c in chains]))
        for position in range(len(term.effects)):
            found[f"effects_{term.key}_{position}"] = np.stack([c.effects[term.key][..., position] for c in chains])
    variables = {
        name: (("chain", "draw", *(f"{name}_{axis}" for axis in range(values.ndim - 2))), values)
        for name, values in found.items()
    }
    return xr.Dataset(variables, coords={name: coords[name] for name in ("chain", "draw")})
