"""Likelihoods with group effects integrated out: log p(y_j | phi) of each unit, log p(y_i | y_j,-i, phi) of each row.

In closed form for normal responses with an identity link, else by quadrature; in blocks of units and draws, never draws x rows
at once. What it will take is logged before it starts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import likelihood, mcmc, names, predictor, units
from multilevel.design import Design
from multilevel.integration import correlated, gaussian, local, nodes
from multilevel.integration import quadrature as numeric
from multilevel.integration.coefficients import NotIntegrableError
from multilevel.integration.local import Batch, Features, Structure, factor
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.units import Units

__all__ = ["Block", "Features", "Integral", "NotIntegrableError", "Quadrature", "factor", "integral"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOG = logging.getLogger(__name__)

CLOSED_FORM, QUADRATURE, SAMPLING, NONE = "closed form", "quadrature", "importance sampling", "none"

PROBED = 50
"""Draws that decide how many nodes a unit needs."""

TOLERANCE = 0.01
"""Largest change of log p(y_j | phi) when nodes are doubled, times sqrt(units)."""

TOLERANCE_OF_ROWS = 0.05
"""Largest change of log p(y_i | y_j,-i, phi) at any draw, times sqrt(rows); over the draws, changes cancel."""

MOST_DRAWS = 2000
"""Most draws that quadrature is done at: integrated scores hardly vary between draws, and each draw costs the same."""

FEATURES = 8
"""Share of memory that averages of features take besides, about: each is as large as the log densities."""

PER_SECOND = {CLOSED_FORM: 1e8, NONE: 1e8, QUADRATURE: 1.5e7, SAMPLING: 1.5e7}
"""What one core computes, about, of the numbers that `cost` counts: for forecasts before anything was measured."""


OF_CURVE = 20.0
"""How many times as long it takes where effects enter a curve, roughly, with one to three effects."""


@dataclass(frozen=True)
class Block:
    """Values of some units.

    Parameters
    ----------
    units
        The units, shape (U,).
    log_density
        log p(y_j | phi_s), shape (S, U).
    rows
        Their rows, shape (n,).
    of_rows
        log p(y_i | y_j,-i, phi_s), shape (S, n); None where not asked for.
    averages
        Of the features asked for, over the effects given phi_s and y_j,-i, shape (features, S, n).
    """

    units: NDArray[np.int64]
    log_density: Array
    rows: NDArray[np.int64]
    of_rows: Array | None
    averages: Array | None = None


@dataclass(frozen=True)
class Quadrature:
    """How many nodes each unit takes, and how well that serves.

    Parameters
    ----------
    levels
        Level of the rules (`nodes.rules`) of each unit, shape (units,).
    change, change_of_rows
        Change of log p(y_j | phi) times sqrt(units), and of its rows' values times sqrt(rows) where these are wanted, at the
        last doubling: the largest over the probed draws, shape (units,) each.
    k
        Largest Pareto k of importance sampling over the probed draws, shape (units,); 0 where there is none.
    wide
        Rows whose values need nodes of their own, shape (rows,).
    seconds_of
        What a draw takes for each unit, measured on the probed draws, shape (units,).
    """

    levels: NDArray[np.int64]
    change: Array
    change_of_rows: Array
    k: Array
    wide: Mask
    seconds_of: Array

    @classmethod
    def empty(cls, count: int, rows: int) -> Quadrature:
        """Return what is known before any unit was probed."""
        unknown = np.full(count, np.nan)
        levels, wide = np.zeros(count, dtype=np.int64), np.zeros(rows, dtype=bool)
        return cls(levels, unknown, unknown.copy(), np.zeros(count), wide, np.zeros(count))

    @property
    def settled(self) -> Mask:
        """Units whose values change by no more than the tolerances, shape (units,)."""
        return (self.change <= TOLERANCE) & (self.change_of_rows <= TOLERANCE_OF_ROWS)

    @property
    def seconds(self) -> float:
        """What a draw takes, all probed units."""
        return float(self.seconds_of.sum())


@dataclass(frozen=True)
class Integral:
    """How the likelihood of each unit is computed.

    Parameters
    ----------
    structure
        What is integrated out and what is conditioned on.
    method
        ``closed form``, ``quadrature``, ``importance sampling``, or ``none`` where nothing is integrated out.
    quadrature
        Its nodes, by whether values of rows are wanted too; found when first needed.
    """

    structure: Structure
    method: str
    quadrature: dict[bool, Quadrature] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What is integrated out, how, and what is conditioned on, for records."""
        if self.method == NONE:
            return f"nothing is integrated out{self._beside}"
        effects = [f"the effects of {units.words(self.structure.integrated)}"] if self.structure.integrated else []
        alone = ["coefficients that no other rows inform, over their priors"] if self.structure.directions else []
        given = (
            f"; given the effects of {units.words(self.structure.conditioned)}" if self.structure.conditioned else ""
        )
        return f"integrated out by {self.method}: {' and '.join(effects + alone)}{given}{self._beside}"

    @property
    def _beside(self) -> str:
        """What is said of residuals that are correlated."""
        residuals = self.structure.design.residuals
        return f"; {residuals.words}" if residuals is not None else ""

    def enough(self, draws: Draws) -> Draws:
        """Return the draws that the likelihood is computed at: all for a closed form, else no more than `MOST_DRAWS`."""
        return draws.thinned(MOST_DRAWS) if self.by_nodes else draws

    def kept(self, draws: Draws) -> NDArray[np.int64]:
        """Return which draws `enough` keeps."""
        return draws.thinning(MOST_DRAWS if self.by_nodes else draws.size)

    def units_with(self, chosen: Mask) -> Mask:
        """Return the units that some rows belong to, shape (units,)."""
        found = np.zeros(self.structure.units.count, dtype=bool)
        found[self.structure.units.index[chosen]] = True
        return found

    @property
    def by_nodes(self) -> bool:
        """Whether nodes are needed."""
        return self.method in {QUADRATURE, SAMPLING}

    def quality(self, with_rows: bool = False) -> dict[str, Any]:
        """Return what a record says of the nodes once the values were computed; nothing for a closed form.

        Returns
        -------
        dict
            ``nodes`` (units by the number of nodes), ``largest_change`` at the last doubling over the probed draws (of units
            times sqrt(units), of rows times sqrt(rows)), ``unsettled`` units that would need more than the most nodes, and
            for importance sampling ``k_max`` and ``k_high`` units with a Pareto k above 0.7.
        """
        found = self.quadrature.get(with_rows)
        if found is None:
            return {}
        probed = ~np.isnan(found.change)
        inner = len(self.structure.inner.parameters) if self.structure.inner is not None else 0
        outer = self.structure.most_outer
        counts: dict[str, int] = {}
        for level in found.levels[probed]:
            rules = nodes.rules(inner, outer, int(level))
            shown = " x ".join(str(r.count) for r, size in zip(rules, (inner, outer), strict=True) if size)
            counts[shown] = counts.get(shown, 0) + 1
        sampled = (
            {"k_max": float(found.k.max()), "k_high": int((found.k > names.HIGH_K).sum())}
            if self.method == SAMPLING
            else {}
        )
        largest = {"units": float(found.change[probed].max(initial=0.0))}
        if with_rows:
            largest["rows"] = float(found.change_of_rows[probed].max(initial=0.0))
        unsettled = int((~found.settled[probed]).sum())
        return {"nodes": counts, "largest_change": largest, "unsettled": unsettled, **sampled}

    def warnings(self, with_rows: bool = False) -> list[str]:
        """Return sentences on integrals that are less exact than they should be."""
        quality, name = self.quality(with_rows), self.structure.units.name
        found = []
        if count := quality.get("unsettled"):
            found.append(
                f"The integrals of {count} levels of {name} still change by up to "
                f"{max(quality['largest_change'].values()):.2g} in the total when nodes are doubled once more."
            )
        if count := quality.get("k_high"):
            found.append(
                f"The integrals of {count} levels of {name} by importance sampling have a Pareto k above {names.HIGH_K} "
                f"(largest {quality['k_max']:.2f}): they are unreliable."
            )
        return found

    def seconds(self, draws: Draws, chosen: Mask | None = None, level: int = 1) -> float:
        """Return about how long it takes, from counts alone: the same on every machine.

        Of a curve, more: its derivatives are differences by every parameter, and its integrals by importance sampling take the
        most points there are (`OF_CURVE`).
        """
        times = 1.0
        if self.structure.design.curve is not None and self.by_nodes:
            times, level = OF_CURVE, nodes.HIGHEST_POINTS if self.method == SAMPLING else level
        batches = local.batches(self.structure, _most_rows(draws), _whole(self._mask(chosen)))
        numbers = sum(self._values(batch, level) for batch in batches)
        return times * draws.size * numbers / PER_SECOND[self.method]

    def blocks(
        self, draws: Draws, with_rows: bool = False, chosen: Mask | None = None, features: Features | None = None
    ) -> Iterator[Block]:
        """Yield the values of the units, block by block.

        Parameters
        ----------
        draws
            The posterior draws.
        with_rows
            Whether each row given the others of its unit is wanted.
        chosen
            Which units; all if left out.
        features
            What is averaged for each row over the effects given the others of its unit.
        """
        wanted, seconds = self._mask(chosen), self.seconds(draws, chosen)
        levels, wide = np.zeros(len(wanted), dtype=np.int64), np.zeros(0, dtype=bool)
        if self.by_nodes:
            found = self.nodes(draws, with_rows, wanted)
            levels, wide, seconds = found.levels, found.wide, found.seconds * draws.size
        LOG.info(
            "%s: %d levels of %s, %d rows x %d draws; about %.0f s",
            self.words, wanted.sum(), self.structure.units.name, len(self.structure.design.y), draws.size, seconds,
        )  # fmt: skip
        for level in np.unique(levels[wanted]):
            for batch in local.batches(self.structure, _most_rows(draws), _whole(wanted & (levels == level))):
                yield self._block(batch, draws, int(level), with_rows, wide, features)[0]

    def _values(self, batch: Batch, level: int) -> int:
        """Return about how many numbers a draw of a batch takes."""
        if self.by_nodes:
            return numeric.values(batch, level)
        return gaussian.values(batch) if self.structure.design.residuals is None else correlated.values(batch)

    def _mask(self, chosen: Mask | None) -> Mask:
        return np.ones(self.structure.units.count, dtype=bool) if chosen is None else chosen

    def nodes(self, draws: Draws, with_rows: bool, wanted: Mask) -> Quadrature:
        """Return how many nodes each unit takes: doubled until its values change by no more than the tolerance.

        The values are log p(y_j | phi) at `PROBED` draws, and those of its rows where they are wanted.
        """
        if with_rows not in self.quadrature:
            self.quadrature[with_rows] = self._probe(draws, with_rows, wanted)
        return self.quadrature[with_rows]

    def _probe(self, draws: Draws, with_rows: bool, wanted: Mask) -> Quadrature:
        few = draws.select(np.unique(np.linspace(0, draws.size - 1, PROBED).round().astype(int)))
        inner = len(self.structure.inner.parameters) if self.structure.inner is not None else 0
        top = nodes.highest(inner, self.structure.most_outer)
        found = Quadrature.empty(self.structure.units.count, len(self.structure.design.y))
        before: dict[int, tuple[Array, Array]] = {}
        waiting = wanted.copy()
        for level in range(top + 1):
            after: dict[int, tuple[Array, Array]] = {}
            for batch in local.batches(self.structure, _most_rows(draws), _whole(waiting)):
                if level == 0 and with_rows:
                    _, strain, _ = self._block(batch, few, level, with_rows, found.wide)
                    found.wide[batch.rows] = (strain > 1.0).any(axis=0)
                began = time.perf_counter()
                block, _, weights = self._block(batch, few, level, with_rows, found.wide)
                share = (time.perf_counter() - began) / few.size / len(batch.rows)
                found.levels[batch.units], found.seconds_of[batch.units] = level, share * batch.unit_sizes
                for i, unit in enumerate(batch.units):
                    rows = (
                        np.zeros((few.size, 0)) if block.of_rows is None else block.of_rows[:, batch.unit_of_row == i]
                    )
                    after[unit] = (block.log_density[:, i], rows)
                    if weights is not None:
                        found.k[unit] = max(mcmc.pareto_smooth(-w, 1.0)[1] for w in weights[:, :, i])
            for unit in after.keys() & before.keys():
                pairs = zip(after[unit], before[unit], strict=True)
                moved, moved_rows = (float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
                found.change[unit] = moved * np.sqrt(self.structure.units.count)
                found.change_of_rows[unit] = moved_rows * np.sqrt(len(self.structure.design.y))
            waiting = wanted & ~found.settled
            before = {unit: pair for unit, pair in after.items() if waiting[unit]}
            if not waiting.any():
                break
        return found

    def _block(
        self,
        batch: Batch,
        draws: Draws,
        level: int,
        with_rows: bool,
        wide: Mask,
        features: Features | None = None,
    ) -> tuple[Block, Array, Array | None]:
        """Return the values of a batch, how its rows strain its nodes, and the weights of importance sampling."""
        each = self._values(batch, level)
        step = max(1, predictor.BLOCK_VALUES // (each * (FEATURES if features else 1)))
        of_units = np.empty((draws.size, len(batch.units)))
        of_rows = np.empty((draws.size, len(batch.rows))) if with_rows else None
        strain = np.zeros((draws.size, len(batch.rows)))
        kept: list[Array] = []
        averages: list[Array] = []
        for start in range(0, draws.size, step):
            part = slice(start, start + step)
            found = self._compute(batch, draws.select(part), level, with_rows, features)
            if found.averages is not None:
                averages.append(found.averages)
            of_units[part], strain[part] = found.of_units, found.strain
            if of_rows is not None:
                of_rows[part] = found.of_rows
            if found.log_weights is not None and draws.size <= PROBED:
                kept.append(found.log_weights)
        if of_rows is not None and wide.any():
            self._without_wide(batch, draws, level, wide, of_units, of_rows)
        weights = np.concatenate(kept) if kept else None
        averaged = np.concatenate(averages, axis=1) if averages else None
        if averaged is not None and features is not None and self.by_nodes:
            self._averages_alone(batch, draws, level, wide, features, averaged)
        return Block(batch.units, of_units, batch.rows, of_rows, averaged), strain, weights

    def _without_wide(
        self, batch: Batch, draws: Draws, level: int, wide: Mask, of_units: Array, of_rows: Array
    ) -> None:
        """Put in the values of wide rows: log p(y_j) less that of the unit without the row, on nodes of its own."""
        several = batch.unit_sizes[batch.unit_of_row] > 1
        positions = np.flatnonzero(wide[batch.rows] & several)
        pairs, where = _dropped(batch, positions)
        for part in local.batches(self.structure, _most_rows(draws), pairs):
            rest = self._block(part, draws, level, with_rows=False, wide=wide)[0].log_density
            for j, row in enumerate(part.dropped):
                i = where[int(row)]
                of_rows[:, i] = of_units[:, batch.unit_of_row[i]] - rest[:, j]

    def _averages_alone(
        self, batch: Batch, draws: Draws, level: int, wide: Mask, features: Features, averaged: Array
    ) -> None:
        """Put in the averages of wide rows, and of those that are their unit, on nodes of the unit without the row."""
        own = wide[batch.rows] if wide.any() else np.zeros(len(batch.rows), dtype=bool)
        positions = np.flatnonzero(own | (batch.unit_sizes[batch.unit_of_row] == 1))
        pairs, where = _dropped(batch, positions)
        for part in local.batches(self.structure, _most_rows(draws), pairs, keep=True):
            silent = np.flatnonzero(part.silent)
            into = [where[int(row)] for row in part.rows[silent]]
            step = max(1, predictor.BLOCK_VALUES // (numeric.values(part, level) * FEATURES))
            for start in range(0, draws.size, step):
                some = slice(start, start + step)
                found = numeric.log_likelihood(part, draws.select(some), level, with_rows=True, features=features)
                assert found.averages is not None  # asked for
                averaged[:, some, into] = found.averages[:, :, silent]

    def _compute(
        self, batch: Batch, draws: Draws, level: int, with_rows: bool, features: Features | None = None
    ) -> numeric.Values:
        if self.by_nodes:
            return numeric.log_likelihood(batch, draws, level, with_rows, features)
        if self.structure.design.residuals is not None:
            if features is not None:
                raise ValueError("averages over effects beside correlated residuals have no closed form here")
            return numeric.Values(*correlated.log_likelihood(batch, draws, with_rows), np.zeros((1, 1)), None)
        if self.method == CLOSED_FORM:
            of_units, of_rows, averages = gaussian.log_likelihood(batch, draws, with_rows, features)
            return numeric.Values(of_units, of_rows, np.zeros((1, 1)), None, averages)
        return numeric.Values(*_given(batch, draws, with_rows), np.zeros((1, 1)), None)


def _dropped(batch: Batch, positions: NDArray[np.intp]) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """Return the rows at some positions of a batch, each with its unit, and where each row stands."""
    rows = [int(row) for row in batch.rows[positions]]
    units_ = batch.units[batch.unit_of_row[positions]]
    return list(zip(map(int, units_), rows, strict=True)), dict(zip(rows, map(int, positions), strict=True))


def _most_rows(draws: Draws) -> int:
    return max(1, predictor.BLOCK_VALUES // draws.size)


def _whole(chosen: Mask) -> list[tuple[int, int]]:
    """Return the chosen units, no row dropped."""
    return [(int(unit), local.WHOLE) for unit in np.flatnonzero(chosen)]


def integral(
    design: Design,
    draws: Draws,
    of: Units,
    priors: Mapping[str, Prior] | None = None,
    conditioned: Collection[str] = (),
) -> Integral:
    """Return how log p(y_j | phi) is computed.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    of
        The units.
    priors
        The prior of every parameter by name, where coefficients that one unit alone informs are integrated out too.
    conditioned
        Groupings that are conditioned on whichever rows their levels have.

    Raises
    ------
    NotIntegrableError
        When it cannot be.
    """
    if design.nominal:
        raise NotIntegrableError(
            f"effects on the categories of the family {design.family} are not integrated out, "
            f"so scores that leave out one {of.name} at a time are not computed"
        )
    found = local.structure(design, of, 10**6, priors, conditioned)
    odd = sorted({t.structure for g in found.groupings if g.local for t in g.terms} - {"independent"})
    if odd:
        raise NotIntegrableError(
            f"effects with the structure {odd[0]} are not exchangeable, and are not integrated out"
        )
    missing = [term.key for g in found.groupings if g.local for term in g.terms if term.key not in draws.sd]
    if missing:
        raise NotIntegrableError(f"the draws hold no standard deviations of the effects of {', '.join(missing)}")
    if design.residuals is not None:
        correlated.refuse(found)
        return Integral(found, CLOSED_FORM if found.parameters else NONE)
    if not found.parameters:
        return Integral(found, NONE)
    if gaussian.applies(design, found.parameters):
        return Integral(found, CLOSED_FORM)
    found = local.structure(design, of, numeric.LARGEST_INNER, priors, conditioned)
    return Integral(found, SAMPLING if found.most_outer > nodes.MOST_BY_PRODUCT else QUADRATURE)


def _given(batch: Batch, draws: Draws, with_rows: bool) -> tuple[Array, Array | None]:
    """Return the same where nothing is integrated out: rows are independent given the draws."""
    design = batch.structure.design
    of_rows = likelihood.of_rows(design, batch.rows, predictor.arguments(design, draws, batch.rows))
    of_rows = np.broadcast_to(of_rows, (draws.size, len(batch.rows)))
    return np.add.reduceat(of_rows, batch.unit_starts, axis=1), of_rows if with_rows else None


def most(design: Design, draws: Draws) -> tuple[Integral | None, str]:
    """Return how the effects of a row's group are integrated out, or None and why not.

    Any grouping would do. The one whose units take most effects with them leaves the fewest to be conditioned on.
    """
    if not design.group_terms:
        return None, "the model has no group effects"
    found: list[tuple[int, Integral]] = []
    reasons = [term.words for term in design.group_terms if not term.exchangeable]
    candidates = {term.group: units.of_term(term) for term in design.group_terms if term.exchangeable}
    if design.residuals is not None:
        subjects = Units(design.residuals.group, design.residuals.subjects, design.residuals.subject)
        candidates.setdefault(subjects.name, subjects)
    for of in candidates.values():
        try:
            one = integral(design, draws, of)
        except NotIntegrableError as error:
            reasons.append(str(error))
            continue
        taken = sum(g.local * len(g.parameters) for g in one.structure.groupings)
        if taken:
            found.append((taken, one))
    if not found:
        return None, reasons[0]
    return max(found, key=lambda pair: pair[0])[1], ""
