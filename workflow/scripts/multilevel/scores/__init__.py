"""Scores of one fitted model: one file each, found by name.

A score module defines ``score(design, draws)``, which returns a record of plain values and a table of per-unit
values (or None). Every record says what is left out, what is predicted, which likelihood was used and what to beware of.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def get(name: str) -> ModuleType:
    """Return the module of a score.

    Raises
    ------
    ModuleNotFoundError
        When there is no score of that name.
    """
    return importlib.import_module(f"{__name__}.{name}")
