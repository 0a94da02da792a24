"""YAML as data: YAML 1.2 scalars, no duplicate keys, no tags, bounded size, and the line of every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

import yaml

from multilevel.errors import Problem, StudyError

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DEPTH = 40

_SCALARS = [
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
]


class WrittenFloat(float):
    """A number with the text that the file writes it as: ``12.10`` has a zero that the number has not."""

    written: str

    def __new__(cls, value: float, written: str) -> Self:
        """Return the number with its text."""
        number = super().__new__(cls, value)
        number.written = written
        return number


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2's core schema (``no`` is a string, ``1e-3`` a number)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own protocol)


for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    written = str(loader.construct_scalar(node))
    text = written.lower().lstrip("+")
    return WrittenFloat(float(text.replace(".inf", "inf").replace(".nan", "nan")), written)


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def read(path: Path, name: str = "") -> tuple[dict[str, Any], dict[str, int]]:
    """Read one YAML file.

    Parameters
    ----------
    path
        A UTF-8 file whose top is a mapping.
    name
        What messages call the file; its path if left out.

    Returns
    -------
    tuple
        The content as plain Python values, and the line (from 1) of each dotted path of keys.

    Raises
    ------
    StudyError
        When the file is missing, too large, not UTF-8, not YAML, has a duplicate key, a tag, or is no mapping.
    """
    name = name or str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        hint = f"files there: {', '.join(near)}" if near else "its folder has no YAML file"
        raise StudyError([Problem("", "there is no such file", hint)], name) from None
    except OSError as error:
        raise StudyError([Problem("", f"the file cannot be read ({error.strerror})")], name) from None
    if len(raw) > MAX_BYTES:
        raise StudyError([Problem("", f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read")], name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(
            [Problem("", f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8")], name
        ) from None
    return parse(text, name)


def parse(text: str, name: str = "<text>") -> tuple[dict[str, Any], dict[str, int]]:
    """Parse YAML text; see `read`."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[str, int] = {}
        problems: list[Problem] = []
        if not isinstance(node, yaml.MappingNode):
            what = "the file is empty" if node is None else "the file holds no keys"
            raise StudyError([Problem("", what, "it must be a mapping of keys, such as 'title: ...'")], name)
        _walk(loader, node, "", lines, problems, [0], 0)
        if problems:
            raise StudyError(problems, name)
        content = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        message, hint = _in_words(str(error.problem))
        mark = error.problem_mark or error.context_mark
        if message.endswith("does not close"):
            mark = error.context_mark or mark  # where it was opened, not where the file ends
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StudyError([Problem(where, message, hint)], name) from None
    except yaml.reader.ReaderError as error:
        found = f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)
        message = f"the file holds the character {found}, which YAML does not allow"
        raise StudyError([Problem("", message)], name) from None
    except yaml.YAMLError as error:
        raise StudyError([Problem("", f"the file {error}")], name) from None
    except ValueError as error:
        raise StudyError([Problem("", f"the file holds a number that cannot be read ({error})")], name) from None
    except RecursionError:
        raise StudyError([Problem("", f"the file is nested deeper than {MAX_DEPTH} levels")], name) from None
    return content, lines


_WORDS = (
    (r"found character '\\t'.*|.*\btab\b.*", "a tab stands where blanks should", "indent with blanks"),
    (r"found character '(.+)' that cannot start any token", r"the character \1 cannot begin a value", "quote the text"),
    (r"mapping values are not allowed.*", "a colon cannot stand here", "quote text that holds a colon and a blank"),
    (r"found undefined alias '(.+)'", r"*\1 refers to nothing", "quote text that begins with *"),
    (r"expected ',' or '(.)', but got .*", r"a bracket that was opened does not close", r"'\1' is expected here"),
    (r"could not find expected ':'", "a key has no colon", "write 'key: value'"),
    (r".*another document", "a second document begins here", "a file holds one"),
    (r"expected the node content, but found '<stream end>'", "the file ends where a value should begin", ""),
    (r"expected the node content, but found '(.+)'", r"a value should begin here, not '\1'", "quote the text"),
    (r"found unexpected end of stream", "a quote does not close", ""),
    (
        r"expected <block end>, but found .*",
        "this does not belong to the lines before it",
        "check indentation and quotes",
    ),
)
"""What PyYAML says of common mistakes, and how it is told: a message and a hint."""


def _in_words(said: str) -> tuple[str, str]:
    """Return message and hint for what PyYAML says of a text that is no YAML."""
    for pattern, message, hint in _WORDS:
        if match := re.fullmatch(pattern, said):
            return f"not valid YAML: {match.expand(message)}", match.expand(hint)
    return f"not valid YAML: {said}", ""


def _walk(
    loader: _Loader,
    node: yaml.Node,
    path: str,
    lines: dict[str, int],
    problems: list[Problem],
    seen: list[int],
    depth: int,
) -> None:
    """Record lines; refuse duplicate keys, merge keys, tags and documents that unfold beyond bounds."""
    seen[0] += 1
    if seen[0] > MAX_NODES or depth > MAX_DEPTH:
        raise yaml.YAMLError(f"unfolds to more than {MAX_NODES:,} values or {MAX_DEPTH} levels")
    line = node.start_mark.line + 1
    if node.tag != _tag_of_plain(loader, node):
        tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        problems.append(Problem(_at(path, line), f"the tag {tag} is not allowed", "quote text that begins with !"))
        return
    if isinstance(node, yaml.ScalarNode) and any("\ud800" <= char <= "\udfff" for char in node.value):
        problems.append(Problem(_at(path, line), "the text holds half of a character (a lone surrogate)"))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            key_line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                problems.append(Problem(_at(path, key_line), "a key must be plain text"))
                continue
            word = str(key.value)
            if word in first:
                problems.append(
                    Problem(_join(path, word), f"the key '{word}' stands twice (lines {first[word]} and {key_line})")
                )
                continue
            if word == "<<" and key.style is None:
                problems.append(Problem(_at(path, key_line), "merge keys (<<) are not part of YAML 1.2"))
                continue
            # A key is a name whatever it looks like: 1990 and true are fine as names.
            key.tag = "tag:yaml.org,2002:str"
            first[word] = key_line
            lines[_join(path, word)] = key_line
            _walk(loader, value, _join(path, word), lines, problems, seen, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines[f"{path}[{position}]"] = value.start_mark.line + 1
            _walk(loader, value, f"{path}[{position}]", lines, problems, seen, depth + 1)


def _tag_of_plain(loader: _Loader, node: yaml.Node) -> Any:
    """Return the tag that a node has where the file gives it none."""
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return loader.resolve(type(node), node.value if isinstance(node, yaml.ScalarNode) else None, (plain, not plain))  # type: ignore[no-untyped-call]


def _at(path: str, line: int) -> str:
    return f"{path} (line {line})" if path else f"line {line}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
