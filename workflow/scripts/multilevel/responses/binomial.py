"""Binomial likelihood: y ~ Binomial(trials, p), from log p and log(1 - p), so that neither tail loses digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import gammaln

from multilevel.design import Design
from multilevel.responses import log_cdf, log_survival, weighted


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:  # noqa: ARG001 (no other parameters)
    """Add the response to the model that is being built."""
    trials = design.terms.get("trials", np.ones(len(design.y)))
    log_p, log_q = log_cdf(design.link, eta), log_survival(design.link, eta)
    arrangements = gammaln(trials + 1) - gammaln(design.y + 1) - gammaln(trials - design.y + 1)
    weighted(design, arrangements + design.y * log_p + (trials - design.y) * log_q)
