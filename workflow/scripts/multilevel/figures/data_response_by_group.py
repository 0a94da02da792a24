"""The response in every group: each observation, the median and the middle half."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import plain
from multilevel.figures.layout import ONE_COLUMN_ROWS, arrange, blocks
from multilevel.figures.marks import beside_rows, dots, number_axis, sample, span, stripe
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, DOTS_ABOVE, INK, SMALL, TINY, VERMILLION, themed

MOST_DOTS = 20_000
"""Observations of a response that are drawn as dots."""


@themed
def draw_data_response_by_group(data: pd.DataFrame, *, group: str = "group") -> Figure:
    """Draw one row per group, in order of the group's median: its observations, its quartiles, and how many they are.

    Columns: response (its name, which labels the x axis); group; value (the response of one observation; missing values
    are left out). One row per response and observation; of very many, every so many a one is drawn, and the note says
    so. Several responses stand beside each other, each with its own order and scale. `group` says what a group is.

    Raises
    ------
    ValueError
        When a column is missing, or no value is finite.
    """
    names = ["response", "group"]
    table = checked(data, "draw_data_response_by_group", names, ["value"], ["value"]).dropna(subset=["value"])
    responses = in_order(table["response"])
    parts = [table[table["response"] == response] for response in responses]
    groups = [_summarised(part) for part in parts]
    figure, grid, heights, found = blocks([list(of.index) for of in groups])
    named, narrow = found[0].named, grid.shape[1] > 1
    titles: list[str | None] = [None] * grid.size
    for place, block in enumerate(found):
        titles[place] = responses[block.of] if len(responses) > 1 else None
        part, rows = parts[block.of], groups[block.of].iloc[block.positions]
        mark = 1.2 if not named else 4.0 if len(groups[block.of]) <= ONE_COLUMN_ROWS else 2.8
        block.axes.set_xlim(span(part["value"]))
        number_axis(block.axes, "x", ticks=5 if narrow else 7)
        dotted = part.iloc[:: _step(len(part))]
        _draw_rows(block.axes, rows, dotted[dotted["group"].isin(rows.index)], mark, len(table) > DOTS_ABOVE)
        if named:
            stripe(block.axes, range(len(rows)))
            beside_rows(block.axes, [str(n) for n in rows["n"]], TINY if narrow else SMALL, heading="n")
    count, most = max(map(len, groups)), max(map(len, parts))
    thinned = f"One in {_step(most)} of {most:,} observations is drawn; medians, middle halves and n are those of all."
    arrange(
        figure,
        grid,
        heights,
        titles=titles,
        x=responses[0] if len(responses) == 1 else "Each response on its own scale",
        y="" if named else f"{count} levels of {plain(group)}, highest median at the top",
        key=[
            ("observation", sample(BLUE, "o")),
            ("middle half", sample(VERMILLION, "", 3.0)),
            (f"median of the {plain(group)}", sample(INK, "|")),
        ],
        note=thinned if _step(most) > 1 else "",
    )
    return figure


def _step(count: int) -> int:
    """Return one in how many of `count` observations is drawn."""
    return max(1, -(-count // MOST_DOTS))


def _summarised(table: pd.DataFrame) -> pd.DataFrame:
    """The groups in order of their median: quartiles and number of observations."""
    by_group = table.groupby("group", sort=False)["value"]
    groups = pd.DataFrame({
        "lower": by_group.quantile(0.25),
        "median": by_group.median(),
        "upper": by_group.quantile(0.75),
        "n": by_group.size(),
    })  # fmt: skip
    return groups.sort_values(["median", "n"], ascending=False, kind="stable")


def _draw_rows(axes: Axes, groups: pd.DataFrame, table: pd.DataFrame, mark: float, raster: bool) -> None:
    rows = np.arange(len(groups))
    row_of = dict(zip(groups.index, rows, strict=True))
    axes.hlines(
        rows, groups["lower"], groups["upper"], color=VERMILLION, linewidth=min(mark, 300 / len(groups)), zorder=2
    )
    dots(axes, table["value"], table["group"].map(row_of), BLUE, mark, alpha=0.45, raster=raster, z=3)
    tick = 2.2 * mark
    axes.plot(groups["median"], rows, "|", color=INK, markersize=tick, markeredgewidth=0.35 * mark, zorder=4)
