"""Weights of models in a mixture of their predictions: stacking, and pseudo-BMA with the Bayesian bootstrap.

Neither is the probability of a model. Weights are made of the scores of the unit that is left out: with groups left out,
of group scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

Array = NDArray[np.float64]

REPLICATES = 2000
"""Draws of the Bayesian bootstrap."""


def stacking(matrix: Array) -> Array:
    """Return stacking weights of predictive distributions.

    Parameters
    ----------
    matrix
        elpd of each unit, shape (N, models).

    Returns
    -------
    numpy.ndarray
        Weights that maximise ``sum_i log sum_k w_k exp(elpd_ik)`` (Yao, Vehtari, Simpson & Gelman 2018, eq. 8), shape
        (models,). Each unit's maximum is subtracted first, so densities below exp(-745) do not underflow.
    """
    relative = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    count = matrix.shape[1]
    if count == 1:
        return np.ones(1)

    def objective(free: Array) -> tuple[float, Array]:
        logits = np.append(free, 0.0)
        weights = np.exp(logits - logsumexp(logits))
        mixture = relative @ weights
        gradient = (relative / mixture[:, None]).mean(axis=0)
        return -float(np.log(mixture).mean()), -(weights * (gradient - float(weights @ gradient)))[:-1]

    # The problem is concave in the weights: EM climbs from the centre, and a quasi-Newton step in logits polishes the end.
    weights = np.full(count, 1.0 / count)
    for _ in range(200):
        weights = weights * (relative / (relative @ weights)[:, None]).mean(axis=0)
        weights /= weights.sum()
    start = np.log(np.maximum(weights, 1e-12))
    found = minimize(
        objective,
        (start - start[-1])[:-1],
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10},
    )
    logits = np.append(found.x, 0.0)
    polished = np.exp(logits - logsumexp(logits))
    best = polished if np.log(relative @ polished).mean() >= np.log(relative @ weights).mean() else weights
    return np.asarray(np.where(best < 1e-6, 0.0, best) / best[best >= 1e-6].sum())


def pseudo_bma(matrix: Array, seed: int, replicates: int = REPLICATES) -> Array:
    """Return pseudo-BMA+ weights: Akaike-type weights of elpd, averaged over the Bayesian bootstrap of the units.

    With a ~ Dirichlet(1, ..., 1) over the N units, z_k = N sum_i a_i elpd_ik and w_k the mean of exp(z_k) / sum_l exp(z_l)
    (Yao, Vehtari, Simpson & Gelman 2018, section 3.4; Rubin 1981).

    Parameters
    ----------
    matrix
        elpd of each unit, shape (N, models).
    seed
        Of the bootstrap.
    replicates
        Draws of it.
    """
    count = len(matrix)
    draws = np.random.default_rng(seed).dirichlet(np.ones(count), size=replicates)
    totals = count * draws @ (matrix - matrix.max(axis=1, keepdims=True))
    return np.asarray(np.exp(totals - logsumexp(totals, axis=1, keepdims=True)).mean(axis=0))


def pseudo_bma_of_totals(totals: Array, covariance: Array, seed: int, replicates: int = REPLICATES) -> Array:
    """Return the same weights where the totals are over very many units, of which some were sampled.

    Of so many units the Bayesian bootstrap of a total is normal.

    Parameters
    ----------
    totals
        elpd of all units, shape (models,).
    covariance
        Of the totals' differences from that of one model, shape (models, models).
    seed
        Of the bootstrap.
    replicates
        Draws of it.
    """
    rng = np.random.default_rng(seed)
    z = rng.multivariate_normal(totals - totals.max(), covariance, replicates, method="eigh")
    return np.asarray(np.exp(z - logsumexp(z, axis=1, keepdims=True)).mean(axis=0))
