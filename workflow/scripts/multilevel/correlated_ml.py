"""ML and REML of Gaussian models whose residuals are correlated within subjects, or whose sigma has predictors.

With e ~ N(0, D C D), D the rows' standard deviations and C the correlations (`residuals`), rows of y, X and Z that are
multiplied by C^(-1/2) D^-1 have independent residuals, and what is left is the model of `gaussian_ml`: its deviance at the
best coefficients, plus log |D C D|. That root mixes rows of one subject only, so that where every subject lies within one
level of each group term, Z keeps its blocks. The search is over the factors of the group terms, the correlations of residuals
on an unbounded scale, and the coefficients of log sigma; where sigma is one number it is profiled out as there.

Log likelihoods and restricted ones are those of R's nlme (gls and lme; Pinheiro & Bates 2000, sections 2.2 and 5.1).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from multilevel import gaussian_ml
from multilevel.default_priors import coefficient_name
from multilevel.design import INTERCEPT, Design, Term
from multilevel.gaussian_ml import CrossProducts, Estimator, Maximum, NotGaussianError
from multilevel.residuals import Residuals

Array = NDArray[np.float64]

FARTHEST = 20.0
"""Largest size of a correlation on the unbounded scale: 1 - 2e-9 of its range."""

PLACES = (0.0, 1.5, -1.5)
"""Where the search of the correlations starts on that scale, all of them alike."""


def applies(design: Design) -> bool:
    """Tell whether a design's residuals are more than one standard deviation."""
    return design.residuals is not None or len(design.predictors) > 1


def refusal(design: Design) -> str:
    """Return why such a design has no maximum here, as the end of a sentence; nothing where it has."""
    if design.terms:
        return f"our fit of predictors of sigma or correlated residuals takes no {'(), '.join(sorted(design.terms))}()"
    if any(set(term.parameters) != {design.parameters[0]} for term in design.group_terms):
        return "our fit has no group effects on sigma"
    found = design.residuals
    if found is None:
        return ""
    for term in design.group_terms:
        if not term.exchangeable:
            return f"our fit of correlated residuals takes exchangeable groups: {term.words}"
        if _splits(found, term):
            return (
                f"our fit of correlated residuals takes groups that hold whole subjects, and '{term.group}' splits them"
            )
        if found.structure in {"cs", "unstructured"} and term.group == found.group and INTERCEPT in term.effects:
            return f"a varying intercept of '{term.group}' and {found.structure} residuals have one likelihood for many values"
    return ""


def _splits(found: Residuals, term: Term) -> bool:
    """Tell whether rows of one subject belong to several levels of a term."""
    level = np.full(int(found.subject.max()) + 1, -1, dtype=np.int64)
    level[found.subject] = term.index
    return bool((level[found.subject] != term.index).any())


@dataclass(frozen=True)
class Whitened:
    """A design whose rows were made independent: what `gaussian_ml` takes, and log |D C D|."""

    design: Design
    log_determinant: float


def whiten(design: Design, sigma: Array, correlations: Array, *, profiled: bool = False) -> Whitened:
    """Return a design with independent residuals of the same density up to a factor.

    Parameters
    ----------
    design
        The design.
    sigma
        Standard deviation of every row, shape (rows,); relative to sigma where that is `profiled` out.
    correlations
        Parameters of the residuals, shape (parameters,).
    profiled
        Whether the residual standard deviation of the new design is to be estimated; otherwise it is 1.
    """
    found, part = design.residuals, design.predictors[0]
    log_determinant = 2.0 * float(np.log(sigma).sum())
    blocks = [(design.y - part.offset)[:, None], part.x, *(term.z for term in design.group_terms)]
    values = np.column_stack(blocks) / sigma[:, None]
    if found is not None:
        theta = correlations[None]
        values = found.whitened(theta, values)
        log_determinant += float(found.log_determinant(theta).sum())
    y, x, *columns = np.split(values, np.cumsum([block.shape[1] for block in blocks])[:-1], axis=1)
    terms = tuple(replace(term, z=z) for term, z in zip(design.group_terms, columns, strict=True))
    first = replace(part, x=x, offset=np.zeros(len(y)))
    plain = replace(design, y=y[:, 0], predictors=(first,), group_terms=terms, residuals=None)
    if not profiled:
        plain = replace(plain, parameters=design.parameters[:1], terms={"se": np.ones(len(y))})
    return Whitened(plain, log_determinant)


def log_likelihood(
    design: Design,
    coefficients: Array,
    sigma: Array,
    correlations: Array,
    covariances: list[Array],
    estimator: Estimator = "ml",
) -> float:
    """Return the (restricted) log likelihood at any parameters, the group effects integrated out.

    Parameters
    ----------
    design
        A design that `refusal` has nothing against.
    coefficients
        Of the mean, shape (coefficients,).
    sigma
        Standard deviation of every row's residual, shape (rows,).
    correlations
        Parameters of the residuals, in the order of `Residuals.parameters`.
    covariances
        Covariance of the effects of each group term.
    estimator
        ``reml`` for the restricted log likelihood.
    """
    white = whiten(design, sigma, correlations)
    plain = gaussian_ml.log_likelihood(white.design, coefficients, 1.0, covariances, estimator)
    return plain - 0.5 * white.log_determinant


def maximise(design: Design, estimator: Estimator) -> Maximum:
    """Maximise the likelihood or the restricted likelihood.

    Parameters
    ----------
    design
        A design with correlated residuals or predictors of sigma.
    estimator
        ``ml`` or ``reml``.

    Raises
    ------
    NotGaussianError
        When `refusal` says why, or the columns of X are linearly dependent.
    """
    if reason := refusal(design):
        raise NotGaussianError(reason)
    search = Search(design)
    starts = search.starts()
    ends = [_descend(search, estimator, start) for start in starts]
    reached = [search.deviance(end, estimator) for end in ends]
    best, decrement = gaussian_ml.polished(search, estimator, ends[int(np.argmin(reached))])
    theta, correlations, log_sigma = search.split(best)
    white = search.whitened(best)
    products = CrossProducts.of(white.design)
    theta = gaussian_ml.on_the_boundary(products, estimator, theta)
    found = gaussian_ml.described(white.design, products, estimator, theta, reached, decrement)
    names = design.residuals.parameters if design.residuals is not None else ()
    further = dict(zip(names, map(float, search.correlations(correlations)), strict=True))
    if search.sigma is not None:
        own = [coefficient_name(name) for name in search.sigma.coefficients]
        further |= dict(zip(own, map(float, log_sigma), strict=True))
    return replace(
        found,
        estimates=found.estimates | further,
        log_likelihood=found.log_likelihood - 0.5 * white.log_determinant,
        further=len(further),
    )


class Search:
    """The deviance of a design as a function of everything that is not profiled out.

    Parameters
    ----------
    design
        The design.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self.sigma = design.predictors[1] if len(design.predictors) > 1 else None
        self.terms = design.group_terms
        self.lambdas = gaussian_ml.starts(self.terms)
        self.size = len(design.residuals.parameters) if design.residuals is not None else 0

    def split(self, point: Array) -> tuple[Array, Array, Array]:
        """Return the elements of Lambda, the correlations on the unbounded scale, the coefficients of log sigma."""
        first = len(self.lambdas[0])
        return point[:first], point[first : first + self.size], point[first + self.size :]

    def correlations(self, unbounded: Array) -> Array:
        """Return the parameters of the residuals; of several correlations, from partial ones."""
        found = self.design.residuals
        if found is None:
            return np.zeros(0)
        near = np.clip(unbounded, -FARTHEST, FARTHEST)
        if not found.occasions:
            return np.asarray(found.lowest + (found.highest - found.lowest) * expit(near))
        return _from_partial(np.tanh(near / 2.0), len(found.occasions))

    def whitened(self, point: Array) -> Whitened:
        """Return the design whose rows are independent at a point."""
        _, unbounded, log_sigma = self.split(point)
        scale = np.ones(len(self.design.y))
        if self.sigma is not None:
            with np.errstate(over="ignore"):  # an infinite one has an infinite deviance
                scale = np.exp(self.sigma.x @ log_sigma + self.sigma.offset)
        return whiten(self.design, scale, self.correlations(unbounded), profiled=self.sigma is None)

    def deviance(self, point: Array, estimator: Estimator) -> float:
        """Return the profiled deviance or REML criterion; infinite where it cannot be computed."""
        with np.errstate(all="ignore"):
            try:
                white = self.whitened(point)
                value = CrossProducts.of(white.design).deviance(self.split(point)[0], estimator)
            except (np.linalg.LinAlgError, ValueError):
                return np.inf
        value += white.log_determinant
        return float(value) if np.isfinite(value) else np.inf

    def starts(self) -> list[Array]:
        """Return where the search starts: sizes of the group effects, each with correlations of either sign."""
        log_sigma = np.zeros(0)
        if self.sigma is not None:
            x, y = self.design.x, self.design.y - self.design.offset
            rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
            level = np.full(len(y), float(np.log(np.std(rest)))) - self.sigma.offset
            log_sigma = np.linalg.lstsq(self.sigma.x, level, rcond=None)[0]
        places = PLACES if self.size else PLACES[:1]
        return [
            np.concatenate([theta, np.full(self.size, place), log_sigma])
            for theta, place in itertools.product(self.lambdas, places)
        ]


def _descend(search: Search, estimator: Estimator, start: Array) -> Array:
    return gaussian_ml.descend(search, estimator, start)


def _from_partial(partial: Array, size: int) -> Array:
    """Return correlations, row by row of the lower triangle, from partial correlations given the earlier variables."""
    factor = np.zeros((size, size))
    factor[0, 0] = 1.0
    position = 0
    for i in range(1, size):
        rest = 1.0
        for j in range(i):
            factor[i, j] = partial[position] * rest
            rest *= float(np.sqrt(1.0 - partial[position] ** 2))
            position += 1
        factor[i, i] = rest
    return np.asarray((factor @ factor.T)[np.tril_indices(size, k=-1)])
