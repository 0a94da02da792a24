"""Scores of a derived response on the scale of the column that it was derived from.

A model of ``log_y`` gives densities of log y; those of y are larger by |d log y / dy|, one number for each row that no
parameter changes (the change of variables; Box & Cox 1964, JRSS-B 26:211). The derivative is computed by the rules of
calculus from the expression of `data.derive`, with the value at every row. Statistics of the whole column, such as
``mean(y)``, count as constants.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import expressions
from multilevel.errors import FormulaError

Array = NDArray[np.float64]

_DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "log": lambda x: 1.0 / x,
    "log2": lambda x: 1.0 / (x * np.log(2.0)),
    "log10": lambda x: 1.0 / (x * np.log(10.0)),
    "log1p": lambda x: 1.0 / (1.0 + x),
    "exp": np.exp,
    "expm1": np.exp,
    "sqrt": lambda x: 0.5 / np.sqrt(x),
    "sin": np.cos,
    "cos": lambda x: -np.sin(x),
    "tan": lambda x: 1.0 + np.square(np.tan(x)),
}
"""Derivatives of the functions that have one everywhere."""


def log_derivative(text: str, column: str, frame: pd.DataFrame) -> Array:
    """Return log |dT / d column| of an expression T of one column, shape (rows,).

    Parameters
    ----------
    text
        The expression, such as ``log(y)``.
    column
        The column.
    frame
        The prepared rows.

    Raises
    ------
    FormulaError
        When the expression reads another column or a function without a derivative, or when it does not rise or fall
        strictly over the rows: then a value of the response does not tell the value of the column.
    """
    tree = expressions.parse(text)
    if others := sorted(expressions.names(tree) - {column}):
        raise FormulaError(f"'{text}' is made of {', '.join(others)} besides {column}")
    if column not in expressions.names(tree):
        raise FormulaError(f"'{text}' is not made of {column}")
    with np.errstate(all="ignore"):  # what is not finite is refused below
        slope = np.broadcast_to(_slope(tree, column, frame), (len(frame),))
    bad = ~np.isfinite(slope) | (slope == 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise FormulaError(
            f"the slope of '{text}' is {slope[row]:g} in row {row + 1} ({column} = {frame[column].iloc[row]:g})"
        )
    if (slope > 0).any() and (slope < 0).any():
        raise FormulaError(f"'{text}' rises at some rows and falls at others")
    return np.asarray(np.log(np.abs(slope)), dtype=np.float64)


def _value(node: ast.expr, frame: pd.DataFrame) -> Array:
    return np.asarray(expressions.evaluate(node, {str(c): frame[c] for c in frame.columns}), dtype=np.float64)


def _slope(node: ast.expr, column: str, frame: pd.DataFrame) -> Any:
    """Return the derivative of an expression by a column: a number or one for each row."""
    if column not in expressions.names(node):
        return 0.0
    match node:
        case ast.Name():
            return 1.0
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=inner):
            return (-1.0 if isinstance(sign, ast.USub) else 1.0) * _slope(inner, column, frame)
        case ast.BinOp(left=left, op=op, right=right):
            return _slope_of_two(left, op, right, column, frame)
        case ast.Call(func=ast.Name(id=name), args=[_]) if name in expressions.AGGREGATES:
            return 0.0
        case ast.Call(func=ast.Name(id=name), args=[inner]) if name in _DERIVATIVES:
            return _DERIVATIVES[name](_value(inner, frame)) * _slope(inner, column, frame)
    raise FormulaError(f"'{ast.unparse(node)}' has no derivative by {column}")


def _slope_of_two(left: ast.expr, op: ast.operator, right: ast.expr, column: str, frame: pd.DataFrame) -> Any:
    a, b = _value(left, frame), _value(right, frame)
    da, db = _slope(left, column, frame), _slope(right, column, frame)
    match op:
        case ast.Add():
            return da + db
        case ast.Sub():
            return da - db
        case ast.Mult():
            return da * b + a * db
        case ast.Div():
            return (da * b - a * db) / np.square(b)
        case ast.Pow():
            by_base = b * np.power(a, b - 1.0) * da
            return by_base + (np.power(a, b) * np.log(a) * db if np.any(db) else 0.0)
    raise FormulaError(f"'{ast.unparse(ast.BinOp(left, op, right))}' has no derivative by {column}")
