"""Tidy tables for the figures of a fit and of a study, made from draws, summaries and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import gaussian_kde, rankdata

from multilevel import predictor
from multilevel.convergence import Quantity
from multilevel.design import INTERCEPT, Design, Term
from multilevel.predictor import Draws

Array = NDArray[np.float64]

SHOWN = 6
"""Parameters in trace and rank figures: the worst ones by R-hat, in the order of the summary."""

SHOWN_DRAWS = 250
"""Draws of each chain in a trace."""

BINS = 20


def worst(found: list[Quantity], summary: pd.DataFrame, count: int = SHOWN) -> list[Quantity]:
    """Return the hyperparameters with the largest R-hat, in their own order."""
    top = summary[summary["kind"] != "group"]
    # An R-hat that cannot be computed is the worst of all.
    names = set(top.sort_values("r_hat", ascending=False, kind="stable", na_position="first")["parameter"][:count])
    return [q for q in found if q.parameter in names]


def trace(chosen: list[Quantity]) -> pd.DataFrame:
    """Return parameter, chain, draw, value; long runs are thinned evenly."""
    parts = []
    for quantity in chosen:
        chains, draws = quantity.values.shape
        kept = np.unique(np.linspace(0, draws - 1, min(draws, SHOWN_DRAWS)).round().astype(int))
        for chain in range(chains):
            values = quantity.values[chain, kept]
            parts.append(
                pd.DataFrame({"parameter": quantity.parameter, "chain": chain + 1, "draw": kept + 1, "value": values})
            )
    return pd.concat(parts, ignore_index=True)


def ranks(chosen: list[Quantity]) -> pd.DataFrame:
    """Return parameter, chain, bin, count, expected: histograms of the ranks of each chain's draws among all."""
    parts = []
    for quantity in chosen:
        chains, draws = quantity.values.shape
        ranked = rankdata(quantity.values.ravel(), method="ordinal").reshape(chains, draws) - 1
        bins = (ranked * BINS // (chains * draws)).astype(int)
        for chain in range(chains):
            counts = np.bincount(bins[chain], minlength=BINS)
            parts.append(
                pd.DataFrame(
                    {
                        "parameter": quantity.parameter,
                        "chain": chain + 1,
                        "bin": np.arange(BINS),
                        "count": counts,
                        "expected": draws / BINS,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def energy(stats: xr.Dataset, points: int = 120) -> pd.DataFrame:
    """Return chain, x, marginal, transition: densities of the energy (centred) and of its changes between draws."""
    values = stats["energy"].to_numpy()
    centred = values - values.mean(axis=1, keepdims=True)
    steps = np.diff(values, axis=1)
    reach = float(max(np.abs(centred).max(), np.abs(steps).max()))
    grid = np.linspace(-reach, reach, points)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "chain": i + 1,
                    "x": grid,
                    "marginal": gaussian_kde(centred[i])(grid),
                    "transition": gaussian_kde(steps[i])(grid),
                }
            )
            for i in range(len(values))
        ],
        ignore_index=True,
    )


def shrinkage(design: Design, draws: Draws, term: Term) -> pd.DataFrame:
    """Return, for each level of a term with a varying intercept, its own estimate and its partially pooled one.

    ``no_pooling`` is the mean of what the rest of the model leaves of the level's rows, with its standard error from
    the residual sd; ``partial`` is the posterior of the level's effect; ``pooled`` is 0, no difference between levels.
    """
    position = term.effects.index(INTERCEPT)
    effects = draws.effects[term.key][:, :, position].astype(np.float64)
    means = effects.mean(axis=0)
    left = np.empty(len(design.y))
    for rows in predictor.blocks(len(design.y), draws.size):
        fitted = predictor.linear_predictor(design, draws, rows).mean(axis=0)
        left[rows] = design.y[rows] - (fitted - means[term.index[rows]])
    counts = np.bincount(term.index, minlength=len(term.levels))
    own = np.bincount(term.index, weights=left, minlength=len(term.levels)) / counts
    half = 1.959964 * float(draws.others["sigma"].mean()) / np.sqrt(counts)
    lower, upper = np.quantile(effects, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "level": list(term.levels),
            "n": counts,
            "no_pooling": own,
            "no_pooling_lower": own - half,
            "no_pooling_upper": own + half,
            "partial": means,
            "partial_lower": lower,
            "partial_upper": upper,
            "pooled": 0.0,
        }
    )


def estimates(
    summaries: dict[str, pd.DataFrame], labels: dict[str, str], status: dict[str, str], most: int = 12
) -> pd.DataFrame:
    """Return parameter, model, mean, lower, upper, status for the parameters that a figure has room for.

    Contrasts of a factor with many levels are left out: they are listed in the tables.
    """
    parts = []
    for name, summary in summaries.items():
        top = summary[summary["kind"] != "group"]
        many = top["parameter"].str.extract(r"^(b\([^\[]*\[)", expand=False)
        crowded = set(many.value_counts()[lambda counts: counts > most].index)
        kept = top[~many.isin(crowded)][["parameter", "mean", "lower", "upper"]].copy()
        kept.insert(1, "model", labels[name])
        kept["status"] = status[name]
        parts.append(kept)
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=["parameter", "model", "mean", "lower", "upper", "status"])
    )


def pareto_k(units: pd.DataFrame, threshold: float, groups: Any) -> pd.DataFrame:
    """Return row_id, pareto_k, group, threshold."""
    return pd.DataFrame(
        {"row_id": units["row_id"], "pareto_k": units["pareto_k"], "group": groups, "threshold": threshold}
    )
