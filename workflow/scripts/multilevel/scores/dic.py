"""Deviance information criterion given the group effects, with both penalties in use.

``p_d`` is Dbar - D(plug-in) (Spiegelhalter, Best, Carlin & van der Linde 2002, JRSS-B 64:583). The plug-in is the
posterior mean of each linear predictor, of each threshold, and of every other parameter on the scale of its link; another
plug-in gives another p_d. Thresholds are averaged as they are, not their transformation, so that equidistant and free ones are
treated alike; means of increasing thresholds increase.
``p_v`` is Var(D)/2 (Gelman et al., Bayesian Data Analysis), invariant and never negative; two criteria are made of it:
Dbar + p_v (R2jags) and D(plug-in) + 2 p_v (BDA3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families, likelihood, links, marginal, mcmc, nesting, predictor
from multilevel.design import Design
from multilevel.predictor import Draws

Array = NDArray[np.float64]

MANY = 200_000_000
"""Rows x draws above which the rows of a normal model are compressed first, which is the same sum."""

PLUG_IN = "posterior mean of each linear predictor, each threshold and every other parameter on the scale of its link"


def score(design: Design, draws: Draws) -> tuple[dict[str, Any], None]:
    """Return the DIC record.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.

    Returns
    -------
    tuple
        The record; None, because a deviance has no per-unit table that could be compared.
    """
    return summarise(deviances(design, draws), plug_in_deviance(design, draws), draws.chains), None


def deviances(design: Design, draws: Draws) -> Array:
    """Return the deviance at each draw, shape (S,)."""
    many = len(design.y) * draws.size > MANY
    if many and nesting.reason_against(design) in {"", nesting.NOTHING_LEFT}:
        return marginal.deviance(design, draws.b, draws.effects, draws.others.get("sigma", np.ones(draws.size)))
    deviance = np.zeros(draws.size)
    for _, log_density in likelihood.conditional(design, draws):
        deviance -= 2.0 * log_density.sum(axis=1)
    return deviance


def plug_in(design: Design, draws: Draws) -> Draws:
    """Return the plug-in (see `PLUG_IN`) as one draw."""
    links_of = families.get(design.family).OTHER_LINKS
    means = {name: np.mean(links.forward(links_of[name], draws.others[name]), keepdims=True) for name in design.scalars}
    return draws.at_mean({name: float(links.inverse(links_of[name], mean)[0]) for name, mean in means.items()})


def plug_in_deviance(design: Design, draws: Draws) -> float:
    """Return the deviance at the plug-in."""
    at, total = plug_in(design, draws), 0.0
    for rows in predictor.blocks(len(design.y), design.width):
        total += float(-2.0 * likelihood.of_rows(design, rows, predictor.arguments(design, at, rows)).sum())
    return total


def summarise(deviance: Array, at_plug_in: float, chains: int) -> dict[str, Any]:
    """Return the record of posterior deviances, shape (S,), chains after one another."""
    shaped = deviance.reshape(chains, -1)
    dbar = float(deviance.mean())
    p_d = dbar - at_plug_in
    p_v = float(np.var(deviance, ddof=1) / 2)
    mcse_dbar = mcmc.mcse_mean(shaped)
    # Var(D) is the mean of squared deviations, so its error is that of a mean; the plug-in's own error is of lower order.
    squared = np.square(shaped - dbar) / 2
    mcse_p_v = mcmc.mcse_mean(squared)
    warnings = []
    if p_d < 0:
        warnings.append(
            f"p_D is negative ({p_d:.2f}): the plug-in lies outside the bulk of the posterior, so this DIC means nothing."
        )
    if abs(p_d - p_v) > max(2.0, 0.25 * max(abs(p_d), p_v)):
        warnings.append(
            f"The two penalties differ (p_D {p_d:.1f}, p_V {p_v:.1f}): the posterior deviance is far from chi-squared."
        )
    return {
        "criterion": "dic",
        "unit": "conditional",
        "leaves_out": "nothing",
        "predicts": "a replicate of the same observations in the same groups",
        "likelihood": "conditional on the group effects",
        "plug_in": PLUG_IN,
        "dbar": dbar,
        "mcse_dbar": mcse_dbar,
        "deviance_at_plug_in": at_plug_in,
        "p_d": p_d,
        "mcse_p_d": mcse_dbar,
        "p_v": p_v,
        "mcse_p_v": mcse_p_v,
        "dic": dbar + p_d,
        "dic_p_v_dbar": dbar + p_v,
        "dic_p_v_plug_in": at_plug_in + 2 * p_v,
        "warnings": warnings,
    }
