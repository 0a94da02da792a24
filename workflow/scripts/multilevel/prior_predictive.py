"""What the priors of a model say of the response before it is seen: parameters and responses drawn by NumPy, no PyMC.

The gate (Gabry, Simpson, Vehtari, Betancourt & Gelman 2019, JRSS-A 182:389): quantiles of the prior predictive distribution
beside the range of the data. Responses of a log link are compared on the log scale, others as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multilevel import default_priors, distributions, families, likelihood, predictor
from multilevel.default_priors import Resolved
from multilevel.design import Design, Term
from multilevel.predictor import Draws
from multilevel.priors import Prior
from multilevel.residuals import Residuals

Array = NDArray[np.float64]

DRAWS = 500
"""Draws from the prior."""

ROWS = 200
"""Rows that responses are drawn for, evenly spaced; all of them where there are fewer."""

FACTOR = 10.0
"""Width of the central 90 % of the prior predictive distribution, in ranges of the data, above which it is worth a word."""

EDGE = 0.01
"""Means closer than this to 0 or 1 are at the edge, of a response of proportions."""

MOST_AT_EDGE = 0.5
"""Share of means at the edge above which it is worth a word."""

MOST_UNDEFINED = 0.01
"""Share of draws at which a curve is not finite above which it is worth a word."""

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

OF_LOGARITHM = ("log", "softplus", "inverse")
"""Links whose responses are positive and are compared on the log scale."""

BOUNDED = ("bernoulli", "binomial", "beta", "beta_binomial", "zero_inflated_binomial", "zero_one_inflated_beta")
"""Families whose responses are 0 to 1, or successes of trials: no prior is wider than their range."""


@dataclass(frozen=True)
class Gate:
    """What a prior predictive distribution says beside the data.

    Parameters
    ----------
    quantiles
        Of the responses drawn, by probability; none where nothing can be drawn.
    lowest, median, highest
        Of the data.
    ratio
        Width of the central 90 % over the range of the data, on `scale`; for proportions the share of means at the edge.
    scale
        ``response``, ``log``, ``probability``; empty where nothing was compared.
    reason
        Why nothing was compared.
    warnings
        Sentences.
    """

    quantiles: dict[str, float]
    lowest: float
    median: float
    highest: float
    ratio: float | None
    scale: str
    reason: str = ""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values, with the thresholds that it was judged by."""
        return {
            **self.__dict__,
            "warnings": list(self.warnings),
            "draws": DRAWS,
            "factor": FACTOR,
            "most_at_edge": MOST_AT_EDGE,
        }


def gate(design: Design, resolved: Sequence[Resolved], seed: int) -> Gate:
    """Compare the prior predictive distribution with the data.

    Parameters
    ----------
    design, resolved
        The design and the priors of its parameters.
    seed
        The seed of the model's fit, from which the stream is derived: the fit's own draws stay independent.
    """
    y = design.y
    ends = (float(y.min()), float(np.median(y)), float(y.max()))
    if improper := [entry.parameter for entry in resolved if not entry.prior.proper]:
        shown = ", ".join(improper[:3]) + (f" and {len(improper) - 3} more" if len(improper) > 3 else "")
        return Gate({}, *ends, None, "", f"the prior of {shown} is improper, so nothing can be drawn from it")
    if design.categories:
        return Gate({}, *ends, None, "", "categories have no range to compare with")
    digest = hashlib.sha256(f"{seed}\x1fprior".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    rows: Any = np.unique(np.linspace(0, len(y) - 1, min(ROWS, len(y))).astype(np.int64))
    with np.errstate(all="ignore"):  # what a wild prior makes infinite is counted, not told
        prior = draws(design, resolved, rng, DRAWS)
        arguments = predictor.arguments(design, prior, rows)
        undefined = ~np.isfinite(arguments["eta"]).all(axis=1) if design.curve else np.zeros(DRAWS, dtype=bool)
        if undefined.all():
            return Gate({}, *ends, None, "", "the curve is not finite at any draw of the priors")
        if undefined.any():
            prior = prior.select(~undefined)
            arguments = predictor.arguments(design, prior, rows)
        if design.family in BOUNDED:
            return _told(_of_proportions(design, arguments, rows, ends), float(undefined.mean()))
        drawn = likelihood.replicates(design, rng, prior, rows)
    found = _of_numbers(design, np.nan_to_num(drawn.ravel(), posinf=np.finfo(float).max), ends)
    return _told(found, float(undefined.mean()))


def _told(gate_: Gate, undefined: float) -> Gate:
    """Add a warning where the priors let a curve be undefined in more than a few draws."""
    if undefined <= MOST_UNDEFINED:
        return gate_
    sentence = (
        f"the curve is not finite in {100 * undefined:.0f} % of the draws of the priors, which are left out here (worth a word "
        f"above {100 * MOST_UNDEFINED:.0f} %); priors of positive support keep parameters in the curve's domain"
    )
    return replace(gate_, warnings=(*gate_.warnings, sentence))


def _of_numbers(design: Design, drawn: Array, ends: tuple[float, float, float]) -> Gate:
    """Judge by the width of the central 90 %, and by whether the data lie inside the central 98 %."""
    found = np.quantile(drawn, QUANTILES)
    quantiles = {f"{q:g}": float(value) for q, value in zip(QUANTILES, found, strict=True)}
    log = design.link in OF_LOGARITHM or getattr(families.get(design.family), "OF_LOGARITHM", False)
    # Counts have zeros; what is continuous has not, and its smallest value says what is small.
    shift = 1.0 if families.get(design.family).KIND == "discrete" else 0.0
    log = log and ends[0] + shift > 0

    def scaled(value: float) -> float:
        return float(np.log(max(value + shift, np.finfo(float).tiny))) if log else value

    width = scaled(quantiles["0.95"]) - scaled(quantiles["0.05"])
    data = scaled(ends[2]) - scaled(ends[0])
    ratio = width / data if data > 0 else float("inf")
    warnings = []
    if ratio > FACTOR:
        on = "on the log scale " if log else ""
        times = f"{ratio:.0f}" if ratio < 1e6 else f"{ratio:.1g}"
        warnings.append(
            f"the priors are far wider than the data: 90 % of what they predict is between {quantiles['0.05']:.3g} and "
            f"{quantiles['0.95']:.3g}, {on}{times} times the range of '{design.response}' "
            f"({ends[0]:.3g} to {ends[2]:.3g}; worth a word above {FACTOR:g})"
        )
    if not quantiles["0.01"] <= ends[1] <= quantiles["0.99"]:
        warnings.append(
            f"the priors hardly allow the data: 98 % of what they predict is between {quantiles['0.01']:.3g} and "
            f"{quantiles['0.99']:.3g}, and the median of '{design.response}' is {ends[1]:.3g}"
        )
    return Gate(quantiles, *ends, ratio, "log" if log else "response", "", tuple(warnings))


def _of_proportions(design: Design, arguments: Mapping[str, Any], rows: Any, ends: tuple[float, float, float]) -> Gate:
    """Judge by how much of the prior says that the outcome is all but certain."""
    means = np.asarray(families.get(design.family).mean(**arguments))
    if "trials" in design.terms:
        means = means / design.terms["trials"][rows]
    found = np.quantile(means, QUANTILES)
    quantiles = {f"{q:g}": float(value) for q, value in zip(QUANTILES, found, strict=True)}
    share = float(np.mean((means < EDGE) | (means > 1.0 - EDGE)))
    warnings: tuple[str, ...] = ()
    if share > MOST_AT_EDGE:
        warnings = (
            (
                f"the priors say that '{design.response}' is all but certain: {100 * share:.0f} % of the probabilities that they "
                f"predict are below {EDGE:g} or above {1 - EDGE:g} (worth a word above {100 * MOST_AT_EDGE:.0f} %)"
            ),
        )
    return Gate(quantiles, *ends, share, "probability", "", warnings)


def draws(design: Design, resolved: Sequence[Resolved], rng: np.random.Generator, size: int) -> Draws:
    """Return parameters drawn from proper priors, coefficients at predictor values of 0.

    Parameters
    ----------
    design, resolved
        A design without thresholds and the priors of its parameters.
    rng, size
        The stream, and how many.
    """
    priors = {entry.parameter: entry.prior for entry in resolved}

    def draw(name: str) -> Array:
        return distributions.draw(priors[name], name, rng, size)

    columns: list[Array] = []
    for part in design.predictors:
        own = [draw(default_priors.coefficient_name(name)) for name in part.coefficients]
        if part.has_intercept:  # its prior is at the mean of the predictors
            position = part.coefficients.index(part.intercept)
            for i, mean in zip(part.slopes, part.means, strict=True):
                own[position] = own[position] - own[i] * mean
        columns += own
    others = {name: draw(name) for name in design.scalars}
    b = np.column_stack(columns) if columns else np.zeros((size, 0))
    effects = {term.key: _effects(term, priors, others, design.unprefixed, rng, size) for term in design.group_terms}
    residual = _residual(design.residuals, priors, rng, size) if design.residuals else None
    return Draws(1, size, b, effects, others, residual=residual)


def _residual(found: Residuals, priors: Mapping[str, Prior], rng: np.random.Generator, size: int) -> Array:
    """Return parameters of correlated residuals, shape (size, parameters)."""
    prior = priors[default_priors.residuals_name(found)]
    if found.occasions:
        below = np.tril_indices(len(found.occasions), k=-1)
        return distributions.lkj(len(found.occasions), prior.arguments[0], rng, size)[:, below[0], below[1]]
    return distributions.draw_between(prior, found.lowest, found.highest, rng, size)[:, None]


def _effects(
    term: Term,
    priors: Mapping[str, Prior],
    others: Mapping[str, Array],
    unprefixed: str,
    rng: np.random.Generator,
    size: int,
) -> NDArray[np.float32]:
    """Return effects of a term, shape (size, levels, effects)."""
    count = len(term.effects)
    if matrix := priors.get(default_priors.cov_name(term, unprefixed)):
        unit = others[matrix.unit] if matrix.unit else np.ones(size)
        covariance = distributions.draw_covariance(matrix, count, unit, rng)
    else:
        names = [default_priors.sd_name(term, effect) for effect in term.effects]
        sd = np.column_stack([distributions.draw(priors[name], name, rng, size) for name in names])
        eta = priors[default_priors.cor_name(term, unprefixed)].arguments[0] if term.correlated else 0.0
        correlation = distributions.lkj(count, eta, rng, size) if term.correlated else np.eye(count)[None]
        covariance = correlation * sd[:, :, None] * sd[:, None, :]
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), np.finfo(float).tiny))
    factor = np.linalg.cholesky(covariance / (scale[:, :, None] * scale[:, None, :]) + 1e-12 * np.eye(count))
    standard = _standard(term, priors, rng, size)
    found = np.einsum("sij,slj->sli", factor, standard) * scale[:, None, :]
    return np.asarray(np.clip(found, -1e30, 1e30), dtype=np.float32)


def _standard(term: Term, priors: Mapping[str, Prior], rng: np.random.Generator, size: int) -> Array:
    """Return standardised effects of a term, shape (size, levels, effects): by the structure of the levels."""
    found = rng.standard_normal((size, term.sources, len(term.effects)))
    if term.factor is not None:
        flat = term.factor @ found.transpose(1, 0, 2).reshape(term.sources, -1)
        found = flat.reshape(len(term.levels), size, -1).transpose(1, 0, 2)
    if term.chain is not None and term.autoregressive:
        name, chain = default_priors.phi_name(term), term.chain
        phi = distributions.draw_between(priors[name], chain.lowest, chain.highest, rng, size)[:, None]
        found = np.stack([chain.draws(rng, phi) for _ in term.effects], axis=-1)
    if term.dist == "student":  # the effects of a level share what makes their tails heavy
        name = default_priors.df_name(term)
        df = distributions.draw(priors[name], name, rng, size)[:, None, None]
        found = found / np.sqrt(rng.chisquare(df, (size, len(term.levels), 1)) / df)
    return np.asarray(found)
