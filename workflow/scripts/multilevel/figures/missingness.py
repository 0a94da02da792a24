"""What share of each column is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import number, short_names
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import beside_rows, named_rows, number_axis
from multilevel.figures.table import checked
from multilevel.figures.theme import INK, LIGHT, SMALL, VERMILLION, themed


@themed
def draw_missingness(data: pd.DataFrame, *, note: str = "") -> Figure:
    """Draw one bar per column of the data on a scale from 0 to 100%, in the order given, with the counts in words.

    Columns: column (name of a column of the data); missing (rows where it is missing); n (rows looked at). One row per
    column of the data; columns without missing values belong in the table too. `note` says which columns these are.

    Raises
    ------
    ValueError
        When a column is missing, there are no rows, or a count is not between 0 and n.
    """
    table = checked(data, "draw_missingness", ["column"], ["missing", "n"])
    wrong = table[~((table["missing"] >= 0) & (table["missing"] <= table["n"]) & (table["n"] > 0))]
    if len(wrong):
        name, missing, n = wrong.iloc[0]
        raise ValueError(f"draw_missingness: column {name!r} has {missing:g} missing of {n:g} rows")
    share = 100 * table["missing"] / table["n"]
    rows = np.arange(len(table))
    figure, grid = line_grid(1)
    axes: Axes = grid[0, 0]
    axes.barh(rows, 100, height=0.62, color=LIGHT)
    axes.barh(rows, share, height=0.62, color=VERMILLION)
    named_rows(axes, short_names(table["column"], 2.1, SMALL))
    axes.set_xlim(0, 100)
    number_axis(axes, "x", ticks=5, grid=False)
    words = [
        f"{missing:.0f} of {n:.0f} ({_percentage(part)})" if missing else "none"
        for missing, n, part in zip(table["missing"], table["n"], share, strict=True)
    ]
    beside_rows(axes, words, SMALL, INK)
    height = len(table) * (0.23 if len(table) <= 12 else 0.19)
    arrange(figure, grid, height, x="Rows in which the column is missing (%)", note=note)
    return figure


def _percentage(share: float) -> str:
    return "under 0.1%" if share < 0.1 else f"{number(share)}%"
