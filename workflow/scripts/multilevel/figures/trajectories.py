"""What a model expects over time, subject by subject, over the measurements."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import dots, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, INK, LIGHT, SKY, VERMILLION, themed

NUMBERS = ["time", "value", "median", "lower", "upper", "predicted_lower", "predicted_upper"]

HEIGHTS = {1: 2.8, 2: 2.0, 3: 1.5, 4: 1.25}
"""Height in inches of a panel, by the number of panels in a line."""

REACH = 0.5
"""How far beyond the data's range, in ranges, the bands may stretch the scale."""


@themed
def draw_trajectories(
    data: pd.DataFrame, *, time: str = "Time", quantity: str = "Response", note: str = "", interval: float = 0.95
) -> Figure:
    """Draw one small panel per subject: the expected response over time with its bands, and the measurements.

    Columns: panel (the subject); kind (``fit`` or ``observed``); time; value (of an observed response); median, lower, upper
    (of what is expected); predicted_lower, predicted_upper (of a new response). One row per point of a trajectory and per
    observation. Panels keep the order in which they first appear and share both scales, which the data decide: a band that
    reaches far beyond them leaves its panel. A panel without observations is of a new subject, in another colour. `note` says
    which subjects are drawn.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_trajectories", ["panel", "kind"], NUMBERS, ["time"])
    names = in_order(table["panel"])
    figure, grid, panels = panel_grid(len(names), 4, share=True)
    seen = table.loc[table["kind"] == "observed"]
    new = [name for name in names if name not in set(seen["panel"])]
    for axes, name in zip(panels, names, strict=True):
        part = table[table["panel"] == name]
        colour = VERMILLION if name in new else BLUE
        _draw_panel(axes, part[part["kind"] == "fit"].sort_values("time", kind="stable"), colour)
        own = part[part["kind"] == "observed"]
        dots(axes, own["time"], own["value"], INK, 3.4, z=5)
    for axes in panels:
        axes.set_xlim(span(table["time"]))
        axes.set_ylim(span(_drawn(table, seen)))
        number_axis(axes, "x", ticks=3 if grid.shape[1] > 2 else 6, grid=False)
        number_axis(axes, "y", ticks=4)
    key = [
        ("measured", sample(INK, "o")),
        ("expected", sample(BLUE, "", 1.5)),
        (f"{percent(interval)} of what is expected", sample(SKY, "", 7.0)),
        ("of a new measurement", sample(LIGHT, "", 7.0)),
    ]
    key += [(plain(new[0]), sample(VERMILLION, "", 1.5))] if new else []
    arrange(figure, grid, HEIGHTS[grid.shape[1]], titles=names, x=time, y=quantity, key=key, note=note)
    return figure


def _drawn(table: pd.DataFrame, seen: pd.DataFrame) -> np.ndarray:
    """Return the values that the scale must hold: the bands, none further from the data than they reach."""
    values = table[NUMBERS[1:]].to_numpy(dtype=float).ravel()
    if seen.empty:
        return values
    low, high = float(seen["value"].min()), float(seen["value"].max())
    reach = REACH * (high - low)
    return np.clip(values, low - reach, high + reach) if reach > 0 else values


def _draw_panel(axes: Axes, fit: pd.DataFrame, colour: str) -> None:
    """Draw bands and line; a subject that was measured once has bars and a mark."""
    light, middle = LIGHT, SKY if colour == BLUE else colour
    if len(fit) == 1:
        row = fit.iloc[0]
        for low, high, width, shade in (
            (row["predicted_lower"], row["predicted_upper"], 7.0, light),
            (row["lower"], row["upper"], 7.0, middle),
        ):
            axes.plot([row["time"]] * 2, [low, high], color=shade, linewidth=width, solid_capstyle="butt")
        axes.plot(row["time"], row["median"], "_", color=colour, markersize=9)
        return
    axes.fill_between(fit["time"], fit["predicted_lower"], fit["predicted_upper"], color=light, linewidth=0, zorder=1)
    axes.fill_between(fit["time"], fit["lower"], fit["upper"], color=middle, alpha=0.5, linewidth=0, zorder=2)
    axes.plot(fit["time"], fit["median"], color=colour, linewidth=1.5, zorder=3)
