"""Leave-one-group-out without refitting: log p(y_j | y_-j), all rows of a new group jointly.

The draws are weighted by 1 / p(y_j | phi), with the effects that only this group's rows inform integrated out: its own,
those of groups nested in it, and those of any level of another factor seen only there. What other rows inform too is
conditioned on. A model without a term for the group has its own p(y_j | theta), the product over the rows; a coefficient
for each group is integrated out over its prior. New effects come from p(b | phi), never from other groups' effects.

The score is joint over the group, its standard error that of J terms (Merkle, Furr & Rabe-Hesketh 2019, Psychometrika
84:802). A sum of pointwise scores under group-wise folds is another number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import integration, psis
from multilevel.design import Design
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.units import Units

Array = NDArray[np.float64]


def score(
    design: Design, draws: Draws, left_out: Units, priors: Mapping[str, Prior]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the leave-one-group-out record and its values by group.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    left_out
        The groups.
    priors
        The prior of every parameter by name.

    Returns
    -------
    tuple
        The record, and a table with ``level``, ``rows``, ``elpd``, ``p_loo``, ``pareto_k``, ``r_eff``, ``mcse`` and
        ``p_waic`` for each group. Where leaving a group out is not defined, the record holds ``refused``, the reason,
        and the table has no rows.
    """
    words = {
        "criterion": "logo",
        "unit": left_out.name,
        "leaves_out": f"all rows of one {left_out.name} at a time",
        "predicts": f"all rows of a new {left_out.name}, jointly",
        "estimand": f"log p(y of one {left_out.name} | y of all others)",
        "estimator": "PSIS",
    }
    try:
        integral = integration.integral(design, draws, left_out, priors)
    except integration.NotIntegrableError as error:
        return words | {"refused": str(error), "warnings": []}, pd.DataFrame({"level": [], "rows": [], "elpd": []})
    draws = integral.enough(draws)
    order: list[NDArray[np.int64]] = []

    def log_densities() -> Iterator[Array]:
        for block in integral.blocks(draws):
            order.append(block.units)
            yield block.log_density

    values, mcse = psis.of_blocks(log_densities(), draws.chains)
    values.index = pd.Index(np.concatenate(order))
    table = values.sort_index(ignore_index=True)
    table.insert(0, "level", list(left_out.labels))
    table.insert(1, "rows", left_out.sizes)
    record = words | {"likelihood": integral.words, **_kept(integral)}
    record |= psis.summarise(table, draws.size, mcse, f"levels of {left_out.name}")
    record["warnings"] += integral.warnings()
    record["waic"] = psis.waic(table, integral.words)
    return record, table


def _kept(integral: integration.Integral) -> dict[str, Any]:
    """Return what was integrated out and what was conditioned on, as names."""
    structure = integral.structure
    touched = {name for found in structure.directions.values() for d in found for name in d.names}
    return {
        "integrated": list(structure.integrated),
        "conditioned": list(structure.conditioned),
        "coefficients_over_their_prior": sorted(touched),
        "method": integral.method,
        **({"quadrature": quality} if (quality := integral.quality()) else {}),
    }
