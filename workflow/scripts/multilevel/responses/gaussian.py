"""Normal likelihood: y ~ N(eta, sigma^2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymc as pm

from multilevel.design import Design


def add(design: Design, eta: Any, variable: Callable[[str], Any]) -> None:
    """Add the observed response to the model that is being built."""
    pm.Normal("y", eta, variable("sigma"), observed=design.y, dims="row")
