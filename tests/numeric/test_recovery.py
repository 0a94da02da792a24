"""Parameters drawn from their priors are found again in data drawn from the model, for every family of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures import simulation
from fixtures.family_cases import OF_NUMBERS, OF_TRIALS
from fixtures.small_data import dataset_of
from scipy import stats

from multilevel import aggregate, convergence, default_priors, design, families, formula

pytestmark = pytest.mark.slow

ROWS, LEVELS = 400, 20
SETTINGS = {"chains": 2, "draws": 500, "tune": 500, "target_accept": 0.9, "max_treedepth": 10}
PRIORS = {
    "Intercept": "normal(0.5, 0.5)", "b": "normal(0, 0.5)", "sd": "gamma(20, 40)", "sigma": "gamma(4, 4)",
    "nu": "gamma(2, 0.1)", "shape": "gamma(4, 2)", "phi": "gamma(8, 1)",
    **dict.fromkeys(["zi", "hu", "zoi", "coi"], "beta(2, 4)"),
}  # fmt: skip


@pytest.mark.parametrize("family", OF_NUMBERS)
def test_parameters_are_found_again(family: str) -> None:
    from multilevel import model, sampling

    rng = np.random.default_rng([4, *family.encode()])
    left = "y | trials(n)" if family in OF_TRIALS else "y"
    spec = {"formula": str(formula.parse(f"{left} ~ x + (1 | g)")), "family": family}
    columns = {
        "x": rng.choice([-1.0, 0.0, 1.5], ROWS),
        "g": np.repeat(np.arange(LEVELS), ROWS // LEVELS),
        "n": rng.choice([8.0, 15.0], ROWS),
    }
    blank = design.build(spec, dataset_of(y=np.arange(ROWS) % 2 + 1.0, **columns))
    known = {"Intercept", "b", "sd", *blank.scalars}
    resolved = default_priors.resolve(blank, {name: text for name, text in PRIORS.items() if name in known})
    truth = simulation.from_prior(blank, resolved, rng)
    found = replace(blank, y=simulation.response(blank, truth, rng))
    assert families.get(family).support_problem(found.y, found.terms) is None

    trace, _ = sampling.sample(model.build(aggregate.rows(found), resolved, centred=False), SETTINGS, seed=7, cores=2)
    posterior, _ = sampling.posterior(trace, found, centred=False)
    quantities = convergence.quantities(posterior["posterior"].to_dataset(), found)
    assert {q.parameter for q in quantities} == set(truth.values)
    z = np.array([(q.values.mean() - truth.values[q.parameter]) / q.values.std() for q in quantities])
    assert np.abs(z[[q.kind != "group" for q in quantities]]).max() < 4
    # Standardised errors of all parameters and effects are about standard normal: their mean square is about 1.
    assert stats.chi2(len(z)).sf(np.square(z).sum()) > 1e-4
    assert stats.chi2(len(z)).cdf(np.square(z).sum()) > 1e-4
    # The data tell more of the slope than the prior did.
    assert next(q.values.std() for q in quantities if q.parameter == "b(x)") < 0.25
