"""What the values of a column are: missing codes taken out, then types guessed (text formats) or kept (Parquet).

A column is of whole numbers (int64), numbers (float64, NaN where missing), conditions (bool; boolean where some are missing),
dates (datetime64[us]), levels in an order that the file gives (category) or text (str). Nothing else leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from multilevel.levels import level_text, level_texts

WORDS = ("", "NA")
"""What is missing in every text format; a Parquet file says itself what is missing."""

EXACT = 2**53
"""Largest whole number up to which each has a float64 of its own; a column with larger ones (long identifiers) is text."""

DATES: Literal["datetime64[us]"] = "datetime64[us]"

_CONDITIONS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_WHOLE = r"[+-]?[0-9]+"
_ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?"
_FEW = 0.1
"""Share of values up to which those that are no number count as strays in a column of numbers."""

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """One column with its type.

    Parameters
    ----------
    values
        The values, missing where a code says so.
    matched
        The missing codes that some value had.
    trimmed
        Number of texts that had blanks around them, which are cut off.
    doubt
        Why the column may be text by mistake, and what to do about it; empty where there is no reason to think so.
    """

    values: pd.Series
    matched: frozenset[str] = frozenset()
    trimmed: int = 0
    doubt: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Words:
    """The different texts of a column.

    Parameters
    ----------
    words
        Each text once.
    index
        Which of them stands in each row, -1 where the value is missing; shape (rows,).
    """

    words: pa.StringArray
    index: Index

    def as_text(self) -> pd.Series:
        """Return the column as text."""
        texts: pd.Series = self.words.take(pa.array(self.index, mask=self.index < 0)).to_pandas().astype("str")
        return texts


KINDS = {
    "number": "a number",
    "condition": "a condition (true or false)",
    "date": "a date",
    "text": "text",
}
"""What a column can be, and how messages say it."""


def kind_of(values: pd.Series) -> str:
    """Return which of `KINDS` a column is."""
    if values.dtype.kind == "b":
        return "condition"
    return {"i": "number", "u": "number", "f": "number", "M": "date"}.get(values.dtype.kind, "text")


def code_texts(codes: Iterable[Any]) -> list[str]:
    """Return missing codes as texts, each once."""
    return list(dict.fromkeys(level_text(code).strip() for code in codes))


# Text formats.


def from_text(
    texts: pa.ChunkedArray,
    codes: Sequence[str],
    words: Sequence[str] = WORDS,
    decimal: str = ".",
    thousands: str = "",
    as_text: bool = False,
) -> Column:
    """Guess the type of a column of texts.

    Parameters
    ----------
    texts
        The fields of the column as they stand in the file.
    codes
        Missing codes that the study declares.
    words
        Missing codes that always count.
    decimal, thousands
        What stands before decimals and between groups of three digits.
    as_text
        Whether the column is declared to be text.
    """
    stripped = pc.utf8_trim_whitespace(texts).combine_chunks()
    coded = stripped.filter(pc.is_in(stripped, pa.array(codes, pa.string())))
    matched = frozenset(coded.unique().to_pylist())
    present = pc.if_else(pc.is_in(stripped, pa.array([*words, *codes], pa.string())), None, stripped)
    if not as_text and (decimal, thousands) == (".", "") and (plain := _plain_numbers(present)) is not None:
        values, more = _without_codes(plain, codes)
        return Column(values, matched | more)
    found = _words_of(present)
    guessed = None if as_text else _guessed(found, decimal, thousands)
    if guessed is None:
        doubt = ("", "") if as_text else _doubt(found, decimal, thousands)
        blanks = pc.sum(pc.not_equal(pa.chunked_array([stripped]), texts)).as_py() or 0
        return Column(found.as_text(), matched, int(blanks), doubt)
    values, more = _without_codes(guessed, codes)
    return Column(values, matched | more)


def number_pattern(decimal: str, thousands: str = "") -> str:
    """Return the pattern of a number: digits, decimals, an exponent; infinities count, hexadecimals and 1_000 do not."""
    point = re.escape(decimal)
    digits = rf"[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+|[0-9]+" if thousands else "[0-9]+"
    return rf"[+-]?((({digits})({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf(inity)?))"


def _plain_numbers(texts: pa.StringArray) -> pd.Series | None:
    """Return texts as numbers where Arrow takes them all for such and means what `number_pattern` does; None elsewhere."""
    absent = texts.is_null().to_numpy(zero_copy_only=False)
    try:
        numbers = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    present = numbers[~absent]
    # Arrow takes nan for a number, and whole numbers too large for float64 for the nearest one.
    if not len(present) or np.isnan(present).any() or (np.abs(present) >= EXACT).any():
        return None
    if (present == np.floor(present)).all() and _all_match(texts.drop_null(), _WHOLE):
        return _whole(np.where(absent, 0, numbers).astype(np.int64), absent)
    return pd.Series(numbers)


def _words_of(texts: pa.StringArray) -> Words:
    encoded = texts.dictionary_encode()
    index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Words(encoded.dictionary.cast(pa.string()), index)


def _guessed(found: Words, decimal: str, thousands: str) -> pd.Series | None:
    """Return the values as numbers or conditions; None where some word is neither."""
    words, index = found.words, found.index
    if 0 < len(words) <= len(_CONDITIONS) and all(word in _CONDITIONS for word in words.to_pylist()):
        conditions = np.array([_CONDITIONS[word] for word in words.to_pylist()])
        values = pd.Series(conditions[np.maximum(index, 0)])
        return values if (index >= 0).all() else values.astype("boolean").mask(index < 0)
    if not _all_match(words, number_pattern(decimal, thousands)):
        return None
    if thousands:
        words = pc.replace_substring(words, thousands, "")
    if decimal != ".":
        words = pc.replace_substring(words, decimal, ".")
    words = pc.replace_substring_regex(words, r"^\+", "")
    if len(words) and _all_match(words, _WHOLE):
        try:
            whole = words.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return None  # beyond 2^63
        return _whole(whole[np.maximum(index, 0)], index < 0)
    try:
        numbers = words.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # 1e400 and the like, which Python takes for what they round to
        numbers = np.array([float(word) for word in words.to_pylist()])
    return pd.Series(np.append(numbers, np.nan)[index])


def _all_match(words: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(words, f"^(?:{pattern})$"), min_count=0).as_py())


def _whole(values: NDArray[np.int64], absent: NDArray[np.bool_]) -> pd.Series | None:
    """Return whole numbers, as float64 where some are missing; None where float64 cannot tell them apart."""
    present = values[~absent]
    if len(present) and max(int(present.max()), -int(present.min())) > EXACT:
        return None
    return pd.Series(np.where(absent, np.nan, values) if absent.any() else values)


def _without_codes(values: pd.Series, codes: Sequence[str]) -> tuple[pd.Series, frozenset[str]]:
    """Take out missing codes by value, so that -99 is found where the file says -99.0; return the codes found too."""
    matched: set[str] = set()
    if not codes or values.dtype.kind == "b":
        return values, frozenset()
    numeric = values.dtype.kind in "iuf"
    comparable = values if numeric else level_texts(values)
    for code in codes:
        wanted = _as_number(code) if numeric else code
        if wanted is not None and (hit := comparable == wanted).any():
            values = values.mask(hit)
            matched.add(code)
    return values, frozenset(matched)


def _as_number(code: str) -> float | None:
    return float(code) if re.fullmatch(number_pattern("."), code) else None


def _doubt(found: Words, decimal: str, thousands: str) -> tuple[str, str]:
    """Return why a column of texts may have been meant as numbers or dates, and what to do."""
    words = found.words.to_pylist()
    if all(re.fullmatch(_ISO_DATE, word) for word in words):
        return (
            f"looks like dates (such as '{words[0]}') but is read as text",
            "declare it under data.dates, or list it under text or data.categorical if text is meant",
        )
    number = re.compile(number_pattern(decimal, thousands))
    odd = [position for position, word in enumerate(words) if not number.fullmatch(word)]
    if not odd:  # whole numbers too large for float64: identifiers
        return "", ""
    if hint := _other_marks([words[position] for position in odd], decimal, thousands):
        return f"is read as text because of values like '{words[odd[0]]}'", hint
    present = found.index[found.index >= 0]
    stray = int(np.isin(present, odd).sum())
    if len(present) - stray < 2 or stray > max(1, _FEW * len(present)):
        return "", ""
    first = int(np.flatnonzero(np.isin(found.index, odd))[0])
    some = f"{stray} of its {len(present)} values {'is' if stray == 1 else 'are'} no number"
    return (
        f"is read as text because {some}, the first '{words[found.index[first]][:40]}' in row {first + 1}",
        "if that means missing, list it under missing; if text is meant, list the column under text",
    )


def _other_marks(words: list[str], decimal: str, thousands: str) -> str:
    """Return the option that would make numbers of some texts; empty where none would."""
    if thousands:
        return ""
    for mark in (",", ".", " ", "'"):
        point = "," if mark == "." else "."
        grouped = re.compile(rf"[+-]?[0-9]{{1,3}}({re.escape(mark)}[0-9]{{3}})+({re.escape(point)}[0-9]+)?")
        if all(map(grouped.fullmatch, words)):
            quoted = '"\'"' if mark == "'" else f"'{mark}'"
            also = f" and decimal: '{point}'" if point != decimal else ""
            other = ", or decimal: ',' if it stands before decimals" if (mark, decimal) == (",", ".") else ""
            return f"if {quoted} groups the digits of large numbers, set thousands: {quoted}{also}{other}"
    point = "," if decimal == "." else "."
    if all(re.fullmatch(rf"[+-]?[0-9]*{re.escape(point)}[0-9]+", word) for word in words):
        return f"if '{point}' stands before decimals, set decimal: '{point}'"
    return ""


# Parquet.


def from_arrow(values: pa.ChunkedArray, codes: Sequence[str], as_text: bool = False) -> Column | None:
    """Keep the type of a Parquet column; None for a type that is no column of values (lists, binary data, times of day).

    Decimals become the nearest float64, durations days; a time with a time zone keeps its clock and loses the zone.
    """
    made = _kept(values)
    if made is None:
        return None
    trimmed = 0
    if isinstance(made.dtype, pd.StringDtype):
        stripped = made.str.strip()
        trimmed = int((stripped != made).loc[made.notna()].sum())
        made = stripped
    made, matched = _without_codes(made, codes)
    if as_text and not isinstance(made.dtype, pd.StringDtype):
        made = level_texts(made)
    return Column(made, matched, trimmed)


def _kept(values: pa.ChunkedArray) -> pd.Series | None:
    kind, types = values.type, pa.types
    made: pd.Series
    if types.is_dictionary(kind):
        return _levels(values)
    if types.is_boolean(kind):
        made = values.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        return made if made.isna().any() else made.astype(bool)
    if types.is_integer(kind):
        if types.is_uint64(kind):
            return _written_out(values)
        absent = values.is_null().to_numpy()
        whole = _whole(values.cast(pa.int64()).fill_null(0).to_numpy(), absent)
        return _written_out(values) if whole is None else whole
    if types.is_decimal(kind):
        return _written_out(values)
    if types.is_floating(kind):
        return pd.Series(values.cast(pa.float64()).to_numpy())
    if types.is_date(kind) or types.is_timestamp(kind):
        made = values.cast(pa.timestamp("ms")).to_pandas() if types.is_date(kind) else values.to_pandas()
        return (made if made.dt.tz is None else made.dt.tz_localize(None)).astype(DATES)
    if types.is_duration(kind):
        return pd.Series(values.to_pandas().dt.total_seconds() / 86400)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        made = values.cast(pa.string()).to_pandas().astype("str")
        return made
    if types.is_null(kind):
        return pd.Series(np.full(len(values), np.nan))
    return None


def _written_out(values: pa.ChunkedArray) -> pd.Series:
    """Return numbers through what they are written as: the nearest float64, or text where float64 cannot tell them apart."""
    found = _words_of(values.cast(pa.string()).combine_chunks())
    made = _guessed(found, ".", "")
    return found.as_text() if made is None else made


def _levels(values: pa.ChunkedArray) -> pd.Series | None:
    """Return dictionary values as levels, in the order of the dictionary."""
    kind = values.type
    whole = values.unify_dictionaries().combine_chunks()
    plain = whole.dictionary.to_pylist()
    texts = [
        level_text(level).strip() for level in plain if isinstance(level, str | int) and not isinstance(level, bool)
    ]
    if len(set(texts)) < len(plain):  # blanks around some level, or a dictionary of something else
        return _kept(values.cast(kind.value_type))
    index = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Series(pd.Categorical.from_codes(index, categories=pd.Index(texts, dtype="str"), ordered=kind.ordered))
