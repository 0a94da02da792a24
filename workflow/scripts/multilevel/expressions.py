"""Arithmetic on columns, for `derive` and `filter`: parsed by `ast`, checked against a list, evaluated node by node.

Nothing is handed to `eval`, so an expression in a study file is data, not code.

A comparison with a missing value is missing, not false: ``where(score > 10, 1, 0)`` is missing where the score is. As the
condition of a filter, missing does not keep a row.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multilevel import moments
from multilevel.errors import FormulaError

if TYPE_CHECKING:
    import pandas as pd

MAX_LENGTH = 2_000
MAX_DEPTH = 50

ELEMENTWISE = (
    "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "floor", "ceil", "round", "sin", "cos", "tan", "sign",
)  # fmt: skip
AGGREGATES = ("mean", "sd", "median", "min", "max", "sum", "count")
OTHERS = (
    "where", "minimum", "maximum", "missing", "group_mean", "group_min", "group_max", "group_size", "lower", "strip",
)  # fmt: skip
OF_COLUMNS = ("group_mean", "group_min", "group_max", "group_size", "lower", "strip", "year", "month", "day_of_year")
FUNCTIONS = (*ELEMENTWISE, *AGGREGATES, *OTHERS, *moments.FUNCTIONS)

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


def parse(text: str, functions: Sequence[str] = FUNCTIONS) -> ast.expr:
    """Parse an expression and check every node of it.

    Parameters
    ----------
    text
        Such as ``log(where(activity == 0, 0.1, activity))``.
    functions
        The functions that it may call.

    Raises
    ------
    FormulaError
        When the text is no expression or holds anything but columns, numbers, text, arithmetic, comparisons,
        `and`/`or`/`not`, `in [...]` and the functions listed.
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
    _check(tree, shown, 0, functions)
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


def _check(node: ast.AST, text: str, depth: int, functions: Sequence[str]) -> None:
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
            if name not in functions:
                near = difflib.get_close_matches(name, functions, n=1)
                hint = f"did you mean '{near[0]}'?" if near else "functions are " + ", ".join(functions)
                raise FormulaError(f"'{text}': the function '{name}' is not allowed; {hint}")
            if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
                raise FormulaError(f"'{text}': '{name}' takes plain arguments only")
            children = list(node.args)
        case _:
            raise _refuse(node.func if isinstance(node, ast.Call) else node, text)
    for child in children:
        _check(child, text, depth + 1, functions)


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
            value = _number(_plain(_evaluate(operand, columns)))
            if moments.any_moment(value):
                raise moments.refuse("there is no negative of")
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
            return _call(name, values if name in {"where", "missing"} else [_plain(value) for value in values])
    raise FormulaError(f"'{ast.dump(node)}' cannot be evaluated")


def _arithmetic(node: ast.AST, op: ast.operator, left: Any, right: Any) -> Any:
    """Compute one operation; text can only be joined, dates only subtracted, and numbers cannot grow without bound."""
    if moments.any_moment(left, right):
        if not isinstance(op, ast.Sub):
            raise moments.refuse("nothing but another date can be combined with")
        return moments.subtract(left, right)
    left, right = _number(left), _number(right)
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


def _number(value: Any) -> Any:
    """Return a condition as 1 and 0, levels as text, anything else as it is."""
    import pandas as pd

    if isinstance(value, pd.Series) and value.dtype == bool:
        return value.astype("int64")
    return _unordered(value)


def _unordered(value: Any) -> Any:
    """Return levels as text, anything else as it is."""
    import pandas as pd

    return value.astype("str") if isinstance(getattr(value, "dtype", None), pd.CategoricalDtype) else value


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
    left_node, result = node.left, None
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            right: Any = 0
            found = _is_in(left_node, left, comparator)
            part: Any = (not found if isinstance(found, bool) else ~found) if isinstance(op, ast.NotIn) else found
        else:
            right = _plain(_evaluate(comparator, columns))
            _check_comparable(left_node, left, comparator, right)
            part = _compared(op, left, right)
        unknown = pd.isna(left) | pd.isna(right)
        if isinstance(part, pd.Series) and unknown.any():
            part = part.astype("boolean").mask(unknown)
        result = part if result is None else result & part
        left, left_node = right, comparator
    return result


def _is_in(node: ast.expr, value: Any, comparator: ast.expr) -> Any:
    """Return whether a value is one of a list."""
    import pandas as pd

    choices = [element.value for element in comparator.elts]  # type: ignore[attr-defined]
    for element, choice in zip(comparator.elts, choices, strict=True):  # type: ignore[attr-defined]
        _check_comparable(node, value, element, choice)
    if moments.any_moment(value):
        choices = moments.as_dates(*choices)
    return value.isin(choices) if isinstance(value, pd.Series) else value in choices


def _compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """Compare two values: dates with dates or their text, levels by their declared order, anything else as it is."""
    if moments.any_moment(left, right):
        left, right = moments.as_dates(left, right)
    elif isinstance(op, ast.Eq | ast.NotEq):
        left, right = _unordered(left), _unordered(right)
    else:
        for levels, other in ((left, right), (right, left)):
            known = list(levels.cat.categories) if hasattr(levels, "cat") else None
            if known is not None and isinstance(other, str) and other not in known:
                raise FormulaError(f"'{other}' is none of the levels {', '.join(known[:12])}")
    return _COMPARE[type(op)](left, right)


def _check_comparable(left_node: ast.expr, left: Any, right_node: ast.expr, right: Any) -> None:
    """Refuse to compare text with numbers: it would be false, without a word, in every row."""
    import pandas as pd

    if moments.any_moment(left, right) or any(isinstance(v, pd.Series) and v.isna().all() for v in (left, right)):
        return
    if _is_text(left) == _is_text(right):
        return
    nodes = [(left_node, left), (right_node, right)]
    (text_node, text), (number_node, number) = nodes if _is_text(left) else nodes[::-1]
    message = f"{_called(text_node)} is text and {_called(number_node)} is not"
    if isinstance(number_node, ast.Constant) and not isinstance(number, bool):
        message += f"; write '{number}'"
    elif isinstance(text_node, ast.Constant):
        message += f"; write {text} without quotes" if str(text).strip("+-").replace(".", "", 1).isdigit() else ""
    raise FormulaError(message)


def _called(node: ast.expr) -> str:
    return f"'{node.id}'" if isinstance(node, ast.Name) else ast.unparse(node)


def _call(name: str, arguments: list[Any]) -> Any:
    import numpy as np
    import pandas as pd

    counts = {
        "where": 3,
        "minimum": 2,
        "maximum": 2,
        "group_mean": 2,
        "group_min": 2,
        "group_max": 2,
        "days_between": 2,
    }
    wanted = counts.get(name, 1)
    if len(arguments) != wanted:
        raise FormulaError(f"'{name}' takes {wanted} argument{'s' if wanted > 1 else ''}, not {len(arguments)}")
    first = arguments[0]
    if name in OF_COLUMNS and not all(isinstance(argument, pd.Series) for argument in arguments):
        raise FormulaError(f"'{name}' takes columns, not single values")
    if name in {"min", "max"} and moments.kind(first) == "date":
        return getattr(pd.Series(first), name)()
    if name in {*ELEMENTWISE, *AGGREGATES, "group_mean"} - {"count"} and moments.any_moment(first):
        raise moments.refuse(f"'{name}' takes numbers, not")
    if name in ELEMENTWISE or name in AGGREGATES:
        if _is_text(first) and not moments.any_moment(first):
            raise FormulaError(f"'{name}' takes numbers, not text")
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
            if moments.any_moment(*arguments[1:]):
                yes, no = (pd.Series(date, index=condition.index) for date in moments.as_dates(*arguments[1:]))
                return yes.where(known, no).mask(unknown)
            chosen = pd.Series(np.where(known, _plain(arguments[1]), _plain(arguments[2])), index=condition.index)
            return chosen.mask(unknown) if unknown.any() else chosen
        case "minimum" | "maximum":
            both = moments.as_dates(*arguments) if moments.any_moment(*arguments) else map(_number, arguments)
            return getattr(np, name)(*both)
        case "missing":
            return pd.isna(first)
        case "group_mean" | "group_min" | "group_max":
            return (
                _unordered(first).groupby(_unordered(arguments[1]), sort=False).transform(name.removeprefix("group_"))
            )
        case "group_size":
            return first.groupby(_unordered(first), sort=False).transform("size").astype(float)
        case "lower" | "strip":
            return getattr(_unordered(first).str, name)()
        case "days":
            return moments.days(first)
        case "days_between":
            return moments.days(moments.subtract(arguments[1], first))
        case "year" | "month" | "day_of_year":
            return moments.part(name, first)
    raise FormulaError(f"the function '{name}' is not known")
