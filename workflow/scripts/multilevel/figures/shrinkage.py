"""Estimates by level without pooling, partially pooled and completely pooled, side by side."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import LABELLED_ROWS, ONE_COLUMN_ROWS, arrange, row_panels
from multilevel.figures.marks import DASHED, beside_rows, dots, number_axis, sample, span
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, INK, MIDDLE, SMALL, TINY, VERMILLION, themed

ALONE = ("no_pooling", "no_pooling_lower", "no_pooling_upper")
PARTIAL = ("partial", "partial_lower", "partial_upper")


@themed
def draw_shrinkage(
    data: pd.DataFrame,
    *,
    quantity: str = "Estimate",
    group: str = "group",
    order: Literal["n", "estimate"] = "n",
    interval: float = 0.95,
) -> Figure:
    """Draw how far each level is pulled from its own estimate towards the others.

    Columns: level (name); n (observations); no_pooling, no_pooling_lower, no_pooling_upper (estimate from the level
    alone and its interval, may be missing); partial, partial_lower, partial_upper (multilevel estimate and interval);
    pooled (estimate that ignores levels; the same in every row). One row per level. `quantity` labels the x axis,
    `group` says what a level is, `interval` is the probability that the intervals hold. Rows are in descending order
    of n, or of the partially pooled estimate. Intervals without pooling that would squeeze everything else are cut at
    the edge of the plot and end in an arrow there. More than 130 levels have no room for names nor for the intervals
    without pooling.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_shrinkage", ["level"], ["n", *ALONE, *PARTIAL, "pooled"], ["no_pooling", "partial"])
    by = ["n", "partial"] if order == "n" else ["partial", "n"]
    table = table.sort_values(by, ascending=False, kind="stable", ignore_index=True)
    figure, grid, height, places = row_panels(list(table["level"]))
    labelled, one_column = len(table) <= LABELLED_ROWS, len(places) == 1
    limits = _limits(table, labelled)
    for axes, positions in zip(grid[0], places, strict=True):
        rows = table.iloc[positions]
        axes.set_xlim(limits)
        number_axis(axes, "x", ticks=7 if one_column else 5)
        if labelled:
            _draw_rows(axes, rows, limits, size=4.0 if len(table) <= ONE_COLUMN_ROWS else 3.2)
            counts = [f"{n:.0f}" if np.isfinite(n) else "" for n in rows["n"]]
            beside_rows(axes, counts, SMALL if one_column else TINY, heading="n")
        else:
            _draw_many_rows(axes, rows)
    top = "largest n" if order == "n" else "highest estimate"
    arrange(
        figure,
        grid,
        height,
        x=quantity,
        y="" if labelled else f"{len(table)} levels of {plain(group)}, {top} at the top",
        key=[
            (f"{plain(group)} alone", sample(VERMILLION, "o", 0.8 if labelled else 0, hollow=labelled)),
            (f"partially pooled with {percent(interval)} interval", sample(BLUE, "o", 1.8)),
            ("completely pooled", sample(INK, "", 1.0, DASHED)),
        ],
    )
    return figure


def _limits(table: pd.DataFrame, labelled: bool) -> tuple[float, float]:
    """Limits that hold every estimate and every partially pooled interval, and the other intervals if they fit."""
    core = span(table[["no_pooling", *PARTIAL, "pooled"]].to_numpy().ravel())
    if not labelled:
        return core
    whole = span([*table["no_pooling_lower"], *table["no_pooling_upper"], *core], room=0.02)
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
    for cut, edge, arrow in ((lower < limits[0], 0.006, "<"), (upper > limits[1], 0.994, ">")):
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
