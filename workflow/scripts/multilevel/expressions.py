"""Arithmetic on columns, for `derive` and `filter`: parsed by `ast`, checked against a list, evaluated node by node.

Nothing is handed to `eval`, so an expression in a study file is data, not code.

A comparison with a missing value is missing, not false: ``where(score > 10, 1, 0)`` is missing where the score is. As the
condition of a filter, missing does not keep a row.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from multilevel.errors import FormulaError

if TYPE_CHECKING:
    import pandas as pd

MAX_LENGTH = 2_000
MAX_DEPTH = 50

ELEMENTWISE = (
    "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "floor", "ceil", "round", "sin", "cos", "tan", "sign",
)  # fmt: skip
AGGREGATES = ("mean", "sd", "median", "min", "max", "sum", "count")
OTHERS = ("where", "minimum", "maximum", "missing", "group_mean", "group_size", "lower", "strip")
OF_COLUMNS = ("group_mean", "group_size", "lower", "strip")
FUNCTIONS = (*ELEMENTWISE, *AGGREGATES, *OTHERS)

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


def parse(text: str) -> ast.expr:
    """Parse an expression and check every node of it.

    Parameters
    ----------
    text
        Such as ``log(where(activity == 0, 0.1, activity))``.

    Raises
    ------
    FormulaError
        When the text is no expression or holds anything but columns, numbers, text, arithmetic, comparisons,
        `and`/`or`/`not`, `in [...]` and the functions in `FUNCTIONS`.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"is longer than {MAX_LENGTH} characters")
    shown = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        hint = "; write == to compare" if re.search(r"(?<![=<>!])=(?!=)", text) else ""
        raise FormulaError(f"'{shown}' is no expression ({reason}){hint}") from None
    _check(tree, shown, 0)
    return tree


def names(tree: ast.expr) -> set[str]:
    """Return the columns that a parsed expression reads."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}


def evaluate(tree: ast.expr, columns: Mapping[str, pd.Series]) -> Any:
    """Evaluate a parsed expression.

    Parameters
    ----------
    tree
        What `parse` returned.
    columns
        The columns by name, of equal length.

    Returns
    -------
    object
        A pandas Series of that length, or a scalar. A condition that is missing somewhere has the dtype ``boolean``.

    Raises
    ------
    FormulaError
        When types do not fit, such as the logarithm of text.
    """
    try:
        return _evaluate(tree, columns)
    except FormulaError:
        raise
    except ArithmeticError as error:
        raise FormulaError(f"'{ast.unparse(tree)}' cannot be computed ({error})") from None
    except (TypeError, ValueError, AttributeError):
        raise FormulaError(f"'{ast.unparse(tree)}' cannot be computed: its values do not fit its functions") from None


def _refuse(node: ast.AST, text: str) -> FormulaError:
    what = {
        "Attribute": "a dot (attribute access)",
        "Subscript": "square brackets",
        "Lambda": "a function definition",
        "ListComp": "a comprehension",
        "JoinedStr": "an f-string",
        "NamedExpr": "an assignment",
        "IfExp": "'if' and 'else'",
        "Tuple": "a comma",
        "List": "square brackets",
        "Dict": "braces",
        "Set": "braces",
        "Constant": "a value that is no number or text",
        "Is": "'is'",
        "IsNot": "'is not'",
        "Call": "a call of what is no function",
    }.get(type(node).__name__, "an operator or a form of Python")
    return FormulaError(f"'{text}' holds {what}, which is not allowed: only columns, numbers and listed functions are")


def _check(node: ast.AST, text: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels")
    children: list[ast.AST]
    match node:
        case ast.Name():
            return
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.BinOp(op=op) if type(op) in _BINARY:
            children = [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not()):
            children = [node.operand]
        case ast.BoolOp():
            children = list(node.values)
        case ast.Compare():
            children = [node.left]
            for comparison, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(comparison, ast.In | ast.NotIn):
                    if not isinstance(right, ast.List | ast.Tuple) or not all(
                        isinstance(e, ast.Constant) for e in right.elts
                    ):
                        raise FormulaError(f"'{text}': what follows 'in' must be a list of values, such as [1, 2]")
                elif type(comparison) in _COMPARE:
                    children.append(right)
                else:
                    raise _refuse(comparison, text)
        case ast.Call(func=ast.Name(id=name)):
            if name not in FUNCTIONS:
                near = difflib.get_close_matches(name, FUNCTIONS, n=1)
                hint = f"did you mean '{near[0]}'?" if near else "functions are " + ", ".join(FUNCTIONS)
                raise FormulaError(f"'{text}': the function '{name}' is not allowed; {hint}")
            if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
                raise FormulaError(f"'{text}': '{name}' takes plain arguments only")
            children = list(node.args)
        case _:
            raise _refuse(node.func if isinstance(node, ast.Call) else node, text)
    for child in children:
        _check(child, text, depth + 1)


def _evaluate(node: ast.AST, columns: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name(id=name):
            if name not in columns:
                near = difflib.get_close_matches(name, list(columns), n=1)
                raise FormulaError(f"unknown column '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))
            return columns[name]
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(node, op, _plain(_evaluate(left, columns)), _plain(_evaluate(right, columns)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            condition = _boolean(_evaluate(operand, columns))
            return not condition if isinstance(condition, bool) else ~condition
        case ast.UnaryOp(op=op, operand=operand):
            value = _plain(_evaluate(operand, columns))
            if _is_text(value):
                raise FormulaError(f"'{ast.unparse(node)}': text has no sign")
            return -value if isinstance(op, ast.USub) else value
        case ast.BoolOp(op=op, values=values):
            parts = [_boolean(_evaluate(value, columns)) for value in values]
            result = parts[0]
            for part in parts[1:]:
                result = result & part if isinstance(op, ast.And) else result | part
            return result
        case ast.Compare():
            return _compare(node, columns)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            values = [_evaluate(argument, columns) for argument in arguments]
            values = values if name in {"where", "missing"} else [_plain(value) for value in values]
            if any(map(_is_text, _numbers_of(name, values))):
                raise FormulaError(f"'{ast.unparse(node)}': '{name}' takes numbers, not text")
            return _call(name, values)
    raise FormulaError(f"'{ast.dump(node)}' cannot be evaluated")


def _numbers_of(name: str, arguments: list[Any]) -> list[Any]:
    """Return the arguments of a function that must be numbers."""
    if name in {"minimum", "maximum"}:
        return arguments
    return arguments[:1] if name in (*ELEMENTWISE, *AGGREGATES, "group_mean") else []


def _arithmetic(node: ast.AST, op: ast.operator, left: Any, right: Any) -> Any:
    """Compute one operation; text can only be joined, and numbers cannot grow without bound."""
    text = any(_is_text(value) for value in (left, right))
    if text and not isinstance(op, ast.Add):
        raise FormulaError(f"'{ast.unparse(node)}': text cannot be multiplied or subtracted, only joined with +")
    if text and not (_is_text(left) and _is_text(right)):
        raise FormulaError(f"'{ast.unparse(node)}': a number and text cannot be added")
    if isinstance(op, ast.Pow):
        if isinstance(right, int | float) and abs(right) > 100:
            raise FormulaError(f"the power {right!r} is out of bounds (100)")
        if isinstance(left, int) and isinstance(right, int):
            left = float(left)
    return _BINARY[type(op)](left, right)


def _is_text(value: Any) -> bool:
    import numpy as np  # numpy and pandas are imported late: planning from the cache needs neither

    return np.asarray(value).dtype.kind not in "fiub"


def _plain(value: Any) -> Any:
    """Return a condition that is missing somewhere as numbers (1, 0, missing), anything else as it is."""
    return value.astype(float) if str(getattr(value, "dtype", "")) == "boolean" else value


def _boolean(value: Any) -> Any:
    import numpy as np

    if str(getattr(value, "dtype", "")) != "boolean" and np.asarray(value).dtype != bool:
        raise FormulaError("'and', 'or' and 'not' take conditions, such as (age > 10)")
    return bool(value) if np.ndim(value) == 0 else value


def _compare(node: ast.Compare, columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    left = _plain(_evaluate(node.left, columns))
    result: Any = None
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            choices = [element.value for element in comparator.elts]  # type: ignore[attr-defined]
            _refuse_unlike(node, [left, *choices], columns)
            found = left.isin(choices) if isinstance(left, pd.Series) else left in choices
            part: Any = (not found if isinstance(found, bool) else ~found) if isinstance(op, ast.NotIn) else found
            right: Any = 0
        else:
            right = _plain(_evaluate(comparator, columns))
            _refuse_unlike(node, [left, right], columns)
            part = _COMPARE[type(op)](left, right)
        unknown = pd.isna(left) | pd.isna(right)
        if isinstance(part, pd.Series) and unknown.any():
            part = part.astype("boolean").mask(unknown)
        result = part if result is None else result & part
        left = right
    return result


def _refuse_unlike(node: ast.expr, values: list[Any], columns: Mapping[str, Any]) -> None:
    """Refuse numbers beside text, which never are equal; a column without any value is either."""
    import pandas as pd

    known = [value for value in values if not (isinstance(value, pd.Series) and value.isna().all())]
    if len({_is_text(value) for value in known}) < 2:
        return
    kinds = [
        f"'{name}' is text" if _is_text(columns[name]) else f"'{name}' holds numbers" for name in sorted(names(node))
    ]
    raise FormulaError(f"'{ast.unparse(node)}' compares numbers with text{': ' * bool(kinds)}{', '.join(kinds)}")


def _call(name: str, arguments: list[Any]) -> Any:
    import numpy as np
    import pandas as pd

    counts = {"where": 3, "minimum": 2, "maximum": 2, "group_mean": 2}
    wanted = counts.get(name, 1)
    if len(arguments) != wanted:
        raise FormulaError(f"'{name}' takes {wanted} argument{'s' if wanted > 1 else ''}, not {len(arguments)}")
    first = arguments[0]
    if name in OF_COLUMNS and not all(isinstance(argument, pd.Series) for argument in arguments):
        raise FormulaError(f"'{name}' takes columns, not single values")
    if name in {"lower", "strip"} and not _is_text(first):
        raise FormulaError(f"'{name}' takes text, not numbers")
    if name == "where" and len({_is_text(_plain(value)) for value in arguments[1:]}) > 1:
        raise FormulaError("'where' chooses between numbers or between text, not between a number and text")
    if name in ELEMENTWISE or name in AGGREGATES:
        if name in ELEMENTWISE:
            ufunc: Any = getattr(np, name)
            with np.errstate(all="ignore"):  # infinities and NaN are reported by name when rows are checked
                return ufunc(first * 1.0 if np.asarray(first).dtype == bool else first)
        method = {"sd": "std"}.get(name, name)
        return float(getattr(pd.Series(first), method)())
    match name:
        case "where":
            condition = _boolean(first)
            if isinstance(condition, bool):
                return arguments[1] if condition else arguments[2]
            unknown = pd.isna(condition)
            known = condition.fillna(False).astype(bool) if unknown.any() else condition.astype(bool)
            chosen = pd.Series(np.where(known, _plain(arguments[1]), _plain(arguments[2])), index=condition.index)
            return chosen.mask(unknown) if unknown.any() else chosen
        case "minimum":
            return np.minimum(first, arguments[1])
        case "maximum":
            return np.maximum(first, arguments[1])
        case "missing":
            return pd.isna(first)
        case "group_mean":
            return first.groupby(arguments[1], sort=False).transform("mean")
        case "group_size":
            return first.groupby(first, sort=False).transform("size").astype(float)
        case "lower" | "strip":
            return getattr(first.str, name)()
    raise FormulaError(f"the function '{name}' is not known")
