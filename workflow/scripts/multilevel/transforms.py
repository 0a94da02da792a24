"""The functions that may stand in a formula, with their arguments: what formulaic takes, and no hidden ones."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from multilevel.errors import did_you_mean


@dataclass(frozen=True)
class Signature:
    """The arguments of a function of columns.

    Parameters
    ----------
    by_place
        Names of the arguments that may be given without their name, in order; the first is the column and is required.
    by_name
        Names of those that must be given with it.
    """

    by_place: tuple[str, ...] = ("x",)
    by_name: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return (*self.by_place, *self.by_name)


_SPLINE = Signature(("x", "df", "knots", "lower_bound", "upper_bound", "constraints"), ("extrapolation",))

SIGNATURES: dict[str, Signature] = {
    "C": Signature(("data", "contrasts")),
    "I": Signature(),
    "bs": Signature(("x", "df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound", "extrapolation")),
    "cr": _SPLINE,
    "cc": _SPLINE,
    "cs": _SPLINE,
    "poly": Signature(("x", "degree", "raw")),
    "scale": Signature(("data", "center", "scale", "ddof")),
    "center": Signature(("data",)),
    "log": Signature(),
    "log2": Signature(),
    "log10": Signature(),
    "exp": Signature(),
    "sqrt": Signature(),
    "within": Signature(("x", "group")),
    "between": Signature(("x", "group")),
    "group_mean": Signature(("x", "group")),
}
"""By name of the function."""

OF_LEVELS = frozenset({"C"})
"""Functions that take text as well as numbers."""


def problem(node: ast.Call) -> str | None:
    """Return what is wrong with the arguments of a call, or None.

    Parameters
    ----------
    node
        A call of one of the functions above.
    """
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    signature = SIGNATURES.get(name)
    if signature is None:
        return None
    usage = f"{name}({', '.join(signature.names)})"
    most = len(signature.by_place)
    if len(node.args) > most:
        return f"'{name}' takes {most} argument{'s' if most > 1 else ''}, not {len(node.args)}; it is {usage}"
    given = set(signature.by_place[: len(node.args)])
    for keyword in node.keywords:
        if keyword.arg not in signature.names:
            hint = did_you_mean(str(keyword.arg), signature.names[1:])
            return f"'{name}' has no argument '{keyword.arg}'; {hint or f'it is {usage}'}"
        if keyword.arg in given:
            return f"'{name}' is given '{keyword.arg}' twice; it is {usage}"
        given.add(keyword.arg)
    if signature.by_place[0] not in given:
        return f"'{name}' is given no column; it is {usage}"
    return None
