"""Deviance information criterion: given the group effects and integrated over them, with every penalty that is in use.

``p_d`` is Dbar - D(plug-in) (Spiegelhalter, Best, Carlin & van der Linde 2002, JRSS-B 64:583). The plug-in is the
posterior mean of each linear predictor, of each threshold, of each correlation of residuals, and of every other parameter on
the scale of its link; another
plug-in gives another p_d. Thresholds are averaged as they are, not their transformation, so that equidistant and free ones are
treated alike; means of increasing thresholds increase.
``p_v`` is Var(D)/2 (Gelman et al., Bayesian Data Analysis), invariant and never negative; two criteria are made of it:
Dbar + p_v (R2jags) and D(plug-in) + 2 p_v (BDA3).
``p_kl`` and ``p_opt`` are those of Plummer (2002, 2008), as JAGS has them: `divergence`. Dbar + p_opt is a penalised expected
deviance, no DIC.

None is refused for discrete unknowns, because no model has any: of a zero-inflated response, a mixture, which zeros are of the
other kind is summed out, so that the deviance is that of the observed responses (Celeux, Forbes, Robert & Titterington 2006,
Bayesian Analysis 1:651, whose other variants need the unknowns), and its two parts cannot change places, so that a mean over
draws is a plug-in. The record says it.

Integrated over the group effects, the deviance is one of new levels of the grouping: another estimand, which never stands in
one column with the conditional one. Its plug-in is the posterior mean of coefficients, of log standard deviations, of
correlations and of every other parameter on the scale of its link.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import families, integration, likelihood, links, marginal, mcmc, names, nesting, predictor
from multilevel.design import Design, Predictor
from multilevel.integration import Integral
from multilevel.predictor import Draws
from multilevel.scores import divergence, loo, plug_in

Array = NDArray[np.float64]

MANY = 200_000_000
"""Rows x draws above which the rows of a normal model are compressed first, which is the same sum."""

MOST_SECONDS = 300.0
"""Most seconds that integrating may take, by counts: not timed, so that the choice is the same everywhere."""

TINY = 1e-300
"""Least standard deviation whose logarithm is taken."""

STEP = 1e-4
"""Step of the differences that give the slope of the deviance at the plug-in."""

SUMMED_OUT = "; which zeros are of the other kind is summed out"
"""What is said of zero-inflated families, whose responses are mixtures."""

INTEGRATED_PLUG_IN = (
    "posterior mean of each coefficient, each log standard deviation, each correlation and every other parameter on the scale "
    "of its link"
)


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
    deviance = deviances(design, draws)
    # Of very many rows, what each draw moves the plug-in by would take longer than all else: its error is left out there.
    many = len(design.y) * draws.size > MANY
    moved = None if many else deviance - plug_in_influence(design, draws)
    record = summarise(deviance, plug_in_deviance(design, draws), moved, draws.chains)
    if design.residuals is not None:
        record["likelihood"] += f"; {design.residuals.words}"
        record["correlated"] = design.residuals.words
    integral, reason = integration.most(design, draws)
    if integral is not None:
        draws, deviance = integral.enough(draws), deviance[integral.kept(draws)]
    found, seen = of_divergences(design, draws, record["dbar"], deviance, integral)
    record["warnings"] += found.pop("warnings_of_divergences", [])
    record |= found | integrated(design, draws, integral, reason, seen)
    if design.curve:
        record["plug_in"] += plug_in.OF_CURVE
        if "integrated" in record:
            record["integrated"]["plug_in"] += plug_in.OF_CURVE
    if "zi" in families.parameters(design.family):
        for part in filter(None, (record, record.get("integrated"))):
            part["likelihood"] += SUMMED_OUT
    return record, None


def deviances(design: Design, draws: Draws) -> Array:
    """Return the deviance at each draw, shape (S,)."""
    many = len(design.y) * draws.size > MANY
    if many and nesting.reason_against(design) in {"", nesting.NOTHING_LEFT}:
        return marginal.deviance(design, draws.b, draws.effects, draws.others.get("sigma", np.ones(draws.size)))
    return -2.0 * likelihood.joint(design, draws)


def plug_in_deviance(design: Design, draws: Draws) -> float:
    """Return the deviance at the plug-in."""
    return float(-2.0 * likelihood.joint(design, plug_in.of(design, draws))[0])


def plug_in_influence(design: Design, draws: Draws) -> Array:
    """Return how far each draw moves the deviance at the plug-in, which is of means over draws: to first order, shape (S,)."""
    at, out = plug_in.of(design, draws), np.zeros(draws.size)
    if design.residuals is not None:
        return _towards_each_draw(design, draws, at)
    for place, part in enumerate(design.predictors):
        up, down = (
            _by_row(replace(design, predictors=_moved(design.predictors, place, step)), at) for step in (STEP, -STEP)
        )
        slope = (up - down) / (2.0 * STEP)
        for rows in predictor.blocks(len(design.y), draws.size):
            eta = predictor.linear_predictor(design, draws, rows, part.parameter)
            out += (eta - eta.mean(axis=0)) @ slope[rows]
    links_of = families.get(design.family).OTHER_LINKS
    for name in design.scalars:
        values = links.forward(links_of[name], draws.others[name])

        def total(step: float, name: str = name, middle: float = float(values.mean())) -> float:
            value = links.inverse(links_of[name], np.array([middle + step]))
            return float(_by_row(design, replace(at, others={**at.others, name: value})).sum())

        out += (total(STEP) - total(-STEP)) / (2.0 * STEP) * (values - values.mean())
    for column in _alone(design):
        step = np.zeros_like(at.b)
        step[:, column] = STEP
        above, below = (float(_by_row(design, replace(at, b=at.b + sign * step)).sum()) for sign in (1.0, -1.0))
        out += (above - below) / (2.0 * STEP) * (draws.b[:, column] - draws.b[:, column].mean())
    return out


def _towards_each_draw(design: Design, draws: Draws, at: Draws) -> Array:
    """Return the slope of the deviance at the plug-in towards each draw, shape (S,): for rows that are not independent."""
    links_of = families.get(design.family).OTHER_LINKS

    def deviance(step: float) -> Array:
        """Return the deviance at points that lie a small step from the plug-in towards each draw."""

        def moved(middle: Any, value: Any) -> Any:
            return middle + step * (value - middle)

        others = {}
        for name in design.scalars:
            linked = [links.forward(links_of[name], values.others[name]) for values in (at, draws)]
            others[name] = links.inverse(links_of[name], moved(*linked))
        effects = {key: moved(value, draws.effects[key].astype(np.float64)) for key, value in at.effects.items()}
        residual = moved(at.residual, draws.residual)
        points = replace(draws, b=moved(at.b, draws.b), effects=effects, others=others, residual=residual)
        return -2.0 * likelihood.joint(design, points)

    return (deviance(STEP) - deviance(-STEP)) / (2.0 * STEP)


def _moved(parts: tuple[Predictor, ...], place: int, step: float) -> tuple[Predictor, ...]:
    """Return predictors of which one is larger by a step at every row."""
    return tuple(replace(p, offset=p.offset + step) if i == place else p for i, p in enumerate(parts))


def _alone(design: Design) -> list[int]:
    """Return the columns of the coefficients that are in no linear predictor: thresholds, and what shifts them."""
    within = {
        int(i)
        for p in design.predictors
        for i in np.arange(len(design.all_coefficients))[design.columns_of(p.parameter)]
    }
    return [i for i in range(len(design.all_coefficients)) if i not in within]


def _by_row(design: Design, at: Draws) -> Array:
    """Return the deviance of every row at one draw, shape (rows,)."""
    out = np.empty(len(design.y))
    for rows in predictor.blocks(len(design.y), design.width):
        out[rows] = -2.0 * likelihood.of_rows(design, rows, predictor.arguments(design, at, rows))
    return out


@dataclass(frozen=True)
class Seen:
    """What integrating for p_opt has told of the integrated deviance, so that no unit is integrated twice.

    Parameters
    ----------
    units
        The units, shape (units,).
    deviance
        Their integrated deviance at each draw, shape (S,).
    """

    units: NDArray[np.bool_]
    deviance: Array


def of_divergences(
    design: Design, draws: Draws, dbar: float, deviance: Array, integral: Integral | None
) -> tuple[dict[str, Any], Seen | None]:
    """Return the penalties of Plummer with their Monte Carlo errors, or why they have no closed form.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    dbar, deviance
        The mean deviance, and the deviance at each draw, shape (S,).
    integral
        How the effects of a row's group are integrated out, where they are: then p_opt leaves a row out with them
        integrated, as `loo` does.

    Returns
    -------
    tuple
        What the record takes, and the integrated deviance of the units that were integrated; None where none was.
    """
    reason = divergence.reason_against(design)
    if not reason and len(design.y) * draws.size > MANY:
        reason = "so many rows and draws take too long"
    if reason:
        return {"why_no_p_kl": reason}, None
    totals = {"p_kl": 0.0, "p_opt": 0.0}
    influence = {name: np.zeros(draws.size) for name in totals}
    k_max, high = 0.0, 0

    def add(name: str, found: tuple[float, Array], times: float) -> None:
        totals[name] += times * found[0]
        influence[name] += times * found[1]

    def without_row(log_density: Array) -> Array:
        """Return the weights of the draws for each row, and keep the largest k."""
        nonlocal k_max, high
        smoothed = [mcmc.pareto_smooth(column, 1.0) for column in log_density.T]
        k_max, high = max([k_max, *(k for _, k in smoothed)]), high + sum(k > names.HIGH_K for _, k in smoothed)
        return np.exp(np.stack([weights for weights, _ in smoothed], axis=1))

    chosen = np.zeros(len(design.y), dtype=bool) if integral is None else loo.affordable(integral, draws)
    for rows in predictor.blocks(len(design.y), draws.size * design.width):
        arguments = predictor.arguments(design, draws, rows)
        size = (draws.size, rows.stop - rows.start)
        add(
            "p_kl", divergence.expected(divergence.parts(design, rows, arguments), np.full(size, 1.0 / draws.size)), 1.0
        )
        if not (others := rows.start + np.flatnonzero(~chosen[rows])).size:
            continue
        arguments = predictor.arguments(design, draws, others)
        log_density = np.broadcast_to(likelihood.of_rows(design, others, arguments), (draws.size, len(others)))
        add("p_opt", divergence.expected(divergence.parts(design, others, arguments), without_row(log_density)), 2.0)
    seen = None
    if integral is not None and chosen.any():
        seen = Seen(integral.units_with(chosen), np.zeros(draws.size))
        for block in integral.blocks(draws, with_rows=True, chosen=seen.units, features=divergence.features(design)):
            assert block.of_rows is not None  # asked for
            assert block.averages is not None
            seen.deviance[:] -= 2.0 * block.log_density.sum(axis=1)
            add("p_opt", divergence.expected_of_averages(block.averages, without_row(block.of_rows)), 2.0)
    warnings = []
    if high:
        warnings.append(
            f"p_opt leaves {high} rows out by importance weights with a Pareto k above {names.HIGH_K:g} (largest {k_max:.2f}), "
            "which makes it unreliable."
        )
    mcse = {name: mcmc.mcse_mean(values.reshape(draws.chains, -1)) for name, values in influence.items()}
    both = (deviance + influence["p_kl"], deviance + influence["p_opt"])
    of_sums = [mcmc.mcse_mean(values.reshape(draws.chains, -1)) for values in both]
    record = {
        "p_kl": totals["p_kl"],
        "mcse_p_kl": mcse["p_kl"],
        "dic_p_kl": dbar + totals["p_kl"],
        "mcse_dic_p_kl": of_sums[0],
        "p_opt": totals["p_opt"],
        "mcse_p_opt": mcse["p_opt"],
        "penalised_expected_deviance": dbar + totals["p_opt"],
        "mcse_penalised_expected_deviance": of_sums[1],
        "k_max_p_opt": k_max,
        "p_opt_integrated_rows": int(chosen.sum()),
        "warnings_of_divergences": warnings,
    }
    return record, seen


def integrated(design: Design, draws: Draws, found: Integral | None, reason: str, seen: Seen | None) -> dict[str, Any]:
    """Return the DIC of the likelihood with group effects integrated out under ``integrated``, or why there is none.

    Its penalties are p_d and p_v: the integrated likelihood is no product of densities of rows, so that of those of Plummer
    there is no closed form.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    found, reason
        How the effects are integrated out (`integration.most`), or why they are not.
    seen
        The units whose integrated deviance is known already.
    """
    if found is not None and found.seconds(draws) > MOST_SECONDS:
        found, reason = None, "integrating the group effects out would take too long"
    if found is None:
        return {"why_no_integrated": reason}
    units = found.structure.units
    seen = seen or Seen(np.zeros(units.count, dtype=bool), np.zeros(draws.size))
    deviance = seen.deviance + _integrated_deviance(found, draws, ~seen.units)
    links_of = families.get(design.family).OTHER_LINKS
    middle = {n: float(links.forward(links_of[n], draws.others[n]).mean()) for n in design.scalars}
    at = replace(
        draws.at_mean({n: float(links.inverse(links_of[n], np.array([m]))[0]) for n, m in middle.items()}),
        sd={key: np.exp(np.log(np.maximum(value, TINY)).mean(axis=0))[None] for key, value in draws.sd.items()},
        cor={key: value.mean(axis=0)[None] for key, value in draws.cor.items()},
    )
    # Of the units that were seen the nodes serve their rows too, and are known by that name.
    middle_of_seen = _integrated_deviance(found, at, seen.units, with_rows=True)
    at_plug_in = float((middle_of_seen + _integrated_deviance(found, at, ~seen.units))[0])
    record = summarise(deviance, at_plug_in, None, draws.chains)
    passes = [with_rows for with_rows, part in ((True, seen.units), (False, ~seen.units)) if part.any()]
    record |= {
        "unit": "integrated",
        "predicts": f"a replicate of the same observations in new levels of {units.name}",
        "likelihood": found.words,
        "plug_in": INTEGRATED_PLUG_IN,
        "warnings": [*record["warnings"], *(w for with_rows in passes for w in found.warnings(with_rows))],
    }
    if quality := found.quality(with_rows=passes[0]):
        record["quadrature"] = quality
    return {"integrated": record}


def _integrated_deviance(found: Integral, draws: Draws, chosen: NDArray[np.bool_], with_rows: bool = False) -> Array:
    """Return the integrated deviance of some units at each draw, shape (S,)."""
    out = np.zeros(draws.size)
    for block in found.blocks(draws, with_rows=with_rows, chosen=chosen) if chosen.any() else ():
        out -= 2.0 * block.log_density.sum(axis=1)
    return out


def summarise(deviance: Array, at_plug_in: float, moved: Array | None, chains: int) -> dict[str, Any]:
    """Return the record of posterior deviances.

    Parameters
    ----------
    deviance
        The deviance at each draw, shape (S,), chains after one another.
    at_plug_in
        The deviance at the plug-in.
    moved
        What each draw adds to p_d, shape (S,); None where it is taken to be its deviance, which leaves out that the plug-in
        has an error of its own.
    chains
        Number of chains.
    """
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
        "plug_in": plug_in.WORDS,
        "dbar": dbar,
        "mcse_dbar": mcse_dbar,
        "deviance_at_plug_in": at_plug_in,
        "p_d": p_d,
        "mcse_p_d": mcse_dbar if moved is None else mcmc.mcse_mean(moved.reshape(chains, -1)),
        "p_v": p_v,
        "mcse_p_v": mcse_p_v,
        "dic": dbar + p_d,
        "mcse_dic": mcmc.mcse_mean(shaped + (shaped if moved is None else moved.reshape(chains, -1))),
        "dic_p_v_dbar": dbar + p_v,
        "dic_p_v_plug_in": at_plug_in + 2 * p_v,
        "warnings": warnings,
    }
