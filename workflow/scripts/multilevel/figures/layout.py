"""How a figure's panels are made and where they stand: named rows, facets, blocks, grids, and one `arrange` for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from multilevel.figures.labels import elide, plain, short_names, text_width, wrap
from multilevel.figures.marks import name_ends, named_rows, renderer_of
from multilevel.figures.theme import GREY, SIZE, SMALL, TINY, WIDTH, new_figure

type Grid = NDArray[np.object_]
"""The axes of a figure by line and column."""

LABELLED_ROWS: Final = 130
"""Rows that a figure names one by one; with more, rows are drawn without names."""
ONE_COLUMN_ROWS: Final = 32
"""Rows that stand in one column; with more they are split into two."""
TALLEST_ROWS: Final = 100
"""Rows below each other that a figure with several blocks names one by one; with more, only the ends are named."""
DENSE_HEIGHT: Final = 6.5
"""Height in inches of a panel whose rows are too many for names."""
_EDGE: Final = 0.05
"""Blank inches at the edge of every figure, and between the labels of neighbouring panels."""
_GAP: Final = 0.12
_LINE: Final = 0.16
"""Height in inches of a line of an axis label."""


def row_height(rows: int) -> float:
    """Height in inches of one of `rows` named rows."""
    return 0.21 if rows <= 12 else 0.18 if rows <= ONE_COLUMN_ROWS else 0.153


def row_panels(names: Sequence[str]) -> tuple[Figure, Grid, float, list[NDArray[np.intp]]]:
    """A figure with one named row for each of `names`, in one column or two; with very many, rows without names.

    Returned: the figure, its grid of one line of panels that share the x axis, the height in inches of a panel, and for
    each panel the positions in `names` of its rows, the first of them in the panel's row 0.
    """
    rows = len(names)
    columns = 1 if rows <= ONE_COLUMN_ROWS or rows > LABELLED_ROWS else 2
    slots = math.ceil(rows / columns)
    labelled = rows <= LABELLED_ROWS
    figure = new_figure()
    grid = figure.subplots(1, columns, squeeze=False, sharex=True)
    size = SMALL if columns == 1 else TINY
    short = short_names(names, 1.9 if columns == 1 else 1.1, size) if labelled else []
    places = [np.arange(column * slots, min((column + 1) * slots, rows)) for column in range(columns)]
    for axes, positions in zip(grid[0], places, strict=True):
        named_rows(axes, [short[position] for position in positions] if labelled else [], size, slots)
    return figure, grid, slots * row_height(rows) if labelled else 6.5, places


@dataclass(frozen=True)
class Block:
    """A panel with rows of its own.

    Parameters
    ----------
    axes
        The panel.
    of
        Which of the things drawn it belongs to, from 0.
    positions
        Which of that thing's rows stand in it; the first of them is the panel's row 0.
    named
        Whether each row carries its name; else those at both ends do.
    """

    axes: Axes
    of: int
    positions: NDArray[np.intp]
    named: bool


def blocks(names: Sequence[Sequence[str]]) -> tuple[Figure, Grid, list[float], list[Block]]:
    """A figure with a block of named rows for each sequence of `names`, in the order given.

    One thing has one column of rows or two; several stand two abreast, each in one column. Where the rows are too many
    for names, the first and the last few are named, at the left with a line to their place.
    Returned: the figure, its grid, the height in inches of each line of the grid, and the blocks.
    """
    if len(names) == 1 and len(names[0]) <= LABELLED_ROWS:
        figure, grid, height, places = row_panels(names[0])
        return figure, grid, [height], [Block(a, 0, p, True) for a, p in zip(grid[0], places, strict=True)]
    columns = min(2, len(names))
    lines = math.ceil(len(names) / columns)
    named = max(map(len, names)) * lines <= TALLEST_ROWS
    figure = new_figure()
    grid = figure.subplots(lines, columns, squeeze=False)
    heights, found = [], []
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < len(names))
        if place >= len(names):
            continue
        rows = len(names[place])
        if place % columns == 0:
            heights.append(max(map(len, names)) * row_height(rows) if named else (DENSE_HEIGHT if lines == 1 else 4.5))
        short = short_names(names[place], 1.9 if columns == 1 else 1.1, SMALL if columns == 1 else TINY)
        named_rows(axes, short if named else [], TINY, rows)
        if not named:
            axes.set_ylim(rows, -1)
            name_ends(axes, short, heights[-1])
        found.append(Block(axes, place, np.arange(rows), named))
    return figure, grid, heights, found


def words_only(sentence: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = new_figure()
    lines = wrap(sentence, WIDTH - 0.6, SIZE, lines=4)
    height = 0.5 + _LINE * (lines.count("\n") + 1)
    figure.set_size_inches(WIDTH, height)
    figure.text(0.5, 0.5, lines, ha="center", va="center", size=SIZE, color=GREY, linespacing=1.3, parse_math=False)
    return figure


def facets(count: int, rows: Sequence[str], narrowest: float = 1.45) -> tuple[Figure, Grid, list[Axes]]:
    """`count` facets, all with the same named rows, the names written once at the left of each line of facets.

    Returned: the figure, the grid of facets, and the facets in order.
    """
    label_room = max((text_width(name, SMALL) for name in rows), default=0.0) + 0.1
    figure, grid, panels = panel_grid(count, max(1, int((WIDTH - label_room) / narrowest)))
    for position, axes in enumerate(panels):
        named_rows(axes, rows if position % grid.shape[1] == 0 else [""] * len(rows))
    return figure, grid, panels


def panel_grid(count: int, most: int, *, share: bool = False) -> tuple[Figure, Grid, list[Axes]]:
    """A figure with `count` panels, at most `most` in a line, as evenly as that allows; unused places are invisible.

    Panels that `share` have both scales in common, and tick labels of x only where no panel stands below.
    """
    lines = math.ceil(count / most)
    columns = math.ceil(count / lines)
    figure = new_figure()
    grid = figure.subplots(lines, columns, squeeze=False, sharex=share, sharey=share)
    for position, axes in enumerate(grid.flat):
        axes.set_visible(position < count)
        if share:
            axes.tick_params(labelbottom=position + columns >= count)
    return figure, grid, list(grid.flat)[:count]


def line_grid(lines: int, *, share: bool = True) -> tuple[Figure, Grid]:
    """A figure with panels below each other, that `share` the x axis."""
    figure = new_figure()
    return figure, figure.subplots(lines, 1, squeeze=False, sharex=share)


def arrange(
    figure: Figure,
    grid: Grid,
    heights: float | Sequence[float],
    *,
    titles: Sequence[str | None] = (),
    wide_titles: bool = False,
    x: str = "",
    y: str = "",
    key: Sequence[tuple[str, Line2D]] = (),
    note: str = "",
) -> None:
    """Set the figure's height and give every panel its place, from the measured sizes of all that is written.

    Plotting areas of one line of the grid get the line's height in inches (one number: all lines); columns share what
    the labels leave of the width. `titles` stand above the panels, wrapped to the panel's width or, if `wide_titles`,
    to the figure's; `x` and `y` name the axes of all panels together; `key` names marks in a line above everything;
    `note` is what a reader must know of what is not drawn, in small print at the foot.
    matplotlib's own layout engines squeeze content into a figure of fixed height; here the height follows from it.
    """
    lines, columns = grid.shape
    tall = [float(heights)] * lines if isinstance(heights, (int, float)) else [float(height) for height in heights]
    y_label = "\n".join(wrap(line, max(sum(tall), 2.0), SIZE) for line in y.split("\n")) if y else ""
    left = _EDGE + (_LINE * (y_label.count("\n") + 1) + 0.08 if y_label else 0.0)
    figure.set_size_inches(WIDTH, sum(tall) / 0.8)
    sides = _overhang(figure, grid)[:, :, :2].max(axis=0)  # (columns, [left, right]) in inches
    width = (WIDTH - left - _EDGE - float(sides.sum()) - _GAP * (columns - 1)) / columns
    title_room = WIDTH - left - _EDGE - float(sides[0, 0]) if wide_titles else width
    for title, axes in zip(titles, grid.flat, strict=False):
        if title is not None:
            axes.set_title(wrap(title, title_room, SMALL), parse_math=False)
    ends = _overhang(figure, grid)[:, :, 2:].max(axis=1)  # (lines, [below, above]) in inches
    legend = _key(figure, key) if key else 0.0
    x_label = wrap(x, WIDTH - 0.2, SIZE) if x else ""
    small = wrap(note, WIDTH - 2 * _EDGE, TINY, lines=3) if note else ""
    below = _EDGE + (0.8 * _LINE * (small.count("\n") + 1) + 0.04 if small else 0.0)
    foot = below + (_LINE * (x_label.count("\n") + 1) + 0.06 if x_label else 0.0)
    height = foot + sum(tall) + float(ends.sum()) + _GAP * (lines - 1) + legend + _EDGE
    figure.set_size_inches(WIDTH, height)
    top = height - _EDGE - legend
    for line in range(lines):
        top -= ends[line, 1] + tall[line]
        start = left
        for column in range(columns):
            start += sides[column, 0]
            grid[line, column].set_position((start / WIDTH, top / height, width / WIDTH, tall[line] / height))
            start += width + sides[column, 1] + _GAP
        top -= ends[line, 0] + _GAP
    if small:
        figure.text(
            _EDGE / WIDTH, _EDGE / height, small, ha="left", va="bottom", size=TINY, color=GREY, parse_math=False,
        )  # fmt: skip
    _name_axes(figure, grid, x_label, y_label, below)


def _name_axes(figure: Figure, grid: Grid, x_label: str, y_label: str, below: float) -> None:
    """Labels in the middle of what they name, moved where they would leave the page."""
    width, height = figure.get_size_inches()
    first, last = grid[0, 0].get_position(), grid[-1, -1].get_position()
    if x_label:
        half = 0.5 * max(text_width(row, SIZE) for row in x_label.split("\n")) + _EDGE
        middle = min(max(0.5 * (first.x0 + last.x1), half / width), 1 - half / width)
        figure.text(middle, below / height, x_label, ha="center", va="bottom", size=SIZE, parse_math=False)
    if y_label:
        figure.text(
            _EDGE / width, 0.5 * (first.y1 + last.y0), y_label, rotation=90, ha="left", va="center", size=SIZE,
            multialignment="center", parse_math=False,
        )  # fmt: skip


def _overhang(figure: Figure, grid: Grid) -> NDArray[np.float64]:
    """How far labels reach out of each panel in inches: (lines, columns, [left, right, below, above])."""
    renderer = renderer_of(figure)
    out = np.zeros((*grid.shape, 4))
    for place, axes in np.ndenumerate(grid):
        if axes.get_visible():
            frame, whole = axes.get_window_extent(renderer), axes.get_tightbbox(renderer)
            out[place] = frame.x0 - whole.x0, whole.x1 - frame.x1, frame.y0 - whole.y0, whole.y1 - frame.y1
    return np.maximum(out, 0.0) / figure.dpi


def _key(figure: Figure, entries: Sequence[tuple[str, Line2D]]) -> float:
    """Name the marks at the upper left, in as few lines as the width allows; the height in inches that this takes."""
    handles, labels = [handle for _, handle in entries], [elide(plain(text), WIDTH - 0.8, SMALL) for text, _ in entries]
    for columns in range(len(entries), 0, -1):
        legend = figure.legend(handles, labels, loc="upper left", ncols=columns)
        box = legend.get_window_extent(renderer_of(figure))
        if box.width / figure.dpi <= WIDTH or columns == 1:
            break
        legend.remove()
    return float(box.height) / figure.dpi + 0.1
