"""How many observations each group has."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from multilevel.figures.labels import elide, plain, short_names
from multilevel.figures.layout import ONE_COLUMN_ROWS, arrange, line_grid, row_height
from multilevel.figures.marks import bars, beside_rows, name_points, named_rows, number_axis
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, GREY, SMALL, TINY, themed

NAMED = 6


@themed
def draw_group_sizes(data: pd.DataFrame, *, group: str = "group", unit: str = "observations") -> Figure:
    """Draw the groups as bars in order of size: named one by one, or, when they are many, the largest only.

    Columns: group; n. One row per group. `group` and `unit` say what is counted.

    Raises
    ------
    ValueError
        When a column is missing, or no n is finite.
    """
    table = checked(data, "draw_group_sizes", ["group"], ["n"], ["n"]).dropna(subset=["n"])
    table = table.sort_values("n", ascending=False, kind="stable", ignore_index=True)
    return _named(table, unit) if len(table) <= ONE_COLUMN_ROWS else _ranked(table, group, unit)


def _named(table: pd.DataFrame, unit: str) -> Figure:
    figure, grid = line_grid(1)
    axes: Axes = grid[0, 0]
    axes.barh(np.arange(len(table)), table["n"], height=0.72, color=BLUE)
    named_rows(axes, short_names(table["group"], 2.1, SMALL))
    axes.set_xlim(0, 1.02 * float(table["n"].max()) or 1.0)
    number_axis(axes, "x", ticks=7, whole=True)
    beside_rows(axes, [f"{n:.0f}" for n in table["n"]], SMALL)
    arrange(figure, grid, len(table) * row_height(len(table)), x=f"Number of {unit}")
    return figure


def _ranked(table: pd.DataFrame, group: str, unit: str) -> Figure:
    figure, grid = line_grid(1)
    axes: Axes = grid[0, 0]
    count, largest = len(table), float(table["n"].max())
    bars(axes, table["n"], 0.86 if count <= 150 else 1.0, BLUE)
    axes.set_xlim(-0.5 - 0.005 * count, 1.005 * count - 0.5)
    axes.set_ylim(0, 1.08 * largest or 1.0)
    number_axis(axes, "x", ticks=6, whole=True, grid=False)
    number_axis(axes, "y", ticks=5, whole=True, grid=False)
    axes.text(
        0.985, 0.97, _summary(table["n"].to_numpy(), unit), transform=axes.transAxes, ha="right", va="top", size=SMALL,
        color=GREY, linespacing=1.4, parse_math=False,
    )  # fmt: skip
    arrange(figure, grid, 2.8, x=f"{count} levels of {plain(group)}, largest first", y=f"Number of {plain(unit)}")
    head = table[:NAMED]
    names = [f"{elide(plain(name), 1.6, TINY)}, {n:.0f}" for name, n in zip(head["group"], head["n"], strict=True)]
    name_points(axes, list(zip(np.arange(len(head)) + 0.5, head["n"], strict=True)), names)
    return figure


def _summary(n: NDArray[np.float64], unit: str) -> str:
    smallest = int((n == n.min()).sum())
    return (
        f"{n.sum():.0f} {elide(plain(unit), 1.6, SMALL)} in {len(n)} groups\n"
        f"median {np.median(n):.4g}, largest {n.max():.0f}\n"
        f"smallest {n.min():.0f} (in {smallest} {'group' if smallest == 1 else 'groups'})"
    )
