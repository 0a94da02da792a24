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

SMALLER = "with smaller steps"

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
    trace, timings = sample(chosen, settings, seed, cores)
    first = sampling.attempt(design, trace, chosen, settings, seed)
    if not first["divergences"]:
        return (*sampling.posterior(trace, design, chosen), timings, [{**first, "kept": True, "why": ""}])
    other = parameterisation.other_way(design, chosen)
    differently = "the other way" if other != chosen else SMALLER
    closer, again = more_careful(first, settings, seed, differently)
    retrace, more = sample(other, closer, again, cores)
    second = sampling.attempt(design, retrace, other, closer, again)
    better, records = judged(first, second, differently)
    timings = {key: value + more[key] for key, value in timings.items()}
    kept = (retrace, other) if better else (trace, chosen)
    return (*sampling.posterior(kept[0], design, kept[1]), timings, records)


def more_careful(
    first: dict[str, Any], settings: dict[str, Any], seed: int, differently: str
) -> tuple[dict[str, Any], int]:
    """Return the settings and the seed of a second fit, and log that there is one."""
    closer = {**settings, "target_accept": round(1.0 - (1.0 - settings["target_accept"]) / CLOSER, 6)}
    LOG.warning(
        "%d draws diverged; fitted once more, %s, with target acceptance %g",
        first["divergences"],
        differently,
        closer["target_accept"],
    )
    return closer, second_seed(seed)


def judged(first: dict[str, Any], second: dict[str, Any], differently: str) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether the second fit is better, and the records of both with which one is kept and why."""
    better = second["divergences"] < first["divergences"]
    why = f"{first['divergences']} divergences the first way, {second['divergences']} {differently}"
    LOG.warning("%s: the %s fit is kept", why, "second" if better else "first")
    return better, [{**first, "kept": not better, "why": why}, {**second, "kept": better, "why": why}]


def second_seed(seed: int) -> int:
    """Return the seed of a second fit, a hash of the first's."""
    return int.from_bytes(hashlib.sha256(f"{seed}\x1fthe other way".encode()).digest()[:4], "big")
