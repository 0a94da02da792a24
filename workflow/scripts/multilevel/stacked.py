"""The mixture of compared models by their stacking weights: how well it would have predicted, and what it predicts.

With weights w_k, the score of a unit under the mixture is log sum_k w_k exp(elpd_ik) (Yao, Vehtari, Simpson & Gelman 2018,
Bayesian Analysis 13:917, eq. 8), the logarithm of a mixture of predictive densities. The weights were chosen for these
very scores, so that the mixture's total is a little too good, by up to about one for each weight that is free.

Its predictions are of the rows that were scored, each given all data: replicates of every model that has a weight,
weighted by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from multilevel import families, likelihood, predictor
from multilevel.comparison import OK, Candidate, judged, paired
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]

REPLICATES = 1000
"""Most replicates of a row from each model, evenly spaced over the draws."""

LEAST_WEIGHT = 0.005
"""A model of less weight is left out of the predictions: fewer than 5 of the replicates of a row would be its own."""

ENDS = (0.025, 0.25, 0.75, 0.975)
"""Quantiles of the predictions: ends of the central 95 % and 50 % intervals."""


class Member(NamedTuple):
    """One model of a mixture: its weight, its design and its draws."""

    weight: float
    design: Design
    draws: Draws


def of_scores(candidates: Sequence[Candidate], table: pd.DataFrame) -> dict[str, Any]:
    """Return how well the mixture would have predicted what was left out.

    Parameters
    ----------
    candidates
        The models.
    table
        What `comparison.compare` made of them.

    Returns
    -------
    dict
        ``weights`` by model, ``elpd`` and ``se`` of the mixture, ``elpd_diff`` and ``se_diff`` from the best single model
        (positive where the mixture is better); empty where fewer than two models are ranked.
    """
    ranked = {c.model: c for c in map(judged, candidates) if c.scored and c.status == OK}
    if len(ranked) < 2:
        return {}
    weights = {str(m): float(w) for m, w in zip(table["model"], table["weight"], strict=True) if str(m) in ranked}
    best = ranked[str(table["model"].iloc[0])]
    mixture = _mixture([ranked[m] for m in weights], np.array(list(weights.values())))
    difference = paired(mixture.scores, best.scores)
    count = difference.count
    spread = paired(mixture.scores, _nothing(mixture).scores)
    return {
        "weights": weights,
        "elpd": spread.total,
        "se": float(np.sqrt(count * np.var(mixture.elpd, ddof=1))),
        "elpd_diff": difference.total,
        "se_diff": difference.se,
        "free_weights": sum(w > 0 for w in weights.values()) - 1,
    }


def _mixture(candidates: Sequence[Candidate], weights: Array) -> Candidate:
    """Return the mixture as a candidate.

    Where rows were sampled, its surrogates are those of the heaviest model: their sum over all rows is known, that of a
    mixture of surrogates is not, and the difference estimator is unbiased with any.
    """
    record, table = candidates[int(np.argmax(weights))].scores
    chosen = weights > 0
    matrix = np.column_stack([c.elpd for c in candidates])[:, chosen]
    return Candidate("mixture", OK, record, table.assign(elpd=logsumexp(matrix + np.log(weights[chosen]), axis=1)))


def _nothing(candidate: Candidate) -> Candidate:
    """Return a candidate whose scores are all 0."""
    record, table = candidate.scores
    zeros = {name: 0.0 for name in ("elpd", "surrogate") if name in table}
    sampling = {**candidate.subsampling, "surrogate_total": 0.0} if candidate.subsampling else None
    return Candidate("nothing", OK, {**record, "subsampling": sampling}, table.assign(**zeros))


def refusal(members: Sequence[Member]) -> str:
    """Return why the predictions of some models cannot be mixed; nothing where they can."""
    responses = list(dict.fromkeys(m.design.response for m in members))
    if len(responses) > 1:
        return f"the candidates predict different responses, {' and '.join(responses)}"
    return ""


def predictions(members: Sequence[Member], rows: NDArray[np.int64], seed: int) -> pd.DataFrame:
    """Return what a mixture predicts for some rows, given all data.

    Parameters
    ----------
    members
        The models, with weights that sum to 1.
    rows
        Positions of the rows, shape (n,).
    seed
        Of the replicates.

    Returns
    -------
    pandas.DataFrame
        One line for each row. Of numbers: ``observed``, ``mean``, ``sd`` and the `ENDS` of intervals, as ``q2.5``. Of
        categories: ``observed``, and the probability of each as ``p[label]``.
    """
    first = members[0].design
    shares = np.array([m.weight for m in members]) / sum(m.weight for m in members)
    per_model = [min(REPLICATES, m.draws.size) for m in members]
    streams = [np.random.default_rng([seed, place]) for place in range(len(members))]
    chosen = [
        m.draws.select(np.linspace(0, m.draws.size - 1, count).round().astype(int))
        for m, count in zip(members, per_model, strict=True)
    ]
    weights = np.concatenate([np.full(count, share / count) for count, share in zip(per_model, shares, strict=True)])
    parts = []
    for block in predictor.blocks(len(rows), sum(per_model) * max(m.design.width for m in members)):
        some = rows[block]
        drawn = [
            likelihood.replicates(m.design, rng, draws, some)
            for m, rng, draws in zip(members, streams, chosen, strict=True)
        ]
        parts.append(_summary(first, first.y[some], np.concatenate(drawn), weights))
    return pd.concat(parts, ignore_index=True)


def _summary(design: Design, observed: Array, drawn: Array, weights: Array) -> pd.DataFrame:
    """Return the summary of weighted replicates, shape (replicates, rows)."""
    if families.has_categories(design.family):
        labels = design.categories
        found = {f"p[{label}]": weights @ (drawn == number) for number, label in enumerate(labels, 1)}
        return pd.DataFrame({"observed": [labels[int(y) - 1] for y in observed], **found})
    mean = weights @ drawn
    sd = np.sqrt(weights @ np.square(drawn - mean))
    ends = weighted_quantiles(drawn, weights, ENDS)
    named = {f"q{100 * p:g}": end for p, end in zip(ENDS, ends, strict=True)}
    return pd.DataFrame({"observed": observed, "mean": mean, "sd": sd, **named})


def weighted_quantiles(values: Array, weights: Array, probabilities: Sequence[float]) -> Array:
    """Return the least values that at least a share of the weight does not exceed, shape (probabilities, columns).

    Parameters
    ----------
    values
        Shape (n, columns).
    weights
        Of the rows of `values`, which sum to 1, shape (n,).
    probabilities
        The shares.
    """
    order = np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    # A sum of weights may miss a share by its last bits.
    places = [np.minimum((below < p - 1e-12).sum(axis=0), len(values) - 1) for p in probabilities]
    return np.stack([np.take_along_axis(ordered, place[None], axis=0)[0] for place in places])


def summarise(table: pd.DataFrame, used: Mapping[str, float]) -> dict[str, Any]:
    """Return what a record says of predictions: how often the response lies in its intervals.

    Parameters
    ----------
    table
        What `predictions` returned.
    used
        Weights of the models that it is made of, by name.
    """
    record: dict[str, Any] = {"rows": len(table), "weights": dict(used)}
    if "mean" not in table:
        return record
    inside = {
        f"{share}": float(table["observed"].between(table[f"q{low}"], table[f"q{high}"]).mean())
        for share, low, high in (("0.5", "25", "75"), ("0.95", "2.5", "97.5"))
    }
    return record | {"coverage": inside}
