"""Integrals over effects that enter a curve nonlinearly, and growth curves beside nlme and lme4.

The reference was made by `python tests/oracle/make_reference.py growth`; tests/oracle makes it again where R is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.any_draws import any_draws
from fixtures.small_data import curve_of, dataset_of, design_of
from scipy.special import gammaln, logsumexp
from scipy.stats import norm

from multilevel import gaussian_ml, integration, nesting, quadrature_ml, units
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.scores import dic

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = json.loads((ROOT / "tests" / "oracle" / "reference" / "growth.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(5)
GROUPS = 6
AGE = np.tile(np.linspace(1.0, 9.0, 5), GROUPS)
ASYMPTOTES = np.repeat(RNG.normal(9.0, 1.0, GROUPS), 5)
MIDPOINTS = np.repeat(RNG.normal(4.0, 0.5, GROUPS), 5)
MEANS = ASYMPTOTES / (1.0 + np.exp(-(AGE - MIDPOINTS) / 1.5))
DATA = dataset_of(
    age=AGE,
    z=RNG.normal(size=AGE.size),
    y=RNG.normal(MEANS, 0.6),
    n=RNG.poisson(MEANS).astype(float),
    g=[f"g{i}" for i in np.repeat(np.arange(GROUPS), 5)],
    h=[f"h{i}" for i in RNG.integers(0, 3, AGE.size)],
)
FRAME = {name: DATA.frame[name].to_numpy() for name in ("age", "y", "n")}


def draws_of(design: Design, b: list[float], sd: list[float], size: int = 12) -> Draws:
    """Return draws about given values."""
    rng = np.random.default_rng(2)
    term = design.group_terms[0]
    effects = rng.normal(0.0, np.array(sd), (size, len(term.levels), len(term.effects)))
    others = {name: rng.uniform(0.5, 0.9, size) for name in design.scalars}
    sds = {term.key: np.array(sd) * rng.uniform(0.8, 1.2, (size, len(sd)))}
    cor = {term.key: rng.uniform(-0.6, 0.6, (size, 1))} if term.correlated else {}
    values = np.array(b) * rng.normal(1.0, 0.03, (size, len(b)))
    return Draws(1, size, values, {term.key: effects.astype(np.float32)}, others, sds, cor)


def integrated(design: Design, draws: Draws) -> tuple[np.ndarray, np.ndarray, integration.Integral]:
    found = integration.integral(design, draws, units.of_term(design.group_terms[0]))
    of_units, of_rows = np.empty((draws.size, GROUPS)), np.empty((draws.size, AGE.size))
    for block in found.blocks(draws, with_rows=True):
        of_units[:, block.units], of_rows[:, block.rows] = block.log_density, block.of_rows
    return of_units, of_rows, found


def by_sums(density: Any, sd: np.ndarray, cor: float, rows: np.ndarray) -> float:
    """Return log of the integral over one or two normal effects, summed on a fine grid of whitened coordinates."""
    u, step = np.linspace(-8.0, 8.0, 401 if len(sd) == 2 else 4001, retstep=True)
    grid = np.stack(np.meshgrid(*[u] * len(sd), indexing="ij")).reshape(len(sd), -1)
    factor = np.eye(1) if len(sd) == 1 else np.array([[1.0, 0.0], [cor, np.sqrt(1.0 - cor**2)]])
    effects = sd[:, None] * (factor @ grid)
    log_prior = norm.logpdf(grid).sum(axis=0) + len(sd) * np.log(step)
    return float(logsumexp(density(effects, rows).sum(axis=0) + log_prior))


MIDPOINT = ("y ~ logistic(age, a, m, s)", {"a": "1", "m": "1 + (1 | g)", "s": "1"}, "gaussian", [9.0, 4.0, 1.5], [0.6])
SCALE = ("y ~ logistic(age, a, m, s)", {"a": "1", "m": "1", "s": "1 + (1 | g)"}, "gaussian", [9.0, 4.0, 1.5], [0.2])
TOGETHER = {"a": "1 + (1 | p | g)", "m": "1 + (1 | p | g)", "s": "1"}
BOTH = ("y ~ logistic(age, a, m, s)", TOGETHER, "gaussian", [9.0, 4.0, 1.5], [1.0, 0.6])
COUNTS = ("n ~ a - exp(-r * age)", {"a": "1", "r": "1 + (1 | g)"}, "poisson", [2.2, 0.4], [0.1])


@pytest.mark.parametrize(("text", "nonlinear", "family", "b", "sd"), [MIDPOINT, SCALE, BOTH, COUNTS])
def test_effects_in_a_curve_are_integrated_out_as_dense_sums_have_it(
    text: str, nonlinear: dict[str, str], family: str, b: list[float], sd: list[float]
) -> None:
    design = curve_of(text, DATA, nonlinear, family)
    draws = draws_of(design, b, sd)
    of_units, of_rows, found = integrated(design, draws)
    assert found.method == "quadrature"
    assert found.quality(with_rows=True)["unsettled"] == 0
    term = design.group_terms[0]
    for s in (0, 5, 11):

        def density(effects: np.ndarray, rows: np.ndarray, s: int = s) -> np.ndarray:
            values = {name: draws.b[s, i] + np.zeros(effects.shape[1]) for i, name in enumerate(nonlinear)}
            for effect, owner in zip(effects, term.parameters, strict=True):
                values[owner] = values[owner] + effect
            age, y = FRAME["age"][rows][:, None], FRAME["y" if family == "gaussian" else "n"][rows][:, None]
            if family == "poisson":
                log_mean = values["a"] - np.exp(-values["r"] * age)
                return y * log_mean - np.exp(log_mean) - gammaln(y + 1.0)
            with np.errstate(over="ignore"):  # a scale near 0
                mean = values["a"] / (1.0 + np.exp(-(age - values["m"]) / values["s"]))
            return norm.logpdf(y, mean, draws.others["sigma"][s])

        sds, cor = draws.sd[term.key][s], float(draws.cor[term.key][s, 0]) if term.correlated else 0.0
        for group in (0, 3):
            rows = np.flatnonzero(term.index == group)
            whole = by_sums(density, sds, cor, rows)
            assert of_units[s, group] == pytest.approx(whole, abs=2e-3)
            for row in rows[[0, 2, 4]]:
                without = by_sums(density, sds, cor, rows[rows != row])
                assert of_rows[s, row] == pytest.approx(whole - without, abs=5e-3)


def test_an_effect_that_enters_linearly_has_the_closed_form() -> None:
    """Of a gaussian response, with the asymptote varying, y_j is normal with covariance sigma^2 I + tau^2 f f'."""
    design = curve_of("y ~ logistic(age, a, m, s)", DATA, {"a": "1 + (1 | g)", "m": "1", "s": "1"})
    draws = draws_of(design, [9.0, 4.0, 1.5], [1.0])
    of_units, _, _ = integrated(design, draws)
    for s in range(draws.size):
        a, m, scale = draws.b[s]
        f = 1.0 / (1.0 + np.exp(-(AGE - m) / scale))
        for group in range(GROUPS):
            rows = slice(5 * group, 5 * group + 5)
            covariance = draws.others["sigma"][s] ** 2 * np.eye(5) + draws.sd["g__a"][s, 0] ** 2 * np.outer(
                f[rows], f[rows]
            )
            residual = DATA.frame["y"].to_numpy()[rows] - a * f[rows]
            exact = -0.5 * (
                residual @ np.linalg.solve(covariance, residual) + np.linalg.slogdet(2 * np.pi * covariance)[1]
            )
            assert of_units[s, group] == pytest.approx(exact, abs=1e-8)


CURVES = {
    "orange": ("circumference ~ logistic(age, Asym, xmid, scal)", "Tree", ("Asym", "xmid", "scal")),
    "loblolly": ("height ~ Asym + (R0 - Asym) * exp(-exp(lrc) * age)", "Seed", ("Asym", "R0", "lrc")),
}


def table(name: str) -> Any:
    frame = pd.read_csv(ROOT / "data" / name / "trees.csv")
    columns = {c: frame[c].to_numpy(float) for c in frame.columns if c not in {"Tree", "Seed"}}
    return dataset_of(**columns, **{c: [str(v) for v in frame[c]] for c in frame.columns if c in {"Tree", "Seed"}})


@pytest.mark.parametrize("name", sorted(CURVES))
def test_the_integrated_likelihood_at_the_estimates_of_nlme_is_nlmes(name: str) -> None:
    text, group, parameters = CURVES[name]
    stored = REFERENCE["curves"][name]
    nonlinear = {p: f"1 + (1 | {group})" if p == "Asym" else "1" for p in parameters}
    design = curve_of(text, table(name), nonlinear)
    term = design.group_terms[0]
    # The coefficients stand in the order in which the curve names its parameters.
    b = np.array([[stored["coefficients"][p] for p in design.curve.parameters]])
    effects = {term.key: np.zeros((1, len(term.levels), 1), dtype=np.float32)}
    draws = Draws(1, 1, b, effects, {"sigma": np.array([stored["sigma"]])}, {term.key: np.array([[stored["sd"]]])})
    found = integration.integral(design, draws, units.of_term(term))
    total = sum(float(block.log_density.sum()) for block in found.blocks(draws))
    assert total == pytest.approx(stored["log_likelihood"], abs=1e-6)


LINES = {
    "spline": "height ~ bs(age, df=4) + (1 | Seed)",
    "spline_slopes": "height ~ bs(age, df=4) + (1 + age | Seed)",
    "varying_spline": "height ~ bs(age, df=4) + (1 + bs(age, df=3) | Seed)",
    "varying_parabola": "height ~ poly(age, 3) + (1 + poly(age, 2) | Seed)",
}


@pytest.mark.parametrize("name", sorted(LINES))
def test_splines_and_polynomials_with_varying_coefficients_have_lme4s_maximum(name: str) -> None:
    stored = REFERENCE["lines"][name]
    found = gaussian_ml.maximise(design_of(LINES[name], table("loblolly")), "ml")
    assert found.log_likelihood == pytest.approx(stored["log_likelihood"], abs=1e-5)
    coefficients = [value for name, value in found.estimates.items() if name == "Intercept" or name.startswith("b(")]
    np.testing.assert_allclose(coefficients, list(stored["coefficients"].values()), rtol=1e-5, atol=1e-6)


# Consumers.


def test_a_curve_is_fitted_by_nothing_that_takes_lines() -> None:
    design = curve_of("y ~ logistic(age, a, m, s)", DATA, {"a": "1 + (1 | g)", "m": "1", "s": "1"})
    assert (
        nesting.reason_against(design)
        == "the response follows a curve, in which effects and coefficients do not add up"
    )
    counts = curve_of("n ~ a - exp(-r * age)", DATA, {"a": "1", "r": "1 + (1 | g)"}, "poisson")
    assert quadrature_ml.refusal(counts) == quadrature_ml.CURVE


def test_scores_of_a_curve_say_what_they_are_of() -> None:
    design = curve_of("y ~ logistic(age, a, m, s)", DATA, {"a": "1 + (1 | g)", "m": "1", "s": "1"})
    draws = draws_of(design, [9.0, 4.0, 1.5], [1.0], 400)
    record, _ = dic.score(design, draws)
    assert record["plug_in"].endswith("; the curve is taken at the means of its parameters")
    assert record["integrated"]["plug_in"].endswith("; the curve is taken at the means of its parameters")
    # The plug-in by hand: means of coefficients and effects, of log sigma, then the curve.
    a = draws.b[:, 0].mean() + draws.effects["g__a"][:, :, 0].mean(axis=0)[design.group_terms[0].index]
    mean = a / (1.0 + np.exp(-(AGE - draws.b[:, 1].mean()) / draws.b[:, 2].mean()))
    sigma = np.exp(np.log(draws.others["sigma"]).mean())
    at = -2.0 * norm.logpdf(DATA.frame["y"].to_numpy(), mean, sigma).sum()
    assert record["deviance_at_plug_in"] == pytest.approx(at, rel=1e-6)


def test_a_crossed_factor_in_another_parameter_is_conditioned_on() -> None:
    design = curve_of("y ~ logistic(age, a, m, s)", DATA, {"a": "1 + (1 | g)", "m": "1 + (1 | h)", "s": "1"})
    draws = any_draws(design, 10)
    draws.b[:] = np.array([9.0, 4.0, 1.5])
    found = integration.integral(design, draws, units.of_term(design.group_terms[0]))
    assert (found.structure.integrated, found.structure.conditioned) == (("g",), ("h",))
    of_units = np.concatenate([block.log_density for block in found.blocks(draws)], axis=1)
    effects = draws.effects["h__m"][:, :, 0][:, design.group_terms[1].index]
    f = 1.0 / (1.0 + np.exp(-(AGE - draws.b[:, [1]] - effects) / draws.b[:, [2]]))
    rows = slice(0, 5)
    for s in range(10):
        covariance = draws.others["sigma"][s] ** 2 * np.eye(5)
        covariance = covariance + draws.sd["g__a"][s, 0] ** 2 * np.outer(f[s, rows], f[s, rows])
        residual = DATA.frame["y"].to_numpy()[rows] - draws.b[s, 0] * f[s, rows]
        exact = -0.5 * (residual @ np.linalg.solve(covariance, residual) + np.linalg.slogdet(2 * np.pi * covariance)[1])
        assert of_units[s, 0] == pytest.approx(exact, abs=1e-6)


def test_equal_rows_of_a_curve_are_taken_together() -> None:
    """Rows that differ in a column of the curve alone are not equal."""
    from multilevel import aggregate, likelihood, predictor

    twice = DATA.frame.loc[np.repeat(np.arange(AGE.size), 3)].reset_index(drop=True)
    data = dataset_of(**{c: twice[c].to_numpy() if c not in {"g", "h"} else list(twice[c].astype(str)) for c in twice})
    design = curve_of("n ~ a - exp(-r * age)", data, {"a": "1", "r": "1 + (1 | g)"}, "poisson")
    few = aggregate.rows(design)
    assert len(few.y) == AGE.size
    draws = draws_of(design, [2.2, 0.4], [0.1])
    for d in (0, 7):
        one = draws.select([d])
        totals = [
            likelihood.of_rows(k, slice(0, len(k.y)), predictor.arguments(k, one, slice(0, len(k.y)))).sum()
            for k in (design, few)
        ]
        assert totals[0] == pytest.approx(totals[1], rel=1e-12)
