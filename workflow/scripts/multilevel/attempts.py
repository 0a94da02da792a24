"""A fit, and a second one where the first has divergences: once, the other way, with a higher target acceptance.

Divergences say that the sampler could not follow the posterior's curvature, which the parameterisation of group effects
decides (Betancourt & Girolami 2015). The fit with fewer divergences is kept, the first one where they are equal, and the record
says of both what they were and why one was kept. Nothing else about the model changes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from multilevel import parameterisation, sampling
from multilevel.design import Design

LOG = logging.getLogger(__name__)

Sample = Callable[[Mapping[str, str], dict[str, Any], int, int], tuple[xr.DataTree, dict[str, float]]]
"""From parameterisation, settings, seed and cores to what `sampling.sample` returns."""

CLOSER = 5.0
"""The second fit's distance of the target acceptance from 1 is that of the first over this."""


def fit(
    design: Design,
    asked: Any,
    settings: dict[str, Any],
    seed: int,
    cores: int,
    sample: Sample,
) -> tuple[xr.DataTree, dict[str, dict[str, Any]], dict[str, float], list[dict[str, Any]]]:
    """Sample a model, and again the other way where draws diverged.

    Terms that have no other way (`parameterisation`) stay as they are: the second fit's steps are smaller all the same.

    Parameters
    ----------
    design
        The design.
    asked
        What the study says of the parameterisation (`parameterisation.resolve`).
    settings, seed, cores
        As for `sampling.sample`; the second fit's seed is a hash of the first's.
    sample
        Samples it.

    Returns
    -------
    tuple
        Posterior and its encoding, seconds, and a record of each attempt: parameterisation by term, target acceptance, seed,
        divergences, whether it was kept, and why.
    """
    chosen = parameterisation.resolve(design, asked)
    other = parameterisation.other_way(design, chosen)
    trace, kept, timings, records = tried(design, chosen, other, settings, seed, cores, sample)
    return (*sampling.posterior(trace, design, kept), timings, records)


def tried(
    design: Design,
    chosen: dict[str, str],
    other: dict[str, str],
    settings: dict[str, Any],
    seed: int,
    cores: int,
    sample: Sample,
) -> tuple[xr.DataTree, dict[str, str], dict[str, float], list[dict[str, Any]]]:
    """Sample, and once more where draws diverged; return the trace that is kept and its way, seconds and records.

    Parameters
    ----------
    design, settings, seed, cores, sample
        As for `fit`.
    chosen, other
        The way of each term in the first fit and in the second; the same where there is no other.
    """
    trace, timings = sample(chosen, settings, seed, cores)
    first = sampling.attempt(design, trace, chosen, settings, seed)
    if not first["divergences"]:
        return trace, chosen, timings, [{**first, "kept": True, "why": ""}]
    differently = "the other way" if other != chosen else "with smaller steps"
    closer = {**settings, "target_accept": round(1.0 - (1.0 - settings["target_accept"]) / CLOSER, 6)}
    LOG.warning(
        "%d draws diverged; fitted once more, %s, with target acceptance %g",
        first["divergences"],
        differently,
        closer["target_accept"],
    )
    again = second_seed(seed)
    retrace, more = sample(other, closer, again, cores)
    second = sampling.attempt(design, retrace, other, closer, again)
    better = second["divergences"] < first["divergences"]
    why = f"{first['divergences']} divergences the first way, {second['divergences']} {differently}"
    LOG.warning("%s: the %s fit is kept", why, "second" if better else "first")
    timings = {key: value + more[key] for key, value in timings.items()}
    records = [{**first, "kept": not better, "why": why}, {**second, "kept": better, "why": why}]
    return (retrace, other, timings, records) if better else (trace, chosen, timings, records)


def second_seed(seed: int) -> int:
    """Return the seed of a second fit, a hash of the first's."""
    return int.from_bytes(hashlib.sha256(f"{seed}\x1fthe other way".encode()).digest()[:4], "big")
