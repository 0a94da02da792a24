"""Parameters that data of categories were simulated with are found again by the sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixtures.small_data import dataset_of
from scipy import stats

from multilevel import convergence, default_priors, design, families, formula, predictor
from multilevel.predictor import Draws

pytestmark = pytest.mark.slow

ROWS, LEVELS = 900, 30
SETTINGS = {"chains": 2, "draws": 600, "tune": 500, "target_accept": 0.9, "max_treedepth": 10}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, float], list[float]]] = {
    # What is modelled, the sd of group effects, and the coefficients in the order of `all_coefficients`.
    "cumulative": (
        "y ~ x + (1 | g)",
        {"family": "cumulative", "link": "probit", "parameters": {"disc": "0 + z"}},
        {"sd(g: Intercept)": 0.7},
        [-1.0, 0.2, 1.1, 0.8, 0.4],
    ),
    "sequential": (
        "y ~ z + cs(x) + (1 | g)",
        {"family": "sequential"},
        {"sd(g: Intercept)": 0.7},
        [-0.6, 0.9, 0.3, -0.5, 1.0, 0.1, -0.8],
    ),
    "adjacent": (
        "y ~ x + (1 | g)",
        {"family": "adjacent", "thresholds": "equidistant"},
        {"sd(g: Intercept)": 0.6},
        [-0.9, 0.0, 0.9, 0.7],
    ),
    "categorical": (
        "y ~ x + (1 | g)",
        {"family": "categorical"},
        {"sd(g: mu_2_Intercept)": 0.8, "sd(g: mu_3_Intercept)": 0.5},
        [0.4, 0.9, -0.3, -0.7],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_parameters_are_found_again(name: str, tmp_path: Any) -> None:
    from multilevel import model, sampling

    text, rest, sds, b = CASES[name]
    spec = {"formula": str(formula.parse(text)), **rest}
    rng = np.random.default_rng(31)
    count = 3 if name == "categorical" else 4
    columns = {
        "x": rng.normal(1.0, 1.0, ROWS),
        "z": rng.normal(0.0, 0.8, ROWS),
        "g": np.repeat(np.arange(LEVELS), ROWS // LEVELS),
    }
    blank = design.build(spec, dataset_of(y=np.arange(ROWS) % count + 1, **columns))
    effects = {
        t.key: rng.normal(0, sds[f"sd(g: {t.effects[0]})"], (1, LEVELS, 1)).astype(np.float32)
        for t in blank.group_terms
    }
    truth = Draws(1, 1, np.array([b]), effects, {})
    y = families.get(spec["family"]).draws(rng, **predictor.arguments(blank, truth, slice(0, ROWS)))[0]
    assert np.bincount(y.astype(int))[1:].min() > 20

    found = design.build(spec, dataset_of(y=y, **columns))
    built = model.build(found, default_priors.resolve(found, {}), centred=False)
    trace, _ = sampling.sample(built, SETTINGS, seed=7, cores=2)
    posterior, _ = sampling.posterior(trace, found, centred=False)
    assert int(posterior["sample_stats"]["diverging"].sum()) == 0
    quantities = convergence.quantities(posterior["posterior"].to_dataset(), found)
    expected = {default_priors.coefficient_name(n): v for n, v in zip(found.all_coefficients, b, strict=True)} | sds
    for t in found.group_terms:
        expected |= {f"g[{level}: {t.effects[0]}]": float(effects[t.key][0, level, 0]) for level in range(LEVELS)}
    z = []
    for quantity in quantities:
        assert quantity.values.std() < 1.5
        if quantity.parameter in expected:
            z.append((quantity.values.mean() - expected[quantity.parameter]) / quantity.values.std())
    assert len(z) == len(expected)
    assert np.abs(z[: len(b)]).max() < 4
    # Standardised errors of all parameters and effects are about standard normal: their mean square is about 1.
    assert stats.chi2(len(z)).sf(np.square(z).sum()) > 1e-4
    assert stats.chi2(len(z)).cdf(np.square(z).sum()) > 1e-4
