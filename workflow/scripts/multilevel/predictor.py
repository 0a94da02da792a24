"""Linear predictors from stored draws, and the curve made of them in a nonlinear model, in NumPy, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from multilevel import families, links
from multilevel.design import Design

Array = NDArray[np.float64]
Rows = slice | NDArray[np.int64]
"""Some rows: a slice, or their positions."""

BLOCK_VALUES = 4_000_000
"""Most values (draws x rows) that a block holds: 32 MB of float64."""


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one model, chains after one another.

    Parameters
    ----------
    chains, draws
        Their numbers; S = chains x draws.
    b
        Coefficients of all predictors, shape (S, coefficients), in the order of `Design.all_coefficients`.
    effects
        Group effects by term key, shape (S, levels, effects).
    others
        Scalar parameters of the family, shape (S,) each.
    sd
        Standard deviations of the group effects by term key, shape (S, effects).
    cor
        Their correlations by key of a correlated term, shape (S, pairs): row by row of the lower triangle.

    residual
        Parameters of correlated residuals, shape (S, parameters), in the order of `Residuals.parameters`; None without.

    Thresholds of an ordinal family and category-specific effects are among the coefficients.
    """

    chains: int
    draws: int
    b: Array
    effects: dict[str, NDArray[np.float32]]
    others: dict[str, Array]
    sd: dict[str, Array] = field(default_factory=dict)
    cor: dict[str, Array] = field(default_factory=dict)
    residual: Array | None = None

    @property
    def size(self) -> int:
        """Number of draws of all chains."""
        return self.chains * self.draws

    def at_mean(self, others: dict[str, float]) -> Draws:
        """Return one draw: posterior means of coefficients, effects and correlations, beside given scalar parameters."""
        effects: dict[str, Any] = {key: v.mean(axis=0, dtype=np.float64)[None] for key, v in self.effects.items()}
        means = {name: np.array([value]) for name, value in others.items()}
        residual = None if self.residual is None else self.residual.mean(axis=0)[None]
        return Draws(1, 1, self.b.mean(axis=0)[None], effects, means, residual=residual)

    def thinned(self, most: int) -> Draws:
        """Return at most so many draws, evenly spaced along each chain; all where there are no more."""
        index = self.thinning(most)
        return (
            self
            if len(index) == self.size
            else replace(self.select(index), chains=self.chains, draws=len(index) // self.chains)
        )

    def thinning(self, most: int) -> NDArray[np.int64]:
        """Return which draws `thinned` keeps."""
        step = -(-self.size // most)
        kept = np.arange(self.draws)[::-1][::step][::-1]
        return (np.arange(self.chains)[:, None] * self.draws + kept).ravel()

    def select(self, index: Any) -> Draws:
        """Return some of the draws, as one chain."""
        b = self.b[index]

        def of(values: Mapping[str, Any]) -> dict[str, Any]:
            return {key: value[index] for key, value in values.items()}

        residual = None if self.residual is None else self.residual[index]
        return Draws(1, len(b), b, of(self.effects), of(self.others), of(self.sd), of(self.cor), residual)


def read(path: Path, design: Design) -> Draws:
    """Read the draws that a linear predictor and a likelihood need from posterior.nc, and the covariances of group effects."""
    with xr.open_dataset(path, group="posterior", engine="netcdf4") as posterior:
        posterior.load()
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]

    def flat(name: str) -> Any:
        values = posterior[name].to_numpy()
        return values.reshape(chains * draws, *values.shape[2:])

    terms = [term.key for term in design.group_terms]
    b = flat("b") if "b" in posterior else np.zeros((chains * draws, 0))
    others = {name: flat(name) for name in design.scalars}
    effects, sd = ({key: flat(f"{name}_{key}") for key in terms} for name in ("r", "sd"))
    cor = {term.key: flat(f"cor_{term.key}") for term in design.group_terms if term.correlated}
    residual = flat("residual_correlation") if design.residuals else None
    return Draws(chains, draws, b, effects, others, sd, cor, residual)


def blocks(rows: int, draws: int) -> Iterator[slice]:
    """Yield slices of rows such that a block of draws x rows stays within `BLOCK_VALUES`."""
    step = max(1, BLOCK_VALUES // max(1, draws))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def linear_predictor(
    design: Design,
    draws: Draws,
    rows: Rows,
    parameter: str | None = None,
    without: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Array:
    """Return eta = X b + sum of Z r[level] + offset for some rows, shape (S, rows in the block).

    Parameters
    ----------
    design, draws
        The design and its posterior draws.
    rows
        The rows of the block.
    parameter
        The parameter whose linear predictor it is; the first one if left out (a curve has none: `curve`).
    without
        By term key, the rows whose group effects are left out of the sum, shape (all rows,).
    """
    name = parameter or design.parameters[0]
    part = next(p for p in design.predictors if p.parameter == name)
    total = draws.b[:, design.columns_of(name)] @ part.x[rows].T + part.offset[rows]
    for term in design.group_terms:
        if not (positions := term.positions(name)):
            continue
        kept = 1.0 if without is None or term.key not in without else np.where(without[term.key][rows], 0.0, 1.0)
        if not np.any(kept):
            continue
        for position in positions:
            total += term.of_rows(draws.effects[term.key][:, :, position], rows) * (term.z[rows, position] * kept)
    return np.asarray(total)


def curve_parameters(
    design: Design, draws: Draws, rows: Rows, without: Mapping[str, NDArray[np.bool_]] | None = None
) -> dict[str, Array]:
    """Return the parameters of the curve of a nonlinear model, shape (S, rows in the block) each."""
    assert design.curve is not None
    return {name: linear_predictor(design, draws, rows, name, without) for name in design.curve.parameters}


def eta(design: Design, draws: Draws, rows: Rows, without: Mapping[str, NDArray[np.bool_]] | None = None) -> Array:
    """Return what stands for the family's first parameter on the scale of its link: its linear predictor, or the curve.

    Parameters
    ----------
    design, draws, rows, without
        As in `linear_predictor`.

    Returns
    -------
    numpy.ndarray
        Shape (S, rows in the block); a curve may be infinite or NaN where its parameters leave its domain.
    """
    if design.curve is None:
        return linear_predictor(design, draws, rows, without=without)
    values = design.curve.at(curve_parameters(design, draws, rows, without), rows)
    return np.asarray(np.broadcast_to(values, (draws.size, len(design.y[rows]))))


def thresholds(design: Design, draws: Draws, rows: Rows) -> Array:
    """Return the thresholds of an ordinal family, less the category-specific effects of some rows.

    Returns
    -------
    numpy.ndarray
        Shape (S, rows, K - 1); (S, 1, K - 1) where nothing shifts them.
    """
    assert design.thresholds is not None
    count = len(design.thresholds.names)
    found = draws.b[:, None, :count]
    if not design.thresholds.predictors:
        return found
    size = len(design.thresholds.coefficients)
    effects = draws.b[:, draws.b.shape[1] - size :].reshape(len(draws.b), -1, count)
    return np.asarray(found - np.einsum("rp,spk->srk", design.thresholds.x[rows], effects, optimize=True))


def arguments(
    design: Design, draws: Draws, rows: Rows, without: Mapping[str, NDArray[np.bool_]] | None = None
) -> dict[str, Any]:
    """Return what a family's functions take for some rows.

    Parameters
    ----------
    design, draws, rows, without
        As in `linear_predictor`.

    Returns
    -------
    dict
        ``eta``, shape (S, rows), or (S, rows, K - 1) for unordered categories; ``link``; ``thresholds`` of an ordinal
        family; every other parameter, shape (S, 1), or (S, rows) where it has a linear predictor; ``trials`` and ``se``,
        shape (rows,), where the formula has them.
    """
    if design.nominal:
        of_categories = [linear_predictor(design, draws, rows, name) for name in design.parameters]
        return {"eta": np.stack(of_categories, axis=-1), "link": design.link}
    others: dict[str, Any] = {name: draws.others[name][:, None] for name in design.scalars}
    for part in design.predictors:
        if part.parameter in design.primary:
            continue
        link = families.get(design.family).OTHER_LINKS[part.parameter]
        others[part.parameter] = links.inverse(link, linear_predictor(design, draws, rows, part.parameter, without))
    if design.thresholds:
        others["thresholds"] = thresholds(design, draws, rows)
    return {"eta": eta(design, draws, rows, without), "link": design.link, **others, **terms(design, rows)}


def terms(design: Design, rows: Rows) -> dict[str, Array]:
    """Return those response terms that a family's functions take, for some rows."""
    return {name: values[rows] for name, values in design.terms.items() if name in {"trials", "se"}}
