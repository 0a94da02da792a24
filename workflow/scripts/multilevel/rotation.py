"""Structured and crossed group terms of Gaussian models turned into independent ones, by a rotation of the rows.

With one effect to a term, y = X b + sum_t A_t v_t + e, v_t ~ N(0, sd_t^2 I) and e ~ N(0, sigma^2 I): A_t is the term's column
times the rows' memberships times the factor of a known covariance. Where the matrices A_t A_t' have the eigenvectors U in
common, U'y has independent rows, whose covariance is sigma^2 + sum_t sd_t^2 lambda_ti: each rotated row is a level of its own
with the columns sqrt(lambda_ti), and `marginal` does the rest. A single term always has such eigenvectors (the device of
Henderson's mixed models of one variance component; Zhou & Stephens 2012, Nature Genetics 44:821); several have them where
their matrices commute: terms of disjoint rows, twins with genes and family, balanced crossed designs.

Of the rotated effects w_t, v_t = V_t w_t + (I - V_t V_t') z with V_t = A_t' U / sqrt(lambda) and new normal z: what the data say
nothing of is drawn from the prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from multilevel import nesting
from multilevel.design import Design, Term
from multilevel.priors import Prior

Array = NDArray[np.float64]

MOST_ROWS = 10_000
"""Most rows that are rotated."""

MOST_TOGETHER = 2_500
"""Most rows that terms connect with each other: their eigenvectors take the cube of it, some seconds."""

ZERO = 1e-10
"""Share of the largest eigenvalue below which one is 0."""

ALIKE = 1e-8
"""How much two matrices may differ from commuting, as a share of their size."""

STRUCTURES = frozenset({"independent", "known"})
"""Structures over levels that have a factor and nothing to estimate."""

NO_EIGENVECTORS = "the covariances of the terms have no eigenvectors in common"


def against_integrating(design: Design, priors: Mapping[str, Prior]) -> str:
    """Return why group effects cannot be integrated out of what is sampled, rotated or not; nothing where they can.

    Parameters
    ----------
    design
        The design.
    priors
        The prior of every parameter by name.
    """
    if of_rows := nesting.against_rows(design):
        return of_rows
    groups = nesting.against_groups(design)
    why = reason_against(design) if groups else ""
    return f"{groups}, and {why}" if why else nesting.against_priors(priors)


def reason_against(design: Design) -> str:
    """Return why the rows of a design cannot be rotated, as the end of a sentence; nothing where they can.

    Whether matrices commute is tried on a vector of random numbers, which takes no matrix product.
    """
    terms = design.group_terms
    if odd := next((t for t in terms if t.dist != "gaussian" or t.structure not in STRUCTURES), None):
        return odd.words
    if wide := next((t for t in terms if len(t.effects) > 1), None):
        return f"'{wide.group}' has several effects"
    if set(design.terms):
        return "rows have weights or standard errors of their own"
    if len(design.y) > MOST_ROWS:
        return f"there are more than {MOST_ROWS:,} rows"
    carriers = [_carrier(term) for term in terms]
    v = np.random.default_rng(1).standard_normal(len(design.y))
    for i, one in enumerate(carriers):
        for other in carriers[:i]:
            there, back = _square(one, _square(other, v)), _square(other, _square(one, v))
            if np.linalg.norm(there - back) > ALIKE * np.linalg.norm(there):
                return NO_EIGENVECTORS
    if np.bincount(_components(carriers)).max(initial=0) > MOST_TOGETHER:
        return f"its terms connect more than {MOST_TOGETHER:,} rows"
    return ""


def _carrier(term: Term) -> Any:
    """Return A of a term with one effect, sparse, shape (rows, sources)."""
    found = sparse.diags_array(term.z[:, 0]) @ term.membership()
    return sparse.csr_array(found if term.factor is None else found @ term.factor)


def _square(carrier: Any, v: Array) -> Array:
    return np.asarray(carrier @ (carrier.T @ v))


def _components(carriers: Sequence[Any]) -> NDArray[np.int64]:
    """Return which rows any term connects, a number for each row, shape (rows,)."""
    whole = sparse.hstack(carriers).tocsr()
    rows, sources = whole.shape
    graph = sparse.coo_array(whole)
    joined = sparse.coo_array((np.ones(graph.nnz), (graph.row, graph.col + rows)), shape=(rows + sources,) * 2)
    return np.asarray(sparse.csgraph.connected_components(joined, directed=False)[1][:rows], dtype=np.int64)


@dataclass(frozen=True)
class Rotated:
    """A design whose rows are rotated, and the way back.

    Parameters
    ----------
    design
        The rotated design: a term's levels are the rows.
    kept
        By term key, the rotated rows that the term reaches.
    bases
        By term key V, sparse, shape (sources, rows that are kept).
    factors
        By term key, of a known covariance its factor; None where effects are those of the levels.
    """

    design: Design
    kept: dict[str, NDArray[np.int64]]
    bases: dict[str, Any]
    factors: dict[str, Any]

    def width(self, key: str) -> int:
        """Return how many numbers a draw of a term's effects takes."""
        return int(sum(self.bases[key].shape))

    def effects(
        self, key: str, rotated: NDArray[np.floating], sd: Array, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return draws of the effects of a term's levels.

        Parameters
        ----------
        key
            The term's key.
        rotated
            Draws of the effects of the rotated rows, shape (N, rows).
        sd
            Their standard deviation at each draw, shape (N,).
        rng
            Source of what the data say nothing of.

        Returns
        -------
        numpy.ndarray
            Shape (N, levels).
        """
        basis = self.bases[key]
        own = rng.standard_normal((len(rotated), basis.shape[0])) * sd[:, None]
        own += (basis @ (rotated[:, self.kept[key]] - own @ basis).T).T
        factor = self.factors[key]
        return np.asarray(own if factor is None else (factor @ own.T).T, dtype=np.float32)


def of(design: Design) -> Rotated:
    """Rotate the rows of a design that `reason_against` has nothing against.

    Raises
    ------
    ValueError
        When the terms' matrices have no eigenvectors in common.
    """
    carriers = [_carrier(term) for term in design.group_terms]
    number = _components(carriers)
    order = np.argsort(number, kind="stable")
    blocks = []
    roots = np.zeros((len(carriers), len(design.y)))
    start = 0
    for size in np.bincount(number):
        rows = order[start : start + size]
        squares = [(own := carrier[rows].toarray()) @ own.T for carrier in carriers]
        basis, values = _eigenvectors(squares)
        blocks.append(sparse.coo_array(basis))
        roots[:, start : start + size] = np.sqrt(values)
        start += int(size)
    back = sparse.csr_array((np.ones(len(order)), (order, np.arange(len(order)))))
    turn = sparse.csr_array(
        back @ sparse.block_diag(blocks, format="csr")
    )  # U, whose columns are in the order of `roots`
    terms, kept, bases = [], {}, {}
    for term, carrier, root in zip(design.group_terms, carriers, roots, strict=True):
        here = np.flatnonzero(root)
        kept[term.key] = here
        bases[term.key] = sparse.csr_array(carrier.T @ turn[:, here] @ sparse.diags_array(1.0 / root[here]))
        alone = np.arange(len(design.y))
        terms.append(
            replace(
                term,
                z=root[:, None],
                index=alone,
                levels=tuple(map(str, alone)),
                structure="independent",
                weights=None,
                factor=None,
            )
        )
    part = design.predictors[0]
    moved = replace(part, x=np.asarray(turn.T @ part.x), offset=np.asarray(turn.T @ part.offset), centre=part.means)
    rotated = replace(
        design, y=np.asarray(turn.T @ design.y), predictors=(moved,), group_terms=tuple(terms), log_jacobian=None
    )
    return Rotated(rotated, kept, bases, {term.key: term.factor for term in design.group_terms})


def _eigenvectors(squares: Sequence[Array]) -> tuple[Array, Array]:
    """Return common eigenvectors of symmetric matrices, shape (n, n), and the eigenvalues of each, shape (matrices, n)."""
    size = max(float(np.abs(s).max(initial=0.0)) for s in squares)
    if len(squares[0]) == 1:
        return np.ones((1, 1)), np.stack([s.ravel() for s in squares])
    for weights in (np.sqrt(np.arange(2.0, 2.0 + len(squares))), np.sqrt(np.arange(7.0, 7.0 + len(squares)))):
        mixed = sum(w * s / max(np.abs(s).max(), 1e-300) for w, s in zip(weights, squares, strict=True))
        _, basis = np.linalg.eigh(np.asarray(mixed))
        turned = [basis.T @ s @ basis for s in squares]
        values = np.stack([np.diag(t) for t in turned])
        if all(np.abs(t - np.diag(np.diag(t))).max() <= ALIKE * max(size, 1e-300) for t in turned):
            return basis, np.where(values > ZERO * values.max(axis=1, keepdims=True), values, 0.0)
    raise ValueError(NO_EIGENVECTORS)
