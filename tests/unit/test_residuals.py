"""How residuals that are correlated within subjects are written, built from data, told of, and what refuses them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fixtures.correlated import STRUCTURES, data, design_with, draws_of
from fixtures.small_data import dataset_of

from multilevel import (
    aggregate,
    cautions,
    default_priors,
    distributions,
    equations,
    estimands,
    nesting,
    prior_predictive,
    residuals,
)
from multilevel.design import Design
from multilevel.priors import Prior
from multilevel.scores import divergence

ROWS = data()


@pytest.mark.parametrize(
    ("text", "canonical", "columns"),
    [
        (" ar1( week|person ) ", "ar1(week | person)", {"week", "person"}),
        ("cs(school : class)", "cs(school:class)", {"school", "class"}),
        ("unstructured(visit | a:b)", "unstructured(visit | a:b)", {"visit", "a", "b"}),
    ],
)
def test_a_structure_is_read_and_written(text: str, canonical: str, columns: set[str]) -> None:
    found = residuals.parse(text)
    assert str(found) == canonical
    assert residuals.parse(canonical) == found
    assert residuals.columns({"residuals": canonical}) == columns
    assert residuals.columns({"formula": "y ~ x"}) == set()


def structure(text: str) -> residuals.Residuals:
    found = design_with(text, ROWS).residuals
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ar1(week | person)", ("phi",)),
        ("car1(age | person)", ("phi",)),
        ("cs(person)", ("rho",)),
        (
            "unstructured(late | person)",
            ("cor(late: 0, 1)",),
        ),
    ],
)
def test_parameters_have_the_names_people_write(text: str, names: tuple[str, ...]) -> None:
    rows = ROWS
    if "late" in text:
        rows = dataset_of(
            y=[1.0, 2.0, 4.0, 3.0], x=[0.0, 1.0, 3.0, 5.0], late=[0.0, 1.0, 0.0, 1.0], person=list("aabb")
        )
    found = design_with(text, rows)
    assert found.residuals is not None
    assert found.residuals.parameters == names
    assert set(names) <= set(estimands.catalogue(found))


def test_occasions_stand_in_the_order_declared() -> None:
    visit = pd.Categorical(["late", "early", "late", "mid"], categories=["early", "mid", "late"], ordered=True)
    rows = dataset_of(y=[1.0, 2.0, 4.0, 3.0], x=[0.0, 1.0, 3.0, 5.0], visit=visit, person=list("aabb"))
    found = design_with("unstructured(visit | person)", rows).residuals
    assert found is not None
    assert found.occasions == ("early", "mid", "late")
    assert found.parameters == ("cor(visit: early, mid)", "cor(visit: early, late)", "cor(visit: mid, late)")
    assert found.at.tolist() == [2.0, 0.0, 2.0, 1.0]


def test_the_least_common_correlation_is_that_of_the_largest_subject() -> None:
    found = structure("cs(person)")
    assert found.lowest == -1.0 / (found.sizes.max() - 1)
    assert (structure("ar1(week | person)").lowest, structure("car1(age | person)").lowest) == (-1.0, 0.0)


def resolved(made: Design) -> dict[str, str]:
    return {entry.parameter: f"{entry.prior} {entry.note}".strip() for entry in default_priors.resolve(made, {})}


def test_default_priors_follow_the_unit_of_time() -> None:
    gaps = structure("car1(age | person)").gaps
    middle = 2.0 * float(np.median(gaps[np.isfinite(gaps)]))
    assert resolved(design_with("ar1(week | person)", ROWS))["phi"] == "beta(2, 2) of its place between -1 and 1"
    by_year = resolved(design_with("car1(age | person)", ROWS))["phi"]
    assert by_year == f"beta({middle:.6g}, 2) of its place between 0 and 1"
    assert resolved(design_with("cs(person)", ROWS))["rho"] == "uniform(-0.25, 1)"
    assert resolved(design_with("unstructured(week | person)", ROWS))["cor(week)"] == "lkj(2)"
    brms = default_priors.resolve(design_with("cs(person)", ROWS), {}, "brms")
    assert {str(e.prior) for e in brms if e.parameter == "rho"} == {"uniform(0, 1)"}


@pytest.mark.parametrize(
    ("prior", "mean"),
    [
        (Prior("beta", (2.0, 6.0)), -0.5 + 1.5 * 0.25),
        (Prior("uniform", (-0.25, 0.75)), 0.25),
        (Prior("normal", (0.25, 0.1)), 0.25),
    ],
)
def test_draws_of_a_correlation_stay_between_its_ends(prior: Prior, mean: float) -> None:
    drawn = distributions.draw_between(prior, -0.5, 1.0, np.random.default_rng(1), 20_000)
    assert drawn.min() > -0.5
    assert drawn.max() < 1.0
    assert drawn.mean() == pytest.approx(mean, abs=4.5 * drawn.std() / np.sqrt(20_000))


@pytest.mark.parametrize("text", STRUCTURES)
def test_nothing_is_drawn_or_integrated_as_if_rows_were_independent(text: str) -> None:
    made = design_with(text, ROWS, "y ~ x + (1 | person)")
    words = "residuals are correlated within 'person'"
    assert nesting.reason_against(made) == words
    assert divergence.reason_against(made).startswith(words)
    assert aggregate.rows(made) is made
    assert "icc(person)" not in estimands.catalogue(made)
    gate = prior_predictive.gate(made, default_priors.resolve(made, {}), 1)
    assert gate.quantiles
    assert gate.reason == ""


def test_taking_rows_keeps_the_time_between_them() -> None:
    made = design_with("ar1(week | person)", ROWS)
    found = made.residuals
    assert found is not None
    theta = draws_of(made).residual
    assert theta is not None
    rows = np.flatnonzero(found.subject == found.subject[0])[::2]
    whole = found.correlation(theta, np.arange(len(made.y)))
    assert found.take(rows).correlation(theta, np.arange(len(rows))) == pytest.approx(whole[:, rows[:, None], rows])
    assert sorted(found.mates(rows[:1])) == np.flatnonzero(found.subject == found.subject[0]).tolist()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ar1(week | person)", r"\phi^{|\text{week}_i - \text{week}_k|}"),
        ("car1(age | person)", r"\phi^{|\text{age}_i - \text{age}_k|}"),
        ("cs(person)", r"\rho"),
        ("unstructured(week | person)", r"\rho_{\text{week}_i,\,\text{week}_k}"),
    ],
)
def test_equations_say_how_two_residuals_are_correlated(text: str, line: str) -> None:
    made = design_with(text, ROWS, sigma="1 + late")
    found = equations.describe(made)
    first, second = found["levels"][0]["latex"][:2]
    assert (
        first == r"\text{y}_i = \eta_i + \varepsilon_i,\quad \varepsilon_i \sim \operatorname{Normal}(0,\ \sigma_i^2)"
    )
    within = r"\text{ within one person, }0\text{ otherwise}"
    assert second == rf"\operatorname{{Cor}}(\varepsilon_i, \varepsilon_k) = {line}{within}"
    assert made.residuals is not None
    assert found["plain"] == f"y is explained by x; {made.residuals.sentence}."


def test_a_varying_intercept_beside_compound_symmetry_is_worth_a_word() -> None:
    model = {"family": "gaussian"}
    both = cautions.find(design_with("cs(person)", ROWS, "y ~ x + (1 | person)"), model)
    assert [s for s in both if "make rows of one person alike correlated" in s]
    apart = cautions.find(design_with("ar1(week | person)", ROWS, "y ~ x + (1 | person)"), model)
    assert not [s for s in apart if "alike correlated" in s]


def test_names_of_correlations_are_not_given_twice() -> None:
    from multilevel.errors import StudyError

    with pytest.raises(StudyError, match=r"would both be called cor\(week: ...\)"):
        design_with("unstructured(week | person)", ROWS, "y ~ x + (1 + x | week)")
