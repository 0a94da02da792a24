"""Digests of the code that a job runs, so that results go stale when it changes and not when a comment does.

Snakemake does not see edits to imported modules. Each rule therefore carries ``params: code=``, a digest of the syntax
trees, docstrings stripped, of its script and of every module of the library that the script reaches.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "multilevel"
SCRIPTS = Path(__file__).resolve().parent.parent
KEPT = SCRIPTS.parents[1] / ".cache" / "multilevel" / "code.json"
MOST_KEPT = 1000

WITHOUT_EFFECT = frozenset({f"{PACKAGE}.errors"})
"""Modules whose code cannot change a result: they word messages."""


def digest(script: str, extra: Iterable[str] = (), scripts: Path = SCRIPTS) -> str:
    """Return the digest of a script and of all library code it reaches.

    Parameters
    ----------
    script
        File name of the script in `scripts`.
    extra
        Modules that the script loads by name and this job needs, such as ``multilevel.families.gaussian``.
    scripts
        Folder of the scripts and of the package.

    Raises
    ------
    FileNotFoundError
        When the script or an extra module does not exist.
    """
    own, imported = _read(scripts / script, scripts)
    return _combined({script: own}, [*imported, *extra], scripts)


def of_modules(*modules: str, scripts: Path = SCRIPTS) -> str:
    """Return the digest of some library modules and of all library code they reach.

    Raises
    ------
    FileNotFoundError
        When a module does not exist.
    """
    return _combined({}, list(modules), scripts)


def _combined(found: dict[str, str], queue: list[str], scripts: Path) -> str:
    """Return one digest of what was found and of every module in the queue with its imports."""
    while queue:
        module = queue.pop()
        if module in found or module in WITHOUT_EFFECT:
            continue
        path = _path(module, scripts)
        if path is None:
            raise FileNotFoundError(f"no module {module} in {scripts}")
        found[module], imported = _read(path, scripts)
        queue += imported
    text = "\n".join(f"{name} {value}" for name, value in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _path(module: str, scripts: Path) -> Path | None:
    """Return the file of a module, or None where there is none."""
    base = scripts.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _read(path: Path, scripts: Path) -> tuple[str, tuple[str, ...]]:
    """Return the digest of one file's code and the library modules that it imports."""
    source = path.read_bytes()
    key = hashlib.sha256(_form() + source).hexdigest()
    kept = _kept()
    if key not in kept:
        kept[key] = _analyse(source, path)
        _keep(kept)
    own, modules, members = kept[key]
    found = {*modules, *(name for name in members if _path(name, scripts))}
    return str(own), tuple(sorted(found - {PACKAGE}))


def _analyse(source: bytes, path: Path) -> list[Any]:
    """Return the digest of a file's code, the modules it imports, and the names it imports that may be modules."""
    tree = ast.parse(source, filename=str(path))
    modules: set[str] = set()
    members: set[str] = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            modules.add(node.module)
            members |= {f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = _without_docstrings(node.body)
    own = hashlib.sha256(ast.dump(tree, include_attributes=False).encode()).hexdigest()
    return [own, sorted(modules), sorted(members)]


@cache
def _form() -> bytes:
    """Return what the analysis of a file depends on besides the file: this module and Python's syntax trees."""
    return Path(__file__).read_bytes() + repr(sys.version_info[:2]).encode()


@cache
def _kept() -> dict[str, list[Any]]:
    """Return the analyses of files seen before, by content: a run with nothing to do spends no second on them again."""
    try:
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        return {str(key): [own, modules, members] for key, (own, modules, members) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # none yet, or one cut short


def _keep(kept: dict[str, list[Any]]) -> None:
    """Write the analyses, the newest where there are many; a folder that cannot be written only costs time."""
    try:
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        temporary = KEPT.with_name(f"{KEPT.name}.{os.getpid()}")
        temporary.write_text(json.dumps(dict(list(kept.items())[-MOST_KEPT:])), encoding="utf-8")
        temporary.replace(KEPT)
    except OSError:
        return


def _without_docstrings(body: list[ast.stmt]) -> list[ast.stmt]:
    """Drop statements that are only a string: docstrings and the notes under constants."""
    return [
        s
        for s in body
        if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))
    ]


def _executed(tree: ast.AST) -> Iterable[ast.AST]:
    """Yield every node but those under ``if TYPE_CHECKING:``, which never run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from _executed(ast.Module(child.orelse, []))
            continue
        yield child
        yield from _executed(child)
