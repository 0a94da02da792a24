"""Scores as densities of another column: each row is raised by its own log-Jacobian, once, by every score and estimator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.any_draws import any_draws
from fixtures.small_data import dataset_of, design_of

from multilevel import default_priors, units
from multilevel.scores import dic, logo, loo, subsampled

ROWS = 18
RNG = np.random.default_rng(5)
DATA = dataset_of(y=RNG.normal(size=ROWS), x=RNG.normal(size=ROWS), g=[f"g{i % 6}" for i in range(ROWS)])
JACOBIAN = np.linspace(-1.0, 2.0, ROWS)
DIGITS = 1e-6
"""What rounding leaves of a difference: smoothing fits the tail of importance ratios, which magnifies it."""


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_every_score_is_raised_by_the_jacobian_of_its_rows(family: str) -> None:
    design = design_of("y ~ x + (1 | g)", DATA, family)
    moved = replace(design, log_jacobian=JACOBIAN)
    draws = any_draws(design, 200)
    left_out = units.of_term(design.group_terms[0])
    priors = {found.parameter: found.prior for found in default_priors.resolve(design, {})}

    (record, table), (raised_record, raised) = loo.score(design, draws), loo.score(moved, draws)
    assert set(table["estimator"]) == {loo.INTEGRATED}
    np.testing.assert_allclose(raised["elpd"] - table["elpd"], JACOBIAN, atol=DIGITS)
    np.testing.assert_allclose(raised["elpd_conditional"] - table["elpd_conditional"], JACOBIAN, atol=DIGITS)
    np.testing.assert_allclose(raised["p_loo"], table["p_loo"], atol=DIGITS)
    assert raised_record["elpd"] - record["elpd"] == pytest.approx(JACOBIAN.sum(), abs=DIGITS)

    rows = np.array([1, 4, 5, 11, 16])
    (_, table), (_, raised) = (subsampled.score(one, draws, rows) for one in (design, moved))
    for column in ("elpd", "elpd_conditional", "surrogate"):
        np.testing.assert_allclose(raised[column] - table[column], JACOBIAN[rows], atol=DIGITS)

    (_, table), (_, raised) = (logo.score(one, draws, left_out, priors) for one in (design, moved))
    np.testing.assert_allclose(raised["elpd"] - table["elpd"], np.bincount(left_out.index, JACOBIAN), atol=DIGITS)

    deviances = [dic.score(one, draws)[0]["dic"] for one in (design, moved)]
    assert deviances[1] - deviances[0] == pytest.approx(-2.0 * JACOBIAN.sum(), abs=DIGITS)
