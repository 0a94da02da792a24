"""The prior of every parameter of a design: the study's where it gives one, a weakly informative default otherwise.

Defaults, with s_y the sd of the response and s_x that of a predictor (ddof 1):

=====================  ==============================================================================
Intercept              normal(mean(y), 2.5 s_y), at the mean of the predictors
b                      normal(0, 2.5 s_y / s_x); 2.5 s_y for a factor contrast; for an interaction s_x
                       is the product of its factors' sds, so that no predictor's zero matters
sigma                  exponential(1 / s_y); of lognormal and student_t too
nu                     gamma(2, 0.1) above 1 (Juárez & Steel 2010)
shape, phi             inverse_gamma(0.4, 0.3), brms' of a negative binomial's shape; times mean(y) for
                       inverse_gaussian, whose shape has a unit; lognormal(0, 1) for weibull
zi, hu, zoi, coi       beta(1, 1) (brms)
sd(group: Intercept)   exponential(1 / s_y)
sd(group: x)           exponential(s_x / s_y)
cor(group)             lkj(2)
=====================  ==============================================================================

With a link other than the identity, mean(y) and s_y are the family's own location and spread on the scale of the linear
predictor: under a log link the log of mean(y), less that of the mean factor exp(offset), and 1; 0 and 1 for probabilities.
For lognormal they are those of log y. sigma follows the sd of the response itself.

A parameter with a linear predictor of its own has, on that predictor's scale, with m and s its family's location and spread
(for log sigma the log of s_y and 1; for log(nu - 1) 2 and 1.5; for the log of a shape or precision 1 and 2, 0 and 1 for
weibull; for the logit of zi, hu, zoi and coi 0 and 1.5):

=====================  ==============================================================================
sigma_Intercept        normal(m, s), at the mean of the predictors
b(sigma_x)             normal(0, s / s_x)
sd(group: sigma_x)     exponential(s_x / s)
=====================  ==============================================================================

Thresholds of an ordinal family have the prior of an intercept each, at the mean of the predictors; those of a cumulative
model are restricted to increase, and where all have one prior its density is divided by the probability of that order.
``delta``, the distance of equidistant thresholds, is half_normal(2.5 s_y) where they increase, else normal(0, 2.5 s_y). Each
linear predictor of unordered categories has the priors of the first table.

The scaling of coefficients follows rstanarm (Goodrich, Gabry, Ali & Brilleman, "Prior distributions for rstanarm models").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel import families, priors
from multilevel.design import INTERCEPT, Design, Predictor, Term, Thresholds
from multilevel.errors import FormulaError
from multilevel.links import PROBABILITY
from multilevel.priors import Prior


@dataclass(frozen=True)
class Resolved:
    """The prior of one parameter.

    Parameters
    ----------
    parameter
        Name as people write it: ``sd(county: floor)``.
    prior
        Its prior.
    source
        ``default``, or the entry of the study that it comes from.
    note
        What a reader must know to use it.
    """

    parameter: str
    prior: Prior
    source: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {"parameter": self.parameter, "prior": str(self.prior), "source": self.source, "note": self.note}


def sd_name(term: Term, effect: str) -> str:
    """Return ``sd(county: floor)``."""
    return f"sd({term.label}: {effect})"


def cor_name(term: Term, unprefixed: str) -> str:
    """Return what the correlations of a term are called together: ``cor(county)``, ``cor(county: sigma)``."""
    owner = term.parameters[0]
    return f"cor({term.label})" if owner == unprefixed else f"cor({term.label}: {owner})"


def cor_names(term: Term) -> list[str]:
    """Return ``cor(county: Intercept, floor)`` for every pair of effects, row by row of the lower triangle."""
    pairs = [(term.effects[j], term.effects[i]) for i in range(len(term.effects)) for j in range(i)]
    return [f"cor({term.label}: {first}, {second})" for first, second in pairs]


def coefficient_name(name: str) -> str:
    """Return ``b(floor)``, or ``Intercept``, ``Intercept[1]`` or ``sigma_Intercept``."""
    return name if re.fullmatch(rf"(.*_)?{INTERCEPT}|{INTERCEPT}\[\d+\]", name) else f"b({name})"


def targets(design: Design) -> list[str]:
    """Return every name that a prior of this design may be given to: parameters, terms, groups, classes."""
    found: list[str] = []
    for thresholds in [design.thresholds] if design.thresholds else []:
        found += [name for candidates in _threshold_candidates(thresholds).values() for name in candidates]
        found += [name for candidates in _specific_candidates(thresholds) for name in candidates]
    for predictor in design.predictors:
        for name, term in zip(predictor.coefficients, predictor.terms_of, strict=True):
            found += _coefficient_candidates(predictor, name, term, predictor.parameter in design.primary)
    for group_term in design.group_terms:
        for effect, owner in zip(group_term.effects, group_term.parameters, strict=True):
            found += _sd_candidates(group_term, effect, owner in design.primary)
        if group_term.correlated:
            found += _cor_candidates(group_term, design.unprefixed)
    return list(dict.fromkeys([*found, *design.scalars]))


def resolve(design: Design, given: Mapping[str, str]) -> list[Resolved]:
    """Return the prior of every parameter, in the order of the parameters.

    Parameters
    ----------
    design
        The design.
    given
        The study's priors for this model, by name.

    Raises
    ------
    FormulaError
        When a given prior does not fit its parameter.
    """
    module = families.get(design.family)
    of_response = design.link == "identity" and not getattr(module, "OF_LOGARITHM", False)
    y = design.y - design.offset if of_response else design.y
    location, s_y = module.location_and_scale(y, design.terms, design.link)
    location -= 0.0 if of_response else _at_offset(design)
    unit = module.unit_of(y) if hasattr(module, "unit_of") else s_y
    # Where a predictor stands: the intercept's location and width, and the spread that slopes and sds are measured in.
    scale_of = dict.fromkeys(design.primary, (location, 2.5 * s_y, 2.5 * s_y, s_y))
    for predictor in design.predictors:
        if predictor.parameter not in scale_of:
            middle, spread = module.location_of(predictor.parameter, unit)
            scale_of[predictor.parameter] = (middle, spread, spread, spread)
    defaults = {name: Prior(*default) for name, default in module.default_priors(unit).items()}
    out: list[Resolved] = []
    if design.thresholds:
        noted = bool(design.predictors[0].slopes)
        out += _of_thresholds(design.thresholds, Prior("normal", (location, 2.5 * s_y)), defaults, given, noted)
    for predictor in design.predictors:
        middle, width, slope, _ = scale_of[predictor.parameter]
        for name, term, scale in zip(predictor.coefficients, predictor.terms_of, predictor.scales, strict=True):
            if name == predictor.intercept:
                default = Prior("normal", (middle, width))
                note = "at the mean of the predictors" if predictor.slopes else ""
            else:
                default, note = Prior("normal", (0.0, slope / scale)), ""
            candidates = _coefficient_candidates(predictor, name, term, predictor.parameter in design.primary)
            out.append(_one(coefficient_name(name), candidates, default, given, note))
    if design.thresholds:
        slope = scale_of[design.parameters[0]][2]
        out += [
            _one(coefficient_name(name), candidates, Prior("normal", (0.0, slope / scale)), given)
            for name, candidates, scale in zip(
                design.thresholds.coefficients,
                _specific_candidates(design.thresholds),
                design.thresholds.scales.repeat(len(design.thresholds.names)),
                strict=True,
            )
        ]
    for group_term in design.group_terms:
        for effect, owner, scale in zip(group_term.effects, group_term.parameters, group_term.scales, strict=True):
            default = Prior("exponential", (float(scale) / scale_of[owner][3],))
            candidates = _sd_candidates(group_term, effect, owner in design.primary)
            out.append(_one(sd_name(group_term, effect), candidates, default, given))
        if group_term.correlated:
            candidates = _cor_candidates(group_term, design.unprefixed)
            out.append(_one(cor_name(group_term, design.unprefixed), candidates, Prior("lkj", (2.0,)), given))
    for name in design.scalars:
        note = f"above {priors.LOWEST[name]:g}" if name in priors.LOWEST else ""
        out.append(_one(name, [name], defaults[name], given, note))
    return out


def _at_offset(design: Design) -> float:
    """Return what the offset adds to the linear predictor at the mean response."""
    if design.link in PROBABILITY or not design.offset.any():
        return 0.0
    largest = float(design.offset.max())
    if design.link == "log":  # of exp(eta + offset) the mean is exp(eta) times the mean of exp(offset)
        return largest + float(np.log(np.mean(np.exp(design.offset - largest))))
    return float(design.offset.mean())


def _of_thresholds(
    thresholds: Thresholds, default: Prior, defaults: Mapping[str, Prior], given: Mapping[str, str], noted: bool
) -> list[Resolved]:
    """Return the priors of the thresholds; `noted` says whether there are predictors at whose means they stand.

    Raises
    ------
    FormulaError
        When a prior does not fit thresholds that increase.
    """
    note = "at the mean of the predictors" if noted else ""
    if thresholds.ordered and not thresholds.equidistant:
        note = ", ".join(filter(None, [note, "restricted to increase"]))
    out = [
        _one(name, candidates, defaults[name] if name == "delta" else default, given, "" if name == "delta" else note)
        for name, candidates in _threshold_candidates(thresholds).items()
    ]
    if thresholds.ordered:
        for entry in out:
            if entry.parameter == "delta" and (
                entry.prior.name not in priors.POSITIVE
                or (entry.prior.name == "uniform" and entry.prior.arguments[0] < 0)
            ):
                raise FormulaError(
                    f"{entry.prior} reaches below 0, and delta, the distance of thresholds that increase, does not"
                )
            if entry.prior.name == "uniform" and entry.parameter != "delta" and not thresholds.equidistant:
                raise FormulaError(
                    f"uniform cannot be the prior of thresholds that must increase ({entry.parameter}): use normal"
                )
    return out


def _threshold_candidates(thresholds: Thresholds) -> dict[str, list[str]]:
    """Return the names that address each parameter of the thresholds; of equidistant ones, the first and their distance."""
    if thresholds.equidistant:
        return {thresholds.names[0]: [thresholds.names[0], INTERCEPT], "delta": ["delta"]}
    return {name: [name, INTERCEPT] for name in thresholds.names}


def _specific_candidates(thresholds: Thresholds) -> list[list[str]]:
    """Return the names that address each category-specific effect: ``b(treat[1])``, ``b(treat)``, ``b``."""
    return [
        list(dict.fromkeys([f"b({name}[{k}])", f"b({name})", f"b({term})", "b"]))
        for name, term in zip(thresholds.predictors, thresholds.terms_of, strict=True)
        for k in range(1, len(thresholds.names) + 1)
    ]


def _one(parameter: str, candidates: list[str], default: Prior, given: Mapping[str, str], note: str = "") -> Resolved:
    chosen = priors.choose(candidates, given)
    if chosen is None:
        return Resolved(parameter, default, "default", note)
    prior = priors.parse(chosen[1])
    priors.check_support(prior, parameter)
    return Resolved(parameter, prior, f"study: {chosen[0]}", note)


def _coefficient_candidates(predictor: Predictor, name: str, term: str, primary: bool) -> list[str]:
    """Return the names that address a coefficient; classes (``b``, ``Intercept``) are those of the response's formula alone."""
    if name == predictor.intercept:
        return list(dict.fromkeys([name, *([INTERCEPT] if primary else [])]))
    return list(dict.fromkeys([f"b({name})", f"b({term})", *(["b"] if primary else [])]))


def _sd_candidates(term: Term, effect: str, primary: bool) -> list[str]:
    """Return the names that address an sd; the classes ``sd(group)`` and ``sd`` are those of the response's formula alone."""
    labels = list(dict.fromkeys([term.label, term.group]))
    shared = [*(f"sd({label})" for label in labels), "sd"] if primary else []
    return [*(f"sd({label}: {effect})" for label in labels), *shared]


def _cor_candidates(term: Term, unprefixed: str) -> list[str]:
    labels = list(dict.fromkeys([term.label, term.group]))
    return list(dict.fromkeys([cor_name(term, unprefixed), *(f"cor({label})" for label in labels), "cor"]))
