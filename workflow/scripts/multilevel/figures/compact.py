"""Half the size for an SVG that looks the same: a report embeds dozens of them.

matplotlib writes six decimals of a point, each step of a path from the page's corner on a line of its own, and the style of
each of a thousand equal dots. Here coordinates have three decimals (0.001 points is 0.0004 mm) and letters the precision
that a printer of 10,000 dots per inch could show, paths go from step to step, and what follows one another in one style
shares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_BETWEEN: Final = re.compile(r">\s+<")
_NAMED: Final = re.compile(r'<g id="[^"]*"')
_DOTS: Final = re.compile(r'<use [^>]*? style="([^"]*)"/>(?:\s*<use [^>]*? style="\1"/>)+')
_PATHS: Final = re.compile(
    r'<path d="[^"]*"( clip-path="[^"]*")? style="([^"]*)"/>(?:\s*<path d="[^"]*"\1 style="\2"/>)+'
)
_GLYPH: Final = re.compile(r' d="([^"]*)" transform="scale\(0\.015625\)"')
_LINE: Final = re.compile(r' d="([^"]*)"')
_PLACE: Final = re.compile(r' (x|y)="([^"]*)"')
_LETTER: Final = re.compile(r'(xlink:href="#|<path id=")DejaVuSans-')
_ALONG: Final = re.compile(r'(<use [^>]*?)transform="translate\(([-\d.]+) 0\)"')
_TRANSLATE: Final = re.compile(r"translate\(([^)]*)\)")
_NUMBER: Final = re.compile(r"-?\d+\.\d+")
_STEP: Final = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_STEPS: Final = frozenset("MLQCz")

_COARSER: Final = 8
"""A letter's outline has 6,400 units to its height; in steps of 8, 0.01 points of a word of 9 points."""


def compact(svg: str) -> str:
    """Return an SVG that matplotlib wrote with fewer characters and the same picture."""
    text = _NAMED.sub("<g", _COMMENT.sub("", svg))
    text = _PATHS.sub(_share_path, _DOTS.sub(_share_use, text))
    text = _LETTER.sub(r"\1D", _ALONG.sub(r'\1x="\2"', text))
    text = _GLYPH.sub(_glyph, text)
    text = _LINE.sub(lambda match: f' d="{_steps(match[1], 1000)}"', text)
    text = _PLACE.sub(lambda match: f' {match[1]}="{_rounded(match[2])}"', text)
    text = _TRANSLATE.sub(lambda match: f"translate({_rounded(match[1])})", text)
    return _BETWEEN.sub("><", text)


def _share_use(match: re.Match[str]) -> str:
    style = f' style="{match[1]}"'
    return f"<g{style}>{match[0].replace(style, '')}</g>"


def _share_path(match: re.Match[str]) -> str:
    clip, style = match[1] or "", f' style="{match[2]}"'
    return f"<g{clip}{style}>{match[0].replace(f'{clip}{style}', '')}</g>"


def _glyph(match: re.Match[str]) -> str:
    return f' d="{_steps(match[1], 1, _COARSER)}" transform="scale(0.125)"'


def _steps(path: str, finer: int, coarser: int = 1) -> str:
    """Return a path with steps in place of positions.

    Parameters
    ----------
    path
        Positions, as matplotlib writes them; other paths, which have been through here already, stay as they are.
    finer
        Parts of a unit that a step is a whole number of.
    coarser
        Units of `path` that become one unit.
    """
    parts = [(letter, values.split()) for letter, values in _STEP.findall(path)]
    if not {letter for letter, _ in parts} <= _STEPS:
        return path
    written: list[str] = []
    here = start = (0, 0)
    last = ""
    for letter, values in parts:
        if letter == "z":
            written.append("z")
            here, last = start, ""
            continue
        numbers = [round(float(value) * finer / coarser) for value in values]
        moved = [number - here[axis % 2] for axis, number in enumerate(numbers)]
        here = numbers[-2], numbers[-1]
        start = here if letter == "M" else start
        small = letter.lower()
        written.append("".join(_joined(moved, finer, "" if small != last else " ", small if small != last else "")))
        last = "" if small == "m" else small
    return "".join(written)


def _joined(moved: list[int], finer: int, before: str, letter: str) -> Iterator[str]:
    """Yield the letter and the numbers, a blank between those that no sign keeps apart."""
    yield letter
    for value in moved:
        text = _decimal(value, finer)
        yield text if text.startswith("-") else f"{before}{text}"
        before = " "


def _decimal(value: int, finer: int) -> str:
    """Return a whole number of parts as a decimal number without what could be left out."""
    if finer == 1 or value == 0:
        return str(value)
    text = f"{value / finer:.3f}".rstrip("0").rstrip(".")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _rounded(text: str) -> str:
    return _NUMBER.sub(_three_decimals, text)


def _three_decimals(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
