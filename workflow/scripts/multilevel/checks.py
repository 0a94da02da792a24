"""Posterior predictive checks: replicated data against the observed, by statistics, by group, by quantile and by density.

Replicates are new responses of the same rows in the same groups (the group effects are kept). A tail probability is
P(T(y_rep) >= T(y)), ties counted half (Gelman, Meng & Stern 1996, Statistica Sinica 6:733).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import density, likelihood, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A statistic over the last axis."""

MAX_REPLICATES = 1000
"""Replicates that the statistics are computed from, evenly spaced over the draws."""

LEAST_REPLICATES = 50
MOST_VALUES = 50_000_000
"""Values (replicates x rows) that are drawn: of more than 50,000 rows fewer replicates, but never fewer than the least."""

SHOWN_REPLICATES = 25
"""Replicates whose density is drawn for all rows."""

SHOWN_OF_GROUPS = 12
"""Replicates whose density is drawn for a level, in a panel a quarter as wide."""

SHOWN_PANELS = 12
"""Panels of densities: all rows, and the largest levels of each grouping."""

MOST_GROUP_VALUES = 8_000_000
"""Most values (replicates x levels) that are kept of a grouping, 64 MB: of very many levels, fewer replicates."""

LEAST_FOR_SD = 5
"""Rows that a level needs for its standard deviation, and for its density, to say anything."""

POINTS = 80
"""Points of a curve."""

MOST_SHARES = 60
"""Whole numbers that a curve of shares may cover; a wider range is drawn as a density."""

FARTHEST = 0.5
"""How far curves go beyond the data, as a share of their range."""

WIDEST = 1_000_000
"""Range of whole numbers above which their quantiles are taken as those of continuous values."""

PROBABILITIES = np.concatenate([[0.005, 0.01], np.arange(1, 40) / 40, [0.99, 0.995]])
"""Probabilities of the quantiles that are compared."""

INTERVAL = (0.025, 0.975)
"""Probabilities of the ends of the intervals of replicated values."""

TEXT = ("model", "group", "statistic", "level", "source", "scale")
"""Columns of the tables that hold names: `storage.read_csv` is to leave them as they are."""


def _skewness(values: Array) -> Array:
    """Return the skewness m3 / m2^(3/2) along the last axis; NaN where all values are equal."""
    apart = values - values.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.square(apart)
        return np.asarray((squares * apart).mean(axis=-1) / squares.mean(axis=-1) ** 1.5)


# None of these depends on the order of the values; they are given sorted ones, of which quantiles are found at once.
STATISTICS: dict[str, Function] = {
    "mean": lambda y: y.mean(axis=-1),
    "sd": lambda y: y.std(axis=-1, ddof=1),
    "minimum": lambda y: y.min(axis=-1),
    "10 % quantile": lambda y: np.quantile(y, 0.1, axis=-1),
    "median": lambda y: np.median(y, axis=-1),
    "90 % quantile": lambda y: np.quantile(y, 0.9, axis=-1),
    "maximum": lambda y: y.max(axis=-1),
    "skewness": _skewness,
}


@dataclass(frozen=True)
class Grouping:
    """Which level each row belongs to.

    Parameters
    ----------
    index
        Level of each row, shape (rows,); every level occurs.
    levels
        Labels of the levels.
    """

    index: NDArray[np.int64]
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Checks:
    """What one fit's replicates say of it.

    Parameters
    ----------
    statistics
        One row for each statistic of all rows: statistic, observed, predicted, lower, upper, tail_probability, and the
        number of replicates.
    by_group
        One row for each grouping, statistic (``mean``, and ``sd`` of levels with five rows) and level: group, statistic,
        level, n, then as above.
    quantiles
        One row for each probability: probability, observed, predicted (median of the replicates), lower, upper; of
        whole numbers as `quantiles_of` spreads them.
    densities
        Curves of all rows (group and level empty) and of the largest levels: group, level, n, source (``observed`` or
        ``replicate``), replicate, x, density, scale (``density``, or ``share`` where the response is whole numbers).
    """

    statistics: pd.DataFrame
    by_group: pd.DataFrame
    quantiles: pd.DataFrame
    densities: pd.DataFrame


def replicates(rows: int, draws: int) -> int:
    """Return the number of replicates of some rows."""
    return min(MAX_REPLICATES, draws, max(LEAST_REPLICATES, MOST_VALUES // max(1, rows)))


def replicate_blocks(design: Design, draws: Draws, seed: int) -> Iterator[Array]:
    """Yield replicated responses some at a time, shape (some, rows), so that memory does not grow with their number.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    seed
        The fit's seed; the replicates have a stream of their own.
    """
    count = replicates(len(design.y), draws.size)
    chosen = np.linspace(0, draws.size - 1, count).round().astype(int)
    rng = np.random.default_rng([seed, 1])
    rows = len(design.y)
    for block in predictor.blocks(count, rows * design.width):
        part = draws.select(chosen[block])
        yield likelihood.replicates(design, rng, part, slice(0, rows))


def check(
    y: Array,
    replicates: Iterable[Array],
    groups: Mapping[str, Grouping],
    count: int,
    discrete: bool,
    functions: Mapping[str, Function] | None = None,
) -> Checks:
    """Compare the response with its replicates.

    Parameters
    ----------
    y
        The response, shape (rows,).
    replicates
        Blocks of replicates, shape (some, rows) each, `count` in all.
    groups
        Groupings of the rows by name.
    count
        Number of replicates.
    discrete
        Whether the response is whole numbers.
    functions
        The statistics by name; `STATISTICS` and the sd of each grouping's means if left out.
    """
    functions = functions or {**STATISTICS, **_between(groups)}
    values: dict[str, list[Array]] = {name: [] for name in functions}
    moments = {name: _Moments(y, group, count) for name, group in groups.items()}
    quantiles: list[Array] = []
    shown: list[Array] = []
    wanted = set(np.linspace(0, count - 1, min(SHOWN_REPLICATES, count)).round().astype(int).tolist())
    done = 0
    for block in replicates:
        ordered = np.sort(block, axis=-1)
        for name, function in functions.items():
            values[name].append(np.atleast_1d(function(ordered if name in STATISTICS else block)))
        quantiles.append(quantiles_of(block, discrete) if discrete else quantiles_of_sorted(ordered))
        for accumulated in moments.values():
            accumulated.add(block, done)
        shown += [row.copy() for place, row in enumerate(block, done) if place in wanted]
        done += len(block)
    return Checks(
        statistics=_statistics(y, functions, {k: np.concatenate(v) for k, v in values.items()}).assign(
            replicates=count
        ),
        by_group=pd.concat([_no_groups(), *(m.table(name) for name, m in moments.items())], ignore_index=True),
        quantiles=_quantiles(quantiles_of(y[None, :], discrete)[:, 0], np.concatenate(quantiles, axis=1)),
        densities=densities(y, np.stack(shown), groups, discrete),
    )


def functions_of(design: Design, groups: Mapping[str, Grouping]) -> dict[str, Function]:
    """Return the statistics that suit the response, by name.

    Of categories, the share of each is checked; of ordered ones also mean and sd of their numbers, and the sd of the
    means of each grouping. Of zeros and ones the mean says all that their quantiles and moments could.
    """
    if design.family == "bernoulli":
        return {"mean": STATISTICS["mean"], **_between(groups)}
    if not design.categories:
        return {**STATISTICS, **_between(groups)}
    shares = {f"share of {label}": _share(k) for k, label in enumerate(design.categories, 1)}
    if design.nominal:
        return shares
    return {**shares, "mean category": STATISTICS["mean"], "sd of category": STATISTICS["sd"], **_between(groups)}


def _share(category: int) -> Function:
    return lambda y: np.asarray((y == category).mean(axis=-1))


def _between(groups: Mapping[str, Grouping]) -> dict[str, Function]:
    return {f"sd of {name} means": _sd_of_means(group.index) for name, group in groups.items()}


def _statistics(y: Array, functions: Mapping[str, Function], predicted: Mapping[str, Array]) -> pd.DataFrame:
    observed = {name: np.asarray([float(function(y))]) for name, function in functions.items()}
    parts = [
        _compared(observed[name], predicted[name][:, None]).assign(statistic=name)[["statistic", *_COMPARED]]
        for name in functions
    ]
    return pd.concat(parts, ignore_index=True)


_COMPARED = ["observed", "predicted", "lower", "upper", "tail_probability"]


def _compared(observed: Array, predicted: Array) -> pd.DataFrame:
    """Return observed values, shape (things,), beside replicated ones, shape (replicates, things)."""
    lower, upper = np.quantile(predicted, INTERVAL, axis=0)
    tail = (predicted > observed).mean(axis=0) + 0.5 * (predicted == observed).mean(axis=0)
    return pd.DataFrame(dict(zip(_COMPARED, (observed, predicted.mean(axis=0), lower, upper, tail), strict=True)))


def quantiles_of(values: Array, discrete: bool) -> Array:
    """Return the quantiles of each row of `values`, shape (probabilities, rows).

    Whole numbers are spread evenly over half a unit to either side: their own quantiles jump, and a difference of two would
    be 0 or 1 by chance.
    """
    if not discrete:
        return quantiles_of_sorted(np.sort(values, axis=-1))
    out = np.empty((len(PROBABILITIES), len(values)))
    for place, row in enumerate(np.round(values)):
        low = row.min()
        if row.max() - low > WIDEST:  # steps of one are then no steps to speak of
            out[:, place] = np.quantile(row, PROBABILITIES)
            continue
        below = np.concatenate([[0.0], np.cumsum(np.bincount((row - low).astype(np.int64))) / len(row)])
        out[:, place] = np.interp(PROBABILITIES, below, np.arange(len(below)) + low - 0.5)
    return out


def quantiles_of_sorted(values: Array) -> Array:
    """Return the quantiles of each row of sorted `values`, interpolated as by `numpy.quantile` (slower: it sorts in parts)."""
    place = PROBABILITIES * (values.shape[-1] - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, values.shape[-1] - 1)
    low, high = values[..., below], values[..., above]
    return np.asarray((low + (high - low) * (place - below)).T)


def _quantiles(observed: Array, replicated: Array) -> pd.DataFrame:
    """Return observed quantiles beside replicated ones, shape (probabilities, replicates)."""
    lower, median, upper = np.quantile(replicated, (INTERVAL[0], 0.5, INTERVAL[1]), axis=1)
    return pd.DataFrame(
        {"probability": PROBABILITIES, "observed": observed, "predicted": median, "lower": lower, "upper": upper}
    )


class _Moments:
    """Mean and standard deviation of every level in every replicate, filled block by block."""

    def __init__(self, y: Array, group: Grouping, count: int) -> None:
        self.levels = group.levels
        self.order = np.argsort(group.index, kind="stable")
        self.n = np.bincount(group.index, minlength=len(group.levels))
        self.starts = np.concatenate([[0], np.cumsum(self.n)[:-1]])
        # Sums of squares lose digits unless taken around a value near the mean.
        self.centre = np.add.reduceat(y[self.order], self.starts) / self.n
        self.around = np.repeat(self.centre, self.n)
        self.step = max(1, -(-count * len(group.levels) // MOST_GROUP_VALUES))
        self.observed = self._moments(y[None, :])
        self.means: list[Array] = []
        self.sds: list[Array] = []

    def _moments(self, block: Array) -> tuple[Array, Array]:
        """Return the levels' means, shape (replicates, levels), and the sds of those with enough rows."""
        apart = block[:, self.order] - self.around
        sums = np.add.reduceat(apart, self.starts, axis=1)
        squares = np.add.reduceat(apart * apart, self.starts, axis=1)
        enough = self.n >= LEAST_FOR_SD
        n = self.n[enough]
        variances = (squares[:, enough] - sums[:, enough] ** 2 / n) / (n - 1)
        return self.centre + sums / self.n, np.sqrt(np.maximum(variances, 0.0))

    def add(self, block: Array, done: int) -> None:
        """Take in a block of replicates, the first of which is number `done`."""
        kept = block[-done % self.step :: self.step]
        if len(kept):
            means, sds = self._moments(kept)
            self.means.append(means)
            self.sds.append(sds)

    def table(self, name: str) -> pd.DataFrame:
        """Return one row for each statistic and level."""
        enough = self.n >= LEAST_FOR_SD
        parts = []
        for statistic, observed, predicted, chosen in (
            ("mean", self.observed[0][0], self.means, np.ones(len(self.n), dtype=bool)),
            ("sd", self.observed[1][0], self.sds, enough),
        ):
            if not chosen.any():
                continue
            compared = _compared(observed, np.concatenate(predicted))
            compared.insert(0, "n", self.n[chosen])
            compared.insert(0, "level", [level for level, kept in zip(self.levels, chosen, strict=True) if kept])
            compared.insert(0, "statistic", statistic)
            compared.insert(0, "group", name)
            parts.append(compared)
        return pd.concat(parts, ignore_index=True)


def _no_groups() -> pd.DataFrame:
    """Return the table by group of a study that has no groupings."""
    columns = {"group": str, "statistic": str, "level": str, "n": int, **dict.fromkeys(_COMPARED, float)}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def largest(groups: Mapping[str, Grouping]) -> list[tuple[str, int]]:
    """Return the levels whose density is drawn, as grouping and level index: of each grouping the largest few.

    Levels of less than five rows have no density to speak of. Groupings beyond the fourth have no panels.
    """
    each = max(3, (SHOWN_PANELS - 1) // max(1, len(groups)))
    found = []
    for name, group in list(groups.items())[:4]:
        n = np.bincount(group.index, minlength=len(group.levels))
        by_size = np.argsort(-n, kind="stable")[:each]
        found += [(name, int(level)) for level in by_size if n[level] >= LEAST_FOR_SD]
    return found


def densities(y: Array, replicates: Array, groups: Mapping[str, Grouping], discrete: bool = False) -> pd.DataFrame:
    """Return curves of the observed response and of its replicates on one grid, for all rows and the largest levels.

    Parameters
    ----------
    y
        The response, shape (rows,).
    replicates
        The replicates to draw, shape (replicates, rows).
    groups
        Groupings of the rows by name.
    discrete
        Whether the response is whole numbers: then shares of each, where they are not too many.

    Returns
    -------
    pandas.DataFrame
        As `Checks.densities`.
    """
    # Replicates with a longer tail than the data are not followed to its end: the data would be a spike.
    reach = FARTHEST * float(np.ptp(y)) or np.inf
    low = max(min(y.min(), np.quantile(replicates, 0.001)), y.min() - reach)
    high = min(max(y.max(), np.quantile(replicates, 0.999)), y.max() + reach)
    scale = "share" if discrete and high - low <= MOST_SHARES else "density"
    if scale == "share":
        grid = np.arange(np.floor(low), np.ceil(high) + 1)
    else:
        margin = 0.05 * (high - low) or 0.5
        bottom = low if discrete and low >= 0 else low - margin  # no counts below zero
        grid = np.linspace(bottom, high + margin, POINTS)
    chosen = [("", "", np.arange(len(y)))]
    chosen += [(g, groups[g].levels[level], np.flatnonzero(groups[g].index == level)) for g, level in largest(groups)]
    parts: list[dict[str, Any]] = []
    for group, level, rows in chosen:
        place = {"group": group, "level": level, "n": len(rows)}
        curve = density.shares if scale == "share" else partial(density.kernel, width=density.robust_width(y[rows]))
        parts.append({**place, "source": "observed", "replicate": 0, "density": curve(y[rows], grid)})
        parts += [
            {**place, "source": "replicate", "replicate": number, "density": curve(values[rows], grid)}
            for number, values in enumerate(replicates[: SHOWN_OF_GROUPS if group else None], 1)
        ]
    frames = [pd.DataFrame({**part, "x": grid, "scale": scale}) for part in parts]
    return pd.concat(frames, ignore_index=True)[["group", "level", "n", "source", "replicate", "x", "density", "scale"]]


def _sd_of_means(index: NDArray[np.int64]) -> Function:
    counts: Any = np.bincount(index)

    def statistic(values: Array) -> Array:
        two = np.atleast_2d(values)
        means = np.stack([np.bincount(index, weights=row) / counts for row in two])
        return np.asarray(means.std(axis=-1, ddof=1)).reshape(values.shape[:-1])

    return statistic
