"""The prior of every parameter of a design: the study's where it gives one, a weakly informative default otherwise.

Defaults, with s_y the sd of the response and s_x that of a predictor (ddof 1):

=====================  ==============================================================================
Intercept              normal(mean(y), 2.5 s_y), at the mean of the predictors
b                      normal(0, 2.5 s_y / s_x); 2.5 s_y for a factor contrast; for an interaction s_x
                       is the product of its factors' sds, so that no predictor's zero matters
sigma                  exponential(1 / s_y)
sd(group: Intercept)   exponential(1 / s_y)
sd(group: x)           exponential(s_x / s_y)
cor(group)             lkj(2)
=====================  ==============================================================================

With a link other than the identity, s_y is 1 and mean(y) the family's own location on the scale of the linear predictor.
A parameter with a linear predictor of its own has, on that predictor's scale (log for sigma), with m and s its family's
location and spread (the log of s_y and 1 for sigma):

=====================  ==============================================================================
sigma_Intercept        normal(m, s), at the mean of the predictors
b(sigma_x)             normal(0, s / s_x)
sd(group: sigma_x)     exponential(s_x / s)
=====================  ==============================================================================

The scaling of coefficients follows rstanarm (Goodrich, Gabry, Ali & Brilleman, "Prior distributions for rstanarm models").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multilevel import families, priors
from multilevel.design import INTERCEPT, Design, Predictor, Term
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


def cor_name(term: Term, first: str) -> str:
    """Return what the correlations of a term are called together: ``cor(county)``, ``cor(county: sigma)``."""
    owner = term.parameters[0]
    return f"cor({term.label})" if owner == first else f"cor({term.label}: {owner})"


def cor_names(term: Term) -> list[str]:
    """Return ``cor(county: Intercept, floor)`` for every pair of effects, row by row of the lower triangle."""
    pairs = [(term.effects[j], term.effects[i]) for i in range(len(term.effects)) for j in range(i)]
    return [f"cor({term.label}: {first}, {second})" for first, second in pairs]


def coefficient_name(name: str) -> str:
    """Return ``b(floor)``, or ``Intercept`` or ``sigma_Intercept``."""
    return name if name == INTERCEPT or name.endswith(f"_{INTERCEPT}") else f"b({name})"


def targets(design: Design) -> list[str]:
    """Return every name that a prior of this design may be given to: parameters, terms, groups, classes."""
    found: list[str] = []
    for predictor in design.predictors:
        for name, term in zip(predictor.coefficients, predictor.terms_of, strict=True):
            found += _coefficient_candidates(predictor, name, term)
    for group_term in design.group_terms:
        for effect, owner in zip(group_term.effects, group_term.parameters, strict=True):
            found += _sd_candidates(group_term, effect, owner == design.parameters[0])
        if group_term.correlated:
            found += _cor_candidates(group_term, design.parameters[0])
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
    y = design.y - design.offset if design.link == "identity" else design.y
    location, s_y = module.location_and_scale(y, design.terms, design.link)
    first = design.parameters[0]
    # Where a predictor stands: the intercept's location and width, and the spread that slopes and sds are measured in.
    scale_of = {first: (location, 2.5 * s_y, 2.5 * s_y, s_y)}
    for predictor in design.predictors[1:]:
        middle, spread = module.location_of(predictor.parameter, s_y)
        scale_of[predictor.parameter] = (middle, spread, spread, spread)
    out: list[Resolved] = []
    for predictor in design.predictors:
        middle, width, slope, _ = scale_of[predictor.parameter]
        for name, term, scale in zip(predictor.coefficients, predictor.terms_of, predictor.scales, strict=True):
            if name == predictor.intercept:
                default = Prior("normal", (middle, width))
                note = "at the mean of the predictors" if predictor.slopes else ""
            else:
                default, note = Prior("normal", (0.0, slope / scale)), ""
            candidates = _coefficient_candidates(predictor, name, term)
            out.append(_one(coefficient_name(name), candidates, default, given, note))
    for group_term in design.group_terms:
        for effect, owner, scale in zip(group_term.effects, group_term.parameters, group_term.scales, strict=True):
            default = Prior("exponential", (float(scale) / scale_of[owner][3],))
            out.append(
                _one(sd_name(group_term, effect), _sd_candidates(group_term, effect, owner == first), default, given)
            )
        if group_term.correlated:
            candidates = _cor_candidates(group_term, first)
            out.append(_one(cor_name(group_term, first), candidates, Prior("lkj", (2.0,)), given))
    defaults = module.default_priors(s_y)
    out += [_one(name, [name], Prior(*defaults[name]), given) for name in design.scalars]
    return out


def _one(parameter: str, candidates: list[str], default: Prior, given: Mapping[str, str], note: str = "") -> Resolved:
    chosen = priors.choose(candidates, given)
    if chosen is None:
        return Resolved(parameter, default, "default", note)
    prior = priors.parse(chosen[1])
    priors.check_support(prior, parameter)
    return Resolved(parameter, prior, f"study: {chosen[0]}", note)


def _coefficient_candidates(predictor: Predictor, name: str, term: str) -> list[str]:
    """Return the names that address a coefficient; the class ``b`` is that of the first parameter alone."""
    if name == predictor.intercept:
        return [name]
    return list(dict.fromkeys([f"b({name})", f"b({term})", *([] if predictor.prefix else ["b"])]))


def _sd_candidates(term: Term, effect: str, of_first: bool) -> list[str]:
    """Return the names that address an sd; the classes ``sd(group)`` and ``sd`` are those of the first parameter alone."""
    labels = list(dict.fromkeys([term.label, term.group]))
    shared = [*(f"sd({label})" for label in labels), "sd"] if of_first else []
    return [*(f"sd({label}: {effect})" for label in labels), *shared]


def _cor_candidates(term: Term, first: str) -> list[str]:
    labels = list(dict.fromkeys([term.label, term.group]))
    return list(dict.fromkeys([cor_name(term, first), *(f"cor({label})" for label in labels), "cor"]))
