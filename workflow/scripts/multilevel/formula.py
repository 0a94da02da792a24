"""Multilevel formulas: split into response, fixed part, offsets and group terms, and checked before anything evaluates them.

`y ~ x + offset(e) + (1 + x | g)` is written as in lme4 and brms. formulaic builds the matrix of the fixed part, and it
evaluates whatever Python stands in a formula; so the text is parsed with `ast` first and only what is listed here passes.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from multilevel.errors import FormulaError

MAX_LENGTH = 2_000
MAX_DEPTH = 40

TRANSFORMS = ("C", "I", "bs", "cr", "cc", "cs", "poly", "scale", "center", "log", "log2", "log10", "exp")
"""Functions that may stand in the fixed part and in the effects of a group term."""

CONTRASTS = ("treatment", "sum", "helmert", "poly", "diff", "backward", "forward")
"""Contrast codings that may stand in `C(x, contr.NAME(...))`."""


@dataclass(frozen=True)
class GroupTerm:
    """One group term of a formula.

    Parameters
    ----------
    group
        The grouping column.
    effects
        What varies over its levels, as the right-hand side of a formula: ``1 + x``.
    correlated
        True for ``(1 + x | g)``, False for ``(1 + x || g)``.
    """

    group: str
    effects: str
    correlated: bool

    def __str__(self) -> str:
        """Return the term as it is written in a formula."""
        return f"({self.effects} {'|' if self.correlated else '||'} {self.group})"


@dataclass(frozen=True)
class Formula:
    """A parsed formula.

    Parameters
    ----------
    response
        The response column; None where the formula leaves it out.
    fixed
        The fixed part, as the right-hand side of a formula: ``1 + x + z``.
    offsets
        Expressions added to the linear predictor with coefficient 1.
    group_terms
        The group terms in the order written.
    """

    response: str | None
    fixed: str
    offsets: tuple[str, ...]
    group_terms: tuple[GroupTerm, ...]

    def __str__(self) -> str:
        """Return the formula in its canonical form; parsing it again gives an equal formula."""
        parts = [self.fixed, *(f"offset({o})" for o in self.offsets), *(str(t) for t in self.group_terms)]
        return f"{self.response or ''} ~ {' + '.join(parts)}".strip()

    def variables(self) -> set[str]:
        """Return every column that the formula reads, the response included."""
        found = {self.response} if self.response else set()
        for text in (self.fixed, *self.offsets, *(t.effects for t in self.group_terms)):
            found |= column_names(text)
        return found | {t.group for t in self.group_terms}


def parse(text: str) -> Formula:
    """Parse and check a formula.

    Parameters
    ----------
    text
        Such as ``log_radon ~ floor * log_uranium + (1 + floor | county)``.

    Raises
    ------
    FormulaError
        When it is no formula or holds anything that is not listed; the message says what.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"is longer than {MAX_LENGTH} characters")
    if not text.isprintable():
        raise FormulaError(f"{text!r} holds a line break or another control character")
    sides = split_top(text, "~")
    if len(sides) != 2:
        raise FormulaError(f"'{text}' must hold one '~', as in 'y ~ x + (1 | group)'")
    response = sides[0].strip()
    if response and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", response):
        raise FormulaError(
            f"the response '{response}' must be one column; derive a transformed response as a column of its own (data.derive)"
        )
    fixed: list[str] = []
    offsets: list[str] = []
    terms: list[GroupTerm] = []
    for sign, term in signed_terms(sides[1]):
        inner = _inside_parentheses(term)
        if inner is not None and _has_bar(inner):
            if sign == "-":
                raise FormulaError(f"'-{term}': a group term cannot be subtracted")
            terms.append(_group_term(inner))
        elif match := re.fullmatch(r"offset\s*\((.*)\)", term):
            if sign == "-":
                raise FormulaError(f"'-{term}': an offset cannot be subtracted; write offset(-(...))")
            offsets.append(_canonical(match.group(1)))
        elif "|" in term:
            raise FormulaError(f"'{term}': a group term stands in parentheses of its own, as in (1 + x | group)")
        else:
            fixed.append(f"{'- ' if sign == '-' else ''}{_canonical(term)}")
    if len(terms) != len({(t.group, t.effects) for t in terms}):
        raise FormulaError(f"'{text}' holds the same group term twice")
    return Formula(response or None, _join(fixed), tuple(offsets), tuple(terms))


def column_names(text: str) -> set[str]:
    """Return the columns that a checked piece of a formula reads."""
    tree = _tree(text)
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    functions |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions}


def has_intercept(text: str) -> bool:
    """Tell whether a right-hand side such as ``0 + x`` keeps its intercept."""
    keeps = True
    for sign, term in signed_terms(text):
        if term == "0":
            keeps = sign == "-"
        elif term == "1":
            keeps = sign == "+"
    return keeps


def split_top(text: str, separator: str) -> list[str]:
    """Split at a character outside parentheses and quotes.

    Raises
    ------
    FormulaError
        When parentheses or quotes do not close.
    """
    parts, start = [], 0
    for position, char, depth in _outside_quotes(text):
        if char == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def signed_terms(text: str) -> list[tuple[str, str]]:
    """Split a right-hand side into terms with their signs: ``x - 1`` gives ``[("+", "x"), ("-", "1")]``."""
    pieces: list[tuple[str, str]] = []
    sign, start, previous = "+", 0, ""
    for position, char, depth in _outside_quotes(text):
        # A sign after another operator belongs to the term (x**-1); at the start it belongs to the term that follows.
        if char in "+-" and depth == 0 and previous not in "*/:^%":
            term = text[start:position].strip()
            if term:
                pieces.append((sign, term))
                sign = char
            elif pieces or previous:
                raise FormulaError(f"'{text.strip()}' has two signs in a row or an empty term")
            else:
                sign = char
            start = position + 1
            previous = char
        elif not char.isspace():
            previous = char
    term = text[start:].strip()
    if not term:
        raise FormulaError(
            f"'{text.strip()}' ends without a term" if text.strip() else "nothing stands on the right of '~'"
        )
    return [*pieces, (sign, term)]


def _outside_quotes(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield position, character and parenthesis depth of every character outside quotes."""
    depth, quote = 0, ""
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
            continue
        if char in "\"'":
            quote = char
            continue
        if char in ")]}":
            depth -= 1
            if depth < 0:
                raise FormulaError(f"'{text.strip()}' closes a parenthesis that was not opened")
        yield position, char, depth
        if char in "([{":
            depth += 1
    if depth or quote:
        raise FormulaError(f"'{text.strip()}' has {'a quote' if quote else 'a parenthesis'} that does not close")


def _inside_parentheses(term: str) -> str | None:
    """Return what stands between the parentheses that enclose a whole term, or None."""
    if not (term.startswith("(") and term.endswith(")")):
        return None
    depth = 0
    for position, char in enumerate(term):
        depth += (char == "(") - (char == ")")
        if depth == 0 and position < len(term) - 1:
            return None
    return term[1:-1]


def _has_bar(inner: str) -> bool:
    return any(char == "|" and depth == 0 for _, char, depth in _outside_quotes(inner))


def _group_term(inner: str) -> GroupTerm:
    parts = split_top(inner, "|")
    correlated = len(parts) == 2
    if not correlated and not (len(parts) == 3 and parts[1].strip() == "" and "||" in inner):
        raise FormulaError(f"'({inner})' must be (effects | group) or (effects || group)")
    effects, group = parts[0].strip(), parts[-1].strip()
    if not effects:
        raise FormulaError(f"'({inner})' names no effects; write (1 | {group or 'group'})")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", group):
        raise FormulaError(f"'({inner})': the group '{group}' must be one column")
    pieces = [f"{'- ' if sign == '-' else ''}{_canonical(term)}" for sign, term in signed_terms(effects)]
    return GroupTerm(group, _join(pieces), correlated)


def _join(pieces: list[str]) -> str:
    """Join terms into a right-hand side that states its intercept."""
    words = [piece.replace(" ", "") for piece in pieces]
    without = "0" in words or "-1" in words
    kept = [piece for piece, word in zip(pieces, words, strict=True) if word not in {"0", "1", "-1"}]
    text = " + ".join(["0" if without else "1", *kept])
    return text.replace("+ - ", "- ")


def _canonical(term: str) -> str:
    """Check one term and return it with uniform spaces."""
    tree = _tree(term)
    _check_term(tree, term, 0)
    return _unparse(tree)


def _tree(text: str) -> ast.expr:
    if "@" in text or "`" in text:
        raise FormulaError(f"'{text}' holds a character that is not allowed")
    swapped = list(text)
    for position, char, _ in _outside_quotes(text):
        if char == ":":
            swapped[position] = "@"  # Python has no binary ':'; '@' binds like it and is refused above
        elif char == "^":
            swapped[position] = "**"
    try:
        return ast.parse("".join(swapped).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise FormulaError(f"'{text}' is no term of a formula ({reason})") from None


def _unparse(tree: ast.expr) -> str:
    text = ast.unparse(tree)
    return "".join(_swap_back(text))


def _swap_back(text: str) -> Iterator[str]:
    last = 0
    for position, char, _ in _outside_quotes(text):
        if char == "@":
            yield text[last:position].rstrip() + ":"
            last = position + 2  # ast.unparse writes ' @ '
    yield text[last:]


def _check_term(node: ast.AST, text: str, depth: int) -> None:
    """Check a term at the level of formula operators (``+ - * : / **``)."""
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Name():
            return
        case ast.Constant(value=int(value)) if not isinstance(value, bool) and value in (0, 1):
            return
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int(power))) if 1 <= power <= 10:
            _check_term(left, text, depth + 1)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.MatMult(), left=left, right=right):
            _check_term(left, text, depth + 1)
            _check_term(right, text, depth + 1)
        case ast.Call():
            _check_call(node, text, depth)
        case ast.Constant(value=value):
            raise FormulaError(f"'{text}': the number or text {value!r} cannot be a term; only 0 and 1 can")
        case _:
            raise FormulaError(f"'{text}' is not allowed in a formula ({type(node).__name__})")


def _check_call(node: ast.Call, text: str, depth: int) -> None:
    if not isinstance(node.func, ast.Name):
        raise FormulaError(f"'{text}' is not allowed in a formula (a call of {ast.unparse(node.func)})")
    name = node.func.id
    if name not in TRANSFORMS:
        near = difflib.get_close_matches(name, TRANSFORMS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "functions are " + ", ".join(TRANSFORMS)
        raise FormulaError(f"'{text}': the function '{name}' is not allowed in a formula; {hint}")
    for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
        _check_argument(value, text, depth + 1)
    if any(keyword.arg is None for keyword in node.keywords):
        raise FormulaError(f"'{text}' is not allowed in a formula (**)")


def _check_argument(node: ast.AST, text: str, depth: int) -> None:
    """Check an argument of a function: arithmetic on columns, constants, lists of constants, a contrast."""
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str() | None):
            return
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), left=left, right=right):
            children: list[ast.AST] = [left, right]
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int() | float() as power)) if abs(power) <= 10:
            children = [left]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            children = [operand]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            children = list(elements)
        case ast.Attribute(value=ast.Name(id="contr"), attr=attr) if attr in CONTRASTS:
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="contr"), attr=attr)) if attr in CONTRASTS:
            children = [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.Call():
            _check_call(node, text, depth)
            return
        case _:
            raise FormulaError(f"'{text}' is not allowed in a formula ({type(node).__name__})")
    for child in children:
        _check_argument(child, text, depth + 1)
