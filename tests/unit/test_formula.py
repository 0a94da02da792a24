"""Formulas are split as lme4 and brms read them, and nothing but what is listed ever reaches what evaluates them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import formulaic
import numpy as np
import pytest
from fixtures.small_data import dataset_of, design_of
from hypothesis import assume, given
from hypothesis import strategies as st

from multilevel import expressions, formula
from multilevel.errors import FormulaError, StudyError
from multilevel.formula import Formula, GroupTerm


@pytest.mark.parametrize(
    ("text", "response", "fixed", "offsets", "terms"),
    [
        ("y ~ x", "y", "1 + x", (), ()),
        ("y~x", "y", "1 + x", (), ()),
        (" y  ~  x ", "y", "1 + x", (), ()),
        ("~ x", None, "1 + x", (), ()),
        ("y ~ 1", "y", "1", (), ()),
        ("y ~ 0", "y", "0", (), ()),
        ("y ~ 0 + x", "y", "0 + x", (), ()),
        ("y ~ x - 1", "y", "0 + x", (), ()),
        ("y ~ -1 + x", "y", "0 + x", (), ()),
        ("y ~ x + 0 + 1", "y", "1 + x", (), ()),
        ("y ~ a + b - a", "y", "1 + a + b - a", (), ()),
        ("y ~ a*b", "y", "1 + a * b", (), ()),
        ("y ~ a:b", "y", "1 + a:b", (), ()),
        ("y ~ a*b:c", "y", "1 + a * b:c", (), ()),
        ("y ~ (a*b):c", "y", "1 + (a * b):c", (), ()),
        ("y ~ a/b", "y", "1 + a / b", (), ()),
        ("y ~ (a + b)^2", "y", "1 + (a + b) ** 2", (), ()),
        ("y ~ (a + b)**2 - a:b", "y", "1 + (a + b) ** 2 - a:b", (), ()),
        ("y ~ a + b - (a + b)", "y", "1 + a + b - (a + b)", (), ()),
        ("y ~ (((a)))", "y", "1 + a", (), ()),
        ("y ~ log( x )+I(x^2)", "y", "1 + log(x) + I(x ** 2)", (), ()),
        ("y ~ poly(x,2) + bs(z, df = 4)", "y", "1 + poly(x, 2) + bs(z, df=4)", (), ()),
        ("y ~ C(g, contr.sum)", "y", "1 + C(g, contr.sum)", (), ()),
        ("y ~ C(g, contr.treatment(base='b'))", "y", "1 + C(g, contr.treatment(base='b'))", (), ()),
        ("y ~ x + offset(e)", "y", "1 + x", ("e",), ()),
        ("y ~ offset(log(e)) + x + offset(-(2 * z))", "y", "1 + x", ("log(e)", "-(2 * z)"), ()),
        ("y ~ offset(where(e > 0, sqrt(e), 0))", "y", "1", ("where(e > 0, sqrt(e), 0)",), ()),
        ("y ~ x + (1 | g)", "y", "1 + x", (), (GroupTerm("g", "1", True),)),
        ("y ~ (1|g)", "y", "1", (), (GroupTerm("g", "1", True),)),
        ("y ~ 0 + (x | g)", "y", "0", (), (GroupTerm("g", "1 + x", True),)),
        ("y ~ x + (1 + x || g)", "y", "1 + x", (), (GroupTerm("g", "1 + x", False),)),
        ("y ~ x + (0 + x | g)", "y", "1 + x", (), (GroupTerm("g", "0 + x", True),)),
        ("y ~ x + (x - 1 | g)", "y", "1 + x", (), (GroupTerm("g", "0 + x", True),)),
        ("y ~ (1 + x*z | g)", "y", "1", (), (GroupTerm("g", "1 + x * z", True),)),
        ("y ~ (1 | g:h)", "y", "1", (), (GroupTerm("g:h", "1", True),)),
        ("y ~ (x || g / h)", "y", "1", (), (GroupTerm("g", "1 + x", False), GroupTerm("g:h", "1 + x", False))),
        (
            "y ~ (1 | a/b/c)",
            "y",
            "1",
            (),
            (GroupTerm("a", "1", True), GroupTerm("a:b", "1", True), GroupTerm("a:b:c", "1", True)),
        ),
        ("y ~ (1 | a:b/c)", "y", "1", (), (GroupTerm("a:b", "1", True), GroupTerm("a:b:c", "1", True))),
        ("y ~ x + (x | p | g)", "y", "1 + x", (), (GroupTerm("g", "1 + x", True, "p"),)),
        ("y ~ (1 |1| g/h)", "y", "1", (), (GroupTerm("g", "1", True, "1"), GroupTerm("g:h", "1", True, "1"))),
        (
            "y ~ (1 | g) + x + (0 + x | g) + (1 | h)",
            "y",
            "1 + x",
            (),
            (GroupTerm("g", "1", True), GroupTerm("g", "0 + x", True), GroupTerm("h", "1", True)),
        ),
    ],
)
def test_a_formula_is_split_into_its_parts(
    text: str, response: str | None, fixed: str, offsets: tuple[str, ...], terms: tuple[GroupTerm, ...]
) -> None:
    assert formula.parse(text) == Formula(response, fixed, offsets, terms)


def test_the_columns_of_a_formula_are_those_it_reads() -> None:
    parsed = formula.parse(
        "y ~ log(a) + bs(b, df=3):c + C(d, contr.sum) + offset(log(e) + sqrt(f)) + (1 + I(h^2) || g)"
    )
    assert parsed.variables() == {"y", "a", "b", "c", "d", "e", "f", "g", "h"}


@pytest.mark.parametrize(
    ("text", "keeps"),
    [("1 + x", True), ("0 + x", False), ("x - 1", False), ("x", True), ("x + 0 + 1", True), ("-1", False)],
)
def test_an_intercept_is_there_unless_taken_out(text: str, keeps: bool) -> None:
    assert formula.has_intercept(text) is keeps


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("y", "'y' must hold one '~', as in 'y ~ x + (1 | group)'"),
        ("y ~ x ~ z", "must hold one '~'"),
        ("y ~", "nothing stands on the right of '~'"),
        ("y ~ x +", "ends without a term"),
        ("y ~ x + + z", "has two signs in a row or an empty term"),
        ("y ~ x + -z", "has two signs in a row or an empty term"),
        ("log(y) ~ x", "the response 'log(y)' must be one column; derive a transformed response"),
        ("y ~ x + 1 | g", "a group term stands in parentheses of its own, as in (1 + x | group)"),
        ("y ~ (1 | g) * x", "a group term stands in parentheses of its own"),
        ("y ~ ( | g)", "'( | g)' names no effects; write (1 | g)"),
        ("y ~ (1 | )", "'(1 | )' names no group; write (1 | group)"),
        ("y ~ (1 | g/(h))", "the group 'g/(h)' must be a column, several crossed (a:b) or nested (a/b)"),
        ("y ~ (1 | g + h)", "the group 'g + h' must be a column, several crossed (a:b) or nested (a/b)"),
        ("y ~ (1 | g:h:g)", "the group 'g:h:g' names a column twice"),
        ("y ~ (1 ||| g)", "must be (effects | group), (effects || group) or (effects | id | group)"),
        ("y ~ (1 | p | q | g)", "must be (effects | group), (effects || group) or (effects | id | group)"),
        ("y ~ (1 | p-q | g)", "must be (effects | group), (effects || group) or (effects | id | group)"),
        ("y ~ (1 | g/h) + (1 | g)", "holds the same group term twice"),
        ("y | wights(w) ~ x", "'wights(w)' cannot stand beside the response; did you mean 'weights'?"),
        ("y | w ~ x", "beside the response; choose from trials(...), weights(...), se(...), cens(...), trunc(...)"),
        ("y | trunc(0) ~ x", "'trunc(0)' holds '0'; write trunc(lb=...), trunc(ub=...) or both, separated by a comma"),
        ("y | trunc() ~ x", "'trunc()' holds ''; write trunc(lb=...)"),
        ("y | trunc(lb=0, lb=1) ~ x", "'trunc(lb=0, lb=1)' names lb twice; write trunc(lb=...)"),
        ("y | trunc(lb==0) ~ x", "holds 'lb==0'; write trunc(lb=...)"),
        ("y | trunc(low=0) ~ x", "holds 'low=0'; write trunc(lb=...)"),
        ("y | trunc(ub=open('f')) ~ x", "the function 'open' is not allowed"),
        ("y | se() ~ x", "'se()' lacks a column; write se(s)"),
        ("y | se(s) - weights(w) ~ x", "'-weights(w)': nothing can be subtracted beside the response"),
        ("y | se(s) | weights(w) ~ x", "holds more than one bar; write 'y | trials(n) + weights(w) ~ ...'"),
        ("y | weights(w, v) ~ x", "'weights(w, v)' has 2 arguments; weights takes one column or number"),
        ("y | weights(w, sigma=true) ~ x", "only se takes sigma="),
        ("y | weights(w) + weights(v) ~ x", "gives weights twice"),
        ("cbind(s, f) | trials(n) ~ x", "gives trials twice"),
        ("y | weights(__import__('os').getcwd()) ~ x", "is not allowed: only columns, numbers and listed functions are"),
        (" | weights(w) ~ x", "names no response before the bar"),
        ("cbind(s) ~ x", "cbind takes two columns, successes and failures: cbind(success, failure)"),
        ("y ~ within(x)", "within takes a predictor and a group, both columns: within(x, group)"),
        ("y ~ between(x + z, g)", "between takes a predictor and a group, both columns: between(x, group)"),
        ("y ~ x - (1 | g)", "'-(1 | g)': a group term cannot be subtracted"),
        ("y ~ x - offset(e)", "an offset cannot be subtracted; write offset(-(...))"),
        ("y ~ (1 | g) + (1 || g)", "holds the same group term twice"),
        ("y ~ x + 2", "'2': the number or text 2 cannot be part of a term; only 0 and 1 can stand, on their own"),
        ("y ~ x:1", "the number or text 1 cannot be part of a term"),
        ("y ~ (0 + x)", "the number or text 0 cannot be part of a term"),
        ("y ~ 'x'", "the number or text 'x' cannot be part of a term"),
        ("y ~ (a + b)^11", "a power must be a whole number from 1 to 10"),
        ("y ~ (" + " + ".join(f"x{i}" for i in range(40)) + ")^10", "38 + x39)^10' stands for too many terms; write out"),
        ("y ~ ((a + b + c + d)^4)^4", "'((a + b + c + d)^4)^4' stands for too many terms"),
        ("y ~ " + "*".join(f"x{i}" for i in range(16)), "stands for too many terms"),
        ("y ~ log(a, 2)", "'log(a, 2)': 'log' takes 1 argument, not 2; it is log(x)"),
        ("y ~ scale()", "'scale()': 'scale' is given no column; it is scale(data, center, scale, ddof)"),
        ("y ~ bs(a, dff=4)", "'bs(a, dff=4)': 'bs' has no argument 'dff'; did you mean 'df'?"),
        ("y ~ bs(a, 4, df=4)", "'bs' is given 'df' twice"),
        ("y ~ poly(a, 2, _state=a)", "'poly' has no argument '_state'; choose from degree, raw"),
        ("y ~ a.b", "'a.b' is not allowed in a formula (a dot after a name)"),
        ("y ~ a[0]", "'a[0]' is not allowed in a formula (square brackets)"),
        ("y ~ a^b", "a power must be a whole number from 1 to 10"),
        ("y ~ lgo(x)", "the function 'lgo' is not allowed in a formula; did you mean 'log'?"),
        ("y ~ factor(x)", "the function 'factor' is not allowed in a formula"),
        ("y ~ x > 3", "'x > 3' holds a comparison; derive a column of it (data.derive)"),
        ("y ~ (x", "has a parenthesis that does not close"),
        ("y ~ x)", "closes a parenthesis that was not opened"),
        ("y ~ C(x, 'a)", "has a quote that does not close"),
        ("y ~ x %in% z", "is no term of a formula"),
        ("y ~ x z", "is no term of a formula"),
        ("y ~ x // z", "is not allowed in a formula"),
        ("y ~ x & z", "is not allowed in a formula"),
        ("y ~ a::b", "is no term of a formula"),
        ("y ~ a::2", "is no term of a formula"),
        ("y ~ x # only x", "holds the character #"),
        ("y ~ `x y`", "holds the character `"),
        ("y ~ x\n+ z", "holds a line break or another control character"),
        ("y ~ x\x00", "holds a line break or another control character"),
        ("y ~ " + "x" * 2000, "is longer than 2000 characters"),
        ("y ~ " + "(" * 500 + "x" + ")" * 500, "is no term of a formula"),
        ("y ~ " + ":".join("a" * 60), "is nested deeper than 40 levels"),
        ("y ~ I(9 ** 9)", "is not allowed in a formula"),
        ("y ~ I(x ** 11)", "is not allowed in a formula"),
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused_and_told_why(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        formula.parse(text)
    assert sentence in str(caught.value)


HOSTILE = [
    "__import__('os').system('touch MARKER')",
    "I(__import__('os').system('touch MARKER'))",
    "I(open('MARKER', 'w'))",
    "log.__globals__",
    "x.__class__",
    "I(x.__class__)",
    "I(x).real",
    "C(x, contr.__init__)",
    "C(x, contr.treatment.__globals__)",
    "C(x, contr.treatment(open('MARKER', 'w')))",
    "I([open('MARKER', 'w') for _ in x])",
    "I((lambda: open('MARKER', 'w'))())",
    "I(f'{x}')",
    "I(x if x else open('MARKER', 'w'))",
    "I((z := x))",
    "I(*x)",
    "I(**x)",
    "I(x[0])",
    "x[0]",
    "I({x: 1})",
    "{open('MARKER', 'w')}",
    "`open('MARKER', 'w')`",
    "np.log(x)",
    "hashed(x)",
    "lag(x)",
    "Q('x')",
    "I(x) @ x",
    # formulaic does not know that a text in a call is a text: a bracket in it would end the call, and what follows
    # would be evaluated as a term of its own.
    'a:C(x, levels=[\']) + I(__import__("os").system("touch MARKER")) + C(x, levels=[\'])',
    "I(')') + a",
    'I("%") + a',
    "I('`') + a",
]


@pytest.mark.parametrize("term", HOSTILE)
@pytest.mark.parametrize("shape", ["y ~ {}", "y ~ a + (1 + {} | g)"])
def test_hostile_terms_are_refused_and_never_run(term: str, shape: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(FormulaError):
        formula.parse(shape.format(term.replace("MARKER", str(marker))))
    assert not marker.exists()


def test_hostile_offsets_are_refused() -> None:
    with pytest.raises(FormulaError):
        formula.parse("y ~ offset(__import__('os').system('true'))")


# Formulas as a grammar makes them, with their meaning (the set of columns of the matrix) from the same operators on sets.

NAMES = st.sampled_from(["a", "b", "c", "x_1", "Ab"])


def pieces() -> st.SearchStrategy[str]:
    atoms = NAMES | st.sampled_from(["log({})", "I({} ** 2)", "poly({}, 2)", "within({}, g)", "C({})"]).flatmap(
        lambda shape: NAMES.map(shape.format)
    )
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" + ", "+", " - ", "*", " * ", ":", " : ", "/"]), inner).map("".join),
            inner.map("({})".format),
            st.tuples(inner, st.sampled_from(["^2", "**2", " ** 3"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
        ),
        max_leaves=6,
    )


def formulas() -> st.SearchStrategy[str]:
    offset = NAMES.map("offset(2 * {})".format)
    terms = st.lists(pieces() | st.sampled_from(["0", "1"]) | offset, min_size=1, max_size=4)
    bars = st.sampled_from(["|", " | ", "||", " || ", " | p | ", "|2|"])
    groups = [
        st.none() | st.tuples(pieces(), bars).map(lambda pair, g=g: f"({''.join(pair)}{g})")
        for g in ("g", "h:g", "k/l", "m : n / o")
    ]
    responses = st.sampled_from(
        [
            "y",
            "cbind(s, f)",
            "y | trials(n)",
            "y|weights(2*w)+se(s, sigma=TRUE)",
            "y | cens(k, y2) + weights(w)",
            "",
            "y | trunc(ub = 2 * u,lb=-1) + weights(w)",
            "y|trunc(lb=1e3)",
        ]
    )
    return st.tuples(responses, terms, *groups).map(
        lambda made: f"{made[0]} ~ " + " + ".join([*made[1], *filter(None, made[2:])])
    )


@given(formulas())
def test_a_formula_reads_the_same_after_it_was_written(text: str) -> None:
    parsed = formula.parse(text)
    assert formula.parse(str(parsed)) == parsed
    assert str(formula.parse(str(parsed))) == str(parsed)


@given(pieces())
def test_the_canonical_form_means_what_was_written(text: str) -> None:
    assume(len(re.findall(r"\*\*|\^", text)) < 4)  # powers of powers take seconds to expand
    written = formulaic.Formula(text.replace("^", "**"))
    canonical = formulaic.Formula(formula.parse(f"y ~ {text}").fixed)
    assert {str(term) for term in written} == {str(term) for term in canonical}


ALLOWED_NODES = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call, ast.keyword, ast.List, ast.Tuple, ast.Attribute, ast.Load,
    ast.operator, ast.unaryop,
)  # fmt: skip
PARTS = [
    "y", "~", "x", "+", "-", "*", "/", ":", "^", "**", "(", ")", "|", "||", "0", "1", "g", "offset(", "log(", "C(", "I(",
    "contr.sum", "'a'", '"', "'", ",", "=", ".", "[", "]", "{", "}", "lambda", "__import__", "\\", "%", "@", "#", "`",
    "<", "é", "²", " ",
]  # fmt: skip


@given(st.text(max_size=60) | st.lists(st.sampled_from(PARTS), max_size=14).map(lambda parts: "y ~ " + "".join(parts)))
def test_any_text_is_refused_or_made_of_allowed_nodes_only(text: str) -> None:
    try:
        parsed = formula.parse(text)
    except FormulaError:
        return
    assert formula.parse(str(parsed)) == parsed
    for side in (parsed.fixed, *(term.effects for term in parsed.group_terms)):
        for node in ast.walk(ast.parse(side.replace(":", "@"), mode="eval").body):
            assert isinstance(node, ALLOWED_NODES), (side, node)
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called in formula.TRANSFORMS or called.removeprefix("contr.") in formula.CONTRASTS
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node).removeprefix("contr.") in formula.CONTRASTS
    for offset in parsed.offsets:
        expressions.parse(offset)
    for term in parsed.group_terms:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", term.group)


DATA = dataset_of(
    y=np.arange(8.0), x=np.linspace(0.5, 2, 8), a=np.linspace(-1, 1, 8) ** 2, g=list("ppqqrrss"), k=list("uvwuvwuv")
)
ARGUMENTS = st.sampled_from([
    "x", "a", "k", "2", "'u'", "[1, 2]", "df=4", "contr.sum", "contr.treatment('v')", "None", "x ** 2", "-x", "True",
])  # fmt: skip
CALLS = st.tuples(st.sampled_from(formula.TRANSFORMS), st.lists(ARGUMENTS, max_size=2).map(", ".join))
BESIDE = st.sampled_from(["", ":x", " * k", ":a:k"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # logarithms of numbers below 0, refused a moment later
@given(CALLS, BESIDE)
def test_a_formula_that_parses_gives_a_matrix_or_an_error_that_users_read(call: tuple[str, str], beside: str) -> None:
    try:
        built = design_of(f"y ~ {call[0]}({call[1]}){beside}", DATA)
    except (FormulaError, StudyError):
        return
    assert built.x.shape == (8, len(built.coefficients))
    assert len(built.scales) == len(built.terms_of) == len(built.coefficients)
