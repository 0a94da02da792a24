"""Digests of the code that a job runs, so that results go stale when it changes and not when a comment does.

Snakemake does not see edits to imported modules. Each rule therefore carries ``params: code=``, a digest of the syntax
trees, docstrings stripped, of its script and of every module of the library that the script reaches.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "multilevel"
SCRIPTS = Path(__file__).resolve().parent.parent

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
    own, todo = _read(scripts / script, scripts)
    found: dict[str, str] = {script: own}
    queue = [*todo, *extra]
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
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imported: set[str] = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            imported.add(node.module)
            imported |= {f"{node.module}.{alias.name}" for alias in node.names if _path(f"{node.module}.{alias.name}", scripts)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = _without_docstrings(node.body)
    own = hashlib.sha256(ast.dump(tree, include_attributes=False).encode()).hexdigest()
    return own, tuple(sorted(imported - {PACKAGE}))


def _without_docstrings(body: list[ast.stmt]) -> list[ast.stmt]:
    """Drop statements that are only a string: docstrings and the notes under constants."""
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))]


def _executed(tree: ast.AST) -> Iterable[ast.AST]:
    """Yield every node but those under ``if TYPE_CHECKING:``, which never run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _executed(child)
