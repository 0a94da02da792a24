"""Cumulative likelihood: the probability between the two thresholds that a category lies between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from multilevel.design import Design
from multilevel.responses import _categories, log_cdf, log_survival


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    y, last = design.y.astype(np.int64), len(design.categories)
    lowest, between, highest = (np.flatnonzero(rows) for rows in (y == 1, (y > 1) & (y < last), y == last))

    def z(rows: Any, places: Any) -> Any:
        return _categories.distances(eta, others, rows, places)

    parts = [
        (lowest, log_cdf(design.link, z(lowest, np.zeros_like(lowest)))),
        (highest, log_survival(design.link, z(highest, np.full_like(highest, last - 2)))),
    ]
    if len(between):
        place = y[between] - 1
        inside = _categories.log_between(design.link, z(between, place - 1), z(between, place))
        parts.append((between, inside))
    _categories.add(design, parts)
