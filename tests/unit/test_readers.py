"""Files of every format become the same columns, and a file that is not what its name says is refused in a sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multilevel import preparation
from multilevel.dataset import Dataset
from multilevel.errors import StudyError

TEXT = "id,x\na,1.5\nb,\n"


def zipped(content: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    ".zip": lambda content: zipped(content, "inside.csv"),
}


def prepared(folder: Path, name: str, content: bytes, used: str = "", **data: Any) -> Dataset:
    (folder / name).write_bytes(content)
    return preparation.prepare({"table": name, **data}, used.split(), folder)


def refusal(folder: Path, name: str, content: bytes, **data: Any) -> str:
    with pytest.raises(StudyError) as caught:
        prepared(folder, name, content, **data)
    return str(caught.value)


# The same rows in every format.

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n,;\"'\t|"), max_size=8).map(
    lambda word: f"t{word}".strip()
)
VALUES = {
    "whole": st.integers(-(2**53), 2**53),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "count": st.integers(0, 9),
    "word": WORDS,
    "yes": st.booleans(),
    "perhaps": st.booleans(),
    "day": st.dates(),
}
COMPLETE = st.fixed_dictionaries(VALUES)  # a text column without any value cannot be told from one of numbers
ANY = st.fixed_dictionaries({k: v if k in {"whole", "yes"} else v | st.none() for k, v in VALUES.items()})
TYPES = {
    "whole": pa.int64(), "number": pa.float64(), "count": pa.int32(), "word": pa.string(), "yes": pa.bool_(),
    "perhaps": pa.bool_(), "day": pa.date32(),
}  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.tuples(COMPLETE, st.lists(ANY, max_size=6)).map(lambda found: [found[0], *found[1]]),
    st.sampled_from([(".csv", ",", "."), (".tsv", "\t", "."), (".csv", ";", ","), (".csv", "|", ".")]),
    st.sampled_from(sorted(PACKED)),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_gives_the_same_data_in_every_format(
    tmp_path: Path, rows: list[dict[str, Any]], form: tuple[str, str, str], packing: str, encoding: str
) -> None:
    import pyarrow.parquet

    ending, separator, decimal = form
    table = pa.Table.from_pylist(rows, pa.schema(TYPES))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in TYPES})
    frame["number"] = [None if v is None else repr(v).replace(".", decimal) for v in frame["number"]]
    text = frame.to_csv(index=False, sep=separator, lineterminator="\n")
    options = {"separator": separator, "decimal": decimal if decimal != "." else None, "encoding": encoding}
    given_options = {key: value for key, value in options.items() if value is not None}
    dates = {"dates": {"day": "iso"}}
    one = prepared(tmp_path, f"t{ending}{packing}", PACKED[packing](text.encode(encoding)), **given_options, **dates)
    other = prepared(tmp_path, "t.parquet", buffer.getvalue())
    assert one.digests == other.digests
    assert len(one.frame) == len(rows)


@pytest.mark.parametrize("packing", sorted(PACKED))
@pytest.mark.parametrize("name", ["t.csv", "T.CSV"])
def test_a_compressed_table_is_what_is_in_it(name: str, packing: str, tmp_path: Path) -> None:
    data = prepared(tmp_path, name + packing, PACKED[packing](TEXT.encode()))
    assert data.frame["x"].tolist()[0] == 1.5
    assert data.summary["tables"][0]["name"] == name.split(".", maxsplit=1)[0]


def test_a_zip_file_may_name_its_format_inside(tmp_path: Path) -> None:
    data = prepared(tmp_path, "t.zip", zipped(b"x\ty\n1\t2\n", "folder/t.tsv"))
    assert list(data.frame.columns) == ["x", "y"]


def test_the_folders_that_a_mac_adds_to_a_zip_file_count_for_nothing(tmp_path: Path) -> None:
    assert len(prepared(tmp_path, "t.csv.zip", zipped(TEXT.encode(), "t.csv", "__MACOSX/t.csv")).frame) == 2


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.xlsx", b"x", "data.table: 't.xlsx' does not end in a way that says how to read it; use .csv, .tsv, .parquet, or"),
        ("t", b"x", "'t' does not end in a way that says how to read it"),
        ("t.json.gz", gzip.compress(b"x", mtime=0), "'t.json.gz' does not end in a way that says how to read it"),
        ("t.csv.gz", b"x,y\n1,2\n", "'t.csv.gz' cannot be decompressed (Not a gzipped file (b'x,')); it may be damaged"),
        ("t.csv.gz", gzip.compress(TEXT.encode() * 99, mtime=0)[:-9], "'t.csv.gz' cannot be decompressed (Compressed file ended"),
        ("t.csv.bz2", b"BZh9", "'t.csv.bz2' cannot be decompressed ("),
        ("t.csv.bz2", b"plain", "'t.csv.bz2' cannot be decompressed (Invalid data stream)"),
        ("t.csv.xz", b"plain", "'t.csv.xz' cannot be decompressed (Input format not supported by decoder)"),
        ("t.csv.zst", b"plain", "'t.csv.zst' cannot be decompressed (ZSTD decompress failed: Unknown frame descriptor)"),
        ("t.csv.zip", b"plain", "'t.csv.zip' cannot be decompressed (File is not a zip file)"),
        ("t.csv.zip", zipped(b"x\n1\n", "a.csv", "b.csv"), "'t.csv.zip' holds 2 files (a.csv, b.csv); pack the one table"),
        ("t.zip", zipped(b""), "'t.zip' holds 0 files; pack the one table into a zip file of its own"),
        ("t.zip", zipped(b"x", "a.xlsx"), "'t.zip' holds 'a.xlsx', which does not end in a way that says how to read it"),
        ("t.parquet", b"PAR1 and nonsense", "'t.parquet' cannot be read as Parquet ("),
        ("t.parquet", b"", "'t.parquet' cannot be read as Parquet ("),
        ("t.csv", b"PAR1\x15", "'t.csv' is a Parquet file; its name must end in .parquet"),
        ("t.csv", gzip.compress(b"x", mtime=0), "'t.csv' is compressed by gzip; its name must end in .gz"),
        ("t.csv", zipped(b"x", "xl/workbook.xml"), "'t.csv' is a zip file or a spreadsheet (xlsx, ods); save the table as csv"),
        ("t.csv", "x,y\né,1\n".encode("cp1252"), "'t.csv' is not UTF-8 (byte 4, in line 2); save it as UTF-8, or set encoding"),
        ("t.csv", "x,y\n1,2\n".encode("utf-16"), "'t.csv' is not UTF-8: it begins with the mark of UTF-16; set encoding: utf-16"),
        ("t.csv", b"x,y\n1,\x00\n", "'t.csv' is no text: it holds a zero byte in line 2"),
        ("t.csv", b"", "'t.csv' cannot be read as CSV (it is empty)"),
        ("t.csv", b" \n\n", "'t.csv' cannot be read as CSV (it is empty)"),
        ("t.csv", b"x,y\n", "'t.csv' has no rows; it has a header and nothing below it"),
        ("t.csv", b"x,y\n1,2\n3\n", "'t.csv' cannot be read as CSV: row 2 has 1 field and the header 2; a field that holds"),
        ("t.csv", b"x,y\n1,2,3\n4,5\n6,7,8\n", "row 1 has 3 fields and the header 2; a field that holds the separator stands in"),
        ("t.csv", b"x,y\n1,2,3\n4,5\n6,7,8\n", "quotation marks; 1 more rows are so"),
        ("t.csv", b"x,y\na,1,2\nb,3,4\n", "every row seems to begin with a name of its own: give that column a name too"),
        ("t.csv", b'x,y\n"a,1\nb,2\n', "row 1 has 1 field and the header 2; a quotation mark in it is never closed"),
        ("t.csv", b'x,y\n1,"a\n2,b\n', "'t.csv' has a quotation mark that is never closed"),
        ("t.tsv", b"x\ty\n1\n", "'t.tsv' cannot be read as TSV: row 1 has 1 field and the header 2"),
        ("t.csv", b"x;y\n1,5;2\n", "'t.csv' has one column, 'x;y': its values seem to be separated by ';'; set separator: ';'"),
        ("t.csv", b"x\ty\n1\t2\n", "set separator: \"\\t\""),
        ("t.csv", b"x,x\n1,2\n", "'t.csv' has the column 'x' twice; give each column a name of its own"),
        ("t.csv", b"x, x \n1,2\n", "'t.csv' has the column 'x' twice"),
        ("t.csv", b"1,2.5,-3\n4,5,6\n", "'t.csv' has numbers where the names of its columns should be (1, 2.5, -3); give it a"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says_is_refused(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    assert sentence in refusal(tmp_path, name, content)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"separator": ";"}, "'t.csv' has one column, 'id,x': its values seem to be separated by ','; set separator: ','"),
        ({"separator": "a"}, "data.separator: 'a' cannot separate fields; use ',', ';', '|' or \"\\t\""),
        ({"encoding": "latn-1"}, "data.encoding: unknown encoding 'latn-1'; did you mean 'latin-1'?"),
        ({"encoding": "base64"}, "data.encoding: unknown encoding 'base64'"),
        ({"encoding": "utf-16"}, "data.table: 't.csv' is not utf-16 ("),
        ({"encoding": "ascii", "table": "e.csv"}, "'e.csv' is not ascii (byte 3, in line 2); set another encoding"),
    ],
)  # fmt: skip
def test_a_reading_option_that_does_not_fit_is_refused(options: dict[str, str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TEXT[:-1])
    (tmp_path / "e.csv").write_text("xy\né\n", encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        preparation.prepare({"table": "t.csv", **options}, [], tmp_path)
    assert sentence in str(caught.value)


def test_an_option_of_text_formats_is_refused_for_parquet(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"x": [1]}).to_parquet(buffer)
    message = refusal(tmp_path, "t.parquet", buffer.getvalue(), separator=";")
    assert "data.separator: 't.parquet' is Parquet, which has no separator; leave it out" in message


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"x,y\r\n1,2\r\n3,4\r\n", 2),
        (b"x,y\r1,2\r3,4\r", 2),
        (b"x,y\n1,2\n\n3,4", 2),
        (b"\n\nx,y\n1,2\n", 1),
        (b"x,y\n1,2\n   \n3,4\n", 2),
        (b'"x","y"\n"1","a\nb"\n', 1),
        (b'x,y\n5" pipe,2\n', 1),
        (b'"a,\n1","b, c",d\n1,2,3\n', 1),
    ],
)
def test_what_a_spreadsheet_writes_is_read(content: bytes, rows: int, tmp_path: Path) -> None:
    assert len(prepared(tmp_path, "t.csv", content).frame) == rows


def test_a_column_without_a_name_gets_one(tmp_path: Path) -> None:
    data = prepared(tmp_path, "t.csv", b'"","x"\n"1",2\n', rename={"row": "column_1"})
    assert list(data.frame.columns) == ["row", "x"]


def test_a_table_of_many_columns_keeps_them_as_they_stand(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(300)]
    data = prepared(tmp_path, "t.csv", f"{','.join(names)}\n{','.join(['01'] * 300)}\n".encode(), text=names)
    assert set(data.frame.iloc[0]) == {"01"}


def test_the_hash_in_a_data_package_is_that_of_the_compressed_file(tmp_path: Path) -> None:
    import hashlib
    import json

    content = gzip.compress(TEXT.encode(), mtime=0)
    resource = {"path": "t.csv.gz", "rows": 2, "hash": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    (tmp_path / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    assert prepared(tmp_path, "t.csv.gz", content).summary["tables"][0]["verified"]
    changed = gzip.compress(TEXT.replace("1.5", "1.6").encode(), mtime=0)
    assert "but its datapackage.json declares" in refusal(tmp_path, "t.csv.gz", changed)


def test_a_file_that_is_absent_is_looked_for_among_those_that_could_be_read(tmp_path: Path) -> None:
    (tmp_path / "houses.parquet").write_bytes(b"")
    (tmp_path / "housse.md").write_bytes(b"")
    with pytest.raises(StudyError) as caught:
        preparation.prepare({"table": "house.parquet"}, [], tmp_path)
    assert "no file 'house.parquet'; did you mean 'houses.parquet'?" in str(caught.value)


NAMES = ["t.csv", "t.tsv", "t.parquet", "t.csv.gz", "t.csv.bz2", "t.csv.xz", "t.csv.zst", "t.zip"]
PIECES = st.lists(
    st.sampled_from(['"', ",", ";", "\n", "\r", "\t", " ", "a", "1", "-", ".", "inf", "NA", "\ufeff", "é", "\0"])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60) | PIECES.map(lambda pieces: "".join(pieces).encode()), st.sampled_from(NAMES))
def test_any_bytes_are_data_or_a_refusal(tmp_path: Path, content: bytes, name: str) -> None:
    packed = PACKED.get(f".{name.rsplit('.', 1)[-1]}")
    for raw in [content, *([packed(content)] if packed else [])]:
        assert rows_or_places(tmp_path, name, raw)


def rows_or_places(folder: Path, name: str, content: bytes) -> list[str] | int:
    """Return the number of rows, or where in the study the problems are."""
    try:
        return len(prepared(folder, name, content).frame)
    except StudyError as error:
        return [problem.where for problem in error.problems]
