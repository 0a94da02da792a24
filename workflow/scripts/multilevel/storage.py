"""Atomic files: what stands under its final name is whole, and the same content gives the same bytes."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name when the block ends without an exception."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with two blanks of indent; NaN and infinities become null and text, which every reader takes."""
    write_text(path, json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_csv(path: Path, table: pd.DataFrame, digits: int = 10) -> None:
    """Write a table with a fixed number of significant digits, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def read_csv(path: Path, text: Collection[str]) -> pd.DataFrame:
    """Read a table that `write_csv` wrote: columns of text as they stand, be it ``NA`` or ``01``, all others as numbers."""
    import pandas as pd

    names = list(pd.read_csv(path, nrows=0).columns)
    empty = {name: [""] for name in names if name not in text}
    kinds = {name: str for name in names if name in text}
    return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=empty)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def write_netcdf(path: Path, tree: xr.DataTree, encoding: dict[str, dict[str, Any]]) -> None:
    """Write a DataTree as compressed NetCDF, atomically.

    Parameters
    ----------
    path
        Final path.
    tree
        The groups to store.
    encoding
        Encoding of variables by group path, as `xarray.DataTree.to_netcdf` takes it.

    Raises
    ------
    TypeError
        When it is a Dataset, which would be stored without its group.
    """
    import xarray as xr

    if not isinstance(tree, xr.DataTree):
        raise TypeError(f"a {type(tree).__name__} where a DataTree is stored")
    with atomic(path) as temporary:
        tree.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def _plain(value: Any) -> Any:
    """Turn NumPy scalars and arrays into plain values, and non-finite numbers into what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
