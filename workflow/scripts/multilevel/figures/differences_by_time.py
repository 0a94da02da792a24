"""When models differ: the difference in elpd from the best model at each time that was predicted from earlier ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, number, plain, text_width
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import dot_size, dots, number_axis, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, SMALL, TINY, WIDTH, themed


@themed
def draw_differences_by_time(
    data: pd.DataFrame, *, best: str = "the best", time: str = "time", note: str = ""
) -> Figure:
    """Draw a panel per model: its elpd minus that of `best` at every time predicted, in the order of time.

    Columns: model; row_id (the time, as text); diff (elpd of the model minus that of `best` there). One row per model and
    time; times and models keep the order in which they first appear, and each panel has its own scale. A line from zero
    leads to every dot. `time` is the name of the column of time; `note` says which models are not drawn.

    Raises
    ------
    ValueError
        When a column is missing, or no difference is finite.
    """
    table = checked(data, "draw_differences_by_time", ["model", "row_id"], ["diff"], ["diff"]).dropna(subset=["diff"])
    models, times = in_order(table["model"]), in_order(table["row_id"])
    place = {name: i for i, name in enumerate(times)}
    figure, grid = line_grid(len(models))
    for axes, model in zip(grid[:, 0], models, strict=True):
        part = table[table["model"] == model]
        x = part["row_id"].map(place).to_numpy(dtype=float)
        axes.vlines(x, 0.0, part["diff"], color=BLUE, linewidth=1.2, zorder=2)
        dots(axes, x, part["diff"], BLUE, dot_size(len(times)))
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1.5)
        axes.set_xlim(-0.5, len(times) - 0.5)
        axes.set_ylim(span([0.0, *part["diff"]], room=0.12))
        number_axis(axes, "y", ticks=5)
    _name_times(grid[-1, 0], [elide(plain(name), 0.8, TINY) for name in times])
    arrange(
        figure,
        grid,
        2.6 if len(models) == 1 else 1.5 if len(models) <= 4 else 1.3,
        titles=[_title(model, table.loc[table["model"] == model, "diff"]) for model in models],
        x=f"{plain(time)} predicted from those before it",
        y=f"Difference in elpd from {elide(plain(best), 2.6, TINY)}\n(above 0: foretells that {plain(time)} better)",
        note=note,
    )
    return figure


def _title(model: str, diff: pd.Series[float]) -> str:
    """The model, and its total with the standard error."""
    error = f" (standard error {number(float(np.sqrt(len(diff)) * diff.std()))})" if len(diff) > 1 else ""
    return f"{elide(plain(model), 3.2, SMALL)}: {number(float(diff.sum()))} in total{error}"


def _name_times(axes: Axes, names: list[str]) -> None:
    """Name as many times as there is room for, evenly."""
    widest = max(text_width(name, TINY) for name in names) + 0.1
    step = max(1, int(np.ceil(widest * len(names) / (WIDTH - 0.9))))
    shown = range(0, len(names), step)
    axes.set_xticks(list(shown), [names[i] for i in shown], parse_math=False)
    axes.tick_params(axis="x", labelsize=TINY)
