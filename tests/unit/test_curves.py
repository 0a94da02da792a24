"""Curves: what a formula may hold, their values against closed forms, and where ready-made ones start."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import curve_of, dataset_of
from scipy import stats

from multilevel import curve_priors, curves, default_priors, equations, formula
from multilevel.design import Design
from multilevel.errors import FormulaError, StudyError
from multilevel.report.sections import models, plain

X = np.array([0.0, 0.5, 2.0, 7.0, 30.0])


# What a curve may hold.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a * expp(b)", "'a * expp(b)': the function 'expp' is not allowed; did you mean 'exp'?"),
        ("logistik(x, a, m, s)", "'logistik(x, a, m, s)': the function 'logistik' is not allowed; did you mean 'logistic'?"),
        (
            "logistic(x, a, m)",
            "'logistic(x, a, m)': 'logistic' takes 4 arguments, not 3; it is logistic(x, asymptote, midpoint, scale)",
        ),
        ("exp(a, x)", "'exp(a, x)': 'exp' takes 1 argument, not 2"),
        (
            "a + (1 | g)",
            "'a + (1 | g)': group terms stand in the formulas of the curve's parameters (under nonlinear), not in the curve",
        ),
        ("a.real", "'a.real' holds a dot (attribute access), which is not allowed: only columns, numbers and listed"),
        ("where(a, x, 1)", "'where(a, x, 1)': the first argument of 'where' is a comparison such as x < midpoint, not 'a'"),
        ("__import__('os')", "'__import__('os')': the function '__import__' is not allowed; functions are exp, "),
        ("a *", "'a *' is no expression (invalid syntax)"),
        ("a = x", "'a = x' is no expression (invalid syntax); write == to compare"),
    ],
)  # fmt: skip
def test_what_no_curve_can_hold_is_told(text: str, said: str) -> None:
    with pytest.raises(FormulaError) as caught:
        curves.parse(text)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "text", ["a < x", "a if x else b", "a % x", "a // x", "'a' + x", "a and x", "x in [1, 2]", "True * a"]
)
def test_what_is_an_expression_and_no_curve_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        curves.parse(text)


def test_a_power_is_written_as_in_r_or_python() -> None:
    assert curves.canonical("u * (1 - exp(-(d / t)^w))") == curves.canonical("u * (1 - exp(-(d/t)**w))")
    # A power binds more tightly than a product or a sign, on either side.
    assert curves.evaluate("-a * x^2", {"a": 3.0, "x": 2.0}) == -12.0


def test_names_stand_in_the_order_in_which_they_are_written() -> None:
    assert curves.names("u * (1 - exp(-(d / t)^w)) + u") == ["u", "d", "t", "w"]
    parsed = formula.parse("y ~ u * (1 - exp(-(d / t)^w))", ("w", "t", "u"))
    assert parsed.curve_parameters == ("u", "t", "w")
    assert parsed.curve_columns == ("d",)
    assert parsed.variables() == {"y", "d"}
    assert formula.parse(str(parsed), ("w", "t", "u")) == parsed


# Values.

CLOSED = {
    "logistic": (lambda x, a, m, s: a / (1 + np.exp(-(x - m) / s)), (90.0, 4.0, 1.5)),
    "gompertz": (lambda x, a, m, s: a * np.exp(-np.exp(-(x - m) / s)), (90.0, 4.0, 1.5)),
    "weibull_growth": (lambda x, a, s, k: a * stats.weibull_min.cdf(x, k, scale=s), (90.0, 4.0, 1.3)),
    "exponential": (lambda x, a, r: a * np.exp(r * x), (3.0, -0.2)),
    "michaelis_menten": (lambda x, v, k: v * x / (k + x), (200.0, 0.06)),
    "power": (lambda x, a, b: a * np.power(x, b), (2.5, 0.75)),
}


@pytest.mark.parametrize("name", list(curves.READY_MADE))
def test_ready_made_curves_equal_their_closed_forms(name: str) -> None:
    closed, values = CLOSED[name]
    names = "pqr"[: len(values)]
    found = curves.evaluate(f"{name}(x, {', '.join(names)})", {"x": X, **dict(zip(names, values, strict=True))})
    np.testing.assert_allclose(found, closed(X, *values), rtol=1e-13)


def test_what_a_ready_made_curve_is_said_to_be_at_its_parameters_holds() -> None:
    at = {"a": 90.0, "m": 4.0, "s": 1.5, "k": 1.3}
    assert curves.evaluate("logistic(m, a, m, s)", at) == pytest.approx(45.0)
    assert curves.evaluate("gompertz(m, a, m, s)", at) == pytest.approx(90.0 / math.e)
    assert curves.evaluate("weibull_growth(s, a, s, k)", at) == pytest.approx(90.0 * (1.0 - 1.0 / math.e))
    assert curves.evaluate("michaelis_menten(s, a, s)", at) == pytest.approx(45.0)


EXPRESSIONS = [
    *(f"{name}(x, {', '.join('pqr'[: len(c.arguments) - 1])})" for name, c in curves.READY_MADE.items()),
    "p / (1 + exp(-(x - q) / r))",
    "p * (1 - exp(-(x / q)^r)) + log1p(x) - expm1(-x) * sqrt(x) / tanh(1 + x)",
    "where(x < q, p, p + r * (x - q))",
    "minimum(p, x) * maximum(q, x) - abs(r - x) + sin(x) * cos(x) + logit(inv_logit(p) / 2) - tan(r) ** 2 - +x",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_pytensor_computes_the_same_tree(text: str) -> None:
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    from multilevel.model import _FUNCTIONS

    values = {"p": 1.3, "q": 4.0, "r": 1.5}
    tensors = {name: pt.dscalar(name) for name in values}
    found = curves.evaluate(text, {**tensors, "x": X}, _FUNCTIONS) + np.zeros(len(X))
    function = pytensor.function(list(tensors.values()), found, mode=Mode("py", None), on_unused_input="ignore")
    np.testing.assert_allclose(
        function(*values.values()), curves.evaluate(text, {**values, "x": X}) + 0 * X, rtol=1e-13
    )


def test_a_curve_at_zero_has_finite_slopes() -> None:
    """Growth starts at 0, where the derivative of a power by its exponent is 0 times the logarithm of 0."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    from multilevel.model import _FUNCTIONS

    q, r = pt.dscalar("q"), pt.dscalar("r")
    total = curves.evaluate("weibull_growth(x, 90, q, r)", {"x": X, "q": q, "r": r}, _FUNCTIONS).sum()
    slopes = pytensor.function([q, r], [pt.grad(total, q), pt.grad(total, r)], mode=Mode("py", None))
    step = 1e-6

    def value(scale: float, shape: float) -> float:
        return float(np.sum(90.0 * stats.weibull_min.cdf(X, shape, scale=scale)))

    expected = [
        (value(4.0 + step, 1.3) - value(4.0 - step, 1.3)) / (2 * step),
        (value(4.0, 1.3 + step) - value(4.0, 1.3 - step)) / (2 * step),
    ]
    np.testing.assert_allclose(slopes(4.0, 1.3), expected, rtol=1e-6)


# Starting values and priors.


def _data(y: Any, x: Any) -> Any:
    return dataset_of(
        y=np.asarray(y, dtype=float), x=np.asarray(x, dtype=float), g=["a", "b", "c", "d"] * (len(x) // 4)
    )


AXIS = np.linspace(0.5, 20.0, 40)


@pytest.mark.parametrize("name", list(curves.READY_MADE))
def test_exact_curves_start_where_they_are(name: str) -> None:
    closed, values = CLOSED[name]
    design = ready_made(name, closed(AXIS, *values))
    found = curve_priors.found(design)
    np.testing.assert_allclose([one.value for one in found.values()], values, rtol=1e-5)


def ready_made(name: str, y: Any) -> Design:
    names = "pqr"[: len(curves.READY_MADE[name].arguments) - 1]
    nonlinear = {n: "1 + (1 | g)" if n == "p" else "1" for n in names}
    return curve_of(f"y ~ {name}(x, {', '.join(names)})", _data(y, AXIS), nonlinear)


def test_default_priors_of_a_ready_made_curve_follow_the_table() -> None:
    closed, values = CLOSED["logistic"]
    design = ready_made("logistic", closed(AXIS, *values) + np.tile([1.0, -1.0], 20))
    found, s_x, s_y = curve_priors.found(design), AXIS.std(ddof=1), design.y.std(ddof=1)
    priors = {p.parameter: p.prior for p in default_priors.resolve(design, {})}
    assert priors["p_Intercept"].arguments == pytest.approx((found["p"].value, 2.5 * s_y))
    assert priors["q_Intercept"].arguments == pytest.approx((found["q"].value, 2.5 * s_x))
    assert priors["r_Intercept"].name == "lognormal"
    assert priors["r_Intercept"].arguments == pytest.approx((math.log(found["r"].value), 1.0))
    assert priors["sd(g: p_Intercept)"].arguments == pytest.approx((1.0 / s_y,))


def test_the_starting_values_of_the_orange_trees_are_those_of_nls() -> None:
    """R 4: coef(nls(circumference ~ SSlogis(age, Asym, xmid, scal), Orange))."""
    trees = pd.read_csv("data/orange/trees.csv")
    data = dataset_of(y=trees["circumference"].to_numpy(float), age=trees["age"].to_numpy(float))
    design = curve_of("y ~ logistic(age, a, m, s)", data, {"a": "1", "m": "1", "s": "1"})
    found = [one.value for one in curve_priors.found(design).values()]
    np.testing.assert_allclose(found, [192.6876, 728.7548, 353.5337], rtol=2e-5)


def test_a_response_that_does_not_look_like_the_curve_has_no_defaults() -> None:
    closed, values = CLOSED["logistic"]
    design = ready_made("logistic", 100.0 - closed(AXIS, *values))
    with pytest.raises(
        FormulaError, match=r"^the curve needs priors for p_Intercept, q_Intercept, r_Intercept: the data do"
    ):
        default_priors.resolve(design, {})


def test_a_curve_of_ones_own_needs_a_prior_for_each_parameter() -> None:
    design = curve_of("y ~ a + b * exp(-x / t)", _data(AXIS, AXIS), {"a": "1 + (1 | g)", "b": "1 + x", "t": "0 + g"})
    with pytest.raises(FormulaError) as caught:
        default_priors.resolve(design, {"b_Intercept": "normal(0, 3)", "b(t)": "half_normal(2)"})
    assert str(caught.value) == "the curve needs a prior for a_Intercept: the data do not say where it is"
    given = {"a_Intercept": "normal(1, 4)", "b_Intercept": "normal(0, 3)", "b(t)": "half_normal(2)"}
    priors = {p.parameter: p.prior for p in default_priors.resolve(design, given)}
    # Slopes and sds are measured in the sd of the intercept's prior.
    assert priors["b(b_x)"].arguments == pytest.approx((0.0, 2.5 * 3.0 / AXIS.std(ddof=1)))
    assert priors["sd(g: a_Intercept)"].arguments == pytest.approx((1.0 / 4.0,))
    assert {str(priors[f"b(t_g[{level}])"]) for level in "abcd"} == {"half_normal(2)"}


def test_an_offset_of_a_parameter_is_none_of_the_response() -> None:
    data = dataset_of(y=AXIS, x=AXIS, far=1e3 * AXIS)
    given = {"a_Intercept": "normal(1, 4)", "b_Intercept": "normal(0, 3)"}
    plain = curve_of("y ~ a + x * b", data, {"a": "1", "b": "1"})
    moved = curve_of("y ~ a + x * b", data, {"a": "1 + offset(far)", "b": "1"})
    priors = [{p.parameter: p.prior for p in default_priors.resolve(design, given)} for design in (plain, moved)]
    assert priors[0]["sigma"] == priors[1]["sigma"]


def test_a_prior_without_an_sd_gives_no_scale() -> None:
    design = curve_of("y ~ a + x * b", _data(AXIS, AXIS), {"a": "1 + (1 | g)", "b": "1"})
    with pytest.raises(FormulaError, match=r"^the curve needs a prior for the sds of effects on 'a': "):
        default_priors.resolve(design, {"a_Intercept": "cauchy(0, 1)", "b_Intercept": "normal(0, 1)"})


def test_priors_of_classes_are_not_those_of_a_curve() -> None:
    """Parameters of a curve measure different things, so that one prior for all cannot be meant."""
    design = curve_of("y ~ a + x * b", _data(AXIS, AXIS), {"a": "1 + (1 | g)", "b": "1"})
    names = default_priors.targets(design)
    assert {"b", "Intercept", "sd", "sd(g)"}.isdisjoint(names)
    assert {"a_Intercept", "b(a)", "b(a_Intercept)", "sd(g: a_Intercept)", "sigma"} <= set(names)


def test_a_curve_starts_at_medians_and_where_the_study_says() -> None:
    design = curve_of("y ~ a + x * b", _data(AXIS, AXIS), {"a": "1 + x", "b": "1"})
    given = {"a_Intercept": "lognormal(1, 2)", "b_Intercept": "normal(-2, 1)"}
    priors = {p.parameter: p.prior for p in default_priors.resolve(design, given)}
    assert curve_priors.starts(design, priors) == {"a": [pytest.approx(math.e), 0.0], "b": [-2.0]}


@pytest.mark.parametrize(
    ("start", "given", "said"),
    [
        (
            {},
            {"b_Intercept": "normal(-1, 0.1)"},
            (
                "priors",
                "the curve is not finite in 40 of 40 rows (the first has x = 0.5) where it starts, at a = 3, b = -1",
            ),
        ),
        (
            {"b": -2.0},
            {"b_Intercept": "lognormal(0, 1)"},
            ("start.b", "the prior lognormal(0, 1) of 'b' does not allow the start -2"),
        ),
        ({"c": 1.0}, {"b_Intercept": "lognormal(0, 1)"}, ("start.c", "the curve has no parameter 'c'")),
    ],
)
def test_a_start_that_is_none_is_told(start: dict[str, float], given: dict[str, str], said: tuple[str, str]) -> None:
    from dataclasses import replace

    design = curve_of("y ~ a + x * log(b)", _data(AXIS, AXIS), {"a": "1", "b": "1"})
    assert design.curve is not None
    design = replace(design, curve=replace(design.curve, start=start))
    priors = {p.parameter: p.prior for p in default_priors.resolve(design, {"a_Intercept": "normal(3, 1)", **given})}
    assert curve_priors.problem_of_start(design, priors)[:2] == said


# What is refused, and what is written.


def test_a_name_is_a_column_or_a_parameter() -> None:
    with pytest.raises(
        StudyError, match="'x' is a parameter of the curve and a column of the table; give the parameter another"
    ):
        curve_of("y ~ a * x", _data(AXIS, AXIS), {"a": "1", "x": "1"})


def test_text_in_a_curve_is_told() -> None:
    with pytest.raises(StudyError, match="the column 'g' is text"):
        curve_of("y ~ a * g", _data(AXIS, AXIS), {"a": "1"})


def test_the_equations_write_the_curve_and_each_parameter() -> None:
    data = _data(AXIS, AXIS)
    design = curve_of("y ~ a / (1 + exp(-(x - m) / s)) ^ 2", data, {"a": "1 + (1 | g)", "m": "1 + x", "s": "1"})
    found = equations.describe(design)
    shift = r"\frac{-\left(\text{x}_i - \text{m}_i\right)}{\text{s}_i}"
    assert found["levels"][0]["latex"] == [
        r"\text{y}_i \sim \operatorname{Normal}(\eta_i,\ \sigma^2)",
        rf"\eta_i = \frac{{\text{{a}}_i}}{{\left(1 + \exp\left({shift}\right)\right)^{{2}}}}",
        r"\text{a}_i = \gamma^{(\text{a})}_{0} + u^{(1)}_{0,j_{1}[i]}",
        r"\text{m}_i = \gamma^{(\text{m})}_{0} + \gamma^{(\text{m})}_{\text{x}}\,\text{x}_i",
        r"\text{s}_i = \gamma^{(\text{s})}_{0}",
    ]
    assert found["plain"].startswith(
        "y follows a curve of x with the parameters a, m, s; m is explained by x; each of the 4 levels"
    )


def test_a_long_formula_may_be_broken_in_the_table_of_candidates() -> None:
    """A curve with the formulas of its parameters would reach into the next column."""
    model = {"label": "a", "name": "a", "family": "gaussian", "status": "ok", "failed": []}
    record: Any = {
        "models": [
            {**model, "formulas": ["y ~ x"]},
            {**model, "formulas": ["y ~ a * exp(-b * x) " * 4, "a ~ 1 + (1 | g)"]},
        ]
    }
    table = str(models.candidates_table(record))
    assert table.count(".ml-long") == 1
    assert "`y ~ x`" in table


def test_plain_language_says_which_parameter_of_a_curve_differs_between_groups() -> None:
    """Their standard deviations have other units than the response, and stand beside no residual."""
    row = {"kind": "sd", "group": "tree", "effect": "asymptote_Intercept", "parameter": "sd(tree: asymptote_Intercept)"}
    row |= {"mean": "31.5", "lower": "14.2", "upper": "60.1"}
    residual = {"kind": "residual", "parameter": "sigma", "mean": "7.8"}
    entry: Any = SimpleNamespace(model={"label": "Logistic", "curve": ["asymptote"], "summary": [row, residual]})
    record: Any = {"data": {"response": {"name": "circumference"}}}
    assert str(plain._group_sentence(record, entry, [row], is_best=True)) == (
        "Under **Logistic**, groups follow curves of their own. Standard deviations of the curve's parameters: `asymptote` 32 "
        "between groups of `tree` (95% interval 14 to 60)."
    )


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_latex_of_a_curve_is_balanced(text: str) -> None:
    written = curves.latex(text, {name: name for name in "pqrx"})
    assert written.count("{") == written.count("}")
    assert written.count(r"\left") == written.count(r"\right")
