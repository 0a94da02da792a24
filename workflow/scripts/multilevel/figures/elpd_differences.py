"""Differences in expected log predictive density from the best model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multilevel.figures.labels import number, short_names
from multilevel.figures.layout import arrange, line_grid
from multilevel.figures.marks import beside_rows, dots, named_rows, number_axis, span, stripe
from multilevel.figures.table import checked
from multilevel.figures.theme import BLUE, GREY, INK, SMALL, themed

STATUSES = ("ok", "failed checks", "not scored", "not fitted")


@themed
def draw_elpd_differences(data: pd.DataFrame) -> Figure:
    """Draw each model's elpd difference with one and two standard errors; what was not ranked stands apart, in grey.

    Columns: model; elpd_diff (0 for the model that the others are compared with; negative is worse); se_diff (standard
    error of the difference); status ("ok", "failed checks", "not scored" or "not fitted"); k_bad (units left out whose
    Pareto k is too high; may be missing). One row per model, drawn in the order given. Limits come from the ranked
    models, so that a failed model cannot squeeze them: one that lies outside is an arrow at the edge with its difference
    in words.

    Raises
    ------
    ValueError
        When a column is missing, a status is unknown, or there are no rows.
    """
    table = checked(data, "draw_elpd_differences", ["model", "status"], ["elpd_diff", "se_diff", "k_bad"])
    unknown = sorted(set(table["status"]) - set(STATUSES))
    if unknown:
        raise ValueError(f"draw_elpd_differences: unknown status {unknown[0]!r}; choose from {', '.join(STATUSES)}")
    table.loc[table["status"].isin(["not scored", "not fitted"]), ["elpd_diff", "se_diff"]] = np.nan
    table["name"] = short_names(table["model"], 2.1, SMALL)
    ranked, apart = table[table["status"] == "ok"], table[table["status"] != "ok"]
    parts = [part for part in (ranked, apart) if len(part)]
    limits = _limits(ranked if ranked["elpd_diff"].notna().any() else table)
    figure, grid = line_grid(len(parts))
    for axes, part in zip(grid[:, 0], parts, strict=True):
        axes.set_xlim(limits)
        named_rows(axes, list(part["name"]))
        stripe(axes, range(len(part)))
        _draw_part(axes, part, limits)
        number_axis(axes, "x", ticks=7)
        if table["elpd_diff"].notna().any():
            axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        else:
            axes.set_xticks([])
    if len(apart):
        grid[-1, 0].set_title("Not ranked", color=GREY)
        grid[-1, 0].tick_params(axis="y", labelcolor=GREY)
    if len(parts) == 2:
        grid[0, 0].tick_params(axis="x", length=0)
        grid[0, 0].spines["bottom"].set_visible(False)
    height = 0.23 if len(table) <= 12 else 0.19
    label = f"Difference in elpd from {_reference(ranked)}, with 1 and 2 standard errors"
    arrange(figure, grid, [height * len(part) for part in parts], x=label)
    return figure


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    reach = 2 * table["se_diff"].fillna(0)
    return span([0.0, *(table["elpd_diff"] - reach), *(table["elpd_diff"] + reach)])


def _reference(ranked: pd.DataFrame) -> str:
    zero = ranked[ranked["elpd_diff"] == 0]
    if (ranked["elpd_diff"] > 0).any() and len(zero):
        return str(zero["name"].iloc[0])
    return "the best model"


def _draw_part(axes: Axes, part: pd.DataFrame, limits: tuple[float, float]) -> None:
    words = []
    for row, (_, model) in enumerate(part.iterrows()):
        status, diff, se = str(model["status"]), float(model["elpd_diff"]), float(model["se_diff"])
        colour = BLUE if status == "ok" else GREY
        outside = diff < limits[0] or diff > limits[1]
        if outside:
            left = diff < limits[0]
            axes.plot(
                0.008 if left else 0.992, row, "<" if left else ">", transform=axes.get_yaxis_transform(), color=colour,
                markersize=5,
            )  # fmt: skip
        else:
            if se > 0:
                axes.hlines(row, diff - 2 * se, diff + 2 * se, color=colour, linewidth=1.1, zorder=2)
                axes.hlines(row, diff - se, diff + se, color=colour, linewidth=3.0, zorder=3)
            dots(axes, [diff], [row], colour, 5.2, hollow=status != "ok")
        words.append(_words(status, diff, se, float(model["k_bad"]), outside))
    ranked = bool((part["status"] == "ok").any())
    beside_rows(axes, words, SMALL, INK if ranked else GREY, "diff. (se)" if ranked else "")


def _words(status: str, diff: float, se: float, bad: float, outside: bool) -> str:
    value = number(diff) if np.isfinite(diff) else "no elpd"
    if se > 0:
        value += f" ({number(se)})"
    said = {"ok": value, "failed checks": f"{status}, {value}" if outside else status}.get(status, status)
    return f"{said}, {bad:.0f} high k" if bad > 0 and status in {"ok", "failed checks"} else said
