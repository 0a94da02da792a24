"""Covariances over the levels of a group (the K of ``B ~ MatrixNormal(0, K, Sigma)``): one file each, NumPy only.

A structure module defines

``log_density(effects, covariance)``
    Log density of the effects, shape (levels, effects), given the covariance over effects.
``draws(rng, levels, covariance)``
    Effects of that many new levels, shape (levels, effects).
``SENTENCE``
    What it says about the levels, in words for the report.

Adding a structure is adding a file: nothing else changes, and no fit that does not use it reruns.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """Return the names of all structures, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def get(name: str) -> ModuleType:
    """Return the module of a structure.

    Raises
    ------
    KeyError
        When there is no structure of that name.
    """
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}")
