"""The marks and axes that figures share: number axes, named rows, dots, names beside points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, MaxNLocator
from matplotlib.transforms import Bbox, ScaledTranslation, blended_transform_factory
from matplotlib.typing import LineStyleType
from numpy.typing import ArrayLike

from multilevel.figures.theme import GREY, INK, LIGHT, MIDDLE, SMALL, TINY

DASHED: Final[LineStyleType] = (0, (4, 3))


class PlainFormatter(Formatter):
    """Tick labels with as many decimals as the step needs; powers of ten as 1e6, never an offset in a corner."""

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        """The labels of all ticks of an axis."""
        ticks = [float(value) for value in values]
        sizes = sorted({abs(tick) for tick in ticks})
        step = min((b - a for a, b in pairwise(sorted(set(ticks)))), default=sizes[-1] if sizes else 0.0) or 1.0
        powers = bool(sizes) and (sizes[-1] >= 1e6 or sizes[-1] < 1e-4)
        decimals = next((d for d in range(8) if math.isclose(round(step, d), step, rel_tol=1e-6)), 8)
        return [_tick_label(0.0 if abs(tick) < 1e-9 * step else tick, decimals, powers) for tick in ticks]

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002
        """The label of one tick."""
        return self.format_ticks([x])[0]


def _tick_label(tick: float, decimals: int, powers: bool) -> str:
    if tick == 0:
        return "0"
    text = f"{tick:.{decimals}f}"
    if powers:
        mantissa, _, exponent = f"{tick:.3g}".partition("e")
        text = f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return text.replace("-", "\N{MINUS SIGN}")


def number_axis(
    axes: Axes, which: Literal["x", "y"], ticks: int = 5, *, grid: bool = True, whole: bool = False
) -> None:
    """Give one axis about `ticks` round ticks with plain labels and, if asked, light grid lines."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=2))
    axis.set_major_formatter(PlainFormatter())
    if grid:
        axes.grid(visible=True, axis=which)


def span(values: Iterable[float], room: float = 0.05) -> tuple[float, float]:
    """Limits around the finite `values` with `room` of their range on each side; never empty."""
    finite = np.asarray([v for v in values if math.isfinite(v)], dtype=float)
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        half = 0.5 * abs(low) or 0.5
        return low - half, high + half
    return low - room * (high - low), high + room * (high - low)


def named_rows(axes: Axes, names: Sequence[str], size: float = SMALL, slots: int | None = None) -> None:
    """Turn the y axis into rows 0, 1, ... from the top with `names` at their left, in a frame of `slots` rows."""
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(axis="y", length=0, labelsize=size, pad=3)
    axes.set_ylim((slots or len(names)) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)


ENDS: Final = 8
"""Rows that are named at each end of a panel with too many for names."""
_NAME_HEIGHT: Final = 0.135


def name_ends(axes: Axes, names: Sequence[str], height: float) -> None:
    """Name the first and the last few of the rows 0, 1, ... at the left of a panel of `height` inches, each with a line.

    Call when the limits of the y axis are set.
    """
    rows = len(names)
    count = min(ENDS, rows // 2, int(0.5 * height / _NAME_HEIGHT))
    step = _NAME_HEIGHT / height
    corner = ScaledTranslation(0, 0, axes.transAxes)  # type: ignore[arg-type]  # it is affine, says matplotlib elsewhere
    inches = axes.figure.dpi_scale_trans + corner
    beside = blended_transform_factory(inches, axes.transAxes)  # inches from the left edge, shares of the height
    first = [(row, 1 - (row + 0.5) * step) for row in range(count)]
    last = [(rows - 1 - row, (row + 0.5) * step) for row in range(count)]
    bottom, top = axes.get_ylim()
    ends = [((row - bottom) / (top - bottom), place) for row, place in [*first, *last]]
    across = np.tile([-0.17, 0.0, np.nan], len(ends))
    up = np.array([[place, end, np.nan] for end, place in ends]).ravel()
    axes.plot(across, up, transform=beside, color=MIDDLE, linewidth=0.4, clip_on=False)
    for row, place in [*first, *last]:
        axes.text(
            -0.19, place, names[row], transform=beside, ha="right", va="center_baseline", size=TINY, color=INK,
            parse_math=False,
        )  # fmt: skip


def dots(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    colour: str,
    size: float = 4.6,
    *,
    marker: str = "o",
    hollow: bool = False,
    alpha: float = 1.0,
    raster: bool = False,
    z: float = 4.0,
) -> None:
    """Marks without a line; hollow ones are white inside; `raster` embeds them as an image, for many thousands."""
    edge = 0.9 if hollow or marker in "|_" else 0.0
    axes.plot(
        x, y, linestyle="None", marker=marker, markersize=size, markerfacecolor="white" if hollow else colour,
        markeredgecolor=colour, markeredgewidth=edge, alpha=alpha, rasterized=raster, zorder=z,
    )  # fmt: skip


def estimates(
    axes: Axes, rows: ArrayLike, table: pd.DataFrame, centre: str, colours: Sequence[str], hollow: Sequence[bool]
) -> None:
    """One mark per row of `table` at its column `centre`, on a line from its `lower` to its `upper`."""
    axes.hlines(rows, table["lower"], table["upper"], colors=colours, linewidth=1.2, zorder=2)
    faces = ["white" if empty else colour for colour, empty in zip(colours, hollow, strict=True)]
    axes.scatter(table[centre], rows, s=4.8**2, c=faces, edgecolors=colours, linewidths=0.9, zorder=4)


def bars(axes: Axes, heights: ArrayLike, width: float, colour: str, alpha: float = 1.0) -> None:
    """Upright bars at 0, 1, ... that touch at `width` 1: one outline instead of a patch per bar."""
    tops = np.asarray(heights, dtype=float)
    centres = np.arange(len(tops))
    edges = np.stack([centres - 0.5 * width, centres + 0.5 * width], axis=1).ravel()
    values = np.stack([tops, np.zeros_like(tops)], axis=1).ravel()[:-1]
    axes.stairs(values, edges, fill=True, color=colour, alpha=alpha, linewidth=0, zorder=2)


def dot_size(count: int) -> float:
    """Size in points of the dots of a cloud of `count`."""
    return 5.0 if count <= 60 else 3.2 if count <= 2000 else 1.5


def zero_line(axes: Axes) -> None:
    """A thin line at x = 0 where 0 lies within the limits."""
    low, high = axes.get_xlim()
    if low < 0 < high:
        axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)


def stripe(axes: Axes, rows: Sequence[int]) -> None:
    """A light line through each of `rows`, which leads the eye from the name to the marks."""
    axes.hlines(rows, 0, 1, transform=axes.get_yaxis_transform(), color=LIGHT, linewidth=0.5, zorder=0.5)


def beside_rows(axes: Axes, words: Sequence[str], size: float, colour: str = GREY, heading: str = "") -> None:
    """Write one word or number per row at the right of the axes, with a heading above."""
    across = axes.get_yaxis_transform()
    for place, word, alignment in [
        (axes.get_ylim()[1], heading, "bottom"),
        *((float(row), word, "center_baseline") for row, word in enumerate(words)),
    ]:
        if word:
            axes.annotate(
                word, (1, place), (6, 1 if word is heading else 0), xycoords=across, textcoords="offset points",
                ha="left", va=alignment, size=size, color=colour, parse_math=False,
            )  # fmt: skip


def name_points(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str], size: float = TINY) -> None:
    """Write names beside points where there is room, most important first; a name that finds no room is left out.

    Call after `arrange`: names must not overlap each other nor leave the axes.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("name_points needs axes that belong to a figure")
    renderer = renderer_of(figure)
    frame = axes.get_window_extent(renderer)
    taken: list[Bbox] = [text.get_window_extent(renderer) for text in axes.texts]
    for point, name in zip(points, names, strict=True):
        for x, y, ha, va in _PLACES:
            text = axes.annotate(
                name, point, (x, y), textcoords="offset points", ha=ha, va=va, size=size, color=INK, parse_math=False,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.4}, zorder=6,
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.padded(1).overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


_PLACES: Final = (
    (5, 0, "left", "center"),
    (-5, 0, "right", "center"),
    (0, 5, "center", "bottom"),
    (0, -5, "center", "top"),
    (4, -4, "left", "top"),
    (-4, -4, "right", "top"),
    (4, 4, "left", "bottom"),
    (-4, 4, "right", "bottom"),
)


def sample(
    colour: str, marker: str = "", line: float = 0.0, style: LineStyleType = "-", hollow: bool = False
) -> Line2D:
    """A piece of line or a mark for the key."""
    return Line2D(
        [], [], color=colour, marker=marker or "None", linewidth=line, linestyle=style if line else "None",
        markerfacecolor="white" if hollow else colour, markersize=5,
    )  # fmt: skip


def renderer_of(figure: Figure) -> RendererAgg:
    """What measures text on `figure`."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        raise TypeError("text is measured on a figure made by new_figure")
    renderer: RendererAgg = figure.canvas.get_renderer()  # type: ignore[no-untyped-call]
    return renderer
