"""Models whose default priors brms and rstanarm state, and the 60 rows that they are stated for."""

from __future__ import annotations

import math
import random
from typing import Any


def rows() -> dict[str, list[Any]]:
    """Return the data, column by column, from a seed, with six decimals."""
    source = random.Random(20240801)
    x = [round(source.gauss(40.0, 12.0), 6) for _ in range(60)]
    z = [round(source.gauss(-1.0, 0.3), 6) for _ in range(60)]
    return {
        "y": [round(20.0 + 0.4 * value + source.gauss(0.0, 9.0), 6) for value in x],
        "small": [round(0.2 + 0.01 * value + source.gauss(0.0, 0.1), 6) for value in x],
        "waiting": [round(math.exp(source.gauss(3.0, 1.2)), 6) for _ in range(60)],
        "count": [int(math.exp(source.gauss(1.0, 1.0))) for _ in range(60)],
        "yes": [int(source.random() < 0.4) for _ in range(60)],
        "share": [round(min(max(source.betavariate(2.0, 3.0), 0.001), 0.999), 6) for _ in range(60)],
        "successes": [int(5 * source.random()) for _ in range(60)],
        "n": [5 + int(4 * source.random()) for _ in range(60)],
        "severity": [("low", "middle", "high")[int(3 * source.random())] for _ in range(60)],
        "travel": [("bus", "car", "walk")[int(3 * source.random())] for _ in range(60)],
        "x": x,
        "z": z,
        "exposure": [round(source.uniform(0.5, 3.0), 6) for _ in range(60)],
        "k": [("p", "q", "r")[i % 3] for i in range(60)],
        "g": ["abcdefghij"[i % 10] for i in range(60)],
        "h": ["uvwxy"[i // 12] for i in range(60)],
    }


def _brms(formula: str, family: str, link: str, **more: Any) -> dict[str, Any]:
    return {"formula": formula, "family": family, "link": link, **more}


BRMS = [
    _brms("y ~ x + (1 | g)", "gaussian", "identity"),
    _brms("y ~ x * k + (1 + x | g) + (1 | h)", "gaussian", "identity"),
    _brms("small ~ x + (1 | g)", "gaussian", "identity"),
    _brms("y ~ 0 + x + (1 + x || g)", "gaussian", "identity"),
    _brms("y ~ x + offset(z) + (1 | g)", "gaussian", "identity"),
    _brms("y ~ x + (1 | g)", "gaussian", "log"),
    _brms("y ~ x", "student", "identity"),
    _brms("waiting ~ x + (1 | g)", "lognormal", "identity"),
    _brms("waiting ~ x + (1 | g)", "gamma", "log"),
    _brms("waiting ~ x", "weibull", "log"),
    _brms("waiting ~ x", "exponential", "log"),
    _brms("count ~ x + (1 | g)", "poisson", "log"),
    _brms("count ~ x + offset(exposure)", "poisson", "log"),
    _brms("count ~ x + (1 | g)", "negbinomial", "log"),
    _brms("count ~ x", "zero_inflated_poisson", "log"),
    _brms("count ~ x", "hurdle_poisson", "log"),
    _brms("yes ~ x + (1 + x | g)", "bernoulli", "logit"),
    _brms("yes ~ x + (1 | g)", "bernoulli", "probit"),
    _brms("successes | trials(n) ~ x + (1 | g)", "binomial", "logit"),
    _brms("successes | trials(n) ~ x", "beta_binomial", "logit"),
    _brms("share ~ x + (1 | g)", "beta", "logit"),
    _brms("severity ~ x + (1 | g)", "cumulative", "logit"),
    _brms("severity ~ x", "cumulative", "probit", threshold="equidistant"),
    _brms("severity ~ x", "sratio", "logit"),
    _brms("travel ~ x + (1 | g)", "categorical", "logit"),
    _brms("y ~ x + (1 | g)", "gaussian", "identity", parameters={"sigma": "sigma ~ z + (1 | h)"}),
    _brms("count ~ x", "zero_inflated_poisson", "log", parameters={"zi": "zi ~ z"}),
    _brms("count ~ x", "negbinomial", "log", parameters={"shape": "shape ~ z"}),
    _brms("share ~ x", "beta", "logit", parameters={"phi": "phi ~ z"}),
]


def _rstanarm(formula: str, fitter: str, r_family: str, family: str, link: str) -> dict[str, Any]:
    return {"formula": formula, "fitter": fitter, "r_family": r_family, "family": family, "link": link}


RSTANARM = [
    _rstanarm("y ~ x", "glm", "gaussian()", "gaussian", "identity"),
    _rstanarm("y ~ x * z + k", "glm", "gaussian()", "gaussian", "identity"),
    _rstanarm("y ~ x + (1 | g)", "glmer", "gaussian()", "gaussian", "identity"),
    _rstanarm("y ~ x + k + (1 + x | g)", "glmer", "gaussian()", "gaussian", "identity"),
    _rstanarm("y ~ x + (1 | g) + (1 | h)", "glmer", "gaussian()", "gaussian", "identity"),
    _rstanarm("small ~ x", "glm", "gaussian(link = 'log')", "gaussian", "log"),
    _rstanarm("y ~ 0 + x", "glm", "gaussian()", "gaussian", "identity"),
    _rstanarm("yes ~ x + (1 | g)", "glmer", "binomial()", "bernoulli", "logit"),
    _rstanarm("yes ~ x", "glm", "binomial(link = 'probit')", "bernoulli", "probit"),
    _rstanarm("cbind(successes, n - successes) ~ x + k", "glm", "binomial()", "binomial", "logit"),
    _rstanarm("count ~ x + (1 | g)", "glmer", "poisson()", "poisson", "log"),
    _rstanarm("count ~ x + (1 | g)", "nb", "", "negative_binomial", "log"),
    _rstanarm("waiting ~ x", "glm", "Gamma(link = 'log')", "gamma", "log"),
    _rstanarm("waiting ~ x", "glm", "inverse.gaussian(link = 'log')", "inverse_gaussian", "log"),
]
