"""Density of the data beside densities of data sets that each model predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, INK, RASTER_ABOVE, themed

HEIGHTS = {1: 2.6, 2: 1.9, 3: 1.3, 4: 1.0}
"""Height of a panel in inches by the number of panels in a line."""
KEY = [("observed", sample(INK, "", 1.6)), ("replicated from the model", sample(BLUE, "", 0.7))]


@themed
def draw_predictive_density(
    data: pd.DataFrame, *, quantity: str = "Response", y: str = "Density", share: bool = True
) -> Figure:
    """Draw one small panel per model: the observed density dark over thin densities of replicated data.

    Columns: model; source ("observed" or "replicate"); replicate (number of the replicated data set; anything for
    "observed"); x; density. One row per point of a curve, in order of x within it. All panels share both scales.
    `quantity` labels the x axis, `y` the other: whole numbers have shares and no density.

    Raises
    ------
    ValueError
        When a column is missing, or no density is finite.
    """
    names = ["model", "source", "replicate"]
    table = checked(data, "draw_predictive_density", names, ["x", "density"], ["density"])
    models = in_order(table["model"])
    figure, grid, panels = panel_grid(len(models), 3 if len(models) <= 12 else 4, share=share)
    for axes, model in zip(panels, models, strict=True):
        part = table[table["model"] == model]
        overlay(axes, part, raster=len(table) > RASTER_ABOVE)
        fit_scales(axes, table if share else part, ticks=4 if grid.shape[1] > 1 else 7)
    arrange(figure, grid, HEIGHTS[grid.shape[1]], titles=models, x=quantity, y=y, key=KEY)
    return figure


def fit_scales(axes: Axes, table: pd.DataFrame, ticks: int) -> None:
    """Give a panel, or the first of panels that share their scales, limits that hold every curve."""
    axes.set_xlim(span(table["x"], room=0.0))
    axes.set_ylim(0, 1.05 * float(table["density"].max()) or 1.0)
    axes.set_yticks([])
    number_axis(axes, "x", ticks=ticks, grid=False)


def overlay(axes: Axes, table: pd.DataFrame, raster: bool) -> None:
    """Draw the replicated curves of a panel and over them the observed one."""
    # All replicates are one path with gaps instead of a path each: a smaller file, simplified where straight.
    pieces = []
    for _, curve in table[table["source"] == "replicate"].groupby("replicate", sort=False):
        pieces += [curve[["x", "density"]].to_numpy(), np.full((1, 2), np.nan)]
    if pieces:
        x, density = np.concatenate(pieces).T
        axes.plot(x, density, color=BLUE, linewidth=0.5, alpha=0.6, rasterized=raster)
    observed = table[table["source"] == "observed"]
    axes.plot(observed["x"], observed["density"], color=INK, linewidth=1.5)
    axes.spines["left"].set_visible(False)
