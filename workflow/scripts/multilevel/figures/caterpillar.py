"""Group effects in order of size, with their intervals: which groups stand out, and how surely."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import ONE_COLUMN_ROWS, arrange, blocks
from multilevel.figures.marks import dots, number_axis, sample, span, stripe, zero_line
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, themed

NUMBERS = ("mean", "lower", "upper", "inner_lower", "inner_upper")


@themed
def draw_caterpillar(data: pd.DataFrame, *, group: str = "group", interval: float = 0.95, inner: float = 0.5) -> Figure:
    """Draw a facet per effect, in each the levels from the highest estimate to the lowest.

    Columns: effect; level; mean; lower, upper (interval that holds probability `interval`); inner_lower, inner_upper
    (interval that holds `inner`). One row per effect and level; effects keep the order in which they first appear, and
    each has its own scale. Levels whose interval holds 0 are grey and hollow. `group` says what a level is. Where there
    are too many levels for names, the eight highest and the eight lowest are named.

    Raises
    ------
    ValueError
        When a column is missing, or no mean is finite.
    """
    table = checked(data, "draw_caterpillar", ["effect", "level"], NUMBERS, ["mean"]).dropna(subset=["mean"])
    effects = in_order(table["effect"])
    parts = [_sorted(table[table["effect"] == effect]) for effect in effects]
    figure, grid, heights, found = blocks([list(part["level"]) for part in parts])
    titles: list[str | None] = [None] * grid.size
    for place, block in enumerate(found):
        part = parts[block.of]
        titles[place] = effects[block.of] if block.positions[0] == 0 and len(effects) > 1 else None
        block.axes.set_xlim(span(part[list(NUMBERS)].to_numpy().ravel(), room=0.04))
        number_axis(block.axes, "x", ticks=6 if grid.shape[1] == 1 else 4)
        zero_line(block.axes)
        _draw_rows(block.axes, part.iloc[block.positions], block.named)
    several = f", {len(parts[0])} levels of {plain(group)}" if not found[0].named else ""
    arrange(
        figure,
        grid,
        heights,
        titles=titles,
        x=f"Difference from the population: mean with {percent(inner)} and {percent(interval)} intervals{several}",
        key=[
            (f"{percent(interval)} interval leaves out 0", sample(BLUE, "o", 1.4)),
            ("holds 0", sample(GREY, "o", 1.4, hollow=True)),
        ],
    )
    return figure


def _sorted(part: pd.DataFrame) -> pd.DataFrame:
    return part.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def _draw_rows(axes: Axes, table: pd.DataFrame, named: bool) -> None:
    rows = np.arange(len(table))
    if named:
        stripe(axes, range(len(table)))
    room = 1.0 if named else min(1.0, 110 / len(table))
    size = (4.2 if len(table) <= ONE_COLUMN_ROWS else 3.0) if named else 1.8
    clear = ((table["lower"] > 0) | (table["upper"] < 0)).to_numpy()
    for chosen, colour in ((clear, BLUE), (~clear, GREY)):
        part, places = table[chosen], rows[chosen]
        axes.hlines(places, part["lower"], part["upper"], color=colour, linewidth=0.9 * room, zorder=2)
        axes.hlines(places, part["inner_lower"], part["inner_upper"], color=colour, linewidth=2.4 * room, zorder=3)
        if len(part):
            dots(axes, part["mean"], places, colour, size, hollow=colour == GREY, z=4)
