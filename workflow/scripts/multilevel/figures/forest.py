"""Forest plot: every parameter that is no single group's, a facet each, and in it one row per model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from multilevel.figures.labels import percent, short_names
from multilevel.figures.layout import arrange, facets, row_height
from multilevel.figures.marks import estimates, number_axis, sample, span, stripe, zero_line
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, SMALL, colours, themed

INNER = ("inner_lower", "inner_upper")


@themed
def draw_forest(data: pd.DataFrame, *, interval: float = 0.95, inner: float = 0.5, note: str = "") -> Figure:
    """Draw each parameter's estimate and interval in every model, each parameter on a scale of its own.

    A common scale would make parameters of different units look comparable; models are what is compared, within a facet.

    Columns: parameter; model; mean; lower, upper (interval that holds probability `interval`); inner_lower,
    inner_upper (interval that holds `inner`; both columns may be absent or missing); status ("ok", "failed checks" or
    "not fitted"). One row per parameter and model; a model without a parameter has no row for it or missing values.
    Parameters and models keep the order in which they first appear. What failed its checks is grey and hollow. `note`
    says what is not drawn.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    absent = [column for column in INNER if column not in data.columns]
    filled = data.assign(**dict.fromkeys(absent, float("nan")))
    table = checked(
        filled, "draw_forest", ["parameter", "model", "status"], ["mean", "lower", "upper", *INNER], ["mean"]
    )
    status = dict(zip(table["model"], table["status"], strict=True))
    models = in_order(table["model"])
    table = table.dropna(subset=["mean"]).drop_duplicates(["parameter", "model"])
    parameters = in_order(table["parameter"])
    crowded = len(models) > 6 or len(parameters) > 12
    figure, grid, panels = facets(
        len(parameters), short_names(models, 1.8 if crowded else 2.1, SMALL), 1.05 if crowded else 1.45
    )
    for axes, parameter in zip(panels, parameters, strict=True):
        _draw_parameter(axes, table[table["parameter"] == parameter], models, ticks=3 if crowded else 4)
        for label, model in zip(axes.get_yticklabels(), models, strict=True):
            label.set_color(GREY if status[model] != "ok" else label.get_color())
    both = f"{percent(inner)} and " if table["inner_lower"].notna().any() else ""
    arrange(
        figure,
        grid,
        len(models) * (0.165 if crowded else row_height(len(models))),
        titles=parameters,
        x=f"Posterior mean with {both}{percent(interval)} interval",
        key=_key(set(status.values()), complete=len(table) == len(models) * len(parameters)),
        note=note,
    )
    return figure


def _key(statuses: set[str], complete: bool) -> list[tuple[str, Line2D]]:
    key = []
    if "failed checks" in statuses:
        key = [("passed checks", sample(BLUE, "o", 1.1)), ("failed checks", sample(GREY, "o", 1.1, hollow=True))]
    if not complete:
        words = "not in the model, or model not fitted" if "not fitted" in statuses else "not in the model"
        key.append((words, sample(GREY, "_")))
    return key


def _draw_parameter(axes: Axes, table: pd.DataFrame, models: list[str], ticks: int) -> None:
    tints = dict(zip(models, colours(len(models)), strict=True))
    rows = [models.index(model) for model in table["model"]]
    failed = [status != "ok" for status in table["status"]]
    drawn = [GREY if bad else tints[model] for model, bad in zip(table["model"], failed, strict=True)]
    estimates(axes, rows, table, "mean", drawn, failed)
    axes.hlines(rows, table["inner_lower"], table["inner_upper"], colors=drawn, linewidth=2.8, zorder=3)
    stripe(axes, rows)
    # At the edge and off any line, so that it is not taken for an estimate.
    without = [row for row in range(len(models)) if row not in rows]
    edge = np.full(len(without), 0.04)
    axes.plot(edge, without, "_", transform=axes.get_yaxis_transform(), color=GREY, markersize=5)
    axes.set_xlim(span(table[["mean", "lower", "upper", *INNER]].to_numpy().ravel(), room=0.08))
    zero_line(axes)
    number_axis(axes, "x", ticks=ticks)
