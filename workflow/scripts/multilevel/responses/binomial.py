"""Binomial likelihood: y ~ Binomial(trials, p), from log p and log(1 - p), so that neither tail loses digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import log_tails, observe
from multilevel.responses._special import log_betainc, log_choose, number

pt: Any = pt_untyped  # PyTensor ships incomplete types

ONE = number(1.0)


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def log_density(y: Any, eta: Any, link: str, trials: Any = ONE, arrangements: Any = None) -> Any:
    """Return log P(Y = y), the number of arrangements included; that of several rows is given as its log."""
    ways = log_choose(trials - y + 1, y) if arrangements is None else arrangements
    return ways + log_kernel(y, eta, link, trials)


def log_kernel(y: Any, eta: Any, link: str, trials: Any) -> Any:
    """Return y log p + (trials - y) log(1 - p), where 0 times the log of a probability of 0 is 0."""
    log_p, log_q = log_tails(link, eta)
    failures, lowest = trials - y, number(-1e300)
    return y * pt.maximum(log_p, lowest) + failures * pt.maximum(log_q, lowest)


def tails(y: Any, eta: Any, link: str, trials: Any) -> tuple[Any, Any]:
    """Return log P(Y <= y) and log P(Y > y), from the incomplete beta function of y + 1 and trials - y."""
    log_p, log_q = log_tails(link, eta)
    low, high = pt.lt(y, 0), pt.ge(y, trials)
    k = pt.switch(low | high, number(1.0), y + 1)
    rest = pt.switch(low | high, number(1.0), trials - y)
    above, below = log_betainc(k, rest, pt.exp(log_p), log_p, pt.exp(log_q), log_q)
    never, always = number(-np.inf), number(0.0)
    return (
        pt.switch(low, never, pt.switch(high, always, below)),
        pt.switch(low, always, pt.switch(high, never, above)),
    )


def log_cdf(y: Any, eta: Any, link: str, trials: Any = ONE) -> Any:
    """Return log P(Y <= y)."""
    return tails(y, eta, link, trials)[0]


def log_survival(y: Any, eta: Any, link: str, trials: Any = ONE) -> Any:
    """Return log P(Y > y)."""
    return tails(y, eta, link, trials)[1]
