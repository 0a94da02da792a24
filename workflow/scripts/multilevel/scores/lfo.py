"""Leave-future-out: log p(y at the next times | y at all earlier ones), refitting only where importance sampling fails.

Times stand in order, and with ``i`` of them seen the next ``steps`` are predicted jointly: all rows at them, of whichever
groups. The draws of the last fit, to the first ``i*`` times, are weighted by p(y at times i* + 1 to i | y up to i*, theta),
smoothed by a generalised Pareto distribution; where its k is too high the model is fitted anew to the first ``i`` times, and
the prediction is exact but for the draws (Bürkner, Gabry & Vehtari 2020, Journal of Statistical Computation and Simulation
90:2499, section 2.2 and algorithm 1).

Effects of groups are integrated out wherever they can be, so that theta is what all groups share:

    log p(y_next | y_seen, theta) = log p(y_seen, y_next | theta) - log p(y_seen | theta),

and so for the weights. A group that first appears later is then a new one of the population, and one that was seen before is
known by its own earlier rows: nothing that comes later has a say. Which effects are integrated out is decided once, from all
rows: those of groupings of which every level lies within one unit. Effects of other groupings are conditioned on, with those
of levels not seen yet drawn by the fit from their distribution given the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from multilevel import aggregate, integration, likelihood, mcmc, psis, units
from multilevel.design import Design, Term
from multilevel.errors import FitError
from multilevel.integration import local
from multilevel.predictor import Draws
from multilevel.units import Units

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LOG = logging.getLogger(__name__)

EXACT, PSIS = "exact refit", "PSIS"

GIVEN_COEFFICIENTS = "given the coefficients; there are no group effects"

NO_WEIGHT = 700.0
"""How far below the largest a log ratio is as good as minus infinity: its weight is no number above 0."""

CHEAP = 600.0
"""Most seconds that integrating may take, by counts, for all times; otherwise effects that are drawn are conditioned on."""

OF_DESIGN = frozenset({
    "response", "y", "family", "link", "parameters", "predictors", "group_terms", "terms", "categories", "thresholds",
    "log_jacobian",
})  # fmt: skip
"""What of a design this score knows how to cut by time; whatever is added to designs is refused until it is listed here."""

NOT_CUT = {
    "residuals": "residuals are correlated within subjects, and their density given earlier ones is not computed here",
    "curve": "the mean is a curve, and the rows of such models are not cut by time yet",
}
"""What is said of parts of a design that are not cut by time."""

STRUCTURES = frozenset({"independent", "known"})
"""Structures over the levels of a group whose later levels can be left out."""


@dataclass(frozen=True)
class Settings:
    """How the future is left out.

    Parameters
    ----------
    after
        Times that are seen before the first prediction.
    steps
        Times ahead that are predicted, jointly.
    pareto_k
        Pareto k above which the model is fitted anew; that of so many draws (`psis.k_threshold`) where it is lower.
    most_refits
        Most fits that are made.
    """

    after: int
    steps: int = 1
    pareto_k: float = 0.7
    most_refits: int = 50


@dataclass(frozen=True)
class Fitted:
    """A fit to the first times.

    Parameters
    ----------
    draws
        Its draws. Effects of levels that it has not seen are drawn given the others, or not a number where no use is made
        of them, because they are integrated out.
    record
        What is told of it: ``passed``, and which checks ``failed``.
    """

    draws: Draws
    record: dict[str, Any]


Fit = Callable[[int], Fitted]
"""From a number of times to the fit to the rows at them."""


def reason_against(design: Design) -> str:
    """Return why the future of a design cannot be left out, as the end of a sentence; nothing where it can."""
    odd = [f.name for f in fields(design) if f.name not in OF_DESIGN and _is_there(getattr(design, f.name))]
    if odd:
        return NOT_CUT.get(odd[0], f"models with {odd[0].replace('_', ' ')} are not cut by time yet")
    if other := next((t for t in design.group_terms if t.structure not in STRUCTURES), None):
        return f"the levels of '{other.group}' have the structure {other.structure}, which is not cut by time"
    return ""


def _is_there(value: Any) -> bool:
    return bool(np.size(value)) if isinstance(value, np.ndarray) else bool(value)


def improper_before(design: Design, rows: NDArray[np.bool_], flat: Mapping[str, bool]) -> str:
    """Return why a fit to some rows has no proper posterior, as the end of a sentence; nothing where that is not known.

    Parameters
    ----------
    design
        The design of all rows.
    rows
        The rows of the first fit, shape (rows,).
    flat
        By coefficient, whether its prior is flat.
    """
    for part in design.predictors:
        own = [i for i, name in enumerate(part.coefficients) if flat.get(name)]
        columns = part.x[np.ix_(rows, own)]
        if own and np.linalg.matrix_rank(columns) < len(own):
            empty = [part.coefficients[i] for i, column in zip(own, columns.T, strict=True) if not column.any()]
            name = f"'{empty[0]}'" if empty else "some coefficients"
            return f"the rows that are seen at first say nothing of {name}, whose prior is flat"
    return ""


def score(design: Design, times: Units, settings: Settings, fit: Fit) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the leave-future-out record and its values by time.

    Parameters
    ----------
    design
        The design of all rows.
    times
        The time of each row, its labels in order.
    settings
        How the future is left out.
    fit
        Fits the model to the rows at the first times.

    Returns
    -------
    tuple
        The record, and a table with ``level`` (the time, or the first and last of several), ``rows``, ``elpd``,
        ``pareto_k`` (0 where the weights are equal), ``refit``, ``estimator``, ``fit_to`` (the last time seen by the fit
        whose draws were weighted), ``pareto_k_before`` (that which asked for the refit), ``r_eff`` and ``mcse``. Where the
        score is not defined, the record holds ``refused``, the reason, and the table has no rows.

    Raises
    ------
    multilevel.errors.FitError
        When more fits are needed than may be made.
    """
    words = _words(times, settings)
    if reason := reason_against(design):
        return refused(times, settings, reason)
    split = Split.of(design)
    last = times.count - settings.steps
    current: _Since | None = None
    fits: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    errors: list[float] = []
    influence: Array = np.zeros(1)
    warnings: dict[str, None] = {}
    for seen in range(settings.after, last + 1):
        found = None if current is None else current.weights(seen)
        if current is None or found is None or found.k > current.threshold:
            if current is not None and found is not None:
                errors.append(psis.mcse_of_total(influence, current.draws.chains))
                _may_refit(len(fits), found.k, times, seen, settings, last)
            LOG.info(
                "fit %d, to the rows up to %s %s; at most %d more after it",
                len(fits) + 1, times.name, times.labels[seen - 1], min(last - seen, settings.most_refits - len(fits) - 1),
            )  # fmt: skip
            made = fit(seen)
            fits.append({"to": times.labels[seen - 1], "rows": int(times.sizes[:seen].sum()), **made.record})
            current, influence = _Since.of(design, times, split, seen, made.draws, settings, last), np.zeros(1)
            rows.append(_row(current, times, seen, settings, current.weights(seen), found))
        else:
            rows.append(_row(current, times, seen, settings, found, None))
        influence = influence + rows[-1].pop("influence")
        warnings |= dict.fromkeys(current.warnings)
        LOG.info(
            "%s %s: elpd %.2f, Pareto k %.2f", times.name, rows[-1]["level"], rows[-1]["elpd"], rows[-1]["pareto_k"]
        )
    assert current is not None  # there is a time to predict
    errors.append(psis.mcse_of_total(influence, current.draws.chains))
    table = pd.DataFrame(rows)
    record = {
        **words,
        "likelihood": current.likelihood,
        **_summary(table, errors, current, fits, list(warnings), times),
    }
    return record, table


def refused(times: Units, settings: Settings, reason: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the record of a model that cannot be scored, and an empty table."""
    return _words(times, settings) | {"refused": reason, "warnings": []}, pd.DataFrame(
        {"level": [], "rows": [], "elpd": []}
    )


def _words(times: Units, settings: Settings) -> dict[str, Any]:
    name, first = times.name, times.labels[settings.after]
    ahead = f"the next value of {name}" if settings.steps == 1 else f"the next {settings.steps} values of {name}"
    return {
        "criterion": "lfo",
        "unit": name,
        "leaves_out": f"the future, all rows at {ahead} and later, from {first} on",
        "predicts": f"the observations at {ahead}, jointly, given those at earlier ones",
        "estimand": f"log p(y at {ahead} | y at earlier ones), from {first} on",
        "after": settings.after,
        "steps": settings.steps,
    }


def _may_refit(made: int, k: float, times: Units, seen: int, settings: Settings, last: int) -> None:
    if made < settings.most_refits:
        return
    fits = "1 fit is" if made == 1 else f"{made} fits are"
    raise FitError(
        f"{fits} made, as many as 'most_refits' allows, and the Pareto k of {times.name} "
        f"{times.labels[seen]} is {k:.2f}, so that one more is needed; raise 'most_refits' of the study file (no more than "
        f"{last - settings.after + 1} are ever needed). The fits made are kept and are not made again"
    )


def _summary(
    table: pd.DataFrame,
    errors: list[float],
    current: _Since,
    fits: list[dict[str, Any]],
    warnings: list[str],
    times: Units,
) -> dict[str, Any]:
    elpd, k = table["elpd"].to_numpy(), table["pareto_k"].to_numpy()
    failed = [f for f in fits if not f.get("passed", True)]
    if not np.isfinite(elpd).all():
        warnings.append(f"{int((~np.isfinite(elpd)).sum())} values of {times.name} have no finite score.")
    unreliable = ""
    if failed:
        which = ", ".join(f"{f['to']} ({', '.join(f['failed'])})" for f in failed)
        unreliable = f"failed checks of the fit to the rows up to {times.name} {which}"
        warnings.append(f"{len(failed)} of {len(fits)} fits to earlier rows failed their checks: {times.name} {which}.")
    exact = int((table["estimator"] == EXACT).sum())
    before = table["pareto_k_before"].to_numpy()
    return {
        "estimator": f"{EXACT} for {exact} of {len(table)} values of {times.name}, PSIS from the last fit for the others",
        "estimators": {EXACT: exact, PSIS: len(table) - exact},
        "elpd": float(elpd.sum()),
        "se": float(np.sqrt(len(elpd) * np.var(elpd, ddof=1))) if len(elpd) > 1 else float("nan"),
        "mcse": float(np.sqrt(np.square(errors).sum())),
        "n_units": len(table),
        "draws": current.draws.size,
        "k_threshold": current.threshold,
        "k_max": float(k.max()),
        "k_max_before_refits": float(np.nanmax([*k, *before])),
        "k_counts": psis.k_counts(k, current.draws.size),
        "r_eff": float(table["r_eff"].mean()),
        "refits": len(fits) - 1,
        "fits": fits,
        "given": "priors that are scaled to data are those of all rows, and predictors are known at all times",
        **({"unreliable": unreliable} if unreliable else {}),
        "warnings": warnings,
    }


@dataclass(frozen=True)
class _Weights:
    """Smoothed log weights of the draws, shape (S,), which sum to 1; their Pareto k and relative efficiency."""

    log: Array
    k: float
    r_eff: float


@dataclass(frozen=True)
class Split:
    """Which effects are integrated out, decided from all rows.

    Parameters
    ----------
    key
        The term whose levels are the units; empty where nothing is integrated out.
    conditioned
        Groupings whose effects are given.
    reason
        Why nothing is integrated out.
    """

    key: str
    conditioned: tuple[str, ...]
    reason: str = ""

    @classmethod
    def of(cls, design: Design) -> Split:
        """Return the split that takes most effects out."""
        if not design.group_terms:
            return cls("", (), "the model has no group effects")
        if design.nominal:
            return cls("", (), f"effects on the categories of the family {design.family} are not integrated out")
        found: list[tuple[int, Split]] = []
        for term in {t.group: t for t in design.group_terms if t.exchangeable}.values():
            groupings = [g for g in local.groupings(design, units.of_term(term)) if g.terms[0].exchangeable]
            whole = {g.group for g in groupings if g.local == len(g.unit_of_level)}
            taken = sum(g.local * len(g.parameters) for g in groupings if g.group in whole)
            found.append((taken, cls(term.key, tuple(g.group for g in groupings if g.group not in whole))))
        if not found:
            return cls("", (), next(t.words for t in design.group_terms if not t.exchangeable))
        return max(found, key=lambda pair: pair[0])[1]


def at_first(design: Design, draws: Draws, times: Units, seen: int) -> tuple[Design, Draws]:
    """Return the design of the rows at the first times, and the draws of the effects of the levels that they have.

    Levels of a structured term are all kept: they are not independent, and their effects are never integrated out.
    """
    cut, kept = aggregate.with_levels_of(aggregate.of_rows(design, np.flatnonzero(times.index < seen)))
    effects = {**draws.effects, **{key: draws.effects[key][:, levels] for key, levels in kept.items()}}
    return cut, replace(draws, effects=effects)


@dataclass
class _Since:
    """What the draws of one fit say of all later times."""

    design: Design
    times: Units
    split: Split
    seen: int
    all_draws: Draws
    draws: Draws
    threshold: float
    likelihood: str = ""
    warnings: list[str] = field(default_factory=list)
    values: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls, design: Design, times: Units, split: Split, seen: int, draws: Draws, settings: Settings, last: int
    ) -> _Since:
        """Take a fit to the first `seen` times; of its draws, as many as the integral is computed at."""
        threshold = min(settings.pareto_k, psis.k_threshold(draws.size))
        made = cls(design, times, split, seen, draws, draws, threshold)
        if split.key:
            whole, of_whole = at_first(design, draws, times, times.count)
            one = _integral(whole, of_whole, split)
            if np.isfinite(draws.effects[split.key]).all():
                cost = one.seconds(one.enough(of_whole)) * (last + 1 - settings.after)
                if cost > CHEAP:
                    made.split = Split("", (), f"integrating the group effects out would take about {cost:.0f} s")
                    return made
            made.draws = one.enough(draws)
            made.threshold = min(settings.pareto_k, psis.k_threshold(made.draws.size))
        return made

    def log_density(self, seen: int) -> Array:
        """Return log p(y at the first `seen` times | theta), less a constant of this fit where effects are given, shape (S,)."""
        if seen not in self.values:
            self.values |= {seen: self._integrated(seen)} if self.split.key else self._given()
        return self.values[seen]

    def _integrated(self, seen: int) -> Array:
        cut, draws = at_first(self.design, self.draws, self.times, seen)
        one = _integral(cut, draws, self.split)
        total = np.zeros(draws.size)
        for block in one.blocks(draws):
            total += block.log_density.sum(axis=1)
        self.likelihood = one.words
        self.warnings += one.warnings()
        return total

    def _given(self) -> dict[int, Array]:
        """Return the sum of the log densities of the rows at later times, given all effects, for every number of times."""
        later = np.flatnonzero(self.times.index >= self.seen)
        cut, when = aggregate.of_rows(self.design, later), self.times.index[later]
        by_time = np.zeros((self.draws.size, self.times.count))
        for rows, values in likelihood.conditional(cut, self.draws):
            np.add.at(by_time.T, when[rows], np.broadcast_to(values, (self.draws.size, len(when[rows]))).T)
        total = np.cumsum(by_time, axis=1)
        has_effects = bool(self.design.group_terms)
        reason = f"; {self.split.reason}" if has_effects else ""
        self.likelihood = f"given the group effects{reason}" if has_effects else GIVEN_COEFFICIENTS
        return {self.seen: np.zeros(self.draws.size)} | {
            n: total[:, n - 1] for n in range(self.seen + 1, self.times.count + 1)
        }

    def gained(self, seen: int, end: int) -> Array:
        """Return log p(y from time `seen` to `end` | y before, theta), shape (S,); minus infinity where y before cannot be."""
        before, after = self.log_density(seen), self.log_density(end)
        possible = np.isfinite(before)
        return np.where(possible, after - np.where(possible, before, 0.0), -np.inf)

    def weights(self, seen: int) -> _Weights:
        """Return the weights that turn the draws of this fit into those of one to the first `seen` times."""
        size = self.draws.size
        if seen == self.seen:
            return _Weights(np.full(size, -np.log(size)), 0.0, 1.0)
        ratio = self.gained(self.seen, seen)
        ratio = np.maximum(ratio, ratio.max() - NO_WEIGHT)  # draws that rule out what was seen
        scaled = np.exp(ratio - ratio.max())
        constant = np.ptp(scaled) == 0
        ess = size if constant else mcmc.ess(scaled.reshape(self.draws.chains, -1), "mean")
        r_eff = min(ess / size, 1.0) if np.isfinite(ess) else 1.0
        log_weights, k = mcmc.pareto_smooth(-ratio, r_eff)
        return _Weights(log_weights, k, r_eff)


def _integral(design: Design, draws: Draws, split: Split) -> integration.Integral:
    term: Term = next(t for t in design.group_terms if t.key == split.key)
    return integration.integral(design, draws, units.of_term(term), conditioned=split.conditioned)


def _row(
    current: _Since, times: Units, seen: int, settings: Settings, found: _Weights, before: _Weights | None
) -> dict[str, Any]:
    """Return the values of what follows the first `seen` times, with the influence of each draw on elpd, shape (S,)."""
    end = seen + settings.steps
    log_density = current.gained(seen, end)
    elpd = float(logsumexp(found.log + log_density))
    influence = np.exp(found.log + log_density - elpd) - np.exp(found.log)
    first, final = times.labels[seen], times.labels[end - 1]
    return {
        "level": first if settings.steps == 1 else f"{first} to {final}",
        "rows": int(times.sizes[seen:end].sum()),
        "elpd": elpd,
        "pareto_k": found.k,
        "refit": seen == current.seen and before is not None,
        "estimator": EXACT if seen == current.seen else PSIS,
        "fit_to": times.labels[current.seen - 1],
        "pareto_k_before": np.nan if before is None else before.k,
        "r_eff": found.r_eff,
        "mcse": psis.mcse_of_total(influence, current.draws.chains),
        "influence": influence,
    }
