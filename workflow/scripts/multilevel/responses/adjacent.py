"""Adjacent-category likelihood: each category against the next with probability F(disc (mu - threshold))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import _categories

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    rows, count = np.arange(len(design.y)), len(design.categories)
    z = [-_categories.distances(eta, others, rows, np.full_like(rows, place)) for place in range(count - 1)]
    above = [_categories.log_cdf(design.link, value) for value in z]
    below = [_categories.log_survival(design.link, value) for value in z]
    # Category k has passed the thresholds before it and not those from its own on.
    weights = pt.stack([sum([*above[:k], *below[k:]][1:], [*above[:k], *below[k:]][0]) for k in range(count)], axis=1)
    chosen = weights[rows, design.y.astype(np.int64) - 1]
    _categories.add(design, [(rows, chosen - pt.logsumexp(weights, axis=1))])
