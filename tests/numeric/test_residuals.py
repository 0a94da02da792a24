"""Correlated residuals: joint densities against SciPy, rows given the others against brute-force conditionals, and what is
made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.correlated import STRUCTURES, covariance, data, design_with, draws_of
from scipy import stats

from multilevel import checks, default_priors, integration, likelihood, predictor, stacked, units
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import dic, loo, plug_in, subsampled

TOLERANCE = 1e-8
FORMULAS = ("y ~ x", "y ~ x + (1 + x | clinic) + (1 | person)")
BY_ROW = {"sigma": "1 + late"}

ROWS = data()


def moments(made: Design, draws: Draws, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of all rows given the group effects, at one draw."""
    given = predictor.arguments(made, draws, slice(0, len(made.y)))
    sigma = np.broadcast_to(given["sigma"], given["eta"].shape)
    return given["eta"][place], covariance(made, draws, place, sigma[place])


def conditional(y: np.ndarray, mean: np.ndarray, cov: np.ndarray, row: int) -> float:
    """Return log p(y_i | y_-i) by conditioning a joint normal distribution."""
    others = np.arange(len(y)) != row
    weights = np.linalg.solve(cov[np.ix_(others, others)], cov[others, row])
    middle = mean[row] + weights @ (y - mean)[others]
    return float(stats.norm.logpdf(y[row], middle, np.sqrt(cov[row, row] - weights @ cov[others, row])))


@pytest.mark.parametrize("parameters", [{}, BY_ROW], ids=["one sigma", "sigma by row"])
@pytest.mark.parametrize("text", FORMULAS, ids=["plain", "groups"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_joint_density_is_scipys(structure: str, text: str, parameters: dict[str, str]) -> None:
    made = design_with(structure, ROWS, text, **parameters)
    draws = draws_of(made)
    found = likelihood.joint(made, draws)
    for place in range(draws.size):
        mean, cov = moments(made, draws, place)
        assert found[place] == pytest.approx(stats.multivariate_normal.logpdf(made.y, mean, cov), abs=TOLERANCE)


@pytest.mark.parametrize("parameters", [{}, BY_ROW], ids=["one sigma", "sigma by row"])
@pytest.mark.parametrize("text", FORMULAS, ids=["plain", "groups"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_row_given_the_others_is_the_conditional_of_the_joint(
    structure: str, text: str, parameters: dict[str, str]
) -> None:
    made = design_with(structure, ROWS, text, **parameters)
    draws = draws_of(made)
    found = np.concatenate([part for _, part in likelihood.conditional(made, draws)], axis=1)
    for place in range(draws.size):
        mean, cov = moments(made, draws, place)
        expected = [conditional(made.y, mean, cov, row) for row in range(len(made.y))]
        assert found[place] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_some_rows_have_the_values_that_they_have_among_all(structure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = design_with(structure, ROWS, FORMULAS[1], **BY_ROW)
    draws = draws_of(made)
    whole, joint = likelihood.pointwise(made, draws, slice(0, len(made.y))), likelihood.joint(made, draws)
    some = np.array([5, 0, 11])
    some.sort()
    assert likelihood.pointwise(made, draws, some) == pytest.approx(whole[:, some], abs=1e-12)
    monkeypatch.setattr(predictor, "BLOCK_VALUES", 20)  # blocks of rows that split subjects, draws one by one
    blocks = [part for _, part in likelihood.conditional(made, draws)]
    assert len(blocks) > 2
    assert np.concatenate(blocks, axis=1) == pytest.approx(whole, abs=1e-12)
    assert likelihood.joint(made, draws) == pytest.approx(joint, abs=1e-12)


def test_scores_of_another_column_are_moved_by_its_jacobian() -> None:
    made = design_with(STRUCTURES[0], ROWS)
    draws, moved = draws_of(made), np.linspace(-1.0, 1.0, len(ROWS.frame))
    other = replace(made, log_jacobian=moved)
    rows = slice(0, len(made.y))
    assert likelihood.pointwise(other, draws, rows) == pytest.approx(likelihood.pointwise(made, draws, rows) + moved)
    assert likelihood.joint(other, draws) == pytest.approx(likelihood.joint(made, draws) + moved.sum())


def test_rows_alone_have_no_density() -> None:
    made = design_with(STRUCTURES[0], ROWS)
    draws = draws_of(made)
    rows = slice(0, len(made.y))
    with pytest.raises(ValueError, match="no density of their own"):
        likelihood.of_rows(made, rows, predictor.arguments(made, draws, rows))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_replicates_are_correlated_as_the_structure_says(structure: str) -> None:
    made = design_with(structure, ROWS, **BY_ROW)
    one = draws_of(made, size=1)
    many = one.select(np.zeros(200_000, dtype=int))
    rows = np.flatnonzero(np.isin(made.residuals.subject, (0, 1)))
    found = likelihood.replicates(made, np.random.default_rng(1), many, rows)
    mean, cov = moments(made, one, 0)
    scale = np.sqrt(np.diag(cov)[rows])
    error = 4.5 / np.sqrt(200_000)  # standard errors of a mean and, at most, of a correlation
    assert (found.mean(axis=0) - mean[rows]) / scale == pytest.approx(np.zeros(len(rows)), abs=error)
    assert found.std(axis=0) / scale == pytest.approx(np.ones(len(rows)), abs=error)
    ours = np.corrcoef(found.T)
    assert ours == pytest.approx(cov[np.ix_(rows, rows)] / np.outer(scale, scale), abs=error)


def whole_unit(made: Design, draws: Draws, place: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of a clinic's rows with the effects of clinics and people integrated out."""
    quiet = replace(draws, effects={key: np.zeros_like(value) for key, value in draws.effects.items()})
    mean, cov = moments(made, quiet, place)
    for term in made.group_terms:
        size = len(term.effects)
        correlation = np.eye(size)
        if size == 2:
            correlation[0, 1] = correlation[1, 0] = draws.cor[term.key][place, 0]
        sd = draws.sd[term.key][place]
        sigma = correlation * np.outer(sd, sd)
        cov = cov + (term.z @ sigma @ term.z.T) * (term.index[:, None] == term.index)
    return mean[rows], cov[np.ix_(rows, rows)]


@pytest.mark.parametrize("parameters", [{}, BY_ROW], ids=["one sigma", "sigma by row"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_integrated_density_is_that_of_whole_matrices(structure: str, parameters: dict[str, str]) -> None:
    made = design_with(structure, ROWS, FORMULAS[1], **parameters)
    draws = draws_of(made)
    found = integration.integral(made, draws, units.of_grouping(ROWS.frame, "clinic"))
    assert found.method == "closed form"
    assert "residuals are correlated within 'person'" in found.words
    for block in found.blocks(draws, with_rows=True):
        assert block.of_rows is not None
        for place in range(draws.size):
            for number, unit in enumerate(block.units):
                rows = np.flatnonzero(found.structure.units.index == unit)
                mean, cov = whole_unit(made, draws, place, rows)
                expected = stats.multivariate_normal.logpdf(made.y[rows], mean, cov)
                assert block.log_density[place, number] == pytest.approx(expected, abs=TOLERANCE)
                own = [int(np.flatnonzero(block.rows == row)[0]) for row in rows]
                of_rows = [conditional(made.y[rows], mean, cov, i) for i in range(len(rows))]
                assert block.of_rows[place, own] == pytest.approx(of_rows, abs=TOLERANCE)


def test_units_without_effects_have_their_joint_density() -> None:
    made = design_with(STRUCTURES[1], ROWS)
    draws = draws_of(made)
    found = integration.integral(made, draws, units.of_grouping(ROWS.frame, "person"), {})
    total = sum(block.log_density.sum(axis=1) for block in found.blocks(draws))
    assert found.method == "none"
    assert total == pytest.approx(likelihood.joint(made, draws), abs=TOLERANCE)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_coefficients_of_one_subject_are_integrated_over_their_prior(structure: str) -> None:
    made = design_with(structure, ROWS, "y ~ 0 + person + x")
    draws = draws_of(made)
    priors = {entry.parameter: entry.prior for entry in default_priors.resolve(made, {"b(person)": "normal(1, 2)"})}
    found = integration.integral(made, draws, units.of_grouping(ROWS.frame, "person"), priors)
    assert found.method == "closed form"
    x = made.coefficients.index("x")
    assert made.residuals is not None
    for block in found.blocks(draws, with_rows=True):
        for place in range(draws.size):
            _, cov = moments(made, draws, place)
            for number, unit in enumerate(block.units):
                rows = np.flatnonzero(found.structure.units.index == unit)
                mean = 1.0 + draws.b[place, x] * made.x[rows, x]
                whole = cov[np.ix_(rows, rows)] + 4.0
                expected = stats.multivariate_normal.logpdf(made.y[rows], mean, whole)
                assert block.log_density[place, number] == pytest.approx(expected, abs=TOLERANCE)


def test_a_unit_that_splits_subjects_is_refused() -> None:
    made = design_with(STRUCTURES[0], ROWS, "y ~ x + (1 | week)")
    with pytest.raises(integration.NotIntegrableError, match="rows of one person belong to several levels of week"):
        integration.integral(made, draws_of(made), units.of_grouping(ROWS.frame, "week"))


def test_most_takes_the_subjects_where_no_term_groups_by_them() -> None:
    made = design_with(STRUCTURES[0], ROWS, "y ~ x + (1 | week:person)")
    integral, reason = integration.most(made, draws_of(made))
    assert not reason
    assert integral is not None
    assert integral.structure.units.name == "person"


def many_draws(made: Design, size: int = 400) -> Draws:
    """Return draws near one another, as those of a posterior are."""
    one, rng = draws_of(made, size=1, seed=5), np.random.default_rng(6)

    def spread(values: np.ndarray, scale: float) -> np.ndarray:
        return values.repeat(size, axis=0) + scale * rng.normal(size=(size, *values.shape[1:]))

    return Draws(
        chains=4,
        draws=size // 4,
        b=spread(one.b, 0.1),
        effects={key: spread(value, 0.1) for key, value in one.effects.items()},
        others={name: np.exp(spread(np.log(value), 0.05)) for name, value in one.others.items()},
        sd={key: np.exp(spread(np.log(value), 0.1)) for key, value in one.sd.items()},
        cor={key: spread(value, 0.02) for key, value in one.cor.items()},
        residual=spread(one.residual, 0.01),
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_loo_says_which_density_it_is_of(structure: str) -> None:
    made = design_with(structure, ROWS)
    record, table = loo.score(made, many_draws(made))
    assert record["likelihood"] == (
        "given the coefficients and the other rows, p(y_i | y_-i, theta), because residuals are correlated within 'person'"
    )
    assert record["estimators"] == {loo.CONDITIONAL: len(made.y)}
    assert "waic" not in record
    assert record["why_no_waic"].startswith("it is defined for rows that are independent given the parameters")
    assert np.isfinite(table["elpd"]).all()


def test_loo_integrates_the_effects_of_subjects() -> None:
    made = design_with(STRUCTURES[1], ROWS, "y ~ x + (1 | person)")
    record, table = loo.score(made, many_draws(made))
    assert record["estimators"] == {loo.INTEGRATED: len(made.y)}
    assert record["likelihood"].endswith("the effects of person; residuals are correlated within 'person'")
    assert (table["estimator"] == loo.INTEGRATED).all()


@pytest.mark.parametrize("parameters", [{}, BY_ROW], ids=["one sigma", "sigma by row"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_dic_is_of_the_joint_density(structure: str, parameters: dict[str, str]) -> None:
    made = design_with(structure, ROWS, "y ~ x + (1 | person)", **parameters)
    draws = many_draws(made)
    record, _ = dic.score(made, draws)
    at = [moments(made, draws, place) for place in range(draws.size)]
    deviances = [-2.0 * stats.multivariate_normal.logpdf(made.y, mean, cov) for mean, cov in at]
    assert record["dbar"] == pytest.approx(np.mean(deviances), abs=1e-6)
    assert record["why_no_p_kl"].startswith("residuals are correlated within 'person'")
    assert record["integrated"]["likelihood"].startswith("integrated out by closed form: the effects of person")
    # The slope towards each draw: along b alone it is that of the joint density, by a difference of whole deviances.
    influence = dic.plug_in_influence(made, draws)
    assert abs(influence.mean()) < 1e-6 * abs(influence).max()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_slope_towards_a_draw_is_the_gradient(structure: str) -> None:
    made = design_with(structure, ROWS)
    draws = many_draws(made)
    still = replace(draws, residual=draws.residual.mean(axis=0)[None].repeat(draws.size, axis=0))
    still = replace(still, others={"sigma": np.full(draws.size, 1.3)})
    found = dic.plug_in_influence(made, still)
    point = replace(still.select(np.array([0])), b=still.b.mean(axis=0)[None])
    mean, cov = moments(made, point, 0)
    gradient = -2.0 * made.x.T @ np.linalg.solve(cov, made.y - mean)
    assert found == pytest.approx((still.b - still.b.mean(axis=0)) @ gradient, rel=1e-5, abs=1e-5)


def exact_draws(made: Design, one: Draws, size: int, prior_sd: float) -> tuple[Draws, np.ndarray]:
    """Return exact draws of coefficients and intercepts of people given all else, and the covariance of y over both."""
    mean, residual = moments(made, one, 0)
    del mean
    terms = [(term.index[:, None] == np.arange(len(term.levels))).astype(float) for term in made.group_terms]
    z = np.column_stack([made.x, *terms])
    sds = [np.full(made.x.shape[1], prior_sd)]
    sds += [np.full(len(t.levels), one.sd[t.key][0, 0]) for t in made.group_terms]
    variance = np.square(np.concatenate(sds))
    precision = z.T @ np.linalg.solve(residual, z) + np.diag(1.0 / variance)
    middle = np.linalg.solve(precision, z.T @ np.linalg.solve(residual, made.y))
    normal = np.random.default_rng(9).standard_normal((size, len(middle)))
    drawn = middle + np.linalg.solve(np.linalg.cholesky(precision).T, normal.T).T
    many = one.select(np.zeros(size, dtype=int))
    first = made.x.shape[1]
    effects = {t.key: drawn[:, first:, None].astype(np.float32) for t in made.group_terms}
    return replace(many, b=drawn[:, :first], effects=effects, chains=4, draws=size // 4), residual + z * variance @ z.T


@pytest.mark.parametrize("text", ["y ~ x", "y ~ x + (1 | person)"], ids=["given the others", "effects integrated out"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_loo_is_that_of_leaving_each_row_out(structure: str, text: str) -> None:
    """With sds and correlations known, p(y_i | y_-i) is a conditional of one normal distribution of all rows."""
    made = design_with(structure, ROWS, text)
    one = draws_of(made, size=1, seed=2)
    # Correlations nearer 0, so that no row is all but told by others, which importance weights could not leave out.
    one = replace(one, residual=0.6 * one.residual)
    draws, whole = exact_draws(made, one, 8000, prior_sd=3.0)
    _, table = loo.score(made, draws)
    expected = [conditional(made.y, np.zeros(len(made.y)), whole, row) for row in range(len(made.y))]
    assert (table["estimator"] == (loo.INTEGRATED if made.group_terms else loo.CONDITIONAL)).all()
    assert table["pareto_k"].max() < 0.7
    error = np.abs(table["elpd"] - expected) / np.maximum(table["mcse"], 1e-3)
    assert error.max() < 4.5
    assert table["elpd"].sum() == pytest.approx(sum(expected), abs=0.1)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_sample_of_rows_is_scored_as_among_all(structure: str) -> None:
    made = design_with(structure, ROWS)
    draws = many_draws(made)
    rows = np.array([1, 4, 9, 15], dtype=np.int64)
    record, table = subsampled.score(made, draws, rows)
    _, whole = loo.score(made, draws)
    assert table["elpd"].to_numpy() == pytest.approx(whole.loc[rows, "elpd"].to_numpy(), abs=1e-9)
    surrogates = likelihood.pointwise(made, plug_in.of(made, draws), slice(0, len(made.y)))[0]
    assert record["subsampling"]["surrogate_total"] == pytest.approx(surrogates.sum())
    assert "waic" not in record
    assert record["why_no_waic"].endswith("residuals are correlated within 'person'")


@pytest.mark.parametrize("structure", STRUCTURES)
def test_replicates_and_mixtures_take_in_correlated_residuals(structure: str) -> None:
    made = design_with(structure, ROWS, **BY_ROW)
    one = draws_of(made, size=1)
    draws = replace(one.select(np.zeros(4000, dtype=int)), chains=4, draws=1000)
    mean, cov = moments(made, one, 0)
    replicated = np.concatenate(list(checks.replicate_blocks(made, draws, seed=3)))
    found = np.corrcoef(replicated.T) - cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert np.abs(found).max() < 5.0 / np.sqrt(len(replicated))
    rows = np.array([2, 7, 8], dtype=np.int64)
    predicted = stacked.predictions([stacked.Member(1.0, made, draws)], rows, seed=1)
    sd = np.sqrt(np.diag(cov))[rows]
    assert np.abs(predicted["mean"] - mean[rows]).max() < 5.0 * sd.max() / np.sqrt(1000)
    assert predicted["sd"].to_numpy() == pytest.approx(sd, rel=0.1)
