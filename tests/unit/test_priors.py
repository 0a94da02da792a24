"""Priors: what may be written, what each parameter takes, and defaults that follow spreads, never where a zero is."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.radon import radon_design, radon_priors
from fixtures.small_data import dataset_of, design_of, with_reference

from multilevel import default_priors, priors
from multilevel.dataset import Dataset
from multilevel.errors import FormulaError
from multilevel.priors import Prior


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("normal(0, 2.5)", Prior("normal", (0.0, 2.5))),
        (" normal( -1 ,2) ", Prior("normal", (-1.0, 2.0))),
        ("normal(sigma=2, mu=1)", Prior("normal", (1.0, 2.0))),
        ("normal(1, sigma=2)", Prior("normal", (1.0, 2.0))),
        ("student_t(3, 0, 1e2)", Prior("student_t", (3.0, 0.0, 100.0))),
        ("exponential(0.5)", Prior("exponential", (0.5,))),
        ("uniform(-1, 1)", Prior("uniform", (-1.0, 1.0))),
        ("lkj(2)", Prior("lkj", (2.0,))),
    ],
)
def test_a_prior_is_a_distribution_with_numbers(text: str, prior: Prior) -> None:
    assert priors.parse(text) == prior
    assert priors.parse(str(prior)) == prior


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nromal(0, 1)", "unknown prior 'nromal'; did you mean 'normal'?"),
        ("half_cuachy(1)", "unknown prior 'half_cuachy'; did you mean 'half_cauchy'?"),
        ("normal", "'normal' is no prior; write a distribution with numbers, such as normal(0, 1)"),
        ("normal(0, 1", "is no prior"),
        ("", "is no prior"),
        ("scipy.norm(0, 1)", "is no prior"),
        ("normal(0, 1)(2)", "is no prior"),
        ("normal(0)", "'normal(0)' lacks sigma; it is normal(mu, sigma)"),
        ("normal(0, 1, 2)", "has 3 arguments; it is normal(mu, sigma)"),
        ("normal(0, sd=1)", "'sd' is no argument of normal(mu, sigma)"),
        ("normal(0, mu=1)", "gives 'mu' twice; it is normal(mu, sigma)"),
        ("normal(0, -1)", "sigma must be above 0 in normal(mu, sigma)"),
        ("normal(0, 0)", "sigma must be above 0"),
        ("exponential(0)", "rate must be above 0"),
        ("lkj(0)", "eta must be above 0"),
        ("beta(0, 1)", "alpha must be above 0 in beta(alpha, beta)"),
        ("uniform(1, 1)", "lower must be below upper in uniform(lower, upper)"),
        ("normal(0, 1e999)", "is no finite number"),
        ("normal(0, x)", "'x' is no finite number"),
        ("normal(0, '1')", "is no finite number"),
        ("normal(0, True)", "is no finite number"),
        ("normal(0, 1 + 1)", "is no finite number"),
        ("normal(0, __import__('os').getpid())", "is no finite number"),
        ("normal(*[0, 1])", "is no finite number"),
        ("normal(**{'mu': 0})", "is no argument of normal(mu, sigma)"),
    ],
)
def test_what_is_no_prior_is_refused_and_told_why(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        priors.parse(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target", "sentence"),
    [
        ("normal(0, 1)", "sd(county)", "normal cannot be the prior of a standard deviation (sd(county)); choose from half"),
        ("normal(0, 1)", "sigma", "normal cannot be the prior of a standard deviation (sigma)"),
        ("exponential(1)", "b(floor)", "exponential cannot be the prior of a coefficient (b(floor)); choose from normal"),
        ("lognormal(0, 1)", "Intercept", "lognormal cannot be the prior of a coefficient (Intercept)"),
        ("normal(0, 1)", "cor(county)", "normal cannot be the prior of a correlation matrix (cor(county)); choose from lkj"),
        ("lkj(1)", "sd", "lkj cannot be the prior of a standard deviation (sd)"),
        ("uniform(-1, 1)", "sigma", "uniform(-1, 1) reaches below 0, where sigma has no values"),
        ("normal(0, 1)", "nu", "normal cannot be the prior of degrees of freedom (nu); choose from half_normal"),
        ("normal(0, 1)", "shape", "normal cannot be the prior of a shape (shape); choose from half_normal"),
        ("cauchy(0, 1)", "phi", "cauchy cannot be the prior of a precision, or a correlation of residuals (phi)"),
        ("exponential(1)", "rho", "exponential cannot be the prior of a correlation of residuals (rho); choose from beta"),
        ("gamma(1, 1)", "zi", "gamma cannot be the prior of a probability (zi); choose from beta, uniform"),
        ("beta(1, 1)", "b(x)", "beta cannot be the prior of a coefficient (b(x))"),
        ("uniform(0, 2)", "hu", "uniform(0, 2) reaches above 1, where hu has no values"),
        ("uniform(-1, 1)", "coi", "uniform(-1, 1) reaches below 0, where coi has no values"),
        ("uniform(0, 1)", "nu", "uniform(0, 1) ends at 1, and nu has values above 1 only"),
    ],
)  # fmt: skip
def test_a_prior_of_the_wrong_support_is_refused(text: str, target: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        priors.check_support(priors.parse(text), target)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("beta(1, 1)", "beta cannot be the prior of a precision (phi); choose from half_normal"),
        ("uniform(-1, 1)", "uniform(-1, 1) reaches below 0, where phi has no values"),
    ],
)
def test_a_precision_takes_no_prior_of_a_correlation(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        priors.check_positive(priors.parse(text), "phi")
    assert sentence in str(caught.value)
    share = dataset_of(y=[0.2, 0.5, 0.7, 0.4], x=[1.0, 2.0, 3.0, 5.0])
    with pytest.raises(FormulaError) as caught:
        default_priors.resolve(design_of("y ~ x", share, "beta"), {"phi": text})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "gamma(2, 1)",
            "gamma cannot be the prior of a correlation (rho); choose from beta, uniform, normal",
        ),
        ("uniform(-0.5, 1)", "uniform(-0.5, 1) reaches beyond -0.25 to 1, where rho has no values"),
        ("uniform(0, 2)", "uniform(0, 2) reaches beyond -0.25 to 1, where rho has no values"),
    ],
)
def test_a_correlation_of_residuals_takes_no_other_prior(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as caught:
        priors.check_between(priors.parse(text), "rho", -0.25, 1.0)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("uniform(0, 5)", "sd(g: x)"),
        ("gamma(2, 1)", "sigma"),
        ("cauchy(0, 1)", "b"),
        ("uniform(-1, 1)", "Intercept"),
        ("lkj(1)", "cor"),
        ("beta(2, 5)", "zi"),
        ("uniform(0.2, 1)", "zoi"),
        ("uniform(0, 5)", "nu"),
        ("normal(0, 1)", "zi_Intercept"),
        ("lognormal(0, 1)", "shape"),
    ],
)
def test_a_prior_of_the_right_support_is_taken(text: str, target: str) -> None:
    priors.check_support(priors.parse(text), target)


def test_the_most_specific_entry_is_taken_and_blanks_do_not_matter() -> None:
    given = {"sd": "exponential(1)", "sd( county )": "exponential(2)", "sd(county:floor)": "exponential(3)"}
    assert priors.choose(["sd(county: floor)", "sd(county)", "sd"], given) == ("sd(county: floor)", "exponential(3)")
    assert priors.choose(["sd(county: Intercept)", "sd(county)", "sd"], given) == ("sd(county)", "exponential(2)")
    assert priors.choose(["sd(school: Intercept)", "sd(school)", "sd"], given) == ("sd", "exponential(1)")
    assert priors.choose(["cor(county)", "cor"], given) is None


# Defaults, by hand: mean(y) = 2 and sd(y) = 2, sd(x) = 1, sd(z) = 10 (ddof 1).


def small(shift: float = 0.0) -> Dataset:
    return dataset_of(
        y=[0.0, 4.0, 2.0],
        x=np.array([4.0, 5.0, 6.0]) + shift,
        z=np.array([10.0, 0.0, -10.0]) + shift,
        g=list("abc"),
        k=with_reference("mnn", "n", "m"),
    )


def resolved(text: str, data: Dataset, given: dict[str, str] | None = None) -> dict[str, str]:
    return {p.parameter: str(p.prior) for p in default_priors.resolve(design_of(text, data), given or {})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ 1", {"Intercept": "normal(2, 5)", "sigma": "exponential(0.5)"}),
        ("y ~ x", {"Intercept": "normal(2, 5)", "b(x)": "normal(0, 5)", "sigma": "exponential(0.5)"}),
        ("y ~ 0 + x", {"b(x)": "normal(0, 5)", "sigma": "exponential(0.5)"}),
        ("y ~ z", {"Intercept": "normal(2, 5)", "b(z)": "normal(0, 0.5)", "sigma": "exponential(0.5)"}),
        # An interaction: the product of the spreads, 1 * 10.
        (
            "y ~ x * z",
            {
                "Intercept": "normal(2, 5)",
                "b(x)": "normal(0, 5)",
                "b(z)": "normal(0, 0.5)",
                "b(x:z)": "normal(0, 0.5)",
                "sigma": "exponential(0.5)",
            },
        ),
        # A contrast of a factor: 2.5 sd(y), however rare the level is.
        (
            "y ~ k * z",
            {
                "Intercept": "normal(2, 5)",
                "b(k[m])": "normal(0, 5)",
                "b(z)": "normal(0, 0.5)",
                "b(k[m]:z)": "normal(0, 0.5)",
                "sigma": "exponential(0.5)",
            },
        ),
        ("y ~ 0 + k", {"b(k[n])": "normal(0, 5)", "b(k[m])": "normal(0, 5)", "sigma": "exponential(0.5)"}),
        (
            "y ~ 1 + (1 + z | g)",
            {
                "Intercept": "normal(2, 5)",
                "sd(g: Intercept)": "exponential(0.5)",
                "sd(g: z)": "exponential(5)",
                "cor(g)": "lkj(2)",
                "sigma": "exponential(0.5)",
            },
        ),
        (
            "y ~ 1 + (1 + k || g)",
            {
                "Intercept": "normal(2, 5)",
                "sd(g: Intercept)": "exponential(0.5)",
                "sd(g: k[m])": "exponential(0.5)",
                "sigma": "exponential(0.5)",
            },
        ),
        # The offset is taken from the response first: y - x = (-4, -1, -4).
        ("y ~ offset(x)", {"Intercept": "normal(-3, 4.33013)", "sigma": "exponential(0.57735)"}),
    ],
)
def test_defaults_are_those_computed_by_hand(text: str, expected: dict[str, str]) -> None:
    assert resolved(text, small()) == expected


FORMULAS = [
    "y ~ x",
    "y ~ x * z",
    "y ~ k * x",
    "y ~ x + z + x:z + x:z:k",
    "y ~ 0 + x:k",
    "y ~ x * z + (1 + x + x:z | g)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_default_depends_on_where_a_predictor_has_its_zero(text: str) -> None:
    assert resolved(text, small(shift=1000.0)) == resolved(text, small())


def test_the_scale_of_a_spline_is_that_of_each_of_its_columns() -> None:
    x = np.linspace(0, 1, 20)
    data = dataset_of(y=np.sin(7 * x), x=x, k=list("uv" * 10))
    design = design_of("y ~ bs(x, df=4) * k", data)
    spline = {
        name: np.std(design.x[:, i], ddof=1) for i, name in enumerate(design.coefficients) if name.startswith("bs")
    }
    for name, scale in zip(design.coefficients, design.scales, strict=True):
        column = name.removesuffix(":k[v]")
        assert scale == pytest.approx(spline.get(column, 1.0), rel=1e-12), name


def test_levels_with_brackets_and_colons_in_their_names_change_no_scale() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    data = dataset_of(y=x, x=x, k=["a:)", "b(", "c]", "[d:"])
    scales = dict(zip(*[(d := design_of("y ~ 0 + k + k:x", data)).coefficients, d.scales], strict=True))
    assert [scales[f"k[{level}]"] for level in ("a:)", "b(", "c]", "[d:")] == [1.0] * 4
    slopes = [scale for name, scale in scales.items() if name.endswith(":x")]
    assert slopes == pytest.approx([np.std(x, ddof=1)] * 4, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "parameter", "expected"),
    [
        ({"b": "normal(0, 1)"}, "b(k[m])", ("normal(0, 1)", "study: b")),
        ({"b": "normal(0, 1)"}, "Intercept", ("normal(2, 5)", "default")),
        ({"b": "normal(0, 1)", "b(k)": "normal(0, 2)"}, "b(k[m])", ("normal(0, 2)", "study: b(k)")),
        ({"b(k)": "normal(0, 2)"}, "b(x)", ("normal(0, 5)", "default")),
        ({"b(k)": "normal(0, 2)", "b(k[m])": "cauchy(0, 3)"}, "b(k[m])", ("cauchy(0, 3)", "study: b(k[m])")),
        ({"b( x:k[m] )": "normal(0, 4)"}, "b(x:k[m])", ("normal(0, 4)", "study: b(x:k[m])")),
        ({"sd": "half_normal(1)"}, "sd(g: x)", ("half_normal(1)", "study: sd")),
        ({"sd": "half_normal(1)", "sd(g)": "half_normal(2)"}, "sd(g: x)", ("half_normal(2)", "study: sd(g)")),
        ({"sd(g)": "half_normal(2)", "sd(g:x)": "gamma(2, 3)"}, "sd(g: x)", ("gamma(2, 3)", "study: sd(g: x)")),
        ({"sd(g:x)": "gamma(2, 3)"}, "sd(g: Intercept)", ("exponential(0.5)", "default")),
        ({"cor": "lkj(1)"}, "cor(g)", ("lkj(1)", "study: cor")),
        ({"cor": "lkj(1)", "cor(g)": "lkj(4)"}, "cor(g)", ("lkj(4)", "study: cor(g)")),
        ({"sigma": "half_cauchy(2)"}, "sigma", ("half_cauchy(2)", "study: sigma")),
        ({"Intercept": "normal(0, 100)"}, "Intercept", ("normal(0, 100)", "study: Intercept")),
    ],
)
def test_a_study_sets_priors_by_parameter_by_term_and_by_class(
    given: dict[str, str], parameter: str, expected: tuple[str, str]
) -> None:
    design = design_of("y ~ x * k + (1 + x | g)", small())
    found = {p.parameter: (str(p.prior), p.source) for p in default_priors.resolve(design, given)}
    assert found[parameter] == expected


def test_a_second_term_of_a_group_is_addressed_by_its_own_label_or_by_the_group() -> None:
    given = {"sd(g)": "half_normal(1)", "sd(g_2: x)": "half_normal(2)"}
    assert resolved("y ~ 1 + (1 | g) + (0 + x | g)", small(), given) == {
        "Intercept": "normal(2, 5)",
        "sd(g: Intercept)": "half_normal(1)",
        "sd(g_2: x)": "half_normal(2)",
        "sigma": "exponential(0.5)",
    }


def test_a_prior_of_the_wrong_support_is_refused_when_priors_are_resolved() -> None:
    with pytest.raises(FormulaError, match="normal cannot be the prior of a standard deviation"):
        resolved("y ~ x + (1 | g)", small(), {"sd(g)": "normal(0, 1)"})


def test_every_name_that_a_prior_may_be_given_to_is_listed() -> None:
    targets = default_priors.targets(design_of("y ~ x + k + (1 + x | g)", small()), squares=False)
    assert set(targets) == {
        "Intercept", "b(x)", "b(k[m])", "b(k)", "b", "sd(g: Intercept)", "sd(g: x)", "sd(g)", "sd", "cor(g)", "cor", "sigma",
    }  # fmt: skip


def test_the_radon_study_has_the_priors_that_its_text_says() -> None:
    design = radon_design("cross_level")
    s_y = np.std(design.y, ddof=1)
    s_floor, s_uranium = (np.std(design.x[:, i], ddof=1) for i in (1, 2))
    expected = {
        "Intercept": ("normal", (np.mean(design.y), 2.5 * s_y)),
        "b(floor)": ("normal", (0, 2.5 * s_y / s_floor)),
        "b(log_uranium)": ("normal", (0, 2.5 * s_y / s_uranium)),
        "b(floor:log_uranium)": ("normal", (0, 2.5 * s_y / (s_floor * s_uranium))),
        "sd(county: Intercept)": ("exponential", (1 / s_y,)),
        "sd(county: floor)": ("exponential", (s_floor / s_y,)),
        "cor(county)": ("lkj", (2,)),
        "sigma": ("exponential", (1 / s_y,)),
    }
    found = {p.parameter: p.prior for p in radon_priors("cross_level")}
    assert found.keys() == expected.keys()
    for name, (distribution, arguments) in expected.items():
        assert found[name].name == distribution
        assert found[name].arguments == pytest.approx(arguments, rel=1e-12), name


def test_the_counties_of_the_unpooled_model_have_the_prior_that_the_study_gives_them() -> None:
    found = {p.parameter: p for p in radon_priors("no_pooling")}
    counties = [p for name, p in found.items() if name.startswith("b(county[")]
    assert len(counties) == 85
    assert {(str(p.prior), p.source) for p in counties} == {("normal(0, 10)", "study: b(county)")}
    assert found["b(floor)"].source == "default"


def test_variances_and_precisions_are_addressed_as_standard_deviations_are() -> None:
    named = set(default_priors.targets(design_of("y ~ x + (1 + x | g)", small())))
    plain = set(default_priors.targets(design_of("y ~ x + (1 + x | g)", small()), squares=False))
    squares = {f"{kind}{name[2:]}" for name in plain if name.startswith("sd") for kind in ("var", "precision")}
    assert named == plain | squares | {"var(sigma)", "precision(sigma)", "cov", "cov(g)"}


def test_a_prior_may_be_of_a_variance_or_a_precision() -> None:
    given = {"precision(g)": "gamma(0.001, 0.001)", "var(g: x)": "inverse_gamma(1, 2)", "var(sigma)": "uniform(0, 9)"}
    found = {r.parameter: r for r in default_priors.resolve(design_of("y ~ x + (1 + x | g)", small()), given)}
    assert str(found["sd(g: Intercept)"].prior) == "gamma(0.001, 0.001) on the precision"
    assert str(found["sd(g: x)"].prior) == "inverse_gamma(1, 2) on the variance"
    assert str(found["sigma"].prior) == "uniform(0, 9) on the variance"
    assert found["sigma"].source == "study: var(sigma)"


@pytest.mark.parametrize(
    ("below", "above", "kept"),
    [
        ({"sd(g)": "half_normal(1)"}, {"precision(g)": "gamma(1, 1)"}, {"precision(g)": "gamma(1, 1)"}),
        ({"var(sigma)": "gamma(1, 1)"}, {"sigma": "half_normal(1)"}, {"sigma": "half_normal(1)"}),
        (
            {"sd(g: x)": "half_normal(1)", "cor(g)": "lkj(2)", "sd(h)": "half_normal(2)"},
            {"cov(g)": "wishart(3, 1)"},
            {"sd(h)": "half_normal(2)", "cov(g)": "wishart(3, 1)"},
        ),
        ({"cov(g)": "wishart(3, 1)"}, {"sd(g)": "half_normal(1)"}, {"sd(g)": "half_normal(1)"}),
        ({"sd": "half_normal(1)"}, {"sd(g)": "half_normal(2)"}, {"sd": "half_normal(1)", "sd(g)": "half_normal(2)"}),
    ],
)
def test_a_prior_laid_over_others_takes_the_place_of_those_of_the_same_parameters(
    below: dict[str, str], above: dict[str, str], kept: dict[str, str]
) -> None:
    assert priors.overlay(below, above) == kept


def test_a_wishart_prior_of_the_inverse_is_an_inverse_wishart_prior_of_the_covariance_matrix() -> None:
    design = design_of("y ~ x + (1 + x | g)", small())
    (found,) = [
        r.prior
        for r in default_priors.resolve(design, {"precision(g)": "wishart(4, [[2, 0.5], [0.5, 1]])"})
        if r.parameter == "cov(g)"
    ]
    assert found.name == "inverse_wishart"
    np.testing.assert_allclose(found.scale, np.linalg.inv([[2, 0.5], [0.5, 1]]), rtol=1e-14)


@pytest.mark.parametrize(
    ("given", "term"), [({"cov(g)": "wishart(4, 1)"}, "cov(g)"), ({"cov": "wishart(4, 1)"}, "cov(g)")]
)
def test_the_prior_of_a_covariance_matrix_stands_for_those_of_its_sds_and_correlations(
    given: dict[str, str], term: str
) -> None:
    found = [r.parameter for r in default_priors.resolve(design_of("y ~ x + (1 + x | g)", small()), given)]
    assert term in found
    assert not [name for name in found if name.startswith(("sd", "cor"))]


@pytest.mark.parametrize("preset", ["", "brms"])
@pytest.mark.parametrize("formula", ["y ~ x + k + (1 + x | g)", "y ~ x * k + (1 | g)", "y ~ scale(x) + (1 | g)"])
def test_no_default_of_a_preset_depends_on_where_a_predictor_has_its_zero(preset: str, formula: str) -> None:
    """Nor does the density: the columns that are sampled are centred."""
    before, after = design_of(formula, small()), design_of(formula, small(shift=1000.0))
    old, new = (default_priors.resolve(d, {}, preset) for d in (before, after))
    assert [r.parameter for r in old] == [r.parameter for r in new]
    for a, b in zip(old, new, strict=True):
        assert a.prior.name == b.prior.name
        np.testing.assert_allclose(a.prior.arguments, b.prior.arguments, rtol=1e-9)
    if "*" not in formula:  # an interaction's columns change with the zero, and with it what the coefficients mean
        columns = [d.x[:, d.predictors[0].slopes] - d.predictors[0].means for d in (before, after)]
        np.testing.assert_allclose(*columns, atol=1e-9)
