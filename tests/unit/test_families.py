"""What a family says of a response that it cannot describe, and the priors that its parameters have by default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures.family_cases import COUNTS, OF_NUMBERS, OF_TRIALS
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import default_priors, distributions, families, priors
from multilevel.priors import Prior

POSITIVE = ("lognormal", "gamma", "inverse_gaussian", "weibull")


def problem(family: str, y: list[float], **terms: list[float]) -> str | None:
    found = families.get(family).support_problem(np.array(y), {name: np.array(v) for name, v in terms.items()})
    return None if found is None else str(found)


@pytest.mark.parametrize("family", COUNTS)
def test_counts_are_whole_and_not_negative(family: str) -> None:
    assert problem(family, [0.0, 3.0, 1e6]) is None
    assert problem(family, [0.0, -1.0, -2.0]) == (
        f"has negative values, and {family} describes counts (-1 in row 2, 2 rows in all); "
        "gaussian and student_t take numbers of either sign"
    )
    assert problem(family, [0.0, 3.0, 0.5]) == (
        f"has values that are no whole numbers, and {family} describes counts (0.5 in row 3, 1 rows in all); "
        "gamma and lognormal take numbers above 0, beta shares between 0 and 1"
    )


@pytest.mark.parametrize("family", POSITIVE)
def test_positive_numbers_are_above_0(family: str) -> None:
    assert problem(family, [1e-9, 3.0, 1e6]) is None
    assert problem(family, [2.0, -1.5]) == (
        f"has negative values, and {family} describes numbers above 0 (-1.5 in row 2, 1 rows in all); "
        "gaussian and student_t take numbers of either sign"
    )
    assert problem(family, [2.5, 0.0, 0.0]) == (
        f"has zeros, and {family} describes numbers above 0 (0 in row 2, 2 rows in all); "
        "exponential takes zeros; otherwise filter them or model them apart"
    )
    assert problem(family, [2.0, 0.0]) == (
        f"has zeros, and {family} describes numbers above 0 (0 in row 2, 1 rows in all); "
        "poisson and negative_binomial describe counts, zeros among them"
    )


def test_waiting_times_of_a_constant_hazard_may_be_0() -> None:
    assert problem("exponential", [0.0, 2.0]) is None
    assert problem("exponential", [0.0, -2.0]) == (
        "has negative values, and exponential describes waiting times (-2 in row 2, 1 rows in all); "
        "gaussian and student_t take numbers of either sign"
    )


def test_shares_lie_between_0_and_1() -> None:
    for family in ("beta", "zero_one_inflated_beta"):
        assert problem(family, [0.2, 0.9]) is None
        words = f"has values outside 0 to 1, and {family} describes shares"
        assert problem(family, [0.5, 1.5, 20.0]) == f"{words} (1.5 in row 2, 2 rows in all); divide percentages by 100"
        assert problem(family, [0.5, -0.5]) == (
            f"{words} (-0.5 in row 2, 1 rows in all); gaussian and student_t take numbers of either sign"
        )
    assert problem("zero_one_inflated_beta", [0.0, 1.0, 0.5]) is None
    assert problem("beta", [0.5, 1.0, 0.0]) == (
        "has zeros or ones, and beta describes shares between them (1 in row 2, 2 rows in all); "
        "zero_one_inflated_beta takes zeros and ones"
    )


def test_a_bernoulli_response_is_0_or_1() -> None:
    assert problem("bernoulli", [0.0, 1.0]) is None
    assert problem("bernoulli", [0.0, 2.0, 3.0]) == (
        "has values other than 0 and 1 (2 in row 2, 2 rows in all); "
        "binomial takes counts out of trials(n), poisson counts without a limit"
    )
    assert problem("bernoulli", [0.0, 0.5]) == (
        "has values other than 0 and 1 (0.5 in row 2, 1 rows in all); derive a column of zeros and ones (data.derive)"
    )


@pytest.mark.parametrize("family", OF_TRIALS)
def test_successes_are_part_of_the_trials(family: str) -> None:
    assert problem(family, [0.0, 3.0], trials=[2.0, 3.0]) is None
    assert (
        problem(family, [4.0, 3.0], trials=[2.0, 3.0])
        == "has more successes than trials (4 of 2 in row 1, 1 rows in all)"
    )
    assert problem(family, [4.0, 1.0]) == (
        "has more successes than trials (4 of 1 in row 1, 1 rows in all); write 'y | trials(n)' for counts out of n"
    )
    assert problem(family, [1.0, -1.0], trials=[2.0, 2.0]) == "has negative counts (-1 of 2 in row 2, 1 rows in all)"


def test_numbers_of_either_sign_are_finite() -> None:
    for family in ("gaussian", "student_t"):
        assert problem(family, [-1.0, 1.0]) is None
        assert problem(family, [-1.0, np.nan]) == "has values that are not finite"


RNG = np.random.default_rng(4)
DATA = dataset_of(
    y=RNG.normal(10.0, 3.0, 40),
    waiting=RNG.gamma(2.0, 5.0, 40),
    count_=RNG.poisson(4.0, 40).astype(float),
    share=RNG.beta(2.0, 2.0, 40),
    yes=(RNG.random(40) < 0.5).astype(float),
    n=np.full(40, 9.0),
    x=RNG.normal(0.0, 2.0, 40),
    exposure=np.linspace(50.0, 100.0, 40),
)
FRAME = DATA.frame


def defaults(text: str, family: str, **parameters: str) -> dict[str, Prior]:
    return {p.parameter: p.prior for p in default_priors.resolve(design_of(text, DATA, family, **parameters), {})}


def test_default_priors_of_a_mean_stand_at_the_mean_of_the_response() -> None:
    for family in ("gamma", "weibull", "exponential", "inverse_gaussian"):
        found = defaults("waiting ~ x", family)
        assert found["Intercept"] == Prior("normal", (pytest.approx(np.log(FRAME["waiting"].mean())), 2.5))
        assert found["b(x)"] == Prior("normal", (0.0, pytest.approx(2.5 / FRAME["x"].std())))
    for family in ("poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"):
        at = np.log(FRAME["count_"].mean())
        assert defaults("count_ ~ x", family)["Intercept"] == Prior("normal", (pytest.approx(at), 2.5))
    above = np.log(FRAME["count_"][FRAME["count_"] > 0].mean())
    for family in ("hurdle_poisson", "hurdle_negative_binomial"):
        assert defaults("count_ ~ x", family)["Intercept"] == Prior("normal", (pytest.approx(above), 2.5))
    for text, family in (("share ~ x", "beta"), ("yes ~ x", "bernoulli"), ("yes | trials(n) ~ x", "beta_binomial")):
        assert defaults(text, family)["Intercept"] == Prior("normal", (0.0, 2.5))
    logs = np.log(FRAME["waiting"])
    assert defaults("waiting ~ 1", "lognormal")["Intercept"] == Prior(
        "normal", (pytest.approx(logs.mean()), pytest.approx(2.5 * logs.std()))
    )


def test_the_default_intercept_is_that_of_a_unit_of_exposure() -> None:
    """An offset of a log link multiplies the mean: of counts of 4 at an exposure of 75 the rate is about 4 / 75."""
    found = defaults("count_ ~ x + offset(log(exposure))", "poisson")["Intercept"]
    assert found.arguments[0] == pytest.approx(np.log(FRAME["count_"].mean() / FRAME["exposure"].mean()))
    plain, moved = (defaults(f"waiting ~ 1{more}", "lognormal")["Intercept"] for more in ("", " + offset(exposure)"))
    assert moved.arguments[0] == pytest.approx(plain.arguments[0] - FRAME["exposure"].mean())
    assert moved.arguments[1] == plain.arguments[1]


def test_default_priors_of_other_parameters() -> None:
    assert defaults("y ~ x", "student_t")["nu"] == Prior("gamma", (2.0, 0.1))
    assert defaults("y ~ x", "student_t")["sigma"] == Prior("exponential", (pytest.approx(1 / FRAME["y"].std()),))
    assert defaults("waiting ~ x", "lognormal")["sigma"] == Prior(
        "exponential", (pytest.approx(1 / np.log(FRAME["waiting"]).std()),)
    )
    for text, family, name in (
        ("waiting ~ x", "gamma", "shape"),
        ("count_ ~ x", "negative_binomial", "shape"),
        ("share ~ x", "beta", "phi"),
        ("yes | trials(n) ~ x", "beta_binomial", "phi"),
    ):
        assert defaults(text, family)[name] == Prior("inverse_gamma", (0.4, 0.3))
    for family in ("zero_inflated_poisson", "hurdle_negative_binomial"):
        found = defaults("count_ ~ x", family)
        assert found["zi" if "zi" in found else "hu"] == Prior("beta", (1.0, 1.0))
    assert defaults("waiting ~ x", "weibull")["shape"] == Prior("lognormal", (0.0, 1.0))
    unit = FRAME["waiting"].mean()
    assert defaults("waiting ~ x", "inverse_gaussian")["shape"] == Prior(
        "inverse_gamma", (0.4, pytest.approx(0.3 * unit))
    )


def test_sigma_has_the_unit_of_the_response_under_every_link() -> None:
    from multilevel import design

    for link in ("identity", "log"):
        built = design.build({"formula": "waiting ~ 1 + x", "family": "gaussian", "link": link}, DATA)
        found = {p.parameter: p.prior for p in default_priors.resolve(built, {})}
        assert found["sigma"] == Prior("exponential", (pytest.approx(1 / FRAME["waiting"].std()),))


def test_predictors_of_other_parameters_have_default_priors_on_their_own_scale() -> None:
    found = defaults("count_ ~ x", "zero_inflated_negative_binomial", zi="1 + x", shape="1 + x")
    spread = FRAME["x"].std()
    assert found["zi_Intercept"] == Prior("normal", (0.0, 1.5))
    assert found["b(zi_x)"] == Prior("normal", (0.0, pytest.approx(1.5 / spread)))
    assert found["shape_Intercept"] == Prior("normal", (1.0, 2.0))
    assert found["b(shape_x)"] == Prior("normal", (0.0, pytest.approx(2.0 / spread)))
    assert defaults("y ~ x", "student_t", nu="1 + x")["nu_Intercept"] == Prior("normal", (2.0, 1.5))
    unit = np.log(FRAME["waiting"].mean())
    moved = defaults("waiting ~ x", "inverse_gaussian", shape="1 + x")["shape_Intercept"]
    assert moved == Prior("normal", (pytest.approx(1.0 + unit), 2.0))


@pytest.mark.parametrize("family", OF_NUMBERS)
def test_every_parameter_has_a_default_prior_of_the_right_support(family: str) -> None:
    module = families.get(family)
    found = module.default_priors(2.0)
    assert set(found) == set(module.PARAMETERS[1:])
    for name, (distribution, arguments) in found.items():
        priors.check_support(Prior(distribution, arguments), name)
        location, spread = module.location_of(name, 2.0)
        assert np.isfinite(location)
        assert spread > 0
    if not found:
        with pytest.raises(KeyError, match="sigma"):
            module.location_of("sigma", 2.0)


class OverRoot:
    """One over the square root of a positive variable, a precision."""

    def __init__(self, precision: Any) -> None:
        self.precision = precision

    def cdf(self, value: Any) -> Any:
        return self.precision.sf(np.asarray(value) ** -2.0)


@pytest.mark.parametrize(
    ("prior", "frozen"),
    [
        ("half_student_t(3, 2)", stats.t(3, 0, 2)),
        ("inverse_gamma(0.4, 0.3)", stats.invgamma(0.4, scale=0.3)),
        ("sqrt_inverse_gamma(2, 3)", OverRoot(stats.gamma(2, scale=1 / 3))),
        ("logistic(1, 2)", stats.logistic(1, 2)),
        ("beta(2, 3)", stats.beta(2, 3)),
        ("lognormal(1, 0.5)", stats.lognorm(0.5, scale=np.e)),
        ("gamma(2, 0.1)", stats.gamma(2, scale=10.0)),
        ("exponential(4)", stats.expon(scale=0.25)),
        ("uniform(1, 3)", stats.uniform(1, 2)),
    ],
)
def test_draws_of_a_prior_come_from_it(prior: str, frozen: Any) -> None:
    parsed = priors.parse(prior)
    drawn = distributions.draw(parsed, "sigma", np.random.default_rng(1), 5_000)
    cdf = (lambda v: 2 * frozen.cdf(v) - 1) if "half" in prior else frozen.cdf
    assert stats.kstest(drawn, cdf).pvalue > 1e-4
    assert distributions.log_survival(parsed, 1.5) == pytest.approx(np.log(1 - cdf(1.5)) if cdf(1.5) < 1 else -np.inf)


def test_draws_of_degrees_of_freedom_are_above_1() -> None:
    drawn = distributions.draw(Prior("gamma", (2.0, 1.0)), "nu", np.random.default_rng(1), 5_000)
    whole = stats.gamma(2.0)
    assert drawn.min() > 1
    assert stats.kstest(drawn, lambda v: (whole.cdf(v) - whole.cdf(1)) / whole.sf(1)).pvalue > 1e-4
