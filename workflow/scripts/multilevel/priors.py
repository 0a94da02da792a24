"""Prior distributions: parsing ``normal(0, 1)``, the parameters it may be given to, and the defaults scaled to the data.

The defaults are weakly informative (DEFAULTS below): their scale follows the sd of the response and of each predictor,
and does not depend on any predictor's location.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from multilevel.errors import FormulaError, did_you_mean

SIGNATURES: dict[str, tuple[str, ...]] = {
    "normal": ("mu", "sigma"),
    "student_t": ("nu", "mu", "sigma"),
    "cauchy": ("mu", "sigma"),
    "logistic": ("mu", "scale"),
    "half_normal": ("sigma",),
    "half_student_t": ("nu", "sigma"),
    "half_cauchy": ("sigma",),
    "exponential": ("rate",),
    "gamma": ("shape", "rate"),
    "inverse_gamma": ("shape", "scale"),
    "sqrt_inverse_gamma": ("shape", "scale"),
    "lognormal": ("mu", "sigma"),
    "beta": ("alpha", "beta"),
    "uniform": ("lower", "upper"),
    "lkj": ("eta",),
}
"""Distributions by name with their arguments, in order. ``exponential`` and ``gamma`` take rates, as in Stan and BUGS.

``sqrt_inverse_gamma(a, b)`` is the prior of a standard deviation whose square is inverse_gamma(a, b), that is, whose precision
1 / sd^2 is gamma(a, b): the usual one of BUGS. ``logistic(0, 1)`` of a logit makes its probability uniform.
"""

POSITIVE = (
    "half_normal",
    "half_student_t",
    "half_cauchy",
    "exponential",
    "gamma",
    "inverse_gamma",
    "sqrt_inverse_gamma",
    "lognormal",
    "uniform",
)
REAL = ("normal", "student_t", "cauchy", "logistic", "uniform")
SHARE = ("beta", "uniform")

ALLOWED: dict[str, tuple[str, ...]] = {
    "Intercept": REAL,
    "b": REAL,
    "sd": POSITIVE,
    "cor": ("lkj",),
    "sigma": POSITIVE,
    "nu": POSITIVE,
    "df": POSITIVE,
    "shape": POSITIVE,
    "phi": POSITIVE,
    "zi": SHARE,
    "hu": SHARE,
    "zoi": SHARE,
    "coi": SHARE,
    "delta": tuple(dict.fromkeys([*REAL, *POSITIVE])),
}
"""Which distributions each class of parameters takes."""

NOUNS = {
    "sd": "a standard deviation",
    "cor": "a correlation matrix",
    "sigma": "a standard deviation",
    "nu": "degrees of freedom",
    "df": "degrees of freedom",
    "shape": "a shape",
    "phi": "a precision",
    "zi": "a probability",
    "hu": "a probability",
    "zoi": "a probability",
    "coi": "a probability",
}
"""What the parameters of a class are; coefficients where nothing is said."""

LOWEST = {"nu": 1.0, "df": 1.0}
"""Where the values of a positive parameter start, if not at 0; its prior is cut off there and divided by what is left."""

SMALLEST = 1e-100
"""Smallest size of an argument other than 0; the largest is its inverse."""

_NEEDS_POSITIVE = {"sigma", "rate", "shape", "scale", "nu", "eta", "alpha", "beta"}


@dataclass(frozen=True)
class Prior:
    """One prior distribution with numbers for its arguments.

    Parameters
    ----------
    name
        A key of `SIGNATURES`.
    arguments
        Its arguments in the order of the signature.
    """

    name: str
    arguments: tuple[float, ...]

    def __str__(self) -> str:
        """Return the prior as it is written in a study file."""
        return f"{self.name}({', '.join(f'{a:.6g}' for a in self.arguments)})"


def parse(text: str) -> Prior:
    """Parse a prior such as ``normal(0, 2.5)`` or ``student_t(nu=3, mu=0, sigma=1)``.

    Raises
    ------
    FormulaError
        When the distribution is unknown, an argument is missing, no number, or outside its range.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        raise FormulaError(f"'{text}' is no prior; write a distribution with numbers, such as normal(0, 1)")
    name = tree.func.id
    if name not in SIGNATURES:
        raise FormulaError(
            f"unknown prior '{name}'; {did_you_mean(name, SIGNATURES) or 'priors are ' + ', '.join(SIGNATURES)}"
        )
    signature = SIGNATURES[name]
    usage = f"{name}({', '.join(signature)})"
    values: dict[str, float] = {}
    if len(tree.args) > len(signature):
        raise FormulaError(f"'{text}' has {len(tree.args)} arguments; it is {usage}")
    for key, node in [
        *zip(signature, tree.args, strict=False),
        *((keyword.arg, keyword.value) for keyword in tree.keywords),
    ]:
        if key not in signature:
            raise FormulaError(f"'{text}': '{key}' is no argument of {usage}")
        if key in values:
            raise FormulaError(f"'{text}' gives '{key}' twice; it is {usage}")
        values[key] = _number(node, text)
    if missing := [key for key in signature if key not in values]:
        raise FormulaError(f"'{text}' lacks {', '.join(missing)}; it is {usage}")
    for key, value in values.items():
        if key in _NEEDS_POSITIVE and value <= 0:
            raise FormulaError(f"'{text}': {key} must be above 0 in {usage}")
    if name == "uniform" and values["lower"] >= values["upper"]:
        raise FormulaError(f"'{text}': lower must be below upper in {usage}")
    return Prior(name, tuple(values[key] for key in signature))


def _number(node: ast.expr, text: str) -> float:
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1.0
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if value != 0 and not SMALLEST <= abs(value) <= 1 / SMALLEST:
            raise FormulaError(f"'{text}': {value:g} is too extreme to compute with ({SMALLEST:g} to {1 / SMALLEST:g})")
        return sign * float(value)
    written = ast.get_source_segment(text.strip(), node) or ast.unparse(node)
    raise FormulaError(f"'{text}': '{written}' is no finite number")


def check_support(prior: Prior, target: str) -> None:
    """Refuse a prior of the wrong support.

    Parameters
    ----------
    prior
        The prior.
    target
        What it is given to: ``sd(county)``, ``b``, ...

    Raises
    ------
    FormulaError
        Such as a normal prior for a standard deviation.
    """
    kind = class_of(target)
    if prior.name not in ALLOWED[kind]:
        raise FormulaError(
            f"{prior.name} cannot be the prior of {NOUNS.get(kind, 'a coefficient')} ({target}); "
            f"choose from {', '.join(ALLOWED[kind])}"
        )
    if prior.name != "uniform" or ALLOWED[kind] == REAL:
        return
    lower, upper = prior.arguments
    if lower < 0:
        raise FormulaError(f"{prior} reaches below 0, where {target} has no values")
    if ALLOWED[kind] == SHARE and upper > 1:
        raise FormulaError(f"{prior} reaches above 1, where {target} has no values")
    if upper <= LOWEST.get(kind, 0.0):
        raise FormulaError(f"{prior} ends at {upper:g}, and {target} has values above {LOWEST[kind]:g} only")


def class_of(target: str) -> str:
    """Return the class of a parameter name: ``sd`` of ``sd(county: floor)``, ``Intercept`` of ``sigma_Intercept``."""
    name = re.split(r"[(\[]", target, maxsplit=1)[0].strip()
    return "Intercept" if re.fullmatch(r"\w+_Intercept", name) else name


def choose(candidates: list[str], study_priors: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the most specific entry of the user's priors that applies.

    Parameters
    ----------
    candidates
        Names under which a parameter can be addressed, the most specific first:
        ``["sd(county: floor)", "sd(county)", "sd"]``.
    study_priors
        The user's priors by name.

    Returns
    -------
    tuple or None
        The name used and the prior's text; None where no entry applies.
    """
    normal = {normalise(name): text for name, text in study_priors.items()}
    for candidate in candidates:
        if (key := normalise(candidate)) in normal:
            return candidate, normal[key]
    return None


def normalise(name: str) -> str:
    """Return a parameter name without the blanks that do not matter: ``sd( county:floor )`` is ``sd(county: floor)``."""
    return re.sub(r"\s+", "", name)
