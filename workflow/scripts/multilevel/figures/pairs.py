"""Scatter matrix of the parameters that the sampler found hardest: ridges, funnels, and where it diverged."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import wrap
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import dots, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, INK, SKY, TINY, VERMILLION, themed

BINS = 24
RASTER_ABOVE = 400
"""Dots in all panels together above which they are embedded as an image: each would be an element of the file."""

MOST_WITH_NUMBERS = 6
"""Parameters above which panels are too small for numbers."""


@themed
def draw_pairs(data: pd.DataFrame, *, note: str = "") -> Figure:
    """Draw every pair of parameters below the diagonal, draws as dots and divergent ones as crosses over them.

    Columns: parameter; chain; draw; value; diverging (1 where the transition to this draw diverged, else 0); r_hat; ess
    (the smaller of bulk and tail; both the same in every row of a parameter, and may be missing). One row per parameter
    and draw, the same draws for all. Parameters keep the order in which they first appear; on the diagonal stand
    histograms. `note` says which draws are shown.

    Raises
    ------
    ValueError
        When a column is missing, or no value is finite.
    """
    numbers = ["draw", "value", "diverging", "r_hat", "ess"]
    table = checked(data, "draw_pairs", ["parameter", "chain"], numbers, ["value"])
    table = table.drop_duplicates(["parameter", "chain", "draw"])
    parameters = in_order(table["parameter"])
    parts = [table[table["parameter"] == name].reset_index(drop=True) for name in parameters]
    count = len(parameters)
    figure, grid, _ = panel_grid(count * count, count)
    height = 0.92 if count > 3 else 1.5
    raster = len(parts[0]) * count * (count - 1) // 2 > RASTER_ABOVE
    titles: list[str | None] = [None] * grid.size
    for (row, column), axes in np.ndenumerate(grid):
        axes.set_visible(column <= row)
        if column > row:
            continue
        axes.set_xlim(span(parts[column]["value"], room=0.06))
        number_axis(axes, "x", ticks=3, grid=False)
        if column == row:
            titles[row * count + column] = parameters[row]
            _draw_histogram(axes, parts[row], numbers=count <= MOST_WITH_NUMBERS)
        else:
            axes.set_ylim(span(parts[row]["value"], room=0.06))
            number_axis(axes, "y", ticks=3, grid=False)
            _draw_pair(axes, parts[column], parts[row], raster)
        _name_sides(axes, parameters[row], height, first=column == 0 < row, last=row == count - 1)
        if count > MOST_WITH_NUMBERS:
            axes.tick_params(labelleft=False, labelbottom=False)
    divergent = int(parts[0]["diverging"].sum())
    key = [("draw", sample(BLUE, "o"))]
    if divergent:
        key.append((f"divergent transition ({divergent})", sample(VERMILLION, "x")))
    arrange(figure, grid, height, titles=titles, key=key if count > 1 else [], note=note)
    return figure


def _name_sides(axes: Axes, name: str, height: float, *, first: bool, last: bool) -> None:
    axes.tick_params(labelsize=TINY, labelleft=first, labelbottom=last, pad=2)
    if first:
        axes.set_ylabel(wrap(name, height + 0.1, TINY), fontsize=TINY, parse_math=False)


def _draw_histogram(axes: Axes, part: pd.DataFrame, *, numbers: bool) -> None:
    values = part["value"].dropna()
    counts, edges = np.histogram(values, BINS, range=axes.get_xlim())
    axes.stairs(counts, edges, fill=True, color=SKY, alpha=0.7)
    axes.stairs(counts, edges, color=BLUE, linewidth=0.7)
    axes.set_yticks([])
    axes.set_ylim(0, 1.75 * float(counts.max()) or 1.0)
    axes.spines["left"].set_visible(False)
    r_hat, ess = float(part["r_hat"].iloc[0]), float(part["ess"].iloc[0])
    words = [f"R-hat {r_hat:.3f}"] if np.isfinite(r_hat) else []
    words += [f"ESS {ess:.0f}"] if np.isfinite(ess) else []
    if not numbers:
        return
    axes.text(
        0.98, 0.99, "\n".join(words), transform=axes.transAxes, ha="right", va="top", size=TINY - 1, color=GREY,
        linespacing=1.15,
    )  # fmt: skip


def _draw_pair(axes: Axes, across: pd.DataFrame, up: pd.DataFrame, raster: bool) -> None:
    diverged = (across["diverging"] > 0).to_numpy()
    dots(axes, across["value"][~diverged], up["value"][~diverged], BLUE, 1.6, alpha=0.35, raster=raster)
    if diverged.any():
        axes.plot(
            across["value"][diverged], up["value"][diverged], "x", color=VERMILLION, markersize=4, markeredgewidth=1.1,
            zorder=5,
        )  # fmt: skip
        axes.plot(across["value"][diverged], up["value"][diverged], ".", color=INK, markersize=1, zorder=6)
