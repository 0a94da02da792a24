"""Response distributions: one file each, NumPy only, found by name.

A family module defines

``PARAMETERS``
    Names of its parameters; the first is the one that the formula's linear predictor describes.
``LINKS``
    The links it takes for that parameter, the default first.
``KIND``
    ``"continuous"`` or ``"discrete"``.
``support_problem(y)``
    None, or a sentence on values that the distribution cannot produce.
``log_density(y, mu, **others)``, ``draws(rng, mu, **others)``, ``mean(mu, **others)``, ``variance(mu, **others)``
    Arrays that broadcast; ``log_density`` keeps every constant.

Adding a family is adding a file: nothing else changes, and no fit of another family reruns.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def get(name: str) -> ModuleType:
    """Return the module of a family.

    Raises
    ------
    KeyError
        When there is no family of that name.
    """
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}")
