"""The defaults of brms 2.18 and later, of `brms::get_prior` (`default_prior` since 2.21).

Coefficients are flat, which is improper. With l and s the median and the median absolute deviation (times 1.4826) of
link(y), each rounded to one decimal and s at least 2.5: intercepts at the mean of the predictors student_t(3, l, s), less
the mean offset; standard deviations, sigma among them, half-student_t(3, s); correlations lkj(1). Under links other than
identity, log and inverse, and for categories, l is 0 and s 2.5. Zeros count as 0.1 where link(0) is not finite.

Later versions have inverse_gamma(0.4, 0.3) for the shape of a negative binomial, where 2.18 has gamma(0.01, 0.01); the later
one is used here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from numpy.typing import NDArray

from multilevel.design import Design, Predictor
from multilevel.priors import Prior
from multilevel.residuals import Residuals

Array = NDArray[np.float64]

MAD = 1.4826
"""Factor of R's `mad`, which makes it the sd of a normal distribution."""

TRANSFORMED = ("identity", "log", "inverse")
"""Links under which the response says where the linear predictor is."""

NEGATIVE_BINOMIAL = ("negative_binomial", "zero_inflated_negative_binomial", "hurdle_negative_binomial")

SCALARS = {
    "shape": Prior("gamma", (0.01, 0.01)),
    "phi": Prior("gamma", (0.01, 0.01)),
    "nu": Prior("gamma", (2.0, 0.1)),
    **dict.fromkeys(("zi", "hu", "zoi", "coi"), Prior("beta", (1.0, 1.0))),
}
"""Parameters with one value for all rows, besides sigma."""

INTERCEPTS = {
    "nu": Prior("normal", (2.7, 0.8)),
    "disc": Prior("normal", (0.0, 1.0)),
    **dict.fromkeys(("shape", "phi"), Prior("student_t", (3.0, 0.0, 2.5))),
    **dict.fromkeys(("zi", "hu", "zoi", "coi"), Prior("logistic", (0.0, 1.0))),
}
"""Intercepts of the linear predictors of other parameters, besides sigma's."""


class Defaults:
    """Default priors of one design.

    Parameters
    ----------
    design
        The design.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self.of_logarithm = design.family == "lognormal"
        self.link = "log" if self.of_logarithm else design.link

    def scale(self, link: str) -> tuple[float, float]:
        """Return location and scale of the response under a link."""
        if self.design.categories or link not in TRANSFORMED:
            return 0.0, 2.5
        y = self.design.y
        if link != "identity":
            y = np.where(y == 0, 0.1, y)
        with np.errstate(all="ignore"):  # what a link makes no number of says nothing
            values = {"identity": y, "log": np.log(y), "inverse": 1.0 / y}[link]
        middle = float(np.median(values))
        spread = MAD * float(np.median(np.abs(values - middle)))
        location = _rounded(middle) if np.isfinite(middle) else 0.0
        return location, max(2.5, _rounded(spread)) if np.isfinite(spread) else 2.5

    def intercept(self, part: Predictor) -> Prior:
        """Return a Student t distribution about the median, or what brms has for another parameter."""
        if part.parameter in self.design.primary:
            location, scale = self.scale(self.link)
            if self.link in TRANSFORMED and not self.design.categories:
                location -= float(part.offset.mean())
            return Prior("student_t", (3.0, location, scale))
        if part.parameter == "sigma":
            return Prior("student_t", (3.0, 0.0, self.scale("log")[1]))
        return INTERCEPTS[part.parameter]

    def slope(self, part: Predictor, position: int) -> Prior:  # noqa: ARG002 (one shape)
        """Return the flat prior."""
        return Prior("flat", ())

    def threshold(self) -> Prior:
        """Return a Student t distribution about 0."""
        return Prior("student_t", (3.0, 0.0, 2.5))

    def specific(self, scale: float) -> Prior:  # noqa: ARG002 (one shape)
        """Return the flat prior."""
        return Prior("flat", ())

    def sd(self, owner: str, scale: float) -> Prior:  # noqa: ARG002 (brms scales all by the response)
        """Return half a Student t distribution, the same for every effect of every parameter."""
        return Prior("half_student_t", (3.0, self.scale(self.link)[1]))

    def correlation(self) -> Prior:
        """Return LKJ(1)."""
        return Prior("lkj", (1.0,))

    def covariance(self) -> Prior | None:
        """Return None: sds and correlations have priors of their own."""
        return None

    def degrees(self) -> Prior:
        """Return a gamma distribution."""
        return Prior("gamma", (2.0, 0.1))

    def residuals(self, found: Residuals) -> Prior:
        """Return LKJ(1), or a uniform distribution: over all of ar's range, of cosy's above 0."""
        if found.structure == "unstructured":
            return Prior("lkj", (1.0,))
        return Prior("uniform", (0.0 if found.structure == "cs" else found.lowest, found.highest))

    def scalar(self, name: str) -> Prior:
        """Return brms' default; the distance of equidistant thresholds has a flat one."""
        if name == "sigma":
            return Prior("half_student_t", (3.0, self.scale("log" if self.of_logarithm else "identity")[1]))
        if name == "delta":
            ordered = self.design.thresholds is not None and self.design.thresholds.ordered
            return Prior("half_flat" if ordered else "flat", ())
        if name == "shape" and self.design.family in NEGATIVE_BINOMIAL:
            return Prior("inverse_gamma", (0.4, 0.3))
        return SCALARS[name]


def problem(design: Design) -> str:
    """Return why brms has no such model, as a sentence; nothing where it has, as it has every family that there is here."""
    if design.residuals and design.residuals.structure == "car1":
        return "the preset brms covers no car1 residuals, which brms has not: its autoregression is in whole occasions"
    return ""


def _rounded(value: float) -> float:
    """Round to one decimal as R does: of the two nearest decimals the nearer, the even one of a tie."""
    return float(Decimal(repr(value)).quantize(Decimal("0.1"), ROUND_HALF_EVEN))
