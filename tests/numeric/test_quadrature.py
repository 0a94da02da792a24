"""Quadrature over group effects: equal to closed forms where there are any, and to dense sums where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from fixtures.any_draws import any_draws
from fixtures.small_data import dataset_of, design_of
from scipy.special import gammaln, log_expit, logsumexp
from scipy.stats import norm

from multilevel import integration, predictor, units
from multilevel.design import Design
from multilevel.integration import gaussian, nodes
from multilevel.predictor import Draws
from multilevel.units import Units

ROWS = 48


def data() -> Any:
    rng = np.random.default_rng(3)
    school = np.append(np.arange(6), rng.integers(0, 6, ROWS - 6))
    trials = rng.integers(1, 6, ROWS).astype(float)
    y = rng.normal(size=ROWS)
    return dataset_of(
        y=y,
        x=rng.normal(size=ROWS),
        ones=rng.integers(0, 2, ROWS).astype(float),
        successes=np.minimum(rng.integers(0, 6, ROWS), trials),
        trials=trials,
        count=rng.poisson(3, ROWS).astype(float),
        w=rng.choice([0.5, 1.0, 2.0], ROWS),
        cens=rng.choice([-1.0, 0.0, 1.0], ROWS),
        school=[f"s{i}" for i in school],
        class_=[f"c{i:02d}" for i in school * 10 + rng.integers(0, 2, ROWS)],
        item=[f"i{i}" for i in rng.integers(0, 4, ROWS)],
    )


DATA = data()


def computed(integral: integration.Integral, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    of_units = np.full((draws.size, integral.structure.units.count), np.nan)
    of_rows = np.full((draws.size, len(integral.structure.design.y)), np.nan)
    for block in integral.blocks(draws, with_rows=True):
        of_units[:, block.units], of_rows[:, block.rows] = block.log_density, block.of_rows
    return of_units, of_rows


def squares(rows: np.ndarray, arguments: Mapping[str, Any]) -> np.ndarray:
    """Return the predictor, its square and 1, as features to be averaged."""
    return np.stack([arguments["eta"], np.square(arguments["eta"]), np.ones_like(arguments["eta"])])


def averages(integral: integration.Integral, draws: Draws) -> np.ndarray:
    """Return the mean and the sd of each row's predictor given the other rows of its unit, shape (2, S, rows)."""
    found = np.full((3, draws.size, len(integral.structure.design.y)), np.nan)
    for block in integral.blocks(draws, with_rows=True, features=squares):
        found[:, :, block.rows] = block.averages
    np.testing.assert_allclose(found[2], 1.0, rtol=1e-9)
    return np.stack([found[0], np.sqrt(found[1] - found[0] ** 2)])


# Where there is a closed form.


@pytest.mark.parametrize(
    ("text", "sigma", "unit", "inner", "outer"),
    [
        ("y ~ x + (1 | school)", "", "school", 1, 0),
        ("y ~ x + (1 + x | school)", "", "school", 2, 0),
        ("y | weights(w) ~ x + (1 | school) + (0 + x | school)", "", "school", 2, 0),
        ("y ~ x + (1 | school/class_) + (1 | item)", "", "school", 1, 1),
        ("y ~ x + (1 | class_) + (1 | item)", "", "item", 1, 1),
        ("y ~ x + (1 + x | school)", "0 + item", "school", 2, 0),
    ],
)
def test_quadrature_equals_closed_forms(
    text: str, sigma: str, unit: str, inner: int, outer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = design_of(text, DATA, **({"sigma": sigma} if sigma else {}))
    draws = any_draws(design, 30)
    left_out = units.of_grouping(DATA.frame, unit)
    exact = computed(integration.integral(design, draws, left_out), draws)
    predicted = averages(integration.integral(design, draws, left_out), draws)
    monkeypatch.setattr(gaussian, "applies", lambda *_: False)
    integral = integration.integral(design, draws, left_out)
    assert integral.method == "quadrature"
    assert len(integral.structure.inner.parameters) == inner
    assert integral.structure.most_outer == outer
    found = computed(integral, draws)
    quality = integral.quality(with_rows=True)
    assert quality["unsettled"] == 0
    np.testing.assert_allclose(found[0], exact[0], atol=1e-9)
    np.testing.assert_allclose(found[1], exact[1], atol=2e-3)
    np.testing.assert_allclose(averages(integral, draws), predicted, atol=2e-3)
    # In blocks of few draws and few units.
    monkeypatch.setattr(predictor, "BLOCK_VALUES", 3000)
    again = computed(integration.integral(design, draws, left_out), draws)
    np.testing.assert_allclose(again[0], found[0], atol=1e-9)
    np.testing.assert_allclose(again[1], found[1], atol=2e-3)


def test_three_effects_are_integrated_by_importance_sampling_with_a_k_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    design = design_of("y ~ x + (1 + x + I(x**2) | school)", DATA)
    draws = any_draws(design, 30)
    left_out = units.of_term(design.group_terms[0])
    exact = computed(integration.integral(design, draws, left_out), draws)
    monkeypatch.setattr(gaussian, "applies", lambda *_: False)
    integral = integration.integral(design, draws, left_out)
    assert integral.method == "importance sampling"
    found = np.full_like(exact[0], np.nan)
    for block in integral.blocks(draws):
        found[:, block.units] = block.log_density
    np.testing.assert_allclose(found, exact[0], atol=3e-3)
    quality = integral.quality()
    assert quality["k_max"] < 0.7
    assert quality["k_high"] == 0
    assert integral.words == "integrated out by importance sampling: the effects of school"


# Where there is none: sums over a fine grid of standardised effects.


def on_grid(
    design: Design, draws: Draws, left_out: Units, log_density: Callable[..., np.ndarray], keys: list[str], points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate over up to two standardised effects, of the terms `keys`, that belong to the units' own levels."""
    z = np.linspace(-8.0, 8.0, points)
    log_weight = norm.logpdf(z) + np.log(z[1] - z[0])
    size = sum(len(t.effects) for t in design.group_terms if t.key in keys)
    grid = np.stack([g.ravel() for g in np.meshgrid(*[z] * size, indexing="ij")])
    weight = np.stack([g.ravel() for g in np.meshgrid(*[log_weight] * size, indexing="ij")]).sum(axis=0)
    of_units, of_rows = np.empty((draws.size, left_out.count)), np.empty((draws.size, len(design.y)))
    zeros = {t.key: np.zeros(len(design.y), dtype=bool) | (t.key in keys) for t in design.group_terms}
    for s in range(draws.size):
        one = draws.select(slice(s, s + 1))
        etas = {
            p.parameter: predictor.linear_predictor(design, one, slice(0, len(design.y)), p.parameter, zeros)[0]
            for p in design.predictors
        }
        added = {name: np.zeros((len(design.y), grid.shape[1])) for name in etas}
        start = 0
        for term in (t for t in design.group_terms if t.key in keys):
            factor = np.diag(one.sd[term.key][0])
            if term.correlated:
                rho = one.cor[term.key][0, 0]
                factor = factor @ np.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])
            effects = factor @ grid[start : start + len(term.effects)]
            start += len(term.effects)
            for position, owner in enumerate(term.parameters):
                added[owner] += term.z[:, position, None] * effects[position]
        others = {name: one.others[name][0] for name in design.scalars}
        density = log_density(design, {n: e[:, None] + added[n] for n, e in etas.items()}, others)
        for unit in range(left_out.count):
            rows = np.flatnonzero(left_out.index == unit)
            joint = density[rows].sum(axis=0) + weight
            of_units[s, unit] = logsumexp(joint)
            of_rows[s, rows] = of_units[s, unit] - logsumexp(joint - density[rows], axis=1)
    return of_units, of_rows


def binomial(design: Design, etas: dict[str, np.ndarray], others: dict[str, float]) -> np.ndarray:
    y, n = design.y[:, None], design.terms.get("trials", np.ones(len(design.y)))[:, None]
    arrangements = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    weight = design.terms.get("weights", np.ones(len(design.y)))[:, None]
    return weight * (arrangements + y * log_expit(etas["mu"]) + (n - y) * log_expit(-etas["mu"]))


def poisson(design: Design, etas: dict[str, np.ndarray], others: dict[str, float]) -> np.ndarray:
    y = design.y[:, None]
    return y * etas["mu"] - np.exp(etas["mu"]) - gammaln(y + 1)


def censored(design: Design, etas: dict[str, np.ndarray], others: dict[str, float]) -> np.ndarray:
    z = (design.y[:, None] - etas["mu"]) / others["sigma"]
    kinds = design.terms["cens"][:, None]
    plain = norm.logpdf(z) - np.log(others["sigma"])
    return np.where(kinds < 0, norm.logcdf(z), np.where(kinds > 0, norm.logsf(z), plain))


def spread(design: Design, etas: dict[str, np.ndarray], others: dict[str, float]) -> np.ndarray:
    return norm.logpdf(design.y[:, None], etas["mu"], np.exp(etas["sigma"]))


@pytest.mark.parametrize(
    ("text", "family", "sigma", "density", "keys", "points"),
    [
        ("ones ~ x + (1 | school)", "binomial", "", binomial, ["school"], 641),
        ("successes | trials(trials) + weights(w) ~ x + (1 | school)", "binomial", "", binomial, ["school"], 641),
        ("successes | trials(trials) ~ x + (1 + x | school)", "binomial", "", binomial, ["school"], 161),
        ("successes | trials(trials) ~ x + (1 | school) + (1 | item)", "binomial", "", binomial, ["school"], 641),
        ("count ~ x + (1 | school)", "poisson", "", poisson, ["school"], 2001),
        ("y | cens(cens) ~ x + (1 | school)", "gaussian", "", censored, ["school"], 1281),
        ("y ~ x + (1 | school)", "gaussian", "1 + (1 | school)", spread, ["school", "school__sigma"], 321),
        ("y ~ x + (1 | a | school)", "gaussian", "1 + (1 | a | school)", spread, ["school"], 321),
        ("y ~ x", "gaussian", "1 + x + (1 | school)", spread, ["school__sigma"], 1281),
    ],
)
def test_quadrature_equals_sums_over_a_grid(
    text: str, family: str, sigma: str, density: Any, keys: list[str], points: int
) -> None:
    design = design_of(text, DATA, family, **({"sigma": sigma} if sigma else {}))
    draws = any_draws(design, 12)
    left_out = units.of_grouping(DATA.frame, "school")
    integral = integration.integral(design, draws, left_out)
    assert integral.method == "quadrature"
    found = computed(integral, draws)
    exact = on_grid(design, draws, left_out, density, keys, points)
    tolerance = integration.TOLERANCE / np.sqrt(left_out.count)
    np.testing.assert_allclose(found[0], exact[0], atol=tolerance)
    np.testing.assert_allclose(found[1], exact[1], atol=5 * tolerance)
    assert integral.quality(with_rows=True)["unsettled"] == 0


def test_nested_groups_are_integrated_within_each_other() -> None:
    design = design_of("ones ~ x + (1 | school/class_)", DATA, "binomial")
    draws = any_draws(design, 4)
    left_out = units.of_grouping(DATA.frame, "school")
    integral = integration.integral(design, draws, left_out)
    assert (integral.structure.inner.group, integral.structure.most_outer) == ("school:class_", 1)
    of_units, of_rows = computed(integral, draws)
    z = np.linspace(-8.0, 8.0, 321)
    log_weight = norm.logpdf(z) + np.log(z[1] - z[0])
    school, inner = design.group_terms
    eta = predictor.linear_predictor(
        design, draws, slice(0, ROWS), without={t.key: np.ones(ROWS, dtype=bool) for t in (school, inner)}
    )
    for s in range(4):

        def total(rows: np.ndarray, s: int = s) -> float:
            """Integrate classes within the school, at each value of the school's effect."""
            of_school = log_weight.copy()
            for level in np.unique(inner.index[rows]):
                own = rows[inner.index[rows] == level]
                at = (
                    eta[s, own, None, None]
                    + draws.sd["school"][s, 0] * z[:, None]
                    + draws.sd["school__class_"][s, 0] * z
                )
                y = design.y[own, None, None]
                density = (y * log_expit(at) + (1 - y) * log_expit(-at)).sum(axis=0)
                of_school = of_school + logsumexp(density + log_weight, axis=1)
            return float(logsumexp(of_school))

        for unit in range(left_out.count):
            rows = np.flatnonzero(left_out.index == unit)
            assert of_units[s, unit] == pytest.approx(total(rows), abs=0.004)
            for row in rows[:2]:
                assert of_rows[s, row] == pytest.approx(of_units[s, unit] - total(rows[rows != row]), abs=0.01)


def test_nodes_are_doubled_until_nothing_changes_and_the_record_tells() -> None:
    # One success in a thousand trials beside a spread of 6: far from normal, so more nodes than for an easy group.
    rng = np.random.default_rng(1)
    groups = [f"g{i}" for i in range(20)]
    trials = np.where(np.arange(20) < 10, 1.0, 1000.0)
    y = np.where(np.arange(20) < 10, rng.integers(0, 2, 20), 0.0)
    design = design_of("y | trials(n) ~ 1 + (1 | g)", dataset_of(y=y, n=trials, g=groups), "binomial")
    draws = any_draws(design, 60)
    draws.sd["g"][:] = 6.0
    integral = integration.integral(design, draws, units.of_term(design.group_terms[0]))
    assert integral.quality() == {}
    for _ in integral.blocks(draws):
        pass
    quality = integral.quality()
    assert sum(quality["nodes"].values()) == 20
    assert min(map(int, quality["nodes"])) >= 2 * nodes.FEWEST
    assert 0 <= quality["largest_change"]["units"] <= integration.TOLERANCE
    assert integral.warnings() == []


def test_integrals_that_more_nodes_still_change_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "HIGHEST", {1: 1})
    design = design_of("ones ~ x + (1 | school)", DATA, "binomial")
    draws = any_draws(design, 60)
    draws.sd["school"][:] = 30.0
    integral = integration.integral(design, draws, units.of_term(design.group_terms[0]))
    for _ in integral.blocks(draws):
        pass
    [sentence] = integral.warnings()
    assert "still change by up to" in sentence


def test_what_it_will_take_is_logged_before_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    design = design_of("ones ~ x + (1 | school)", DATA, "binomial")
    draws = any_draws(design, 60)
    blocks = integration.integral(design, draws, units.of_term(design.group_terms[0])).blocks(draws)
    with caplog.at_level("INFO", logger="multilevel.integration"):
        next(blocks)
    assert (
        "integrated out by quadrature: the effects of school: 6 levels of school, 48 rows x 60 draws; about"
        in caplog.text
    )


@pytest.mark.parametrize(("size", "level"), [(1, 2), (2, 2), (3, 6), (5, 6)])
def test_rules_integrate_the_normal_density_and_its_moments(size: int, level: int) -> None:
    rule = nodes.rule(size, level)
    log_mass = rule.log_weight + norm.logpdf(rule.points).sum(axis=1)
    mass = np.exp(log_mass)
    tolerance = 0.03 if rule.sampled else 1e-10
    assert mass.sum() == pytest.approx(1.0, abs=tolerance)
    np.testing.assert_allclose(mass @ rule.points, 0.0, atol=tolerance)
    np.testing.assert_allclose((mass * rule.points.T) @ rule.points, np.eye(size), atol=2 * tolerance)
