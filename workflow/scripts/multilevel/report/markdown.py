"""Markdown that Quarto and plain Pandoc both read, built so that no text of a user can become markup.

Everything that is not :class:`Markdown` already is escaped on its way into a page: the templates do it through
Jinja's ``finalize``, the tables through :func:`inline`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import quote

RENDERER_PLACE = "[not rendered yet]{.ml-renderer}"
"""Stands in a report's source where the program that typesets the page is named; no escaped text can look like it."""

_BIDI_CONTROLS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_AS_ENTITY = frozenset("<>&()[]{}|\\`\"'")
_AS_BACKSLASH = frozenset("*_~#$^@:")
_PLAIN_CODE = re.compile(r"[A-Za-z0-9 ~+*:/.,()\[\]|_=>^%@#;?…\-]+")
_DASHES_OR_DOTS = re.compile(r"-{2,}|\.{2,}")


class Markdown(str):
    """A string that is Markdown already and is not escaped again."""

    __slots__ = ()


def clean(value: object) -> str:
    """Return `value` as one line of text: white space collapsed, characters that no page can show removed.

    Control characters, lone surrogates, Unicode's non-characters and the marks that turn the direction of text
    are removed; a hostile file name must not be able to reorder what stands beside it.
    """
    text = " ".join(str(value).split())
    return "".join(char for char in text if not _is_unprintable(char)).strip()


def _is_unprintable(char: str) -> bool:
    code = ord(char)
    is_noncharacter = (code & 0xFFFE) == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return unicodedata.category(char) in {"Cc", "Cs"} or is_noncharacter or char in _BIDI_CONTROLS


def escape(value: object) -> Markdown:
    r"""Escape text of a user for any inline place: a paragraph, a heading, a table cell, a caption, an image's caption.

    Parameters
    ----------
    value
        Any text; white space, new lines included, is collapsed to single spaces.

    Notes
    -----
    Brackets, quotes, ``<``, ``&``, ``|``, backticks and backslashes become character references rather than
    backslash escapes: a reader with ``tex_math_single_backslash`` takes ``\(`` for mathematics, and Quarto looks for
    ``{{<`` and for code before Pandoc sees the text.
    """
    text = clean(value)
    pieces = (text[m.start() : m.end()] for m in re.finditer(r"-{2,}|\.{2,}|.", text))
    escaped = "".join(_escape_piece(piece) for piece in pieces)
    return Markdown(_escape_start(escaped))


def _escape_piece(piece: str) -> str:
    if piece in _AS_ENTITY:
        return f"&#{ord(piece)};"
    if piece in _AS_BACKSLASH or _DASHES_OR_DOTS.fullmatch(piece):
        return "".join(f"\\{char}" for char in piece)
    return piece


def _escape_start(text: str) -> str:
    """Escape what has a meaning at the start of a line only: list markers, rules, headings underlined with ``=``."""
    if text[:1] in {"-", "+", "=", "%"}:
        return f"\\{text}"
    return re.sub(r"^([0-9A-Za-z]{1,12})\.(?= |$)", r"\1\\.", text)


def inline(value: object) -> Markdown:
    """Return `value` itself where it is Markdown already, an empty string for None, else its text escaped."""
    if isinstance(value, Markdown):
        return value
    return Markdown("") if value is None else escape(value)


def code(value: object) -> Markdown:
    """Return text of a user as code: a formula, a parameter, a path.

    Text with a character that could end the code early, or that Quarto reads inside code, becomes an escaped span
    that only looks like code.
    """
    text = clean(value)
    if not text:
        return Markdown("")
    if _PLAIN_CODE.fullmatch(text):
        return Markdown(f"`{text}`")
    return span(text, "ml-code")


def span(value: object, css_class: str) -> Markdown:
    """Return `value` as a span with a class, as in ``[text]{.ml-ok}``."""
    return Markdown(f"[{inline(value)}]{{.{css_class}}}")


def strong(value: object) -> Markdown:
    """Return `value` in bold."""
    content = inline(value)
    return Markdown(f"**{content}**") if content else content


def join(values: Iterable[object], separator: str = ", ") -> Markdown:
    """Join pieces, escaping those that are not Markdown."""
    return Markdown(separator.join(inline(value) for value in values))


def sentence_list(values: Iterable[object]) -> Markdown:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    items = [inline(value) for value in values]
    if len(items) < 2:
        return Markdown("".join(items))
    return Markdown(f"{', '.join(items[:-1])} and {items[-1]}")


def attribute(value: object) -> Markdown:
    """Escape text of a user for a quoted attribute, as in ``{fig-alt="..."}``."""
    keep = frozenset(" ,;-+/%?=_")
    return Markdown("".join(c if c.isalnum() or c in keep or ord(c) > 127 else f"&#{ord(c)};" for c in clean(value)))


def identifier(prefix: str, value: object) -> Markdown:
    """Return an anchor such as ``model-varying-intercept``; two names that differ give two anchors."""
    text = str(value)
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    is_plain = re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", text) is not None
    tail = "" if is_plain else f"-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return Markdown(f"{prefix}-{slug}{tail}")


def anchor(prefix: str, value: object) -> Markdown:
    """Return the attribute that gives a heading its anchor, ``{#model-varying-intercept}``."""
    return Markdown(f"{{#{identifier(prefix, value)}}}")


def yaml_text(value: object) -> Markdown:
    """Return text of a user for the front matter, whose strings are read as Markdown: escaped, then quoted."""
    return Markdown(json.dumps(str(escape(value)), ensure_ascii=False))


def display_math(latex: object) -> Markdown:
    """Return an equation on a line of its own; LaTeX that could leave its dollar signs is shown as code instead."""
    text = " ".join(str(latex).split())
    if not text or "$" in text or text.endswith("\\") or clean(text) != text:
        return code(text)
    return Markdown(f"$$\n{text}\n$$")


def image(path: str, caption: object, alt: object) -> Markdown:
    """Return a figure: `caption` is shown under it, `alt` is read aloud in its place."""
    return Markdown(f'![{inline(caption)}]({quote(path)}){{.ml-image fig-alt="{attribute(alt)}"}}')


def table(headers: Sequence[object], rows: Iterable[Sequence[object]], *, label: str, align: str = "") -> Markdown:
    """Return a pipe table in a region that scrolls sideways where the page is narrower than the table.

    Parameters
    ----------
    headers, rows
        Cells; those that are not Markdown are escaped. None is an empty cell.
    label
        What the table holds; a screen reader announces it.
    align
        One letter for each column, ``l`` or ``r``; columns without a letter are aligned right, the first left.
    """
    letters = (align + ("l" + "r" * len(headers))[len(align) :])[: len(headers)]
    rules = ["---:" if letter == "r" else ":---" for letter in letters]
    lines = [_row(headers), _row([Markdown(rule) for rule in rules]), *(_row(row) for row in rows)]
    opening = f'::: {{.ml-scroll role="region" tabindex="0" aria-label="{attribute(label)}"}}'
    return Markdown("\n".join([opening, "", *lines, "", ":::"]))


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(inline(cell).replace("\n", " ") for cell in cells) + " |"


def bullets(items: Iterable[object]) -> Markdown:
    """Return a list with one item to a line."""
    return Markdown("\n".join(f"- {inline(item)}" for item in items))
