"""Prior distributions: parsing ``normal(0, 1)``, the parameters it may be given to, and the defaults scaled to the data.

The defaults are weakly informative (DEFAULTS below): their scale follows the sd of the response and of each predictor,
and does not depend on any predictor's location.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

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
    "positive_normal": ("mu", "sigma"),
    "flat": (),
    "half_flat": (),
    "lkj": ("eta",),
    "inverse_wishart": ("nu", "scale"),
    "wishart": ("nu", "scale"),
    "decov": ("regularization", "concentration", "shape", "scale"),
}
"""Distributions by name with their arguments, in order. ``exponential`` and ``gamma`` take rates, as in Stan and BUGS.

``sqrt_inverse_gamma(a, b)`` is the prior of a standard deviation whose square is inverse_gamma(a, b), that is, whose precision
1 / sd^2 is gamma(a, b): the usual one of BUGS. ``logistic(0, 1)`` of a logit makes its probability uniform.
``positive_normal(m, s)`` is normal(m, s) above 0, divided by what is left there; coefficients of curves alone take it.

The scale of a Wishart or inverse Wishart is a number (times the identity matrix), a list (a diagonal) or a list of rows.
"""

IMPROPER = frozenset({"flat", "half_flat"})
"""Priors of density 1 everywhere (above 0 for ``half_flat``): their integral is infinite, so nothing is drawn from them."""

MATRIX = ("inverse_wishart", "wishart", "decov")
"""Priors of the covariance matrix of a group term as a whole, its sds and correlations together."""

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
    "half_flat",
)
REAL = ("normal", "student_t", "cauchy", "logistic", "uniform", "flat")
SHARE = ("beta", "uniform")

CORRELATION = ("beta", "uniform", "normal")
"""Priors of one correlation of residuals: beta of where it lies between its ends, uniform, normal cut off at its ends."""
CURVE = tuple(dict.fromkeys([*REAL, *POSITIVE, *SHARE, "positive_normal"]))
"""What the coefficients of a curve's parameters take: where a parameter must be above 0, or a share, its prior says so."""

ALLOWED: dict[str, tuple[str, ...]] = {
    "Intercept": REAL,
    "b": REAL,
    "sd": POSITIVE,
    "var": POSITIVE,
    "precision": (*POSITIVE, "wishart", "inverse_wishart"),
    "cor": ("lkj",),
    "cov": MATRIX,
    "sigma": POSITIVE,
    "nu": POSITIVE,
    "df": POSITIVE,
    "shape": POSITIVE,
    "phi": (*POSITIVE, "beta", "normal"),
    "rho": CORRELATION,
    "zi": SHARE,
    "hu": SHARE,
    "zoi": SHARE,
    "coi": SHARE,
    "delta": tuple(dict.fromkeys([*REAL, *POSITIVE])),
}
"""Which distributions each class of parameters takes."""

NOUNS = {
    "sd": "a standard deviation",
    "var": "a variance",
    "precision": "a precision",
    "cor": "a correlation matrix",
    "cov": "a covariance matrix",
    "sigma": "a standard deviation",
    "nu": "degrees of freedom",
    "df": "degrees of freedom",
    "shape": "a shape",
    "phi": "a precision, or a correlation of residuals",
    "rho": "a correlation of residuals",
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

_NEEDS_POSITIVE = {"sigma", "rate", "shape", "scale", "nu", "eta", "alpha", "beta", "regularization", "concentration"}


@dataclass(frozen=True)
class Prior:
    """One prior distribution with numbers for its arguments.

    Parameters
    ----------
    name
        A key of `SIGNATURES`.
    arguments
        Its arguments in the order of the signature; of a Wishart or inverse Wishart the degrees of freedom alone.
    on
        ``variance`` or ``precision`` where that, and not the standard deviation, has this distribution. The density of
        the standard deviation s is then 2 s p(s^2) or 2 s^-3 p(s^-2), the change of variables.
    scale
        Scale matrix of a Wishart or inverse Wishart; one by one where it is a multiple of the identity matrix.
    unit
        Parameter that standard deviations are measured in (`decov`): ``sigma``; none where they are measured in ones.
    """

    name: str
    arguments: tuple[float, ...]
    on: str = ""
    scale: tuple[tuple[float, ...], ...] = ()
    unit: str = ""

    def __str__(self) -> str:
        """Return the prior as it is written in a study file, and what else is to be said of it."""
        values = [f"{a:.6g}" for a in self.arguments]
        if self.scale:
            rows = [[f"{a:.6g}" for a in row] for row in self.scale]
            values.append(rows[0][0] if len(rows) == 1 else f"[{', '.join(f'[{", ".join(row)}]' for row in rows)}]")
        text = f"{self.name}({', '.join(values)})"
        return f"{text} on the {self.on}" if self.on else f"{text} in units of {self.unit}" if self.unit else text

    @property
    def proper(self) -> bool:
        """Whether its density integrates to one."""
        return self.name not in IMPROPER


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
    matrix: tuple[tuple[float, ...], ...] = ()
    if len(tree.args) > len(signature):
        raise FormulaError(f"'{text}' has {len(tree.args)} arguments; it is {usage}")
    for key, node in [
        *zip(signature, tree.args, strict=False),
        *((keyword.arg, keyword.value) for keyword in tree.keywords),
    ]:
        if key not in signature:
            raise FormulaError(f"'{text}': '{key}' is no argument of {usage}")
        if key in values or (key == "scale" and matrix):
            raise FormulaError(f"'{text}' gives '{key}' twice; it is {usage}")
        if key == "scale" and name in {"wishart", "inverse_wishart"}:
            matrix = _matrix(node, text)
        else:
            values[key] = _number(node, text)
    given = {*values, *(["scale"] if matrix else [])}
    if missing := [key for key in signature if key not in given]:
        raise FormulaError(f"'{text}' lacks {', '.join(missing)}; it is {usage}")
    for key, value in values.items():
        if key in _NEEDS_POSITIVE and value <= 0:
            raise FormulaError(f"'{text}': {key} must be above 0 in {usage}")
    if name == "uniform" and values["lower"] >= values["upper"]:
        raise FormulaError(f"'{text}': lower must be below upper in {usage}")
    return Prior(name, tuple(values[key] for key in signature if key in values), scale=matrix)


def _matrix(node: ast.expr, text: str) -> tuple[tuple[float, ...], ...]:
    """Return a scale matrix: of a number, a list (its diagonal) or a list of rows.

    Raises
    ------
    FormulaError
        When it is no symmetric positive definite matrix.
    """
    if not isinstance(node, ast.List):
        rows = [[_number(node, text)]]
    elif not any(isinstance(item, ast.List) for item in node.elts):
        diagonal = [_number(item, text) for item in node.elts]
        rows = [[value if i == j else 0.0 for j in range(len(diagonal))] for i, value in enumerate(diagonal)]
    else:
        rows = [[_number(v, text) for v in item.elts] if isinstance(item, ast.List) else [] for item in node.elts]
    size = len(rows)
    if not size or any(len(row) != size for row in rows):
        raise FormulaError(f"'{text}': the scale must have as many rows as columns")
    matrix = np.array(rows)
    if not np.array_equal(matrix, matrix.T):
        raise FormulaError(f"'{text}': the scale is not symmetric")
    if np.linalg.eigvalsh(matrix / np.abs(matrix).max())[0] <= 1e-12:
        raise FormulaError(f"'{text}': the scale is not positive definite")
    return tuple(tuple(row) for row in rows)


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


def check_support(prior: Prior, target: str, of_curve: bool = False) -> None:
    """Refuse a prior of the wrong support.

    Parameters
    ----------
    prior
        The prior.
    target
        What it is given to: ``sd(county)``, ``b``, ...
    of_curve
        Whether that is a coefficient of a curve's parameter, which may be positive (`CURVE`).

    Raises
    ------
    FormulaError
        Such as a normal prior for a standard deviation.
    """
    kind = class_of(target)
    if of_curve and kind in {"b", "Intercept"}:
        if prior.name not in CURVE:
            raise FormulaError(
                f"{prior.name} cannot be the prior of a coefficient ({target}); choose from {', '.join(CURVE)}"
            )
        return
    if prior.name not in ALLOWED[kind]:
        raise FormulaError(
            f"{prior.name} cannot be the prior of {NOUNS.get(kind, 'a coefficient')} ({target}); "
            f"choose from {', '.join(ALLOWED[kind])}"
        )
    if not prior.proper and kind in LOWEST:
        raise FormulaError(f"{prior} cannot be cut off where {target} starts; choose a proper prior")
    if prior.name != "uniform" or ALLOWED[kind] == REAL or kind in AMBIGUOUS:
        return
    lower, upper = prior.arguments
    if lower < 0:
        raise FormulaError(f"{prior} reaches below 0, where {target} has no values")
    if ALLOWED[kind] == SHARE and upper > 1:
        raise FormulaError(f"{prior} reaches above 1, where {target} has no values")
    if upper <= LOWEST.get(kind, 0.0):
        raise FormulaError(f"{prior} ends at {upper:g}, and {target} has values above {LOWEST[kind]:g} only")


AMBIGUOUS = frozenset({"phi", "rho"})
"""Names whose range only the design tells: a precision above 0 or a correlation."""


def check_positive(prior: Prior, target: str) -> None:
    """Refuse a prior of a positive parameter that has values below 0, or is one of a correlation.

    Raises
    ------
    FormulaError
        Such as a normal prior for a precision.
    """
    if prior.name not in POSITIVE:
        raise FormulaError(
            f"{prior.name} cannot be the prior of a precision ({target}); choose from {', '.join(POSITIVE)}"
        )
    if prior.name == "uniform" and prior.arguments[0] < 0:
        raise FormulaError(f"{prior} reaches below 0, where {target} has no values")


def check_between(prior: Prior, target: str, lowest: float, highest: float) -> None:
    """Refuse a prior of a correlation of residuals that is none, or has values where there are none.

    Raises
    ------
    FormulaError
        Such as an exponential prior, or a uniform one beyond the ends.
    """
    if prior.name not in CORRELATION:
        raise FormulaError(
            f"{prior.name} cannot be the prior of a correlation ({target}); choose from {', '.join(CORRELATION)}"
        )
    if prior.name == "uniform" and not lowest - 1e-12 <= prior.arguments[0] < prior.arguments[1] <= highest:
        raise FormulaError(f"{prior} reaches beyond {lowest:.4g} to {highest:g}, where {target} has no values")


def is_of_curve(target: str, parameters: Collection[str]) -> bool:
    """Tell whether a name is of coefficients of one of a curve's parameters: ``b(asymptote)``, ``asymptote_Intercept``."""
    inside = re.sub(r"^b\((.*)\)$", r"\1", normalise(target))
    return any(inside == name or inside.startswith(f"{name}_") for name in parameters)


def class_of(target: str) -> str:
    """Return the class of a parameter name: ``sd`` of ``sd(county: floor)``, ``Intercept`` of ``sigma_Intercept``."""
    name = re.split(r"[(\[]", target, maxsplit=1)[0].strip()
    return "Intercept" if re.fullmatch(r"\w+_Intercept", name) else name


def scale_of(target: str) -> str:
    """Return what a prior of this name is on: ``variance``, ``precision``, or nothing for the parameter itself."""
    return {"var": "variance", "precision": "precision"}.get(class_of(target), "")


def parameter_of(target: str) -> str:
    """Return the parameter that a name is about: ``sd(county)`` of ``var(county)``, ``sigma`` of ``precision(sigma)``."""
    name = normalise(target)
    kind = class_of(name)
    if kind not in {"var", "precision"}:
        return name
    inside = name.removeprefix(kind).removeprefix("(").removesuffix(")")
    return "sigma" if inside == "sigma" else f"sd{name.removeprefix(kind)}"


def overlay(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Lay priors over others: of those below, what speaks of the same parameters gives way.

    The prior of a group's covariance matrix (`MATRIX`) takes the place of those of its sds and correlations, and they of it.
    """
    taken = {parameter_of(name) for name in above}
    groups = {group: is_matrix(text) for name, text in above.items() if (group := group_of(name)) is not None}

    def stays(name: str, text: str) -> bool:
        if parameter_of(name) in taken:
            return False
        group = group_of(name)
        return group not in groups or groups[group] == is_matrix(text)

    kept = {normalise(name): text.strip() for name, text in below.items() if stays(name, text)}
    return kept | {normalise(name): text.strip() for name, text in above.items()}


def group_of(target: str) -> str | None:
    """Return the group of a prior of sds, correlations or covariances: ``county`` of ``sd(county: x)``, nothing of ``sd``."""
    name = normalise(target)
    if class_of(name) not in {"sd", "var", "precision", "cor", "cov"} or parameter_of(name) == "sigma":
        return None
    return name.split("(", 1)[1].removesuffix(")").split(":")[0] if "(" in name else ""


def is_matrix(text: str) -> bool:
    """Tell the text of a prior of a covariance matrix from others."""
    return text.strip().split("(", 1)[0].strip() in MATRIX


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
