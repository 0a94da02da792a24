"""Density of the data of the largest groups beside densities of data that one model predicts for them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.predictive_density import KEY, fit_scales, overlay
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import RASTER_ABOVE, themed


@themed
def draw_predictive_by_group(
    data: pd.DataFrame, *, quantity: str = "Response", y: str = "Density", note: str = ""
) -> Figure:
    """Draw one small panel for all rows and one for each group shown.

    Columns: group (what the groups are, such as ``county``; anything for all rows); level (name of the group; ``all
    rows``); n (rows in it); source ("observed" or "replicate"); replicate (number of the replicated data set); x;
    density. One row per point of a curve, in order of x within it. Panels keep the order in which they first appear and
    share both scales. `quantity` labels the x axis, `y` the other; `note` says which groups are shown.

    Raises
    ------
    ValueError
        When a column is missing, or no density is finite.
    """
    names = ["group", "level", "source", "replicate"]
    table = checked(data, "draw_predictive_by_group", names, ["n", "x", "density"], ["density"])
    table["panel"] = table["group"] + "\0" + table["level"]
    panels = in_order(table["panel"])
    parts = [table[table["panel"] == panel] for panel in panels]
    figure, grid, places = panel_grid(len(parts), 4, share=True)
    for axes, part in zip(places, parts, strict=True):
        overlay(axes, part, raster=len(table) > RASTER_ABOVE)
    fit_scales(places[0], table, ticks=4 if grid.shape[1] > 1 else 7)
    titles = [f"{part['level'].iloc[0]} ({part['n'].iloc[0]:.0f})" for part in parts]
    height = 2.6 if len(parts) == 1 else 1.0
    arrange(figure, grid, height, titles=titles, x=quantity, y=y, key=KEY, note=note)
    return figure
