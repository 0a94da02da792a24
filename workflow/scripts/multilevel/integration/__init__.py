"""Likelihoods with group effects integrated out: log p(y_j | phi) of each unit, log p(y_i | y_j,-i, phi) of each row.

In closed form for normal responses with an identity link, else by quadrature; in blocks of units and draws.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multilevel import likelihood, predictor, units
from multilevel.design import Design
from multilevel.integration import gaussian, local
from multilevel.integration.coefficients import NotIntegrableError
from multilevel.integration.local import Batch, Structure
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.units import Units

__all__ = ["Block", "Integral", "NotIntegrableError", "integral"]

Array = NDArray[np.float64]

LOG = logging.getLogger(__name__)

_BY = {"closed form": "closed form"}

NUMBERS_A_SECOND = 1e8
"""What one core computes of a closed form, about: for forecasts in logs, never for choices."""


@dataclass(frozen=True)
class Block:
    """Values of some units.

    Parameters
    ----------
    units
        The units, shape (U,).
    log_density
        log p(y_j | phi_s), shape (S, U).
    rows
        Their rows, shape (n,).
    of_rows
        log p(y_i | y_j,-i, phi_s), shape (S, n); None where not asked for.
    """

    units: NDArray[np.int64]
    log_density: Array
    rows: NDArray[np.int64]
    of_rows: Array | None


@dataclass(frozen=True)
class Integral:
    """How the likelihood of each unit is computed.

    Parameters
    ----------
    structure
        What is integrated out and what is conditioned on.
    method
        ``closed form``, or ``none`` where nothing is integrated out.
    """

    structure: Structure
    method: str

    @property
    def words(self) -> str:
        """What is integrated out, how, and what is conditioned on, for records."""
        if self.method == "none":
            return "nothing is integrated out"
        effects = [f"the effects of {units.words(self.structure.integrated)}"] if self.structure.integrated else []
        alone = ["coefficients that no other rows inform, over their priors"] if self.structure.directions else []
        given = (
            f"; given the effects of {units.words(self.structure.conditioned)}" if self.structure.conditioned else ""
        )
        return f"integrated out by {_BY[self.method]}: {' and '.join(effects + alone)}{given}"

    def cost(self, draws: Draws, chosen: NDArray[np.bool_] | None = None) -> int:
        """Return how many numbers computing the values of the units takes, about."""
        most_rows = self._most_rows(draws)
        return draws.size * sum(gaussian.values(b) for b in local.batches(self.structure, most_rows, chosen))

    def blocks(self, draws: Draws, with_rows: bool = False, chosen: NDArray[np.bool_] | None = None) -> Iterator[Block]:
        """Yield the values of the units, block by block.

        Parameters
        ----------
        draws
            The posterior draws.
        with_rows
            Whether each row given the others of its unit is wanted.
        chosen
            Which units; all if left out.
        """
        seconds = self.cost(draws, chosen) / NUMBERS_A_SECOND
        what, size = self.structure.units, len(self.structure.design.y)
        LOG.info(
            "%s: %d units of %s, %d rows x %d draws; about %.0f s",
            self.words,
            what.count,
            what.name,
            size,
            draws.size,
            seconds,
        )
        for batch in local.batches(self.structure, self._most_rows(draws), chosen):
            yield self._block(batch, draws, with_rows)

    @staticmethod
    def _most_rows(draws: Draws) -> int:
        return max(1, predictor.BLOCK_VALUES // draws.size)

    def _block(self, batch: Batch, draws: Draws, with_rows: bool) -> Block:
        step = max(1, predictor.BLOCK_VALUES // gaussian.values(batch))
        compute = gaussian.log_likelihood if self.method == "closed form" else _given
        of_units = np.empty((draws.size, len(batch.units)))
        of_rows = np.empty((draws.size, len(batch.rows))) if with_rows else None
        for start in range(0, draws.size, step):
            part = slice(start, start + step)
            of_units[part], rows = compute(batch, draws.select(part), with_rows)
            if of_rows is not None:
                of_rows[part] = rows
        return Block(batch.units, of_units, batch.rows, of_rows)


def integral(design: Design, draws: Draws, of: Units, priors: Mapping[str, Prior] | None = None) -> Integral:
    """Return how log p(y_j | phi) is computed.

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    of
        The units.
    priors
        The prior of every parameter by name, where coefficients that one unit alone informs are integrated out too.

    Raises
    ------
    NotIntegrableError
        When it cannot be.
    """
    found = local.structure(design, of, largest_inner=10**6, priors=priors)
    missing = [term.key for g in found.groupings if g.local for term in g.terms if term.key not in draws.sd]
    if missing:
        raise NotIntegrableError(f"the draws hold no standard deviations of the effects of {', '.join(missing)}")
    if not found.parameters:
        return Integral(found, "none")
    if not gaussian.applies(design, found.parameters):
        raise NotIntegrableError(f"the integral over the effects of {of.name} has no closed form")
    return Integral(found, "closed form")


def _given(batch: Batch, draws: Draws, with_rows: bool) -> tuple[Array, Array | None]:
    """Return the same where nothing is integrated out: rows are independent given the draws."""
    design = batch.structure.design
    of_rows = likelihood.of_rows(design, batch.rows, predictor.arguments(design, draws, batch.rows))
    of_rows = np.broadcast_to(of_rows, (draws.size, len(batch.rows)))
    return np.add.reduceat(of_rows, batch.unit_starts, axis=1), of_rows if with_rows else None
