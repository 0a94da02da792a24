"""The workflow's own defaults: weakly informative, scaled to the data (`default_priors` has the table)."""

from __future__ import annotations

import numpy as np

from multilevel import families
from multilevel.design import Design, Predictor
from multilevel.links import PROBABILITY
from multilevel.priors import Prior
from multilevel.residuals import Residuals


class Defaults:
    """Default priors of one design.

    Parameters
    ----------
    design
        The design.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        module = families.get(design.family)
        of_response = design.link == "identity" and not getattr(module, "OF_LOGARITHM", False)
        y = design.y - design.offset if of_response else design.y
        location, s_y = module.location_and_scale(y, design.terms, design.link)
        location -= 0.0 if of_response else _at_offset(design)
        unit = module.unit_of(y) if hasattr(module, "unit_of") else s_y
        # Where a predictor stands: the intercept's location and width, and the spread that slopes and sds are measured in.
        self.scale_of = dict.fromkeys(design.primary, (location, 2.5 * s_y, 2.5 * s_y, s_y))
        for part in design.predictors:
            if part.parameter not in self.scale_of:
                middle, spread = module.location_of(part.parameter, unit)
                self.scale_of[part.parameter] = (middle, spread, spread, spread)
        self.location, self.s_y = location, s_y
        self.scalars = {name: Prior(*default) for name, default in module.default_priors(unit).items()}

    def intercept(self, part: Predictor) -> Prior:
        """Return a normal distribution about where the response is."""
        middle, width, _, _ = self.scale_of[part.parameter]
        return Prior("normal", (middle, width))

    def slope(self, part: Predictor, position: int) -> Prior:
        """Return a normal distribution: 2.5 sds of the response for each sd of the predictor."""
        return Prior("normal", (0.0, self.scale_of[part.parameter][2] / float(part.scales[position])))

    def threshold(self) -> Prior:
        """Return a normal distribution on the scale of the linear predictor."""
        return Prior("normal", (self.location, 2.5 * self.s_y))

    def specific(self, scale: float) -> Prior:
        """Return what a slope would have."""
        return Prior("normal", (0.0, self.scale_of[self.design.parameters[0]][2] / scale))

    def sd(self, owner: str, scale: float) -> Prior:
        """Return an exponential distribution whose mean is an sd of the response for each sd of the predictor."""
        return Prior("exponential", (scale / self.scale_of[owner][3],))

    def correlation(self) -> Prior:
        """Return LKJ(2)."""
        return Prior("lkj", (2.0,))

    def covariance(self) -> Prior | None:
        """Return None: sds and correlations have priors of their own."""
        return None

    def degrees(self) -> Prior:
        """Return the gamma distribution of brms."""
        return Prior("gamma", (2.0, 0.1))

    def residuals(self, found: Residuals) -> Prior:
        """Return LKJ(2), or what is near it for one correlation, at the median time between rows (`default_priors`)."""
        if found.structure == "unstructured":
            return Prior("lkj", (2.0,))
        if found.structure == "cs":
            return Prior("uniform", (found.lowest, found.highest))
        gap = float(np.median(found.gaps[np.isfinite(found.gaps)])) if found.structure == "car1" else 1.0
        return Prior("beta", (2.0 * gap, 2.0))

    def scalar(self, name: str) -> Prior:
        """Return the family's default."""
        return self.scalars[name]


def problem(design: Design) -> str:  # noqa: ARG001 (one shape)
    """Return nothing: every model is covered."""
    return ""


def _at_offset(design: Design) -> float:
    """Return what the offset adds to the linear predictor at the mean response."""
    if design.link in PROBABILITY or not design.offset.any():
        return 0.0
    largest = float(design.offset.max())
    if design.link == "log":  # of exp(eta + offset) the mean is exp(eta) times the mean of exp(offset)
        return largest + float(np.log(np.mean(np.exp(design.offset - largest))))
    return float(design.offset.mean())
