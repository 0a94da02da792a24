"""Groupings that are nested in one another, found from the data: whether the effects of a design can be integrated out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multilevel.design import Design, Term
from multilevel.priors import MATRIX, Prior

Ints = NDArray[np.int64]


NOTHING_LEFT = "nothing would be left to sample"
"""The reason where effects and coefficients are all there is."""


@dataclass(frozen=True)
class Grouping:
    """One grouping of a chain, with its terms.

    Parameters
    ----------
    terms
        The group terms of this grouping.
    index
        Level of each row, shape (rows,). Levels are numbered such that those within one level of the grouping above
        follow each other.
    parents
        The level of the grouping above that each level is part of, shape (levels,); zeros for the first grouping.
    orders
        For each term, which of its own levels each level here is, shape (levels,).
    """

    terms: tuple[Term, ...]
    index: Ints
    parents: Ints
    orders: tuple[Ints, ...]

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.parents)

    @property
    def effects(self) -> int:
        """Number of effects of all its terms."""
        return sum(len(term.effects) for term in self.terms)


def reason_against(design: Design, priors: Mapping[str, Prior] | None = None) -> str:
    """Return why the effects of a design cannot be integrated out, as the end of a sentence; nothing where they can.

    Parameters
    ----------
    design
        The design.
    priors
        The prior of every parameter by name, where it matters: what is integrated is given the sds and correlations, each
        with a prior of its own.
    """
    return against_rows(design) or against_groups(design) or against_priors(priors)


def against_rows(design: Design) -> str:
    """Return what its rows have against it: the family, sigma, response terms."""
    if design.family != "gaussian" or design.link != "identity":
        return f"the family is {design.family} with a {design.link} link"
    if design.curve:
        return "the response follows a curve, in which effects and coefficients do not add up"
    if design.residuals is not None:
        return design.residuals.words
    if len(design.predictors) != 1 or ("se" in design.terms and "sigma" in design.scalars):
        return "sigma is not one number for all rows"
    if others := [name for name in design.terms if name not in {"se", "weights"}]:
        return f"the formula has {', '.join(f'{name}()' for name in others)}"
    if "weights" in design.terms and not design.terms["weights"].all():
        return "some rows have a weight of 0"
    if "sigma" not in design.scalars and not design.group_terms:
        return NOTHING_LEFT
    return ""


def against_groups(design: Design) -> str:
    """Return what its group terms have against it: they are not exchangeable, or crossed."""
    if other := next((t for t in design.group_terms if not t.exchangeable), None):
        return other.words
    groupings = chain(design.group_terms)
    if isinstance(groupings, tuple):
        return f"the groups {groupings[0]} and {groupings[1]} are crossed"
    return ""


def against_priors(priors: Mapping[str, Prior] | None) -> str:
    """Return what its priors have against it: that of a covariance matrix as a whole."""
    if whole := next((name for name, prior in (priors or {}).items() if prior.name in MATRIX), None):
        return f"{whole} has one prior as a whole"
    return ""


def chain(terms: Sequence[Term]) -> list[Grouping] | tuple[str, str]:
    """Return the groupings of some terms from the coarsest to the finest, or two groupings that are crossed.

    A grouping is nested in another where each of its levels occurs in one level of the other only. Two groupings that
    split the rows in the same way are one.
    """
    found: list[Grouping] = []
    for term in sorted(terms, key=lambda t: len(t.levels)):
        first = _first_rows(term.index, len(term.levels))
        if not found:
            identity = np.arange(len(term.levels))
            found.append(Grouping((term,), term.index, np.zeros(len(term.levels), np.int64), (identity,)))
            continue
        above = found[-1]
        parents = above.index[first]
        if not np.array_equal(parents[term.index], above.index):
            return above.terms[0].group, term.group
        order = np.argsort(parents, kind="stable")
        if len(term.levels) == above.levels:  # the same rows, perhaps under other labels
            found[-1] = Grouping((*above.terms, term), above.index, above.parents, (*above.orders, order))
        else:
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            found.append(Grouping((term,), place[term.index], parents[order], (order,)))
    return found


def _first_rows(index: Ints, levels: int) -> Ints:
    """Return the first row of each level, shape (levels,)."""
    first = np.empty(levels, np.int64)
    first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
    return first
