"""From a design to a `pm.Model`: families, structures and priors turned into PyMC. Compiled and run by `sampling`.

Predictors are centred for sampling where there is an intercept, and group effects are standardised offsets unless
`parameterisation` says otherwise. A correlation matrix is built from independent partial correlations, which gives exactly
the LKJ density (Lewandowski, Kurowicka & Joe 2009, J. Multivariate Analysis 100:1989, section 2.4) and compiles quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt_untyped
from scipy.special import gammaln, multigammaln

from multilevel import curve_priors, default_priors, distributions, families, responses
from multilevel.design import Design, Predictor, Term, Thresholds, variable_name
from multilevel.parameterisation import HIERARCHICAL, NON_CENTRED, how, of_levels
from multilevel.priors import LOWEST, Prior
from multilevel.residuals import Residuals
from multilevel.responses import correlated

pt: Any = pt_untyped  # PyTensor ships incomplete types

DENSE_ABOVE = 0.2
"""Share of elements of a known covariance's factor that are not 0, above which it is multiplied as a dense matrix."""

FEW_COLUMNS = 8
"""Up to this many columns, X b is summed column by column, which compiles faster than a matrix product."""


SEEN = "seen_rows"
"""Data of a model that is compiled once for several sets of rows: 1 for rows that are seen, 0 for others."""

UNSEEN = 0.5
"""Linear predictor of a row that is not seen: every family has a finite log density there, which is then multiplied by 0."""


def build(
    design: Design,
    priors: Sequence[default_priors.Resolved],
    centred: bool | Mapping[str, str],
    *,
    rows_change: bool = False,
) -> pm.Model:
    """Build the PyMC model of a design.

    Parameters
    ----------
    design
        The design.
    priors
        The prior of every parameter, from `default_priors.resolve`.
    centred
        Whether group effects are sampled directly instead of as standardised offsets; or how those of each term are, by
        its key (`parameterisation`).
    rows_change
        Whether the model has the data `SEEN`, so that one that is compiled once can be sampled given some of the rows. Levels
        without any row that is seen have effects all the same: as their prior says, given the others.

    Returns
    -------
    pymc.Model
        Free variables: ``intercept`` (at the mean of the predictors) and ``slopes``, with the parameter's name behind for
        parameters other than the first (``slopes_sigma``); ``thresholds`` (at the mean of the predictors), or
        ``first_threshold`` and ``delta``, and ``specific``, category-specific effects; the family's other parameters; and,
        for a term with key k, ``sd_k``, ``partial_k``, and ``offsets_k``, or ``effects_k_i``, or, centred hierarchically,
        ``level_k_i``. Correlated residuals have ``phi`` or ``rho`` (or ``phi_share``, its place between its ends), or
        ``partial_residuals``.
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
        starts = curve_priors.starts(design, by_name) if design.curve else {}
        fixed = {part.parameter: _fixed_part(part, by_name, starts.get(part.parameter)) for part in design.predictors}
        etas = {name: found[0] for name, found in fixed.items()}
        ways = how(design, centred)
        units = {p.prior.unit for p in priors if p.prior.unit}
        scalars = {name: _scalar(name, by_name[name]) for name in design.scalars if name in units}
        for term in design.group_terms:
            centres = _centres(design, term, fixed) if ways[term.key] == HIERARCHICAL else None
            own_way = ways[term.key] != NON_CENTRED and term.exchangeable
            at = _starts_of_sds(design, term, by_name, starts)
            effects = _group_effects(term, by_name, own_way, design.unprefixed, scalars, centres, at)
            for position, (effect, owner) in enumerate(zip(effects, term.parameters, strict=True)):
                etas[owner] = etas[owner] + _times(term.z[:, position], term.of_rows(effect))
        for part in design.predictors:
            if part.offset.any():
                etas[part.parameter] = etas[part.parameter] + part.offset
        seen = pm.Data(SEEN, np.ones(len(design.y))) if rows_change else None
        etas = {name: value if name in design.primary else _switched(value, seen) for name, value in etas.items()}
        eta = [etas.pop(name) for name in design.primary]
        if design.curve:
            values = dict(zip(design.primary, eta, strict=True))
            # Of columns and single parameters alone, a curve may be one number: rows are counted by the response.
            eta = [design.curve.at(values, functions=_FUNCTIONS) + np.zeros(len(design.y))]
        inverse = families.get(design.family).OTHER_LINKS
        others = {name: responses.INVERSE_LINKS[inverse[name]](value) for name, value in etas.items()}
        if design.thresholds:
            others["thresholds"] = _thresholds(design.thresholds, by_name)
        scalars |= {name: _scalar(name, by_name[name]) for name in design.scalars if name not in units}
        others |= {name: scalars[name] for name in design.scalars}
        if seen is not None:
            eta = [_switched(value, seen) for value in eta]
            counted: Any = design.terms.get("weights", 1.0) * seen
            design = replace(design, terms={**design.terms, "weights": counted})
        if design.residuals:
            theta = _residuals(design.residuals, by_name[default_priors.residuals_name(design.residuals)])
            correlated.add(design, eta[0], others["sigma"], theta)
        else:
            responses.get(design.family).add(design, eta if design.nominal else eta[0], others)
    return model


def _residuals(found: Residuals, prior: Prior) -> Any:
    """Return what `responses.correlated` takes: one correlation, or the Cholesky factor of all, row by row."""
    if found.occasions:
        return _correlation_factor("residuals", len(found.occasions), prior.arguments[0])
    return _between(found.parameters[0], found, prior)


def _between(name: str, found: Residuals, prior: Prior) -> Any:
    """Return a correlation that lies between two ends."""
    lowest, highest = np.asarray(found.lowest), np.asarray(found.highest)
    first, second = (np.asarray(value) for value in prior.arguments)
    if prior.name == "beta":
        share = pm.Beta(f"{name}_share", first, second)
        return pm.Deterministic(name, lowest + (highest - lowest) * share)
    if prior.name == "uniform":
        return pm.Uniform(name, first, second)
    return pm.TruncatedNormal(name, mu=first, sigma=second, lower=lowest, upper=highest)


def _switched(value: Any, seen: Any) -> Any:
    """Return a linear predictor with `UNSEEN` in rows that are not seen; the predictor itself where all are."""
    return value if seen is None else pt.switch(pt.gt(seen, 0), value, np.asarray(UNSEEN))


def _centres(design: Design, term: Term, fixed: Mapping[str, tuple[Any, Any, Any]]) -> list[Any]:
    """Return the mean of each effect of a term, one value or a vector over its levels: what the fixed part says of it."""
    first = np.zeros(len(term.levels), dtype=np.int64)
    first[term.index[::-1]] = np.arange(len(term.index))[::-1]
    centres: list[Any] = []
    for effect, owner in zip(term.effects, term.parameters, strict=True):
        part = next(p for p in design.predictors if p.parameter == owner)
        _, intercept, slopes = fixed[owner]
        centre: Any = 0.0
        if effect == part.intercept:
            centre = intercept if part.has_intercept else 0.0
            columns = part.x - part.x.mean(axis=0) if part.centre is None else part.x.copy()
            if part.centre is not None:
                columns[:, part.slopes] -= part.centre
            for i in of_levels(part.x, term):
                position = part.slopes.index(i)
                values = (columns if part.centred else part.x)[first, i]
                centre = centre + values * slopes[position]
        elif effect in part.coefficients:
            centre = slopes[part.slopes.index(part.coefficients.index(effect))]
        centres.append(centre)
    return centres


def still(design: Design) -> frozenset[str]:
    """Return how the names of variables start that all chains have one start of: a curve may not be finite a little away."""
    if design.curve is None:
        return frozenset()
    parts = (part for part in design.predictors if part.parameter in design.primary)
    of_terms = {f"{name}_{term.key}" for term in design.group_terms for name in ("offsets", "effects", "level")}
    return frozenset(of_terms | {variable_name(name, part) for part in parts for name in ("intercept", "slopes")})


def _starts_of_sds(
    design: Design, term: Term, priors: Mapping[str, Prior], starts: Mapping[str, list[float]]
) -> list[float] | None:
    """Return where the sds of a term with effects on a curve's parameters start; None of any other term."""
    if not set(term.parameters) & set(starts):
        return None
    own = [priors.get(default_priors.sd_name(term, effect)) for effect in term.effects]
    return curve_priors.starts_of_sds(design, term.parameters, own, starts)


def _fixed_part(part: Predictor, priors: Mapping[str, Prior], starts: list[float] | None) -> tuple[Any, Any, Any]:
    """Return X b with the columns of X centred where there is an intercept, or thresholds for it; intercept and slopes.

    Parameters
    ----------
    part, priors
        The predictor, and the prior of every parameter by name.
    starts
        Where its coefficients start, of a curve's parameter.
    """
    intercept: Any = None
    slopes: Any = None
    names = [part.coefficients[i] for i in part.slopes]
    columns = part.x[:, part.slopes]
    eta: Any = np.zeros(len(part.x))
    if part.centred:
        columns = columns - part.means
    if part.has_intercept:
        first = starts[part.coefficients.index(part.intercept) :][:1] if starts else None
        intercept = _variable(variable_name("intercept", part), [priors[part.intercept]], None, first)
        eta = intercept
    if names:
        own = [priors[default_priors.coefficient_name(n)] for n in names]
        at = [starts[i] for i in part.slopes] if starts else None
        slopes = _variable(variable_name("slopes", part), own, variable_name("slope", part), at)
        if len(names) <= FEW_COLUMNS:
            for position in range(len(names)):
                eta = eta + columns[:, position] * slopes[position]
        else:
            eta = eta + pt.dot(columns, slopes)
    return eta, intercept, slopes


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


def _group_effects(
    term: Term,
    priors: Mapping[str, Prior],
    centred: bool,
    unprefixed: str,
    scalars: Mapping[str, Any],
    centres: list[Any] | None,
    starts: list[float] | None = None,
) -> list[Any]:
    """Return the effects of a term, one vector over its levels for each effect; sampled about `centres` where given.

    `starts` are where its sds start, if not where PyMC has them start.
    """
    size = len(term.effects)
    matrix = priors.get(default_priors.cov_name(term, unprefixed))
    if matrix is not None:
        start = {"initval": np.asarray(starts)} if starts else {}
        sd = pm.HalfFlat(f"sd_{term.key}", dims=f"{term.key}_effect", **start)
        eta = matrix.arguments[0] if matrix.name == "decov" else 1.0
        factor = _correlation_factor(term.key, size, eta) if term.correlated else np.eye(size).tolist()
        pm.Potential(f"cov_{term.key}", _covariance(matrix, sd, factor, scalars.get(matrix.unit, 1.0)))
    else:
        own = [priors[default_priors.sd_name(term, e)] for e in term.effects]
        sd = _variable(f"sd_{term.key}", own, f"{term.key}_effect", starts)
        factor = (
            _correlation_factor(term.key, size, priors[default_priors.cor_name(term, unprefixed)].arguments[0])
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
        name, dims = f"effects_{term.key}_{i}", f"{term.key}_level"
        if centres is None:
            effect = pm.Normal(name, mean, sd[i] * factor[i][i], dims=dims)
        else:
            whole = pm.Normal(f"level_{term.key}_{i}", centres[i] + mean, sd[i] * factor[i][i], dims=dims)
            effect = pm.Deterministic(name, whole - centres[i], dims=dims)
        standard.append((effect / sd[i] - (_sum(below) if below else 0.0)) / factor[i][i])
        effects.append(effect)
    return effects


def _offsets(term: Term, priors: Mapping[str, Prior]) -> Any:
    """Return standardised effects, shape (effects, levels): independent, of a known covariance, in time, or student-t.

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
    if term.chain is not None and term.autoregressive:
        phi = _between(f"phi_{term.key}", term.chain, priors[default_priors.phi_name(term)])
        offsets = pm.Flat(name, dims=(f"{term.key}_effect", f"{term.key}_level"))
        constant = np.asarray(0.5 * size * len(term.levels) * np.log(2.0 * np.pi))
        total = _sum([correlated.autoregressive(term.chain, phi, offsets[i][term.chain.order]) for i in range(size)])
        pm.Potential(f"{name}_prior", total - constant)
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


def _covariance(prior: Prior, sd: Any, factor: list[list[Any]], unit: Any) -> Any:
    """Return what the prior of a covariance matrix adds to the density of its sds and correlations.

    Parameters
    ----------
    prior
        One of `priors.MATRIX`; the formulas are those of `distributions.log_density_of_covariance`.
    sd, factor
        The sds, and the Cholesky factor of the correlations, whose density is LKJ (eta 1 but for ``decov``).
    unit
        What sds are measured in.
    """
    size = len(factor)
    logs = pt.log(sd)
    if prior.name == "decov":
        _, concentration, shape, scale = prior.arguments
        u = sd / (unit * scale)
        total = pt.sum(u**2)
        tau = pt.sqrt(total / size)
        constant = (
            gammaln(size * concentration) - size * gammaln(concentration) - gammaln(shape) + (size - 1) * np.log(2.0)
        )
        density = (shape - 2.0) * pt.log(tau) - tau - np.log(size) + constant
        density += 2.0 * (concentration - 1.0) * pt.sum(pt.log(u)) - (size * (concentration - 1.0) + size - 1) * pt.log(
            total
        )
        return density + pt.sum(logs) - 2.0 * size * pt.log(unit * scale)
    nu = prior.arguments[0]
    scale_matrix = distributions.scale_matrix(prior, size)
    log_det = 2.0 * pt.sum(logs) + 2.0 * _sum([pt.log(factor[i][i]) for i in range(1, size)] or [0.0])
    # Entries of the covariance matrix by sds and correlations: 2^p times the product of sd^p.
    jacobian = size * (np.log(2.0) + pt.sum(logs)) + distributions.log_lkj_constant(size, 1.0)
    constant = -0.5 * nu * size * np.log(2.0) - multigammaln(0.5 * nu, size)
    if prior.name == "inverse_wishart":
        columns = np.linalg.cholesky(scale_matrix).T
        trace = _sum([_sum([z**2 for z in _solved(factor, sd, column)]) for column in columns])
        power, constant = -0.5 * (nu + size + 1), constant + 0.5 * nu * np.linalg.slogdet(scale_matrix)[1]
    else:
        columns = np.linalg.cholesky(np.linalg.inv(scale_matrix)).T
        trace = _sum(
            [
                _sum([float(column[i]) * sd[i] * factor[i][j] for i in range(j, size)]) ** 2
                for column in columns
                for j in range(size)
            ]
        )
        power, constant = 0.5 * (nu - size - 1), constant - 0.5 * nu * np.linalg.slogdet(scale_matrix)[1]
    return power * log_det - 0.5 * trace + jacobian + constant


def _solved(factor: list[list[Any]], sd: Any, column: np.ndarray) -> list[Any]:
    """Return z with (sd times factor) z = column, from the first row down."""
    found: list[Any] = []
    for i, value in enumerate(column):
        rest = float(value) / sd[i]
        for j in range(i):
            rest = rest - factor[i][j] * found[j]
        found.append(rest / factor[i][i])
    return found


def _correlation_factor(key: str, size: int, eta: float) -> list[list[Any]]:
    """Return the Cholesky factor of an LKJ(eta) correlation matrix, row by row, from partial correlations."""
    # Partial correlations of variables k < i given the first k ones: (p + 1) / 2 ~ Beta(s, s), s = eta + (size - 2 - k) / 2.
    shapes = [eta + (size - 2 - k) / 2.0 for i in range(1, size) for k in range(i)]
    partial = 2.0 * pm.Beta(f"partial_{key}", shapes, shapes, shape=len(shapes)) - 1.0
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


def _variable(name: str, priors: Sequence[Prior], dims: str | None, starts: Sequence[float] | None = None) -> Any:
    """Return a scalar (dims None) or a vector of parameters; one vector variable for each distribution among the priors.

    Where a variance or a precision has the distribution, that is the variable, and the standard deviation follows from it.
    `starts` are where coefficients start, if not where PyMC has them start.
    """
    kinds = sorted({(p.name, p.on) for p in priors})
    if dims is None:
        prior = priors[0]
        own = f"{name}_{prior.on}" if prior.on else name
        found = _distribution(own, prior.name, [prior.arguments], None, start=starts and np.float64(starts[0]))
        return pm.Deterministic(name, _as_sd(found, prior.on)) if prior.on else found
    if len(kinds) == 1 and not kinds[0][1]:
        start = starts and np.asarray(starts)
        return _distribution(name, kinds[0][0], [p.arguments for p in priors], dims, len(priors), start)
    parts: list[Any] = [None] * len(priors)
    for kind, on in kinds:
        where = [i for i, p in enumerate(priors) if (p.name, p.on) == (kind, on)]
        own = f"{name}_{on}_{kind}" if on else f"{name}_{kind}"
        start = np.asarray([_on_its_scale(starts[i], on) for i in where]) if starts else None
        variable = _distribution(own, kind, [priors[i].arguments for i in where], None, len(where), start)
        for position, i in enumerate(where):
            parts[i] = _as_sd(variable[position], on)
    return pm.Deterministic(name, pt.stack(parts), dims=dims)


def _on_its_scale(sd: float, on: str) -> float:
    """Return the variance or precision of a standard deviation; the value itself where neither has the prior."""
    return {"": sd, "variance": sd**2, "precision": sd**-2}[on]


def _as_sd(value: Any, on: str) -> Any:
    """Return the standard deviation of a variance or a precision; the value itself where it is one."""
    if not on:
        return value
    return pt.sqrt(value) if on == "variance" else 1.0 / pt.sqrt(value)


def _distribution(
    name: str,
    kind: str,
    arguments: Sequence[tuple[float, ...]],
    dims: str | None,
    size: int | None = None,
    start: Any = None,
) -> Any:
    columns: list[Any] = [np.asarray(column) for column in zip(*arguments, strict=True)]
    shape: dict[str, Any] = {"dims": dims} if dims else ({"shape": size} if size else {})
    if not shape:
        columns = [column[0] for column in columns]  # not Python's floats: PyTensor takes 2.5 in single precision
    return _DISTRIBUTIONS[kind](name, columns, shape if start is None else {**shape, "initval": start})


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


_FUNCTIONS: dict[str, Any] = {
    **{
        name: getattr(pt, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tan", "tanh")
    },
    "inv_logit": pt.sigmoid,
    "logit": lambda p: pt.log(p) - pt.log1p(-p),
    "minimum": pt.minimum,
    "maximum": pt.maximum,
    "where": pt.switch,
}
"""Functions of curves (`curves.ARITY`) in PyTensor."""

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
    "positive_normal": lambda n, a, s: pm.TruncatedNormal(n, mu=a[0], sigma=a[1], lower=0.0, **s),
    "flat": lambda n, a, s: pm.Flat(n, **s),  # noqa: ARG005 (one shape)
    "half_flat": lambda n, a, s: pm.HalfFlat(n, **s),  # noqa: ARG005 (one shape)
}
