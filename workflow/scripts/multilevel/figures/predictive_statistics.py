"""Statistics of the data beside the same statistics of data that each model predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import percent, short_names
from multilevel.figures.layout import arrange, facets, row_height
from multilevel.figures.marks import estimates, number_axis, sample, span, stripe
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, INK, SMALL, VERMILLION, themed

LONG = 10_000
"""Numbers from here on take so much room that a facet has only two."""

NUMBERS = ["observed", "predicted", "lower", "upper"]


@themed
def draw_predictive_statistics(data: pd.DataFrame, *, interval: float = 0.95) -> Figure:
    """Draw one facet per statistic, each on its own scale: the observed value as a line, predictions by model as rows.

    Columns: model; statistic; observed; predicted (mean or median over replicated data sets); lower, upper (interval of
    the replicated values that holds probability `interval`). One row per model and statistic, in the order in which
    they first appear. Where the observed value lies outside the interval, the model's mark is red and hollow.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_predictive_statistics", ["model", "statistic"], NUMBERS, ["observed", "predicted"])
    models, statistics = in_order(table["model"]), in_order(table["statistic"])
    figure, grid, panels = facets(len(statistics), short_names(models, 2.0, SMALL))
    for axes, statistic in zip(panels, statistics, strict=True):
        _draw_statistic(axes, table[table["statistic"] == statistic], models)
    key = [
        ("observed", sample(INK, "", 1.4)),
        (f"replicated, {percent(interval)} interval", sample(BLUE, "o", 1.4)),
        ("observed outside it", sample(VERMILLION, "o", 1.4, hollow=True)),
    ]
    arrange(
        figure,
        grid,
        len(models) * row_height(len(models)),
        titles=[statistic.replace("_", " ") for statistic in statistics],
        x="Value of the statistic",
        key=key if _outside(table).any() else key[:2],
    )
    return figure


def _draw_statistic(axes: Axes, table: pd.DataFrame, models: list[str]) -> None:
    stripe(axes, range(len(models)))
    shared = table["observed"].nunique() == 1
    if shared:
        axes.axvline(float(table["observed"].dropna().iloc[0]), color=INK, linewidth=1.2, zorder=2)
    rows = [models.index(model) for model in table["model"]]
    if not shared:
        axes.plot(table["observed"], rows, "|", color=INK, markersize=9, markeredgewidth=1.4, zorder=5)
    outside = list(_outside(table))
    estimates(axes, rows, table, "predicted", [VERMILLION if out else BLUE for out in outside], outside)
    axes.set_xlim(span(table[NUMBERS].to_numpy().ravel(), room=0.08))
    number_axis(axes, "x", ticks=4 if np.nanmax(np.abs(table[NUMBERS].to_numpy(dtype=float))) < LONG else 2)


def _outside(table: pd.DataFrame) -> pd.Series[bool]:
    return (table["observed"] < table["lower"]) | (table["observed"] > table["upper"])
