"""Bernoulli likelihood: y is 1 with probability p, else 0; or, where equal rows are taken together, y of several rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import observe
from multilevel.responses._special import number
from multilevel.responses.binomial import log_kernel

ONE, ZERO = number(1.0), number(0.0)


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density)


def log_density(y: Any, eta: Any, link: str, trials: Any = ONE, arrangements: Any = ZERO) -> Any:
    """Return the log probability of y ones among `trials` rows in the order in which they came, of which there is one."""
    return arrangements + log_kernel(y, eta, link, trials)
