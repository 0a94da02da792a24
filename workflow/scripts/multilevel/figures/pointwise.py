"""Where models differ: the difference in pointwise elpd from the best model at every observation, by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, number, plain, text_width
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import dot_size, dots, name_points, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, DOTS_ABOVE, GREY, MIDDLE, SMALL, TINY, WIDTH, themed

NAMED = 6
BAR = "#CFCFCF"


@themed
def draw_pointwise(
    data: pd.DataFrame, *, best: str = "the best", group: str = "group", unit: str = "observation", note: str = ""
) -> Figure:
    """Draw a panel per model: its elpd minus that of `best` at every observation, grouped.

    Columns: model; row_id; group; diff (elpd of the model minus that of `best` at this observation). One row per model
    and observation; models keep the order in which they first appear, and each has its own scale. In each panel groups
    stand in order of their total, the one that favours the model most at the left; a bar as wide as the group and as
    high as its mean shows the total as its area. The largest differences carry their row and group; groups wide enough
    for their name have it below. `unit` is what was left out at a time, an observation or a group; `note` says which models
    are not drawn.

    Raises
    ------
    ValueError
        When a column is missing, or no difference is finite.
    """
    table = checked(data, "draw_pointwise", ["model", "row_id", "group"], ["diff"], ["diff"]).dropna(subset=["diff"])
    models = in_order(table["model"])
    parts = [_grouped(table[table["model"] == model]) for model in models]
    several = table["group"].nunique() > 1
    noun = plain(unit)
    units = "observations" if unit == "observation" else f"levels of {noun}"
    figure, grid = line_grid(len(models), share=False)
    for axes, (rows, groups) in zip(grid[:, 0], parts, strict=True):
        _draw_model(axes, rows, groups, raster=len(table) > DOTS_ABOVE)
        _name_groups(axes, groups if several else groups[:0], len(rows))
    named = list(zip(models, parts, strict=True))
    count = max(len(rows) for rows, _ in parts)
    by = f" by {plain(group)}, in each panel ordered by the {plain(group)}'s total" if several else ", by difference"
    arrange(
        figure,
        grid,
        3.0 if len(models) == 1 else 1.7 if len(models) <= 4 else 1.45,
        titles=[_title(model, rows["diff"], groups if several else groups[:0]) for model, (rows, groups) in named],
        x=f"{count} {units}{by}",
        y=f"Difference in elpd from {elide(plain(best), 2.6, TINY)}\n(above 0: predicts that {noun} better)",
        key=[("observation", sample(BLUE, "o")), (f"mean of a {plain(group)} (area: its total)", sample(BAR, "", 7.0))]
        if several
        else [],
        note=note,
    )
    for axes, (rows, _) in zip(grid[:, 0], parts, strict=True):
        largest = rows.loc[rows["diff"].abs().sort_values(ascending=False, kind="stable").index[:NAMED]]
        points = list(zip(largest.index.to_numpy(dtype=float) + 0.5, largest["diff"], strict=True))
        name_points(axes, points, [elide(_name(row, several, unit), 1.6, TINY) for _, row in largest.iterrows()])
    return figure


def _title(model: str, diff: pd.Series[float], groups: pd.DataFrame) -> str:
    """The model, its total with the standard error, and the two groups that add most to it."""
    error = f" (standard error {number(float(np.sqrt(len(diff)) * diff.std()))})" if len(diff) > 1 else ""
    most = groups.loc[groups["sum"].abs().sort_values(ascending=False, kind="stable").index[:2], "sum"]
    names = [
        f"{elide(plain(name), 1.4, SMALL)} {'+' * (total > 0)}{number(float(total))}" for name, total in most.items()
    ]
    by = f"; largest: {', '.join(names)}" if names else ""
    return f"{elide(plain(model), 2.2, SMALL)}: {number(float(diff.sum()))} in total{error}{by}"


def _draw_model(axes: Axes, rows: pd.DataFrame, groups: pd.DataFrame, *, raster: bool) -> None:
    count = len(rows)
    _draw_means(axes, groups, count)
    dots(axes, np.arange(count) + 0.5, rows["diff"], BLUE, dot_size(count), alpha=0.6, raster=raster)
    axes.set_xlim(-0.005 * count, 1.005 * count)
    axes.set_ylim(span([0.0, *rows["diff"]], room=0.12))
    number_axis(axes, "y", ticks=5)


def _grouped(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The observations in the order in which they are drawn, and their groups: sum, size, mean, start."""
    groups = table.groupby("group", sort=False)["diff"].agg(["sum", "size", "mean"])
    groups = groups.sort_values("sum", ascending=False, kind="stable")
    groups["start"] = groups["size"].cumsum() - groups["size"]
    order = table.assign(start=table["group"].map(groups["start"]))
    order = order.sort_values(["start", "diff"], ascending=[True, False], kind="stable", ignore_index=True)
    return order, groups


def _draw_means(axes: Axes, groups: pd.DataFrame, count: int) -> None:
    edges = np.append(groups["start"].to_numpy(), count)
    if len(groups) > 1:
        axes.stairs(groups["mean"], edges, fill=True, color=BAR, linewidth=0, zorder=1)
    if len(groups) <= 200:
        axes.vlines(edges[1:-1], 0, 1, transform=axes.get_xaxis_transform(), color="white", linewidth=0.5, zorder=1.2)
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1.5)


def _name(row: pd.Series[Any], several: bool, unit: str) -> str:
    word = "row " if unit == "observation" else ""
    return f"{word}{plain(row['row_id'])}" + (f", {plain(row['group'])}" if several else "")


def _name_groups(axes: Axes, groups: pd.DataFrame, count: int) -> None:
    """Name below the axis, largest first, the groups whose name does not run into another's."""
    per_inch = count / (WIDTH - 0.9)
    taken: list[tuple[float, float]] = []
    centres, names = [], []
    for name, row in groups.sort_values("size", ascending=False, kind="stable").iterrows():
        centre = float(row["start"] + row["size"] / 2)
        short = elide(plain(name), 1.1, TINY)
        half = 0.5 * (text_width(short, TINY) + 0.12) * per_inch
        fits = centre - half > -0.04 * count and centre + half < 1.02 * count
        if fits and all(centre + half < low or centre - half > high for low, high in taken):
            taken.append((centre - half, centre + half))
            centres.append(centre)
            names.append(short)
    axes.set_xticks(centres, names, parse_math=False)
    axes.tick_params(axis="x", labelsize=TINY, color=MIDDLE)
