"""Text tables: a sound one passes whatever its line ends and quotes, and what is wrong is told with its line."""

from __future__ import annotations

import csv
import io
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import delimited


@pytest.mark.parametrize(
    "raw",
    [
        b"a,b\n1,2\n",
        b"a,b\n1,2",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"a,b\r1,2\r3,4\r",
        b"\xef\xbb\xbfa,b\n1,2\n",
        b"a,b\n\n1,2\n\n\n",
        b'a,b\n"1,5",2\n',
        b'a,b\n"one\ntwo",2\n3,4\n',
        b'a,b\n"say ""so""",2\n',
        b"a,b\n,\n,2\n",
        b"a\n1\n2\n",
        b"a,b\n",
        b"a,b\n5' 7,it's\n",
        'a,b\n"x",one\u2028two\x0bthree\n'.encode(),
    ],
)
def test_a_sound_table_has_no_problem(raw: bytes) -> None:
    assert delimited.problem(raw) is None


@pytest.mark.parametrize(
    ("raw", "separator", "message", "hint"),
    [
        (b"", ",", "is empty", ""),
        (b"\n\r\n", ",", "is empty", ""),
        (b"a,b\n1\n", ",", "has 1 field in line 2, where its header has 2", ""),
        (b"a,b\n1,2\n\n1,2,3\n", ",", "has 3 fields in line 4, where its header has 2", ""),
        (b"a,b\r\n1,2\r\n1,2,3\r\n", ",", "has 3 fields in line 3, where its header has 2", ""),
        # lines are those of the file, also after a text that is several lines long
        (b'a,b\n"one\ntwo\nthree",2\n5\n', ",", "has 1 field in line 5, where its header has 2", ""),
        (b'a,b\n1,2\n"open,2\n3,4\n', ",", "has a quote in line 3 that does not close", ""),
        (b'a,b\n"1"x,2\n', ",", "has text after a closing quote in line 2", ""),
        (b"a,b\n1,\x002\n", ",", "holds a NUL character in line 2", "it is no text"),
        (b"a,\n1,2\n", ",", "has no name for column 2 in its header", ""),
        (b"a,b,a\n1,2,3\n", ",", "has the column 'a' twice", "rename one of them"),
        (b"a,b\n\xe9,1\n", ",", "is not UTF-8 (byte 4)", "save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-be"), ",", "holds a NUL character in line 1", "it is no text"),
        ("a,b\n1,2\n".encode("utf-16"), ",", "is not UTF-8 (byte 0)", "it looks like UTF-16; save it as UTF-8"),
        (
            b"a;b;c\n1;2;3\n",
            ",",
            "has one column, 'a;b;c': its values seem to be separated by semicolons",
            "save it with commas",
        ),
        (b"a,b\n1,2\n", "\t", "has one column, 'a,b': its values seem to be separated by commas", "save it with tabs"),
        (b"a\tb\n1\n", "\t", "has 1 field in line 2, where its header has 2", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_line(raw: bytes, separator: str, message: str, hint: str) -> None:
    assert delimited.problem(raw, separator) == (message, hint)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=4, unique=True)


@given(NAMES.flatmap(lambda names: st.tuples(st.just(names), st.lists(st.tuples(*[CELLS] * len(names)), max_size=5))))
def test_whatever_is_written_as_csv_passes_and_is_read_with_as_many_rows(
    table: tuple[list[str], list[tuple[str, ...]]],
) -> None:
    names, rows = table
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    raw = buffer.getvalue().encode()
    assert delimited.problem(raw) is None
    assert len(pd.read_csv(io.BytesIO(raw), keep_default_na=False)) == len(rows)


def test_a_large_table_is_looked_at_in_a_moment() -> None:
    raw = b"a,b,c\n" + b"1.5,2.5,3.5\n" * 500_000
    started = time.perf_counter()
    assert delimited.problem(raw) is None
    assert time.perf_counter() - started < 5
