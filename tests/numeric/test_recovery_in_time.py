"""Parameters drawn from their priors are found again where residuals are correlated or levels follow each other in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures import simulation
from fixtures.small_data import dataset_of
from scipy import stats

from multilevel import convergence, default_priors, design, formula

pytestmark = pytest.mark.slow

SUBJECTS, WEEKS = 60, (0, 1, 2, 4)
SETTINGS = {"chains": 2, "draws": 500, "tune": 500, "target_accept": 0.9, "max_treedepth": 10}
PRIORS = {"Intercept": "normal(0.5, 0.5)", "b": "normal(0, 0.5)", "sd": "gamma(20, 40)", "sigma": "gamma(8, 8)"}
CASES = [
    ("y ~ x", "ar1(week | subject)", {"phi": "beta(4, 2)"}),
    ("y ~ x + (1 | clinic)", "car1(age | subject)", {"phi": "beta(4, 2)"}),
    ("y ~ x + (1 | clinic)", "cs(subject)", {}),
    ("y ~ x", "unstructured(week | subject)", {}),
    ("y ~ x + (1 | subject) + (1 | ar1(day))", "", {"phi(day)": "beta(6, 2)"}),
    ("y ~ x + (1 | subject) + (1 | rw(day))", "", {"sd(day)": "gamma(8, 20)"}),
]


def rows() -> dict[str, Any]:
    """Return columns of subjects of whom some missed a week."""
    rng = np.random.default_rng(8)
    seen = [(s, w) for s in range(SUBJECTS) for w in WEEKS if w == 0 or rng.random() < 0.85]
    subject, week = np.array(seen).T
    return {
        "x": rng.choice([-1.0, 0.0, 1.5], len(seen)),
        "subject": [f"s{s:02}" for s in subject],
        "clinic": [f"c{s % 8}" for s in subject],
        "week": week,
        "age": week + rng.uniform(0.0, 0.8, len(seen)),
        "day": rng.choice([*range(1, 9), 11, 12, 15], len(seen)),
    }


@pytest.mark.parametrize(("text", "structure", "given"), CASES)
def test_parameters_are_found_again(text: str, structure: str, given: dict[str, str]) -> None:
    from multilevel import model, sampling

    rng = np.random.default_rng([4, *text.encode(), *structure.encode()])
    columns = rows()
    spec = {"formula": str(formula.parse(text)), "family": "gaussian", "residuals": structure}
    blank = design.build(spec, dataset_of(y=np.arange(len(columns["x"])) % 7 + 1.0, **columns))
    kept = {name: prior for name, prior in PRIORS.items() if name != "sd" or blank.group_terms}
    resolved = default_priors.resolve(blank, {**kept, **given})
    truth = simulation.from_prior(blank, resolved, rng)
    found = replace(blank, y=simulation.response(blank, truth, rng))
    trace, _ = sampling.sample(model.build(found, resolved, centred=False), SETTINGS, seed=7, cores=2)
    posterior, _ = sampling.posterior(trace, found, centred=False)
    quantities = convergence.quantities(posterior["posterior"].to_dataset(), found)
    assert {q.parameter for q in quantities} == set(truth.values)
    z = np.array([(q.values.mean() - truth.values[q.parameter]) / q.values.std() for q in quantities])
    assert np.abs(z[[q.kind != "group" for q in quantities]]).max() < 4
    assert stats.chi2(len(z)).sf(np.square(z).sum()) > 1e-4
    # The data tell more of what correlates rows than the prior did.
    told = [q for q in quantities if q.parameter.startswith(("phi", "rho", "cor("))]
    assert all(q.values.std() < 0.3 for q in told)
    assert (len(told) == 0) == ("rw" in text)
