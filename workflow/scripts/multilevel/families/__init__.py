"""Response distributions: one file each, NumPy only, found by name.

A family module defines

``PARAMETERS``
    Names of its parameters; the first is the one that the formula's linear predictor describes.
``LINKS``
    The links that the first parameter takes, the default first.
``OTHER_LINKS``
    The link of each other parameter, for where it has a linear predictor of its own.
``RESPONSE_TERMS``
    What may stand beside the response in a formula, of `formula.RESPONSE_TERMS`.
``KIND``
    ``"continuous"`` or ``"discrete"``.
``PICTURES``
    Predictive checks that suit the family, of ``rootogram`` and ``calibration`` (`checks_discrete`); left out where none.
``SYMBOL``
    Name of the distribution in equations.
``OF_LOGARITHM``
    True where the predictor is that of the logarithm of the response; left out otherwise.
``support_problem(y, terms)``
    None, or what is wrong with the values, as the end of a sentence that starts with the response.
``location_and_scale(y, terms, link)``
    What default priors are scaled by, on the scale of the linear predictor.
``unit_of(y)``
    What those of the other parameters are scaled by: the scale above where a family has no such function.
``default_priors(scale)``, ``location_of(name, scale)``
    Default priors of the other parameters; location and spread of the linear predictor of one that has its own.
``log_density(y, eta, *, link, **others)``, ``draws(rng, eta, ...)``, ``mean(eta, ...)``, ``variance(eta, ...)``
    Arrays that broadcast; ``eta`` is the linear predictor of the first parameter, so that tails lose no digits.
    ``others`` are the other parameters and those response terms that the distribution needs (``trials``, ``se``).
    ``log_density`` keeps every constant.
``log_cdf(y, eta, ...)``, ``log_survival(y, eta, ...)``
    Log probabilities of a value up to y and above it, for censored and truncated responses.
``log_interval(lower, upper, eta, ...)``
    log P(lower < Y <= upper), where a family has more than a difference of these: a mixture, in which neither tail is small.

Moments, densities and probabilities are those of the whole distribution; `likelihood` makes truncated ones of them.
Files whose names start with an underscore hold what several families share.

Adding a family is adding a file: nothing else changes, and no fit of another family reruns.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
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


def parameters(name: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """Return the parameters of a family, without those that the formula says are known.

    Parameters
    ----------
    name
        The family.
    known
        Parameters that are not estimated: ``sigma`` where the standard errors of the response are known (``se(s)``).
    """
    return tuple(p for p in get(name).PARAMETERS if p not in known)
