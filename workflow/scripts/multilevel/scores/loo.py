"""Leave-one-observation-out by Pareto-smoothed importance sampling: log p(y_i | y_-i), a new observation in a known group.

One estimand, two estimators. The *conditional* one weights the draws by 1 / p(y_i | b, phi), given the group effects. The
*integrated* one weights them by 1 / p(y_i | y_j,-i, phi), the effects of the row's group integrated out, which moves the
draws far less: where a group has few rows, the conditional one can be too optimistic though every Pareto k is good
(Merkle, Furr & Rabe-Hesketh 2019, Psychometrika 84:802; Vehtari, Mononen, Tolvanen, Sivula & Winther 2016, JMLR 17(103)).
Each row says which of the two its score is from; the conditional values stand beside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import integration, likelihood, predictor, psis
from multilevel.design import Design
from multilevel.integration import Integral
from multilevel.names import OBSERVATION
from multilevel.predictor import Draws

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

INTEGRATED, CONDITIONAL = "integrated PSIS", "conditional PSIS"

GIVEN = "given the group effects"

NO_WAIC = "it is defined for rows that are independent given the parameters, and {words}"
"""Why there is no WAIC of rows whose residuals are correlated (Bürkner, Gabry & Vehtari 2021)."""

WORDS = {
    "criterion": "loo",
    "unit": OBSERVATION,
    "leaves_out": "one observation at a time",
    "predicts": "a new observation in a known group",
    "estimand": "log p(y_i | y_-i)",
}

CHEAP = 300.0
"""Most seconds that the integrated estimator may take, by counts: not timed, so that the choice is the same everywhere."""


def score(design: Design, draws: Draws) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the LOO record and its pointwise values.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.

    Returns
    -------
    tuple
        The record, and a table with ``elpd``, ``p_loo``, ``pareto_k``, ``r_eff`` and ``mcse`` for each row, the
        ``estimator`` that they are from, and the conditional ``p_waic``, ``elpd_conditional`` and ``pareto_k_conditional``.
        Of very many rows, a sample is scored (`subsampled`); the table's index is the position of each row.
    """
    from multilevel.scores import subsampled  # which needs what is in this module

    if (sample := subsampled.sample(len(design.y))) is not None:
        return subsampled.score(design, draws, sample)
    integral, why_not = integration.most(design, draws)
    draws = draws if integral is None else integral.enough(draws)
    chosen = affordable(integral, draws) if integral is not None else np.zeros(len(design.y), dtype=bool)
    conditional, of_all, of_others = _conditional(design, draws, chosen)
    table = conditional.copy()
    if integral is not None and chosen.any():
        of_others = of_others + _integrated(integral, draws, chosen, table)
    table["estimator"] = np.where(chosen, INTEGRATED, CONDITIONAL)
    table["elpd_conditional"], table["pareto_k_conditional"] = conditional["elpd"], conditional["pareto_k"]
    record = WORDS | psis.summarise(table, draws.size, psis.mcse_of_total(of_others, draws.chains))
    record |= _estimators(design, integral, chosen, why_not)
    if integral is not None and (quality := integral.quality(with_rows=True)):
        record["quadrature"] = quality
        record["warnings"] += integral.warnings(with_rows=True)
    record["conditional"] = psis.summarise(conditional, draws.size, psis.mcse_of_total(of_all, draws.chains))
    if design.residuals is None:
        record["waic"] = psis.waic(conditional, GIVEN)
    else:
        record |= without_waic(design.residuals.words)
    return record, table


def without_waic(words: str) -> dict[str, Any]:
    """Return what a record says where residuals are correlated: in which words, and why there is no WAIC."""
    return {"correlated": words, "why_no_waic": NO_WAIC.format(words=words)}


def from_log_density(blocks: Iterable[Array], chains: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the record and the pointwise values of log densities given the group effects.

    Parameters
    ----------
    blocks
        log p(y_i | theta_s) in blocks of rows, shape (S, rows) each, chains after one another.
    chains
        Number of chains.
    """
    blocks = list(blocks)
    table, mcse = psis.of_blocks(blocks, chains)
    return WORDS | psis.summarise(table, len(blocks[0]), mcse), table


def affordable(integral: Integral, draws: Draws) -> Mask:
    """Return the rows that are scored by integration: none where it costs too much, and none of a very large group.

    In a group of so many rows the effects are known whether or not one of them is left out.
    """
    small = integral.structure.units.sizes <= max(1, predictor.BLOCK_VALUES // draws.size)
    if not small.any() or integral.seconds(draws, small) > CHEAP:
        return np.zeros(len(integral.structure.design.y), dtype=bool)
    return np.asarray(small[integral.structure.units.index])


def _conditional(design: Design, draws: Draws, chosen: Mask) -> tuple[pd.DataFrame, Array, Array]:
    """Return the values given the group effects, and the influence of each draw on all rows and on those not chosen."""
    values: list[dict[str, float]] = []
    of_all, of_others = np.zeros(draws.size), np.zeros(draws.size)
    for rows, log_density in likelihood.conditional(design, draws):
        for column, elsewhere in zip(log_density.T, chosen[rows], strict=True):
            found, influence = psis.smoothed(column, draws.chains)
            values.append(found)
            of_all += influence
            if not elsewhere:
                of_others += influence
    return pd.DataFrame(values), of_all, of_others


def _integrated(integral: Integral, draws: Draws, chosen: Mask, table: pd.DataFrame) -> Array:
    """Put the integrated values of the chosen rows into the table; return the influence of each draw on them, shape (S,)."""
    lpd = (table["elpd"] + table["p_loo"]).to_numpy()
    columns = {name: table[name].to_numpy(copy=True) for name in ("elpd", "p_loo", "pareto_k", "r_eff", "mcse")}
    total = np.zeros(draws.size)
    for block in integral.blocks(draws, with_rows=True, chosen=integral.units_with(chosen)):
        assert block.of_rows is not None  # asked for
        for row, log_density in zip(block.rows, block.of_rows.T, strict=True):
            found, influence = psis.smoothed(log_density, draws.chains)
            found["p_loo"] = lpd[row] - found["elpd"]
            for name, column in columns.items():
                column[row] = found[name]
            total += influence
    for name, column in columns.items():
        table[name] = column
    return total


def _estimators(design: Design, integral: Integral | None, chosen: Mask, why_not: str) -> dict[str, Any]:
    """Return how the scores were estimated, in words and by number of rows."""
    count, rows = int(chosen.sum()), len(chosen)
    given = GIVEN if design.group_terms else "given the coefficients; there are no group effects"
    if design.residuals is not None:
        given = f"{GIVEN if design.group_terms else 'given the coefficients'} and the other rows, p(y_i | y_-i, theta), because "
        given += design.residuals.words
    if integral is None or not count:
        reason = why_not or "integrating the group effects out would take too long"
        return {
            "likelihood": given,
            "estimator": CONDITIONAL,
            "estimators": {CONDITIONAL: rows},
            "why_conditional": reason,
        }
    if count == rows:
        return {"likelihood": integral.words, "estimator": INTEGRATED, "estimators": {INTEGRATED: rows}}
    return {
        "likelihood": f"{integral.words} for {count} of {rows} observations, {given} for the others",
        "estimator": f"{INTEGRATED}, {CONDITIONAL} for {rows - count} observations",
        "estimators": {INTEGRATED: count, CONDITIONAL: rows - count},
        "why_conditional": "groups of so many rows that their effects are known without any one of them",
    }
