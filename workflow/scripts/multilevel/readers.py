"""Files to columns: csv, tsv and Parquet, plain or compressed, as the file's name says.

A text format gives texts, with the blanks around them; what they mean is decided in `column_types`. Parquet gives its types.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from multilevel.errors import Problem, StudyError, did_you_mean

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Text formats by ending, with what separates their fields."""

PARQUET = ".parquet"
FORMATS = (*SEPARATORS, PARQUET)
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")

_MAGIC = {
    b"PAR1": ("a Parquet file", PARQUET),
    b"\x1f\x8b": ("compressed by gzip", ".gz"),
    b"BZh": ("compressed by bzip2", ".bz2"),
    b"\xfd7zXZ": ("compressed by xz", ".xz"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", ".zst"),
    b"PK\x03\x04": ("a zip file or a spreadsheet (xlsx, ods)", ""),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet (xls)", ""),
}
"""First bytes of files that are often called .csv though they are something else, and the ending that would say so."""

_BROKEN = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8"}


@dataclass(frozen=True)
class Raw:
    """The columns of one file.

    Parameters
    ----------
    columns
        Arrow columns by name, in the order of the file.
    is_text
        Whether the values are texts whose types are to be guessed.
    """

    columns: dict[str, pa.ChunkedArray]
    is_text: bool


def read(content: bytes, name: str, options: dict[str, Any], place: str) -> Raw:
    """Read the columns of a file.

    Parameters
    ----------
    content
        The bytes of the file.
    name
        Its path as the study gives it; the ending chooses the format.
    options
        ``separator`` and ``encoding`` of text formats, where given.
    place
        Where the table stands in the study: ``data`` or ``data.join[0]``.

    Raises
    ------
    StudyError
        When the file is not what its name says, has no rows or has a column twice.
    """
    where = f"{place}.table"
    ending, content = _unpacked(content, name, where)
    if ending == PARQUET:
        if given := next((key for key in ("separator", "encoding", "decimal", "thousands") if options.get(key)), None):
            raise _refused(f"{place}.{given}", f"'{name}' is Parquet, which has no {given}", "leave it out")
        names, columns = _parquet(content, name, where)
    else:
        separator = _separator(options, SEPARATORS[ending], place)
        text = _decoded(content, name, options.get("encoding") or "utf-8", place)
        names, columns = _fields(text, f"'{name}' cannot be read as {ending[1:].upper()}", name, separator, place)
    names = _headers(names, name, where)
    if not len(columns[0]):
        raise _refused(where, f"'{name}' has no rows", "it has a header and nothing below it")
    return Raw(dict(zip(names, columns, strict=True)), ending != PARQUET)


def is_known(name: str) -> bool:
    """Tell whether a file's name ends in a way that says how to read it."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    ending, inner = suffixes[-1] if suffixes else "", suffixes[-2] if len(suffixes) > 1 else ""
    return ending in FORMATS or (ending in COMPRESSIONS and inner in FORMATS) or ending == ".zip"


def stem(name: str) -> str:
    """Return the name of a table: that of its file without the endings that say how to read it."""
    path = PurePath(name)
    inner = PurePath(path.stem)
    return inner.stem if path.suffix.lower() in COMPRESSIONS and inner.suffix.lower() in FORMATS else path.stem


def _refused(where: str, message: str, hint: str = "") -> StudyError:
    return StudyError([Problem(where, message, hint)])


# Endings and compression.


def _unpacked(content: bytes, name: str, where: str) -> tuple[str, bytes]:
    """Return the ending that names the format, and the content without its compression."""
    if not is_known(name):
        known = ", ".join(FORMATS)
        raise _refused(
            where,
            f"'{name}' does not end in a way that says how to read it",
            f"use {known}, or one of these followed by {', '.join(COMPRESSIONS)}",
        )
    path = PurePath(name)
    ending, inner = path.suffix.lower(), PurePath(path.stem).suffix.lower()
    if ending in FORMATS:
        return ending, content
    try:
        if ending == ".zip":
            return _only_member(content, name, inner, where)
        return inner, _DECOMPRESS[ending](content)
    except _BROKEN as error:
        reason = _first_line(error) or type(error).__name__
        raise _refused(
            where,
            f"'{name}' cannot be decompressed ({reason})",
            "it may be damaged, cut short or not what its name says",
        ) from None


def _only_member(content: bytes, name: str, inner: str, where: str) -> tuple[str, bytes]:
    """Return the ending and content of the one file in a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
        if len(members) != 1:
            shown = ", ".join(m.filename for m in members[:3])
            message = f"'{name}' holds {len(members)} files" + (
                f" ({shown}{', ...' if len(members) > 3 else ''})" if members else ""
            )
            raise _refused(where, message, "pack the one table into a zip file of its own")
        ending = inner if inner in FORMATS else PurePath(members[0].filename).suffix.lower()
        if ending not in FORMATS:
            message = f"'{name}' holds '{members[0].filename}', which does not end in a way that says how to read it"
            raise _refused(where, message, f"use {', '.join(FORMATS)}")
        return ending, archive.read(members[0])


def _zstd(content: bytes) -> bytes:
    return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": _zstd,
}


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:200]


# Parquet.


def _parquet(content: bytes, name: str, where: str) -> tuple[list[str], list[pa.ChunkedArray]]:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refused(where, f"'{name}' cannot be read as Parquet ({_first_line(error)})") from None
    if not table.num_columns:
        raise _refused(where, f"'{name}' has no columns")
    return [str(column) for column in table.column_names], list(table.columns)


# Text.


def _separator(options: dict[str, Any], default: str, place: str) -> str:
    separator = str(options.get("separator") or default)
    if separator.isalnum() or separator in {'"', "\n", "\r", ".", "-", "+"}:
        raise _refused(f"{place}.separator", f"{separator!r} cannot separate fields", "use ',', ';', '|' or \"\\t\"")
    return separator


def _decoded(content: bytes, name: str, encoding: str, place: str) -> str:
    """Return the text of a file; a byte-order mark is no part of it."""
    where = f"{place}.table"
    try:
        codec = codecs.lookup(encoding)
        "".encode(codec.name)  # refuses codecs that make no text, such as base64
    except LookupError:
        common = ("utf-8", "utf-16", "latin-1", "cp1252", "iso-8859-15", "mac-roman", "shift-jis", "gbk", "big5")
        raise _refused(f"{place}.encoding", f"unknown encoding '{encoding}'", did_you_mean(encoding, common)) from None
    if found := next((what for start, what in _MAGIC.items() if content.startswith(start)), None):
        hint = f"its name must end in {found[1]}" if found[1] else "save the table as csv or Parquet"
        raise _refused(where, f"'{name}' is {found[0]}", hint)
    unicode_mark = next((m for m in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) if content.startswith(m)), None)
    if unicode_mark and codec.name.startswith("utf-8"):
        raise _refused(where, f"'{name}' is not UTF-8: it begins with the mark of UTF-16", "set encoding: utf-16")
    try:
        text = content.decode("utf-8-sig" if codec.name == "utf-8" else codec.name)
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        shown = _NAMES.get(codec.name, encoding)
        hint = (
            "save it as UTF-8, or set encoding, such as cp1252 or latin-1"
            if shown == "UTF-8"
            else "set another encoding"
        )
        raise _refused(where, f"'{name}' is not {shown} (byte {error.start}, in line {row})", hint) from None
    except UnicodeError as error:
        raise _refused(where, f"'{name}' is not {encoding} ({_first_line(error)})", "set another encoding") from None
    if (position := text.find("\0")) >= 0:
        line = text.count("\n", 0, position) + 1
        hint = "set encoding: utf-16 if it is that, or save the table as csv"
        raise _refused(where, f"'{name}' is no text: it holds a zero byte in line {line}", hint)
    return text.removeprefix("\ufeff")


def _fields(text: str, failure: str, name: str, separator: str, place: str) -> tuple[list[str], list[pa.ChunkedArray]]:
    """Split a text into the names of its header and columns of texts."""
    where = f"{place}.table"
    if not text.strip():
        raise _refused(where, f"{failure} (it is empty)")
    ragged: list[Any] = []

    def keep(row: Any) -> str:
        if row.text.strip():
            ragged.append(row)
        return "skip"

    content = text.encode()
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            # One block, in one thread: only then are rows numbered.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=min(max(len(content) + 1, 2**20), 2**31 - 1),
                autogenerate_column_names=True,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=keep
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                strings_can_be_null=False, column_types={f"f{i}": pa.string() for i in range(_width(text, separator))}
            ),
        )
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise _refused(where, f"{failure} ({_first_line(error)})") from None
    columns = [pa.chunked_array([column.combine_chunks().cast(pa.string())]) for column in table.columns]
    names = [str(column[0]) for column in columns]
    if len(names) == 1 and (found := next((c for c in ",;\t|" if c != separator and c in names[0]), None)):
        message = f"'{name}' has one column, '{names[0][:60]}': its values seem to be separated by {found!r}"
        raise _refused(where, message, f"set separator: {_quoted(found)}")
    if ragged:
        raise _ragged(ragged, failure, len(columns[0]) - 1, where)
    if text.count('"') % 2 and any(_has_line_break(column) for column in columns):
        raise _refused(
            where, f"'{name}' has a quotation mark that is never closed", "the rest of the file became one field"
        )
    return names, [column[1:] for column in columns]


def _width(text: str, separator: str) -> int:
    """Return at least the number of fields of the header, which may hold separators and line breaks in quotation marks."""
    try:
        return (
            2 * len(next((row for row in csv.reader(io.StringIO(text[: 2**20]), delimiter=separator) if row), [])) + 8
        )
    except csv.Error:
        return 1000


def _quoted(separator: str) -> str:
    return {"\t": '"\\t"'}.get(separator, f"'{separator}'")


def _has_line_break(column: pa.ChunkedArray) -> bool:
    return any("\n" in value for value in column.to_pylist())


def _ragged(rows: list[Any], failure: str, sound: int, where: str) -> StudyError:
    """Say which row has another number of fields than the header."""
    first = rows[0]
    message = (
        f"{failure}: row {first.number - 1} has {_count(first.actual_columns)} and the header {first.expected_columns}"
    )
    if first.text.count('"') % 2:
        return _refused(where, message, "a quotation mark in it is never closed")
    if not sound and all(row.actual_columns == row.expected_columns + 1 for row in rows):
        return _refused(where, message, "every row seems to begin with a name of its own: give that column a name too")
    more = f"; {len(rows) - 1} more rows are so" if len(rows) > 1 else ""
    return _refused(where, message, f"a field that holds the separator stands in quotation marks{more}")


def _count(fields: int) -> str:
    return f"{fields} field" if fields == 1 else f"{fields} fields"


def _headers(found: list[str], name: str, where: str) -> list[str]:
    """Return the names of the columns: without blanks around them, each once, and not numbers."""
    names = [column.strip() for column in found]
    if len(names) > 1 and all(re.fullmatch(r"[+-]?\d+([.,]\d+)?", column) for column in names):
        shown = ", ".join(names[:3])
        raise _refused(
            where, f"'{name}' has numbers where the names of its columns should be ({shown})", "give it a header"
        )
    names = [column or f"column_{position}" for position, column in enumerate(names, start=1)]
    if twice := next((column for column in names if names.count(column) > 1), None):
        raise _refused(where, f"'{name}' has the column '{twice}' twice", "give each column a name of its own")
    return names
