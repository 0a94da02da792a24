"""Quantiles of the data against quantiles of data that each model predicts, with what is common to both taken out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from multilevel.figures.labels import percent
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import dots, number_axis, sample, span
from multilevel.figures.predictive_density import HEIGHTS
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, INK, SKY, VERMILLION, themed

NUMBERS = ["probability", "observed", "predicted", "lower", "upper"]


@themed
def draw_predictive_quantiles(
    data: pd.DataFrame, *, quantity: str = "response", interval: float = 0.95, share: bool = True
) -> Figure:
    """Draw one panel per model: by how much each quantile of the data exceeds the one that the model predicts.

    Columns: model; probability (of the quantile, between 0 and 1); observed; predicted (median over replicated data
    sets); lower, upper (interval of the replicated quantiles that holds probability `interval`). One row per model and
    probability. A curve that leaves its band says where in the distribution a model goes wrong; an overlay of densities
    hides it. Quantiles outside are crosses. A band that is wider than the data's own range leaves its panel. All panels
    `share` both scales, which models of different responses cannot.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    table = checked(data, "draw_predictive_quantiles", ["model"], NUMBERS, ["observed", "predicted"])
    observed = table.groupby("model", sort=False)["observed"]
    table["range"] = observed.transform("max") - observed.transform("min")
    for column in ("observed", "lower", "upper"):
        table[column] -= table["predicted"]
    models = in_order(table["model"])
    figure, grid, panels = panel_grid(len(models), 3 if len(models) <= 12 else 4, share=share)
    for axes, model in zip(panels, models, strict=True):
        part = table[table["model"] == model].sort_values("probability", kind="stable")
        _draw_model(axes, part)
        axes.set_xlim(0, 1)
        axes.set_ylim(span(_drawn(table if share else part)))
        number_axis(axes, "x", ticks=3 if grid.shape[1] > 1 else 7, grid=False)
        number_axis(axes, "y", ticks=4)
    outside = bool(((table["observed"] < table["lower"]) | (table["observed"] > table["upper"])).any())
    key = [("observed", sample(INK, "", 1.5)), (f"replicated, {percent(interval)} interval", sample(SKY, "", 7.0))]
    arrange(
        figure,
        grid,
        HEIGHTS[grid.shape[1]],
        titles=models,
        x=f"Probability of the quantile of {quantity}",
        y="Observed \N{MINUS SIGN} predicted",
        key=[*key, ("observed outside it", sample(VERMILLION, "X"))] if outside else key,
    )
    return figure


def _drawn(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the differences that limits must hold: none larger than the range of the data, which would flatten the rest."""
    values = table[["observed", "lower", "upper"]].to_numpy(dtype=float)
    reach = table["range"].to_numpy(dtype=float)[:, None]
    return np.where(reach > 0, np.clip(values, -reach, reach), values).ravel()


def _draw_model(axes: Axes, table: pd.DataFrame) -> None:
    axes.fill_between(table["probability"], table["lower"], table["upper"], color=SKY, alpha=0.5, linewidth=0)
    axes.plot(table["probability"], table[["lower", "upper"]], color=BLUE, linewidth=0.7)
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.plot(table["probability"], table["observed"], color=INK, linewidth=1.5)
    out = table[(table["observed"] < table["lower"]) | (table["observed"] > table["upper"])]
    if len(out):
        dots(axes, out["probability"], out["observed"], VERMILLION, 4.6, marker="X", z=5)
