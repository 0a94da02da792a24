"""Identical rows of counts and categories taken together for sampling: exact, because equal rows have equal densities.

Rows with the same predictors, offsets, levels and response terms have the same linear predictors at every draw. Of a
binomial or Bernoulli response their successes and trials are added; of another discrete response those with the same value
stand as one row that counts as often as they are. The density of the parameters is the same, constants included, and every
row is still scored, checked and predicted on its own: only the sampler sees fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import families
from multilevel.design import Curve, Design, Predictor, Term, Thresholds
from multilevel.families._special import log_choose

Array = NDArray[np.float64]

WORTH = 0.9
"""Rows are taken together where no more than this share of them is left."""

SUMMED = ("bernoulli", "binomial")
"""Families whose rows add up to one of the same family: successes and trials of one probability."""


def rows(design: Design) -> Design:
    """Return a design of fewer rows with the same density, or the design itself where few rows are equal.

    Returns
    -------
    Design
        One row for each distinct one, in the order of their first appearance. Their number of times is the term
        ``weights``; of a family of `SUMMED` the response is the number of successes, ``trials`` that of trials and
        ``arrangements`` the constant of the density, which successes and trials no longer tell. Means of predictors, where
        intercepts have their prior, are those of all rows (`Predictor.centre`).
    """
    module = families.get(design.family)
    if module.KIND == "continuous" or "weights" not in module.RESPONSE_TERMS:
        return design
    summed = design.family in SUMMED and not {"cens", "lb", "ub"} & set(design.terms)
    found = _distinct(design, summed)
    if found is None:
        return design
    first, of_row = found
    weights = design.terms.get("weights", np.ones(len(design.y)))

    def total(values: Array) -> Array:
        return np.bincount(of_row, weights=weights * values, minlength=len(first)).astype(np.float64)

    terms = {name: values[first] for name, values in design.terms.items()}
    if summed:
        trials = design.terms.get("trials", np.ones(len(design.y)))
        terms.pop("weights", None)
        terms |= {"trials": total(trials), "arrangements": total(log_choose(trials - design.y + 1.0, design.y))}
        y = total(design.y)
    else:
        terms["weights"] = total(np.ones(len(design.y)))
        y = design.y[first]
    return replace(of_rows(design, first), y=y, terms=terms)


def of_rows(design: Design, chosen: NDArray[np.int64]) -> Design:
    """Return a design of some of the rows, all of its coefficients and levels kept.

    Means of predictors, where intercepts have their prior, stay those of all rows: the priors are those of the whole.

    Parameters
    ----------
    design
        The design.
    chosen
        Positions of the rows.

    Raises
    ------
    ValueError
        When residuals are correlated.
    """
    if design.residuals is not None:
        raise ValueError("rows of one subject are not independent of each other")
    return replace(
        design,
        y=design.y[chosen],
        terms={name: values[chosen] for name, values in design.terms.items()},
        predictors=tuple(_predictor(p, chosen) for p in design.predictors),
        group_terms=tuple(_term(t, chosen) for t in design.group_terms),
        thresholds=_thresholds(design.thresholds, chosen) if design.thresholds else None,
        log_jacobian=None if design.log_jacobian is None else design.log_jacobian[chosen],
        curve=_curve(design.curve, chosen) if design.curve else None,
    )


def with_levels_of(design: Design) -> tuple[Design, dict[str, NDArray[np.int64]]]:
    """Return a design without levels that have no row, and the levels kept by term key; of structured terms all are kept."""
    terms, kept = [], {}
    for term in design.group_terms:
        if not term.exchangeable:
            terms.append(term)
            kept[term.key] = np.arange(len(term.levels))
            continue
        present, index = np.unique(term.index, return_inverse=True)
        kept[term.key] = present.astype(np.int64)
        terms.append(replace(term, index=index.astype(np.int64), levels=tuple(term.levels[i] for i in present)))
    return replace(design, group_terms=tuple(terms)), kept


def _predictor(part: Predictor, first: NDArray[np.int64]) -> Predictor:
    return replace(part, x=part.x[first], offset=part.offset[first], centre=part.means)


def _term(term: Term, first: NDArray[np.int64]) -> Term:
    weights = None if term.weights is None else term.weights[first]
    return replace(term, z=term.z[first], index=term.index[first], weights=weights)


def _thresholds(found: Thresholds, first: NDArray[np.int64]) -> Thresholds:
    means = found.x.mean(axis=0) if found.means is None else found.means
    return replace(found, x=found.x[first], means=means)


def _curve(found: Curve, first: NDArray[np.int64]) -> Curve:
    return replace(found, columns={name: values[first] for name, values in found.columns.items()})


def _distinct(design: Design, summed: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the first row of each kind and the kind of each row; None where too many kinds are left."""
    kinds = np.zeros(len(design.y), dtype=np.int64)
    for column in _columns(design, summed):
        codes, values = pd.factorize(column)
        # Kinds so far and this column's codes as one number, numbered anew so that it stays small.
        kinds = pd.factorize(kinds * len(values) + codes)[0].astype(np.int64)
        if kinds.max() + 1 > WORTH * len(kinds):
            return None
    return np.unique(kinds, return_index=True)[1].astype(np.int64), kinds


def _columns(design: Design, summed: bool) -> Iterator[Array]:
    """Yield whatever rows must have in common."""
    for part in design.predictors:
        yield part.offset
        yield from part.x.T
    for term in design.group_terms:
        yield from term.index.reshape(len(term.index), -1).T.astype(np.float64)
        yield from () if term.weights is None else term.weights.T
        yield from term.z.T
    if design.thresholds:
        yield from design.thresholds.x.T
    if design.curve:
        yield from design.curve.columns.values()
    apart = {"weights", "trials"} if summed else {"weights"}
    yield from (values for name, values in design.terms.items() if name not in apart)
    if not summed:
        yield design.y
