"""Rank histograms: whether all chains sampled the same distribution (Vehtari et al. 2021, section 4.3)."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import elide, plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import bars, sample
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import GREY, LIGHT, SMALL, colours, themed

PER_LINE = 8


@themed
def draw_ranks(data: pd.DataFrame) -> Figure:
    """Draw, for each parameter, a histogram per chain of the ranks of its draws among the draws of all chains.

    Columns: parameter; chain; bin (number of the bin, from the lowest ranks up); count; expected (count if the chains
    agree: draws per chain / bins). One row per bin. Behind the bars stands the range in which 95 % of the counts would
    lie if draws were independent (normal approximation to the hypergeometric); draws that are autocorrelated leave it
    more often. Parameters and chains keep the order in which they first appear.

    Raises
    ------
    ValueError
        When a column is missing, or no count is finite.
    """
    table = checked(data, "draw_ranks", ["parameter", "chain"], ["bin", "count", "expected"], ["count"])
    parameters, chains = in_order(table["parameter"]), in_order(table["chain"])
    columns = min(len(chains), PER_LINE)
    lines = math.ceil(len(chains) / columns)  # that one parameter takes
    figure, grid, _ = panel_grid(len(parameters) * lines * columns, columns)
    top = 1.1 * max(float(table["count"].max()), float(table["expected"].max()), 1.0)
    titles: list[str | None] = [None] * grid.size
    for p, parameter in enumerate(parameters):
        titles[p * lines * columns] = parameter
        block = list(grid.flat)[p * lines * columns :][: lines * columns]
        last = p == len(parameters) - 1
        _draw_parameter(block, table[table["parameter"] == parameter], chains, top, columns, named=last)
    key = [("expected if chains agree", sample(GREY, "", 1.0))]
    if len(chains) > 1:
        key.append(("95% of counts, were draws independent", sample(LIGHT, "", 7.0)))
    label = "Rank among the draws of all chains, low to high"
    arrange(figure, grid, 0.5, titles=titles, wide_titles=True, x=label, y="Draws", key=key)
    return figure


def _draw_parameter(
    block: list[Axes], table: pd.DataFrame, chains: list[str], top: float, columns: int, *, named: bool
) -> None:
    """The lines of panels of one parameter; only those of the last parameter say which chain stands in a column."""
    tints = colours(len(chains))
    for position, axes in enumerate(block):
        axes.set_visible(position < len(chains))
        if position >= len(chains):
            continue
        rows = table[table["chain"] == chains[position]].sort_values("bin")
        _draw_chain(axes, rows, len(chains), tints[position])
        axes.set_ylim(0, top)
        axes.set_xticks([])
        expected = float(rows["expected"].max()) if len(rows) else 0.0
        first = position % columns == 0 and expected > 0
        axes.set_yticks([0.0, expected] if first else [], ["0", f"{expected:.4g}"] if first else [])
        if named or len(chains) > columns:
            axes.set_xlabel(elide(f"chain {plain(chains[position])}", 5.4 / columns, SMALL), fontsize=SMALL)


def _draw_chain(axes: Axes, table: pd.DataFrame, chains: int, colour: str) -> None:
    bins = max(len(table), 1)
    expected = float(table["expected"].fillna(0).max()) if len(table) else 0.0
    half = 1.96 * math.sqrt(max(expected, 0.0) * (1 - 1 / bins) * (1 - 1 / chains))
    if half:
        axes.axhspan(max(expected - half, 0.0), expected + half, color=LIGHT, linewidth=0, zorder=0.5)
    if len(table):
        bars(axes, table["count"], 0.86, colour, alpha=0.7)
    axes.axhline(expected, color=GREY, linewidth=0.8, zorder=3)
    axes.set_xlim(-0.5, bins - 0.5)
