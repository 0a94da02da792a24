"""Estimates by level without pooling, partially pooled and completely pooled, side by side."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import ONE_COLUMN_ROWS, arrange, blocks
from multilevel.figures.marks import DASHED, beside_rows, dots, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, INK, MIDDLE, SMALL, TINY, VERMILLION, themed

ALONE: Final = ("no_pooling", "no_pooling_lower", "no_pooling_upper")
PARTIAL: Final = ("partial", "partial_lower", "partial_upper")
REACH: Final = 2.0
"""How far out an estimate without pooling may lie and still set the scale, in widths of what is partially pooled."""


@themed
def draw_shrinkage(
    data: pd.DataFrame,
    *,
    quantity: str = "Estimate",
    group: str = "group",
    order: Literal["n", "estimate"] = "n",
    interval: float = 0.95,
) -> Figure:
    """Draw how far each level is pulled from its own estimate towards the others, a facet per effect.

    Columns: effect; level (name); n (observations); no_pooling, no_pooling_lower, no_pooling_upper (estimate from the
    level alone and its interval, missing where the level's own data give none); partial, partial_lower, partial_upper
    (multilevel estimate and interval); pooled (estimate that ignores levels; the same in every row of an effect). One
    row per effect and level. `quantity` labels the x axis, `group` says what a level is, `interval` is the probability
    that the intervals hold. Rows are in descending order of n, or of the first effect's partially pooled estimate, and
    the same in every facet. Estimates and intervals without pooling that would squeeze everything else are cut at the
    edge of the plot and end in an arrow there. More levels than there is room for have no names, and no intervals
    without pooling.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    numbers = ["n", *ALONE, *PARTIAL, "pooled"]
    table = checked(data, "draw_shrinkage", ["effect", "level"], numbers, ["no_pooling", "partial"])
    effects = in_order(table["effect"])
    first = table[table["effect"] == effects[0]]
    by = ["n", "partial"] if order == "n" else ["partial", "n"]
    levels = list(first.sort_values(by, ascending=False, kind="stable")["level"])
    parts = [_in_order_of(table[table["effect"] == effect], levels) for effect in effects]
    figure, grid, heights, found = blocks([list(part["level"]) for part in parts])
    named, narrow = found[0].named, grid.shape[1] > 1
    titles: list[str | None] = [None] * grid.size
    for place, block in enumerate(found):
        titles[place] = effects[block.of] if len(effects) > 1 else None
        limits = _limits(parts[block.of], named)
        rows = parts[block.of].iloc[block.positions]
        block.axes.set_xlim(limits)
        number_axis(block.axes, "x", ticks=4 if narrow else 7)
        if named:
            _draw_rows(block.axes, rows, limits, size=4.0 if len(rows) <= ONE_COLUMN_ROWS else 3.2)
            counts = [f"{n:.0f}" if np.isfinite(n) else "" for n in rows["n"]]
            beside_rows(block.axes, counts, TINY if narrow else SMALL, heading="n")
        else:
            _draw_many_rows(block.axes, rows)
    top = "largest n" if order == "n" else "highest estimate"
    arrange(
        figure,
        grid,
        heights,
        titles=titles,
        x=quantity,
        y="" if named else f"{len(levels)} levels of {plain(group)}, {top} at the top",
        key=[
            (f"{plain(group)} alone", sample(VERMILLION, "o", 0.8 if named else 0, hollow=named)),
            (f"partially pooled with {percent(interval)} interval", sample(BLUE, "o", 1.8)),
            ("completely pooled", sample(INK, "", 1.0, DASHED)),
        ],
        note=_note(table, group),
    )
    return figure


def _in_order_of(part: pd.DataFrame, levels: list[str]) -> pd.DataFrame:
    place = {level: position for position, level in reversed(list(enumerate(levels)))}
    return part.assign(place=part["level"].map(place)).sort_values("place", kind="stable", ignore_index=True)


def _note(table: pd.DataFrame, group: str) -> str:
    without = table[table["no_pooling"].isna()]
    if without.empty:
        return ""
    counts = without.groupby("effect", sort=False).size()
    words = ", ".join(f"{plain(effect)} of {count}" for effect, count in counts.items())
    return f"Levels of {plain(group)} whose own data give no estimate: {words}."


def _limits(table: pd.DataFrame, named: bool) -> tuple[float, float]:
    """Limits that hold what is partially pooled, what lies within reach of it, and the other intervals if they fit."""
    pooled = span(table[[*PARTIAL, "pooled"]].to_numpy().ravel())
    reach = REACH * (pooled[1] - pooled[0])
    alone = table["no_pooling"].where(table["no_pooling"].between(pooled[0] - reach, pooled[1] + reach))
    if not table["partial"].notna().any():
        alone = table["no_pooling"]
    core = span([*table[[*PARTIAL, "pooled"]].to_numpy().ravel(), *alone])
    if not named:
        return core
    whole = span([*table["no_pooling_lower"], *table["no_pooling_upper"], *table["no_pooling"], *core], room=0.02)
    if whole[1] - whole[0] <= 3 * (core[1] - core[0]):
        return whole
    room = 0.35 * (core[1] - core[0])
    return max(whole[0], core[0] - room), min(whole[1], core[1] + room)


def _draw_rows(axes: Axes, table: pd.DataFrame, limits: tuple[float, float], size: float) -> None:
    """The level's own estimate slightly above the middle of its row, the partially pooled one slightly below."""
    _draw_pooled(axes, table)
    rows = np.arange(len(table))
    above, below = rows - 0.17, rows + 0.17
    lower, upper = table["no_pooling_lower"].to_numpy(), table["no_pooling_upper"].to_numpy()
    axes.hlines(above, lower, upper, color=VERMILLION, linewidth=0.7, alpha=0.55, zorder=2)
    own = table["no_pooling"].to_numpy()
    for cut, edge, arrow in (
        ((lower < limits[0]) | (own < limits[0]), 0.006, "<"),
        ((upper > limits[1]) | (own > limits[1]), 0.994, ">"),
    ):
        ends = np.full(cut.sum(), edge)
        axes.plot(ends, above[cut], arrow, transform=axes.get_yaxis_transform(), color=VERMILLION, markersize=3)
    axes.hlines(below, table["partial_lower"], table["partial_upper"], color=BLUE, linewidth=1.8, alpha=0.75, zorder=3)
    pull = np.stack([table["no_pooling"], table["partial"]])
    axes.plot(pull, np.stack([above, below]), color=MIDDLE, linewidth=0.6, zorder=2.5)
    dots(axes, table["no_pooling"], above, VERMILLION, size, hollow=True)
    dots(axes, table["partial"], below, BLUE, size, z=5)


def _draw_many_rows(axes: Axes, table: pd.DataFrame) -> None:
    """Too many rows for names: both estimates as dots on the partially pooled intervals."""
    rows = np.arange(len(table))
    axes.set_ylim(len(table), -1)
    _draw_pooled(axes, table)
    thin = min(0.8, 300 / len(table))
    axes.hlines(rows, table["partial_lower"], table["partial_upper"], color=BLUE, linewidth=thin, alpha=0.35, zorder=2)
    dots(axes, table["no_pooling"], rows, VERMILLION, 1.8)
    dots(axes, table["partial"], rows, BLUE, 1.8, z=5)


def _draw_pooled(axes: Axes, table: pd.DataFrame) -> None:
    if table["pooled"].nunique() == 1:
        axes.axvline(float(table["pooled"].dropna().iloc[0]), color=INK, linewidth=1.0, linestyle=DASHED, zorder=1)
    else:
        dots(axes, table["pooled"], np.arange(len(table)), INK, 6.0, marker="|", z=1)
