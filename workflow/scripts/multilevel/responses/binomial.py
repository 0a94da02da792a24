"""Binomial likelihood: y ~ Binomial(trials, p), from log p and log(1 - p), so that neither tail loses digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped
from scipy.special import gammaln

from multilevel.design import Design
from multilevel.responses import log_normal_cdf, weighted

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:  # noqa: ARG001 (no other parameters)
    """Add the response to the model that is being built."""
    trials = design.terms.get("trials", np.ones(len(design.y)))
    log_p, log_q = _LOG_PROBABILITIES[design.link](eta)
    arrangements = gammaln(trials + 1) - gammaln(design.y + 1) - gammaln(trials - design.y + 1)
    weighted(design, arrangements + design.y * log_p + (trials - design.y) * log_q)


_LOG_PROBABILITIES: dict[str, Any] = {
    "logit": lambda eta: (-pt.softplus(-eta), -pt.softplus(eta)),
    "probit": lambda eta: (log_normal_cdf(eta), log_normal_cdf(-eta)),
    "cloglog": lambda eta: (pt.log(-pt.expm1(-pt.exp(eta))), -pt.exp(eta)),
}
