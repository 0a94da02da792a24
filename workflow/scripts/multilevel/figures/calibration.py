"""Predicted probabilities beside the shares in which what they are of came true."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import arrange
from multilevel.figures.marks import DASHED, dots, number_axis, sample, span
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, GREY, INK, VERMILLION, new_figure, themed

NUMBERS: Final = ("n", "predicted", "observed", "lower", "upper")
HEIGHT: Final = 3.2
"""Height of the panel in inches."""


@themed
def draw_calibration(data: pd.DataFrame, *, quantity: str = "outcome", interval: float = 0.95) -> Figure:
    """Draw the observed share of each bin over its predicted probability, and the interval of replicated shares.

    Columns: n (rows of the bin); predicted (their mean probability); observed (share of successes); lower, upper (interval
    of the shares of replicated data sets that holds probability `interval`). Where a model is calibrated, dots lie on the
    dashed diagonal but for chance, which the intervals show; a dot outside its interval is a red cross. `quantity` says
    what came true.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_calibration", [], NUMBERS, ["predicted", "observed"])
    figure = new_figure()
    grid = figure.subplots(1, 1, squeeze=False)
    axes: Axes = grid[0, 0]
    out = ((table["observed"] < table["lower"]) | (table["observed"] > table["upper"])).to_numpy()
    x, y = table["predicted"].to_numpy(dtype=float), table["observed"].to_numpy(dtype=float)
    low, high = span(table[["predicted", "observed", "lower", "upper"]].to_numpy(dtype=float).ravel())
    axes.plot([low, high], [low, high], color=GREY, linestyle=DASHED, linewidth=0.9, zorder=1)
    axes.vlines(x, table["lower"], table["upper"], color=BLUE, linewidth=5.0, alpha=0.5, zorder=2)
    dots(axes, x[~out], y[~out], INK, 4.6, z=4)
    if out.any():
        dots(axes, x[out], y[out], VERMILLION, 6.4, marker="X", z=5)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    number_axis(axes, "x", ticks=6)
    number_axis(axes, "y", ticks=6)
    arrange(
        figure,
        grid,
        HEIGHT,
        titles=[f"{len(table) - int(out.sum())} of {len(table)} shares inside their interval"],
        x="Predicted probability, mean of a bin of rows",
        y=f"Observed share: {plain(quantity)}",
        key=[
            ("observed", sample(INK, "o")),
            (f"replicated, {percent(interval)} interval", sample(BLUE, "", 3.0)),
            *([("observed outside it", sample(VERMILLION, "X"))] if out.any() else []),
        ],
    )
    return figure
