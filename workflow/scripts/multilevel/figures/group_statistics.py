"""Mean and sd of every group beside what each model predicts for them: which groups a model misses."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, percent, plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import dots, name_points, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, DOTS_ABOVE, INK, TINY, VERMILLION, themed

NAMED: Final = 4
NUMBERS: Final = ("n", "observed", "predicted", "lower", "upper")


@themed
def draw_group_statistics(
    data: pd.DataFrame,
    *,
    group: str = "group",
    quantity: str = "response",
    interval: float = 0.95,
    note: str = "",
    share: bool = True,
) -> Figure:
    """Draw a line of panels per model and in it one per statistic, with the groups in order of the observed value.

    Columns: model; statistic ("mean" or "sd"); level (name of the group); n (rows in it); observed; predicted (mean
    over replicated data sets); lower, upper (interval of the replicated values that holds probability `interval`). One
    row per model, statistic and level. Panels of one statistic `share` a scale. An observed value outside its interval is
    a red cross; the groups furthest outside, in widths of their interval, are named. Titles count how many lie inside.
    `group` says what a level is, `quantity` what the statistics are of, `note` what is not drawn.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    words = ["model", "statistic", "level"]
    table = checked(data, "draw_group_statistics", words, NUMBERS, ["observed"]).dropna(subset=["observed"])
    models, statistics = in_order(table["model"]), in_order(table["statistic"])
    figure, grid, panels = panel_grid(len(models) * len(statistics), len(statistics))
    raster = len(table) > DOTS_ABOVE
    titles = []
    parts = [
        _sorted(table[(table["model"] == model) & (table["statistic"] == statistic)])
        for model in models
        for statistic in statistics
    ]
    for place, (axes, part) in enumerate(zip(panels, parts, strict=True)):
        statistic = statistics[place % len(statistics)]
        whole = table[table["statistic"] == statistic] if share else part
        axes.set_ylim(span(whole[["observed", "lower", "upper"]].to_numpy().ravel()))
        titles.append(f"{models[place // len(statistics)]}: {statistic}, {_inside(part)}")
        _draw_panel(axes, part, raster)
    levels = max(part["level"].nunique() for part in parts)
    outside = bool(_outside(table).any())
    arrange(
        figure,
        grid,
        1.25 if len(models) <= 4 else 1.0 if len(models) <= 12 else 0.8,
        titles=titles,
        x=f"{levels} levels of {plain(group)}, from the lowest observed value to the highest",
        y=f"By {plain(group)}: {plain(quantity)}",
        key=[
            ("observed", sample(INK, "o")),
            (f"replicated, {percent(interval)} interval", sample(BLUE, "", 3.0)),
            *([("observed outside it", sample(VERMILLION, "X"))] if outside else []),
        ],
        note=note,
    )
    for axes, part in zip(panels, parts, strict=True):
        _name_furthest(axes, part)
    return figure


def _sorted(part: pd.DataFrame) -> pd.DataFrame:
    return part.sort_values("observed", kind="stable", ignore_index=True)


def _outside(table: pd.DataFrame) -> pd.Series[bool]:
    return (table["observed"] < table["lower"]) | (table["observed"] > table["upper"])


def _inside(part: pd.DataFrame) -> str:
    known = part[part["lower"].notna() & part["upper"].notna()]
    return f"{len(known) - int(_outside(known).sum())} of {len(known)} inside" if len(known) else "not in the table"


def _draw_panel(axes: Axes, part: pd.DataFrame, raster: bool) -> None:
    count = max(len(part), 1)
    rows = np.arange(len(part))
    width = float(np.clip(230 / count, 0.4, 4.0))
    axes.vlines(rows, part["lower"], part["upper"], color=BLUE, linewidth=width, alpha=0.7, zorder=2, rasterized=raster)
    out = _outside(part).to_numpy()
    size = 3.4 if count <= 60 else 2.2 if count <= 200 else 1.3
    dots(axes, rows[~out], part["observed"][~out], INK, size, raster=raster)
    if out.any():
        dots(axes, rows[out], part["observed"][out], VERMILLION, size + 2.2, marker="X", z=5)
    axes.set_xlim(-0.02 * count - 0.5, 1.02 * count - 0.5)
    axes.set_xticks([])
    number_axis(axes, "y", ticks=4)


def _name_furthest(axes: Axes, part: pd.DataFrame) -> None:
    out = part[_outside(part)]
    beyond = pd.concat([out["lower"] - out["observed"], out["observed"] - out["upper"]], axis=1).max(axis=1)
    width = out["upper"] - out["lower"]
    far = (beyond / width).where(width > 0, np.inf)
    chosen: list[Any] = list(far.sort_values(ascending=False, kind="stable").index[:NAMED])
    names = [elide(plain(part["level"][row]), 1.1, TINY) for row in chosen]
    name_points(axes, [(float(row), float(part["observed"][row])) for row in chosen], names)
