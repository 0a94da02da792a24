"""One rule decides whether a published number is reproduced, and a number a little further off is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel import replication
from multilevel.convergence import Quantity
from multilevel.estimands import Estimand
from multilevel.replication import Results, replicate, tolerance
from multilevel.scores import subsampled

MAXIMUM = {
    "estimator": "reml",
    "converged": True,
    "log_likelihood": -1085.65,
    "reml_criterion": 2171.3,
    "estimates": {
        "Intercept": 1.4616,
        "sigma": 0.7556,
        "sd(county: Intercept)": 0.32822,
        "county[AITKIN: Intercept]": -0.27,
        "cor(county: Intercept, floor)": None,
    },
    "standard_errors": {"Intercept": 0.05158},
}
POSTERIOR = {
    "Intercept": {
        "mean": 1.4602, "sd": 0.0521, "median": 1.4601, "lower": 1.358, "upper": 1.561,
        "mcse_mean": 0.001, "mcse_sd": 0.0007, "mcse_median": 0.0013, "mcse_lower": 0.003, "mcse_upper": 0.003,
    }
}  # fmt: skip


def number(published: str, **changes: Any) -> dict[str, Any]:
    base = {
        "model": "m",
        "quantity": "Intercept",
        "recipe": "value",
        "parts": ["Intercept"],
        "statistic": "mean",
        "estimator": "posterior",
        "published": published,
        "digits": len(published.partition(".")[2]),
        "mcse": 0.0,
        "source": "here",
        "note": "",
        "reason": "",
    }
    return {**base, **changes}


def verdict(row: dict[str, Any], **results: Any) -> dict[str, Any]:
    known = Results(**{"status": "ok", "posterior": POSTERIOR, "maxima": {"reml": MAXIMUM}, **results})
    (found,) = replicate([row], {"m": known}).to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_the_rule_is_half_a_unit_of_the_last_digit_and_three_combined_errors() -> None:
    assert tolerance(2, 0.0, 0.0) == pytest.approx(0.005, rel=1e-15)
    assert tolerance(0, 0.03, 0.04) == pytest.approx(0.5 + 3 * 0.05, rel=1e-15)
    assert tolerance(-2, 0.0, 0.0) == 50.0


@given(
    digits=st.integers(0, 6),
    published_error=st.floats(0, 1),
    own_error=st.floats(0, 1),
    share=st.floats(0, 0.999),
)
def test_a_number_inside_is_reproduced_and_the_same_number_perturbed_to_outside_differs(
    digits: int, published_error: float, own_error: float, share: float
) -> None:
    limit = tolerance(digits, published_error, own_error)
    for sign in (-1.0, 1.0):
        for size, expected in ((share, "reproduced"), (1.001, "differs")):
            ours = {**POSTERIOR["Intercept"], "mean": 2.0 + sign * size * limit, "mcse_mean": own_error}
            row = number("2.0", digits=digits, mcse=published_error)
            assert verdict(row, posterior={"Intercept": ours})["verdict"] == expected


def test_a_tie_of_rounding_counts_as_reproduced() -> None:
    ours = {**POSTERIOR["Intercept"], "mean": 0.125, "mcse_mean": 0.0}
    for published in ("0.12", "0.13"):
        assert verdict(number(published), posterior={"Intercept": ours})["verdict"] == "reproduced"


@pytest.mark.parametrize(
    ("published", "expected"),
    [("1.46", "reproduced"), ("1.47", "differs"), ("1.457", "reproduced"), ("1.456", "differs")],
)
def test_a_perturbed_posterior_mean_flips(published: str, expected: str) -> None:
    found = verdict(number(published))
    assert found["verdict"] == expected
    assert found["ours"] == 1.4602
    assert found["difference"] == pytest.approx(1.4602 - float(published))
    assert found["tolerance"] == pytest.approx(0.5 * 10 ** -len(published.split(".")[1]) + 0.003)


@pytest.mark.parametrize(
    ("statistic", "value", "error"),
    [("sd", 0.0521, 0.0007), ("median", 1.4601, 0.0013), ("lower", 1.358, 0.003), ("upper", 1.561, 0.003)],
)
def test_every_statistic_has_its_own_error(statistic: str, value: float, error: float) -> None:
    found = verdict(number("1.0", statistic=statistic))
    assert (found["ours"], found["mcse_ours"]) == (value, error)


@pytest.mark.parametrize(("published", "expected"), [("1.46", "reproduced"), ("1.45", "differs")])
def test_a_reml_number_is_compared_with_our_reml_estimate_and_the_posterior_stands_beside(
    published: str, expected: str
) -> None:
    found = verdict(number(published, statistic="estimate", estimator="reml"))
    assert (found["verdict"], found["ours"], found["mcse_ours"]) == (expected, 1.4616, 0.0)
    assert found["tolerance"] == pytest.approx(0.005)
    assert (found["posterior_mean"], found["posterior_sd"]) == (1.4602, 0.0521)


def test_a_reml_number_does_not_care_what_became_of_the_posterior() -> None:
    row = number("1.46", statistic="estimate", estimator="reml")
    for status in ("failed checks", "not fitted"):
        found = verdict(row, status=status, posterior={})
        assert found["verdict"] == "reproduced"
        assert math.isnan(found["posterior_mean"])


def test_a_standard_error_is_that_of_the_coefficient_and_of_nothing_else() -> None:
    found = verdict(number("0.05", statistic="se", estimator="reml"))
    assert (found["verdict"], found["ours"]) == ("reproduced", 0.05158)
    found = verdict(number("0.05", statistic="se", estimator="reml", quantity="sigma", parts=["sigma"]))
    assert found["verdict"] == "not comparable"
    assert found["reason"].startswith("the standard error of anything but a coefficient depends on")


@pytest.mark.parametrize(
    ("quantity", "recipe", "parts", "value"),
    [
        ("var(sigma)", "square", ["sigma"], 0.7556**2),
        ("coef(county[AITKIN]: Intercept)", "sum", ["Intercept", "county[AITKIN: Intercept]"], 1.4616 - 0.27),
        (
            "icc(county)",
            "share",
            ["sd(county: Intercept)", "sd(county: Intercept)", "sigma"],
            0.32822**2 / (0.32822**2 + 0.7556**2),
        ),
        ("reml_criterion", "criterion", [], 2171.3),
    ],
)
def test_derived_quantities_are_derived_from_the_estimates(
    quantity: str, recipe: str, parts: list[str], value: float
) -> None:
    row = number("1", statistic="estimate", estimator="reml", quantity=quantity, recipe=recipe, parts=parts)
    assert verdict(row)["ours"] == pytest.approx(value, rel=1e-14)


def test_a_correlation_that_our_maximum_does_not_define_differs_and_says_so() -> None:
    name = "cor(county: Intercept, floor)"
    found = verdict(number("0.3", statistic="estimate", estimator="reml", quantity=name, parts=[name]))
    assert found["verdict"] == "differs"
    assert found["reason"] == "our maximum is on the boundary, where this is not defined"


def test_a_search_without_a_maximum_is_no_comparison() -> None:
    row = number("1.46", statistic="estimate", estimator="reml")
    found = verdict(row, maxima={"reml": {**MAXIMUM, "converged": False}})
    assert (found["verdict"], found["reason"]) == ("not comparable", "our search did not end at a maximum")


def test_a_reason_of_the_plan_stands_and_nothing_is_compared() -> None:
    found = verdict(number("1.46", estimator="pql", statistic="estimate", reason="it was computed by PQL"))
    assert (found["verdict"], found["reason"]) == ("not comparable", "it was computed by PQL")
    assert math.isnan(found["tolerance"])
    found = verdict(number("9.99", reason="its priors are not this model's: flat"))
    assert (found["verdict"], found["ours"]) == ("not comparable", 1.4602)


def test_a_fit_that_failed_or_is_missing_reproduces_nothing() -> None:
    found = verdict(number("1.46"), status="failed checks", failed="R-hat")
    assert (found["verdict"], found["reason"], found["ours"]) == ("failed checks", "failed: R-hat", 1.4602)
    found = verdict(number("1.46"), status="not fitted", posterior={})
    assert found["verdict"] == "not fitted"
    assert math.isnan(found["ours"])


def test_a_quantity_that_the_posterior_lacks_is_no_comparison() -> None:
    found = verdict(number("1.46", quantity="sigma", parts=["sigma"]))
    assert (found["verdict"], found["reason"]) == ("not comparable", "the posterior has no sigma")


LOO = {"elpd": -1070.4, "se": 28.4, "mcse": 0.2}
DIC = {
    "dic": 2140.0, "mcse_dic": 0.6, "dbar": 2100.0, "mcse_dbar": 0.3, "p_d": 40.0, "mcse_p_d": 0.3, "p_v": 44.0,
    "mcse_p_v": 1.5, "p_kl": 41.0, "mcse_p_kl": 0.4, "p_opt": 85.0, "mcse_p_opt": 0.8,
    "penalised_expected_deviance": 2185.0, "mcse_penalised_expected_deviance": 1.1,
}  # fmt: skip
POINTWISE = pd.DataFrame({"elpd": [-1.0, -2.0, -4.0], "mcse": [0.1, 0.0, 0.2]})


@pytest.mark.parametrize(
    ("quantity", "statistic", "value", "error"),
    [
        ("elpd_loo", "estimate", -1070.4, 0.2),
        ("looic", "estimate", 2140.8, 0.4),
        ("looic", "se", 56.8, None),
        ("dic", "estimate", 2140.0, 0.6),
        ("deviance", "estimate", 2100.0, 0.3),
        ("p_d", "estimate", 40.0, 0.3),
        ("p_v", "estimate", 44.0, 1.5),
        ("p_kl", "estimate", 41.0, 0.4),
        ("p_opt", "estimate", 85.0, 0.8),
        ("penalised_expected_deviance", "estimate", 2185.0, 1.1),
    ],
)
def test_scores_are_compared_with_their_own_error(
    quantity: str, statistic: str, value: float, error: float | None
) -> None:
    row = number("1.0", quantity=quantity, recipe="criterion", parts=[], statistic=statistic)
    found = verdict(row, loo=LOO, pointwise=POINTWISE, dic=DIC)
    assert found["ours"] == pytest.approx(value)
    expected = 2 * replication.mcse_of_se(POINTWISE, LOO) if error is None else error
    assert found["mcse_ours"] == pytest.approx(expected)


def test_a_difference_in_elpd_is_taken_row_by_row_and_errors_of_both_fits_add() -> None:
    here = POINTWISE.assign(row_id=["a", "b", "c"])
    there = pd.DataFrame({"row_id": ["a", "b", "c"], "elpd": [-1.5, -1.0, -1.0], "mcse": [0.0, 0.1, 0.1]})
    other = Results("ok", loo={"mcse": 0.15}, pointwise=there)
    row = number("-3.5", quantity="elpd_diff(o)", recipe="criterion", parts=["o"], statistic="estimate")

    def found(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return verdict(row, **{"loo": LOO, "pointwise": here, "dic": DIC, "others": {"o": other}, **changes})

    value = found(row)
    assert (value["ours"], value["mcse_ours"], value["verdict"]) == (-3.5, pytest.approx(0.25), "reproduced")
    error = found({**row, "statistic": "se"})
    assert error["ours"] == pytest.approx(np.sqrt(3 * np.var([0.5, -1.0, -3.0], ddof=1)))
    rows = pd.DataFrame({"elpd": [0.5, -1.0, -3.0], "mcse": [0.1, 0.1, np.hypot(0.2, 0.1)]})
    assert error["mcse_ours"] == pytest.approx(replication.mcse_of_se(rows, LOO))

    missing = found(row, others={})
    assert (missing["verdict"], missing["reason"]) == (
        "not fitted",
        "the fit of the other model did not finish; see its log",
    )
    failed = found(row, others={"o": replace(other, status="failed checks", failed="R-hat")})
    assert (failed["verdict"], failed["reason"]) == ("failed checks", "the other model failed: R-hat")
    shuffled = found(row, others={"o": replace(other, pointwise=there.iloc[::-1])})
    assert (shuffled["verdict"], shuffled["reason"]) == (
        "not comparable",
        "the two models were scored on different rows",
    )


def test_a_probability_is_that_of_each_draw_not_of_the_mean() -> None:
    draws = np.random.default_rng(2).normal(-2.0, 1.0, (4, 500))
    effect = np.random.default_rng(3).normal(0.0, 1.0, (4, 500))
    found = [
        Quantity(name, "b", "", "", "", values) for name, values in (("Intercept", draws), ("g[A: Intercept]", effect))
    ]
    wanted = [
        Estimand("expit(coef(g[A]: Intercept))", "sum", ("Intercept", "g[A: Intercept]"), "expit"),
        Estimand("exp(Intercept)", "value", ("Intercept",), "exp"),
    ]
    table = replication.summarise(wanted, found).set_index("quantity")
    chance = 1 / (1 + np.exp(-(draws + effect)))
    assert table.loc["expit(coef(g[A]: Intercept))", "mean"] == pytest.approx(float(chance.mean()))
    assert table.loc["exp(Intercept)", "mean"] == pytest.approx(float(np.exp(draws).mean()))
    assert all(Estimand.from_row(estimand.as_row()) == estimand for estimand in wanted)


def test_the_error_of_a_standard_error_is_its_derivative_times_the_errors_of_the_rows() -> None:
    def se(elpd: np.ndarray) -> float:
        return float(np.sqrt(len(elpd) * np.var(elpd, ddof=1)))

    elpd, mcse = POINTWISE["elpd"].to_numpy(), POINTWISE["mcse"].to_numpy()
    slopes = [(se(elpd + step) - se(elpd - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    assert replication.mcse_of_se(POINTWISE, LOO) == pytest.approx(
        float(np.hypot(slopes[0] * 0.1, slopes[2] * 0.2)), rel=1e-6
    )
    assert replication.mcse_of_se(pd.DataFrame({"elpd": [1.0, 1.0], "mcse": mcse[:2]}), LOO) == 0.0


def test_penalties_without_a_closed_form_are_no_comparison() -> None:
    row = number("1.0", quantity="p_kl", recipe="criterion", parts=[], statistic="estimate")
    dic = {"dbar": 2100.0, "why_no_p_kl": "the family student_t is no exponential family"}
    found = verdict(row, loo=LOO, pointwise=POINTWISE, dic=dic)
    assert found["verdict"] == "not comparable"
    assert found["reason"] == "p_kl is not computed: the family student_t is no exponential family"


def test_scores_of_a_sample_of_rows_carry_the_error_of_sampling_them() -> None:
    """Over many samples of the rows of two made-up models, reported errors are the spread of what is reported."""
    rng, count, n = np.random.default_rng(5), 20_000, 400
    surrogate = -1.0 - rng.gamma(2.0, 0.5, (2, count))
    elpd = surrogate + rng.normal(0.02, 0.3, (2, count))

    def scored(model: int, rows: np.ndarray) -> Results:
        values, near = elpd[model, rows], surrogate[model, rows]
        total, error = subsampled.difference_estimate(values, near, float(surrogate[model].sum()), count)
        squares = float(np.square(surrogate[model]).sum())
        sampling = {"of": count, "rows": n, "se": error, "surrogate_total": float(surrogate[model].sum())}
        loo = {
            "elpd": total,
            "mcse": 0.0,
            "se": subsampled.standard_error(values, near, (total, error), squares, count),
            "subsampling": sampling,
        }
        table = pd.DataFrame({"row_id": rows, "elpd": values, "surrogate": near, "mcse": 0.0})
        return Results("ok", loo=loo, pointwise=table, dic={})

    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(150):
        rows = np.sort(rng.choice(count, n, replace=False))
        here, there = (scored(model, rows) for model in (0, 1))
        known = replace(here, others={"o": there})
        for quantity in ("elpd_loo", "elpd_diff(o)"):
            for statistic in ("estimate", "se"):
                parts = ["o"] if "diff" in quantity else []
                row = number("1.0", quantity=quantity, recipe="criterion", parts=parts, statistic=statistic)
                (told,) = replicate([row], {"m": known}).to_dict("records")
                found.setdefault((quantity, statistic), []).append((told["ours"], told["mcse_ours"]))
    difference = elpd[0] - elpd[1]
    truth = {
        ("elpd_loo", "estimate"): elpd[0].sum(),
        ("elpd_loo", "se"): np.sqrt(count * np.var(elpd[0], ddof=1)),
        ("elpd_diff(o)", "estimate"): difference.sum(),
        ("elpd_diff(o)", "se"): np.sqrt(count * np.var(difference, ddof=1)),
    }
    for which, pairs in found.items():
        ours, errors = np.array(pairs).T
        assert abs(ours.mean() - truth[which]) < 4 * ours.std() / np.sqrt(150), which
        assert ours.std() == pytest.approx(float(errors.mean()), rel=0.25), which


def test_a_posterior_is_summarised_for_derived_quantities_draw_by_draw() -> None:
    rng = np.random.default_rng(1)
    sd, cor = np.abs(rng.normal(1, 0.2, (4, 500))), rng.uniform(-0.5, 0.5, (4, 500))
    found = [Quantity(name, "sd", "", "", "", values) for name, values in (("sd(g: x)", sd), ("cor(g: x, z)", cor))]
    wanted = [
        Estimand("var(g: x)", "square", ("sd(g: x)",)),
        Estimand("cov(g: x, z)", "product", ("cor(g: x, z)", "sd(g: x)", "sd(g: x)")),
        Estimand("sigma", "value", ("sigma",)),
    ]
    table = replication.summarise(wanted, found).set_index("quantity")
    assert list(table.index) == ["var(g: x)", "cov(g: x, z)"]
    assert table.loc["var(g: x)", "mean"] == pytest.approx(float((sd**2).mean()))  # not the square of the mean
    assert table.loc["cov(g: x, z)", "sd"] == pytest.approx(float((cor * sd**2).std(ddof=1)))
    assert table.loc["var(g: x)", "mcse_mean"] == pytest.approx(float((sd**2).std() / np.sqrt(2000)), rel=0.2)
    assert table.loc["var(g: x)", "upper"] == pytest.approx(float(np.quantile(sd**2, 0.975)))
    assert (table.filter(like="mcse") > 0).all(axis=None)


def test_rows_keep_the_order_of_the_study_and_the_columns_are_fixed() -> None:
    rows = [number("2.0"), number("1.46"), number("1.46", source="there")]
    table = replicate(rows, {"m": Results("ok", posterior=POSTERIOR)})
    assert tuple(table.columns) == replication.COLUMNS
    assert list(table["published"]) == ["2.0", "1.46", "1.46"]
    assert list(table["verdict"]) == ["differs", "reproduced", "reproduced"]
    assert list(table["source"]) == ["here", "here", "there"]
