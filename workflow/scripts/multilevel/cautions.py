"""Warnings on a model and its data, each with its numbers: nothing that stops a fit, much that decides what it can say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import separation
from multilevel.design import INTERCEPT, WHOLE, Design, Term

Array = NDArray[np.float64]

FEW_LEVELS = 5
"""Below so many levels a group says little of how much levels vary (Gelman & Hill 2007, section 12.9)."""

FEW_ROWS = 5
"""Below so many rows a category of the response says little of what makes it likely."""

WIDE = 1e4
"""Ratio of the largest to the smallest sd of a predictor from which on it is worth a word."""

FAR = 5.0
"""Distance of a predictor's mean from 0, in its sds, from which on intercept and slope cannot be told apart at 0.

Their effects then have a correlation of about -FAR / sqrt(1 + FAR^2), beyond -0.98, whatever the groups are like.
"""

BINARY = frozenset({"bernoulli", "binomial"})
"""Families whose 0 and 1 can be separated."""


ONE_PARAMETER = frozenset({"poisson", "exponential"})
"""Families whose variance follows from their mean, so that a level of each row measures what is more than that."""


def find(design: Design, model: dict[str, Any]) -> list[str]:
    """Return the warnings on one model, as sentences.

    Parameters
    ----------
    design
        Its design, which has passed every check.
    model
        The model of the plan.
    """
    found: list[str] = []
    for term in design.group_terms:
        found += [*_few(term), *_thin(design, term), *_lopsided(term), *_far(term), *_sums(term)]
    found += [*_twice(design), *_rare(design), *_scales(design)]
    if model["family"] in BINARY and not design.curve and np.isin(design.y, (0.0, 1.0)).all():
        found += separated(design.y, design.x, design.coefficients)
    return list(dict.fromkeys(found))


def separated(y: Array, x: Array, names: Sequence[str]) -> list[str]:
    """Return a warning where the fixed part tells the two values of a response apart.

    Parameters
    ----------
    y
        The response, 0 or 1, shape (rows,).
    x
        The fixed matrix, shape (rows, columns).
    names
        The names of its columns.
    """
    try:
        found = separation.find(y, x)
    except separation.TooLargeError as error:
        limits = f"{separation.MOST_VALUES:,} values or {separation.MOST_COLUMNS} columns"
        return [f"separation was not looked for: {error} are more than {limits}."]
    if found is None:
        return []
    chosen = _listed([names[j] for j in found.columns])
    bound = "nothing but the prior bounds its coefficient" if len(found.columns) == 1 else (
        "nothing but their priors bounds their coefficients"
    )  # fmt: skip
    verb = "tells" if len(found.columns) == 1 else "together tell"
    if found.complete:
        return [
            f"{chosen} {verb} every 1 of the response from every 0 (complete separation of {len(y):,} rows): {bound}."
        ]
    rows = f"{found.rows:,} of {len(y):,} rows"
    return [f"{chosen} {verb} which value the response has in {rows} (quasi-complete separation): {bound}."]


def _few(term: Term) -> list[str]:
    count = len(term.levels)
    if count >= FEW_LEVELS:
        return []
    return [
        f"the group '{term.group}' has only {count} levels, fewer than {FEW_LEVELS}; its standard deviation rests on its prior."
    ]


def _thin(design: Design, term: Term) -> list[str]:
    """Warn where most levels have no more rows than effects: there is nothing left to tell effects from residuals."""
    counted = design.family == "binomial" and bool(np.median(design.terms.get("trials", 1.0)) > 1)
    if ("se" in design.terms and "sigma" not in design.parameters) or design.family in ONE_PARAMETER or counted:
        return []  # known standard errors tell them, or a variance that the mean decides
    if term.factor is not None or term.weights is not None or term.chain is not None:
        return []  # related levels tell of one another, and so do rows that share some of several
    effects, sizes = len(term.effects), _sizes(term)
    thin = int((sizes <= effects).sum())
    if thin <= len(sizes) / 2:
        return []
    rows = "one row" if effects == 1 else f"no more rows than effects ({effects})"
    told = f"{thin:,} of the {len(sizes):,} levels of '{term.group}' have {rows}"
    return [f"{told}; what varies between levels is hard to tell from the residuals."]


def _lopsided(term: Term) -> list[str]:
    sizes = _sizes(term)
    largest, total = int(sizes.max()), int(sizes.sum())
    if len(sizes) < 3 or largest <= total / 2:
        return []
    level = term.levels[int(sizes.argmax())]
    share = f"{largest:,} of {total:,} rows ({100 * largest / total:.0f}%)"
    return [f"one of the {len(sizes):,} levels of '{term.group}' ('{level}') holds {share}."]


def _sums(term: Term) -> list[str]:
    """Warn of weights of multiple membership that are positive and do not sum to 1: brms would divide them by their sum."""
    if term.weights is None or term.by or (term.weights < 0).any():
        return []
    total = term.weights.sum(axis=1)
    if (np.abs(total - 1.0) <= WHOLE).all():
        return []
    told = f"the weights of '{term.group}' sum to between {total.min():.3g} and {total.max():.3g}, not to 1"
    return [f"{told}; they are taken as they are (scale=true divides them by their sum)."]


def _twice(design: Design) -> list[str]:
    """Warn of a varying intercept beside residuals that say the same: all rows of a subject are alike correlated."""
    found = design.residuals
    if found is None or found.structure not in {"cs", "unstructured"}:
        return []
    return [
        f"the varying intercept of '{term.group}' and {found.structure} residuals both make rows of one {found.group} alike "
        "correlated: the data tell their sum, their priors the rest."
        for term in design.group_terms
        if term.exchangeable and INTERCEPT in term.effects and term.group == found.group
    ]


def _sizes(term: Term) -> NDArray[np.int64]:
    return term.sizes


def _far(term: Term) -> list[str]:
    """Warn of a varying slope of a predictor whose values lie far from 0, beside a varying intercept."""
    if INTERCEPT not in term.effects:
        return []
    found = []
    for position, name in enumerate(term.effects):
        values = term.z[:, position]
        sd = float(np.std(values, ddof=1))
        if name == INTERCEPT or sd == 0 or np.isin(values, (0.0, 1.0)).all():
            continue
        mean = float(values.mean())
        if abs(mean) > FAR * sd:
            found.append(
                f"the slope of '{name}' varies by '{term.group}', but its values lie far from 0 (mean {mean:.4g}, sd {sd:.3g}): "
                f"intercepts at 0 lie outside the data and follow from the slopes; centre it (data.centre)."
            )
    return found


def _rare(design: Design) -> list[str]:
    """Warn of categories of the response that have few rows."""
    if not design.categories:
        return []
    counts = np.bincount(design.y.astype(np.int64))[1:]
    rare = [f"'{label}' ({count})" for label, count in zip(design.categories, counts, strict=True) if count < FEW_ROWS]
    if not rare:
        return []
    shown = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
    return [f"'{design.response}' has fewer than {FEW_ROWS} rows of {shown}; what tells them apart rests on priors."]


def _scales(design: Design) -> list[str]:
    """Warn of predictors on scales that have nothing to do with each other; an intercept and a contrast have scale 1."""
    known = {
        name: float(scale)
        for name, scale in zip(design.coefficients, design.scales, strict=True)
        if scale > 0 and np.isfinite(scale)
    }
    if not known or (ratio := max(known.values()) / min(known.values())) <= WIDE:
        return []
    odd = sorted(
        (name for name, scale in known.items() if not 1e-2 < scale < 1e2), key=lambda n: -abs(np.log(known[n]))
    )
    sds = ", ".join(f"'{name}' has sd {known[name]:.3g}" for name in odd[:3])
    plain = next((name for name in odd if re.fullmatch(r"[A-Za-z_]\w*", name)), None)
    how = f"write scale({plain}) or choose other units" if plain else "choose other units"
    return [f"the scales of the predictors differ by a factor of {ratio:,.0f}: {sds}; {how}."]


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names[:5]]
    more = len(names) - len(quoted)
    if more:
        return f"{', '.join(quoted)} and {more} more"
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
