"""Conda environments, one for each kind of job, with the versions that the lock file pins.

`make lock` runs this module after it has written the lock files; a test fails where envs/*.yaml differ from them.
Standard library only.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

ENVS = Path(__file__).resolve().parents[3] / "envs"

TABLES = ("numpy", "pandas", "pydantic", "pyyaml", "scipy")
POSTERIORS = ("formulaic", "netcdf4", "pyarrow", "xarray")

PACKAGES: dict[str, tuple[str, ...]] = {
    "analysis": (*TABLES, *POSTERIORS, "arviz", "arviz-base", "arviz-plots", "arviz-stats", "matplotlib"),
    "fit": (*TABLES, *POSTERIORS, "arviz", "arviz-base", "arviz-stats", "numba", "nutpie", "pymc", "pytensor"),
    "report": (*TABLES, "jinja2", "matplotlib", "pypandoc-binary", "quarto-cli"),
}
"""Packages by kind of job, named as in the lock files."""

CONDA_NAMES = {"pypandoc-binary": "pypandoc", "quarto-cli": "quarto"}
"""Names on conda-forge, where they differ from those on the Python package index."""

PANDOC = "3.9"
"""The Pandoc inside the wheel of pypandoc_binary; on conda-forge it is a package of its own."""

PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it: lower case, hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(lock_path: Path | str) -> dict[str, str]:
    """Return the version of every package in a lock file, by normalised name.

    Parameters
    ----------
    lock_path
        A file of lines ``name==version``, as pip reads it.

    Raises
    ------
    ValueError
        When the file pins nothing.
    """
    path = Path(lock_path)
    versions = _versions(path.read_text(encoding="utf-8"))
    if not versions:
        msg = f"{path} pins no package; `make lock` writes it"
        raise ValueError(msg)
    return dict(versions)


@cache
def _versions(text: str) -> dict[str, str]:
    """Return the versions in the text of a lock file."""
    return {normalised(name): version for name, version in PIN.findall(text)}


def render(kind: str, versions: dict[str, str], python: str) -> str:
    """Return the conda environment of one kind of job as YAML.

    Parameters
    ----------
    kind
        A key of `PACKAGES`.
    versions
        Version by normalised name, from the lock files.
    python
        The Python version, such as ``3.13``.

    Raises
    ------
    KeyError
        When the lock files lack a package that this kind of job needs.
    """
    pins = {CONDA_NAMES.get(name, name): versions[name] for name in PACKAGES[kind]}
    if "pypandoc" in pins:
        pins["pandoc"] = PANDOC
    lines = [f"  - {name}=={version}" for name, version in sorted(pins.items())]
    head = [
        f"# What jobs of the kind '{kind}' need. `make lock` writes this file: the packages are listed in",
        "# workflow/scripts/multilevel/environments.py, the versions are those of the lock files.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python={python}",
    ]
    return "\n".join([*head, *lines, ""])


def rendered(envs: Path = ENVS) -> dict[Path, str]:
    """Return the text of every conda environment, by the path it belongs under."""
    versions = locked_versions(envs / "requirements.lock") | locked_versions(envs / "quarto.lock")
    python = (envs.parent / ".python-version").read_text(encoding="utf-8").strip()
    return {envs / f"{kind}.yaml": render(kind, versions, python) for kind in PACKAGES}


def write(envs: Path = ENVS) -> None:
    """Write envs/*.yaml."""
    for path, text in rendered(envs).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write("Wrote " + ", ".join(f"envs/{kind}.yaml" for kind in PACKAGES) + "\n")
