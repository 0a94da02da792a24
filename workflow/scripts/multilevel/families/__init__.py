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
    ``"continuous"`` or ``"discrete"``; ``"ordinal"`` or ``"nominal"`` where responses are categories, coded from 1.
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

Families of categories also define ``log_probabilities(eta, ...)`` and ``probabilities(eta, ...)``, of every category, shape
(..., K). Ordinal ones have thresholds, which their functions take as ``thresholds``, shape (..., K - 1), and define

``THRESHOLDS``
    ``"ordered"`` where they must be in increasing order, ``"free"`` otherwise.
``NO_SPECIFIC_EFFECTS``
    Why predictors cannot shift each threshold on its own; absent where they can.
``FIXED``
    Parameters that have this value unless they have a linear predictor.

For nominal ones ``eta`` has shape (..., K - 1), one linear predictor for each category but the first, which is called after
its category: ``mu_bus``. Files whose names start with ``_`` hold what several families share.

Adding a family is adding a file: nothing else changes, and no fit of another family reruns.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from types import ModuleType

ALIASES = {
    "sratio": "sequential",
    "cratio": "continuation",
    "acat": "adjacent",
    "student": "student_t",
    "negbinomial": "negative_binomial",
    "zero_inflated_negbinomial": "zero_inflated_negative_binomial",
    "hurdle_negbinomial": "hurdle_negative_binomial",
    "inverse.gaussian": "inverse_gaussian",
}
"""Names that brms has for families of another name here."""


def names() -> list[str]:
    """Return the names of all families, sorted."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    """Return them from the folder, which is looked at once: quadrature asks for a family thousands of times."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


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


def canonical(name: str) -> str:
    """Return the name that a family has here, given any of its names."""
    return ALIASES.get(name, name)


def has_categories(name: str) -> bool:
    """Tell whether the responses of a family are categories."""
    return get(name).KIND in {"ordinal", "nominal"}


def threshold_kind(name: str) -> str:
    """Return ``"ordered"`` or ``"free"`` for an ordinal family, nothing for others."""
    return str(getattr(get(name), "THRESHOLDS", ""))


def fixed(name: str) -> dict[str, float]:
    """Return the parameters of a family that have a value unless they have a linear predictor."""
    return dict(getattr(get(name), "FIXED", {}))


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
