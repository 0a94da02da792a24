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
phi                    beta(2, 2) between -1 and 1 for ar1 residuals; for car1 beta(2 m, 2), m the median time between
                       rows of a subject, so that the correlation over that time has a mean near 1/2 in any unit
rho                    uniform over all that cs residuals can have
cor(occasion)          lkj(2), of unstructured residuals
phi(week)              beta(2, 2) between -1 and 1, of the levels of a group term with structure=ar1; the default prior of
                       sd(week) with structure=rw is of one step, its scale that of the whole walk over the levels
df(group)              gamma(2, 0.1) above 1, of student-t effects, as brms
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

The parameters of a curve have defaults of their own, or none: `curve_priors`.

The scaling of coefficients follows rstanarm (Goodrich, Gabry, Ali & Brilleman, "Prior distributions for rstanarm models").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from multilevel import curve_priors, presets, priors
from multilevel.design import INTERCEPT, Design, Predictor, Term, Thresholds
from multilevel.errors import FormulaError
from multilevel.presets import rstanarm
from multilevel.priors import Prior
from multilevel.residuals import Residuals


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
        ``default``, ``preset: brms``, or the entry of the study that it comes from.
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
    parts = [*([] if owner == unprefixed else [owner]), *([term.by] if term.by else [])]
    return f"cor({term.label}: {', '.join(parts)})" if parts else f"cor({term.label})"


def df_name(term: Term) -> str:
    """Return what the degrees of freedom of student-t effects are called: ``df(school)``."""
    return f"df({term.label}{f': {term.by}' if term.by else ''})"


def phi_name(term: Term) -> str:
    """Return what the autoregression of levels is called: ``phi(week)``."""
    return f"phi({term.label})"


def cov_name(term: Term, unprefixed: str) -> str:
    """Return what the covariance matrix of a term's effects is called: ``cov(county)``, ``cov(county: sigma)``."""
    return f"cov{cor_name(term, unprefixed).removeprefix('cor')}"


def cor_names(term: Term) -> list[str]:
    """Return ``cor(county: Intercept, floor)`` for every pair of effects, row by row of the lower triangle."""
    pairs = [(term.effects[j], term.effects[i]) for i in range(len(term.effects)) for j in range(i)]
    return [f"cor({term.label}: {first}, {second})" for first, second in pairs]


def coefficient_name(name: str) -> str:
    """Return ``b(floor)``, or ``Intercept``, ``Intercept[1]`` or ``sigma_Intercept``."""
    return name if re.fullmatch(rf"(.*_)?{INTERCEPT}|{INTERCEPT}\[\d+\]", name) else f"b({name})"


def targets(design: Design, *, squares: bool = True) -> list[str]:
    """Return every name that a prior of this design may be given to: parameters, terms, groups, classes.

    Without `squares`, those of variances, precisions and covariance matrices are left out.
    """
    found: list[str] = []
    for thresholds in [design.thresholds] if design.thresholds else []:
        found += [name for candidates in _threshold_candidates(thresholds).values() for name in candidates]
        found += [name for candidates in _specific_candidates(thresholds) for name in candidates]
    for predictor in design.predictors:
        for name, term in zip(predictor.coefficients, predictor.terms_of, strict=True):
            found += _coefficient_candidates(design, predictor, name, term)
    for group_term in design.group_terms:
        for effect, owner in zip(group_term.effects, group_term.parameters, strict=True):
            found += _sd_candidates(group_term, effect, owner in design.classed)
        if group_term.correlated:
            found += _cor_candidates(group_term, design.unprefixed)
        if group_term.dist == "student":
            found += _df_candidates(group_term)
        if group_term.autoregressive:
            found += _phi_candidates(group_term)
        found += _cov_candidates(group_term, design)
    found += [name for scalar in design.scalars for name in _scalar_candidates(scalar)]
    found += _residuals_candidates(design.residuals) if design.residuals else []
    others = [name for name in found if priors.class_of(name) in SQUARES]
    return list(dict.fromkeys([*(name for name in found if name not in others), *(others if squares else [])]))


def resolve(design: Design, given: Mapping[str, str], preset: str = "") -> list[Resolved]:
    """Return the prior of every parameter, in the order of the parameters.

    Parameters
    ----------
    design
        The design.
    given
        The study's priors for this model, by name.
    preset
        The set of defaults (`presets`): the workflow's own if left out.

    Raises
    ------
    FormulaError
        When a given prior does not fit its parameter, or the set of defaults does not cover the model.
    """
    if problem := presets.problem(preset, design):
        raise FormulaError(problem)
    defaults = presets.get(preset, design)
    if design.curve:
        defaults = curve_priors.Defaults(design, defaults, given, preset)
    source = f"preset: {preset}" if preset else "default"
    scalar = {name: text for name, text in given.items() if not priors.is_matrix(text)}

    def one(parameter: str, candidates: list[str], default: Callable[[], Prior], note: str = "") -> Resolved:
        return _one(
            parameter, candidates, default, scalar, note, source, design.curve.parameters if design.curve else ()
        )

    out: list[Resolved] = []
    if design.thresholds:
        out += _of_thresholds(design, one, defaults)
    for part in design.predictors:
        for position, (name, term) in enumerate(zip(part.coefficients, part.terms_of, strict=True)):
            candidates = _coefficient_candidates(design, part, name, term)
            if name == part.intercept:
                note = "at the mean of the predictors" if part.slopes else ""
                out.append(one(coefficient_name(name), candidates, partial(defaults.intercept, part), note))
            else:
                out.append(one(coefficient_name(name), candidates, partial(defaults.slope, part, position)))
    if design.thresholds:
        scales = design.thresholds.scales.repeat(len(design.thresholds.names))
        out += [
            one(coefficient_name(name), candidates, partial(defaults.specific, float(scale)))
            for name, candidates, scale in zip(
                design.thresholds.coefficients, _specific_candidates(design.thresholds), scales, strict=True
            )
        ]
    for group_term in design.group_terms:
        out += _of_term(design, group_term, given, defaults, one, source)
        if group_term.dist == "student":
            note = f"above {priors.LOWEST['df']:g}"
            out.append(one(df_name(group_term), _df_candidates(group_term), defaults.degrees, note))
        if group_term.autoregressive:
            out.append(_of_chain(group_term, one, defaults))
    for name in design.scalars:
        note = f"above {priors.LOWEST[name]:g}" if name in priors.LOWEST else ""
        if name not in SPECIAL:
            out.append(one(name, _scalar_candidates(name), partial(defaults.scalar, name), note))
            if name in priors.AMBIGUOUS:
                priors.check_positive(out[-1].prior, name)
    if design.residuals:
        out.append(_of_residuals(design.residuals, one, defaults))
    if design.curve and (lacking := defaults.problem()):
        raise FormulaError(lacking)
    return [_noted(entry) for entry in out]


def residuals_name(found: Residuals) -> str:
    """Return what the parameters of correlated residuals are called together: ``phi``, ``rho``, ``cor(occasion)``."""
    return f"cor({found.time})" if found.occasions else found.parameters[0]


def _residuals_candidates(found: Residuals) -> list[str]:
    return [residuals_name(found), *(["cor"] if found.occasions else [])]


def _of_chain(term: Term, one: Callable[..., Resolved], defaults: Any) -> Resolved:
    """Return the prior of the autoregression of levels.

    Raises
    ------
    FormulaError
        When a given prior does not fit it.
    """
    assert term.chain is not None
    entry = one(phi_name(term), _phi_candidates(term), partial(defaults.residuals, term.chain))
    return _between(entry, term.chain)


def _phi_candidates(term: Term) -> list[str]:
    return list(dict.fromkeys([phi_name(term), f"phi({term.group})"]))


def _between(entry: Resolved, found: Residuals) -> Resolved:
    """Check the prior of a correlation, and note between what it lies."""
    priors.check_between(entry.prior, entry.parameter, found.lowest, found.highest)
    if entry.prior.name == "uniform":
        return entry
    ends = f"{found.lowest:.4g} and {found.highest:g}"
    return replace(entry, note=f"of its place between {ends}" if entry.prior.name == "beta" else f"between {ends}")


def _of_residuals(found: Residuals, one: Callable[..., Resolved], defaults: Any) -> Resolved:
    """Return the prior of the correlations of residuals.

    Raises
    ------
    FormulaError
        When a given prior does not fit them.
    """
    name, default = residuals_name(found), partial(defaults.residuals, found)
    if found.occasions:
        return one(name, _residuals_candidates(found), default)
    return _between(one(name, _residuals_candidates(found), default), found)


SQUARES = frozenset({"var", "precision", "cov"})
"""Classes of names by which standard deviations are addressed through their squares."""

SPECIAL = frozenset({"delta"})
"""Scalars whose prior is resolved with the thresholds."""


def _noted(entry: Resolved) -> Resolved:
    """Say of an improper prior that it is one."""
    if entry.prior.proper:
        return entry
    return replace(
        entry, note=", ".join(filter(None, [entry.note, "improper: no Bayes factors, nothing drawn from it"]))
    )


def _of_term(
    design: Design, term: Term, given: Mapping[str, str], defaults: Any, one: Callable[..., Resolved], source: str
) -> list[Resolved]:
    """Return the priors of a group term: one of its covariance matrix, or those of its sds and correlations.

    Raises
    ------
    FormulaError
        When it has both, or the prior of the matrix does not fit the number of effects.
    """
    sds = [
        (effect, owner, float(scale), _sd_candidates(term, effect, owner in design.classed))
        for effect, owner, scale in zip(term.effects, term.parameters, term.scales, strict=True)
    ]
    cors = _cor_candidates(term, design.unprefixed) if term.correlated else []
    scalar = {name: text for name, text in given.items() if not priors.is_matrix(text)}
    chosen = [priors.choose(names, scalar) for names in [*(names for *_, names in sds), *([cors] if cors else [])]]
    own = [found[0] for found in chosen if found and "(" in found[0]]
    matrix = priors.choose(
        _cov_candidates(term, design), {name: text for name, text in given.items() if priors.is_matrix(text)}
    )
    if matrix is not None and "(" not in matrix[0] and own:
        matrix = None  # the priors of this group's own sds are more specific than that of all matrices
    if matrix is not None:
        rivals = own if "(" in matrix[0] else [found[0] for found in chosen if found]
        if rivals:
            raise FormulaError(
                f"{matrix[0]} is the prior of all sds and correlations of '{term.label}', so {rivals[0]} cannot have one too"
            )
        prior = _covariance(term, *matrix, design)
        return [Resolved(cov_name(term, design.unprefixed), prior, f"study: {matrix[0]}")]
    default = defaults.covariance()
    if default is not None and not any(chosen):
        return [Resolved(cov_name(term, design.unprefixed), default, source)]
    if default is not None and not all(found for found in chosen[: len(sds)]):
        raise FormulaError(
            f"the default is one prior of the covariance matrix of '{term.label}': give "
            f"{cov_name(term, design.unprefixed)} a prior, or every sd"
        )
    out = [one(sd_name(term, effect), names, partial(defaults.sd, owner, scale)) for effect, owner, scale, names in sds]
    if cors:
        out.append(one(cor_name(term, design.unprefixed), cors, defaults.correlation))
    return out


def _covariance(term: Term, name: str, text: str, design: Design) -> Prior:
    """Parse the prior of a covariance matrix, or of its inverse, and check it against the number of effects.

    A Wishart distribution of the inverse, with scale V, is an inverse Wishart distribution with scale V^-1 of the matrix.

    Raises
    ------
    FormulaError
        When degrees of freedom or dimension are wrong, or the effects are uncorrelated.
    """
    prior, size = priors.parse(text), len(term.effects)
    priors.check_support(prior, name)
    if size > 1 and not term.correlated:
        raise FormulaError(
            f"{name} is the prior of correlated effects, and those of '{term.label}' are not: write one bar, (1 + x | g)"
        )
    if prior.name == "decov":
        unit = rstanarm.UNITS.get(design.family, "")
        if unit and unit not in design.scalars:
            raise FormulaError(f"decov measures sds in units of {unit}, which has no single value in this model")
        return replace(prior, unit=unit)
    if len(prior.scale) not in {1, size}:
        raise FormulaError(
            f"{name}: the scale of {prior.name} has {len(prior.scale)} rows and '{term.label}' {size} effects "
            f"({', '.join(term.effects)})"
        )
    if prior.arguments[0] <= size - 1:
        raise FormulaError(
            f"{name}: {prior.arguments[0]:g} degrees of freedom are too few for {size} effects: more than {size - 1} are needed"
        )
    if priors.scale_of(name) != "precision":
        return prior
    other = {"wishart": "inverse_wishart", "inverse_wishart": "wishart"}[prior.name]
    inverse = np.linalg.inv(np.array(prior.scale))
    return replace(prior, name=other, scale=tuple(tuple(row) for row in ((inverse + inverse.T) / 2.0).tolist()))


def _of_thresholds(design: Design, one: Callable[..., Resolved], defaults: Any) -> list[Resolved]:
    """Return the priors of the thresholds.

    Raises
    ------
    FormulaError
        When a prior does not fit thresholds that increase.
    """
    thresholds = design.thresholds
    assert thresholds is not None
    note = "at the mean of the predictors" if design.predictors[0].slopes else ""
    if thresholds.ordered and not thresholds.equidistant:
        note = ", ".join(filter(None, [note, "restricted to increase"]))
    out = [
        one(name, candidates, partial(defaults.scalar, name))
        if name == "delta"
        else one(name, candidates, defaults.threshold, note)
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
            if entry.prior.name in {"uniform", "flat"} and entry.parameter != "delta" and not thresholds.equidistant:
                raise FormulaError(
                    f"{entry.prior.name} cannot be the prior of thresholds that must increase ({entry.parameter}): use normal"
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


def _one(
    parameter: str,
    candidates: list[str],
    default: Callable[[], Prior],
    given: Mapping[str, str],
    note: str,
    source: str,
    of_curve: Sequence[str],
) -> Resolved:
    chosen = priors.choose(candidates, given)
    if chosen is None:
        return Resolved(parameter, default(), source, note)
    prior = replace(priors.parse(chosen[1]), on=priors.scale_of(chosen[0]))
    priors.check_support(prior, chosen[0] if prior.on else parameter, priors.is_of_curve(parameter, of_curve))
    return Resolved(parameter, prior, f"study: {chosen[0]}", note)


def _scalar_candidates(name: str) -> list[str]:
    """Return the names that address a parameter with one value: ``sigma``, ``var(sigma)``, ``precision(sigma)``."""
    return [name, *([f"var({name})", f"precision({name})"] if name == "sigma" else [])]


def _coefficient_candidates(design: Design, predictor: Predictor, name: str, term: str) -> list[str]:
    """Return the names that address a coefficient; classes (``b``, ``Intercept``) are those of the response's formula alone."""
    if design.curve and predictor.parameter in design.primary:
        return curve_priors.coefficient_candidates(predictor, predictor.coefficients.index(name))
    primary = predictor.parameter in design.classed
    if name == predictor.intercept:
        return list(dict.fromkeys([name, *([INTERCEPT] if primary else [])]))
    return list(dict.fromkeys([f"b({name})", f"b({term})", *(["b"] if primary else [])]))


def _sd_candidates(term: Term, effect: str, primary: bool) -> list[str]:
    """Return the names that address an sd; the classes ``sd(group)`` and ``sd`` are those of the response's formula alone."""
    labels = list(dict.fromkeys([term.label, term.group]))
    shared = [*(f"sd({label})" for label in labels), "sd"] if primary else []
    names = [*(f"sd({label}: {effect})" for label in labels), *shared]
    return [f"{kind}{name.removeprefix('sd')}" for name in names for kind in ("sd", "var", "precision")]


def _cov_candidates(term: Term, design: Design) -> list[str]:
    """Return the names that address the covariance matrix of a term's effects, or its inverse.

    Those of the group and the class are of the response's formula alone, as those of sds are.
    """
    primary = all(owner in design.primary for owner in term.parameters)
    own = cov_name(term, design.unprefixed)
    shared = [f"cov({term.label})", f"cov({term.group})", "cov"] if primary else []
    return [
        f"{kind}{name.removeprefix('cov')}" for name in dict.fromkeys([own, *shared]) for kind in ("cov", "precision")
    ]


def _df_candidates(term: Term) -> list[str]:
    return list(dict.fromkeys([df_name(term), f"df({term.label})", f"df({term.group})", "df"]))


def _cor_candidates(term: Term, unprefixed: str) -> list[str]:
    labels = list(dict.fromkeys([term.label, term.group]))
    return list(dict.fromkeys([cor_name(term, unprefixed), *(f"cor({label})" for label in labels), "cor"]))
