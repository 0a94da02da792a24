"""Names from outside, made safe and short enough to draw: control characters out, long ones elided or wrapped.

Mathtext never starts: the theme sets `text.parse_math` to false, so a `$` in a county's name stays a `$`.
"""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import count

import pandas as pd
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from multilevel.figures.theme import FONT

ELLIPSIS = "…"


def plain(name: object) -> str:
    """One line of printable text for any value: white space collapsed, control characters replaced."""
    if name is None or name is pd.NA or name is pd.NaT or (isinstance(name, float) and math.isnan(name)):
        return "(missing)"
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    text = " ".join(str(name).split())
    text = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in {"Cc", "Cs"} else c for c in text)
    return text or "(blank)"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Width in inches of one line of `text` in the theme's font at `size` points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties([FONT], size=size), ismath=False)
    return float(width) / 72


def elide(text: str, room: float, size: float) -> str:
    """`text` if it fits into `room` inches, else its beginning and end around an ellipsis.

    The middle goes because names made by a grid share their beginning and names of one family their end.
    """
    if text_width(text, size) <= room:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(_without_middle(text, middle), size) <= room:
            fits = middle
        else:
            too_long = middle
    return _without_middle(text, max(fits, 2))


def _without_middle(text: str, kept: int) -> str:
    tail = kept // 2
    return text[: kept - tail].rstrip() + ELLIPSIS + (text[-tail:].lstrip() if tail else "")


def short_names(names: Iterable[object], room: float, size: float) -> list[str]:
    """Names that fit into `room` inches; those that an ellipsis made equal get a number, so each stays itself."""
    whole = [plain(name) for name in names]
    short = [elide(name, room, size) for name in whole]
    shared = {name for name, times in Counter(short).items() if times > 1}
    used = set(short)
    for position, name in enumerate(whole):
        if short[position] in shared:
            numbered = (f" ({nth})" for nth in count(1))
            candidates = (elide(name, room - text_width(end, size), size) + end for end in numbered)
            short[position] = next(candidate for candidate in candidates if candidate not in used)
            used.add(short[position])
    return short


def wrap(name: object, room: float, size: float, lines: int = 2) -> str:
    """`name` on at most `lines` lines of `room` inches, broken at spaces and, in long words, at marks, then elided."""
    rows, pieces = [""], []
    for word in re.findall(r"\S+\s?", plain(name)):
        pieces += [word] if text_width(word.rstrip(), size) <= room else re.findall(r"[^_:.,/\-]+[_:.,/\-]?|.", word)
    for piece in pieces:
        if rows[-1] and len(rows) < lines and text_width((rows[-1] + piece).rstrip(), size) > room:
            rows.append("")
        rows[-1] += piece
    return "\n".join(elide(row.strip(), room, size) for row in rows)


def number(value: float, digits: int = 1) -> str:
    """A number as it is printed in a figure: fixed decimals, a real minus sign, no minus before zero."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """0.95 as "95%"."""
    return f"{100 * share:.6g}%"
