"""Likelihood of unordered categories: softmax of 0 for the first and of the linear predictors of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import _categories

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Sequence[Any], others: Mapping[str, Any]) -> None:  # noqa: ARG001 (no other parameters)
    """Add the response to the model that is being built; `eta` is the predictors of the categories but the first."""
    rows = np.arange(len(design.y))
    # Without predictors and an intercept a linear predictor is a plain zero.
    weights = pt.stack([np.zeros(len(rows)), *(value + np.zeros(len(rows)) for value in eta)], axis=1)
    chosen = weights[rows, design.y.astype(np.int64) - 1]
    _categories.add(design, [(rows, chosen - pt.logsumexp(weights, axis=1))])
