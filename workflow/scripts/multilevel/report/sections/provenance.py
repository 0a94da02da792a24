"""Provenance: whatever the run recorded, shown without having to know its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.report.markdown import Markdown, bullets, code, escape, strong, table
from multilevel.report.record import Record

_TITLES = {
    "software": "Software",
    "versions": "Software",
    "seeds": "Seeds",
    "commands": "Commands",
    "command": "Command",
    "inputs": "Input files",
    "outputs": "Results",
    "hashes": "Hashes",
    "sha256": "SHA-256",
    "regenerate": "How to make this again",
}
_LONGEST_TABLE = 200


def blocks(record: Record) -> Markdown:
    """Return the content of ``provenance.json``: single values as a list, each collection under a title of its own."""
    content = record["provenance"]
    if not isinstance(content, Mapping) or not content:
        return Markdown("*No provenance was recorded for this run.*")
    single = {key: value for key, value in content.items() if not isinstance(value, Mapping | list)}
    given = {key: value for key, value in single.items() if value not in {None, ""}}
    parts = [bullets(Markdown(f"{escape(title(key))}: {code(value)}") for key, value in given.items())] if given else []
    for key, value in content.items():
        if key not in single and value:
            shown = _without_repeated_versions(value, content.get("versions"))
            parts += [strong(title(key)), collection(shown, title(key))]
    return Markdown("\n\n".join(parts))


def _without_repeated_versions(value: Any, versions: Any) -> Any:
    """Leave the versions out of each fit's record where they are those of the run; where one differs, all are kept."""
    if not isinstance(value, Mapping) or not isinstance(versions, Mapping):
        return value
    own = [item.get("versions") for item in value.values() if isinstance(item, Mapping)]
    if not own or any(not isinstance(item, Mapping) or not item.items() <= versions.items() for item in own):
        return value
    return {key: {name: part for name, part in item.items() if name != "versions"} for key, item in value.items()}


def title(key: str) -> str:
    """Return a key of the record as a title: ``git_commit`` gives ``Git commit``."""
    return _TITLES.get(key) or str(key).replace("_", " ").capitalize()


def collection(value: Any, label: str) -> Markdown:
    """Return a mapping or a list of mappings as a table, any other list as bullets; at most 200 lines."""
    if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
        value = [{"name": key, **item} for key, item in value.items()]
    if isinstance(value, Mapping):
        rows = [[code(key), _leaf(item)] for key, item in list(value.items())[:_LONGEST_TABLE]]
        return table(["Name", "Value"], rows, label=label, align="ll")
    if all(isinstance(item, Mapping) for item in value):
        keys = list(dict.fromkeys(key for item in value for key in item))
        rows = [[_leaf(item.get(key)) for key in keys] for item in value[:_LONGEST_TABLE]]
        return table([title(key) for key in keys], rows, label=label, align="l" * len(keys))
    return bullets(_leaf(item) for item in value[:_LONGEST_TABLE])


def _leaf(value: Any) -> Markdown:
    if value is None:
        return Markdown("")
    if isinstance(value, Mapping):
        return escape(", ".join(f"{key} {item}" for key, item in value.items()))
    if isinstance(value, list):
        return escape(", ".join(str(item) for item in value))
    return code(value)
