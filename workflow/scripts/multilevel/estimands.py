"""What a published number can be of: every parameter of a design under the name people write, and what is made of them.

`LISTED` names the kinds. The same recipe is applied to posterior draws and to ML or REML estimates.

A mean of a posterior is that of the quantity itself: ``expit(x)`` is the mean of the probabilities of the draws, not the
probability at the mean of x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from multilevel.default_priors import coefficient_name, cor_names, df_name, phi_name, sd_name
from multilevel.design import INTERCEPT, Design, Term

SCORES = ("elpd_loo", "looic", "dic", "p_d", "p_v", "p_kl", "p_opt", "penalised_expected_deviance", "deviance")
"""Scores of a posterior; ``deviance`` is its posterior mean, given the group effects."""

CRITERIA = {
    "ml": ("log_likelihood", "deviance", "aic", "bic"),
    "reml": ("log_likelihood", "reml_criterion"),
    "quadrature": ("log_likelihood", "deviance", "aic", "bic"),
}
"""Criteria of a fit by each estimator."""


SCALES = {"exp": np.exp, "expit": expit}
"""Scales that a quantity may be given on."""

LISTED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Intercept", "b(x)"), "a coefficient; `b(g[A])` of a factor's level, `b(x:z)` of an interaction"),
    (("sd(g: x)", "sigma"), "a standard deviation; `var(g: x)`, `var(sigma)` or `sigma^2` its square"),
    (("cor(g: x, z)",), "a correlation of effects; `cov(g: x, z)` their covariance"),
    (("phi", "rho", "cor(t: 1, 2)"), "a correlation of residuals: of `ar1` and `car1`, of `cs`, of two occasions t"),
    (("phi(g)",), "the autoregression of the levels of g, of `gr(g, structure=ar1)`"),
    (("g[A: x]",), "the effect of one level of g"),
    (("coef(g[A]: x)",), "coefficient and effect of one level together, as coef() of lme4 and brms"),
    (("exp(q)", "expit(q)"), "a quantity q of the lines above, of each draw, as a ratio or a probability"),
    (("icc(g)",), "share of the variance that lies between the levels of g, where intercepts alone vary"),
    (SCORES, "a score of a posterior; `se(elpd_loo)` its standard error"),
    (("elpd_diff(m)",), "its `elpd_loo` less that of the model m, row by row; `se(elpd_diff(m))` the standard error"),
    (CRITERIA["ml"], "a criterion of an ML fit, by quadrature too"),
    (CRITERIA["reml"], "a criterion of a REML fit"),
)
"""Kinds of quantities and their meaning, for the reference page."""


@dataclass(frozen=True)
class Estimand:
    """One quantity.

    Parameters
    ----------
    name
        Its canonical name.
    recipe
        How it is made of its parts: ``value``, ``square``, ``product``, ``sum`` or ``share``; ``criterion`` for what is no
        parameter.
    parts
        Names of the parameters it is made of; of ``elpd_diff(m)`` the other model.
    scale
        ``exp`` or ``expit``, of what the recipe gives; empty for the number itself.
    """

    name: str
    recipe: str
    parts: tuple[str, ...]
    scale: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Estimand:
        """Return the quantity of a row of the plan."""
        return cls(str(row["quantity"]), str(row["recipe"]), tuple(row["parts"]), str(row.get("scale", "")))

    def as_row(self) -> dict[str, Any]:
        """Return it as plain values, for the plan."""
        return {"quantity": self.name, "recipe": self.recipe, "parts": list(self.parts), "scale": self.scale}

    def of(self, values: Mapping[str, Any]) -> Any:
        """Compute it from parameters, numbers or arrays of draws of one shape.

        Raises
        ------
        KeyError
            When a part is missing, or it is a criterion.
        """
        if self.recipe == "criterion":
            raise KeyError(self.name)
        value = self._combined([values[name] for name in self.parts])
        return SCALES[self.scale](value) if self.scale else value

    def _combined(self, parts: list[Any]) -> Any:
        """Combine the parts by the recipe."""
        if self.recipe == "square":
            return parts[0] ** 2
        if self.recipe == "product":
            return parts[0] * parts[1] * parts[2]
        if self.recipe == "sum":
            return sum(parts[1:], start=parts[0])
        if self.recipe == "share":
            return parts[0] ** 2 / sum((part**2 for part in parts[1:]), start=np.zeros(()))
        return parts[0]


def catalogue(design: Design) -> dict[str, Estimand]:
    """Return every quantity of a design, by canonical name."""
    found = [Estimand(coefficient_name(name), "value", (coefficient_name(name),)) for name in design.all_coefficients]
    if design.thresholds and design.thresholds.equidistant:
        found.append(Estimand("delta", "value", ("delta",)))
    scales = list(design.scalars)
    for name in scales:
        found += [Estimand(name, "value", (name,)), Estimand(f"var({name})", "square", (name,))]
    for term in design.group_terms:
        found += _of_term(term)
    found += [Estimand(name, "value", (name,)) for name in (design.residuals.parameters if design.residuals else ())]
    found += _shares(design, scales)
    for term in design.group_terms:
        found += _of_levels(term, design)
    names = dict.fromkeys([*SCORES, *(name for names in CRITERIA.values() for name in names)])
    found += [Estimand(name, "criterion", ()) for name in names]
    return {estimand.name: estimand for estimand in found}


def _of_term(term: Term) -> list[Estimand]:
    """Return standard deviations, variances, correlations and covariances of a term."""
    found = []
    for effect in term.effects:
        sd = sd_name(term, effect)
        found += [Estimand(sd, "value", (sd,)), Estimand(f"var{sd[2:]}", "square", (sd,))]
    if term.dist == "student":
        found.append(Estimand(df_name(term), "value", (df_name(term),)))
    if term.autoregressive:
        found.append(Estimand(phi_name(term), "value", (phi_name(term),)))
    if term.correlated:
        pairs = [(term.effects[j], term.effects[i]) for i in range(len(term.effects)) for j in range(i)]
        for name, (first, second) in zip(cor_names(term), pairs, strict=True):
            parts = (name, sd_name(term, first), sd_name(term, second))
            found += [Estimand(name, "value", (name,)), Estimand(f"cov{name[3:]}", "product", parts)]
    return found


def _of_levels(term: Term, design: Design) -> list[Estimand]:
    """Return the effects of the levels of a term, alone and with the coefficient of the same predictor."""
    found = []
    for level in term.levels:
        for effect in term.effects:
            name = f"{term.label}[{level}: {effect}]"
            found.append(Estimand(name, "value", (name,)))
            fixed = (coefficient_name(effect),) if effect in design.all_coefficients else ()
            found.append(Estimand(f"coef({term.label}[{level}]: {effect})", "sum", (*fixed, name)))
    return found


def _shares(design: Design, scales: list[str]) -> list[Estimand]:
    """Return the intraclass correlation of each grouping, where intercepts alone vary and the residual is one number."""
    if (
        design.family != "gaussian"
        or scales != ["sigma"]
        or design.residuals is not None  # what lies within groups is no single variance
        or any(term.effects != (INTERCEPT,) or not term.exchangeable for term in design.group_terms)
    ):
        return []
    sds = [sd_name(term, INTERCEPT) for term in design.group_terms]
    return [
        Estimand(f"icc({t.label})", "share", (sd, *sds, "sigma")) for t, sd in zip(design.group_terms, sds, strict=True)
    ]


def find(text: str, known: Mapping[str, Estimand]) -> Estimand | None:
    """Return the quantity that a name means, or None.

    Blanks do not matter, ``sigma^2`` is ``var(sigma)``, ``b(Intercept)`` is ``Intercept``; an interaction may name its
    factors in any order, a correlation or covariance its effects. What the other model of ``elpd_diff(m)`` is, is not checked.
    """
    bare = re.sub(r"\s+", "", text)
    if match := re.fullmatch(rf"({'|'.join(SCALES)})\((.*)\)", bare):
        inner = find(match[2], known)
        if inner is None or inner.scale or inner.recipe == "criterion":
            return None
        return replace(inner, name=f"{match[1]}({inner.name})", scale=match[1])
    if match := re.fullmatch(r"elpd_diff\((.+)\)", bare):
        return Estimand(bare, "criterion", (match[1],))
    normal = {_normal(name): estimand for name, estimand in known.items()}
    return next((normal[name] for name in map(_normal, _spellings(bare)) if name in normal), None)


def names(text: str, known: Mapping[str, Estimand]) -> list[str]:
    """Return the names that may have been meant: without those of single levels where the text names none."""
    return [name for name in known if "[" in text or not _is_of_level(known[name])]


def _is_of_level(estimand: Estimand) -> bool:
    return estimand.recipe == "sum" or bool(re.match(r"^[A-Za-z_]\w*\[.*: ", estimand.name))


def _normal(name: str) -> str:
    """Return a name without blanks and, of an interaction, with its factors in sorted order."""
    bare = re.sub(r"\s+", "", name)
    match = re.fullmatch(r"b\((.*)\)", bare)
    if match is None:
        return bare
    factors = re.findall(r"(?:[^:\[(]|\[[^\]]*\]|\([^)]*\))+", match[1])
    return f"b({':'.join(sorted(factors))})"


def _spellings(name: str) -> list[str]:
    """Return a name and what else it may be written as."""
    found = [name]
    if name == "b(Intercept)":
        found.append(INTERCEPT)
    if match := re.fullmatch(r"(\w+)(?:\^|\*\*)2", name):
        found.append(f"var({match[1]})")
    if match := re.fullmatch(r"(sd|var)\((residual|Residual)\)", name):
        found.append("sigma" if match[1] == "sd" else "var(sigma)")
    if match := re.fullmatch(r"(cor|cov)\(([^:]+):(.*),([^,]*)\)", name):
        found.append(f"{match[1]}({match[2]}:{match[4]},{match[3]})")
    return found
