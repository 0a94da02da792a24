"""How far each level's intercept and slope are pulled, as arrows in the plane of the two."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from multilevel.figures.labels import elide, plain
from multilevel.figures.layout import arrange, panel_grid
from multilevel.figures.marks import DASHED, dots, name_points, number_axis, sample, span
from multilevel.figures.table import checked, in_order
from multilevel.figures.theme import BLUE, GREY, INK, MIDDLE, TINY, VERMILLION, themed

NAMED: Final = 8
COVERED: Final = 2.447747
"""Standard deviations that hold 95% of a bivariate normal distribution: the square root of -2 log(0.05)."""
NUMBERS: Final = ("n", "alone_x", "alone_y", "partial_x", "partial_y", "sd_x", "sd_y", "cor")


@themed
def draw_shrinkage_plane(data: pd.DataFrame, *, group: str = "group", quantity: str = "") -> Figure:
    """Draw, for each pair of correlated effects, an arrow per level from its own estimates to the partially pooled ones.

    Columns: x_effect, y_effect (names of the two); level; n (observations); alone_x, alone_y (estimates from the level
    alone; missing where its own data give none); partial_x, partial_y (multilevel estimates); sd_x, sd_y, cor (of the
    distribution that the levels come from; the same in every row of a pair). One row per pair and level. A level whose
    own data give only the first effect is a diamond, pulled from as far along the second axis as it ends. Own estimates
    far outside are cut at the edge. The levels pulled furthest are named. `group` says what a level is, `quantity` what
    the effects are differences in.

    Raises
    ------
    ValueError
        When a column is missing, or there is nothing to draw.
    """
    words = ["x_effect", "y_effect", "level"]
    table = checked(data, "draw_shrinkage_plane", words, NUMBERS, ["partial_x", "partial_y"])
    table = table.dropna(subset=["partial_x", "partial_y"])
    pairs = in_order(table["x_effect"] + "\\0" + table["y_effect"])
    parts = [part for _, part in table.groupby(["x_effect", "y_effect"], sort=False)]
    figure, grid, panels = panel_grid(len(pairs), 2)
    wide = grid.shape[1] == 1
    outside = sum(_draw_pair(axes, part) for axes, part in zip(panels, parts, strict=True))
    for axes in panels:
        number_axis(axes, "x", ticks=7 if wide else 5)
        number_axis(axes, "y", ticks=6)
    missing = int((table["alone_x"].isna() & table["partial_x"].notna()).sum())
    arrange(
        figure,
        grid,
        4.2 if wide else 2.6,
        titles=[_title(part) for part in parts] if len(parts) > 1 else [],
        x=f"{_shared(table['x_effect'])} (difference from the population{f', {quantity}' if quantity else ''})",
        y=_shared(table["y_effect"]),
        key=_key(
            group, bool((table["alone_y"].isna() & table["alone_x"].notna()).any()), bool((table["sd_x"] > 0).any())
        ),
        note=_note(outside, missing, group),
    )
    for axes, part in zip(panels, parts, strict=True):
        _name(axes, part)
    return figure


def _title(part: pd.DataFrame) -> str:
    return f"{plain(part['x_effect'].iloc[0])} (across), {plain(part['y_effect'].iloc[0])} (up)"


def _shared(names: pd.Series[str]) -> str:
    different = in_order(names)
    return plain(different[0]) if len(different) == 1 else "Second effect"


def _key(group: str, half: bool, spread: bool) -> list[tuple[str, Any]]:
    key = [(f"{plain(group)} alone", sample(VERMILLION, "o", hollow=True))]
    if half:
        key.append(("only its first effect known", sample(VERMILLION, "D", hollow=True)))
    key.append(("partially pooled", sample(BLUE, "o")))
    if spread:
        key.append((f"95% of the distribution of {plain(group)}", sample(GREY, "", 1.0, DASHED)))
    return key


def _note(outside: int, missing: int, group: str) -> str:
    parts = []
    if outside:
        parts.append("1 arrow begins outside the plot" if outside == 1 else f"{outside} arrows begin outside the plot")
    if missing:
        has = "level has no estimate of its" if missing == 1 else "levels have no estimates of their"
        parts.append(f"{missing} {has} own and no arrow")
    return f"Of {plain(group)}: {'; '.join(parts)}." if parts else ""


def _start(part: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each arrow begins: a second effect that the level's own data do not give is not pulled."""
    x = part["alone_x"].to_numpy()
    y = np.where(part["alone_y"].notna(), part["alone_y"], part["partial_y"])
    return x, np.where(np.isnan(x), np.nan, y)


def _draw_pair(axes: Axes, part: pd.DataFrame) -> int:
    """Draw one pair; return how many arrows begin outside."""
    x, y = _start(part)
    ellipse = _ellipse(part)
    horizontal = _limits([*part["partial_x"], *ellipse[0], 0.0], x)
    vertical = _limits([*part["partial_y"], *ellipse[1], 0.0], y)
    axes.set_xlim(horizontal)
    axes.set_ylim(vertical)
    axes.axhline(0, color=MIDDLE, linewidth=0.7, zorder=1)
    axes.axvline(0, color=MIDDLE, linewidth=0.7, zorder=1)
    if ellipse.size:
        axes.plot(*ellipse, color=GREY, linewidth=1.0, linestyle=DASHED, zorder=1.5)
    many = len(part) > 120
    pull = np.stack([np.stack([x, part["partial_x"]]), np.stack([y, part["partial_y"]])])
    axes.plot(pull[0], pull[1], color=MIDDLE, linewidth=0.4 if many else 0.7, zorder=2)
    half = part["alone_y"].isna().to_numpy()
    size = 2.0 if many else 3.6
    for chosen, marker in ((~half, "o"), (half & ~np.isnan(x), "D")):
        if chosen.any():
            dots(
                axes,
                x[chosen],
                y[chosen],
                VERMILLION,
                size * (0.85 if marker == "D" else 1),
                marker=marker,
                hollow=True,
            )
    dots(axes, part["partial_x"], part["partial_y"], BLUE, size, z=5)
    axes.plot(0, 0, "+", color=INK, markersize=9, markeredgewidth=1.4, zorder=6)
    with np.errstate(invalid="ignore"):
        return int(((x < horizontal[0]) | (x > horizontal[1]) | (y < vertical[0]) | (y > vertical[1])).sum())


def _limits(inner: list[float], alone: NDArray[np.float64]) -> tuple[float, float]:
    """Limits that hold `inner` and those own estimates that lie within twice its width of it."""
    low, high = span(inner)
    with np.errstate(invalid="ignore"):
        near = alone[(alone > low - 2 * (high - low)) & (alone < high + 2 * (high - low))]
    return span([*inner, *near])


def _ellipse(part: pd.DataFrame) -> NDArray[np.float64]:
    """The outline that holds 95% of the levels' distribution, shape (2, points); empty where it is unknown."""
    sd_x, sd_y, cor = (float(part[name].iloc[0]) for name in ("sd_x", "sd_y", "cor"))
    if not (sd_x > 0 and sd_y > 0 and abs(cor) <= 1):
        return np.zeros((2, 0))
    angle = np.linspace(0, 2 * np.pi, 120)
    x, y = np.cos(angle), cor * np.cos(angle) + np.sqrt(1 - cor * cor) * np.sin(angle)
    return COVERED * np.stack([sd_x * x, sd_y * y])


def _name(axes: Axes, part: pd.DataFrame) -> None:
    """Name the levels pulled furthest, in units of the panel's width and height, where their arrows begin."""
    x, y = _start(part)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    length = np.hypot((x - part["partial_x"]) / (right - left), (y - part["partial_y"]) / (high - low)).to_numpy()
    inside = (x >= left) & (x <= right) & (y >= low) & (y <= high)
    furthest = [int(i) for i in np.argsort(-np.where(inside, length, -1.0), kind="stable")[:NAMED] if inside[i]]
    names = [elide(plain(part["level"].iloc[i]), 1.3, TINY) for i in furthest]
    name_points(axes, [(float(x[i]), float(y[i])) for i in furthest], names)
