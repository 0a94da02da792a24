"""Closed forms of integrated normal likelihoods equal dense multivariate normals, unit by unit and row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fixtures.any_draws import any_draws
from fixtures.small_data import dataset_of, design_of
from scipy.stats import multivariate_normal

from multilevel import default_priors, integration, predictor, units
from multilevel.dataset import Dataset
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.units import Units

ROWS, DRAWS = 60, 5


def data() -> Dataset:
    """Classes nested in schools, crossed with items; two schools have one class; a covariate that only school s2 has."""
    rng = np.random.default_rng(1)
    school = np.append(np.arange(6), rng.integers(0, 6, ROWS - 6))
    classes = school * 10 + np.where(school < 2, 0, rng.integers(0, 3, ROWS))
    x = rng.normal(size=ROWS)
    return dataset_of(
        y=rng.normal(size=ROWS),
        x=x,
        of_one=np.where(school == 2, x, 0.0),
        w=rng.choice([0.5, 1.0, 2.0, 3.0], ROWS),
        s=rng.uniform(0.1, 0.5, ROWS),
        school=[f"s{i}" for i in school],
        class_=[f"c{i:02d}" for i in classes],
        item=[f"i{i}" for i in rng.integers(0, 4, ROWS)],
    )


DATA = data()


def covariance_of(term: object, draws: Draws, s: int) -> np.ndarray:
    size = len(term.effects)
    correlation = np.eye(size)
    if term.correlated:
        below = np.tril_indices(size, k=-1)
        correlation[below] = draws.cor[term.key][s]
        correlation[below[1], below[0]] = draws.cor[term.key][s]
    return correlation * np.outer(draws.sd[term.key][s], draws.sd[term.key][s])


def dense(design: Design, draws: Draws, left_out: Units, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log p(y_j | phi) and log p(y_i | y_j,-i, phi) at one draw, from whole covariance matrices."""
    mean = design.x @ draws.b[s, : design.x.shape[1]] + design.offset
    covariance = np.zeros((ROWS, ROWS))
    for term in design.group_terms:
        own = covariance_of(term, draws, s)
        for level in range(len(term.levels)):
            rows = term.index == level
            if len(set(left_out.index[rows])) == 1:
                covariance += np.outer(rows, rows) * (term.z @ own @ term.z.T)
            else:
                mean = mean + np.where(rows, term.z @ draws.effects[term.key][s, level].astype(float), 0.0)
    sigma = draws.others["sigma"][s] if "sigma" in draws.others else 0.0
    if "sigma" in {p.parameter for p in design.predictors}:
        sigma = np.exp(design.predictors[1].x @ draws.b[s, design.columns_of("sigma")])
    variance = np.square(sigma) + np.square(design.terms.get("se", np.zeros(ROWS)))
    weight = design.terms.get("weights", np.ones(ROWS))
    # A row of weight w: the w-th power of its density, that of a row of variance / w but for its constant.
    constant = 0.5 * (np.log(2 * np.pi * variance / weight) - weight * np.log(2 * np.pi * variance))

    def joint(rows: np.ndarray) -> float:
        own = covariance[np.ix_(rows, rows)] + np.diag((variance / weight)[rows])
        normal = multivariate_normal.logpdf(design.y[rows], mean[rows], own) if len(rows) else 0.0
        return float(normal + constant[rows].sum())

    of_units, of_rows = np.zeros(left_out.count), np.zeros(ROWS)
    for unit in range(left_out.count):
        rows = np.flatnonzero(left_out.index == unit)
        of_units[unit] = joint(rows)
        for row in rows:
            of_rows[row] = of_units[unit] - joint(rows[rows != row])
    return of_units, of_rows


def computed(integral: integration.Integral, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    of_units = np.full((draws.size, integral.structure.units.count), np.nan)
    of_rows = np.full((draws.size, ROWS), np.nan)
    for block in integral.blocks(draws, with_rows=True):
        of_units[:, block.units], of_rows[:, block.rows] = block.log_density, block.of_rows
    return of_units, of_rows


# formula, formula of sigma, unit; groupings integrated out, groupings (partly) conditioned on
CASES = [
    ("y ~ x + (1 | school)", "", "school", {"school"}, set()),
    ("y ~ x + (1 + x | school)", "", "school", {"school"}, set()),
    ("y ~ x + (1 + x + I(x**2) | school)", "", "school", {"school"}, set()),
    ("y ~ x + (1 | school) + (0 + x | school)", "", "school", {"school"}, set()),
    ("y | weights(w) ~ x + (1 + x | school/class_)", "", "school", {"school", "school:class_"}, set()),
    ("y ~ x + (1 | school/class_) + (1 | item)", "", "class_", {"school", "school:class_"}, {"school", "item"}),
    ("y | se(s) ~ x + (1 | school/class_) + (1 | item)", "", "school", {"school", "school:class_"}, {"item"}),
    ("y ~ x + (1 | class_) + (1 | item)", "", "item", {"item", "class_"}, {"class_"}),
    ("y | se(s, sigma=true) ~ x + (1 | school)", "1 + x", "school", {"school"}, set()),
    ("y ~ x + (1 + x | school)", "0 + item", "school", {"school"}, set()),
    ("y ~ x", "", "school", set(), set()),
]


@pytest.mark.parametrize(("text", "sigma", "unit", "out", "given"), CASES)
def test_closed_forms_equal_dense_covariances(
    text: str, sigma: str, unit: str, out: set[str], given: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    design = design_of(text, DATA, **({"sigma": sigma} if sigma else {}))
    draws = any_draws(design, DRAWS)
    left_out = units.of_grouping(DATA.frame, unit)
    integral = integration.integral(design, draws, left_out)
    assert set(integral.structure.conditioned) == given
    # A school of one class goes with that class, and a class whose rows all have one item goes with that item.
    assert set(integral.structure.integrated) == out
    exact = [dense(design, draws, left_out, s) for s in range(DRAWS)]
    for block in (10**9, 300):  # all at once, and in blocks of few draws and few units
        monkeypatch.setattr(predictor, "BLOCK_VALUES", block)
        of_units, of_rows = computed(integral, draws)
        np.testing.assert_allclose(of_units, [e[0] for e in exact], rtol=1e-10, atol=1e-9)
        np.testing.assert_allclose(of_rows, [e[1] for e in exact], rtol=1e-9, atol=1e-8)


def test_a_covariance_that_is_singular_or_zero_is_taken() -> None:
    design = design_of("y ~ x + (1 + x | school)", DATA)
    draws = any_draws(design, 3)
    draws.sd["school"][0] = 0.0
    draws.cor["school"][1] = 1.0
    draws.cor["school"][2] = -1.0
    left_out = units.of_term(design.group_terms[0])
    of_units, of_rows = computed(integration.integral(design, draws, left_out), draws)
    eta = predictor.linear_predictor(design, draws, slice(0, ROWS), without={"school": np.ones(ROWS, dtype=bool)})
    plain = -0.5 * np.square((DATA.frame["y"].to_numpy() - eta[0]) / draws.others["sigma"][0])
    plain -= np.log(draws.others["sigma"][0]) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(of_rows[0], plain, rtol=1e-12)
    np.testing.assert_allclose(of_units[0], np.bincount(left_out.index, plain), rtol=1e-12)
    assert np.isfinite(of_units).all()
    assert np.isfinite(of_rows).all()


@pytest.mark.parametrize(
    "text", ["y ~ 0 + school + x", "y ~ school + x", "y ~ school * x", "y ~ x + of_one + (1 | school)"]
)
def test_coefficients_of_one_unit_alone_are_integrated_over_their_prior(text: str) -> None:
    # y_u | X b of all other rows, with b normal: conditioning by pseudo-inverses, no directions in it.
    design = design_of(text, DATA)
    draws = any_draws(design, DRAWS)
    priors = {r.parameter: r.prior for r in default_priors.resolve(design, {})}
    left_out = units.of_grouping(DATA.frame, "school")
    integral = integration.integral(design, draws, left_out, priors)
    touched = {n for found in integral.structure.directions.values() for d in found for n in d.names}
    assert ("of_one" in touched) == ("of_one" in text)
    of_units, _ = computed(integral, draws)
    part = design.predictors[0]
    centring = np.eye(len(part.coefficients))
    if part.has_intercept:
        centring[0, part.slopes] = part.x[:, part.slopes].mean(axis=0)
    arguments = np.array([priors[default_priors.coefficient_name(n)].arguments for n in part.coefficients])
    back = np.linalg.inv(centring)
    location, spread = back @ arguments[:, 0], back @ np.diag(arguments[:, 1] ** 2) @ back.T
    for s in range(DRAWS):
        for unit in range(left_out.count):
            own = left_out.index == unit
            others = part.x[~own]
            gain = spread @ others.T @ np.linalg.pinv(others @ spread @ others.T, rcond=1e-12)
            mean = location + gain @ (others @ draws.b[s] - others @ location)
            covariance = part.x[own] @ (spread - gain @ others @ spread) @ part.x[own].T
            covariance += np.eye(own.sum()) * draws.others["sigma"][s] ** 2
            if design.group_terms:
                covariance += draws.sd["school"][s, 0] ** 2
            exact = multivariate_normal.logpdf(design.y[own], part.x[own] @ mean, covariance)
            assert of_units[s, unit] == pytest.approx(exact, rel=1e-9)


def test_a_group_whose_coefficient_has_no_normal_prior_is_refused_with_the_reason() -> None:
    design = design_of("y ~ 0 + school + x", DATA)
    priors = {r.parameter: r.prior for r in default_priors.resolve(design, {"b(school)": "student_t(3, 0, 2)"})}
    with pytest.raises(integration.NotIntegrableError) as caught:
        integration.integral(design, any_draws(design, 2), units.of_grouping(DATA.frame, "school"), priors)
    assert str(caught.value) == (
        "only the rows of s0 inform b(school[s0]), whose prior student_t(3, 0, 2) is not normal: "
        "leaving out one school at a time is not defined without integrating it out"
    )


def test_densities_of_another_scale_have_the_jacobian_of_every_row_once() -> None:
    data = dataset_of(y=[0.1, 0.4, -0.2, 0.9, 1.3, 0.7], g=["a", "a", "b", "b", "c", "c"])
    design = design_of("y ~ 1 + (1 | g)", data)
    left_out, draws = units.of_term(design.group_terms[0]), any_draws(design, 5)
    jacobian = np.linspace(-1.0, 2.0, 6)
    found = []
    for one in (design, replace(design, log_jacobian=jacobian)):
        [block] = integration.integral(one, draws, left_out).blocks(draws, with_rows=True)
        assert integration.integral(one, draws, left_out).method == "closed form"
        found.append(block)
    plain, scaled = found
    by_unit = np.bincount(left_out.index, jacobian)
    np.testing.assert_allclose(scaled.log_density - plain.log_density, np.broadcast_to(by_unit, (5, 3)), atol=1e-10)
    assert plain.of_rows is not None
    assert scaled.of_rows is not None
    moved = scaled.of_rows - plain.of_rows
    np.testing.assert_allclose(moved, np.broadcast_to(jacobian[plain.rows], (5, 6)), atol=1e-10)


def test_effects_on_categories_are_refused() -> None:
    data = dataset_of(y=["a", "b", "c", "a", "b", "c"], g=["u", "u", "v", "v", "w", "w"])
    design = design_of("y ~ 1 + (1 | g)", data, "categorical")
    draws = Draws(1, 5, np.zeros((5, len(design.all_coefficients))), {}, {})
    with pytest.raises(integration.NotIntegrableError, match="leave out one g at a time are not computed"):
        integration.integral(design, draws, units.of_term(design.group_terms[0]))


@pytest.mark.parametrize(
    ("text", "family", "sentence"),
    [
        (
            "y ~ g",
            "cumulative",
            (
                "without the rows of u, nothing tells the thresholds from the coefficients of g: "
                "leaving out one g at a time is not defined; give g a group term"
            ),
        ),
        ("y ~ x + (1 | g)", "cumulative", ""),
        ("y ~ of_u + (1 | g)", "cumulative", ""),
        (
            "y ~ cs(of_u) + (1 | g)",
            "adjacent",
            (
                "without the rows of u, nothing tells the effects cs(of_u) from the coefficients of g: "
                "leaving out one g at a time is not defined; give g a group term"
            ),
        ),
    ],
)
def test_thresholds_that_rest_on_one_unit_alone_are_refused(text: str, family: str, sentence: str) -> None:
    y = pd.Categorical(["a", "b", "c", "a", "b", "c", "b", "a"], ordered=True)
    x, of_u = np.arange(8.0), np.array([1.0, 2.0, 4.0] + [0.0] * 5)
    data = dataset_of(y=y, x=x, of_u=of_u, g=["u", "u", "u", "v", "v", "w", "w", "w"])
    design = design_of(text, data, family)
    priors = {
        r.parameter: r.prior
        for r in default_priors.resolve(design, {"b(of_u)": "normal(0, 1)"} if "of_u + " in text else {})
    }
    left_out = units.of_grouping(data.frame, "g")
    if not sentence:
        found = integration.integral(design, any_draws(design, 3), left_out, priors)
        touched = {n for steps in found.structure.directions.values() for d in steps for n in d.names}
        assert touched == ({"of_u"} if "of_u" in text else set())
        return
    with pytest.raises(integration.NotIntegrableError) as caught:
        integration.integral(design, any_draws(design, 3), left_out, priors)
    assert str(caught.value) == sentence
