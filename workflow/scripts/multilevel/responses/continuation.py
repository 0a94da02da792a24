"""Continuation likelihood: a category goes on past the thresholds before its own with probability F(disc (mu - threshold))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multilevel.design import Design
from multilevel.responses import _categories, log_cdf, log_survival


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    (went, passed), (stopped, own) = _categories.steps(design)
    _categories.add(
        design,
        [
            (went, log_cdf(design.link, -_categories.distances(eta, others, went, passed))),
            (stopped, log_survival(design.link, -_categories.distances(eta, others, stopped, own))),
        ],
    )
