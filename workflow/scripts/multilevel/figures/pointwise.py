"""Where two models differ: the difference in pointwise elpd of every observation, by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, number, plain, text_width
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import dot_size, dots, name_points, number_axis, sample, span
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, GREY, MIDDLE, RASTER_ABOVE, SIZE, SMALL, TINY, WIDTH, themed

NAMED = 8
BAR = "#CFCFCF"


@themed
def draw_pointwise(data: pd.DataFrame, *, first: str = "A", second: str = "B", group: str = "group") -> Figure:
    """Draw elpd of `first` minus elpd of `second` for every observation, grouped.

    Columns: row_id; group; diff (elpd of model `first` minus that of model `second` at this observation). One row per
    observation. Groups stand in order of their total, the one that favours `first` most at the left; a bar as wide
    as the group and as high as its mean shows the total as its area. The largest differences carry their row and
    group; groups wide enough for their name have it below.

    Raises
    ------
    ValueError
        When a column is missing, or no difference is finite.
    """
    table = checked(data, "draw_pointwise", ["row_id", "group"], ["diff"], ["diff"]).dropna(subset=["diff"])
    table, groups = _grouped(table)
    count, several = len(table), len(groups) > 1
    names = [elide(plain(name), 1.9, SIZE) for name in (first, second)]
    figure, grid = line_grid(1)
    axes: Axes = grid[0, 0]
    _draw_means(axes, groups, count)
    raster = count > RASTER_ABOVE // 10
    dots(axes, np.arange(count) + 0.5, table["diff"], BLUE, dot_size(count), alpha=0.6, raster=raster)
    axes.set_xlim(-0.005 * count, 1.005 * count)
    axes.set_ylim(span([0.0, *table["diff"]], room=0.1))
    number_axis(axes, "y", ticks=6)
    _name_groups(axes, groups if several else groups[:0], count)
    for height, name, edge in ((0.985, names[0], "top"), (0.015, names[1], "bottom")):
        words = f"favours {name}"
        axes.text(0.995, height, words, transform=axes.transAxes, ha="right", va=edge, size=SMALL, color=GREY)
    by = f" by {plain(group)}, ordered by the {plain(group)}'s total" if several else ", ordered by difference"
    arrange(
        figure,
        grid,
        3.2,
        x=f"{count} observations{by} (sum: {number(float(table['diff'].sum()))})",
        y=f"elpd of {names[0]}\n\N{MINUS SIGN} elpd of {names[1]}",
        key=[("observation", sample(BLUE, "o")), (f"mean of a {plain(group)} (area: its total)", sample(BAR, "", 7.0))]
        if several
        else [],
    )
    largest = table.loc[table["diff"].abs().sort_values(ascending=False, kind="stable").index[:NAMED]]
    points = list(zip(largest.index.to_numpy(dtype=float) + 0.5, largest["diff"], strict=True))
    name_points(axes, points, [elide(_name(row, several), 1.6, TINY) for _, row in largest.iterrows()])
    return figure


def _grouped(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The observations in the order in which they are drawn, and their groups: sum, size, mean, start."""
    groups = table.groupby("group", sort=False)["diff"].agg(["sum", "size", "mean"])
    groups = groups.sort_values("sum", ascending=False, kind="stable")
    groups["start"] = groups["size"].cumsum() - groups["size"]
    order = table.assign(start=table["group"].map(groups["start"]))
    order = order.sort_values(["start", "diff"], ascending=[True, False], kind="stable", ignore_index=True)
    return order, groups


def _draw_means(axes: Axes, groups: pd.DataFrame, count: int) -> None:
    edges = np.append(groups["start"].to_numpy(), count)
    if len(groups) > 1:
        axes.stairs(groups["mean"], edges, fill=True, color=BAR, linewidth=0, zorder=1)
    if len(groups) <= 200:
        axes.vlines(edges[1:-1], 0, 1, transform=axes.get_xaxis_transform(), color="white", linewidth=0.5, zorder=1.2)
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1.5)


def _name(row: pd.Series[Any], several: bool) -> str:
    return f"row {plain(row['row_id'])}" + (f", {plain(row['group'])}" if several else "")


def _name_groups(axes: Axes, groups: pd.DataFrame, count: int) -> None:
    """Name below the axis, largest first, the groups whose name does not run into another's."""
    per_inch = count / (WIDTH - 0.9)
    taken: list[tuple[float, float]] = []
    centres, names = [], []
    for name, row in groups.sort_values("size", ascending=False, kind="stable").iterrows():
        centre = float(row["start"] + row["size"] / 2)
        short = elide(plain(name), 1.1, TINY)
        half = 0.5 * (text_width(short, TINY) + 0.12) * per_inch
        fits = centre - half > -0.04 * count and centre + half < 1.02 * count
        if fits and all(centre + half < low or centre - half > high for low, high in taken):
            taken.append((centre - half, centre + half))
            centres.append(centre)
            names.append(short)
    axes.set_xticks(centres, names, parse_math=False)
    axes.tick_params(axis="x", labelsize=TINY, color=MIDDLE)
