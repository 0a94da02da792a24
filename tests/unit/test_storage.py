"""What stands under its final name is whole, and the same content is the same bytes."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multilevel import storage


def write_half(path: Path, interrupt: type[BaseException]) -> None:
    """Begin to write a file, and be interrupted."""
    with storage.atomic(path) as temporary:
        temporary.write_text("half of the n")
        raise interrupt


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        write_half(path, RuntimeError)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.json"]


def test_an_interrupt_before_there_was_a_file_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "a.json", KeyboardInterrupt)
    assert names_in(tmp_path) == []


def test_until_the_block_ends_readers_see_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with storage.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename within one file system is atomic
        assert temporary.suffix == path.suffix
        assert temporary.name.startswith(".")
    assert path.read_text() == "new"


def test_folders_are_made_and_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    before = os.umask(0o027)
    try:
        storage.write_text(path, "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_cannot_be_written_as_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        storage.write_json(path, {"a": object()})
    assert storage.read_json(path) == {"a": 1}
    assert names_in(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (math.nan, None),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, math.nan, math.inf]), [1.0, None, "inf"]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, "é", None), [1, "é", None]),
        ({"a": {"b": [math.nan]}}, {"a": {"b": [None]}}),
        ({1: "x"}, {"1": "x"}),
        (0.1, 0.1),
        (True, True),
    ],
)
def test_json_is_what_every_reader_takes(value: Any, stored: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_json(path, {"key": value})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")) == {"key": stored}
    assert text.endswith("\n")
    assert "\r" not in text


def test_json_keeps_every_digit(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "a.json", [1 / 3, 1e-300])
    assert storage.read_json(tmp_path / "a.json") == [1 / 3, 1e-300]


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {"model": ["a,b", 'c"d'], "elpd": [-1 / 3, math.nan], "rank": pd.array([1, None], dtype="Int64")}
    )


def test_csv_has_ten_digits_and_empty_fields_for_missing_values(tmp_path: Path) -> None:
    storage.write_csv(tmp_path / "a.csv", table())
    assert (tmp_path / "a.csv").read_text() == 'model,elpd,rank\n"a,b",-0.3333333333,1\n"c""d",,\n'


def test_the_same_table_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        storage.write_parquet(tmp_path / f"{name}.parquet", table())
        storage.write_csv(tmp_path / f"{name}.csv", table())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_tree_is_stored_compressed_and_read_back(tmp_path: Path) -> None:
    values = np.tile(np.arange(4.0), 5000).reshape(4, 5000)
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"b": (("chain", "draw"), values)})})
    storage.write_netcdf(tmp_path / "p.nc", tree, {"/posterior": {"b": {"zlib": True, "complevel": 4}}})
    with xr.open_datatree(tmp_path / "p.nc", engine="netcdf4") as read:
        np.testing.assert_array_equal(read["posterior"]["b"], values)
    assert (tmp_path / "p.nc").stat().st_size < values.nbytes / 5
    assert names_in(tmp_path) == ["p.nc"]


@pytest.mark.parametrize("encoding", [{}, {"/posterior": {"b": {"zlib": True}}}])
def test_a_dataset_where_a_tree_was_meant_is_refused(encoding: dict[str, Any], tmp_path: Path) -> None:
    flat: Any = xr.Dataset({"b": ("draw", np.zeros(3))})
    with pytest.raises(TypeError, match="a Dataset where a DataTree is stored"):
        storage.write_netcdf(tmp_path / "p.nc", flat, encoding)
    assert names_in(tmp_path) == []
