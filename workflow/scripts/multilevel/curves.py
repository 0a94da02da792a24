"""Curves of named parameters, as a formula writes them: ``asymptote / (1 + exp(-(age - midpoint) / scale))``.

A curve is an expression of columns and of parameters, each of which has a linear predictor of its own. It is parsed by `ast`
and checked against a list, as any expression is (`expressions`); NumPy and PyTensor compute the same syntax tree node by node.
A power may be written ``^`` or ``**``.

Ready-made curves stand in a formula as functions of a predictor and of their parameters (`READY_MADE`): their definition is put
in their place, so that nothing else needs to know of them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import expit

from multilevel import expressions
from multilevel.errors import FormulaError


@dataclass(frozen=True)
class ReadyMade:
    """A curve with a name.

    Parameters
    ----------
    arguments
        The predictor, ``x``, then the parameters.
    text
        Its definition.
    source
        Where it stands.
    roles
        What each parameter measures, by which starting values and default priors are chosen (`curve_priors`): ``level``
        (of the response), ``factor`` (of the response, any size), ``place`` (on the axis of the predictor), ``distance``
        (on that axis, above 0), ``rate`` (per unit of the predictor), ``shape`` (a number above 0), ``exponent`` (a number).
    meaning
        What it describes, in a few words.
    """

    arguments: tuple[str, ...]
    text: str
    source: str
    roles: tuple[str, ...]
    meaning: str

    @property
    def usage(self) -> str:
        """How it is written: ``(x, asymptote, midpoint, scale)``."""
        return f"({', '.join(self.arguments)})"


READY_MADE: dict[str, ReadyMade] = {
    "logistic": ReadyMade(
        ("x", "asymptote", "midpoint", "scale"),
        "asymptote * inv_logit((x - midpoint) / scale)",
        "Pinheiro & Bates (2000), appendix C.7, R's SSlogis",
        ("level", "place", "distance"),
        "symmetric growth to an asymptote, half of it at the midpoint",
    ),
    "gompertz": ReadyMade(
        ("x", "asymptote", "midpoint", "scale"),
        "asymptote * exp(-exp(-(x - midpoint) / scale))",
        "Winsor (1932), PNAS 18:1; parameters as in Tjørve & Tjørve (2017), PLoS ONE 12:e0178691",
        ("level", "place", "distance"),
        "growth to an asymptote that is fastest early, at the midpoint (1/e of it)",
    ),
    "weibull_growth": ReadyMade(
        ("x", "asymptote", "scale", "shape"),
        "asymptote * (1 - exp(-(x / scale) ** shape))",
        "Ratkowsky (1983), Nonlinear Regression Modeling; Clark (2003), CAS Forum",
        ("level", "distance", "shape"),
        "growth from 0 at x = 0 to an asymptote, 63 % of it at the scale",
    ),
    "exponential": ReadyMade(
        ("x", "initial", "rate"),
        "initial * exp(rate * x)",
        "Malthus (1798)",
        ("factor", "rate"),
        "growth or decay at a constant rate",
    ),
    "michaelis_menten": ReadyMade(
        ("x", "maximum", "half"),
        "maximum * x / (half + x)",
        "Michaelis & Menten (1913), Biochem. Z. 49:333",
        ("level", "distance"),
        "saturation from 0 at x = 0, half of the maximum at x = half",
    ),
    "power": ReadyMade(
        ("x", "factor", "exponent"),
        "factor * x ** exponent",
        "Huxley (1932), Problems of Relative Growth",
        ("factor", "exponent"),
        "allometry: a straight line of logarithms",
    ),
}
"""Ready-made curves by name."""

ARITY = {
    **dict.fromkeys(
        ("exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tan", "tanh", "inv_logit", "logit"), 1
    ),
    "minimum": 2,
    "maximum": 2,
    "where": 3,
}
"""Functions that a curve may hold, with how many arguments each takes."""

NUMPY: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tan", "tanh")
    },
    "inv_logit": expit,
    "logit": lambda p: np.log(p) - np.log1p(-p),
    "minimum": np.minimum,
    "maximum": np.maximum,
    "where": np.where,
}
"""How NumPy computes each of them."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


def parse(text: str) -> ast.expr:
    """Parse a curve and check every node of it.

    Parameters
    ----------
    text
        Such as ``asymptote / (1 + exp(-(age - midpoint) / scale))``.

    Raises
    ------
    FormulaError
        When it is no expression, or holds anything but names, numbers, ``+ - * / ^``, comparisons within ``where``, the functions
        of `ARITY`, and those of `READY_MADE` with as many arguments as they take.
    """
    if "|" in text:
        raise FormulaError(
            f"'{text.strip()}': group terms stand in the formulas of the curve's parameters (under nonlinear), not in the curve"
        )
    tree = expressions.parse(text.replace("^", "**"), (*ARITY, *READY_MADE))
    _check(tree, ast.unparse(tree))
    return tree


def canonical(text: str) -> str:
    """Return a curve as it is kept: parsing it again gives the same syntax tree."""
    return ast.unparse(parse(text))


def names(text: str) -> list[str]:
    """Return the names that a curve holds, columns and parameters, in the order in which they are written."""
    tree = parse(text)
    known = expressions.names(tree)
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in known)
    return list(dict.fromkeys(node.id for node in sorted(found, key=lambda n: (n.lineno, n.col_offset))))


def functions(text: str) -> list[str]:
    """Return the names of the functions that a curve calls."""
    calls = (node for node in ast.walk(parse(text)) if isinstance(node, ast.Call))
    return list(dict.fromkeys(node.func.id for node in calls if isinstance(node.func, ast.Name)))


def ready_made(text: str) -> tuple[str, ast.expr, tuple[str, ...]] | None:
    """Return the name, the predictor and the parameters of a curve that is one call of a ready-made one, of plain parameters."""
    match parse(text):
        case ast.Call(func=ast.Name(id=name), args=[x, *rest]) if name in READY_MADE and all(
            isinstance(argument, ast.Name) for argument in rest
        ):
            parameters = tuple(argument.id for argument in rest if isinstance(argument, ast.Name))
            apart = len(set(parameters)) == len(parameters) and not set(parameters) & expressions.names(x)
            return (name, x, parameters) if apart else None
    return None


@lru_cache(maxsize=256)
def expanded(text: str) -> ast.expr:
    """Return the syntax tree of a curve with the definitions of ready-made curves in their place; not to be changed."""
    return _expand(parse(text))


def evaluate(text: str, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """Compute a curve.

    Parameters
    ----------
    text
        The curve.
    values
        Columns and parameters by name: arrays that broadcast, or tensors.
    functions
        How each function of `ARITY` is computed; NumPy's if left out, where what overflows or is undefined is infinite or NaN.

    Returns
    -------
    object
        The curve's values, of the shape that all values broadcast to.
    """
    tree = expanded(text)
    if functions is not None:
        return _evaluate(tree, values, functions)
    with np.errstate(all="ignore"):
        return _evaluate(tree, values, NUMPY)


def latex(text: str, symbols: Mapping[str, str]) -> str:
    """Return a curve as LaTeX.

    Parameters
    ----------
    text
        The curve.
    symbols
        What columns and parameters are written as.
    """
    return _latex(expanded(text), symbols)[0]


def _check(node: ast.AST, text: str, condition: bool = False) -> None:
    """Check what `expressions.parse` lets pass: fewer operators, no text, comparisons only as conditions of ``where``."""
    children: list[tuple[ast.AST, bool]]
    match node:
        case ast.Name() if not condition:
            return
        case ast.Constant(value=value) if (
            not condition and isinstance(value, int | float) and not isinstance(value, bool)
        ):
            return
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY and not condition:
            children = [(left, False), (right, False)]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand) if not condition:
            children = [(operand, False)]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if condition and type(op) in _COMPARE:
            children = [(left, False), (right, False)]
        case ast.Call(func=ast.Name(id=name), args=arguments) if not condition:
            wanted = ARITY[name] if name in ARITY else len(READY_MADE[name].arguments)
            if len(arguments) != wanted:
                usage = READY_MADE[name].usage if name in READY_MADE else ""
                told = f"; it is {name}{usage}" if usage else ""
                raise FormulaError(
                    f"'{text}': '{name}' takes {wanted} argument{'s' if wanted > 1 else ''}, not {len(arguments)}{told}"
                )
            children = [(argument, name == "where" and i == 0) for i, argument in enumerate(arguments)]
        case _:
            if condition:
                raise FormulaError(
                    f"'{text}': the first argument of 'where' is a comparison such as x < midpoint, not '{ast.unparse(node)}'"
                )
            raise FormulaError(
                f"'{text}' holds '{ast.unparse(node)}', which no curve can: numbers, names, + - * / ^, the functions "
                f"{', '.join(ARITY)} and ready-made curves are allowed; comparisons stand in where(x < midpoint, a, b)"
            )
    for child, own in children:
        _check(child, text, own)


def _expand(node: ast.expr) -> ast.expr:
    """Return a tree in which every call of a ready-made curve is its definition."""

    class Definitions(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            self.generic_visit(call)
            assert isinstance(call.func, ast.Name)
            if call.func.id not in READY_MADE:
                return call
            curve = READY_MADE[call.func.id]
            given = dict(zip(curve.arguments, call.args, strict=True))
            return _Put(given).visit(ast.parse(curve.text, mode="eval").body)  # type: ignore[no-any-return]

    found = Definitions().visit(copy.deepcopy(node))
    assert isinstance(found, ast.expr)
    return found


class _Put(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, given: Mapping[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return copy.deepcopy(self.given.get(node.id, node))


def _evaluate(node: ast.AST, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]  # numbers only, by `_check`
        case ast.BinOp(op=op, left=left, right=right):
            return _BINARY[type(op)](_evaluate(left, values, functions), _evaluate(right, values, functions))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, values, functions)
            return -value if isinstance(op, ast.USub) else value
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARE[type(op)](_evaluate(left, values, functions), _evaluate(right, values, functions))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return functions[name](*(_evaluate(argument, values, functions) for argument in arguments))
    raise FormulaError(f"'{ast.dump(node)}' cannot be evaluated")


_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
"""How tightly a piece of LaTeX binds."""

_NAMED = {"exp", "log", "sin", "cos", "tan", "tanh", "min", "max"}
"""Functions with a name in LaTeX."""

_SHOWN_AS = {
    "minimum": r"\min",
    "maximum": r"\max",
    "logit": r"\operatorname{logit}",
    "inv_logit": r"\operatorname{logit}^{-1}",
}

_RELATIONS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge"}


def _latex(node: ast.AST, symbols: Mapping[str, str]) -> tuple[str, int]:
    """Return LaTeX and how tightly it binds."""

    def inside(child: ast.AST, level: int) -> str:
        text, own = _latex(child, symbols)
        return text if own >= level else rf"\left({text}\right)"

    match node:
        case ast.Name(id=name):
            return symbols[name], _ATOM
        case ast.Constant(value=int() | float() as value):
            return f"{value:g}", _ATOM
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return f"{inside(left, _SUM)} + {inside(right, _SUM)}", _SUM
        case ast.BinOp(op=ast.Sub(), left=left, right=right):
            return f"{inside(left, _SUM)} - {inside(right, _PRODUCT)}", _SUM
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return rf"{inside(left, _PRODUCT)}\,{inside(right, _POWER)}", _PRODUCT
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return rf"\frac{{{inside(left, _SUM)}}}{{{inside(right, _SUM)}}}", _POWER
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            whole = isinstance(left, ast.Name | ast.Constant)
            base = inside(left, _ATOM) if whole else rf"\left({inside(left, _SUM)}\right)"
            return f"{base}^{{{inside(right, _SUM)}}}", _POWER
        case ast.UnaryOp(op=op, operand=operand):
            return f"{'-' if isinstance(op, ast.USub) else ''}{inside(operand, _PRODUCT)}", _SIGN
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"{inside(left, _SUM)} {_RELATIONS[type(op)]} {inside(right, _SUM)}", _SUM
        case ast.Call(func=ast.Name(id="where"), args=[condition, yes, no]):
            rows = rf"{inside(yes, _SUM)} & {inside(condition, _SUM)} \\ {inside(no, _SUM)} & \text{{else}}"
            return rf"\begin{{cases}} {rows} \end{{cases}}", _POWER
        case ast.Call(func=ast.Name(id=name), args=arguments):
            values = r",\ ".join(inside(argument, _SUM) for argument in arguments)
            match name:
                case "sqrt":
                    return rf"\sqrt{{{values}}}", _ATOM
                case "abs":
                    return rf"\left|{values}\right|", _ATOM
                case "expm1":
                    return rf"\exp\left({values}\right) - 1", _SUM
                case "log1p":
                    return rf"\log\left(1 + {values}\right)", _POWER
            shown = rf"\{name}" if name in _NAMED else _SHOWN_AS[name]
            return rf"{shown}\left({values}\right)", _POWER
    raise FormulaError(f"'{ast.dump(node)}' cannot be written")
