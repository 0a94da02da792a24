"""Zero-one-inflated beta likelihood: 0 or 1 with probability zoi, and then 1 with probability coi; else beta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.responses import beta, observe
from multilevel.responses._special import log_share, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def add(design: Design, eta: Any, others: Mapping[str, Any]) -> None:
    """Add the response to the model that is being built."""
    observe(design, eta, others, log_density)


def log_density(y: Any, eta: Any, link: str, phi: Any, zoi: Any, coi: Any) -> Any:
    """Return the log density between 0 and 1, the log probability at 0 and 1."""
    log_zoi, log_rest = log_share(zoi)
    log_one, log_zero = log_share(coi)
    zero, one = pt.eq(y, 0), pt.eq(y, 1)
    inner = log_rest + beta.log_density(pt.switch(zero | one, number(0.5), y), eta, link, phi)
    return pt.switch(zero | one, log_zoi + pt.switch(one, log_one, log_zero), inner)
