"""Nodes and weights of integrals over a few effects, on coordinates in which the integrand is nearly standard normal.

``integral of g = sum_k exp(log_weight_k) g(x_k)``. Up to two effects: a product of Gauss-Hermite rules. More: points of a
Student t distribution from a scrambled Sobol sequence, each weighted by one over its density (importance sampling), whose
tails are heavier than those of any integrand with a normal prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp, ndtri
from scipy.stats import chi2, qmc

Array = NDArray[np.float64]

MOST_BY_PRODUCT = 2
"""Most effects that a product of Gauss-Hermite rules is used for."""

FEWEST, FEWEST_POINTS = 4, 64
"""Gauss-Hermite nodes for each effect, and importance sampling points, at level 0; each level has twice as many."""

HIGHEST = {1: 5, 2: 3, 3: 2, 4: 1}
"""Highest level by number of effects, inner and outer: nodes for each are 128 for one, 32 for two, 16 for three, 8 for four."""

HIGHEST_POINTS = 6
"""Highest level of importance sampling: 4096 points."""

INNER_OF_SAMPLED = 2
"""Highest level of the inner effects where the outer ones are sampled: 16 nodes for each."""

_LOG_SQRT_2PI = 0.5 * float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Nodes:
    """A rule.

    Parameters
    ----------
    points
        Shape (K, effects).
    log_weight
        Shape (K,).
    sampled
        Whether it is importance sampling.
    """

    points: Array
    log_weight: Array
    sampled: bool

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.points)


def highest(inner: int, outer: int) -> int:
    """Return the highest level for a number of inner and outer effects."""
    return HIGHEST_POINTS if outer > MOST_BY_PRODUCT else HIGHEST.get(inner + outer, 0)


def rules(inner: int, outer: int, level: int) -> tuple[Nodes, Nodes]:
    """Return the rules of a level for a number of inner and outer effects."""
    of_inner = min(level, INNER_OF_SAMPLED) if outer > MOST_BY_PRODUCT else level
    return rule(inner, of_inner), rule(outer, level)


@cache
def rule(size: int, level: int) -> Nodes:
    """Return the rule of a level for a number of effects; one node of weight 1 for none."""
    if size == 0:
        return Nodes(np.zeros((1, 0)), np.zeros(1), sampled=False)
    if size > MOST_BY_PRODUCT:
        return _sampled(size, FEWEST_POINTS * 2**level)
    points, weights = np.polynomial.hermite_e.hermegauss(FEWEST * 2**level)
    log_weight = np.log(weights) + 0.5 * np.square(points)
    if size == 1:
        return Nodes(points[:, None], log_weight, sampled=False)
    first, second = (part.ravel() for part in np.meshgrid(points, points, indexing="ij"))
    return Nodes(np.column_stack([first, second]), np.add.outer(log_weight, log_weight).ravel(), sampled=False)


def _sampled(size: int, count: int) -> Nodes:
    """Return points of a multivariate t distribution of 5 + size degrees of freedom, weighted by one over its density.

    The weights are scaled so that the normal density integrates to exactly 1: integrands are near it, and what all of them
    would be off by in common is gone.
    """
    freedom = 5.0 + size
    uniform = qmc.Sobol(size + 1, scramble=True, rng=np.random.default_rng(20210 + size)).random(count)
    uniform = np.clip(uniform, 1e-12, 1.0 - 1e-12)
    scale = np.sqrt(freedom / chi2.ppf(uniform[:, -1], freedom))
    points = ndtri(uniform[:, :size]) * scale[:, None]
    norm = gammaln((freedom + size) / 2) - gammaln(freedom / 2) - size / 2 * np.log(freedom * np.pi)
    log_density = norm - (freedom + size) / 2 * np.log1p(np.square(points).sum(axis=1) / freedom)
    of_normal = -0.5 * np.square(points).sum(axis=1) - size * _LOG_SQRT_2PI
    return Nodes(points, -log_density - logsumexp(of_normal - log_density), sampled=True)
