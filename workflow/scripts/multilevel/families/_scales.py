"""What default priors are scaled by, for families of one kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multilevel import links

Array = NDArray[np.float64]

PRECISION = ("inverse_gamma", (0.4, 0.3))
"""Default prior of a shape or precision: 89 % below 100, 1 % below 0.1, half below 2.1 (brms' of a negative binomial's shape)."""

SHARE = ("beta", (1.0, 1.0))
"""Default prior of a probability: uniform (brms)."""

LOGIT_SHARE = (0.0, 1.5)
"""Location and spread of a predictor of a probability: about uniform after the inverse logit."""

LOG_PRECISION = (1.0, 2.0)
"""Location and spread of a predictor of a log shape or precision: 95 % of it between 0.05 and 140."""


def of_mean(y: Array, link: str) -> tuple[float, float]:
    """Return the predictor at which the mean of the distribution is that of `y`, and the spread on the predictor's scale.

    The spread is 1 under a log link (a factor of e), the sd of the response (ddof 1) under the identity and softplus, and
    the predictor itself under an inverse link.
    """
    middle = float(np.mean(y))
    if link == "identity":
        return middle, float(np.std(y, ddof=1))
    middle = max(middle, 1e-100)
    at = float(links.forward(link, np.asarray(middle)))
    return at, {"log": 1.0, "softplus": float(np.std(y, ddof=1)), "inverse": at}[link]


def none(name: str) -> tuple[float, float]:
    """Raise: there is no other parameter.

    Raises
    ------
    KeyError
        Always.
    """
    raise KeyError(name)
