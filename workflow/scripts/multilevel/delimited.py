"""Text tables as they were written: what is wrong with one before anything reads values from it.

Readers of tables fill short rows with missing values, rename columns that stand twice and take a row of too many fields for
one with a name. Here every line must have as many fields as the header.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}
"""Separators by sign, in words."""

BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def problem(raw: bytes, separator: str = ",") -> tuple[str, str] | None:
    """Return what is wrong with a text table, and what to do about it.

    Parameters
    ----------
    raw
        The content of the file.
    separator
        What stands between two fields.

    Returns
    -------
    tuple or None
        A clause that follows the name of the file (``has 8 fields in line 4, where its header has 7``) and a hint, which
        may be empty; None for a sound table. Lines count from 1; blank ones hold no row.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = BYTE_ORDER_MARKS.get(raw[:2])
        return (
            f"is not UTF-8 (byte {error.start})",
            f"it looks like {encoding}; save it as UTF-8" if encoding else "save it as UTF-8",
        )
    if (at := text.find("\0")) >= 0:
        return f"holds a NUL character in line {text.count('\n', 0, at) + 1}", "it is no text"
    rows = _rows(text.replace("\r\n", "\n").replace("\r", "\n"), separator)
    try:
        header = next(rows, None)
        if header is None:
            return "is empty", ""
        if found := _header(header[1], separator):
            return found
        count = len(header[1])
        for line, fields in rows:
            if len(fields) != count:
                return f"has {_fields(len(fields))} in line {line}, where its header has {count}", ""
    except _UnreadableError as error:
        return str(error), ""
    return None


class _UnreadableError(ValueError):
    """Text that cannot be split into fields."""


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its fields; where nothing is quoted, their number is all that matters."""
    if '"' not in text:
        for line, row in enumerate(text.split("\n"), start=1):
            if row:
                yield line, row.split(separator)
        return
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    begun = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            reason = str(error)
            if "unexpected end" in reason:
                raise _UnreadableError(f"has a quote in line {begun} that does not close") from None
            if "expected after" in reason:
                raise _UnreadableError(f"has text after a closing quote in line {reader.line_num}") from None
            raise _UnreadableError(f"cannot be split into fields in line {reader.line_num} ({reason})") from None
        if fields is None:
            return
        if fields:
            yield begun, fields
        begun = reader.line_num + 1


def _header(names: list[str], separator: str) -> tuple[str, str] | None:
    """Return what is wrong with the names of the columns."""
    if len(names) == 1:
        for other, words in NAMES.items():
            if other != separator and other in names[0]:
                shown = " ".join(names[0].split("\t"))[:60]
                message = f"has one column, '{shown}': its values seem to be separated by {words}"
                return message, f"save it with {NAMES.get(separator, separator)}"
    for position, name in enumerate(names, start=1):
        if not name.strip():
            return f"has no name for column {position} in its header", ""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        return f"has the column '{twice[0]}' twice", "rename one of them"
    return None


def _fields(count: int) -> str:
    return f"{count} field{'s' if count != 1 else ''}"
