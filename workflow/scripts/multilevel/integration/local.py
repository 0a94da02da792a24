"""Which group effects are integrated out when a unit is left out, and the units laid out for doing it many at a time.

A level of a group term is integrated out with a unit when all of its rows are that unit's: the unit's own effects, those
of groups nested in it, and any level of another factor that is seen only there. Everything else is conditioned on. So
y of a unit and y of all other rows are independent given what is conditioned on, which is all that leaving the unit out by
importance sampling needs.

Within a unit, the integrated effects are of two kinds. *Inner* effects are those of the grouping with most such levels;
its levels share no rows, so that they are integrated out level by level. *Outer* effects are the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel.design import Design, Term
from multilevel.integration.coefficients import Direction, NotIntegrableError, centred, directions
from multilevel.integration.small import block_diagonal, factor_of_correlations
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.units import Units

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Grouping:
    """All group terms over one grouping.

    Parameters
    ----------
    group
        The grouping.
    terms
        Its terms.
    unit_of_level
        The unit that a level is integrated out with, -1 for one that is conditioned on, shape (levels,).
    """

    group: str
    terms: tuple[Term, ...]
    unit_of_level: Index

    @property
    def index(self) -> Index:
        """Level of each row, shape (rows,)."""
        return self.terms[0].index

    @property
    def z(self) -> Array:
        """Columns of the effects of all terms, shape (rows, effects)."""
        return np.column_stack([term.z for term in self.terms])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameter whose linear predictor each effect belongs to."""
        return tuple(p for term in self.terms for p in term.parameters)

    @property
    def local(self) -> int:
        """Number of levels that are integrated out."""
        return int((self.unit_of_level >= 0).sum())

    def rows(self) -> NDArray[np.bool_]:
        """Rows whose level is integrated out, shape (rows,)."""
        return np.asarray(self.unit_of_level[self.index] >= 0)

    def factor(self, draws: Draws) -> Array:
        """Return the lower-triangular factors of the covariance of the effects of one level, shape (S, effects, effects)."""
        return block_diagonal([factor(term, draws) for term in self.terms])

    def effects(self, draws: Draws) -> Array:
        """Return the drawn effects, shape (S, levels, effects)."""
        return np.concatenate([draws.effects[term.key] for term in self.terms], axis=-1, dtype=np.float64)


def factor(term: Term, draws: Draws) -> Array:
    """Return the lower-triangular factors of the covariance of a term's effects, shape (S, effects, effects)."""
    sd = draws.sd[term.key]
    size = len(term.effects)
    if not term.correlated:
        return np.asarray(np.eye(size) * sd[:, :, None])
    return np.asarray(sd[:, :, None] * factor_of_correlations(draws.cor[term.key], size))


def groupings(design: Design, units: Units, conditioned: Collection[str] = ()) -> list[Grouping]:
    """Return the groupings of a design, each with the units that its levels are integrated out with.

    Those named are conditioned on, whichever rows their levels have.
    """
    found: dict[tuple[str, bool], list[Term]] = {}
    for term in design.group_terms:
        found.setdefault((term.group, term.exchangeable), []).append(term)
    return [
        Grouping(
            group,
            tuple(terms),
            _unit_of_level(terms[0], units) if able and group not in conditioned else np.full(len(terms[0].levels), -1),
        )
        for (group, able), terms in found.items()
    ]


def _refuse(design: Design, units: Units) -> None:
    """Refuse to leave out a unit with effects that its rows alone inform and that are not exchangeable and normal.

    Raises
    ------
    NotIntegrableError
        Such effects are not integrated out here, and rows of several levels belong to several units.
    """
    for term in design.group_terms:
        if term.exchangeable:
            continue
        if term.weights is not None and not term.by and set(units.name.split(":")) & set(term.group.split("+")):
            raise NotIntegrableError(
                f"{term.words}, so that what is left out with one {units.name} overlaps with others"
            )
        index, rows = term.index.reshape(len(term.index), -1), np.arange(len(term.index))
        counted = np.ones(index.shape, dtype=bool) if term.weights is None else term.weights != 0
        level, unit = index[counted], units.index[np.broadcast_to(rows[:, None], index.shape)[counted]]
        first = np.full(len(term.levels), units.count, dtype=np.int64)
        last = np.full(len(term.levels), -1, dtype=np.int64)
        np.minimum.at(first, level, unit)
        np.maximum.at(last, level, unit)
        if (first == last).any():
            raise NotIntegrableError(f"{term.words}, and leaving out one {units.name} would integrate some of them out")


def _unit_of_level(term: Term, units: Units) -> Index:
    first = np.full(len(term.levels), units.count, dtype=np.int64)
    last = np.full(len(term.levels), -1, dtype=np.int64)
    np.minimum.at(first, term.index, units.index)
    np.maximum.at(last, term.index, units.index)
    return np.where(first == last, first, -1)


Features = Callable[[Index, Mapping[str, Any]], Array]
"""Functions of what a family's functions take (shapes (S, K, n), K nodes) for some rows, shape (features, S, K, n)."""


def with_nodes(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a family's functions take, with an axis for nodes behind that of the draws."""
    return {k: v[:, None] if isinstance(v, np.ndarray) and v.ndim > 1 else v for k, v in arguments.items()}


@dataclass(frozen=True)
class Structure:
    """What is integrated out and what is conditioned on, for one design and one kind of unit.

    Parameters
    ----------
    design, units
        The design and the units.
    groupings
        Every grouping of the design.
    inner
        The grouping whose levels are the inner effects; None without one.
    outer
        The other groupings with levels that are integrated out.
    directions
        By unit, the directions among the coefficients that only its rows inform, where these are integrated out.
    priors
        The prior of every parameter by name, where there are directions.
    """

    design: Design
    units: Units
    groupings: tuple[Grouping, ...]
    inner: Grouping | None
    outer: tuple[Grouping, ...]
    directions: Mapping[int, tuple[Direction, ...]] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)

    @property
    def integrated(self) -> tuple[str, ...]:
        """Groupings of which some level is integrated out."""
        return tuple(g.group for g in self.groupings if g.local)

    @property
    def conditioned(self) -> tuple[str, ...]:
        """Groupings of which some level is conditioned on."""
        return tuple(g.group for g in self.groupings if g.local < len(g.unit_of_level))

    @property
    def most_outer(self) -> int:
        """Largest number of outer effects of any unit."""
        count = np.zeros(self.units.count, dtype=np.int64)
        for grouping in self.outer:
            owners = grouping.unit_of_level[grouping.unit_of_level >= 0]
            count += len(grouping.parameters) * np.bincount(owners, minlength=self.units.count)
        for unit, found in self.directions.items():
            count[unit] += sum(d.z.shape[1] for d in found)
        return int(count.max(initial=0))

    @property
    def without(self) -> dict[str, NDArray[np.bool_]]:
        """By term key, the rows whose effects are integrated out."""
        return {term.key: g.rows() for g in self.groupings if g.local for term in g.terms}

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters whose linear predictors have effects that are integrated out, the first parameter first."""
        owners = {p for g in self.groupings if g.local for p in g.parameters}
        owners |= {d.parameter for found in self.directions.values() for d in found}
        return tuple(p for p in self.design.parameters if p in owners)


def structure(
    design: Design,
    units: Units,
    largest_inner: int,
    priors: Mapping[str, Prior] | None = None,
    conditioned: Collection[str] = (),
) -> Structure:
    """Return what is integrated out with each unit.

    Parameters
    ----------
    design, units
        The design and the units.
    largest_inner
        Most effects that a level of the inner grouping may have.
    priors
        The prior of every parameter by name, where coefficients that one unit alone informs are integrated out too.
    conditioned
        Groupings that are conditioned on whichever rows their levels have.

    Raises
    ------
    NotIntegrableError
        When such a coefficient's prior is not normal, or a unit's own effects are not exchangeable and normal.
    """
    if priors is not None:
        _refuse(design, units)
    found = tuple(groupings(design, units, conditioned))
    able = [g for g in found if g.local and len(g.parameters) <= largest_inner]
    inner = max(able, key=lambda g: g.local, default=None)
    outer = tuple(g for g in found if g.local and g is not inner)
    alone = directions(design, priors, units) if priors is not None else {}
    return Structure(design, units, found, inner, outer, alone, priors or {})


@dataclass(frozen=True)
class Batch:
    """Units laid out together: rows sorted by unit, and within a unit by the level of the inner grouping (its segment).

    Parameters
    ----------
    units
        The units, shape (U,).
    rows
        Positions of their rows, shape (n,).
    unit_starts, segment_starts
        First row of each unit, shape (U,), and of each segment, shape (L,).
    unit_of_row, segment_of_row, unit_of_segment
        Positions among this batch's units and segments.
    z_inner, z_outer
        Columns of the inner and the outer effects of a row's own segment and unit, shapes (n, effects).
    inner_parameters, outer_parameters
        Parameter whose linear predictor each of those columns belongs to.
    inner_levels
        Level of each segment, -1 where the rows of a segment have no inner effects, shape (L,).
    outer_levels
        For each outer grouping, the levels of each unit, shape (U, levels).
    directions
        The directions of each unit: columns of `z_outer` behind those of the groupings.
    dropped
        The row that is dropped from each unit, or `WHOLE`, shape (U,).
    silent
        Rows that are there and tell nothing: their density is left out by quadrature, shape (n,).
    """

    structure: Structure
    units: Index
    rows: Index
    unit_starts: Index
    segment_starts: Index
    unit_of_row: Index
    segment_of_row: Index
    unit_of_segment: Index
    z_inner: Array
    z_outer: Array
    inner_parameters: tuple[str, ...]
    outer_parameters: tuple[str, ...]
    inner_levels: Index
    outer_levels: tuple[Index, ...]
    directions: tuple[tuple[Direction, ...], ...]
    dropped: Index
    silent: NDArray[np.bool_]

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """Numbers of units, segments, rows, inner effects and outer effects."""
        return len(self.units), len(self.inner_levels), len(self.rows), self.z_inner.shape[1], self.z_outer.shape[1]

    @property
    def unit_sizes(self) -> Index:
        """Rows of each unit, shape (U,)."""
        return np.diff(np.append(self.unit_starts, len(self.rows)))

    def inner_factor(self, draws: Draws) -> Array:
        """Return factors of the covariance of the inner effects of a segment, shape (S, effects, effects)."""
        inner = self.structure.inner
        return inner.factor(draws) if inner is not None else np.zeros((draws.size, 0, 0))

    def outer_factor(self, draws: Draws) -> Array:
        """Return factors of the covariance of the outer effects of a unit, shape (S, U or 1, effects, effects)."""
        parts: list[Array] = []
        for grouping, levels in zip(self.structure.outer, self.outer_levels, strict=True):
            parts += [grouping.factor(draws)[:, None]] * levels.shape[1]
        if any(self.directions):
            parts.append(np.stack([block_diagonal([d.factor for d in found]) for found in self.directions])[None])
        return block_diagonal(parts) if parts else np.zeros((draws.size, 1, 0, 0))

    def drawn(self, draws: Draws) -> tuple[Array, Array]:
        """Return the effects as drawn: inner ones, shape (S, L, effects), and outer ones, shape (S, U, effects).

        A direction's is 0, the draw itself being where it is measured from.
        """
        units, segments, _, inner_size, outer_size = self.sizes
        inner, outer = np.zeros((draws.size, segments, inner_size)), np.zeros((draws.size, units, outer_size))
        if self.structure.inner is not None:
            has = self.inner_levels >= 0
            inner[:, has] = self.structure.inner.effects(draws)[:, self.inner_levels[has]]
        start = 0
        for grouping, levels in zip(self.structure.outer, self.outer_levels, strict=True):
            values = grouping.effects(draws)[:, levels.ravel()]
            width = levels.shape[1] * values.shape[-1]
            outer[:, :, start : start + width] = values.reshape(draws.size, units, width)
            start += width
        return inner, outer

    def shift(self, draws: Draws) -> dict[str, Array]:
        """Return, by parameter, how far the mean of the directions' prior moves each row from the draw, shape (S, n)."""
        structure = self.structure
        parameters = dict.fromkeys(d.parameter for found in self.directions for d in found)
        distance = {p: centred(structure.design, structure.priors, p, draws.b) for p in parameters}
        moved = {p: np.zeros((draws.size, len(self.rows))) for p in parameters}
        ends = [*self.unit_starts[1:], len(self.rows)]
        for found, start, end in zip(self.directions, self.unit_starts, ends, strict=True):
            own = _within(self.rows[start:end])
            for direction in found:
                step = distance[direction.parameter] @ direction.pull.T
                moved[direction.parameter][:, start:end] += step @ direction.z[own].T
        return moved


def _within(rows: Index) -> Index:
    """Return the rank of each of a unit's rows among them: directions hold their columns in the order of the data."""
    return np.argsort(np.argsort(rows))


WHOLE = -1
"""Of which unit no row is dropped."""


def batches(
    structure: Structure, most_rows: int, chosen: Sequence[tuple[int, int]], keep: bool = False
) -> Iterator[Batch]:
    """Yield units in batches of equal layout and at most that many rows; a unit with more rows has its own.

    Parameters
    ----------
    structure
        What is integrated out with each unit.
    most_rows
        Most rows of a batch.
    chosen
        Units, each with the row that is dropped from it, or `WHOLE`.
    keep
        Whether dropped rows are kept, silent, so that what they would be can be asked.
    """
    order = np.argsort(structure.units.index, kind="stable")
    sizes = structure.units.sizes
    rows_of = np.split(order, np.cumsum(sizes)[:-1])
    levels_of = [_levels_by_unit(g, structure.units.count) for g in structure.outer]
    layouts: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for unit, dropped in chosen:
        found = structure.directions.get(unit, ())
        layout = (*(len(levels[unit]) for levels in levels_of), *((d.parameter, d.z.shape[1]) for d in found))
        layouts.setdefault(layout, []).append((unit, dropped))
    for members in layouts.values():
        for part in _cut(members, sizes, most_rows):
            of_part = [unit for unit, _ in part]
            levels = tuple(
                np.array([by[u] for u in of_part], dtype=np.int64).reshape(len(part), -1) for by in levels_of
            )
            rows = [rows_of[u] if keep or d == WHOLE else rows_of[u][rows_of[u] != d] for u, d in part]
            yield _batch(structure, of_part, rows, levels, np.array([dropped for _, dropped in part]))


def _cut(members: Sequence[tuple[int, int]], sizes: Index, most_rows: int) -> Iterator[list[tuple[int, int]]]:
    part: list[tuple[int, int]] = []
    rows = 0
    for unit, dropped in members:
        if part and rows + sizes[unit] > most_rows:
            yield part
            part, rows = [], 0
        part.append((unit, dropped))
        rows += int(sizes[unit])
    if part:
        yield part


def _levels_by_unit(grouping: Grouping, count: int) -> list[Index]:
    levels = np.flatnonzero(grouping.unit_of_level >= 0)
    owners = grouping.unit_of_level[levels]
    order = np.argsort(owners, kind="stable")
    return np.split(levels[order], np.cumsum(np.bincount(owners, minlength=count))[:-1])


def _batch(
    structure: Structure, units: list[int], rows_of: list[Index], outer_levels: tuple[Index, ...], dropped: Index
) -> Batch:
    inner = structure.inner
    inner_level = np.where(inner.rows(), inner.index, -1) if inner is not None else None
    rows_of = [r[np.argsort(inner_level[r], kind="stable")] if inner_level is not None else r for r in rows_of]
    rows = np.concatenate(rows_of)
    unit_of_row = np.repeat(np.arange(len(units)), [len(r) for r in rows_of])
    level = inner_level[rows] if inner_level is not None else np.full(len(rows), -1)
    changes = np.append(True, (np.diff(unit_of_row) != 0) | (np.diff(level) != 0))
    segment_starts = np.flatnonzero(changes)
    segment_of_row = np.cumsum(changes) - 1
    z_inner = np.where(level[:, None] >= 0, inner.z[rows], 0.0) if inner is not None else np.zeros((len(rows), 0))
    z_outer, owners = _outer_columns(structure, rows, unit_of_row, outer_levels)
    directions = tuple(structure.directions.get(unit, ()) for unit in units)
    if any(directions):
        by_unit = [
            np.column_stack([d.z[_within(r)] for d in found]) for r, found in zip(rows_of, directions, strict=True)
        ]
        z_outer = np.column_stack([z_outer, np.concatenate(by_unit)])
        owners = (*owners, *(d.parameter for d in directions[0] for _ in range(d.z.shape[1])))
    return Batch(
        structure=structure,
        units=np.array(units, dtype=np.int64),
        rows=rows,
        unit_starts=np.flatnonzero(np.append(True, np.diff(unit_of_row) != 0)),
        segment_starts=segment_starts,
        unit_of_row=unit_of_row,
        segment_of_row=segment_of_row,
        unit_of_segment=unit_of_row[segment_starts],
        z_inner=z_inner,
        z_outer=z_outer,
        inner_parameters=inner.parameters if inner is not None else (),
        outer_parameters=owners,
        inner_levels=level[segment_starts],
        outer_levels=outer_levels,
        directions=directions,
        dropped=dropped,
        silent=rows == dropped[unit_of_row],
    )


def _outer_columns(
    structure: Structure, rows: Index, unit_of_row: Index, outer_levels: tuple[Index, ...]
) -> tuple[Array, tuple[str, ...]]:
    """Return the columns of the outer groupings' effects: those of a row's own level, zero for other levels of its unit."""
    parts: list[Array] = [np.zeros((len(rows), 0))]
    owners: list[str] = []
    for grouping, levels in zip(structure.outer, outer_levels, strict=True):
        z, own = grouping.z[rows], grouping.index[rows]
        for position in range(levels.shape[1]):
            parts.append(np.where((levels[unit_of_row, position] == own)[:, None], z, 0.0))
            owners += grouping.parameters
    return np.column_stack(parts), tuple(owners)
