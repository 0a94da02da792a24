"""Ways of fitting: one file each, found by name. They draw from the same posterior and differ in how.

A module defines ``fit(design, priors, spec, sampler, seed, cores)``, which takes what `sampling.run` takes, with the model
of the plan (``spec``), and returns the posterior and its encoding, as `sampling.posterior` does, the seconds that its
steps took, and the record of each attempt, as `attempts.fit` does. `provenance.STACKS` names the packages whose versions
decide the draws of each.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from multilevel.provenance import STACKS


def get(name: str) -> ModuleType:
    """Return the module of a method.

    Raises
    ------
    KeyError
        When there is no method of that name.
    """
    if name not in STACKS:
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}")
