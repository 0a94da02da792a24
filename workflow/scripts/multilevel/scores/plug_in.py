"""The point at which a deviance is taken for p_D, and a row's surrogate where rows are sampled: means over the draws."""

from __future__ import annotations

import numpy as np

from multilevel import families, links
from multilevel.design import Design
from multilevel.predictor import Draws

WORDS = (
    "posterior mean of each linear predictor, each threshold, each correlation of residuals and every other parameter on the "
    "scale of its link"
)

OF_CURVE = "; the curve is taken at the means of its parameters"
"""What is said besides of a nonlinear model, whose mean curve is another one."""


def of(design: Design, draws: Draws) -> Draws:
    """Return the plug-in (see `WORDS`) as one draw."""
    links_of = families.get(design.family).OTHER_LINKS
    means = {name: np.mean(links.forward(links_of[name], draws.others[name]), keepdims=True) for name in design.scalars}
    return draws.at_mean({name: float(links.inverse(links_of[name], mean)[0]) for name, mean in means.items()})
