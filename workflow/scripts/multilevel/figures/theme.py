"""One theme for every figure, and `save`, which writes a figure and the data drawn in it.

The same input gives the same bytes: settings start from matplotlib's own defaults, not the user's matplotlibrc,
identifiers in the SVG are hashed with a fixed salt, and no date or version is written. Text is drawn as outlines
(`svg.fonttype: path`): the figures are laid out for the widths of DejaVu Sans, which matplotlib ships, and would
overlap in whatever font a browser puts in its place. The words stay readable to machines in the CSV beside the SVG.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final

import matplotlib.style
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from multilevel import storage
from multilevel.figures.compact import compact

WIDTH: Final = 6.5
"""Width of every figure in inches, 624 CSS pixels: text is legible from 360 px (phone) to 800 px (report)."""

FONT: Final = "DejaVu Sans"
SIZE: Final = 10.0
"""Font sizes in points: axis labels; tick labels and names (`SMALL`); names in crowded figures (`TINY`)."""
SMALL: Final = 9.0
TINY: Final = 8.0

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
INK: Final = "#222222"
GREY: Final = "#6B6B6B"
"""Grey of secondary text and of what failed: contrast 5.3 to 1 on white."""
MIDDLE: Final = "#A6A6A6"
LIGHT: Final = "#DEDEDE"

PALETTE: Final = (BLUE, VERMILLION, GREEN, PURPLE, INK, ORANGE, SKY)
"""Okabe and Ito's colour-blind safe palette (2008) without yellow, which is too pale on white."""
CLEAR: Final = 5
"""Colours of the palette, the first ones, with a contrast of at least 3 to 1 on white (WCAG 2.2, 1.4.11).

Orange and sky blue have less: they fill areas that have an outline, and stand in for a sixth and seventh chain. Darker, they
could not be told from vermillion and blue by everybody.
"""

PNG_DPI: Final = 200
"""Dots per inch of the PNG beside each SVG: 1300 pixels across, enough for a slide or a page of a journal."""
PNG_COLOURS: Final = 256
RASTER_DPI: Final = 150
"""Dots per inch of what an SVG embeds as an image."""
PNG_TALLEST: Final = 60_000
"""Pixels above which a PNG gets fewer dots per inch: no figure is too tall to be drawn."""

RASTER_ABOVE: Final = 60_000
"""Points of lines in one figure above which they are embedded as an image: a vector file would take megabytes."""
DOTS_ABOVE: Final = 2_500
"""Dots in one figure above which they are embedded as an image: each is an element of the file."""

SETTINGS: Final[dict[str, Any]] = {
    "font.family": [FONT],
    "font.size": SIZE,
    "axes.labelsize": SIZE,
    "axes.titlesize": SMALL,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MIDDLE,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.usetex": False,
    "text.hinting": "no_hinting",  # measured at any resolution as drawn in the SVG
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": MIDDLE,
    "ytick.color": MIDDLE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "butt",
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.6,
    "legend.borderaxespad": 0.3,
    "legend.borderpad": 0.1,
    "figure.facecolor": "white",
    "figure.dpi": 100.0,
    "savefig.facecolor": "white",
    "savefig.dpi": 200.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "multilevel",
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
}


@contextmanager
def theme() -> Iterator[None]:
    """The settings in force inside the block, on top of matplotlib's defaults and not of the user's file."""
    with matplotlib.style.context(["default", SETTINGS]), warnings.catch_warnings():
        # A script that DejaVu Sans lacks is drawn as boxes; the CSV beside the figure has the name.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def themed[**P, R](draw: Callable[P, R]) -> Callable[P, R]:
    """Make a drawing function build its figure inside the theme."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with theme():
            return draw(*args, **kwargs)

    return inside


def new_figure() -> Figure:
    """A blank figure of the theme's width; `layout.arrange` sets its height. No global state knows of it."""
    figure = Figure(figsize=(WIDTH, WIDTH))
    FigureCanvasAgg(figure)
    return figure


def colours(count: int) -> list[str]:
    """One colour for each of `count` things that are named beside their marks.

    Where there are more than stand out clearly, all get one colour and the names do the work.
    """
    return list(PALETTE[:count]) if count <= CLEAR else [BLUE] * count


def cycled(count: int) -> list[str]:
    """`count` colours for overlaid lines, in the palette's order, starting again after the last."""
    return [PALETTE[position % len(PALETTE)] for position in range(count)]


def save(figure: Figure, path_svg: str | Path, data: pd.DataFrame, digits: int = 10) -> None:
    """Write `figure` as SVG and as PNG, and `data`, what it draws, as CSV, under one name with three suffixes.

    Each is complete or absent, and no picture stands without its CSV.
    Floats in the CSV have `digits` significant digits; a missing value is an empty field.

    Raises
    ------
    ValueError
        When `path_svg` does not end in `.svg`.
    """
    path = Path(path_svg)
    if path.suffix != ".svg":
        raise ValueError(f"a figure is saved as .svg with .png and .csv beside it, got {path.name!r}")
    with theme(), storage.atomic(path) as vector, storage.atomic(path.with_suffix(".png")) as raster:
        text = io.StringIO()
        figure.savefig(
            text, format="svg", dpi=RASTER_DPI, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
        vector.write_text(compact(text.getvalue()), encoding="utf-8", newline="\n")
        _write_png(figure, raster)
        storage.write_csv(path.with_suffix(".csv"), data, digits)


def _write_png(figure: Figure, path: Path) -> None:
    """Write the pixels with a palette: a figure has few colours, and three bytes in four are saved."""
    pixels = io.BytesIO()
    dpi = min(PNG_DPI, int(PNG_TALLEST / float(figure.get_size_inches()[1])))
    figure.savefig(pixels, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    with Image.open(pixels) as image:
        palette = image.convert("RGB").quantize(PNG_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(path, format="png", dpi=(dpi, dpi))
