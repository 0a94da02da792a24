"""Fitted trajectories: what a model expects of each subject over time, and of a new one, with intervals.

Times are taken as measured. Between two measurements of a subject, the columns of its design (predictors, what multiplies its
effects, columns of a curve) are interpolated linearly: exact for times and for curves of time, straight lines from one
measurement to the next where time enters by a spline or a polynomial, or where other predictors change.

A new subject has effects drawn from their distribution at each draw, and the predictors and times of a subject of the data.
Effects that it shares with others (of schools, say, or of items) stay those of that subject.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import families, integration, likelihood, predictor
from multilevel.design import Design, Term
from multilevel.predictor import Draws

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DRAWS = 2000
"""Most draws that trajectories are computed of."""

POINTS = 40
"""Evenly spaced times of a trajectory, besides those measured."""

INTERVAL = 0.95

COLUMNS = ("panel", "kind", "time", "value", "median", "lower", "upper", "predicted_lower", "predicted_upper")


@dataclass(frozen=True)
class Followed:
    """Who was measured when.

    Parameters
    ----------
    time
        Time of each row, shape (rows,).
    index, labels
        Subject of each row, and the names of the subjects.
    name
        What a subject is.
    """

    time: Array
    index: Index
    labels: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Points:
    """Places on trajectories, between two rows of the data each.

    Parameters
    ----------
    before, after
        The rows before and after, shape (points,).
    weight
        How far each is on the way to the one after, shape (points,).
    time
        Its time, shape (points,).
    """

    before: Index
    after: Index
    weight: Array
    time: Array


def reason_against(design: Design) -> str:
    """Return why a model has no trajectories, as a sentence; nothing where it has."""
    if design.categories:
        return f"The responses of the family {design.family} are categories, which have no mean to follow over time."
    if {"lb", "ub"} & set(design.terms):
        return "Responses are truncated, and what is expected of them between their bounds is not computed."
    return ""


def shown(design: Design, followed: Followed, most: int) -> Index:
    """Return which subjects are drawn: all, or so many evenly spaced in order of their mean response."""
    y = design.y / design.terms.get("trials", np.ones(len(design.y)))
    counts = np.bincount(followed.index, minlength=len(followed.labels))
    means = np.bincount(followed.index, y, len(followed.labels)) / np.maximum(counts, 1)
    seen = np.flatnonzero(counts > 0)
    if len(seen) <= most:
        return seen
    order = seen[np.argsort(means[seen], kind="stable")]
    places = np.unique(np.linspace(0, len(order) - 1, most).round().astype(int))
    return np.sort(order[places])


def points(followed: Followed, subject: int) -> Points:
    """Return the trajectory of one subject: evenly spaced times from its first to its last, and those measured.

    Of several rows at one time, the first one is taken.
    """
    rows = np.flatnonzero(followed.index == subject)
    measured, first = np.unique(followed.time[rows], return_index=True)
    rows = rows[first]
    time = np.union1d(measured, np.linspace(measured[0], measured[-1], POINTS)) if len(rows) > 1 else measured
    after = np.clip(np.searchsorted(measured, time, side="left"), 0, len(rows) - 1)
    before = np.where(measured[after] == time, after, np.maximum(after - 1, 0))
    gap = measured[after] - measured[before]
    weight = np.divide(time - measured[before], gap, out=np.zeros(len(time)), where=gap > 0)
    return Points(rows[before], rows[after], weight, time)


def along(design: Design, at: Points) -> Design:
    """Return a design with a row for each point; its response is not known and stands as 0."""

    def between(values: Array) -> Array:
        share = at.weight.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray((1.0 - share) * values[at.before] + share * values[at.after])

    def term_at(term: Term) -> Term:
        weights = None if term.weights is None else term.weights[at.before]
        return replace(term, z=between(term.z), index=term.index[at.before], weights=weights)

    curve = design.curve
    if curve:
        curve = replace(curve, columns={name: between(values) for name, values in curve.columns.items()})
    return replace(
        design,
        y=np.zeros(len(at.time)),
        predictors=tuple(
            replace(part, x=between(part.x), offset=between(part.offset), centre=part.means)
            for part in design.predictors
        ),
        group_terms=tuple(term_at(term) for term in design.group_terms),
        terms={name: values[at.before] for name, values in design.terms.items() if name in {"trials", "se"}},
        log_jacobian=None,
        curve=curve,
    )


def expected(
    design: Design, draws: Draws, followed: Followed, most: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return the trajectories to draw, those of all subjects at the times measured, and what must be said of them.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    followed
        Who was measured when.
    most
        Most subjects that are drawn.
    seed
        The fit's seed; predicted responses and new effects have a stream of their own.

    Returns
    -------
    tuple
        A table with `COLUMNS`, one row per point of a trajectory (kind ``fit``: the posterior median of what is expected, its
        95% interval, and that of a new response) and per observation (kind ``observed``: its value); a table with subject,
        time, observed, median, lower, upper, predicted_lower, predicted_upper, one row per row of the data; and a note. Of
        counts out of a number of trials, all are shares.
    """
    rng = np.random.default_rng([seed, 7])
    draws = draws.thinned(DRAWS)
    chosen = shown(design, followed, most)
    observed = design.y / design.terms.get("trials", np.ones(len(design.y)))
    parts = []
    for subject in chosen:
        at = points(followed, int(subject))
        parts.append(_fitted(followed.labels[subject], at.time, _summary(along(design, at), draws, rng)))
        own = np.flatnonzero(followed.index == subject)
        parts.append(_observed(followed.labels[subject], followed.time[own], observed[own]))
    notes = []
    if len(chosen) < len(followed.labels):
        notes.append(
            f"{len(chosen)} of {len(followed.labels):,} levels of {followed.name} are drawn, evenly spaced in order of their mean"
        )
    profile = _longest(followed)
    at = points(followed, profile)
    ahead, own_terms, why = _renewed(along(design, at), design, draws, followed, rng)
    if why:
        notes.append(why)
    elif own_terms:
        label = f"new {followed.name}"
        found = _summary(along(design, at), ahead, rng)
        parts.append(_fitted(label, at.time, found))
        notes.append(f"the new one has the times and predictors of {followed.name} {followed.labels[profile]}")
        if (lost := float(found["undefined"].max())) > 0:
            notes.append(f"its curve is undefined in up to {100 * lost:.0f}% of the draws, which are left out")
    else:
        notes.append(f"nothing varies between levels of {followed.name}, so that a new one is like these")
    note = "; ".join(notes)
    table = pd.concat(parts, ignore_index=True)[list(COLUMNS)]
    return table, _of_all(design, draws, followed, observed, rng), f"{note[0].upper()}{note[1:]}." if note else ""


def _fitted(label: str, time: Array, summary: dict[str, Array]) -> pd.DataFrame:
    kept = {name: summary[name] for name in COLUMNS[4:]}
    return pd.DataFrame({"panel": label, "kind": "fit", "time": time, "value": np.nan, **kept})


def _observed(label: str, time: Array, value: Array) -> pd.DataFrame:
    nothing = dict.fromkeys(COLUMNS[4:], np.nan)
    return pd.DataFrame({"panel": label, "kind": "observed", "time": time, "value": value, **nothing})


def _of_all(
    design: Design, draws: Draws, followed: Followed, observed: Array, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what is expected of every row of the data, block by block."""
    tables = []
    for rows in predictor.blocks(len(design.y), draws.size):
        own = np.arange(rows.start, rows.stop)
        at = Points(own, own, np.zeros(len(own)), followed.time[own])
        found = _summary(along(design, at), draws, rng)
        columns = {name: found[name] for name in COLUMNS[4:]}
        subject = np.asarray(followed.labels, dtype=object)[followed.index[own]]
        table = {"subject": subject, "time": followed.time[own], "observed": observed[own], **columns}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def _summary(design: Design, draws: Draws, rng: np.random.Generator) -> dict[str, Array]:
    """Return median and interval of what is expected in each row, and the interval of a new response, shape (rows,) each.

    Draws at which a curve is undefined are left out of a row; ``undefined`` is their share.
    """
    rows = slice(0, len(design.y))
    arguments = predictor.arguments(design, draws, rows)
    trials = design.terms.get("trials", np.ones(len(design.y)))
    good = np.isfinite(np.broadcast_to(arguments["eta"], (draws.size, len(design.y))))
    arguments["eta"] = np.where(good, arguments["eta"], 0.0)
    with np.errstate(over="ignore", under="ignore"):
        mean = np.asarray(families.get(design.family).mean(**arguments)) / trials
        new = likelihood.draws_of_rows(design, rng, rows, arguments) / trials
    mean, new = (np.where(good, np.broadcast_to(values, good.shape), np.nan) for values in (mean, new))
    ends = [0.5 - 0.5 * INTERVAL, 0.5 + 0.5 * INTERVAL]
    known = good.any(axis=0)
    out = {name: np.full(len(design.y), np.nan) for name in COLUMNS[4:]}
    out["lower"][known], out["median"][known], out["upper"][known] = np.nanquantile(
        mean[:, known], [ends[0], 0.5, ends[1]], axis=0
    )
    out["predicted_lower"][known], out["predicted_upper"][known] = np.nanquantile(new[:, known], ends, axis=0)
    return {**out, "undefined": 1.0 - good.mean(axis=0)}


def _longest(followed: Followed) -> int:
    """Return the subject that was followed longest; of several the one with most measurements, the first of these."""
    count = len(followed.labels)
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, followed.index, followed.time)
    np.maximum.at(last, followed.index, followed.time)
    rows = np.bincount(followed.index, minlength=count)
    return int(np.lexsort((-np.arange(count), rows, last - first))[-1])


def _renewed(
    ahead: Design, design: Design, draws: Draws, followed: Followed, rng: np.random.Generator
) -> tuple[Draws, int, str]:
    """Return draws with new effects of the levels that are one subject's own, of how many terms, and why there are none."""
    effects = dict(draws.effects)
    count = 0
    for term, placed in zip(design.group_terms, ahead.group_terms, strict=True):
        if not _is_own(term, followed):
            continue
        if not term.exchangeable:
            return draws, 0, f"no new {followed.name} is drawn, because {term.words}"
        levels = np.unique(placed.index)
        normal = rng.standard_normal((draws.size, len(levels), len(term.effects)))
        values = np.array(effects[term.key], dtype=np.float64)
        values[:, levels] = np.einsum("sij,slj->sli", integration.factor(term, draws), normal)
        effects[term.key] = values.astype(np.float32)
        count += 1
    return replace(draws, effects=effects), count, ""


def _is_own(term: Term, followed: Followed) -> bool:
    """Tell a term whose levels have rows of one subject each."""
    index = term.index.reshape(len(term.index), -1)
    owner = np.full(len(term.levels), -1, dtype=np.int64)
    owner[index] = followed.index[:, None]
    return bool((owner[index] == followed.index[:, None]).all())
