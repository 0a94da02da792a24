"""How often each count occurs and how often a model predicts it, on a square-root scale: a rootogram."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, plain
from multilevel.figures.layout import arrange
from multilevel.figures.marks import PlainFormatter, dots, number_axis, sample
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, INK, VERMILLION, new_figure, themed

NUMBERS: Final = ("low", "observed", "predicted", "lower", "upper")
HEIGHT: Final = 2.6
"""Height of the panel in inches."""


@themed
def draw_rootogram(data: pd.DataFrame, *, quantity: str = "count", interval: float = 0.95) -> Figure:
    """Draw an interval of predicted frequencies for each count, and a dot for the observed one.

    Columns: low (the smallest count of a class, which is one count or several; the last class is open above); observed
    (frequency); predicted (mean over replicated data sets); lower, upper (interval of the replicated frequencies that holds
    probability `interval`). Frequencies are drawn by their square roots, whose chance variation is about the same for rare
    counts and for frequent ones. An observed frequency outside its interval is a red cross. `quantity` says what is counted.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_rootogram", [], NUMBERS, ["observed"])
    figure = new_figure()
    grid = figure.subplots(1, 1, squeeze=False)
    axes: Axes = grid[0, 0]
    places = np.arange(len(table))
    roots = {name: np.sqrt(table[name].to_numpy(dtype=float)) for name in ("observed", "predicted", "lower", "upper")}
    out = (roots["observed"] < roots["lower"]) | (roots["observed"] > roots["upper"])
    width = float(np.clip(230 / len(table), 1.0, 9.0))
    axes.vlines(places, roots["lower"], roots["upper"], color=BLUE, linewidth=width, alpha=0.5, zorder=2)
    dots(axes, places, roots["predicted"], BLUE, 3.0, z=3)
    dots(axes, places[~out], roots["observed"][~out], INK, 4.2, z=4)
    if out.any():
        dots(axes, places[out], roots["observed"][out], VERMILLION, 6.0, marker="X", z=5)
    _frequency_axis(axes, float(np.nanmax([roots["observed"].max(), roots["upper"].max()])))
    _count_axis(axes, table)
    arrange(
        figure,
        grid,
        HEIGHT,
        titles=[f"{len(table) - int(out.sum())} of {len(table)} frequencies inside their interval"],
        x=plain(quantity),
        y="Rows (square-root scale)",
        key=[
            ("observed", sample(INK, "o")),
            (f"replicated, mean and {percent(interval)} interval", sample(BLUE, "o", 3.0)),
            *([("observed outside it", sample(VERMILLION, "X"))] if out.any() else []),
        ],
    )
    return figure


def _frequency_axis(axes: Axes, top: float) -> None:
    """Label roots by the frequencies that they are roots of, evenly spaced on the scale of roots."""
    axes.set_ylim(-0.03 * top, 1.06 * top)
    roots = np.linspace(0.0, top, 5)
    frequencies = sorted({_round(root**2) for root in roots})
    axes.set_yticks(np.sqrt(frequencies), PlainFormatter().format_ticks(frequencies))
    axes.grid(visible=True, axis="y")


def _round(value: float) -> float:
    """Return a number of one or two digits near a frequency."""
    if value < 1:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(np.round(value / power * 2) / 2 * power) if value >= 10 else float(np.round(value))


def _count_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Label classes by their lowest count, the last one, which is open, with a plus."""
    count = len(table)
    axes.set_xlim(-0.7, count - 0.3)
    number_axis(axes, "x", ticks=9, grid=False, whole=True)
    step = max(1, -(-count // 9))
    chosen = list(range(0, count, step))
    labels = PlainFormatter().format_ticks(float(table["low"].iloc[i]) for i in chosen)
    axes.set_xticks(chosen, [f"{text}+" if i == count - 1 else text for i, text in zip(chosen, labels, strict=True)])
