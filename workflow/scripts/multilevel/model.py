"""From a design to a `pm.Model`: families, structures and priors turned into PyMC. Compiled and run by `sampling`.

Predictors are centred for sampling where there is an intercept, and group effects are standardised offsets unless the
model says ``centred: true``. A correlation matrix is built from independent partial correlations, which gives exactly
the LKJ density (Lewandowski, Kurowicka & Joe 2009, J. Multivariate Analysis 100:1989, section 2.4) and compiles quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped
from scipy.special import gammaln

from multilevel import default_priors, distributions, families, responses
from multilevel.design import Design, Predictor, Term, Thresholds, variable_name
from multilevel.priors import LOWEST, Prior

pt: Any = pt_untyped  # PyTensor ships incomplete types

DENSE_ABOVE = 0.2
"""Share of elements of a known covariance's factor that are not 0, above which it is multiplied as a dense matrix."""

FEW_COLUMNS = 8
"""Up to this many columns, X b is summed column by column, which compiles faster than a matrix product."""


def build(design: Design, priors: Sequence[default_priors.Resolved], centred: bool) -> pm.Model:
    """Build the PyMC model of a design.

    Parameters
    ----------
    design
        The design.
    priors
        The prior of every parameter, from `default_priors.resolve`.
    centred
        Whether group effects are sampled directly instead of as standardised offsets.

    Returns
    -------
    pymc.Model
        Free variables: ``intercept`` (at the mean of the predictors) and ``slopes``, with the parameter's name behind for
        parameters other than the first (``slopes_sigma``); ``thresholds`` (at the mean of the predictors), or
        ``first_threshold`` and ``delta``, and ``specific``, category-specific effects; the family's other parameters; and,
        for a term with key k, ``sd_k``, ``partial_k``, and ``offsets_k`` or ``effects_k``.
    """
    by_name = {p.parameter: p.prior for p in priors}
    coords: dict[str, Any] = {}
    for part in design.predictors:
        coords[variable_name("slope", part)] = [part.coefficients[i] for i in part.slopes]
    if design.thresholds:
        coords |= {"threshold": list(design.thresholds.names), "specific_effect": list(design.thresholds.coefficients)}
    for term in design.group_terms:
        coords[f"{term.key}_level"] = list(term.levels)
        coords[f"{term.key}_effect"] = list(term.effects)
        coords[f"{term.key}_source"] = list(range(term.sources))
    with pm.Model(coords=coords, check_bounds=False) as model:
        # check_bounds=False drops only PyMC's own argument checks; every scale is positive by its transform.
        etas = {part.parameter: _fixed_part(part, by_name) for part in design.predictors}
        for term in design.group_terms:
            effects = _group_effects(term, by_name, centred and term.exchangeable, design.unprefixed)
            for position, (effect, owner) in enumerate(zip(effects, term.parameters, strict=True)):
                etas[owner] = etas[owner] + _times(term.z[:, position], term.of_rows(effect))
        for part in design.predictors:
            if part.offset.any():
                etas[part.parameter] = etas[part.parameter] + part.offset
        eta = [etas.pop(name) for name in design.primary]
        inverse = families.get(design.family).OTHER_LINKS
        others = {name: responses.INVERSE_LINKS[inverse[name]](value) for name, value in etas.items()}
        if design.thresholds:
            others["thresholds"] = _thresholds(design.thresholds, by_name)
        others |= {name: _scalar(name, by_name[name]) for name in design.scalars}
        responses.get(design.family).add(design, eta if design.nominal else eta[0], others)
    return model


def _fixed_part(part: Predictor, priors: Mapping[str, Prior]) -> Any:
    """Return X b with the columns of X centred where there is an intercept, or thresholds for it."""
    names = [part.coefficients[i] for i in part.slopes]
    columns = part.x[:, part.slopes]
    eta: Any = np.zeros(len(part.x))
    if part.centred:
        columns = columns - part.means
    if part.has_intercept:
        eta = _variable(variable_name("intercept", part), [priors[part.intercept]], None)
    if names:
        own = [priors[default_priors.coefficient_name(n)] for n in names]
        slopes = _variable(variable_name("slopes", part), own, variable_name("slope", part))
        if len(names) <= FEW_COLUMNS:
            for position in range(len(names)):
                eta = eta + columns[:, position] * slopes[position]
        else:
            eta = eta + pt.dot(columns, slopes)
    return eta


def _thresholds(thresholds: Thresholds, priors: Mapping[str, Prior]) -> Any:
    """Return the thresholds less the category-specific effects: shape (K - 1,), or (rows, K - 1) where there are any."""
    names, size = thresholds.names, len(thresholds.names)
    if thresholds.equidistant:
        first = _variable("first_threshold", [priors[names[0]]], None)
        found = first + _variable("delta", [priors["delta"]], None) * np.arange(float(size))
    elif thresholds.ordered:
        found = _increasing([priors[name] for name in names])
    else:
        found = _variable("thresholds", [priors[name] for name in names], "threshold")
    if not thresholds.predictors:
        return found
    own = [priors[default_priors.coefficient_name(name)] for name in thresholds.coefficients]
    effects = _variable("specific", own, "specific_effect")
    columns = thresholds.x - thresholds.centre
    shifts = [columns[:, [i]] * effects[i * size : (i + 1) * size] for i in range(len(thresholds.predictors))]
    return found - _sum(shifts)


def _increasing(priors: Sequence[Prior]) -> Any:
    """Return thresholds that increase: the density of their priors, restricted to that order.

    Where all priors are one, the order is one of (K - 1)! equally likely ones, and the density is multiplied by that
    number; otherwise it is known up to a constant.
    """
    start = np.linspace(-2.0, 2.0, len(priors)) if len(priors) > 1 else np.zeros(1)
    found = pm.Flat("thresholds", dims="threshold", transform=pm.distributions.transforms.ordered, initval=start)
    total: Any = np.asarray(gammaln(len(priors) + 1.0) if len(set(priors)) == 1 else 0.0)
    for kind in sorted({p.name for p in priors}):
        where = [i for i, p in enumerate(priors) if p.name == kind]
        columns = [np.asarray(column) for column in zip(*(priors[i].arguments for i in where), strict=True)]
        total = total + pm.logp(_FREE[kind](columns), found[np.asarray(where)]).sum()
    pm.Potential("thresholds_prior", total)
    return found


def _group_effects(term: Term, priors: Mapping[str, Prior], centred: bool, unprefixed: str) -> list[Any]:
    """Return the effects of a term, one vector over its levels for each effect."""
    size = len(term.effects)
    sd = _variable(
        f"sd_{term.key}", [priors[default_priors.sd_name(term, e)] for e in term.effects], f"{term.key}_effect"
    )
    factor = (
        _correlation_factor(term, priors[default_priors.cor_name(term, unprefixed)].arguments[0])
        if term.correlated
        else np.eye(size).tolist()
    )
    if not centred:
        offsets = _offsets(term, priors)
        return [
            sd[i] * _sum(factor[i][j] * offsets[j] for j in range(i + 1) if _present(factor[i][j])) for i in range(size)
        ]
    effects: list[Any] = []
    standard: list[Any] = []
    for i in range(size):
        below = [factor[i][j] * standard[j] for j in range(i) if _present(factor[i][j])]
        mean = sd[i] * _sum(below) if below else 0.0
        effect = pm.Normal(f"effects_{term.key}_{i}", mean, sd[i] * factor[i][i], dims=f"{term.key}_level")
        standard.append((effect / sd[i] - (_sum(below) if below else 0.0)) / factor[i][i])
        effects.append(effect)
    return effects


def _offsets(term: Term, priors: Mapping[str, Prior]) -> Any:
    """Return standardised effects, shape (effects, levels): independent, of a known covariance, or student-t.

    The effects of one level are jointly student-t: the density of a spherical t in as many dimensions as effects.
    """
    name, size = f"offsets_{term.key}", len(term.effects)
    if term.dist == "student":
        df = _scalar(f"df_{term.key}", priors[default_priors.df_name(term)], lowest=LOWEST["df"])
        offsets = pm.Flat(name, dims=(f"{term.key}_effect", f"{term.key}_level"))
        each = pt.gammaln((df + size) / 2.0) - pt.gammaln(df / 2.0) - 0.5 * size * pt.log(df * np.pi)
        rest = 0.5 * (df + size) * pt.log1p((offsets**2).sum(axis=0) / df)
        pm.Potential(f"{name}_prior", len(term.levels) * each - rest.sum())
        return offsets
    if term.factor is None:
        return pm.Normal(name, 0.0, 1.0, dims=(f"{term.key}_effect", f"{term.key}_level"))
    independent = pm.Normal(name, 0.0, 1.0, dims=(f"{term.key}_effect", f"{term.key}_source"))
    if term.factor.nnz > DENSE_ABOVE * term.factor.shape[0] * term.factor.shape[1]:
        return pt.dot(independent, np.ascontiguousarray(term.factor.toarray().T))
    return _sparse_product(term.factor, independent)


def _sparse_product(factor: Any, values: Any) -> Any:
    """Return values F' for a sparse constant F: each row of F gathers few values, strip by strip of equally many."""
    counts = np.diff(factor.indptr)
    strips = []
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        where = factor.indptr[rows][:, None] + np.arange(count)
        gathered = values[:, factor.indices[where]] * factor.data[where]
        strips.append((rows, gathered.sum(axis=-1) if count else pt.zeros((values.shape[0], len(rows)))))
    order = np.argsort(np.concatenate([rows for rows, _ in strips]), kind="stable")
    return pt.concatenate([part for _, part in strips], axis=1)[:, order]


def _correlation_factor(term: Term, eta: float) -> list[list[Any]]:
    """Return the Cholesky factor of an LKJ(eta) correlation matrix, row by row, from partial correlations."""
    size = len(term.effects)
    # Partial correlations of variables k < i given the first k ones: (p + 1) / 2 ~ Beta(s, s), s = eta + (size - 2 - k) / 2.
    shapes = [eta + (size - 2 - k) / 2.0 for i in range(1, size) for k in range(i)]
    partial = 2.0 * pm.Beta(f"partial_{term.key}", shapes, shapes, shape=len(shapes)) - 1.0
    rows: list[list[Any]] = [[1.0] + [0.0] * (size - 1)]
    position = 0
    for i in range(1, size):
        row: list[Any] = []
        rest: Any = 1.0
        for _ in range(i):
            p = partial[position]
            row.append(p * rest)
            rest = rest * pt.sqrt(1.0 - p**2)
            position += 1
        rows.append([*row, rest] + [0.0] * (size - 1 - i))
    return rows


def _present(value: Any) -> bool:
    """Tell a structural zero of a factor from anything else."""
    return not (isinstance(value, float) and value == 0.0)


def _sum(parts: Any) -> Any:
    first, *rest = list(parts)
    for part in rest:
        first = first + part
    return first


def _times(column: np.ndarray, effect: Any) -> Any:
    return effect if (column == 1.0).all() else column * effect


def _scalar(name: str, prior: Prior, lowest: float | None = None) -> Any:
    """Return a parameter with one value; its prior is cut off where its values start (`priors.LOWEST`, if left out)."""
    if (lowest := LOWEST.get(name) if lowest is None else lowest) is None:
        return _variable(name, [prior], None)
    ends = (max(lowest, prior.arguments[0]), prior.arguments[1]) if prior.name == "uniform" else (lowest, None)
    interval = pm.distributions.transforms.Interval(*(None if e is None else np.float64(e) for e in ends))  # as below
    columns = [np.asarray(value) for value in prior.arguments]
    pm.Potential(f"{name}_above", pt.as_tensor(np.asarray(-distributions.log_survival(prior, lowest))))
    return _DISTRIBUTIONS[prior.name](name, columns, {"default_transform": interval})


def _variable(name: str, priors: Sequence[Prior], dims: str | None) -> Any:
    """Return a scalar (dims None) or a vector of parameters; one vector variable for each distribution among the priors."""
    kinds = sorted({p.name for p in priors})
    if dims is None:
        return _distribution(name, priors[0].name, [priors[0].arguments], None)
    if len(kinds) == 1:
        return _distribution(name, kinds[0], [p.arguments for p in priors], dims)
    parts: list[Any] = [None] * len(priors)
    for kind in kinds:
        where = [i for i, p in enumerate(priors) if p.name == kind]
        variable = _distribution(f"{name}_{kind}", kind, [priors[i].arguments for i in where], None, len(where))
        for position, i in enumerate(where):
            parts[i] = variable[position]
    return pm.Deterministic(name, pt.stack(parts), dims=dims)


def _distribution(
    name: str, kind: str, arguments: Sequence[tuple[float, ...]], dims: str | None, size: int | None = None
) -> Any:
    columns: list[Any] = [np.asarray(column) for column in zip(*arguments, strict=True)]
    shape: dict[str, Any] = {"dims": dims} if dims else ({"shape": size} if size else {})
    if not shape:
        columns = [column[0] for column in columns]  # not Python's floats: PyTensor takes 2.5 in single precision
    return _DISTRIBUTIONS[kind](name, columns, shape)


def _sqrt_inverse_gamma(name: str, shape: Any, scale: Any, **settings: Any) -> Any:
    """Return a standard deviation whose square is inverse_gamma(shape, scale)."""
    return pm.CustomDist(
        name,
        shape,
        scale,
        logp=_log_sqrt_inverse_gamma,
        random=_draw_sqrt_inverse_gamma,
        support_point=_middle_of_sqrt_inverse_gamma,
        **{"default_transform": pm.distributions.transforms.log, **settings},
    )


def _log_sqrt_inverse_gamma(value: Any, shape: Any, scale: Any) -> Any:
    """Return log p(sd): that of the variance, sd^2, and the Jacobian 2 sd."""
    constant = np.log(2.0) + shape * pt.log(scale) - pt.gammaln(shape)
    density = constant - (2.0 * shape + 1.0) * pt.log(value) - scale / value**2
    return pt.switch(pt.gt(value, 0.0), density, -np.inf)


def _middle_of_sqrt_inverse_gamma(rv: Any, _size: Any, shape: Any, scale: Any) -> Any:
    """Return the mode, where the sampler starts."""
    return pt.sqrt(scale / (shape + 0.5)) + pt.zeros_like(rv)


def _draw_sqrt_inverse_gamma(shape: Any, scale: Any, rng: Any = None, size: Any = None) -> Any:
    return np.sqrt(scale / rng.gamma(shape, 1.0, size))


_FREE: dict[str, Any] = {
    "normal": lambda a: pm.Normal.dist(a[0], a[1]),
    "student_t": lambda a: pm.StudentT.dist(nu=a[0], mu=a[1], sigma=a[2]),
    "cauchy": lambda a: pm.Cauchy.dist(a[0], a[1]),
    "logistic": lambda a: pm.Logistic.dist(a[0], a[1]),
}
"""Distributions on the whole line, which are named as variables are not."""

_DISTRIBUTIONS: dict[str, Any] = {
    "normal": lambda n, a, s: pm.Normal(n, a[0], a[1], **s),
    "student_t": lambda n, a, s: pm.StudentT(n, nu=a[0], mu=a[1], sigma=a[2], **s),
    "cauchy": lambda n, a, s: pm.Cauchy(n, a[0], a[1], **s),
    "logistic": lambda n, a, s: pm.Logistic(n, a[0], a[1], **s),
    "half_normal": lambda n, a, s: pm.HalfNormal(n, a[0], **s),
    "half_student_t": lambda n, a, s: pm.HalfStudentT(n, nu=a[0], sigma=a[1], **s),
    "half_cauchy": lambda n, a, s: pm.HalfCauchy(n, a[0], **s),
    "exponential": lambda n, a, s: pm.Exponential(n, lam=a[0], **s),
    "gamma": lambda n, a, s: pm.Gamma(n, alpha=a[0], beta=a[1], **s),
    "inverse_gamma": lambda n, a, s: pm.InverseGamma(n, alpha=a[0], beta=a[1], **s),
    "sqrt_inverse_gamma": lambda n, a, s: _sqrt_inverse_gamma(n, a[0], a[1], **s),
    "lognormal": lambda n, a, s: pm.LogNormal(n, a[0], a[1], **s),
    "beta": lambda n, a, s: pm.Beta(n, alpha=a[0], beta=a[1], **s),
    "uniform": lambda n, a, s: pm.Uniform(n, a[0], a[1], **s),
}
