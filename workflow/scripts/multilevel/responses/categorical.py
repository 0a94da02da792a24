"""Likelihood of unordered categories: softmax of 0 for the first and of the linear predictors of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multilevel.design import Design
from multilevel.responses import _categories


def add(design: Design, eta: Sequence[Any], others: Mapping[str, Any]) -> None:  # noqa: ARG001 (no other parameters)
    """Add the response to the model that is being built; `eta` is the predictors of the categories but the first."""
    none = np.zeros(len(design.y))
    _categories.add_weights(
        design, [none, *(value + none for value in eta)]
    )  # a predictor may be one number for all rows
