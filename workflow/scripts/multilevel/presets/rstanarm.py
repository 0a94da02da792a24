"""The defaults of rstanarm 2.21, of `prior_summary` after `stan_glm` and `stan_glmer`.

Coefficients normal(0, 2.5 s_y / s_x) with s_x the sd of the predictor's own column, dummies and products among them (so the
scale of an interaction depends on where its predictors have their zero, as rstanarm's does); intercepts at the mean of the
predictors normal(m_y, 2.5 s_y); sigma exponential(1 / s_y). s_y is the sd of a gaussian response and 1 for other families;
m_y its mean under the identity link and 0 otherwise. A probit link widens coefficients and intercept by
dnorm(0) / dlogis(0). The covariance matrix of each group term is decov(1, 1, 1, 1), its sds in units of sigma, or of
whatever other auxiliary parameter the family has there: shape of a gamma and lambda of an inverse Gaussian response, as in
rstanarm's own Stan program (`continuous.stan`, `make_theta_L`). With three effects or more that program multiplies the
correlations of each row from the third on by the sd of the row before; the density here is the documented one.
"""

from __future__ import annotations

import math

import numpy as np

from multilevel.design import Design, Predictor
from multilevel.priors import Prior
from multilevel.residuals import Residuals

FAMILIES = ("gaussian", "bernoulli", "binomial", "poisson", "negative_binomial", "gamma", "inverse_gaussian")
"""Families that rstanarm fits with group terms."""

UNITS = {"gaussian": "sigma", "gamma": "shape", "inverse_gaussian": "shape", "beta": "phi"}
"""What sds of group effects are measured in, by family; ones for all others."""

PROBIT = 4.0 / math.sqrt(2.0 * math.pi)
"""Density of the normal over that of the logistic distribution, both at 0."""


class Defaults:
    """Default priors of one design.

    Parameters
    ----------
    design
        The design.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        gaussian = design.family == "gaussian"
        self.s_y = float(np.std(design.y, ddof=1)) if gaussian else 1.0
        self.m_y = float(np.mean(design.y)) if gaussian and design.link == "identity" else 0.0
        self.width = 2.5 * self.s_y * (PROBIT if design.link == "probit" else 1.0)

    def intercept(self, part: Predictor) -> Prior:  # noqa: ARG002 (there is one predictor)
        """Return a normal distribution."""
        return Prior("normal", (self.m_y, self.width))

    def slope(self, part: Predictor, position: int) -> Prior:
        """Return a normal distribution, scaled by the sd of the column as it stands in the matrix."""
        column = part.x[:, position]
        spread = float(np.std(column, ddof=1)) if len(np.unique(column)) > 1 else 1.0
        return Prior("normal", (0.0, max(1e-12, self.width / spread)))

    def threshold(self) -> Prior:
        """There are no ordinal families."""
        raise NotImplementedError

    def specific(self, scale: float) -> Prior:
        """There are no ordinal families."""
        raise NotImplementedError

    def sd(self, owner: str, scale: float) -> Prior:
        """Sds have no priors of their own."""
        raise NotImplementedError

    def correlation(self) -> Prior:
        """Return LKJ(1), for terms whose sds were all given priors of their own."""
        return Prior("lkj", (1.0,))

    def covariance(self) -> Prior | None:
        """Return decov(1, 1, 1, 1)."""
        return Prior("decov", (1.0, 1.0, 1.0, 1.0), unit=UNITS.get(self.design.family, ""))

    def degrees(self) -> Prior:
        """There are no student-t effects."""
        raise NotImplementedError

    def residuals(self, found: Residuals) -> Prior:
        """There are no correlated residuals."""
        raise NotImplementedError

    def scalar(self, name: str) -> Prior:  # noqa: ARG002 (each family has one at most)
        """Return an exponential distribution with mean s_y."""
        return Prior("exponential", (1.0 / self.s_y,))


def problem(design: Design) -> str:
    """Return why rstanarm has no such model, as a sentence; nothing where it has."""
    if design.family not in FAMILIES:
        return f"the preset rstanarm covers no {design.family} models; it covers {', '.join(FAMILIES)}"
    if design.residuals:
        return "the preset rstanarm covers no correlated residuals, which rstanarm has not"
    if design.curve:
        return "the preset rstanarm covers no curves, for which rstanarm has no defaults"
    if len(design.predictors) > 1:
        return f"the preset rstanarm covers no linear predictor of '{design.predictors[1].parameter}', which rstanarm has not"
    if loose := next((t for t in design.group_terms if not t.correlated and len(t.effects) > 1), None):
        return (
            f"the preset rstanarm covers no uncorrelated effects in one term of '{loose.label}'; write one term for each "
            "effect, as rstanarm does"
        )
    if structured := next((t for t in design.group_terms if not t.exchangeable), None):
        return f"the preset rstanarm covers no structured groups, which rstanarm has not: {structured.words}"
    return ""
