"""Integrals over group effects without a closed form: adaptive Gauss-Hermite quadrature, group by group and draw by draw.

On whitened coordinates u, b = L u with standard normal u, the integrand of a unit is exp(sum_i f_i(eta_i) - |u|^2 / 2). Its
mode and curvature at each draw are found by Newton's method; nodes are laid out around the mode, scaled by the curvature
(Naylor & Smith 1982; Pinheiro & Bates 1995; Rabe-Hesketh, Skrondal & Pickles 2005). Inner effects are integrated
within each level, by their own nodes, at every node of the outer effects: nested quadrature.

Any family will do: f_i is its log density as `likelihood.of_rows` has it, censoring and weights included, and derivatives
are differences of it, which only place the nodes. Of a curve, eta_i are the linear predictors of its parameters: effects enter
it as nonlinearly as the formula says, and where it is undefined the density is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from multilevel import families, likelihood, links, predictor
from multilevel.integration.arrow import Arrow, added, by_unit, whitened
from multilevel.integration.local import Batch, Features, with_nodes
from multilevel.integration.nodes import MOST_BY_PRODUCT, Nodes, rules
from multilevel.predictor import Draws

Array = NDArray[np.float64]
Point = tuple[Array, Array]
"""Whitened coordinates: inner ones, shape (S, L, effects), and outer ones, shape (S, U, effects)."""

LARGEST_INNER = MOST_BY_PRODUCT
"""Most effects of a level that are integrated within it."""

LEVERAGE = 0.35
"""Share of the information on a row's predictor that is its own, from which on the unit without it needs its own nodes.

On the unit's nodes, a rule with K of them has a relative error of about (h / (2 - h))^K for a row of leverage h."""

PULL = 1.2
"""How far a row draws the mode of its unit, in posterior standard deviations, from which on the same holds."""

NEWTON_STEPS, HALVINGS = 60, 25

CLOSE = 1e-4
"""Squared length of a Newton step, in posterior standard deviations, below which the mode is found."""

_LOG_2PI = float(np.log(2.0 * np.pi))


def values(batch: Batch, level: int) -> int:
    """Return how many log densities a draw takes, about."""
    inner, outer = (found.count for found in rules(*batch.sizes[3:], level))
    each = len(batch.rows) * batch.structure.design.width
    return int(each * (30 + outer * (inner + (10 if batch.sizes[3] and batch.sizes[4] else 0))))


@dataclass(frozen=True)
class Values:
    """What quadrature gives of a batch.

    Parameters
    ----------
    of_units
        log p(y_j | phi), shape (S, units).
    of_rows
        log p(y_i | y_j,-i, phi), shape (S, rows), the rows in the batch's order; None where not asked for.
    strain
        How far the unit without a row is from the unit with it, for the nodes of the latter, shape (S, rows): above 1, the
        row's value needs nodes of its own.
    log_weights
        Of importance sampling, shape (S, nodes, units), where the outer effects are integrated by it.
    averages
        Of the features, over the effects given the other rows of the unit, shape (features, S, rows).
    """

    of_units: Array
    of_rows: Array | None
    strain: Array
    log_weights: Array | None
    averages: Array | None = None


def log_likelihood(batch: Batch, draws: Draws, level: int, with_rows: bool, features: Features | None = None) -> Values:
    """Return the values of a batch.

    Parameters
    ----------
    batch
        The units.
    draws
        Draws, few enough that draws x rows x nodes fit in memory.
    level
        Level of the rules.
    with_rows
        Whether the rows' values are wanted. They are sums over the nodes of the whole unit, which serve a row as long as
        the integrand without it is neither much wider nor far away (`LEVERAGE`, `PULL`).
    features
        What is averaged over the effects given the other rows of the unit, where rows' values are wanted.
    """
    target = Target.of(batch, draws)
    inner, outer = batch.inner_factor(draws), batch.outer_factor(draws)
    point, arrow, slopes = _mode(target, inner, outer, _start(batch, draws, inner, outer))
    of_inner, of_outer = rules(*batch.sizes[3:], level)
    if not batch.sizes[4]:
        of_segments, ratio, averages = _inner(target, inner, point[0], arrow, of_inner, with_rows, features)
        of_units, log_weights = by_unit(batch, of_segments), None
    else:
        of_units, ratio, log_weights, averages = _outer(
            target, inner, outer, point, arrow, (of_inner, of_outer), with_rows, features
        )
        log_weights = log_weights if of_outer.sampled else None
    leverage, pull = (np.zeros(next(iter(target.base.values())).shape) for _ in range(2))
    if ratio is None:
        return Values(of_units, None, leverage, log_weights)
    for parameter in target.base:
        spread = arrow.spread(parameter)
        leverage += slopes.curvature[parameter, parameter] * spread
        pull += np.abs(slopes.first[parameter]) * np.sqrt(spread)
    strain = np.maximum(leverage / LEVERAGE, pull / PULL)
    of_rows = -ratio
    alone = batch.unit_sizes[batch.unit_of_row] == 1  # given no others, a row is its unit
    of_rows[:, alone] = of_units[:, batch.unit_of_row[alone]]
    return Values(of_units, of_rows, strain, log_weights, averages)


@dataclass(frozen=True)
class Slopes:
    """Derivatives of the rows' log densities.

    Parameters
    ----------
    first
        By parameter, shape (S, n).
    curvature
        Minus the second ones, by pairs of parameters, shape (S, n).
    """

    first: Mapping[str, Array]
    curvature: Mapping[tuple[str, str], Array]


@dataclass(frozen=True)
class Target:
    """The log density of a batch's rows as a function of what is added to their predictors.

    Parameters
    ----------
    batch
        The units.
    base
        Predictors of the parameters that have integrated effects, these left out, shape (S, n).
    given
        What else the family's functions take, with an axis for nodes behind that of the draws; of a curve, its other
        parameters besides, which none of those functions takes.
    """

    batch: Batch
    base: Mapping[str, Array]
    given: Mapping[str, Any]

    @classmethod
    def of(cls, batch: Batch, draws: Draws) -> Target:
        """Prepare the rows of a batch at some draws."""
        design, without = batch.structure.design, batch.structure.without
        given = predictor.arguments(design, draws, batch.rows, without)
        moved = batch.shift(draws)
        owners = dict.fromkeys([*batch.inner_parameters, *batch.outer_parameters])
        base = {
            p: predictor.linear_predictor(design, draws, batch.rows, p, without) + moved.get(p, 0.0) for p in owners
        }
        if design.curve:
            given |= {
                name: value
                for name, value in predictor.curve_parameters(design, draws, batch.rows, without).items()
                if name not in base
            }
        return cls(batch, base, with_nodes(given))

    def density(self, more: Mapping[str, Array]) -> Array:
        """Return the log densities with something added to the predictors, shape (S, K, n), -inf where none is finite."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            value = likelihood.of_rows(self.batch.structure.design, self.batch.rows, self.arguments(more))
        value = np.where(np.isnan(value) | np.isposinf(value), -np.inf, value)
        return np.where(self.batch.silent, 0.0, value) if self.batch.silent.any() else value

    def arguments(self, more: Mapping[str, Array]) -> dict[str, Any]:
        """Return what the family's functions take, with something added to the predictors."""
        design = self.batch.structure.design
        first, other_links = design.primary, families.get(design.family).OTHER_LINKS
        given = dict(self.given)
        of_curve = {name: given.pop(name) for name in first if name in given} if design.curve else {}
        for name, base in self.base.items():
            eta = base[:, None] + more[name]
            if design.curve and name in first:
                of_curve[name] = eta
            else:
                given["eta" if name in first else name] = (
                    eta if name in first else links.inverse(other_links[name], eta)
                )
        if design.curve:
            given["eta"] = design.curve.at(of_curve, self.batch.rows) + np.zeros(len(self.batch.rows))
        return given

    def averages(self, features: Features, more: Mapping[str, Array], log_share: Array) -> Array:
        """Return averages over nodes of features, shape (features, S, n), by the shares of each row, which sum to 1."""
        share = np.exp(log_share)
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            values_ = features(self.batch.rows, self.arguments(more))
        return np.asarray(np.where(share > 0, values_ * share, 0.0).sum(axis=2))

    def moved(self, more: Mapping[str, Array]) -> Target:
        """Return the target at every draw and node of what is added, shape (S, K, n): S x K draws."""
        count = next(iter(more.values())).shape[1]
        base = {
            p: (b[:, None] + more.get(p, 0.0) * np.ones((1, count, 1))).reshape(-1, b.shape[1])
            for p, b in self.base.items()
        }
        size = len(next(iter(self.base.values())))

        def spread(value: Any) -> Any:
            whole = isinstance(value, np.ndarray) and value.ndim > 2 and len(value) == size
            return np.repeat(value, count, axis=0) if whole else value

        return replace(self, base=base, given={k: spread(v) for k, v in self.given.items()})

    def derivatives(self, more: Mapping[str, Array], steps: Mapping[str, Array]) -> Slopes:
        """Return the first derivatives of the log densities by predictor, and minus the second ones.

        Parameters
        ----------
        more
            What is added to the predictors, shape (S, 1, n).
        steps
            Half the distance of the points that derivatives are differences of, shape (S, n).
        """

        def at(**signs: float) -> Array:
            return self.density({p: m + signs.get(p, 0.0) * steps[p][:, None] for p, m in more.items()})[:, 0]

        names = list(self.base)
        middle = at()
        first: dict[str, Array] = {}
        second: dict[tuple[str, str], Array] = {}
        with np.errstate(invalid="ignore", over="ignore"):
            for p in names:
                up, down = at(**{p: 1.0}), at(**{p: -1.0})
                first[p] = _finite((up - down) / (2.0 * steps[p]))
                # Where the log density is not concave, its curvature is left out: nodes are then laid wider.
                second[p, p] = np.maximum(_finite((2.0 * middle - up - down) / np.square(steps[p])), 0.0)
            for i, p in enumerate(names):
                for q in names[i + 1 :]:
                    corners = (
                        at(**{p: 1.0, q: 1.0})
                        - at(**{p: 1.0, q: -1.0})
                        - at(**{p: -1.0, q: 1.0})
                        + at(**{p: -1.0, q: -1.0})
                    )
                    cross = _finite(-corners / (4.0 * steps[p] * steps[q]))
                    limit = np.sqrt(second[p, p] * second[q, q])
                    second[p, q] = second[q, p] = np.clip(cross, -0.99 * limit, 0.99 * limit)
        return Slopes(first, second)


def _finite(values_: Array) -> Array:
    return np.where(np.isfinite(values_), values_, 0.0)


def _start(batch: Batch, draws: Draws, inner: Array, outer: Array) -> Point:
    """Return the effects as drawn, whitened: draws of the posterior are near the mode, whatever the family."""
    found: list[Array] = []
    for effects, factor in zip(batch.drawn(draws), (inner[:, None], outer), strict=True):
        found.append(np.clip(_whiten(factor, effects), -8.0, 8.0))
    return found[0], found[1]


def _whiten(factor: Array, effects: Array) -> Array:
    """Solve L u = b by substitution; a coordinate without spread is 0."""
    u = np.zeros(effects.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for row in range(effects.shape[-1]):
            rest = effects[..., row] - (factor[..., row, :row] * u[..., :row]).sum(axis=-1)
            u[..., row] = np.where(factor[..., row, row] > 0, rest / factor[..., row, row], 0.0)
    return _finite(u)


def _mode(target: Target, inner: Array, outer: Array, start: Point) -> tuple[Point, Arrow, Slopes]:
    """Return the mode of each unit's integrand, with the normal equations and the rows' derivatives there."""
    batch, u = target.batch, start
    prior = _prior_spread(target, inner, outer)
    steps = {p: 1e-3 * spread + 1e-6 for p, spread in prior.items()}
    value = _objective(target, inner, outer, u)
    for _ in range(NEWTON_STEPS):
        more = _added(target, inner, outer, u)
        slopes = target.derivatives(more, steps)
        first, second = slopes.first, slopes.curvature
        steps = {p: _step(second[p, p], prior[p], more[p][:, 0] + target.base[p]) for p in prior}
        arrow = Arrow(batch, inner, outer, second)
        score = whitened(batch, inner, outer, first)
        right = (score[0] - u[0], score[1] - u[1])
        step_inner, step_outer, gain = arrow.solve(right)
        if not (gain > CLOSE).any():
            break
        length = np.where(gain > 0, 1.0, 0.0)
        for _ in range(HALVINGS):
            tried = (
                u[0] + length[:, batch.unit_of_segment, None] * step_inner,
                u[1] + length[:, :, None] * step_outer,
            )
            at_tried = _objective(target, inner, outer, tried)
            worse = ~(at_tried >= value - 1e-9 * (1.0 + np.abs(value)))
            if not worse.any():
                break
            length = np.where(worse, 0.5 * length, length)
        kept = ~worse
        u = (
            np.where(kept[:, batch.unit_of_segment, None], tried[0], u[0]),
            np.where(kept[:, :, None], tried[1], u[1]),
        )
        value = np.where(kept, at_tried, value)
    return u, arrow, slopes


def _step(curvature: Array, prior: Array, eta: Array) -> Array:
    """Return a hundredth of the width of a row's log density or of its prior, but no less than rounding allows."""
    with np.errstate(divide="ignore"):
        width = 1.0 / np.sqrt(np.maximum(curvature, np.where(prior > 0, 1.0 / np.square(prior), 1.0)))
    return np.maximum(1e-2 * width, 1e-7 * (1.0 + np.abs(eta)))


def _added(target: Target, inner: Array, outer: Array, u: Point) -> dict[str, Array]:
    """Return what a point adds to the predictors, shape (S, 1, n)."""
    found = added(target.batch, inner, outer, (u[0][:, None], u[1][:, None]))
    return {p: found.get(p, np.zeros((1, 1, 1))) for p in target.base}


def _objective(target: Target, inner: Array, outer: Array, u: Point) -> Array:
    """Return the log of each unit's integrand, shape (S, U)."""
    density = target.density(_added(target, inner, outer, u))[:, 0]
    total = np.add.reduceat(density, target.batch.unit_starts, axis=1)
    total = total - 0.5 * by_unit(target.batch, np.square(u[0]).sum(axis=-1))
    return np.asarray(total - 0.5 * np.square(u[1]).sum(axis=-1))


def _prior_spread(target: Target, inner: Array, outer: Array) -> dict[str, Array]:
    """Return the prior standard deviation of what is added to each row's predictors, shape (S, n)."""
    batch = target.batch
    spread: dict[str, Array] = {}
    for p in target.base:
        total: Array = np.zeros(1)
        for factor, columns, owners, part in (
            (inner[:, None], batch.z_inner, batch.inner_parameters, batch.segment_of_row),
            (outer, batch.z_outer, batch.outer_parameters, batch.unit_of_row),
        ):
            own = columns * np.array([o == p for o in owners], dtype=float) if owners else columns
            if own.shape[1]:
                of_part = factor[:, 0] if factor.shape[1] == 1 else factor[:, part]
                row = own @ of_part if factor.shape[1] == 1 else np.einsum("nd,snde->sne", own, of_part)
                total = total + np.square(row).sum(axis=-1)
        spread[p] = np.sqrt(total)
    return spread


def _inner(
    target: Target,
    inner: Array,
    at: Array,
    arrow: Arrow,
    nodes: Nodes,
    with_rows: bool,
    features: Features | None = None,
) -> tuple[Array, Array | None, Array | None]:
    """Integrate over the inner effects of each segment.

    Returns
    -------
    tuple
        Log integrals, shape (S, L); and where wanted, for each row, the log of the integral without it over that with it,
        shape (S, n), and the averages of features in the integral without it, shape (features, S, n).
    """
    batch = target.batch
    u = at[:, None] + np.einsum("slba,kb->skla", arrow.inner_inverse, nodes.points)
    nothing = np.zeros((*u.shape[:2], len(batch.units), 0))
    more = _of_targets(target, added(batch, inner, np.zeros((len(inner), 1, 0, 0)), (u, nothing)))
    density = target.density(more)
    log_mass = np.add.reduceat(density, batch.segment_starts, axis=2)
    log_mass += nodes.log_weight[:, None] - 0.5 * (np.square(u).sum(axis=-1) + u.shape[-1] * _LOG_2PI)
    total = logsumexp(log_mass, axis=1)
    of_segments = total - 0.5 * arrow.inner_log_determinant
    if not with_rows:
        return of_segments, None, None
    rest = _without(log_mass - total[:, None], density, batch.segment_of_row)
    ratio = np.asarray(logsumexp(rest, axis=1))
    return of_segments, ratio, target.averages(features, more, rest - ratio[:, None]) if features else None


def _of_targets(target: Target, found: Mapping[str, Array]) -> dict[str, Array]:
    return {p: found.get(p, np.zeros((1, 1, 1))) for p in target.base}


def _without(log_share: Array, density: Array, part_of_row: NDArray[np.int64]) -> Array:
    """Return log of share_k / p_ik of each row, shares summing to one over the nodes of its part, shape (S, K, n)."""
    shares = log_share[:, :, part_of_row]
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(shares), -np.inf, shares - density)


def _outer(
    target: Target,
    inner: Array,
    outer: Array,
    point: Point,
    arrow: Arrow,
    rules_: tuple[Nodes, Nodes],
    with_rows: bool,
    features: Features | None = None,
) -> tuple[Array, Array | None, Array, Array | None]:
    """Integrate over the outer effects of each unit, and at each of their nodes over the inner ones."""
    batch, (of_inner, nodes) = target.batch, rules_
    step = np.einsum("suba,kb->skua", arrow.outer_inverse, nodes.points)
    u = point[1][:, None] + step
    size, count = u.shape[:2]
    log_prior = nodes.log_weight[:, None] - 0.5 * (np.square(u).sum(axis=-1) + u.shape[-1] * _LOG_2PI)
    half = 0.5 * arrow.outer_log_determinant
    no_inner = np.zeros((size, count, len(batch.inner_levels), 0))
    here = _of_targets(
        target, added(replace(batch, z_inner=batch.z_inner[:, :0], inner_parameters=()), inner, outer, (no_inner, u))
    )
    if not batch.sizes[3]:
        density = target.density(here)
        log_mass = np.add.reduceat(density, batch.unit_starts, axis=2) + log_prior
        total = logsumexp(log_mass, axis=1)
        share = log_mass - total[:, None]
        if not with_rows:
            return total - half, None, share, None
        rest = _without(share, density, batch.unit_of_row)
        of_rows = np.asarray(logsumexp(rest, axis=1))
        averages = target.averages(features, here, rest - of_rows[:, None]) if features else None
        return total - half, of_rows, share, averages
    # At each node of the outer effects, the inner ones are a problem of their own: draws x nodes as draws.
    alone = replace(batch, z_outer=batch.z_outer[:, :0], outer_parameters=())
    moved = replace(target.moved(here), batch=alone)
    factor, none = np.repeat(inner, count, axis=0), np.zeros((size * count, 1, 0, 0))
    shifted = np.einsum("slfd,skld->sklf", arrow.across, step[:, :, batch.unit_of_segment])
    start = point[0][:, None] - np.einsum("slgf,sklg->sklf", arrow.inner_inverse, shifted)
    start = start.reshape(size * count, *start.shape[2:])
    at, own, _ = _mode(moved, factor, none, (start, np.zeros((size * count, len(batch.units), 0))))
    of_segments, ratio, averages = _inner(moved, factor, at[0], own, of_inner, with_rows, features)
    log_mass = by_unit(batch, of_segments).reshape(size, count, -1) + log_prior
    total = logsumexp(log_mass, axis=1)
    share = log_mass - total[:, None]
    if ratio is None:
        return total - half, None, share, None
    of_nodes = share[:, :, batch.unit_of_row] + ratio.reshape(size, count, -1)
    of_rows = np.asarray(logsumexp(of_nodes, axis=1))
    if averages is not None:
        of_both = averages.reshape(len(averages), size, count, -1)
        averages = (of_both * np.exp(of_nodes - of_rows[:, None])).sum(axis=2)
    return total - half, of_rows, share, averages
