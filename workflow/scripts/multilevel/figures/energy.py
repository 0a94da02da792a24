"""Energy of the sampled states and of the sampler's moves: whether the sampler reached the tails."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, SKY, VERMILLION, themed


@themed
def draw_energy(data: pd.DataFrame) -> Figure:
    """Draw, per chain, the density of the energy (filled) and of its change from one draw to the next (line).

    Columns: chain; x (energy minus its mean, or energy change, in nats); marginal; transition (densities at x); e_bfmi
    (energy Bayesian fraction of missing information, the same in every row of a chain; may be missing). One row per
    point of the curves. A transition density much narrower than the marginal one means a low E-BFMI: the sampler
    explores the tails slowly (Betancourt 2016). All panels share both scales.

    Raises
    ------
    ValueError
        When a column is missing, or no density is finite.
    """
    numbers = ["x", "marginal", "transition", "e_bfmi"]
    table = checked(data, "draw_energy", ["chain"], numbers, ["marginal", "transition"])
    chains = in_order(table["chain"])
    figure, grid, panels = panel_grid(len(chains), 4, share=True)
    for axes, chain in zip(panels, chains, strict=True):
        _draw_chain(axes, table[table["chain"] == chain].sort_values("x", kind="stable"))
    first = panels[0]
    first.set_xlim(span(table["x"], room=0.0))
    first.set_ylim(0, 1.05 * float(table[["marginal", "transition"]].max().max()) or 1.0)
    first.set_yticks([])
    number_axis(first, "x", ticks=4, grid=False)
    arrange(
        figure,
        grid,
        1.4 if len(chains) > 1 else 2.4,
        titles=[_title(chain, table[table["chain"] == chain]) for chain in chains],
        x="Energy, centred (nats)",
        y="Density",
        key=[("energy", sample(SKY, "", 7.0)), ("change from draw to draw", sample(VERMILLION, "", 1.6))],
    )
    return figure


def _title(chain: str, table: pd.DataFrame) -> str:
    fraction = float(table["e_bfmi"].iloc[0])
    return f"chain {plain(chain)}" + (f": E-BFMI {fraction:.2f}" if np.isfinite(fraction) else "")


def _draw_chain(axes: Axes, table: pd.DataFrame) -> None:
    axes.fill_between(table["x"], table["marginal"], color=SKY, alpha=0.55, linewidth=0)
    axes.plot(table["x"], table["marginal"], color=BLUE, linewidth=0.8)
    axes.plot(table["x"], table["transition"], color=VERMILLION, linewidth=1.6)
    axes.spines["left"].set_visible(False)
