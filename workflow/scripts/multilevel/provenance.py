"""What a result was made from: identity of a fit, versions, and the state of the project."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

STACK = ("pymc", "pytensor", "nutpie", "numba", "numpy")
"""Packages whose version decides the draws."""

STACKS = {"sampled": STACK, "integrated": ("nutpie", "numba", "numpy")}
"""Those of each way of fitting (`methods`)."""

TOOLS = (*STACK, "arviz-stats", "scipy", "pandas", "xarray", "formulaic", "matplotlib", "snakemake")
"""Packages named in the report."""


def identity_digest(identity: dict[str, Any]) -> str:
    """Return the digest of what decides a fit's draws."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of packages, and Python's own."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def of_fit(identity: dict[str, Any], priors: list[dict[str, Any]], rows: int, distinct: int) -> dict[str, Any]:
    """Return the record stored beside a posterior: everything that decides its draws, and the versions that ran.

    Parameters
    ----------
    identity, priors
        What decides the draws, and the prior of every parameter.
    rows, distinct
        Rows of the data, and those that the sampler saw: fewer where identical rows were taken together (`aggregate`).
    """
    return {
        "digest": identity_digest(identity),
        **identity,
        "priors": priors,
        "rows": rows,
        "rows_sampled": distinct,
        "versions": versions(STACKS[identity["method"]]),
    }


def attributes(record: dict[str, Any]) -> dict[str, str | int]:
    """Return a fit's record as attributes of a NetCDF file: numbers as they are, everything else as JSON text."""
    return {
        key: value if isinstance(value, int | str) else json.dumps(value, sort_keys=True)
        for key, value in record.items()
    }


def commit(root: Path) -> str:
    """Return the commit of the project folder, with ``+changes`` where files differ from it; empty outside git."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head[:12]}{'+changes' if dirty else ''}"


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
