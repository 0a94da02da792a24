"""Tidy tables for the figures of a fit and of a study, made from draws, summaries, checks and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from multilevel import checks, density, families, mcmc, predictor, preparation, storage
from multilevel.convergence import Quantity
from multilevel.default_priors import coefficient_name, cor_names, sd_name
from multilevel.design import INTERCEPT, Design, Term
from multilevel.predictor import Draws

Array = NDArray[np.float64]

SHOWN = 6
"""Parameters in trace and rank figures: the worst ones by R-hat, in the order of the summary."""

SHOWN_DRAWS = 250
"""Draws of each chain in a trace."""

HARDEST = 4
"""Parameters in a scatter matrix, beside the log posterior."""

PAIRED_DRAWS = 600
"""Draws in a scatter matrix, and half as many divergent ones at most."""

BINS = 20

KINDS = ("population", "sd", "cor", "residual")
"""Kinds of parameters in a forest plot, in this order."""

MOST_CONTRASTS = 12
"""Coefficients of one factor that a forest plot has room for."""

MOST_PARAMETERS = 60

MOST_COMPARED = 8
"""Models whose differences are drawn row by row."""

MOST_COLUMNS = 60

ESTIMATES = (
    "no_pooling", "no_pooling_lower", "no_pooling_upper", "partial", "partial_lower", "partial_upper", "pooled",
)  # fmt: skip
"""Columns of numbers in a table of shrinkage."""

STEPS = 25
"""Steps of Fisher scoring after which an estimate that still moves is none: on the logit scale it would be beyond 20."""

SCALES = {"density": "Density", "share": "Share of rows"}
"""What the height of a curve is."""


def worst(found: list[Quantity], summary: pd.DataFrame, count: int = SHOWN) -> list[Quantity]:
    """Return the hyperparameters with the largest R-hat, in their own order."""
    top = summary[summary["kind"] != "group"]
    # An R-hat that cannot be computed is the worst of all.
    names = set(top.sort_values("r_hat", ascending=False, kind="stable", na_position="first")["parameter"][:count])
    return [q for q in found if q.parameter in names]


def hardest(found: list[Quantity], summary: pd.DataFrame, count: int = HARDEST) -> list[Quantity]:
    """Return the hyperparameters that the sampler found hardest, in their own order.

    How hard is how often the usual limits are exceeded: R-hat - 1 in units of 0.01, and 100 effective draws per chain over
    the smaller effective sample size (Vehtari et al. 2021, section 4), whichever is larger. What cannot be computed is the
    hardest of all.
    """
    top = summary[summary["kind"] != "group"]
    chains = found[0].values.shape[0] if found else 1
    fewest = top[["ess_bulk", "ess_tail"]].min(axis=1, skipna=False)
    hard = pd.concat([(top["r_hat"] - 1) / 0.01, 100 * chains / fewest], axis=1).max(axis=1)
    hard = hard.where(top[["r_hat", "ess_bulk", "ess_tail"]].notna().all(axis=1), np.inf)
    names = set(top.loc[hard.sort_values(ascending=False, kind="stable").index[:count], "parameter"])
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
        ranked = np.empty(chains * draws, dtype=np.int64)
        ranked[np.argsort(quantity.values.ravel(), kind="stable")] = np.arange(chains * draws)
        bins = ranked.reshape(chains, draws) * BINS // (chains * draws)
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
    """Return chain, x, marginal, transition, e_bfmi: densities of the energy (centred) and of its changes between draws."""
    values = stats["energy"].to_numpy()
    centred = values - values.mean(axis=1, keepdims=True)
    steps = np.diff(values, axis=1)
    fractions = mcmc.e_bfmi(values)
    reach = float(max(np.abs(centred).max(), np.abs(steps).max())) or 1.0
    grid = np.linspace(-reach, reach, points)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "chain": i + 1,
                    "x": grid,
                    "marginal": density.kernel(centred[i], grid),
                    "transition": density.kernel(steps[i], grid),
                    "e_bfmi": fractions[i],
                }
            )
            for i in range(len(values))
        ],
        ignore_index=True,
    )


def pairs(chosen: list[Quantity], stats: xr.Dataset, summary: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return parameter, chain, draw, value, diverging, r_hat, ess of some parameters and the log posterior, and a note.

    Draws are thinned evenly over all chains; divergent ones are kept, evenly thinned where they are many. The note says
    how many of how many are shown.
    """
    diverging = stats["diverging"].to_numpy().ravel()
    chains, draws = stats.sizes["chain"], stats.sizes["draw"]
    divergent = np.flatnonzero(diverging)
    kept = np.union1d(_evenly(np.arange(chains * draws), PAIRED_DRAWS), _evenly(divergent, PAIRED_DRAWS // 2))
    kept = kept[~diverging[kept] | np.isin(kept, _evenly(divergent, PAIRED_DRAWS // 2))]
    known = summary.set_index("parameter")
    parts = []
    for name, values in [*((q.parameter, q.values) for q in chosen), ("log posterior", stats["lp"].to_numpy())]:
        there = name in known.index
        parts.append(
            pd.DataFrame(
                {
                    "parameter": name,
                    "chain": kept // draws + 1,
                    "draw": kept % draws + 1,
                    "value": values.ravel()[kept],
                    "diverging": diverging[kept].astype(int),
                    "r_hat": known.loc[name, "r_hat"] if there else np.nan,
                    "ess": known.loc[name, ["ess_bulk", "ess_tail"]].min() if there else np.nan,
                }
            )
        )
    shown = int(diverging[kept].sum())
    note = f"{len(kept)} of {chains * draws} draws"
    if len(divergent):
        note += f", {'all' if shown == len(divergent) else shown} of the {len(divergent)} divergent ones among them"
    return pd.concat(parts, ignore_index=True), f"{note}."


def _evenly(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of some values, evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    return np.asarray(values[places], dtype=np.int64)


def terms_of(design: Design, group: str) -> list[Term]:
    """Return the terms of one grouping."""
    return [term for term in design.group_terms if term.group == group]


def caterpillar(design: Design, summary: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return effect, level, mean, lower, upper, inner_lower, inner_upper of every effect of one grouping.

    An effect that two terms of the grouping have carries the term's number.
    """
    effects = summary[summary["kind"] == "group"]
    parts = []
    for term in terms_of(design, group):
        names = _effect_names(design, term, range(len(term.effects)))
        for effect, name in zip(term.effects, names, strict=True):
            rows = effects[(effects["group"].astype(str) == term.label) & (effects["effect"].astype(str) == effect)]
            part = rows[["level", "mean", "lower", "upper", "inner_lower", "inner_upper"]].copy()
            part.insert(0, "effect", name)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def shrinkage(design: Design, summary: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return, for each effect and level of one grouping, the level's own estimate and its partially pooled one.

    ``no_pooling`` is what maximum likelihood finds in the level's own rows for all its effects at once, the rest of the
    model held at its posterior means (for a normal response, least squares); its interval comes from the information
    matrix. It is missing where a level's rows do not tell the effect from the others (a slope, where the predictor does
    not vary), where the estimate is not finite (a level of successes only), and where responses are censored or a level holds
    part of a subject whose residuals are correlated. ``partial`` is the posterior of the level's effect; ``pooled`` is 0, no
    difference between levels. Effects on other parameters than the first, such as sigma, have no such estimates and no rows;
    a grouping of none but those gives an empty table.
    """
    partial = caterpillar(design, summary, group)
    if any(term.weights is not None for term in terms_of(design, group)):
        return pd.DataFrame(columns=["effect", "level", "n", *ESTIMATES])
    terms = [(term, term.positions(design.unprefixed)) for term in terms_of(design, group)]
    names = [name for term, positions in terms for name in _effect_names(design, term, positions)]
    levels = list(terms[0][0].levels)
    counts = np.bincount(terms[0][0].index, minlength=len(levels))
    own, errors = _own_estimates(design, summary, terms) if names else (np.zeros((0, 0)), np.zeros((0, 0)))
    parts = [pd.DataFrame(columns=["effect", "level", "n", *ESTIMATES])]
    for position, effect in enumerate(names):
        rows = partial[partial["effect"] == effect].set_index("level").loc[levels]
        half = 1.959964 * errors[:, position]
        alone = own[:, position]
        found = (alone, alone - half, alone + half, rows["mean"], rows["lower"], rows["upper"], np.zeros(len(levels)))
        columns = {name: np.asarray(values, dtype=np.float64) for name, values in zip(ESTIMATES, found, strict=True)}
        parts.append(pd.DataFrame({"effect": effect, "level": levels, "n": counts, **columns}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _effect_names(design: Design, term: Term, positions: Sequence[int]) -> list[str]:
    """Return how some effects of a term are called where all effects of its grouping are shown."""
    names = [effect for other in terms_of(design, term.group) for effect in other.effects]
    return [e if names.count(e) == 1 else f"{term.label}: {e}" for e in (term.effects[i] for i in positions)]


def _at_means(design: Design, summary: pd.DataFrame) -> Draws:
    """Return the posterior means as a single draw."""
    means = dict(zip(summary["parameter"], summary["mean"].astype(float), strict=True))
    b = np.array([[means[coefficient_name(name)] for name in design.all_coefficients]])
    effects = {
        term.key: np.array(
            [[[means[f"{term.label}[{level}: {effect}]"] for effect in term.effects] for level in term.levels]]
        ).reshape(1, len(term.levels), len(term.effects))
        for term in design.group_terms
    }
    residual = np.array([[means[name] for name in design.residuals.parameters]]) if design.residuals else None
    return Draws(1, 1, b, effects, {name: np.array([means[name]]) for name in design.scalars}, residual=residual)


def _own_estimates(design: Design, summary: pd.DataFrame, terms: list[tuple[Term, list[int]]]) -> tuple[Array, Array]:
    """Return estimates of a grouping's effects on the first parameter from each level alone, and their standard errors.

    Fisher scoring, every level by itself: with mu = E[y], d = dmu/deta and V = Var[y], each step solves
    Z' W Z step = Z' W (y - mu) / d with W = d^2 / V, times the weight of the row (McCullagh & Nelder 1989, section 2.5). Of
    ordered categories, W is the information sum_k p_k (dlog p_k/deta)^2, and dlog p_y/deta over W stands for (y - mu) / d.

    Returns
    -------
    tuple
        Two arrays of shape (levels, effects); NaN where the level's rows do not determine the effect.
    """
    z = np.column_stack([term.z[:, positions] for term, positions in terms])
    index, levels = terms[0][0].index, len(terms[0][0].levels)
    if "cens" in design.terms:
        return np.full((levels, z.shape[1]), np.nan), np.full((levels, z.shape[1]), np.nan)
    draw = _at_means(design, summary)
    others = predictor.arguments(design, draw, slice(0, len(design.y)))
    start = np.column_stack([draw.effects[term.key][0][:, positions] for term, positions in terms])
    rest = np.asarray(others.pop("eta")[0]) - (start[index] * z).sum(axis=1)
    if design.residuals is not None:
        sigma = np.broadcast_to(others["sigma"], (1, len(design.y)))[0]
        return _of_correlated(design, draw, (z, index, levels), sigma, rest)
    weights = design.terms.get("weights", np.ones(len(design.y)))
    found, step = start, np.full_like(start, np.inf)
    inverse = np.full_like(start, np.nan)
    with np.errstate(all="ignore"):  # what diverges becomes NaN, which is what is said of it
        for _ in range(STEPS):
            work, working = _information(design, rest + (found[index] * z).sum(axis=1), others)
            step, inverse = _solved(*_normal_equations(z, index, levels, weights * work, working))
            found = found + np.where(np.isnan(step), 0.0, step)
            if np.nanmax(np.abs(step), initial=0.0) < 1e-8:
                break
        settled = np.nanmax(np.abs(step), axis=1, initial=0.0) < 1e-6 * (1 + np.abs(found).max(axis=1))
    unknown = np.where(settled[:, None] & np.isfinite(step), 0.0, np.nan)
    return found + unknown, np.sqrt(np.maximum(inverse, 0.0)) + unknown


def _of_correlated(
    design: Design, draw: Draws, of: tuple[Array, NDArray[np.int64], int], sigma: Array, rest: Array
) -> tuple[Array, Array]:
    """Return what `_own_estimates` does where residuals are correlated: generalised least squares, level by level.

    Rows are multiplied by C^(-1/2) / sigma, which mixes those of one subject alone; a level that holds part of a subject has
    no estimate of its own.
    """
    z, index, levels = of
    residuals = design.residuals
    assert residuals is not None
    assert draw.residual is not None
    level = np.zeros(int(residuals.subject.max()) + 1, dtype=np.int64)
    level[residuals.subject] = index
    if (level[residuals.subject] != index).any():
        return np.full((levels, z.shape[1]), np.nan), np.full((levels, z.shape[1]), np.nan)
    columns = np.column_stack([design.y - rest, z]) / sigma[:, None]
    white = residuals.whitened(draw.residual, columns)
    found, inverse = _solved(*_normal_equations(white[:, 1:], index, levels, np.ones(len(white)), white[:, 0]))
    return found, np.sqrt(np.maximum(inverse, 0.0)) + 0.0 * found


def _information(design: Design, eta: Array, others: dict[str, Any]) -> tuple[Array, Array]:
    """Return the information of each row about its predictor, and the derivative of its log density over that."""
    module, eta = families.get(design.family), eta[None, :]  # one draw, as the family's functions expect
    small = 1e-5 * np.maximum(1.0, np.abs(eta))
    if design.categories:
        higher, lower = (module.log_probabilities(at, **others) for at in (eta + small, eta - small))
        slopes = ((higher - lower) / (2 * small[..., None]))[0]
        work = (module.probabilities(eta, **others)[0] * slopes**2).sum(axis=1)
        return work, slopes[np.arange(len(slopes)), design.y.astype(np.int64) - 1] / work
    slope = (module.mean(eta + small, **others) - module.mean(eta - small, **others)) / (2 * small)
    work = slope**2 / module.variance(eta, **others)
    return work[0], ((design.y - module.mean(eta, **others)) / slope)[0]


def _normal_equations(
    z: Array, index: NDArray[np.int64], levels: int, work: Array, working: Array
) -> tuple[Array, Array]:
    """Return Z' W Z and Z' W r of every level, shapes (levels, effects, effects) and (levels, effects)."""
    count = z.shape[1]
    products = np.empty((levels, count, count))
    sums = np.empty((levels, count))
    # A level of which some row gives no number, as where a probability has reached 1, gives none itself.
    good = np.where(np.isfinite(work) & np.isfinite(working), 1.0, np.nan)
    lost = np.isnan(np.bincount(index, weights=good, minlength=levels))
    work, working = np.nan_to_num(work * good), np.nan_to_num(working * good)
    for i in range(count):
        sums[:, i] = np.bincount(index, weights=work * z[:, i] * working, minlength=levels)
        for j in range(count):
            products[:, i, j] = np.bincount(index, weights=work * z[:, i] * z[:, j], minlength=levels)
    products[lost] = 0.0
    return products, sums


def _solved(products: Array, sums: Array) -> tuple[Array, Array]:
    """Solve the normal equations of every level; return the estimates and the diagonals of the inverses.

    An effect is determined where its unit vector lies in the range of the level's cross products; the others are NaN. The
    products are scaled to a correlation matrix first, so that what counts as zero does not depend on units.
    """
    scale = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(inverse[:, :, None] * products * inverse[:, None, :])
    kept = values > 1e-9
    reciprocal = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    solution = np.einsum("lik,lk,ljk,lj->li", vectors, reciprocal, vectors, inverse * sums)
    diagonal = np.einsum("lik,lk,lik->li", vectors, reciprocal, vectors)
    determined = np.einsum("lik,lk,lik->li", vectors, kept.astype(float), vectors) > 1 - 1e-6
    unknown = np.where(determined & (scale > 0), 0.0, np.nan)
    return inverse * solution + unknown, inverse**2 * diagonal + unknown


def shrinkage_plane(design: Design, summary: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return, for each varying intercept and each slope correlated with it, both estimates of both for every level.

    Columns: x_effect, y_effect, level, n, alone_x, alone_y, partial_x, partial_y as in `shrinkage`; sd_x, sd_y, cor
    (posterior means).
    """
    found = shrinkage(design, summary, group)
    means = dict(zip(summary["parameter"], summary["mean"].astype(float), strict=True))
    parts = []
    for term in terms_of(design, group):
        positions = term.positions(design.unprefixed)
        shown = _effect_names(design, term, positions)
        effects = dict(zip([term.effects[i] for i in positions], shown, strict=True))
        if not term.correlated or INTERCEPT not in effects:
            continue
        x = found[found["effect"] == effects[INTERCEPT]]
        for effect, name in effects.items():
            if effect == INTERCEPT:
                continue
            y = found[found["effect"] == name]
            both = {f"cor({term.label}: {a}, {b})" for a, b in ((INTERCEPT, effect), (effect, INTERCEPT))}
            parts.append(
                pd.DataFrame(
                    {
                        "x_effect": INTERCEPT,
                        "y_effect": effect,
                        "level": x["level"].to_numpy(),
                        "n": x["n"].to_numpy(),
                        "alone_x": x["no_pooling"].to_numpy(),
                        "alone_y": y["no_pooling"].to_numpy(),
                        "partial_x": x["partial"].to_numpy(),
                        "partial_y": y["partial"].to_numpy(),
                        "sd_x": means[sd_name(term, INTERCEPT)],
                        "sd_y": means[sd_name(term, effect)],
                        "cor": next(means[name] for name in cor_names(term) if name in both),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def forest(
    summaries: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    status: Mapping[str, str],
    quantities: Mapping[str, str],
) -> tuple[pd.DataFrame, str]:
    """Return parameter, model, mean, lower, upper, inner_lower, inner_upper, status of every hyperparameter, and a note.

    Parameters stand by kind: population, standard deviations, correlations, residual. Contrasts of a factor with many
    levels, and what a figure has no room for, are left out and counted in the note. `quantities` names each model's
    response: parameters of models of different responses are different parameters, though they have one name.
    """
    several = len(set(quantities.values())) > 1
    columns = ["parameter", "kind", "mean", "lower", "upper", "inner_lower", "inner_upper"]
    parts = []
    crowded: dict[str, int] = {}
    for name, summary in summaries.items():
        top = summary.loc[summary["kind"] != "group", columns]
        factor = top["parameter"].str.extract(r"^(b\([^\[]*\[)", expand=False)
        many = {str(f): int(n) for f, n in factor.value_counts().items() if n > MOST_CONTRASTS}
        crowded |= {f: max(n, crowded.get(f, 0)) for f, n in many.items()}
        kept = top[~factor.isin(set(many))].copy()
        if several:
            kept["parameter"] += f", {quantities[name]}"
        kept.insert(1, "model", labels[name])
        kept["status"] = status[name]
        parts.append(kept)
    empty = pd.DataFrame(columns=["parameter", "model", *columns[1:], "status"])
    table = pd.concat(parts, ignore_index=True) if parts else empty
    place = table["kind"].map({kind: position for position, kind in enumerate(KINDS)})
    table = table.assign(place=place).sort_values("place", kind="stable", ignore_index=True)
    names = list(dict.fromkeys(table["parameter"]))
    beyond = names[MOST_PARAMETERS:]
    table = table[~table["parameter"].isin(beyond)].drop(columns=["place", "kind"])
    left_out = [f"{count} of {factor}…])" for factor, count in crowded.items()]
    left_out += [f"{len(beyond)} more parameters"] if beyond else []
    return table, f"Not drawn, but in the tables: {', '.join(left_out)}." if left_out else ""


def pareto_k(units: pd.DataFrame, threshold: float, groups: Any) -> pd.DataFrame:
    """Return row_id, pareto_k, group, threshold of the scored rows; `groups` is one text or has one for each of them."""
    return pd.DataFrame(
        {"row_id": units["row_id"], "pareto_k": units["pareto_k"], "group": groups, "threshold": threshold}
    )


def pointwise(
    differences: pd.DataFrame, ranked: Sequence[str], labels: Mapping[str, str], group_of: Callable[[str], str]
) -> tuple[pd.DataFrame, str]:
    """Return model, row_id, group, diff of the ranked models but the best, and a note on those left out.

    Parameters
    ----------
    differences
        Per-unit differences from the best model: row_id (or level, where groups were left out), model, diff.
    ranked
        Names of the ranked models, the best first.
    labels
        Labels of the models by name.
    group_of
        Gives the group of a row by its row_id.
    """
    differences = differences.rename(columns={"level": "row_id"})
    shown, beyond = ranked[1 : MOST_COMPARED + 1], ranked[MOST_COMPARED + 1 :]
    parts = [differences.loc[differences["model"] == name, ["model", "row_id", "diff"]] for name in shown]
    table = pd.concat(parts, ignore_index=True) if parts else differences.iloc[:0][["model", "row_id", "diff"]]
    table = table.assign(model=table["model"].map(labels), group=[group_of(str(row)) for row in table["row_id"]])
    note = f"The {len(shown)} models ranked next are drawn; {len(beyond)} more are not." if beyond else ""
    return table[["model", "row_id", "group", "diff"]], note


def missingness(summary: Mapping[str, Any], used: Iterable[str]) -> tuple[pd.DataFrame, str]:
    """Return column, missing, n of the columns that some model uses and of others with missing values, and a note.

    Parameters
    ----------
    summary
        The summary of the prepared dataset.
    used
        The columns that some model uses; one that centring or nesting makes stands for the columns that it is made of.
    """
    missing: Mapping[str, int] = summary["missing"]
    sources = {source: None for name in used for source in sorted(preparation.sources(summary["steps"], name))}
    wanted = [name for name in sources if name in missing]
    others = sorted(
        (name for name, count in missing.items() if count and name not in sources), key=lambda c: -missing[c]
    )
    names, beyond = [*wanted, *others][:MOST_COLUMNS], [*wanted, *others][MOST_COLUMNS:]
    rows = summary["rows"]["after_filter"]
    note = f"{len(beyond)} more columns are not drawn." if beyond else ""
    if others:
        note = f"The first {len(wanted)} are used by some model. {note}".strip()
    return pd.DataFrame({"column": names, "missing": [missing[name] for name in names], "n": rows}), note


def by_group(densities: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return group, level, n, source, replicate, x, density of one fit, and the words of its figure."""
    scale = str(densities["scale"].iloc[0])
    table = densities.drop(columns="scale")
    level = table["level"].where(table["group"] != "", "all rows")
    shown = list(dict.fromkeys(table.loc[table["group"] != "", "group"]))
    several = len(shown) > 1
    named = [
        f"{group}: {name}" if several and group else name for group, name in zip(table["group"], level, strict=True)
    ]
    note = (
        f"All rows, then the largest levels of {' and of '.join(shown)}; in brackets, how many rows." if shown else ""
    )
    return table.assign(level=named), {"y": SCALES[scale], "note": note}


def marked(labels: Mapping[str, str], status: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of models, with a word where a fit failed its checks: a figure is also looked at on its own."""
    return {name: label if status[name] == "ok" else f"{label} ({status[name]})" for name, label in labels.items()}


def statuses(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return ``ok`` or ``failed checks`` of every fit."""
    passed = {name: storage.read_json(path / "diagnostics.json")["passed"] for name, path in folders.items()}
    return {name: "ok" if ok else "failed checks" for name, ok in passed.items()}


def with_responses(labels: Mapping[str, str], quantities: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the labels of models and the words of a figure that shows what they predict.

    Where the models have several responses, each label says which, and panels share no scale.
    """
    several = len(set(quantities.values())) > 1
    named = {name: f"{label}, {quantities[name]}" if several else label for name, label in labels.items()}
    quantity = "response of each candidate" if several else next(iter(quantities.values()), "response")
    return named, {"quantity": quantity, "share": not several}


def of_all_rows(folders: Mapping[str, Path], labels: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return model, source, replicate, x, density of all rows under every model, and what the density is."""
    parts = []
    for name, folder in folders.items():
        table = pd.read_parquet(folder / "densities.parquet")
        parts.append(table[table["group"] == ""].assign(model=labels[name]))
    table = pd.concat(parts, ignore_index=True)
    scales = [SCALES[scale] for scale in dict.fromkeys(table["scale"])]
    return table[["model", "source", "replicate", "x", "density"]], " or ".join(scales)


def of_models(folders: Mapping[str, Path], file: str, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return a table of checks of every model, one after another, with the models' labels."""
    table = pd.concat([storage.read_csv(path / file, checks.TEXT) for path in folders.values()], ignore_index=True)
    return table.assign(model=table["model"].map(labels))


def group_statistics(folders: Mapping[str, Path], labels: Mapping[str, str], group: str) -> tuple[pd.DataFrame, str]:
    """Return model, statistic, level, n, observed, predicted, lower, upper of one grouping, and a note."""
    table = of_models(folders, "checks_by_group.csv", labels)
    table = table[table["group"] == group].drop(columns=["group", "tail_probability"]).reset_index(drop=True)
    first = table[table["model"] == table["model"].iloc[0]]
    few = int((first["statistic"] == "mean").sum() - (first["statistic"] == "sd").sum())
    note = (
        f"The sd of {few} of the levels, which have fewer than {checks.LEAST_FOR_SD} rows, is not drawn." if few else ""
    )
    return table, note


def pictures(outputs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return the outputs of a job that its script writes by name: of a figure the SVG, which the others stand beside."""
    return {name: str(path) for name, path in outputs if not name.endswith(("_png", "_data"))}
