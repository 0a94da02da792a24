"""Zero-inflated and hurdle distributions of a base distribution (`families._zeros`) in PyTensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt_untyped

from multilevel.responses._special import log1mexp, log_add_exp, log_share, number

pt: Any = pt_untyped  # PyTensor ships incomplete types


def inflated_log_density(y: Any, zi: Any, base: Any) -> Any:
    """Return the log density of a mixture of 0 and a base with log density `base` at y."""
    log_zi, log_rest = log_share(zi)
    value = log_rest + base
    zero = pt.eq(y, 0)
    return pt.switch(zero, log_add_exp(log_zi, pt.switch(zero, value, number(0.0))), value)


def inflated_log_cdf(y: Any, zi: Any, base: Any) -> Any:
    """Return log P(Y <= y) of a mixture of 0 and a base with log P(Y <= y) `base`."""
    log_zi, log_rest = log_share(zi)
    inside = pt.ge(y, 0)
    value = log_add_exp(log_zi, log_rest + pt.switch(inside, base, number(0.0)))
    return pt.switch(inside, pt.minimum(value, number(0.0)), number(-np.inf))


def inflated_log_survival(y: Any, zi: Any, base: Any) -> Any:
    """Return log P(Y > y) of a mixture of 0 and a base with log P(Y > y) `base`."""
    return pt.switch(pt.ge(y, 0), log_share(zi)[1] + base, number(0.0))


def inflated_log_interval(lower: Any, zi: Any, between: Any, up_to: Any) -> Any:
    """Return log P(lower < Y <= upper): that of the base `between`, or all `up_to` the upper end where 0 is part of it."""
    return pt.switch(pt.ge(lower, 0), log_share(zi)[1] + between, up_to)


def hurdle_log_density(y: Any, hu: Any, base: Any, log_not_zero: Any) -> Any:
    """Return the log density of 0 or else of a base without 0, whose log P(Y > 0) is `log_not_zero`."""
    log_hu, log_rest = log_share(hu)
    return pt.switch(pt.eq(y, 0), log_hu, log_rest + base - log_not_zero)


def hurdle_log_cdf(y: Any, hu: Any, below: Any, above: Any, log_not_zero: Any) -> Any:
    """Return log P(Y <= y), from log P(Y <= y) and log P(Y > y) of the base."""
    log_hu, log_rest = log_share(hu)
    more, tiny = pt.ge(y, 1), number(-1e-300)
    share = pt.switch(more, pt.minimum(above - log_not_zero, tiny), number(-1.0))
    zero = log1mexp(pt.minimum(log_not_zero, tiny))
    step = pt.switch(more, pt.minimum(zero - below, tiny), number(-1.0))
    between = pt.switch(pt.lt(share, number(-0.1)), log1mexp(share), below + log1mexp(step) - log_not_zero)
    value = pt.minimum(log_add_exp(log_hu, log_rest + pt.switch(more, between, number(0.0))), number(0.0))
    return pt.switch(more, value, pt.switch(pt.ge(y, 0), log_hu, number(-np.inf)))


def hurdle_log_survival(y: Any, hu: Any, above: Any, log_not_zero: Any) -> Any:
    """Return log P(Y > y), from log P(Y > y) of the base."""
    value = log_share(hu)[1] + pt.minimum(above - log_not_zero, number(0.0))
    return pt.switch(pt.ge(y, 0), value, number(0.0))


def hurdle_log_interval(lower: Any, hu: Any, between: Any, up_to: Any, log_not_zero: Any) -> Any:
    """Return log P(lower < Y <= upper): that of the base `between`, or all `up_to` the upper end where 0 is part of it."""
    value = log_share(hu)[1] + pt.minimum(between - log_not_zero, number(0.0))
    return pt.switch(pt.ge(lower, 0), value, up_to)
