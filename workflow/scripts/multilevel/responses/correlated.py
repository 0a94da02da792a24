"""Normal likelihood with residuals that are correlated within subjects (`residuals`): the joint density of all rows.

Autoregressions by the density of each row given the one before it, compound symmetry by sums over subjects, unstructured
correlations by one triangular system for each set of occasions that subjects were seen at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped

from multilevel.design import Design
from multilevel.residuals import Residuals

pt: Any = pt_untyped  # PyTensor ships incomplete types

FEW_OCCASIONS = 8
"""Up to this many occasions a triangular system is written out."""


def add(design: Design, eta: Any, sigma: Any, theta: Any) -> None:
    """Add the response to the model that is being built.

    Parameters
    ----------
    design
        A design with correlated residuals.
    eta, sigma
        Mean of every row, and its standard deviation or one for all.
    theta
        The correlation, or the Cholesky factor of the occasions' correlations, row by row.
    """
    found = design.residuals
    assert found is not None
    z = ((design.y - eta) / sigma)[found.order]
    log_scale = pt.log(sigma)
    scales = log_scale.sum() if np.ndim(log_scale) else len(design.y) * log_scale
    constant = np.asarray(0.5 * len(design.y) * np.log(2.0 * np.pi))
    pm.Potential("y", _LOG_DENSITY[found.structure](found, theta, z) - scales - constant)


def autoregressive(found: Residuals, phi: Any, z: Any) -> Any:
    """Return the sum of log N(z | r z_before, 1 - r^2) without its constant, r = phi^gap."""
    gaps, which = np.unique(found.gaps[np.isfinite(found.gaps)], return_inverse=True)
    later = np.flatnonzero(np.isfinite(found.gaps))
    powers = phi ** np.asarray(gaps)
    rest = 1.0 - pt.sqr(powers)
    counts = np.bincount(which, minlength=len(gaps)).astype(np.float64)
    step = z[later] - powers[which] * z[later - 1]
    squares = (pt.sqr(step) / rest[which]).sum() + pt.sqr(z[found.starts]).sum()
    return -0.5 * (squares + (counts * pt.log(rest)).sum())


def _compound(found: Residuals, rho: Any, z: Any) -> Any:
    """Return the sum over subjects from the two eigenvalues of their correlations."""
    sizes = found.sizes.astype(np.float64)
    sums = pt.inc_subtensor(pt.zeros(len(sizes))[found.place], z)
    means = pt.sqr(sums) / sizes
    within, between = 1.0 - rho, 1.0 + (sizes - 1.0) * rho
    squares = (pt.sqr(z).sum() - means.sum()) / within + (means / between).sum()
    return -0.5 * (squares + np.asarray(sizes.sum() - len(sizes)) * pt.log(within) + pt.log(between).sum())


def _unstructured(found: Residuals, factor: list[list[Any]], z: Any) -> Any:
    """Return the sum over subjects, those seen at the same occasions together."""
    size = len(factor)
    if all(np.array_equal(seen, np.arange(len(seen))) for seen, _ in found.patterns) and size <= FEW_OCCASIONS:
        return _by_substitution(found, factor, z)
    whole = pt.stack([pt.stack([pt.as_tensor(v, dtype="float64") for v in row]) for row in factor])
    correlation = pt.dot(whole, whole.T)
    total: Any = np.asarray(0.0)
    for seen, places in found.patterns:
        if np.array_equal(seen, np.arange(len(seen))):  # the first so many: a leading part of the factor
            own = whole if len(seen) == size else whole[: len(seen), : len(seen)]
        else:
            own = pt.linalg.cholesky(correlation[seen[:, None], seen])
        white = pt.linalg.solve_triangular(own, z[places.T], lower=True)
        logs = pt.log(pt.diagonal(own)).sum()
        total = total - 0.5 * pt.sqr(white).sum() - np.asarray(float(len(places))) * logs
    return total


def _by_substitution(found: Residuals, factor: list[list[Any]], z: Any) -> Any:
    """Return the same where occasions are only missed at the end, row by row of the factor, which compiles faster."""
    total: Any = np.asarray(0.0)
    for seen, places in found.patterns:
        white: list[Any] = []
        for i in range(len(seen)):
            rest = z[places[:, i]]
            for j in range(i):
                rest = rest - factor[i][j] * white[j]
            white.append(rest / factor[i][i] if i else rest)
            total = total - 0.5 * pt.sqr(white[-1]).sum()
        for i in range(1, len(seen)):
            total = total - np.asarray(float(len(places))) * pt.log(factor[i][i])
    return total


_LOG_DENSITY: dict[str, Any] = {
    "ar1": autoregressive,
    "car1": autoregressive,
    "cs": _compound,
    "unstructured": _unstructured,
}
