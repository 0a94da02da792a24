"""Adjacent-category likelihood: each category against the next with probability F(disc (mu - threshold))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from multilevel.design import Design
from multilevel.responses import _categories, log_cdf, log_survival


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    rows, count = np.arange(len(design.y)), len(design.categories)
    z = [-_categories.distances(eta, others, rows, np.full_like(rows, place)) for place in range(count - 1)]
    if design.link == "logit":  # log F(z) - log(1 - F(z)) is z
        above, below = z, [np.zeros(len(rows))] * (count - 1)
    else:
        above = [log_cdf(design.link, value) for value in z]
        below = [log_survival(design.link, value) for value in z]
    # Category k has passed the thresholds before it and not those from its own on.
    _categories.add_weights(design, [sum([*above[:k], *below[k:]], np.zeros(len(rows))) for k in range(count)])
