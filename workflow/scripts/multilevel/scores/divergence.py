"""Kullback-Leibler divergences between the responses that two independent draws predict, the penalties of Plummer.

Of an exponential family with natural parameters eta_k and means m_k = E T_k, KL(1 || 2) + KL(2 || 1) = sum_k (eta_1k - eta_2k)
(m_1k - m_2k). Its mean over independent pairs of draws is 2 sum_k cov(eta_k, m_k), so that no pairs need be formed:

- ``p_kl``, the effective number of parameters of Plummer (2002, discussion of Spiegelhalter et al., JRSS-B 64:620), is the sum
  over rows of cov(eta, m) over the posterior;
- ``p_opt``, the optimism of Plummer (2008, Biostatistics 9:523), is twice the same over the posterior without the row, draws
  being weighted by 1 / p(y_i | theta); or, where the group effects are integrated out, by 1 / p(y_i | y_j,-i, phi), and
  averaged over the effects given the other rows. Weights given the effects make it too small where groups are small, though
  every Pareto k is good, as they do the score (`loo`).

rjags::dic.samples has the same two, from pairs of chains at the same iteration instead of all pairs of draws. Its weights for
popt are 1 / p(y_i | theta) as they are, ours are smoothed by a Pareto distribution: where that distribution has a k above 0.7
JAGS' popt jumps from run to run and ours is biased.

Probabilities of K categories are such a family too, with the log probabilities for natural parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from multilevel import families, links
from multilevel.design import Design
from multilevel.integration import Features
from multilevel.predictor import Rows

Array = NDArray[np.float64]
Pairs = list[tuple[Array, Array]]

PROBED = ("cens", "lb", "ub")
"""Response terms under which a row is no plain member of its family."""


def reason_against(design: Design) -> str:
    """Return why these divergences have no closed form for a design, or nothing."""
    if design.family not in _PARTS and not families.has_categories(design.family):
        return f"the family {design.family} is no exponential family in all of its parameters"
    if design.residuals is not None:
        return f"{design.residuals.words}, so that rows are no plain members of their family"
    if found := [name for name in PROBED if name in design.terms]:
        return "censored rows are no plain response" if "cens" in found else "truncated rows are no plain response"
    return ""


def parts(design: Design, rows: Rows, arguments: Mapping[str, Any]) -> Pairs:
    """Return natural parameters and means of the sufficient statistics, shape (S, rows) each, or (S, nodes, rows).

    A row of weight w counts w times, as w equal rows. Categories stand in a last axis.

    Parameters
    ----------
    design, rows
        The design and a block of its rows.
    arguments
        What the family's functions take (`predictor.arguments`).
    """
    if families.has_categories(design.family):
        named = {name: value for name, value in arguments.items() if name != "trials"}
        log_p = np.asarray(families.get(design.family).log_probabilities(**named))
        found = [(log_p[..., k], np.exp(log_p[..., k])) for k in range(log_p.shape[-1])]
    else:
        # Divergences do not change when response and mean move together: near 0, squares lose no digits.
        centre = np.log(design.y[rows]) if design.family == "lognormal" else design.y[rows]
        found = _PARTS[design.family]({**arguments, "centre": centre})
    if "weights" not in design.terms:
        return found
    weights = design.terms["weights"][rows]
    return [(natural, mean * weights) for natural, mean in found]


def expected(pairs: Pairs, weights: Array) -> tuple[float, Array]:
    """Return the mean over independent pairs of draws of half the symmetrised divergence, summed over rows, and its influence.

    Parameters
    ----------
    pairs
        What `parts` returned.
    weights
        Weights of the draws for each row, which sum to 1 over draws, shape (S, rows).

    Returns
    -------
    tuple
        The sum over rows, and what each draw adds to it, whose mean over draws has the error of the sum: shape (S,).
    """
    product: Array = np.zeros_like(weights)
    for natural, mean in pairs:
        values = [np.broadcast_to(part, weights.shape) for part in (natural, mean)]
        product += np.multiply(*(value - (weights * value).sum(axis=0) for value in values))
    # Draws of a pair are different ones, as the n - 1 of a sample covariance has it.
    share = 1.0 - np.square(weights).sum(axis=0)
    of_rows = (weights * product).sum(axis=0) / share
    influence = len(weights) * (weights * (product - of_rows)).sum(axis=1)
    return float(of_rows.sum()), np.asarray(influence)


def features(design: Design) -> Features:
    """Return, for `Integral.blocks`, natural parameters, means and their products: what `expected_of_averages` takes."""

    def of(rows: NDArray[np.int64], arguments: Mapping[str, Any]) -> Array:
        shape = np.shape(arguments["eta"])[:3]
        found: list[Array] = []
        for natural, mean in parts(design, rows, arguments):
            both = [np.broadcast_to(part, shape) for part in (natural, mean)]
            found += [*both, both[0] * both[1]]
        return np.stack(found)

    return of


def expected_of_averages(averages: Array, weights: Array) -> tuple[float, Array]:
    """Return what `expected` does, of draws whose effects were averaged over.

    Parameters
    ----------
    averages
        Of what `features` returns, over the effects given each draw, shape (features, S, rows).
    weights
        Weights of the draws for each row, which sum to 1 over draws, shape (S, rows).
    """
    share = 1.0 - np.square(weights).sum(axis=0)
    of_rows: Array = np.zeros(weights.shape[1])
    moved: Array = np.zeros_like(weights)
    for natural, mean, product in averages.reshape(-1, 3, *averages.shape[1:]):
        middle = [(weights * part).sum(axis=0) for part in (natural, mean, product)]
        # Two draws of a pair are different ones, so that the products of one draw's own averages are taken out.
        own = (np.square(weights) * natural * mean).sum(axis=0)
        of_rows = of_rows + middle[2] - (middle[0] * middle[1] - own) / share
        moved += product - middle[2] - middle[0] * (mean - middle[1]) - middle[1] * (natural - middle[0])
    return float(of_rows.sum()), np.asarray(len(weights) * (weights * moved).sum(axis=1))


def _normal(middle: Array, variance: Array, centre: Array) -> Pairs:
    near = middle - centre
    variance = np.broadcast_to(variance, near.shape)
    return [(near / variance, near), (-0.5 / variance, near**2 + variance)]


def _gaussian(at: dict[str, Any]) -> Pairs:
    sigma, se = (np.asarray(at.get(name, 0.0), dtype=np.float64) for name in ("sigma", "se"))
    return _normal(links.inverse(at.get("link", "identity"), at["eta"]), sigma**2 + se**2, at["centre"])


def _lognormal(at: dict[str, Any]) -> Pairs:
    return _normal(np.asarray(at["eta"]), np.square(at["sigma"]), at["centre"])


def _binomial(at: dict[str, Any]) -> Pairs:
    log_p, log_q = links.log_tails(at.get("link", "logit"), at["eta"])
    return [(log_p - log_q, np.exp(log_p) * at.get("trials", 1.0))]


def _poisson(at: dict[str, Any]) -> Pairs:
    log_mu = links.log_inverse(at.get("link", "log"), at["eta"])
    return [(log_mu, np.exp(log_mu))]


def _exponential(at: dict[str, Any]) -> Pairs:
    mu = np.exp(links.log_inverse(at.get("link", "log"), at["eta"]))
    return [(-1.0 / mu, mu)]


def _gamma(at: dict[str, Any]) -> Pairs:
    log_mu = links.log_inverse(at.get("link", "log"), at["eta"])
    shape = np.broadcast_to(at["shape"], log_mu.shape)
    mu = np.exp(log_mu)
    return [(shape, digamma(shape) - np.log(shape) + log_mu), (-shape / mu, mu)]


def _beta(at: dict[str, Any]) -> Pairs:
    p = links.inverse(at.get("link", "logit"), at["eta"])
    phi = np.broadcast_to(at["phi"], p.shape)
    a, b = p * phi, (1.0 - p) * phi
    return [(a, digamma(a) - digamma(phi)), (b, digamma(b) - digamma(phi))]


def _inverse_gaussian(at: dict[str, Any]) -> Pairs:
    mu = np.exp(links.log_inverse(at.get("link", "log"), at["eta"]))
    shape = np.broadcast_to(at["shape"], mu.shape)
    return [(-shape / (2.0 * mu**2), mu), (-shape / 2.0, 1.0 / mu + 1.0 / shape)]


_PARTS = {
    "gaussian": _gaussian,
    "lognormal": _lognormal,
    "bernoulli": _binomial,
    "binomial": _binomial,
    "poisson": _poisson,
    "exponential": _exponential,
    "gamma": _gamma,
    "beta": _beta,
    "inverse_gaussian": _inverse_gaussian,
}
