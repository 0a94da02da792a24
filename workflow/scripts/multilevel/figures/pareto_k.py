"""Pareto k of every observation: where importance sampling cannot be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, plain
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import DASHED, dot_size, dots, name_points, number_axis, span
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, DOTS_ABOVE, GREY, SMALL, TINY, VERMILLION, themed

NAMED = 10


@themed
def draw_pareto_k(data: pd.DataFrame, *, unit: str = "Observation") -> Figure:
    """Draw the Pareto k of each unit left out, in the order given, with the threshold above which it is not reliable.

    Columns: row_id; pareto_k (infinite or missing: at the upper edge, as an arrow); group; threshold (the same in
    every row). One row per unit. The units above the threshold are red, the worst carry row and group. `unit` labels
    the x axis.

    Raises
    ------
    ValueError
        When a column is missing, thresholds differ or are missing, or there are no rows.
    """
    table = checked(data, "draw_pareto_k", ["row_id", "group"], ["pareto_k", "threshold"], ["threshold"])
    if table["threshold"].nunique(dropna=False) != 1:
        raise ValueError("draw_pareto_k draws one threshold, but the column threshold holds several values")
    threshold, count = float(table["threshold"].iloc[0]), len(table)
    low, high = span([0.0, threshold, *table["pareto_k"]], room=0.06)
    unknown = table["pareto_k"].isna()
    table["height"] = table["pareto_k"].fillna(high)
    good, bad, endless = table[table["pareto_k"] <= threshold], table[table["pareto_k"] > threshold], table[unknown]

    figure, grid = line_grid(1)
    axes: Axes = grid[0, 0]
    axes.axhline(threshold, color=VERMILLION, linewidth=0.9, linestyle=DASHED, zorder=2)
    size, raster = dot_size(count), count > DOTS_ABOVE
    dots(axes, good.index, good["height"], BLUE, size, alpha=0.6, raster=raster)
    dots(axes, bad.index, bad["height"], VERMILLION, max(size, 4.0), marker="D", z=5)
    if len(endless):  # an empty unclipped line would count as a mark at the page's corner
        axes.plot(endless.index, endless["height"], "^", color=VERMILLION, markersize=6, clip_on=False, zorder=5)
    axes.set_xlim(-0.01 * count - 0.5, 1.01 * count - 0.5)
    axes.set_ylim(low, high)
    number_axis(axes, "x", ticks=6, grid=False, whole=True)
    number_axis(axes, "y", ticks=6)
    above = len(bad) + len(endless)
    words = f"{above} of {count} above {threshold:.2g}" + (f" ({len(endless)} not finite)" if len(endless) else "")
    axes.set_title(words, loc="right", color=VERMILLION if above else GREY, fontsize=SMALL)
    arrange(figure, grid, 2.8, x=f"{plain(unit)}, in the order of the data", y="Pareto k")
    worst = pd.concat([endless, bad.sort_values("height", ascending=False, kind="stable")])[:NAMED]
    _name_worst(axes, worst, several=table["group"].nunique() > 1)
    return figure


def _name_worst(axes: Axes, worst: pd.DataFrame, several: bool) -> None:
    names = [
        elide(f"row {plain(row)}" + (f", {plain(group)}" if several else ""), 1.6, TINY)
        for row, group in zip(worst["row_id"], worst["group"], strict=True)
    ]
    name_points(axes, list(zip(np.asarray(worst.index, dtype=float), worst["height"], strict=True)), names)
