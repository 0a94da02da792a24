"""Beta-binomial likelihood: y successes in trials of a probability that is beta distributed with mean mu and precision phi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import observe
from multilevel.responses._special import log_choose, log_rising, number
from multilevel.responses.beta import shapes

pt: Any = pt_untyped  # PyTensor ships incomplete types

ONE = number(1.0)


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density, log_cdf, log_survival)


def log_density(y: Any, eta: Any, link: str, phi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y = y)."""
    a, log_a, b, log_b = shapes(eta, link, phi)
    rising = log_rising(log_a, a, y) + log_rising(log_b, b, trials - y) - log_rising(pt.log(phi), phi, trials)
    return log_choose(trials - y + 1, y) + rising


def _log_sum(kept: Any, eta: Any, link: str, phi: Any, trials: Any) -> Any:
    """Return the log of the summed probabilities of the numbers of successes that are kept, shape (rows, numbers)."""
    rows, numbers = kept.shape
    k = np.minimum(np.arange(numbers)[None, :], trials[:, None]).astype(np.float64)
    at = {"eta": eta, "phi": phi, "trials": trials}
    columns = {name: value[:, None] if np.ndim(value) else value for name, value in at.items()}
    values = pt.switch(kept, log_density(k, link=link, **columns), number(-np.inf))
    return pt.minimum(pt.logsumexp(values, axis=1), number(0.0)) if rows else number(0.0)


def _tails(y: Any, eta: Any, link: str, phi: Any, trials: Any, upper: bool) -> Any:
    """Return log P(Y > y) or log P(Y <= y), a sum over the numbers of successes of which it consists."""
    trials = np.broadcast_to(np.asarray(trials, dtype=np.float64), np.shape(y))
    numbers = np.arange(int(trials.max()) + 1)[None, :]
    kept = (numbers <= trials[:, None]) & ((numbers > y[:, None]) == upper)
    some = kept.any(axis=1)
    kept = np.where(
        some[:, None], kept, numbers == 0
    )  # a row without any: its sum is replaced, so that no gradient is lost
    return pt.switch(some, _log_sum(kept, eta, link, phi, trials), number(-np.inf))


def log_cdf(y: Any, eta: Any, link: str, phi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y <= y)."""
    return _tails(y, eta, link, phi, trials, upper=False)


def log_survival(y: Any, eta: Any, link: str, phi: Any, trials: Any = ONE) -> Any:
    """Return log P(Y > y)."""
    return _tails(y, eta, link, phi, trials, upper=True)
