"""The response in every group: each observation, the median and the middle half."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import plain
from multilevel.figures.layout import LABELLED_ROWS, ONE_COLUMN_ROWS, arrange, row_panels
from multilevel.figures.marks import beside_rows, dots, number_axis, sample, span, stripe
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, DOTS_ABOVE, INK, ORANGE, SMALL, TINY, themed


@themed
def draw_data_response_by_group(data: pd.DataFrame, *, quantity: str = "Response", group: str = "group") -> Figure:
    """Draw one row per group, in order of the group's median: its observations, its quartiles, and how many they are.

    Columns: group; value (the response of one observation; missing values are left out). One row per observation.
    `quantity` labels the x axis, `group` says what a group is.

    Raises
    ------
    ValueError
        When a column is missing, or no value is finite.
    """
    table = checked(data, "draw_data_response_by_group", ["group"], ["value"], ["value"]).dropna(subset=["value"])
    by_group = table.groupby("group", sort=False)["value"]
    groups = pd.DataFrame({
        "lower": by_group.quantile(0.25),
        "median": by_group.median(),
        "upper": by_group.quantile(0.75),
        "n": by_group.size(),
    })  # fmt: skip
    groups = groups.sort_values(["median", "n"], ascending=False, kind="stable")
    figure, grid, height, places = row_panels(list(groups.index))
    labelled, one_column = len(groups) <= LABELLED_ROWS, len(places) == 1
    mark = 1.2 if not labelled else 4.0 if len(groups) <= ONE_COLUMN_ROWS else 2.8
    for axes, positions in zip(grid[0], places, strict=True):
        rows = groups.iloc[positions]
        axes.set_xlim(span(table["value"]))
        number_axis(axes, "x", ticks=7 if one_column else 5)
        _draw_rows(axes, rows, table[table["group"].isin(rows.index)], mark, len(table) > DOTS_ABOVE)
        if labelled:
            stripe(axes, range(len(rows)))
            beside_rows(axes, [str(n) for n in rows["n"]], SMALL if one_column else TINY, heading="n")
        else:
            axes.set_ylim(len(groups), -1)
    arrange(
        figure,
        grid,
        height,
        x=quantity,
        y="" if labelled else f"{len(groups)} levels of {plain(group)}, highest median at the top",
        key=[
            ("observation", sample(BLUE, "o")),
            ("middle half", sample(ORANGE, "", 3.0)),
            (f"median of the {plain(group)}", sample(INK, "|")),
        ],
    )
    return figure


def _draw_rows(axes: Axes, groups: pd.DataFrame, table: pd.DataFrame, mark: float, raster: bool) -> None:
    rows = np.arange(len(groups))
    row_of = dict(zip(groups.index, rows, strict=True))
    axes.hlines(rows, groups["lower"], groups["upper"], color=ORANGE, linewidth=min(mark, 300 / len(groups)), zorder=2)
    dots(axes, table["value"], table["group"].map(row_of), BLUE, mark, alpha=0.45, raster=raster, z=3)
    tick = 2.2 * mark
    axes.plot(groups["median"], rows, "|", color=INK, markersize=tick, markeredgewidth=0.35 * mark, zorder=4)
