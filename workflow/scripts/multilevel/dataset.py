"""The prepared dataset with its row ids and fingerprints, as it is written to and read from NetCDF."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from multilevel import levels, storage
from multilevel.relationships import PREFIX, Covariance

level_text = levels.level_text

DATES = "datetime64[us]"


@dataclass(frozen=True)
class Dataset:
    """One prepared dataset.

    Parameters
    ----------
    frame
        One row per observation; text columns are categorical with the reference level first.
    row_id
        Identifier of each row, shape (rows,).
    digests
        SHA-256 of each column's values in row order; ``row_id`` is among them.
    summary
        What was done, for the report: tables, joins, rows, columns, groups, warnings.
    covariances
        Known covariances over levels by name. Each has a digest too, as ``cov(name)``, and is chosen under that name.
    """

    frame: pd.DataFrame
    row_id: np.ndarray
    digests: dict[str, str]
    summary: dict[str, Any]
    covariances: dict[str, Covariance] = field(default_factory=dict)

    def fingerprint(self, columns: Iterable[str]) -> str:
        """Return one digest of the rows, their order and the named columns' values."""
        chosen = {name: self.digests[name] for name in sorted({*columns, "row_id"})}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()

    def select(self, columns: Iterable[str]) -> Dataset:
        """Return the dataset with some of its columns and no summary: the summary tells of columns that are not there."""
        chosen = list(columns)
        digests = {name: self.digests[name] for name in [*chosen, "row_id"]}
        names = [name for name in chosen if not name.startswith(PREFIX)]
        known = {name: found for name, found in self.covariances.items() if of_covariance(name) in chosen}
        return Dataset(self.frame[names], self.row_id, digests, {}, known)


def of_covariance(name: str) -> str:
    """Return what a known covariance is called among the digests: ``cov(kinship)``."""
    return f"{PREFIX}{name})"


def digest(column: pd.Series) -> str:
    """Return the SHA-256 of a column's values in row order; the order of levels counts, because it decides contrasts."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        text = json.dumps([list(column.cat.categories), *(["ordered"] if column.cat.ordered else [])]) + "\x1e"
        return hashlib.sha256(text.encode() + column.cat.codes.to_numpy(dtype="<i4").tobytes()).hexdigest()
    if column.dtype.kind in "fiub":
        return hashlib.sha256(column.to_numpy(dtype="<f8").tobytes()).hexdigest()
    if column.dtype.kind == "M":
        return hashlib.sha256(column.to_numpy(dtype=DATES).astype("<i8").tobytes()).hexdigest()
    # A list: pandas hands out the texts of a column one by one, twenty times as slowly.
    return hashlib.sha256("\x1f".join(column.astype(str).tolist()).encode()).hexdigest()


def _variable(name: str, position: int) -> str:
    """Return the name that a column has in the file: its own where NetCDF takes it and nothing else there has it."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", name) and not re.fullmatch(
        r"row|row_id|column_\d+|covariance_\d+__.*|.*__levels?", name
    )
    return name if plain else f"column_{position}"


def write(path: Path, dataset: Dataset) -> None:
    """Write a dataset as NetCDF: every column on the dimension ``row``, levels beside codes, the summary as an attribute."""
    variables: dict[str, Any] = {"row_id": ("row", dataset.row_id.astype(str))}
    stored = [(str(name), _variable(str(name), position)) for position, name in enumerate(dataset.frame.columns)]
    for name, variable in stored:
        column = dataset.frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes, levels = column.cat.codes.to_numpy(dtype=np.int32), f"{variable}__levels"
            marks = {"levels": levels, **({"ordered": 1} if column.cat.ordered else {})}
            variables[variable] = ("row", codes, marks)
            variables[levels] = (f"{variable}__level", np.asarray(column.cat.categories, dtype=str))
        elif column.dtype.kind == "b":
            variables[variable] = ("row", column.to_numpy(dtype=np.int8), {"boolean": 1})
        elif column.dtype.kind == "M":
            variables[variable] = (
                "row",
                column.to_numpy(dtype=DATES).astype(np.int64),
                {"date": "us since 1970-01-01"},
            )
        else:
            variables[variable] = ("row", column.to_numpy())
    known = {}
    for position, (name, covariance) in enumerate(dataset.covariances.items()):
        for part in ("levels", "rows", "columns", "values"):
            stored_as = f"covariance_{position}__{part}"
            values = np.asarray(covariance.levels, dtype=str) if part == "levels" else getattr(covariance, part)
            variables[stored_as] = (stored_as, values)
        known[name] = [position, covariance.kind]
    attributes = {
        **({"covariances": json.dumps(known)} if known else {}),
        "digests": json.dumps(dataset.digests, sort_keys=True),
        "summary": json.dumps(dataset.summary, sort_keys=True),
        "columns": json.dumps(stored),
    }
    content = xr.Dataset(variables, attrs=attributes)
    encoding = {name: {"zlib": True, "complevel": 4} for name, v in content.variables.items() if v.dtype.kind in "fiu"}
    with storage.atomic(path) as temporary:
        content.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def read(path: Path) -> Dataset:
    """Read what `write` wrote.

    Raises
    ------
    ValueError
        When the values are not those that were written.
    """
    with xr.open_dataset(path, engine="netcdf4", decode_times=False) as content:
        content.load()
    columns: dict[str, Any] = {}
    for name, stored in json.loads(content.attrs["columns"]):
        variable = content[stored]
        if "levels" in variable.attrs:
            categories = [str(level) for level in content[variable.attrs["levels"]].to_numpy()]
            codes, ordered = variable.to_numpy().astype(np.int32), "ordered" in variable.attrs
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(categories), ordered=ordered)
        elif "boolean" in variable.attrs:
            columns[name] = variable.to_numpy().astype(bool)
        elif "date" in variable.attrs:
            columns[name] = variable.to_numpy().astype(np.int64).astype(DATES)
        else:
            columns[name] = variable.to_numpy()
    frame, row_id = pd.DataFrame(columns), content["row_id"].to_numpy().astype(object)
    known = {
        name: Covariance(
            kind,
            tuple(map(str, content[f"covariance_{position}__levels"].to_numpy())),
            *(content[f"covariance_{position}__{part}"].to_numpy() for part in ("rows", "columns", "values")),
        )
        for name, (position, kind) in json.loads(content.attrs.get("covariances", "{}")).items()
    }
    digests = {**{str(name): digest(frame[name]) for name in frame.columns}, "row_id": digest(pd.Series(row_id))}
    digests |= {of_covariance(name): covariance.digest for name, covariance in known.items()}
    if digests != json.loads(content.attrs["digests"]):
        raise ValueError(f"{path} was changed after it was made; delete it and run the workflow again")
    return Dataset(frame, row_id, digests, json.loads(content.attrs["summary"]), known)
