"""How the effects of each group term are sampled; the posterior is the same, the sampler's path through it is not.

``non-centred``
    Standardised offsets, multiplied by the sd afterwards: good where levels have few rows (a funnel otherwise).
``centred``
    The effects themselves: good where the data of each level say where its effect is.
``hierarchical``
    Effect plus its mean: the intercept and what predictors of the level add to it, for a varying slope the coefficient
    (Gelfand, Sahu & Carlin 1995, Biometrika 82:479). Good where, besides, there are predictors of the levels.

The rule of ``auto``: with I_j the information that the rows of level j hold on its effect and tau^2 the variance of the effects,
the posterior of an effect keeps the share 1 / (1 + I_j tau^2) of its prior variance. A term is centred where that share is at
most 0.2 at the median level, for its least informed effect, and non-centred otherwise (Papaspiliopoulos, Roberts & Skold
2007, Statistical Science 22:59, section 2, where the rates of the two are that share and what is left of it). I_j is the sum
over rows of w z^2, with z centred in its level for a slope beside an intercept and w the information of one row at the mean
response: 1 / s^2 (s the sd within levels; of log y where the link is not the identity), for proportions p (1 - p) times the
mean number of trials, for counts m^2 / variance (m the mean).
tau^2 is the variance of the levels' means (of the logit or log of means) less what the rows' own noise adds to it.
Effects on parameters other than the formula's, and on those of a curve, are non-centred.

Effects of structured groups (multiple membership, a known covariance, student-t, a covariance by another factor) are
non-centred, whatever is said of all terms: their offsets are independent, the effects are not, or have heavier tails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families
from multilevel.design import INTERCEPT, Design, Term
from multilevel.errors import FormulaError, did_you_mean

Array = NDArray[np.float64]

NON_CENTRED, CENTRED, HIERARCHICAL = "non-centred", "centred", "hierarchical"

KEPT = 0.2
"""Share of an effect's prior variance that its posterior may keep for the term to be centred."""

PROPORTIONS = ("bernoulli", "binomial", "beta_binomial", "zero_inflated_binomial")


def resolve(design: Design, asked: Any) -> dict[str, str]:
    """Return how the effects of each group term are sampled, by its key.

    Parameters
    ----------
    design
        The design.
    asked
        What the study says: true, false, ``auto`` or ``hierarchical``, or one of these by label of a term. Terms that are
        not named are non-centred.

    Raises
    ------
    FormulaError
        When it names a term that the model lacks, a structured one to be centred, or a mean that the effects of a term do
        not have.
    """
    labels = [term.label for term in design.group_terms]
    if isinstance(asked, Mapping):
        if unknown := next((name for name in asked if name not in labels), None):
            hint = did_you_mean(unknown, labels) if labels else "it has none"
            raise FormulaError(f"the model has no group term '{unknown}'; {hint}")
        return {
            term.key: _of_term(design, term, asked.get(term.label, False), named=True) for term in design.group_terms
        }
    return {term.key: _of_term(design, term, asked, named=False) for term in design.group_terms}


def how(design: Design, centred: bool | Mapping[str, str]) -> dict[str, str]:
    """Return how the effects of each term are sampled, by its key: all of them alike, or as a mapping says."""
    if isinstance(centred, Mapping):
        return dict(centred)
    return {term.key: CENTRED if centred and term.exchangeable else NON_CENTRED for term in design.group_terms}


def _of_term(design: Design, term: Term, asked: bool | str, named: bool) -> str:
    if not term.exchangeable:
        if named and asked in {True, HIERARCHICAL}:
            raise FormulaError(f"{term.words}, so they are sampled as standardised offsets; leave '{term.label}' out")
        return NON_CENTRED
    if asked == "auto":
        return CENTRED if kept(design, term) <= KEPT else NON_CENTRED
    if asked != HIERARCHICAL:
        return CENTRED if asked else NON_CENTRED
    if any(has_mean(design, term, i) for i in range(len(term.effects))):
        return HIERARCHICAL
    if named:
        raise FormulaError(
            f"the effects of '{term.label}' have no mean in the model to be centred at: no intercept, no predictor of the "
            "levels and no coefficient of the same name"
        )
    return CENTRED


def other_way(design: Design, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the other parameterisation of every term: non-centred for any that is centred, centred for others that can be."""
    free = {term.key for term in design.group_terms if term.exchangeable}
    return {key: CENTRED if way == NON_CENTRED and key in free else NON_CENTRED for key, way in chosen.items()}


def has_mean(design: Design, term: Term, position: int) -> bool:
    """Tell whether the model has a mean for an effect: an intercept, predictors of the levels, a coefficient."""
    part = next(p for p in design.predictors if p.parameter == term.parameters[position])
    if term.effects[position] == part.intercept:
        return part.has_intercept or bool(of_levels(part.x, term))
    return term.effects[position] in part.coefficients


def of_levels(x: Array, term: Term) -> list[int]:
    """Return the columns of a matrix that are constant within every level of a term and differ between levels."""
    first = np.zeros(len(term.levels), dtype=np.int64)
    first[term.index[::-1]] = np.arange(len(term.index))[::-1]
    constant = (x == x[first][term.index]).all(axis=0) & (np.ptp(x, axis=0) > 0)
    return [int(i) for i in np.flatnonzero(constant)]


def kept(design: Design, term: Term) -> float:
    """Return the share of its prior variance that the least informed effect of a term keeps at the median level."""
    others = any(owner not in design.classed for owner in term.parameters)
    if not term.exchangeable or design.categories or others:
        return 1.0
    count = len(term.levels)
    rows = np.bincount(term.index, minlength=count).astype(np.float64)
    estimates, weight = _levels(design, term, rows)
    seen = rows > 0
    noise = 1.0 / np.maximum(weight * rows[seen], np.finfo(float).tiny)
    tau2 = max(0.0, float(np.var(estimates[seen], ddof=1) - noise.mean())) if seen.sum() > 1 else 0.0
    has_intercept = any(effect.endswith(INTERCEPT) for effect in term.effects)
    shares = []
    for position, scale in enumerate(term.scales):
        z = term.z[:, position]
        if has_intercept and not term.effects[position].endswith(INTERCEPT):
            z = z - (np.bincount(term.index, z, count) / np.maximum(rows, 1.0))[term.index]
        information = weight * np.bincount(term.index, z * z, count)
        shares.append(float(np.median(1.0 / (1.0 + information[seen] * tau2 / float(scale) ** 2))))
    return max(shares, default=1.0)


def _levels(design: Design, term: Term, rows: Array) -> tuple[Array, float]:
    """Return an estimate for each level on the scale of the linear predictor, and the information of one row."""
    count = np.maximum(rows, 1.0)
    y, trials = design.y, design.terms.get("trials", np.ones(len(design.y)))
    sums = np.bincount(term.index, y, len(term.levels))
    if design.family in PROPORTIONS:
        of_level = np.bincount(term.index, trials, len(term.levels))
        p = np.clip(float(y.sum() / trials.sum()), 1e-6, 1 - 1e-6)
        logit = np.log((sums + 0.5) / (of_level - sums + 0.5))
        return logit, float(p * (1 - p) * trials.mean())
    if families.get(design.family).KIND == "discrete":
        m, v = float(y.mean()), float(y.var())
        return np.log((sums + 0.5) / count), m * m / max(v, m, 1e-12)
    if design.link != "identity":
        values = np.log(np.maximum(y, np.finfo(float).tiny)) if (y > 0).all() else y
    else:
        values = y - design.offset
    if design.x.shape[1]:
        values = values - design.x @ np.linalg.lstsq(design.x, values, rcond=None)[0]
    means = np.bincount(term.index, values, len(term.levels)) / count
    within = values - means[term.index]
    free = max(len(y) - int((rows > 0).sum()), 1)
    return means, free / max(float(within @ within), np.finfo(float).tiny)
