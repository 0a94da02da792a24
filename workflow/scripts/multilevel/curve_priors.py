"""Where a curve starts, and the default priors of its parameters.

Of a ready-made curve whose parameters stand alone (``logistic(age, asymptote, midpoint, scale)``), under the identity link,
both come from the data. A straight line through the response, transformed as the curve's own algebra has it, gives rough
values; least squares over all rows, groups ignored, refines them where it stays in the parameters' range. With v the value
found, s_y the sd of the response and s_x that of the curve's predictor (ddof 1):

==========================================  ==============================  =======================================
what the parameter is (`curves.READY_MADE`)  its intercept                   s, what slopes and sds are measured in
==========================================  ==============================  =======================================
level: asymptote, maximum                   normal(v, 2.5 s_y)              s_y
factor: initial, factor                     normal(v, 2.5 abs(v))           abs(v)
place: midpoint                             normal(v, 2.5 s_x)              s_x
distance: scale, half                       lognormal(log v, 1)             v
shape                                       lognormal(log v, 1)             v
rate                                        normal(v, 2.5 / s_x)            1 / s_x
exponent                                    normal(v, 2.5)                  1
==========================================  ==============================  =======================================

Of any other curve nothing is known: its intercepts need priors, and s is the sd of the prior given. In both cases a slope of
a predictor with sd s_z has normal(0, 2.5 s / s_z) and the sd of an effect of it exponential(s_z / s). A parameter without an
intercept needs priors for its coefficients.

A curve starts, before the sampler moves, where the study says (``start``); else at the medians of the priors of its intercepts,
at the value found where a prior is improper; and at slopes and effects of 0. It must be finite there.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from multilevel import curves, distributions, families, priors
from multilevel.design import Design, Predictor
from multilevel.errors import did_you_mean
from multilevel.priors import Prior

Array = NDArray[np.float64]

POSITIVE_ROLES = frozenset({"distance", "shape"})
"""Roles of parameters that are above 0."""

NEARLY = 0.98
"""Share of an asymptote that responses are taken to have reached at most, where their distance from it is transformed."""


HINT = "give them under priors, such as asymptote_Intercept: normal(200, 50), or write a ready-made curve"
"""What to do where priors are lacking."""


@dataclass(frozen=True)
class Found:
    """What the data say of one parameter of a ready-made curve.

    Parameters
    ----------
    value
        Where it is.
    prior
        The default prior of its intercept.
    spread
        What slopes and sds are measured in.
    """

    value: float
    prior: Prior
    spread: float


def found(design: Design) -> dict[str, Found]:
    """Return what the data say of each parameter of a ready-made curve; nothing of any other curve.

    Nothing either where the curve is not one call of plain parameters, the link is not the identity, or the response does not
    look like the curve: falling, for one that grows.
    """
    assert design.curve is not None
    call = curves.ready_made(design.curve.text)
    if call is None or design.link != "identity":
        return {}
    name, axis, parameters = call
    y = np.log(design.y) if getattr(families.get(design.family), "OF_LOGARITHM", False) else design.y
    x = np.broadcast_to(curves.evaluate(ast.unparse(axis), design.curve.columns), y.shape)
    roles = curves.READY_MADE[name].roles
    with np.errstate(all="ignore"):  # what a transformation makes no number of is left out
        rough = _rough(name, np.asarray(x, dtype=np.float64), y)
    values = None if rough is None else _refined(name, x, y, rough, roles)
    if values is None or not np.ptp(x):
        return {}
    s_x, s_y = float(np.std(x, ddof=1)), float(np.std(y, ddof=1))
    return {p: _of_role(role, value, s_x, s_y) for p, role, value in zip(parameters, roles, values, strict=True)}


def _of_role(role: str, value: float, s_x: float, s_y: float) -> Found:
    """Return the default prior of a parameter, as the table above has it."""
    if role in POSITIVE_ROLES:
        return Found(value, Prior("lognormal", (float(np.log(value)), 1.0)), value)
    spread = {"level": s_y, "factor": max(abs(value), 1e-12), "place": s_x, "rate": 1.0 / s_x, "exponent": 1.0}[role]
    return Found(value, Prior("normal", (value, 2.5 * spread)), spread)


def _rough(name: str, x: Array, y: Array) -> list[float] | None:
    """Return rough values of a ready-made curve's parameters from a straight line, or None where there is none."""
    top = float(y.max()) * 1.05
    share = np.clip(y / top, 1.0 - NEARLY, NEARLY)
    match name:
        case "logistic" | "gompertz":
            line = _line(x, np.log(share / (1.0 - share)) if name == "logistic" else -np.log(-np.log(share)))
            if line is None or top <= 0 or line[1] <= 0:
                return None
            return [top, -line[0] / line[1], 1.0 / line[1]]
        case "weibull_growth":
            line = _line(np.log(x), np.log(-np.log1p(-share)))
            if line is None or top <= 0 or line[1] <= 0:
                return None
            return [top, float(np.exp(-line[0] / line[1])), line[1]]
        case "michaelis_menten":
            line = _line(x, x / y)  # Hanes (1932)
            if line is None or line[0] <= 0 or line[1] <= 0:
                return [top, float(np.median(x))] if top > 0 and np.median(x) > 0 else None
            return [1.0 / line[1], line[0] / line[1]]
    sign = np.sign(np.median(y))
    line = _line(np.log(x) if name == "power" else x, np.log(y * sign))
    return None if line is None else [float(sign * np.exp(line[0])), line[1]]


def _line(x: Array, y: Array) -> tuple[float, float] | None:
    """Return intercept and slope of least squares over the rows where both are finite, or None."""
    kept = np.isfinite(x) & np.isfinite(y)
    if kept.sum() < 3 or not np.ptp(x[kept]):
        return None
    slope, intercept = np.polyfit(x[kept], y[kept], 1)
    return float(intercept), float(slope)


def _refined(name: str, x: Array, y: Array, rough: Sequence[float], roles: Sequence[str]) -> list[float] | None:
    """Return the values of least squares, or the rough ones where those leave the parameters' range; None where none is finite.

    Parameters above 0 are varied on the log scale, so that they stay there.
    """
    curve = curves.READY_MADE[name]
    text = f"{name}({', '.join(curve.arguments)})"
    logged = np.array([role in POSITIVE_ROLES for role in roles])
    scale = float(np.std(y)) or 1.0

    def values(z: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.where(logged, np.exp(np.where(logged, z, 0.0)), z)

    def residuals(z: Array) -> Array:
        given = dict(zip(curve.arguments, (x, *values(z)), strict=True))
        return np.nan_to_num(np.asarray((curves.evaluate(text, given) - y) / scale), nan=1e6, posinf=1e6, neginf=-1e6)

    start = np.asarray(rough, dtype=np.float64)
    if not np.isfinite(start).all() or (start[logged] <= 0).any():
        return None
    z = np.where(logged, np.log(np.where(logged, start, 1.0)), start)
    fit = optimize.least_squares(residuals, z, x_scale=np.maximum(np.abs(z), 1e-3), max_nfev=500)
    best = values(fit.x)
    good = np.isfinite(best).all() and fit.cost <= 0.5 * float(np.square(residuals(z)).sum())
    return [float(v) for v in (best if good else start)]


class Defaults:
    """Default priors of a nonlinear model: those of a set, with others for the parameters of the curve.

    Parameters
    ----------
    design
        The design.
    base
        The set's defaults (`presets`).
    given
        The study's priors by name.
    preset
        The set's name: only the workflow's own defaults know of curves, others have what they have for any coefficient.
    """

    def __init__(self, design: Design, base: Any, given: Mapping[str, str], preset: str) -> None:
        assert design.curve is not None
        self._base, self.own = base, not preset
        self.names = design.curve.parameters
        self.found = found(design) if self.own else {}
        self.spreads = {name: one.spread for name, one in self.found.items()}
        self.lacking: list[str] = []
        self.unknown: set[str] = set()
        for part in design.predictors:
            if self.own and part.parameter in self.names:
                self._measure(part, given)

    def _measure(self, part: Predictor, given: Mapping[str, str]) -> None:
        """Note how wide a parameter's slopes and sds are, and which of its coefficients lack a prior."""
        texts = {
            name: priors.choose(coefficient_candidates(part, i), given) for i, name in enumerate(part.coefficients)
        }
        needed = [part.intercept] if part.has_intercept else list(part.coefficients)
        if not (part.has_intercept and part.parameter in self.found):
            absent = [name if name == part.intercept else f"b({name})" for name in needed if texts[name] is None]
            self.lacking += absent
            self.unknown |= {part.parameter} if absent else set()
        if part.parameter in self.spreads:
            return
        sds = [distributions.sd(priors.parse(text[1])) for name in needed if (text := texts[name]) is not None]
        if sds and np.isfinite(max(sds)) and max(sds) > 0:
            self.spreads[part.parameter] = max(sds)

    def intercept(self, part: Predictor) -> Prior:
        """Return the default of a parameter of the curve, or of another one."""
        if part.parameter not in self.names:
            return _as_prior(self._base.intercept(part))
        if not self.own:
            return Prior("flat", ())
        one = self.found.get(part.parameter)
        return one.prior if one else Prior("flat", ())  # told of by `problem`

    def slope(self, part: Predictor, position: int) -> Prior:
        """Return normal(0, 2.5 s / s_z)."""
        if part.parameter not in self.names or not self.own:
            return _as_prior(self._base.slope(part, position))
        if part.parameter not in self.spreads:
            self._lacks(part.parameter, f"b({part.coefficients[position]})")
            return Prior("flat", ())
        return Prior("normal", (0.0, 2.5 * self.spreads[part.parameter] / float(part.scales[position])))

    def sd(self, owner: str, scale: float) -> Prior:
        """Return exponential(s_z / s)."""
        if owner not in self.names or not self.own:
            return _as_prior(self._base.sd(owner, scale))
        if owner not in self.spreads:
            self._lacks(owner, f"the sds of effects on '{owner}'")
            return Prior("half_flat", ())
        return Prior("exponential", (scale / self.spreads[owner],))

    def _lacks(self, owner: str, name: str) -> None:
        """Note a prior that is lacking; not where a prior of the parameter itself is, from which this one would follow."""
        self.lacking += [name] if owner not in self.unknown else []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def problem(self) -> str:
        """Return which priors are lacking, as a sentence; nothing where none is. Known once all defaults were asked for."""
        if not self.lacking:
            return ""
        shown = list(dict.fromkeys(self.lacking))
        listed = ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
        needs, where = ("priors", "they are") if len(shown) > 1 else ("a prior", "it is")
        return f"the curve needs {needs} for {listed}: the data do not say where {where}"


def _as_prior(value: Any) -> Prior:
    assert isinstance(value, Prior)  # sets of defaults are found by name, so that nothing else says it
    return value


def coefficient_candidates(part: Predictor, position: int) -> list[str]:
    """Return the names that address a coefficient of a curve's parameter: itself, its term, all of the parameter's.

    ``asymptote_Intercept``, ``b(asymptote_Intercept)`` or ``b(asymptote)``; ``b(asymptote_x)`` or ``b(asymptote)``.
    """
    name, term = part.coefficients[position], part.terms_of[position]
    own = [name, f"b({name})"] if name == part.intercept else [f"b({name})", f"b({term})"]
    return list(dict.fromkeys([*own, f"b({part.parameter})"]))


def starts(design: Design, by_name: Mapping[str, Prior]) -> dict[str, list[float]]:
    """Return, by parameter of the curve, where its coefficients start, in their order; an intercept at the predictors' means.

    Parameters
    ----------
    design
        A design with a curve.
    by_name
        The prior of every parameter, by name.
    """
    assert design.curve is not None
    known = found(design)
    out: dict[str, list[float]] = {}
    for part in design.predictors:
        if part.parameter not in design.primary:
            continue
        values = []
        for name in part.coefficients:
            is_intercept = name == part.intercept
            prior = by_name[name if is_intercept else f"b({name})"]
            if is_intercept and part.parameter in design.curve.start:
                values.append(design.curve.start[part.parameter])
                continue
            fallback = known[part.parameter].value if is_intercept and part.parameter in known else 0.0
            beside = part.has_intercept and not is_intercept and prior.name in priors.REAL
            values.append(0.0 if beside else _middle(prior, fallback))
        out[part.parameter] = values
    return out


SMALL = 0.1
"""Share of a parameter's starting value that its effects' sds start at, at most: vague priors would have it in the thousands."""


def starts_of_sds(
    design: Design, owners: Sequence[str], sds: Sequence[Prior | None], at: Mapping[str, list[float]]
) -> list[float]:
    """Return where the sds of effects on a curve's parameters start.

    Parameters
    ----------
    design
        A design with a curve.
    owners
        The parameter that each effect is on, of the curve or not.
    sds
        The prior of each sd; None under a prior of the covariance matrix.
    at
        Where the coefficients of the curve's parameters start (`starts`).
    """
    parts = {part.parameter: part for part in design.predictors}
    out = []
    for owner, prior in zip(owners, sds, strict=True):
        middle = distributions.median_of_sd(prior) if prior is not None else 1.0
        if owner in at:
            part = parts[owner]
            first = (
                at[owner][part.coefficients.index(part.intercept)] if part.has_intercept else max(at[owner], key=abs)
            )
            small = min(middle, SMALL * abs(first)) if first else middle
            allowed = prior is None or bool(prior.on) or distributions.allows(prior, small)
            middle = small if allowed else middle  # a uniform prior may end above it
        out.append(middle)
    return out


def _middle(prior: Prior, fallback: float) -> float:
    """Return the median of a prior; of an improper one the value that is known, which must be above 0 where the prior is."""
    if prior.proper:
        return distributions.median(prior)
    return fallback if prior.name == "flat" or fallback > 0 else 1.0


def problem_of_start(design: Design, by_name: Mapping[str, Prior]) -> tuple[str, str, str]:
    """Return what keeps the sampler from starting: key of the model, sentence and hint; empty texts where nothing does."""
    assert design.curve is not None
    parts = {part.parameter: part for part in design.predictors}
    for name, value in design.curve.start.items():
        if name not in design.primary:
            hint = did_you_mean(name, design.primary)
            return f"start.{name}", f"the curve has no parameter '{name}'", hint
        if not parts[name].has_intercept:
            return f"start.{name}", f"'{name}' has no intercept to start at {value:g}", "leave it out"
        prior = by_name[parts[name].intercept]
        if not distributions.allows(prior, value):
            return f"start.{name}", f"the prior {prior} of '{name}' does not allow the start {value:g}", ""
    sentence = _not_finite(design, starts(design, by_name))
    hint = (
        "give priors whose medians are near the values that you expect, or say where to start: start: {asymptote: 200}"
    )
    return ("priors", sentence, hint) if sentence else ("", "", "")


def _not_finite(design: Design, at: Mapping[str, list[float]]) -> str:
    """Return where the curve is not finite when the sampler starts, as a sentence; nothing where it is finite."""
    assert design.curve is not None
    values: dict[str, Array] = {}
    told = []
    for part in design.predictors:
        if part.parameter in design.primary:
            x = part.x.copy()
            if part.centred:
                x[:, part.slopes] -= part.means
            values[part.parameter] = x @ np.array(at[part.parameter]) + part.offset
            first, last = values[part.parameter].min(), values[part.parameter].max()
            told.append(f"{part.parameter} = {first:.4g}" + ("" if first == last else f" to {last:.4g}"))
    eta = np.broadcast_to(design.curve.at(values), design.y.shape)
    bad = np.flatnonzero(~np.isfinite(eta))
    if not bad.size:
        return ""
    row = ", ".join(f"{name} = {column[bad[0]]:.4g}" for name, column in design.curve.columns.items())
    where = f" (the first has {row})" if row else ""
    return f"the curve is not finite in {bad.size} of {len(design.y)} rows{where} where it starts, at {', '.join(told)}"
