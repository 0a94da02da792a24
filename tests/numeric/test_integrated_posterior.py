"""With the effects integrated out, six studies have the posterior that everything sampled gives: every parameter and effect.

Means may differ by four combined Monte Carlo standard errors: over the 1 300 or so that are compared, chance alone would break
that in one of twelve runs with fresh seeds; the seeds are fixed. Ends of intervals may differ by five, because their errors
are themselves estimates from few draws in the tails.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures import agreement
from fixtures.both_ways import SAMPLER, distances, summary
from fixtures.radon import MODELS
from fixtures.small_data import dataset_of, design_of

from multilevel import default_priors, nesting

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", MODELS)
def test_the_radon_study(name: str, radon_plan: dict[str, Any], fits: dict[str, Any]) -> None:
    spec = radon_plan["models"][name]
    assert spec["method"] == "integrated"
    ours = summary("integrated", fits[name].built, spec["priors"], 11)
    assert distances(ours, fits[name].summary) == {}
    assert ours["ess_bulk"].min() > 2000


@pytest.mark.parametrize(
    ("study", "model"),
    [
        ("sleepstudy", "intercept_only"),
        ("sleepstudy", "uncorrelated"),
        ("sleepstudy", "correlated"),
        ("hsb", "intercepts_and_slopes"),
        ("language", "cross_level"),
        ("eight_schools", "partial_pooling"),
        ("districts", "three_level"),
    ],
)
def test_published_studies(study: str, model: str) -> None:
    found = agreement.candidate(study, model)
    assert nesting.reason_against(found.built) == ""
    ours, plain = (agreement.summary(method, found, SAMPLER) for method in ("integrated", "sampled"))
    assert distances(ours.table, plain.table) == {}
    assert ours.divergences == 0


def pupils() -> Any:
    """Pupils in classes in schools, some of them alone; slopes differ between schools."""
    rng = np.random.default_rng(5)
    school = rng.integers(0, 25, 500)
    room = school * 4 + rng.integers(0, 4, 500)
    x = rng.normal(3.0, 1.0, 500)
    slope, level, local = rng.normal(0, 0.4, 25), rng.normal(0, 1.0, 25), rng.normal(0, 0.5, 100)
    y = 10 + level[school] + local[room] + (0.7 + slope[school]) * x + rng.normal(0, 1.2, 500)
    return dataset_of(
        y=y, x=x, school=[f"s{i}" for i in school], room=[f"r{i % 4}" for i in room], z=rng.normal(size=500)
    )


def thin() -> Any:
    """Thirty groups, half of them with one row, and an effect that is next to nothing."""
    rng = np.random.default_rng(6)
    g = np.concatenate([np.arange(30), rng.integers(0, 15, 60)])
    x = rng.normal(size=90)
    y = rng.normal(0, 1, 30)[g] + 0.3 * x + rng.normal(0, 0.7, 90)
    return dataset_of(y=y, x=x, g=[f"g{i}" for i in g])


@pytest.mark.parametrize(
    ("data", "text", "given", "preset"),
    [
        (pupils, "y ~ x + z + (1 + x | school/room)", {}, ""),
        (pupils, "y ~ x + (1 | school) + (0 + x | school) + (1 | school:room)", {"b": "student_t(3, 0, 1)"}, ""),
        (thin, "y ~ x + (1 + x | g)", {"sd": "half_cauchy(1)", "sigma": "half_student_t(3, 1)"}, ""),
        (pupils, "y ~ x + z + (1 + x | school)", {}, "brms"),
        (thin, "y ~ x + (1 | g)", {"precision(g)": "gamma(1, 1)", "var(sigma)": "inverse_gamma(1, 1)"}, "brms"),
        (pupils, "y ~ x + (1 | school)", {"sd": "sqrt_inverse_gamma(1, 1)", "b(x)": "logistic(0, 1)"}, "rstanarm"),
    ],
)
def test_simulated_studies(data: Any, text: str, given: dict[str, str], preset: str) -> None:
    built = design_of(text, data())
    priors = {r.parameter: r.prior for r in default_priors.resolve(built, given, preset)}
    assert nesting.reason_against(built, priors) == ""
    ours, plain = (
        summary(method, built, given, 13 + number, preset=preset)
        for number, method in enumerate(("integrated", "sampled"))
    )
    assert distances(ours, plain) == {}
