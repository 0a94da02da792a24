"""Whatever stands in a study, its tables and its data package: a plan or a sentence, and nothing evaluated unchecked."""

from __future__ import annotations

import builtins
import copy
import json
import math
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fixtures import small_study
from fixtures.small_data import dataset_of
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel import expressions, formula, preflight, priors
from multilevel.errors import FormulaError, StudyError

# Nothing is evaluated that was not checked.

DATA = dataset_of(
    y=np.sin(np.arange(12.0)), x=np.linspace(0.5, 2, 12), z=np.cos(np.arange(12.0)) + 2, g=list("ppqqrrsspqrs"),
    k=list("uvwuvwuvwuvv"),
)  # fmt: skip
OF_FORMULAIC = {
    "__FORMULAIC_CONTEXT__", "__FORMULAIC_METADATA__", "__FORMULAIC_SPEC__", "__FORMULAIC_STATE__", "get",
    "get_required_variables",
}  # fmt: skip
ALLOWED = {*DATA.frame.columns, *formula.TRANSFORMS, *formula.CONTRASTS, "contr", *OF_FORMULAIC}


@contextmanager
def guarded() -> Iterator[None]:
    """Let formulaic evaluate no code with a name that is not allowed, and the library none at all."""
    evaluate, run = builtins.eval, builtins.exec
    refused: list[str] = []

    def check(code: Any, *context: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        if caller.startswith("multilevel"):
            refused.append(f"{caller} evaluates {code!r}")
        elif caller.startswith("formulaic"):
            names = set(code.co_names) if isinstance(code, types.CodeType) else {repr(code)}
            inner = [c for c in getattr(code, "co_consts", ()) if isinstance(c, types.CodeType)]
            if inner or not names <= ALLOWED:
                refused.append(f"formulaic evaluates {sorted(names - ALLOWED)}, {inner}")
        if refused:
            raise FormulaError(refused[-1])
        return evaluate(code, *context)

    def never(*_: Any) -> None:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        if caller.startswith(("multilevel", "formulaic")):
            refused.append(f"{caller} runs statements")
        return run(*_)

    builtins.eval, builtins.exec = check, never
    try:
        yield
    finally:
        builtins.eval, builtins.exec = evaluate, run
    assert refused == []


def test_the_guard_lets_nothing_else_through() -> None:
    import formulaic

    with pytest.raises((AssertionError, formulaic.errors.FormulaicError)), guarded():
        formulaic.model_matrix("open('/dev/null')", DATA.frame, context={})
    with guarded():
        formulaic.model_matrix("poly(x, 2) + C(k, contr.sum)", DATA.frame, context={})


def built(text: str) -> None:
    """Parse a formula and check it against the data, as a plan does."""
    try:
        parsed = formula.parse(text)
    except FormulaError as error:
        readable(str(error))
        return
    assert formula.parse(str(parsed)) == parsed
    assert str(formula.parse(str(parsed))) == str(parsed)
    if parsed.response not in DATA.frame.columns or not parsed.variables() <= set(map(str, DATA.frame.columns)):
        return
    _, problems, notes = preflight.check("m", {"formula": str(parsed), "family": "gaussian"}, DATA)
    for problem in problems:
        readable(str(problem))
    assert all(note.endswith(".") for note in notes)


def readable(text: str) -> None:
    """Hold a message to what users can read: one line, and no word of the libraries beneath."""
    assert text.strip()
    assert text.isprintable(), repr(text)
    leaks = (
        "ABSOLUTE",
        "Traceback",
        "TypeError",
        "ValueError",
        "dtype",
        "object at 0x",
        "NoneType",
        "formulaic",
        "pandas",
        "pydantic",
    )
    assert [leak for leak in leaks if leak in text] == [], text


ATTACKS = [
    "__import__('os')", "open('f')", "eval('1')", "exec('1')", "().__class__", "x.__class__", "log.__globals__", "contr.__init__",
    "(lambda: x)()", "[i for i in x]", "{x}", "{x: x}", "x[0]", "f'{x}'", "getattr(x, 'y')", "globals()", "Q('x')", "np.log(x)",
    "contr.treatment(open('f'))", "I(open('f'))", "poly(x, open('f'))", "__FORMULAIC_STATE__", "print", "hashed(x)", "lag(x)",
    "'a' + x", "*x", "**x", "x if x else x", "x := x", "`open('f')`", "{open('f')}", "C(k, levels=[open('f')])", "\\", "#", "\n",
]  # fmt: skip
PIECES = [
    "y", "x", "z", "g", "k", "0", "1", "~", "+", "-", "*", "/", ":", "^2", "**2", "(", ")", "|", "||", ",", " ", "offset(x)",
    "offset(log(z))", "(1 | g)", "(1 + x | g)", "(0 + x || g)", "(1 | g) + (0 + x | g)", "C(k)", "C(k, contr.sum)",
    "C(k, contr.treatment('v'))", "poly(x, 2)", "bs(x, df=4)", "cr(z, df=4)", "scale(x)", "center(z)", "log(z)", "I(x ** 2)",
    "exp(x)", "(x + z)", "(x + z + k)^2", "sqrt(z)", "within(x, g)", "between(z, g)", "group_mean(x, k)", "(1 | g/k)",
    "(x | g:k)", "(1 | p | g)", "(0 + z | p | g)", "| weights(z)", "| se(z, sigma=true)", "| cens(k)",
    "| trials(z) + weights(2 * z)",
    "cbind(x, z)",
]  # fmt: skip
SOUND = [
    "y ~ x",
    "y ~ 0 + k + x",
    "y ~ x * k + (1 + x | g)",
    "y ~ poly(x, 2) + offset(z) + (1 | g)",
    "y ~ bs(z, df=4) + C(k, contr.sum)",
    "y ~ (x + z)^2 - x:z + (0 + x || g)",
    "y ~ scale(x) + center(z) + (1 | g) + (1 | k)",
    "y ~ x / k + log(z) + I(x * z)",
    "y ~ within(x, g) + between(x, g) + (1 | g/k)",
    "y | weights(z) ~ x + (1 | p | g) + (0 + x | p | g)",
    "y | se(z, sigma=true) ~ sqrt(z) + (1 | k)",
    "y | se(z) ~ 1 + (x || g:k)",
]


@given(st.lists(st.sampled_from(PIECES + ATTACKS), max_size=9).map(" ".join))
def test_any_pieces_of_formulas_are_refused_or_built_of_what_is_allowed(text: str) -> None:
    with quiet(), guarded():
        built(f"y ~ {text}")


@given(st.data(), st.sampled_from(SOUND), st.sampled_from(ATTACKS + PIECES))
def test_sound_formulas_with_something_thrown_in_are_refused_or_built_of_what_is_allowed(
    data: st.DataObject, text: str, thrown: str
) -> None:
    at = data.draw(st.integers(0, len(text)))
    to = data.draw(st.integers(at, min(len(text), at + 4)))
    with quiet(), guarded():
        built(text[:at] + thrown + text[to:])


@pytest.mark.parametrize("text", SOUND)
def test_the_sound_formulas_are_sound(text: str) -> None:
    with guarded():
        _, problems, _ = preflight.check("m", {"formula": str(formula.parse(text)), "family": "gaussian"}, DATA)
    assert problems == []


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns that nearly depend on each other, infinities: told by name
        yield


# Expressions: arithmetic of a grammar, with what is forbidden among it.

NAMES = st.sampled_from(["x", "z", "k", "g", "unknown"])
ATOMS = NAMES | st.sampled_from(["1", "0.5", "-2", "'u'", "True", "1e308", *ATTACKS])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "//", "%", "**", "==", "<", "and", "or", "in", "is", "@", "if"]
    return st.one_of(
        st.tuples(inner, st.sampled_from(operators), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from([*expressions.FUNCTIONS, "open", "eval"]), st.lists(inner, max_size=3)).map(
            lambda t: f"{t[0]}({', '.join(t[1])})"
        ),
        inner.map("not ({})".format),
        st.lists(st.sampled_from(["1", "'u'", "2.5"]), max_size=2).flatmap(
            lambda values: inner.map(lambda text: f"({text}) in [{', '.join(values)}]")
        ),
    )


@given(st.recursive(ATOMS, grown, max_leaves=6))
def test_an_expression_is_refused_or_gives_a_column_without_being_evaluated_as_python(text: str) -> None:
    import ast

    with quiet(), guarded():
        try:
            tree = expressions.parse(text)
            assert ast.dump(expressions.parse(ast.unparse(tree))) == ast.dump(tree)
            expressions.evaluate(tree, {str(name): DATA.frame[name].astype(kind(name)) for name in DATA.frame.columns})
        except FormulaError as error:
            readable(str(error))


def kind(name: str) -> str:
    return "str" if name in {"g", "k"} else "float"


# Priors.

NUMBERS = st.sampled_from(
    ["0", "1", "-1", "2.5", "1e3", "1e-120", "1e999", "nan", "inf", "x", "True", "'1'", "-(1)", "1 + 1"]
)
ARGUMENTS = st.lists(
    st.tuples(st.sampled_from(["", "", "mu=", "sigma=", "nu=", "rate=", "shape="]), NUMBERS).map("".join), max_size=4
)


@given(
    st.sampled_from([*priors.SIGNATURES, "gaussian", "open", "__import__"]),
    ARGUMENTS,
    st.sampled_from([*priors.ALLOWED, "sd(g: x)", "b(x)", "cor(g)"]),
)
def test_a_prior_is_refused_or_has_finite_arguments_in_its_range(name: str, arguments: list[str], target: str) -> None:
    text = f"{name}({', '.join(arguments)})"
    with guarded():
        try:
            prior = priors.parse(text)
            priors.check_support(prior, target)
        except FormulaError as error:
            readable(str(error))
            return
    assert prior.name in priors.ALLOWED[priors.class_of(target)]
    assert len(prior.arguments) == len(priors.SIGNATURES[prior.name])
    assert all(math.isfinite(argument) for argument in prior.arguments)
    assert priors.parse(str(prior)) == prior  # the numbers above have few digits


@given(st.text(max_size=40))
def test_any_text_is_a_prior_or_refused(text: str) -> None:
    with guarded():
        try:
            priors.parse(text)
        except FormulaError:
            return


# Whole studies: the small one with anything anywhere.

JUNK: list[Any] = [
    None, True, 0, -1, 10**30, 1.5, float("nan"), float("inf"), "", " ", "x", "a b", "é", "x" * 300, "~", "*", "y ~ x", "1",
    "school", "score", "score ~ hours", "normal(0, 1)", "lkj(2)", "half_normal(1)", "gaussian", "pooled", "pooled*",
    [], [[]], ["school"], ["pooled", "varying"], {}, {"": ""}, {"a": {}}, {"b": "normal(0, 1)"}, {"school": {"within": "region"}},
    {"default": {}, "tight": {"sd": "half_normal(1)"}}, "__import__('os')", "{{ x }}", "\x00", "../../etc/passwd",
    "/dev/null", ".",
]  # fmt: skip
KEYS = [
    "title", "seed", "data", "models", "grid", "comparisons", "sampler", "defaults", "derive", "filter", "centre", "groups",
    "reference", "rename", "id", "join", "table", "by", "columns", "priors", "family", "centred", "exclude", "formula", "label",
    "reference", "x", "a.b", "pooled", "varying", "",
]  # fmt: skip


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value in a study."""
    found = [path]
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


def spoilt(data: st.DataObject) -> dict[str, Any]:
    """Return the small study after one to three changes, each anywhere: a value, a key more, a key less."""
    content = yaml.safe_load(str(small_study.FILES["study.yaml"]))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([place for place in places(content) if place]))
        here = content
        for part in path[:-1]:
            here = here[part]
        action = data.draw(st.sampled_from(["replace", "add", "drop"]))
        if action == "drop":
            del here[path[-1]]
        elif action == "add" and isinstance(here, dict):
            here[data.draw(st.sampled_from(KEYS))] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        else:
            here[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        if not any(place for place in places(content)):
            break
    return content


def planned(files: dict[str, Any]) -> None:
    """Plan a study: it is sound, or everything that is told of it can be read."""
    with tempfile.TemporaryDirectory() as name, quiet(), guarded():
        try:
            made = small_study.made(Path(name), files)
        except StudyError as error:
            for line in str(error).splitlines():
                readable(line.replace(name, "ABSOLUTE"))
            return
    assert json.loads(json.dumps(made)) == made


@settings(max_examples=150)
@given(st.data())
def test_a_study_with_anything_anywhere_is_planned_or_told_what_is_wrong(data: st.DataObject) -> None:
    text = yaml.safe_dump(spoilt(data), sort_keys=False, allow_unicode=True)
    planned({"study.yaml": text})


@settings(max_examples=100)
@given(
    st.sampled_from([small_study.PUPILS, small_study.SCHOOLS]),
    st.lists(
        st.tuples(
            st.integers(0, 800), st.binary(max_size=3) | st.sampled_from([b"\n", b",", b'"', b"NA", b"-1", b"inf"])
        )
    ),
    st.booleans(),
)
def test_a_table_with_bytes_changed_is_planned_or_told_what_is_wrong(
    name: str, changes: list[tuple[int, bytes]], over: bool
) -> None:
    raw = bytearray(str(small_study.FILES[name]).encode())
    for at, new in changes:
        raw[at : at + len(new) if over else at] = new
    planned({name: bytes(raw)})


WORDS = ["resources", "path", "hash", "rows", "schema", "fields", "name", "type", "sources", "licenses", "title"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=50)
@given(JSON)
def test_a_data_package_of_any_json_is_read_or_refused(content: Any) -> None:
    files = {"data/datapackage.json": json.dumps(content)}
    planned(files)
    named = {
        "resources": [{"path": "pupils.csv", "schema": content, "rows": content}],
        "sources": content,
        "licenses": content,
    }
    planned({"data/datapackage.json": json.dumps(named)})
