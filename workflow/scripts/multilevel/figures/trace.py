"""Sampled values of parameters in the order of the draws, one line per chain."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from multilevel.figures.labels import plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import RASTER_ABOVE, cycled, themed

NAMED = 16


@themed
def draw_trace(data: pd.DataFrame) -> Figure:
    """Draw one panel per parameter, chains over each other.

    Columns: parameter; chain; draw; value. One row per draw that is shown (thin long runs first). Parameters keep the
    order in which they first appear; each has its own y scale.

    Raises
    ------
    ValueError
        When a column is missing, or no value is finite.
    """
    table = checked(data, "draw_trace", ["parameter", "chain"], ["draw", "value"], ["value"])
    parameters, chains = in_order(table["parameter"]), in_order(table["chain"])
    figure, grid, panels = panel_grid(len(parameters), 1 if len(parameters) <= 5 else 2)
    raster = len(table) > RASTER_ABOVE
    for position, (axes, parameter) in enumerate(zip(panels, parameters, strict=True)):
        rows = table[table["parameter"] == parameter]
        for chain, tint in zip(chains, cycled(len(chains)), strict=True):
            line = rows[rows["chain"] == chain]
            axes.plot(line["draw"], line["value"], color=tint, linewidth=0.6, alpha=0.75, rasterized=raster)
        axes.set_xlim(span(table["draw"], room=0.005))
        axes.set_ylim(span(rows["value"]))
        axes.tick_params(labelbottom=position + grid.shape[1] >= len(parameters))
        number_axis(axes, "x", ticks=5, grid=False, whole=True)
        number_axis(axes, "y", ticks=3, grid=False)
    key = [
        (f"chain {plain(chain)}", sample(tint, "", 2.0))
        for chain, tint in zip(chains[:NAMED], cycled(NAMED), strict=False)
    ]
    arrange(figure, grid, 0.85, titles=parameters, x="Draw", y="Value", key=key)
    return figure
