"""Sets of default priors: one file each, found by name.

A file defines a class ``Defaults`` that is made from a design and gives the default prior of each kind of parameter:

``intercept(part)``
    The intercept of a linear predictor, at the mean of its predictors.
``slope(part, position)``
    The coefficient in that column of its matrix.
``threshold()``, ``specific(scale)``
    A threshold of an ordinal family, and a category-specific effect of a predictor with that standard deviation.
``sd(owner, scale)``, ``correlation()``
    An effect of a group term on the predictor of the parameter `owner`, and the correlations of a term's effects.
``covariance()``
    The covariance matrix of a term's effects as a whole, or None where sds and correlations have priors of their own.
``degrees()``
    The degrees of freedom of student-t effects.
``residuals(found)``
    The correlations of residuals within subjects.
``scalar(name)``
    A parameter with one value for all rows.

``problem(design)`` says why the set does not cover a model, as a sentence; nothing where it does.
"""

from __future__ import annotations

from typing import Any

from multilevel.design import Design
from multilevel.presets import brms, rstanarm, weakly_informative

_MODULES: dict[str, Any] = {"": weakly_informative, "brms": brms, "rstanarm": rstanarm}


def names() -> list[str]:
    """Return the names that a study may choose from."""
    return [name for name in _MODULES if name]


def module(name: str) -> Any:
    """Return the module of a set."""
    return _MODULES[name]


def get(name: str, design: Design) -> Any:
    """Return the ``Defaults`` of a design; of the workflow's own set where the name is empty."""
    return _MODULES[name].Defaults(design)


def problem(name: str, design: Design) -> str:
    """Return why a set does not cover a model; nothing where it does."""
    return str(_MODULES[name].problem(design))
