"""Multilevel formulas: split into response, fixed part, offsets and group terms, and checked before anything evaluates them.

`y | trials(n) ~ x + offset(e) + (1 + x | g)` is written as in lme4 and brms. formulaic builds the matrix of the fixed part,
and it evaluates whatever Python stands in a formula; so the text is parsed with `ast` first and only what is listed here
passes.

A group may be crossed (`a:b`) or nested (`a/b`, which is `a` and `a:b`). Terms that share an id, `(1 | id | g)`, have
effects that are correlated with one another, also where they stand in the formulas of different parameters.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multilevel import curves, expressions, transforms
from multilevel.errors import FormulaError

MAX_LENGTH = 2_000
MAX_DEPTH = 40
MAX_POWER = 10
MAX_WORK = 20_000
"""Most terms that one piece of a formula may make as it is expanded; formulaic makes them all before it drops repetitions."""
REFUSED = "\\@`#"
"""Characters that no formula needs and that Python or formulaic would read in its own way."""

BY_GROUP = ("within", "between", "group_mean")
"""Functions of a predictor and a grouping: its deviation from the group's mean, and the group's mean itself (`between`
minus the mean over rows), as in Mundlak (1978, Econometrica 46:69)."""

TRANSFORMS = (
    "C",
    "I",
    "bs",
    "cr",
    "cc",
    "poly",
    "scale",
    "center",
    "log",
    "log2",
    "log10",
    "exp",
    "sqrt",
    *BY_GROUP,
)
"""Functions that may stand in the fixed part and in the effects of a group term."""

RESPONSE_TERMS = ("trials", "weights", "se", "cens", "trunc")
"""What may stand beside the response, after a bar: `y | trials(n) + weights(w) ~ ...`."""

COLUMN = r"[A-Za-z_][A-Za-z0-9_]*"

IN_TIME = ("ar1", "rw")
"""Structures of levels that follow each other in time: an autoregression and a random walk."""

DISTRIBUTIONS = ("gaussian", "student")
"""What the effects of a group term are distributed as, ``gr(g, dist=student)``; the first if left out."""

SPECIFIC = "cs"
"""Marks category-specific effects of an ordinal family, as in brms: a term of the fixed part, not a function of a column."""

BASES = ("bs", "cr", "cc", "poly")
"""Functions that make several columns of one."""

MAX_COLUMNS = 200
"""Most columns that one of `BASES` may make."""

CONTRASTS = ("treatment", "sum", "helmert", "poly", "diff", "backward", "forward")
"""Contrast codings that may stand in `C(x, contr.NAME(...))`."""

_PYTHON = {"+": "<<", "-": ">>", "*": "+", "/": "-", ":": "@"}
"""Python's operators that bind among each other as those of a formula do: ``a * b:c`` is ``a * (b:c)``, as in R."""

_OPERATORS: dict[type[ast.operator], tuple[str, int]] = {
    ast.LShift: (" + ", 1),
    ast.RShift: (" - ", 1),
    ast.Add: (" * ", 2),
    ast.Sub: (" / ", 2),
    ast.MatMult: (":", 3),
}
"""The formula's operators for Python's, and how tightly they bind; a power binds with 4, a name or a call with 5."""


@dataclass(frozen=True)
class GroupTerm:
    """One group term of a formula.

    Parameters
    ----------
    group
        The grouping: a column, or several whose combinations are the levels (``school:class``).
    effects
        What varies over its levels, as the right-hand side of a formula: ``1 + x``.
    correlated
        True for ``(1 + x | g)``, False for ``(1 + x || g)``.
    id
        Name shared by terms whose effects are correlated with one another; empty where the term stands alone.
    members
        Of multiple membership, ``mm(a, b)``, the columns that name the levels a row belongs to.
    weights
        Of multiple membership, an expression of columns for each of them; equal weights where there are none.
    scaling
        What is said of the weights of a row: ``scale`` divides them by their sum, ``normalised`` declares that it is 1.
    cov
        Name of the known covariance over the levels (``data.covariances``); empty where levels are independent.
    by
        Column by whose levels the covariance over effects differs.
    dist
        Distribution of the effects, one of `DISTRIBUTIONS`.
    structure
        One of `IN_TIME` where levels follow each other in time, the last column of the grouping; empty otherwise.
    """

    group: str
    effects: str
    correlated: bool
    id: str = ""
    members: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    scaling: str = ""
    cov: str = ""
    by: str = ""
    dist: str = "gaussian"
    structure: str = ""

    def __str__(self) -> str:
        """Return the term as it is written in a formula."""
        bar = f"| {self.id} |" if self.id else "|" if self.correlated else "||"
        options = [f"cov={self.cov}"] if self.cov else []
        options += [f"by={self.by}"] if self.by else []
        options += [f"dist={self.dist}"] if self.dist != DISTRIBUTIONS[0] else []
        options += [f"structure={self.structure}"] if self.structure else []
        if self.members:
            weights = [f"weights=cbind({', '.join(self.weights)})"] if self.weights else []
            scaling = [f"{self.scaling}=true"] if self.scaling else []
            return f"({self.effects} {bar} mm({', '.join([*self.members, *weights, *scaling, *options])}))"
        return f"({self.effects} {bar} {f'gr({", ".join([self.group, *options])})' if options else self.group})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the grouping is made of."""
        return (*(self.members or self.group.split(":")), *([self.by] if self.by else []))


@dataclass(frozen=True)
class ResponseTerm:
    """What stands beside the response: ``trials(n)``, ``weights(w)``, ``se(s)``, ``cens(c)``, ``trunc(lb=0)``.

    Parameters
    ----------
    name
        One of `RESPONSE_TERMS`.
    arguments
        Expressions of columns (`expressions`): the number of trials, the weight, the standard error; for ``cens`` the
        column of kinds and, for intervals, the upper end; for ``trunc`` the bounds.
    sigma
        For ``se``: whether a residual standard deviation is estimated on top (``se(s, sigma=true)``).
    names
        For ``trunc``: what each argument is, ``lb`` or ``ub``; nothing for others.
    """

    name: str
    arguments: tuple[str, ...]
    sigma: bool = False
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the term as it is written in a formula."""
        arguments = self.arguments
        if self.names:
            arguments = tuple(f"{name}={value}" for name, value in zip(self.names, arguments, strict=True))
        return f"{self.name}({', '.join([*arguments, *(['sigma=true'] if self.sigma else [])])})"


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
        The group terms in the order written, nested ones written out.
    response_terms
        What stands beside the response, in the order of `RESPONSE_TERMS`.
    specific
        The part whose effects differ between the categories of an ordinal response, ``cs(...)``, as a right-hand side;
        empty where there is none.
    curve
        Of a nonlinear model, the curve (`curves`), which stands for all of the right-hand side; empty for any other.
    curve_parameters
        The parameters of the curve, each with a formula of its own.
    """

    response: str | None
    fixed: str
    offsets: tuple[str, ...]
    group_terms: tuple[GroupTerm, ...]
    response_terms: tuple[ResponseTerm, ...] = ()
    specific: str = ""
    curve: str = ""
    curve_parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the formula in its canonical form; parsing it again gives an equal formula."""
        beside = f" | {' + '.join(map(str, self.response_terms))}" if self.response_terms else ""
        return f"{self.response or ''}{beside} ~ {self.right_hand_side()}".strip()

    def right_hand_side(self) -> str:
        """Return what stands on the right of the tilde, in its canonical form."""
        if self.curve:
            return self.curve
        specific = [f"{SPECIFIC}({self.specific.removeprefix('1 + ')})"] if self.specific else []
        offsets = [f"offset({o})" for o in self.offsets]
        return " + ".join([self.fixed, *specific, *offsets, *map(str, self.group_terms)])

    @property
    def population(self) -> tuple[str, ...]:
        """The right-hand sides whose effects are those of the population: the fixed part, and what stands in ``cs()``."""
        return (self.fixed, self.specific) if self.specific else (self.fixed,)

    def variables(self) -> set[str]:
        """Return every column that the formula reads, the response included."""
        found = {self.response} if self.response else set()
        found |= set(self.curve_columns)
        for text in (*self.population, *(t.effects for t in self.group_terms)):
            found |= column_names(text)
        for text in (*self.offsets, *(a for t in self.response_terms for a in t.arguments)):
            found |= expressions.names(expressions.parse(text))
        for text in (w for t in self.group_terms for w in t.weights):
            found |= expressions.names(expressions.parse(text))
        return found | {c for t in self.group_terms for c in t.columns}

    @property
    def curve_columns(self) -> tuple[str, ...]:
        """The columns that the curve reads, in the order in which they are written."""
        return tuple(n for n in curves.names(self.curve) if n not in self.curve_parameters) if self.curve else ()

    def response_term(self, name: str) -> ResponseTerm | None:
        """Return the response term of that name, or None."""
        return next((t for t in self.response_terms if t.name == name), None)

    def with_response(self, response: str) -> Formula:
        """Return the formula with that response."""
        return replace(self, response=response)


def parse(text: str, curve_parameters: Sequence[str] = ()) -> Formula:
    """Parse and check a formula.

    Parameters
    ----------
    text
        Such as ``log_radon ~ floor * log_uranium + (1 + floor | county)``.
    curve_parameters
        Of a nonlinear model, the parameters of the curve that stands on the right, in any order.

    Raises
    ------
    FormulaError
        When it is no formula or holds anything that is not listed; the message says what.
    """
    _check_characters(text)
    sides = split_top(text, "~")
    if len(sides) != 2:
        raise FormulaError(f"'{text}' must hold one '~', as in 'y ~ x + (1 | group)'")
    response, beside = _left_hand_side(sides[0])
    if curve_parameters:
        curve = curves.canonical(sides[1])
        return Formula(response or None, "0", (), (), beside, "", curve, _in_order(curve, curve_parameters))
    fixed: list[tuple[str, str]] = []
    offsets: list[str] = []
    terms: list[GroupTerm] = []
    specific: list[tuple[str, str]] = []
    for sign, term in signed_terms(sides[1]):
        inner = _inside_parentheses(term)
        if inner is not None and _has_bar(inner):
            if sign == "-":
                raise FormulaError(f"'-{term}': a group term cannot be subtracted")
            terms += _group_terms(inner)
        elif match := re.fullmatch(r"offset\s*\((.*)\)", term):
            if sign == "-":
                raise FormulaError(f"'-{term}': an offset cannot be subtracted; write offset(-(...))")
            offsets.append(_offset(match.group(1)))
        elif (inside := _inside_call(SPECIFIC, term)) is not None:
            specific += _specific(sign, term, inside)
        elif "|" in term:
            raise FormulaError(f"'{term}': a group term stands in parentheses of its own, as in (1 + x | group)")
        else:
            fixed.append((sign, term))
    if len(terms) != len({(t.group, t.effects, t.cov) for t in terms}):
        raise FormulaError(f"'{text}' holds the same group term twice")
    own = _right_hand_side(specific) if specific else ""
    return Formula(response or None, _right_hand_side(fixed), tuple(offsets), tuple(terms), beside, own)


def parse_parameter(text: str) -> Formula:
    """Parse the formula of a parameter other than the first: the right-hand side alone, such as ``1 + x + (1 | g)``.

    Raises
    ------
    FormulaError
        When it is none; the message says what is wrong.
    """
    found = parse(text if "~" in text else f"~ {text}")
    if found.response or found.response_terms:
        raise FormulaError(f"'{text}' names a response; the formula of a parameter has only a right-hand side")
    if found.specific:
        raise FormulaError(
            f"'{text}': category-specific effects, {SPECIFIC}(...), stand in the formula of the response"
        )
    return found


def _in_order(curve: str, parameters: Sequence[str]) -> tuple[str, ...]:
    """Return parameters in the order in which a curve has them, those that it lacks at the end."""
    found = [name for name in curves.names(curve) if name in parameters]
    return (*found, *(name for name in parameters if name not in found))


def of_response(model: Mapping[str, Any]) -> Formula:
    """Return the formula of the response of a model of the plan."""
    return parse(model["formula"], tuple(model.get("nonlinear", ())))


def of_model(model: Mapping[str, Any]) -> list[Formula]:
    """Return the formulas of a model of the plan: of the response, of the curve's parameters, of the family's others."""
    others = [*model.get("nonlinear", {}).values(), *model.get("parameters", {}).values()]
    return [of_response(model), *map(parse_parameter, others)]


def covariances(parts: list[Formula]) -> list[str]:
    """Return the known covariances that formulas name, as datasets call them (``cov(kinship)``), in order of first use."""
    return list(dict.fromkeys(f"cov({t.cov})" for part in parts for t in part.group_terms if t.cov))


def partitions(parts: list[Formula]) -> list[str]:
    """Return the groupings of formulas that put each row into one level, in order of first use."""
    return list(dict.fromkeys(t.group for part in parts for t in part.group_terms if not t.members))


def memberships(parts: list[Formula]) -> list[str]:
    """Return the groupings of formulas that put each row into several levels, in order of first use."""
    return list(dict.fromkeys(t.group for part in parts for t in part.group_terms if t.members))


def known_parameters(parsed: Formula) -> frozenset[str]:
    """Return the parameters that the formula makes known: ``sigma`` under ``se(s)``, unless it adds ``sigma=true``."""
    se = parsed.response_term("se")
    return frozenset({"sigma"}) if se and not se.sigma else frozenset()


def _left_hand_side(text: str) -> tuple[str, tuple[ResponseTerm, ...]]:
    """Split ``y | trials(n) + weights(w)`` into the response and what stands beside it.

    ``cbind(s, f)`` is the number of successes beside ``trials(s + f)``.
    """
    parts = split_top(text, "|")
    if len(parts) > 2:
        raise FormulaError(f"'{text.strip()}' holds more than one bar; write 'y | trials(n) + weights(w) ~ ...'")
    response = parts[0].strip()
    found: list[ResponseTerm] = []
    if match := re.fullmatch(rf"cbind\s*\(\s*({COLUMN})\s*,\s*({COLUMN})\s*\)", response):
        response = match.group(1)
        found.append(ResponseTerm("trials", (f"{match.group(1)} + {match.group(2)}",)))
    if response and not re.fullmatch(COLUMN, response):
        hint = (
            "cbind takes two columns, successes and failures: cbind(success, failure)"
            if response.startswith("cbind")
            else "derive a transformed response as a column of its own (data.derive)"
        )
        raise FormulaError(f"the response '{response}' must be one column; {hint}")
    if len(parts) == 2:
        if not response:
            raise FormulaError(f"'{text.strip()}' names no response before the bar")
        for sign, term in signed_terms(parts[1]):
            if sign == "-":
                raise FormulaError(f"'-{term}': nothing can be subtracted beside the response")
            found.append(_response_term(term))
    if repeated := next((t.name for i, t in enumerate(found) if t.name in {o.name for o in found[:i]}), None):
        raise FormulaError(f"'{text.strip()}' gives {repeated} twice")
    return response, tuple(sorted(found, key=lambda t: RESPONSE_TERMS.index(t.name)))


def _response_term(text: str) -> ResponseTerm:
    """Parse one term beside the response; its arguments are expressions of columns."""
    match = re.fullmatch(r"([A-Za-z_]+)\s*\((.*)\)", text.strip())
    name = match.group(1) if match else text.strip()
    if match is None or name not in RESPONSE_TERMS:
        near = difflib.get_close_matches(name, RESPONSE_TERMS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "choose from " + ", ".join(f"{n}(...)" for n in RESPONSE_TERMS)
        raise FormulaError(f"'{text.strip()}' cannot stand beside the response; {hint}")
    if name == "trunc":
        return _truncation(text, match.group(2))
    arguments, sigma = [], False
    for piece in split_top(match.group(2), ","):
        if option := re.fullmatch(r"\s*sigma\s*=\s*(true|false)\s*", piece, re.IGNORECASE):
            if name != "se":
                raise FormulaError(f"'{text}': only se takes sigma=")
            sigma = option.group(1).lower() == "true"
        elif not piece.strip():
            raise FormulaError(
                f"'{text}' lacks a column; write {name}({ {'se': 's', 'cens': 'c', 'trials': 'n'}.get(name, 'w') })"
            )
        else:
            arguments.append(_expression(piece, text))
    most = 2 if name == "cens" else 1
    if not 1 <= len(arguments) <= most:
        usage = "cens(kind) or cens(kind, upper)" if name == "cens" else f"{name} takes one column or number"
        raise FormulaError(f"'{text}' has {len(arguments)} arguments; {usage}")
    return ResponseTerm(name, tuple(arguments), sigma)


def _truncation(text: str, inside: str) -> ResponseTerm:
    """Parse ``trunc(lb=0, ub=10)``: one bound or two, by name."""
    found: dict[str, str] = {}
    for piece in split_top(inside, ","):
        bound = re.fullmatch(r"\s*(lb|ub)\s*=(?!=)(.+)", piece)
        if bound is None or bound.group(1) in found:
            what = f"names {bound.group(1)} twice" if bound else f"holds '{piece.strip()}'"
            raise FormulaError(f"'{text}' {what}; write trunc(lb=...), trunc(ub=...) or both, separated by a comma")
        found[bound.group(1)] = _expression(bound.group(2), text)
    names = tuple(name for name in ("lb", "ub") if name in found)
    return ResponseTerm("trunc", tuple(found[name] for name in names), names=names)


def _check_characters(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"is longer than {MAX_LENGTH} characters")
    if not text.isprintable():
        raise FormulaError(f"{text!r} holds a line break or another control character")
    if refused := [char for char in REFUSED if char in text]:
        raise FormulaError(f"'{text}' holds the character {refused[0]}, which no formula needs")


def column_names(text: str) -> set[str]:
    """Return the columns that a checked piece of a formula reads."""
    tree = _tree(text)
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    functions |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions}


def predictor_names(text: str) -> set[str]:
    """Return the columns that a checked piece of a formula predicts by: without those that only group (`BY_GROUP`)."""
    tree = _tree(text)
    groups = {
        id(n.args[1]) for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in BY_GROUP
    }
    read = column_names(text)
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in read and id(n) not in groups}


def calls(text: str) -> list[ast.Call]:
    """Return the outermost calls of a checked piece of a formula."""
    found: list[ast.Call] = []
    queue: list[ast.AST] = [_tree(text)]
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Call):
            found.append(node)
        else:
            queue += list(ast.iter_child_nodes(node))
    return found


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
        if char in "+-" and depth == 0 and previous not in tuple("*/:^%"):
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


def _inside_call(name: str, term: str) -> str | None:
    """Return what stands between the parentheses of a term that is one call of a function, or None."""
    return _inside_parentheses(term[len(name) :].strip()) if re.match(rf"{name}\s*\(", term) else None


def _has_bar(inner: str) -> bool:
    return any(char == "|" and depth == 0 for _, char, depth in _outside_quotes(inner))


def _group_terms(inner: str) -> list[GroupTerm]:
    """Return the terms that ``effects | group`` stands for: several where the group is nested, ``a/b``."""
    parts = split_top(inner, "|")
    between = parts[1].strip() if len(parts) == 3 else ""
    uncorrelated = len(parts) == 3 and not between and "||" in inner
    if len(parts) != 2 and not uncorrelated and not (len(parts) == 3 and re.fullmatch(r"[A-Za-z0-9_]+", between)):
        raise FormulaError(f"'({inner})' must be (effects | group), (effects || group) or (effects | id | group)")
    effects, group = parts[0].strip(), parts[-1].strip()
    if not effects:
        raise FormulaError(f"'({inner})' names no effects; write (1 | {group or 'group'})")
    if not group:
        raise FormulaError(f"'({inner})' names no group; write ({effects} | group)")
    varying = _right_hand_side(signed_terms(effects))
    if call := re.fullmatch(rf"({'|'.join(IN_TIME)})\s*\((.*)\)", group):
        group = f"gr({call.group(2)}, structure={call.group(1)})"
    if call := re.fullmatch(r"(gr|mm)\s*\((.*)\)", group):
        return [
            replace(term, effects=varying, correlated=not uncorrelated, id=between)
            for term in _structured(call.group(1), call.group(2), inner)
        ]
    return [GroupTerm(name, varying, not uncorrelated, between) for name in _groups(group, inner)]


def _structured(name: str, inside: str, inner: str) -> list[GroupTerm]:
    """Return the groupings of ``gr(g, cov=K, by=f, dist=student)`` and ``mm(a, b, weights=cbind(u, v))``."""
    takes = {"gr": ("cov", "by", "dist", "structure"), "mm": ("weights", "scale", "normalised", "cov", "dist")}[name]
    groups: list[str] = []
    options: dict[str, str] = {}
    for piece in split_top(inside, ","):
        if option := re.fullmatch(r"\s*([A-Za-z_]+)\s*=(?!=)(.+)", piece):
            key = option.group(1)
            if key not in takes:
                near = difflib.get_close_matches(key, takes, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(takes)}"
                raise FormulaError(f"'({inner})': {name}() takes no {key}=; {hint}")
            if key in options:
                raise FormulaError(f"'({inner})' gives {key}= twice")
            options[key] = option.group(2).strip()
        elif options:
            raise FormulaError(f"'({inner})': '{piece.strip()}' stands behind an option; columns come first")
        else:
            groups.append(piece.strip())
    for key in ("cov", "by"):
        if key in options and not re.fullmatch(COLUMN, options[key]):
            what = "the name of a covariance (data.covariances)" if key == "cov" else "a column"
            raise FormulaError(f"'({inner})': {key}= takes {what}, not '{options[key]}'")
    dist = options.get("dist", DISTRIBUTIONS[0]).strip("'\"")
    if dist not in DISTRIBUTIONS:
        raise FormulaError(f"'({inner})': group effects cannot be '{dist}'; choose from {', '.join(DISTRIBUTIONS)}")
    if options.get("cov") and dist != DISTRIBUTIONS[0]:
        raise FormulaError(f"'({inner})': effects with a known covariance are gaussian; leave dist= out")
    if options.get("cov") and options.get("by"):
        raise FormulaError(f"'({inner})': a known covariance ties levels of different '{options['by']}'; leave by= out")
    term = GroupTerm("", "", True, cov=options.get("cov", ""), by=options.get("by", ""), dist=dist)
    term = replace(term, structure=_in_time(options, dist, inner))
    if name == "gr":
        if len(groups) != 1 or not groups[0]:
            raise FormulaError(f"'({inner})': gr() takes one group; write gr(g) or gr(a:b)")
        return [replace(term, group=group) for group in _groups(groups[0], inner)]
    return [_membership(term, groups, options, inner)]


def _in_time(options: Mapping[str, str], dist: str, inner: str) -> str:
    """Return the structure of levels that follow each other in time; nothing where they do not."""
    if "structure" not in options:
        return ""
    name = options["structure"].strip("'\"")
    if name not in IN_TIME:
        near = difflib.get_close_matches(name, IN_TIME, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(IN_TIME)}"
        raise FormulaError(f"'({inner})': unknown structure '{name}' of the levels of a group; {hint}")
    if other := next((key for key in ("cov", "by") if key in options), "dist" if dist != DISTRIBUTIONS[0] else ""):
        raise FormulaError(
            f"'({inner})': levels that follow each other in time take no {other}=; leave one of them out"
        )
    return name


def _membership(term: GroupTerm, columns: list[str], options: Mapping[str, str], inner: str) -> GroupTerm:
    """Return the term of ``mm(a, b, ...)``."""
    if len(columns) < 2 or not all(re.fullmatch(COLUMN, column) for column in columns):
        raise FormulaError(f"'({inner})': mm() takes two columns or more that name the levels of a row, as in mm(a, b)")
    if len(set(columns)) < len(columns):
        raise FormulaError(f"'({inner})': mm() names a column twice")
    weights: list[str] = []
    if "weights" in options:
        inside = _inside_call("cbind", options["weights"])
        if inside is None:
            raise FormulaError(f"'({inner})': weights= takes a column for each group, as in weights=cbind(u, v)")
        weights = [_expression(piece.strip(), inner) for piece in split_top(inside, ",")]
        if len(weights) != len(columns):
            raise FormulaError(f"'({inner})' has {len(columns)} groups and {len(weights)} weights")
    chosen = []
    for key in ("scale", "normalised"):
        value = options.get(key, "false").lower()
        if value not in {"true", "false"}:
            raise FormulaError(f"'({inner})': {key}= takes true or false, not '{options[key]}'")
        chosen += [key] if value == "true" else []
    if len(chosen) > 1:
        raise FormulaError(f"'({inner})': weights that are normalised need no scale=true; write one of them")
    if chosen and not weights:
        raise FormulaError(f"'({inner})': {chosen[0]}= is about weights, and there are none")
    return replace(
        term, group="+".join(columns), members=tuple(columns), weights=tuple(weights), scaling=next(iter(chosen), "")
    )


def _groups(text: str, inner: str) -> list[str]:
    """Return the groupings of ``a``, ``a:b`` and ``a/b`` (which is ``a`` and ``a:b``)."""
    found: list[str] = []
    outer = ""
    for step in text.split("/"):
        columns = [column.strip() for column in step.split(":")]
        if not all(re.fullmatch(COLUMN, column) for column in columns):
            raise FormulaError(
                f"'({inner})': the group '{text}' must be a column, several crossed (a:b) or nested (a/b)"
            )
        outer = ":".join([*([outer] if outer else []), *columns])
        found.append(outer)
    if len(set(outer.split(":"))) < len(outer.split(":")):
        raise FormulaError(f"'({inner})': the group '{text}' names a column twice")
    return found


def _specific(sign: str, term: str, inner: str) -> list[tuple[str, str]]:
    """Return the signed terms of ``cs(...)``."""
    if not inner.strip():
        raise FormulaError(f"'{term}' names no predictor; write cs(x)")
    if sign == "-":
        raise FormulaError(f"'-{term}': category-specific effects cannot be subtracted; leave them out")
    if len(split_top(inner, ",")) > 1:
        raise FormulaError(f"'{term}' takes predictors, as in cs(x + z); a natural cubic spline is cr(x, df=4)")
    found = signed_terms(inner)
    if any(name in {"0", "1"} for _, name in found) or found[0][0] == "-":
        raise FormulaError(f"'{term}' takes predictors, as in cs(x + z): the thresholds are its intercepts")
    return found


def _offset(text: str) -> str:
    return _expression(text, f"offset({text})")


def _expression(text: str, whole: str) -> str:
    """Return an expression of columns in its canonical form."""
    canonical = ast.unparse(expressions.parse(text))
    if any(char in canonical for char in REFUSED):
        raise FormulaError(f"'{whole}' holds text with quotes in it")
    return canonical


def _right_hand_side(terms: list[tuple[str, str]]) -> str:
    """Check terms and join them, the intercept stated first; of several 0 and 1 the last one holds, as in R."""
    intercept, rest = "1", ""
    for sign, term in terms:
        if term in {"0", "1"}:
            intercept = "1" if (term == "1") == (sign == "+") else "0"
        else:
            tree = _tree(term)
            rest += f" {sign} {_enclosed(_write(tree, term, 0), 2)}"
            if _work(tree)[1] > MAX_WORK:
                raise FormulaError(f"'{_shortened(term)}' stands for too many terms; write out those that are meant")
    return intercept + rest


def _tree(text: str) -> ast.expr:
    """Parse a right-hand side as Python, its operators outside calls replaced by those of `_PYTHON`."""
    if "<" in text or ">" in text:
        raise FormulaError(f"'{text}' holds a comparison; derive a column of it (data.derive)")
    swapped, previous, call = list(text), "", -1
    for position, char, depth in _outside_quotes(text):
        if char == "^":
            swapped[position] = "**"
        elif call >= 0:
            call = -1 if char == ")" and depth == call else call
        elif char == "(" and (previous.isalnum() or previous in tuple("_)")):
            call = depth
        elif char in _PYTHON and "**" not in (text[position - 1 : position + 1], text[position : position + 2]):
            swapped[position] = _PYTHON[char]
        previous = previous if char.isspace() else char
    try:
        return ast.parse("".join(swapped).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise FormulaError(f"'{text}' is no term of a formula ({reason})") from None


def _write(node: ast.AST, text: str, depth: int) -> tuple[str, int]:
    """Check a term at the level of formula operators; return it as it is written, and how tightly it binds."""
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Name(id=name):
            return name, 5
        case ast.Call():
            _check_call(node, text, depth)
            return ast.unparse(node), 5
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int(power))) if 1 <= power <= MAX_POWER:
            return f"{_enclosed(_write(left, text, depth + 1), 5)} ** {int(power)}", 4
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            sign, level = _OPERATORS[type(op)]
            first, second = _write(left, text, depth + 1), _write(right, text, depth + 1)
            return f"{_enclosed(first, level)}{sign}{_enclosed(second, level + 1)}", level
        case ast.BinOp(op=ast.Pow()):
            raise FormulaError(f"'{text}': a power must be a whole number from 1 to {MAX_POWER}")
        case ast.Constant(value=value):
            raise FormulaError(
                f"'{text}': the number or text {value!r} cannot be part of a term; only 0 and 1 can stand, on their own"
            )
        case _:
            raise FormulaError(f"'{text}' is not allowed in a formula ({_kind(node)})")


def _kind(node: ast.AST) -> str:
    """Return what a piece of Python is, for those who did not mean to write any."""
    words = {
        "Attribute": "a dot after a name",
        "Subscript": "square brackets",
        "Lambda": "a function definition",
        "IfExp": "a condition",
        "JoinedStr": "an f-string",
        "Dict": "braces",
        "Set": "braces",
        "UnaryOp": "a sign inside a term",
        "BoolOp": "'and' or 'or'",
        "NamedExpr": "an assignment",
        "Tuple": "a comma",
        "List": "square brackets",
        "Starred": "a star before a name",
    }
    name = type(node).__name__
    return words.get(name, "a comprehension" if name.endswith(("Comp", "Exp")) else "Python that is no formula")


def _work(node: ast.AST) -> tuple[int, int]:
    """Return how many terms a piece stands for at most, and how many are made on the way: a power of n terms makes n^p."""
    match node:
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int(power))):
            terms, work = _work(left)
            return sum(math.comb(terms, size) for size in range(1, power + 1)), work + terms**power
        case ast.BinOp(op=op, left=left, right=right):
            (first, work), (second, more) = _work(left), _work(right)
            made = {ast.Add: first * second + first + second, ast.MatMult: first * second}.get(type(op), first + second)
            return (first if isinstance(op, ast.RShift) else made), work + more + made
    return 1, 1


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-12:]}"


def _enclosed(written: tuple[str, int], level: int) -> str:
    """Return a piece, in parentheses where it binds less tightly than its place asks for."""
    return written[0] if written[1] >= level else f"({written[0]})"


def _check_call(node: ast.Call, text: str, depth: int) -> None:
    if not isinstance(node.func, ast.Name):
        raise FormulaError(f"'{text}' is not allowed in a formula (a call of {ast.unparse(node.func)})")
    name = node.func.id
    if name == SPECIFIC:
        raise FormulaError(
            f"'{text}': {SPECIFIC}(...), category-specific effects, is a term of its own in the fixed part, not part of another "
            "term or of a group term; a natural cubic spline is cr(x, df=4)"
        )
    if name in curves.READY_MADE:
        raise FormulaError(f"'{text}': '{name}' is a curve, whose parameters need formulas under nonlinear")
    if name not in TRANSFORMS:
        near = difflib.get_close_matches(name, TRANSFORMS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "functions are " + ", ".join(TRANSFORMS)
        raise FormulaError(f"'{text}': the function '{name}' is not allowed in a formula; {hint}")
    for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
        _check_argument(value, text, depth + 1)
    if any(keyword.arg is None for keyword in node.keywords):
        raise FormulaError(f"'{text}' is not allowed in a formula (**)")
    if name in BY_GROUP and not (
        len(node.args) == 2 and not node.keywords and all(isinstance(argument, ast.Name) for argument in node.args)
    ):
        raise FormulaError(f"'{text}': {name} takes a predictor and a group, both columns: {name}(x, group)")
    if name == "C" and any(keyword.arg == "levels" for keyword in node.keywords):
        raise FormulaError(
            f"'{text}': levels that 'levels=' leaves out would silently become the reference; filter or derive instead"
        )
    if reason := transforms.problem(node):
        raise FormulaError(f"'{text}': {reason}")
    for value in [*node.args, *(keyword.value for keyword in node.keywords)]:
        if isinstance(value, ast.Constant) and type(value.value) is int and name in BASES and value.value > MAX_COLUMNS:
            raise FormulaError(f"'{text}': '{name}' makes at most {MAX_COLUMNS} columns, not {value.value}")


def _check_argument(node: ast.AST, text: str, depth: int) -> None:
    """Check an argument of a function: arithmetic on columns, constants, lists of constants, a contrast."""
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Constant(value=str(words)) if not re.fullmatch(r"[^()\[\]{}'\"%]*", words):
            raise FormulaError(f"'{text}': the text {words!r} holds a bracket, a quote or %, which no formula can")
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str() | None):
            return
        case ast.BinOp(left=ast.Constant(value=str())) | ast.BinOp(right=ast.Constant(value=str())):
            raise FormulaError(f"'{text}' computes with text")
        case ast.UnaryOp(operand=ast.Constant(value=str())):
            raise FormulaError(f"'{text}' computes with text")
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), left=left, right=right):
            children: list[ast.AST] = [left, right]
        case ast.BinOp(op=ast.Pow(), left=left, right=right) if _is_small_power(left, right):
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
            raise FormulaError(f"'{text}' is not allowed in a formula ({_kind(node)})")
    for child in children:
        _check_argument(child, text, depth + 1)


def _is_small_power(base: ast.expr, exponent: ast.expr) -> bool:
    """Tell a power of a column from one of numbers, which could take forever to compute."""
    match exponent:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() as power)):
            pass
        case ast.Constant(value=int() | float() as power):
            pass
        case _:
            return False
    return abs(power) <= MAX_POWER and any(isinstance(node, ast.Name) for node in ast.walk(base))
