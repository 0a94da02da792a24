"""Data packages: the datapackage.json beside a raw table, which says where it comes from, what it holds and its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multilevel.errors import Problem, StudyError

FILE = "datapackage.json"


@dataclass
class TableRecord:
    """What the report says of one raw table."""

    name: str
    path: str
    rows: int
    sha256: str
    source: str
    licence: str
    citation: str
    verified: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Package:
    """What a data package says of one table.

    Parameters
    ----------
    path
        The datapackage.json.
    resource, whole
        The entry of the table and the package; empty where there is none.
    fields
        Description of columns by name: type, unit, description.
    """

    path: Path
    resource: dict[str, Any]
    whole: dict[str, Any]
    fields: dict[str, dict[str, Any]]

    @property
    def digest(self) -> str:
        """The SHA-256 that the table is to have, empty where none is declared."""
        return str(self.resource.get("hash", "")).removeprefix("sha256:")

    @property
    def missing(self) -> list[str]:
        """Texts that mean missing, besides the usual ones."""
        found = dict(self.resource.get("schema") or {}).get("missingValues") or []
        return [str(item.get("value", "") if isinstance(item, dict) else item) for item in found]

    def record(self, stem: str, name: str, rows: int, digest: str) -> TableRecord:
        """Return what the report says of the table."""
        sources, licences = self.whole.get("sources") or [{}], self.whole.get("licenses") or [{}]
        return TableRecord(
            name=stem,
            path=name,
            rows=rows,
            sha256=digest,
            source="; ".join(str(s.get("title", "")) for s in sources if s.get("title")),
            licence="; ".join(str(s.get("title") or s.get("name", "")) for s in licences if s),
            citation=str(self.whole.get("citation", "")),
            verified=bool(self.digest),
        )


def read(table: Path, where: str, shown: str) -> Package:
    """Read what the data package in a table's folder, which messages call `shown`, says of the table.

    Raises
    ------
    StudyError
        When the file is no data package.
    """
    path = table.parent / FILE
    if not path.is_file():
        return Package(path, {}, {}, {})
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        resource = {str(r["path"]): dict(r) for r in whole.get("resources") or []}.get(table.name, {})
    except json.JSONDecodeError as error:
        message = f"'{shown}' is not valid JSON (line {error.lineno}, column {error.colno})"
        raise StudyError([Problem(where, message)]) from None
    except UnicodeDecodeError as error:
        raise StudyError([Problem(where, f"'{shown}' is not UTF-8 (byte {error.start})", "save it as UTF-8")]) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        hint = "it must hold a list of 'resources', each with its 'path'"
        raise StudyError([Problem(where, f"'{shown}' is no data package", hint)]) from None
    for key in ("sources", "licenses"):
        entries = whole.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            message, hint = f"'{key}' of '{shown}' is no list of mappings", 'such as [{"title": "..."}]'
            raise StudyError([Problem(where, message, hint)])
    try:
        fields = {str(f["name"]).strip(): dict(f) for f in dict(resource.get("schema") or {}).get("fields") or []}
    except (TypeError, ValueError, KeyError):
        raise StudyError([Problem(where, f"'{shown}' declares no list of fields with names for this table")]) from None
    return Package(path, resource, whole, fields)


def verify(package: Package, content: bytes, name: str, where: str) -> str:
    """Return the SHA-256 of a table's bytes, which is the one that its data package declares, where it declares one.

    Raises
    ------
    StudyError
        When it is another.
    """
    digest = hashlib.sha256(content).hexdigest()
    if package.digest and package.digest != digest:
        raise StudyError(
            [
                Problem(
                    where,
                    f"'{name}' has SHA-256 {digest[:12]}... but its {FILE} declares {package.digest[:12]}...",
                    "raw tables are never edited: restore the file, or declare the new content if it is meant",
                )
            ]
        )
    return digest


def check_content(package: Package, columns: list[str], rows: int, name: str, where: str) -> None:
    """Check that a table has the columns and the number of rows that its data package declares.

    Raises
    ------
    StudyError
        When it lacks a column or has another number of rows.
    """
    if absent := [field for field in package.fields if field not in columns]:
        raise StudyError([Problem(where, f"'{name}' lacks the column '{absent[0]}' that its {FILE} declares")])
    declared = package.resource.get("rows")
    if declared is not None and declared != rows:
        raise StudyError([Problem(where, f"'{name}' has {rows} rows but its {FILE} declares {declared}")])
