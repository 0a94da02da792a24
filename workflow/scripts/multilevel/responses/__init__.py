"""How each family's likelihood is written in PyMC: one file each, named as the family, found by name.

A response module defines ``add(design, eta, variable)``, which adds the observed variable ``y`` to the model that is
being built; ``variable(name)`` returns the family's own parameter of that name with its prior.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def get(name: str) -> ModuleType:
    """Return the module of a family's PyMC likelihood.

    Raises
    ------
    ModuleNotFoundError
        When the family has none.
    """
    return importlib.import_module(f"{__name__}.{name}")
