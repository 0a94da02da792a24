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

The scaling of coefficients follows rstanarm (Goodrich, Gabry, Ali & Brilleman, "Prior distributions for rstanarm models").
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multilevel import families, priors
from multilevel.design import INTERCEPT, Design, Term
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


def cor_names(term: Term) -> list[str]:
    """Return ``cor(county: Intercept, floor)`` for every pair of effects, row by row of the lower triangle."""
    pairs = [(term.effects[j], term.effects[i]) for i in range(len(term.effects)) for j in range(i)]
    return [f"cor({term.label}: {first}, {second})" for first, second in pairs]


def coefficient_name(name: str) -> str:
    """Return ``b(floor)``, or ``Intercept``."""
    return INTERCEPT if name == INTERCEPT else f"b({name})"


def targets(design: Design, family: str) -> list[str]:
    """Return every name that a prior of this design may be given to: parameters, terms, groups, classes."""
    found: list[str] = []
    for name, term in zip(design.coefficients, design.terms_of, strict=True):
        found += _coefficient_candidates(name, term)
    for group_term in design.group_terms:
        for effect in group_term.effects:
            found += _sd_candidates(group_term, effect)
        if group_term.correlated:
            found += _cor_candidates(group_term)
    return list(dict.fromkeys([*found, *families.get(family).PARAMETERS[1:]]))


def resolve(design: Design, family: str, given: Mapping[str, str]) -> list[Resolved]:
    """Return the prior of every parameter, in the order of the parameters.

    Parameters
    ----------
    design
        The design.
    family
        Name of the response distribution.
    given
        The study's priors for this model, by name.

    Raises
    ------
    FormulaError
        When a given prior does not fit its parameter.
    """
    module = families.get(family)
    location, s_y = module.location_and_scale(design.y - design.offset)
    out: list[Resolved] = []
    for name, term, scale in zip(design.coefficients, design.terms_of, design.scales, strict=True):
        if name == INTERCEPT:
            default = Prior("normal", (location, 2.5 * s_y))
            note = "at the mean of the predictors" if len(design.coefficients) > 1 else ""
        else:
            default, note = Prior("normal", (0.0, 2.5 * s_y / scale)), ""
        out.append(_one(coefficient_name(name), _coefficient_candidates(name, term), default, given, note))
    for group_term in design.group_terms:
        for effect, scale in zip(group_term.effects, group_term.scales, strict=True):
            default = Prior("exponential", (float(scale) / s_y,))
            out.append(_one(sd_name(group_term, effect), _sd_candidates(group_term, effect), default, given))
        if group_term.correlated:
            out.append(_one(f"cor({group_term.label})", _cor_candidates(group_term), Prior("lkj", (2.0,)), given))
    for name, (kind, arguments) in module.default_priors(s_y).items():
        out.append(_one(name, [name], Prior(kind, arguments), given))
    return out


def _one(parameter: str, candidates: list[str], default: Prior, given: Mapping[str, str], note: str = "") -> Resolved:
    chosen = priors.choose(candidates, given)
    if chosen is None:
        return Resolved(parameter, default, "default", note)
    prior = priors.parse(chosen[1])
    priors.check_support(prior, parameter)
    return Resolved(parameter, prior, f"study: {chosen[0]}", note)


def _coefficient_candidates(name: str, term: str) -> list[str]:
    if name == INTERCEPT:
        return [INTERCEPT]
    return list(dict.fromkeys([f"b({name})", f"b({term})", "b"]))


def _sd_candidates(term: Term, effect: str) -> list[str]:
    labels = list(dict.fromkeys([term.label, term.group]))
    return [*(f"sd({label}: {effect})" for label in labels), *(f"sd({label})" for label in labels), "sd"]


def _cor_candidates(term: Term) -> list[str]:
    labels = list(dict.fromkeys([term.label, term.group]))
    return [*itertools.chain(f"cor({label})" for label in labels), "cor"]
