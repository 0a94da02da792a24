"""Design of one model: response, fixed matrix X of each linear predictor and, for each group term, Z, the level index and labels.

The first parameter of the family has the linear predictor of the formula; others may have one of their own, whose
coefficients and effects are prefixed as in brms: ``sigma_Intercept``, ``sigma_floor``. Ordinal families have thresholds in
the place of an intercept; families of unordered categories have a linear predictor for each category but the first. In a
nonlinear model the first parameter is a curve, and each of the curve's parameters has a linear predictor, prefixed likewise.

Rebuilt from data.nc by every job that needs it, so it is never stored.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from numpy.typing import NDArray
from scipy import sparse

from multilevel import categories, curves, expressions, families, formula, matrix_errors, relationships
from multilevel import residuals as structures_of_residuals
from multilevel.dataset import Dataset, level_text
from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean
from multilevel.formula import GroupTerm
from multilevel.residuals import Residuals
from multilevel.structures import rw

Array = NDArray[np.float64]

INTERCEPT = "Intercept"


CENSORED = {"none": 0, "left": -1, "right": 1, "interval": 2}
"""Kinds of censoring by name, as brms codes them."""


@dataclass(frozen=True)
class Term:
    """One group term, built.

    Parameters
    ----------
    key
        Name in files and variables; unique in the model (``county``, ``county_2``, ``school__class``).
    label
        How its parameters are written: the grouping, with a number where a parameter has several terms of it.
    group
        The grouping: a column, or several (``school:class``).
    effects
        Names of what varies: ``("Intercept", "floor", "sigma_Intercept")``.
    parameters
        Parameter whose linear predictor each effect belongs to.
    z
        Columns of the effects, shape (rows, effects).
    index
        Level of each row, shape (rows,); of several levels for each row, shape (rows, members).
    levels
        Labels of the levels, in the order of the index.
    correlated
        Whether the covariance over effects is full.
    scales
        Standard deviation of what multiplies each effect, 1 for an intercept or a factor contrast.
    structure
        Covariance over the levels.
    weights
        What the effects of a row's levels count, shape (rows, members); None where each row has one level, counting once.
    factor
        Of a known covariance K = F F' over the levels, F, sparse, shape (levels, columns).
    dist
        Distribution of the effects (`formula.DISTRIBUTIONS`).
    covariance
        Name of the known covariance.
    by
        The level of another factor that these levels are of (``treatment[A]``), where covariances differ by it.
    chain
        When each level is, and in which series, where levels follow each other in time.
    """

    key: str
    label: str
    group: str
    effects: tuple[str, ...]
    parameters: tuple[str, ...]
    z: Array
    index: NDArray[np.int64]
    levels: tuple[str, ...]
    correlated: bool
    scales: Array
    structure: str = "independent"
    weights: Array | None = None
    factor: Any = None
    dist: str = "gaussian"
    covariance: str = ""
    by: str = ""
    chain: Residuals | None = None

    @property
    def exchangeable(self) -> bool:
        """Whether each row has one level and levels are drawn on their own from one normal distribution."""
        return self.weights is None and self.factor is None and self.dist == "gaussian" and self.chain is None

    @property
    def autoregressive(self) -> bool:
        """Whether levels are correlated by a power of a parameter, ``phi(week)``."""
        return self.structure == "ar1"

    @property
    def words(self) -> str:
        """What it is, where it is not `exchangeable`, as part of a sentence."""
        if self.chain is not None:
            return f"the levels of '{self.group}' follow each other in time ({self.structure})"
        if self.factor is not None:
            return f"the levels of '{self.group}' have a known covariance"
        if self.dist != "gaussian":
            return f"the effects of '{self.group}' are student-t"
        if self.by:
            return f"the effects of '{self.group}' have a covariance for each level of another factor"
        return f"rows belong to several levels of '{self.group}'"

    @property
    def sources(self) -> int:
        """Number of independent effects that those of the levels are made of."""
        return len(self.levels) if self.factor is None else int(self.factor.shape[1])

    def of_rows(self, effect: Any, rows: Any = slice(None)) -> Any:
        """Return what one effect of the levels is in some rows: that of a row's level, or the weighted sum of several.

        Parameters
        ----------
        effect
            Values by level, shape (..., levels).
        rows
            The rows.
        """
        if self.weights is None:
            return effect[..., self.index[rows]]
        index, weights = self.index[rows], self.weights[rows]
        total = effect[..., index[:, 0]] * weights[:, 0]
        for member in range(1, index.shape[1]):
            total = total + effect[..., index[:, member]] * weights[:, member]
        return total

    def membership(self) -> Any:
        """Return the sparse matrix of how much each row belongs to each level, shape (rows, levels)."""
        index = self.index.reshape(len(self.index), -1)
        weights = np.ones(index.shape) if self.weights is None else self.weights
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        return sparse.csr_matrix((weights.ravel(), (rows, index.ravel())), shape=(len(index), len(self.levels)))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of rows that each level has a part in, shape (levels,)."""
        index = self.index.reshape(len(self.index), -1)
        if self.weights is None:
            return np.bincount(index.ravel(), minlength=len(self.levels))
        return np.asarray((self.membership() != 0).sum(axis=0)).ravel()

    def positions(self, parameter: str) -> list[int]:
        """Return the positions of the effects on one parameter."""
        return [i for i, p in enumerate(self.parameters) if p == parameter]


@dataclass(frozen=True)
class Predictor:
    """The fixed part of the linear predictor of one parameter.

    Parameters
    ----------
    parameter
        The parameter of the family.
    prefix
        What its coefficients' names start with: nothing for the first parameter, else ``sigma_``.
    x
        Fixed matrix, shape (rows, coefficients); the intercept, where there is one, is column 0.
    coefficients
        Names of the columns of X as people write them: ``Intercept``, ``floor``, ``county[AITKIN]``, ``sigma_floor``.
    terms_of
        Term that each column belongs to: ``county`` for ``county[AITKIN]``.
    scales
        Standard deviation of each column's numeric part, 1 for the intercept and factor contrasts.
    offset
        Sum of the offsets, shape (rows,).
    centre
        Means of the columns of X other than the intercept over all rows, where X holds only some of them (`aggregate`).
    thresholds
        Whether the thresholds of an ordinal family stand for its intercept.
    """

    parameter: str
    prefix: str
    x: Array
    coefficients: tuple[str, ...]
    terms_of: tuple[str, ...]
    scales: Array
    offset: Array
    centre: Array | None = None
    thresholds: bool = False

    @property
    def intercept(self) -> str:
        """The name of its intercept."""
        return f"{self.prefix}{INTERCEPT}"

    @property
    def has_intercept(self) -> bool:
        """Whether X has an intercept."""
        return self.intercept in self.coefficients

    @property
    def centred(self) -> bool:
        """Whether its predictors are centred for sampling: where an intercept or thresholds take up their means."""
        return self.has_intercept or self.thresholds

    @property
    def slopes(self) -> list[int]:
        """Positions of the coefficients other than the intercept."""
        return [i for i, name in enumerate(self.coefficients) if name != self.intercept]

    @property
    def means(self) -> Array:
        """Means over rows of the columns of X other than the intercept: where an intercept's prior stands."""
        return self.x[:, self.slopes].mean(axis=0) if self.centre is None else self.centre


@dataclass(frozen=True)
class Thresholds:
    """The K - 1 thresholds of an ordinal family, and what shifts each of them on its own.

    Parameters
    ----------
    names
        Their names: ``Intercept[1]``, ``Intercept[2]``, as in brms.
    equidistant
        Whether they are all ``delta`` apart.
    ordered
        Whether they must increase.
    x
        Matrix of the category-specific effects, shape (rows, predictors), without an intercept.
    predictors, terms_of, scales
        Names of its columns, their terms and the standard deviations of their numeric parts.
    means
        Means of its columns over all rows, where it holds only some of them (`aggregate`).
    """

    names: tuple[str, ...]
    equidistant: bool
    ordered: bool
    x: Array
    predictors: tuple[str, ...] = ()
    terms_of: tuple[str, ...] = ()
    scales: Array = field(default_factory=lambda: np.zeros(0))
    means: Array | None = None

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The category-specific effects, predictor by predictor: ``treat[1]``, ``treat[2]``."""
        return tuple(f"{name}[{k}]" for name in self.predictors for k in range(1, len(self.names) + 1))

    @property
    def centre(self) -> Array:
        """What is taken off the columns of `x` for sampling: their means, unless equal distances hold where they are 0."""
        if self.equidistant:
            return np.zeros(self.x.shape[1])
        return self.x.mean(axis=0) if self.means is None else self.means


@dataclass(frozen=True)
class Curve:
    """The curve that is the first parameter of a nonlinear model, on the scale of its link.

    Parameters
    ----------
    text
        The curve (`curves`).
    parameters
        Its parameters, each with a linear predictor, in the order in which they are written.
    columns
        The columns that it reads, shape (rows,) each.
    start
        Where the sampler starts, by parameter, where the study says so.
    """

    text: str
    parameters: tuple[str, ...]
    columns: Mapping[str, Array]
    start: Mapping[str, float] = field(default_factory=dict)

    def at(self, values: Mapping[str, Any], rows: Any = slice(None), functions: Any = None) -> Any:
        """Return the curve of some rows.

        Parameters
        ----------
        values
            Its parameters by name, shape (..., rows of the block) or broadcasting to it.
        rows
            The rows.
        functions
            How functions are computed (`curves.evaluate`).
        """
        return curves.evaluate(self.text, {**values, **{k: v[rows] for k, v in self.columns.items()}}, functions)


@dataclass(frozen=True)
class Design:
    """The design of one model.

    Parameters
    ----------
    response
        Name of the response.
    y
        Its values, shape (rows,); of a response of categories their numbers, from 1.
    family, link
        Distribution of the response and the link of its first parameter.
    parameters
        The parameters that are estimated, the first one first: for unordered categories the predictor of each but the first,
        in a nonlinear model, in place of the first, those of its curve.
    predictors
        The linear predictors: that of the first parameter, then those of others that have one.
    group_terms
        The group terms of all predictors.
    terms
        What stands beside the response, shape (rows,) each: ``trials``, ``weights``, ``se``, ``cens`` (-1 left, 0 not,
        1 right, 2 interval) and ``cens_upper`` (the upper end of an interval), ``lb`` and ``ub`` (the bounds of a
        truncated response).
    categories
        Labels of the categories, in their order; none where the response is a number.
    thresholds
        The thresholds of an ordinal family.
    log_jacobian
        What log densities are raised by, shape (rows,), where scores are of the column that the response was derived from.
    residuals
        How residuals are correlated within subjects; None where they are independent.
    curve
        The curve of a nonlinear model.
    """

    response: str
    y: Array
    family: str
    link: str
    parameters: tuple[str, ...]
    predictors: tuple[Predictor, ...]
    group_terms: tuple[Term, ...] = ()
    terms: dict[str, Array] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    log_jacobian: Array | None = None
    residuals: Residuals | None = None
    curve: Curve | None = None

    @property
    def nominal(self) -> bool:
        """Whether the response is unordered categories, each but the first with a linear predictor of its own."""
        return bool(self.categories) and self.thresholds is None

    @property
    def unprefixed(self) -> str:
        """The parameter whose coefficients, effects and correlations carry no prefix; none for categories and curves."""
        return "" if self.nominal or self.curve else self.parameters[0]

    @property
    def primary(self) -> tuple[str, ...]:
        """The parameters that the formula is about: the first one, or a curve's, or the predictors of categories.

        Priors of classes (``b``, ``sd``) are given to them, but for those of a curve, which measure different things.
        """
        if self.curve:
            return self.curve.parameters
        return self.parameters if self.nominal else self.parameters[:1]

    @property
    def classed(self) -> tuple[str, ...]:
        """The parameters that priors of classes (``b``, ``sd``) are given to."""
        return () if self.curve else self.primary

    @property
    def width(self) -> int:
        """Values that a likelihood holds for each row and draw: one for each category."""
        return max(1, len(self.categories))

    @property
    def x(self) -> Array:
        """Fixed matrix of the first parameter."""
        return self.predictors[0].x

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Coefficients of the first parameter."""
        return self.predictors[0].coefficients

    @property
    def terms_of(self) -> tuple[str, ...]:
        """Terms of the coefficients of the first parameter."""
        return self.predictors[0].terms_of

    @property
    def scales(self) -> Array:
        """Scales of the columns of the first parameter."""
        return self.predictors[0].scales

    @property
    def offset(self) -> Array:
        """Offset of the first parameter; a curve has none, whatever its parameters have."""
        return np.zeros(len(self.y)) if self.curve else self.predictors[0].offset

    @property
    def has_intercept(self) -> bool:
        """Whether the first parameter has an intercept."""
        return self.predictors[0].has_intercept

    @property
    def all_coefficients(self) -> tuple[str, ...]:
        """Thresholds, coefficients of all predictors, category-specific effects: the order in which they are stored."""
        before, after = (self.thresholds.names, self.thresholds.coefficients) if self.thresholds else ((), ())
        return (*before, *(name for p in self.predictors for name in p.coefficients), *after)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Parameters with one value for all rows: those without a linear predictor."""
        with_predictor = {p.parameter for p in self.predictors}
        return tuple(p for p in self.parameters if p not in with_predictor)

    def columns_of(self, parameter: str) -> slice:
        """Return where a parameter's coefficients stand among all coefficients."""
        start = len(self.thresholds.names) if self.thresholds else 0
        for predictor in self.predictors:
            end = start + len(predictor.coefficients)
            if predictor.parameter == parameter:
                return slice(start, end)
            start = end
        raise KeyError(parameter)


def variable_name(name: str, part: Predictor) -> str:
    """Return what the sampler calls a variable of a predictor: ``slopes`` of the first parameter, ``slopes_sigma`` of another."""
    return f"{name}_{part.parameter}" if part.prefix else name


def build(model: dict[str, Any], dataset: Dataset) -> Design:
    """Build the design of a model.

    Parameters
    ----------
    model
        A model of the plan: its ``formula`` and the formulas of its ``parameters`` are canonical.
    dataset
        The prepared dataset.

    Raises
    ------
    StudyError
        When a column has the wrong type or the matrix cannot be built.
    """
    parsed = formula.of_response(model)
    frame = dataset.frame
    assert parsed.response is not None  # the plan fills it in
    family = model["family"]
    labels: tuple[str, ...] = ()
    if families.has_categories(family):
        y, labels = categories.coded(frame, parsed.response, family)
    else:
        y = numeric(frame, parsed.response)
    thresholds = bool(families.threshold_kind(family))
    parameters, parts = _parts(parsed, model, labels if not thresholds else ())
    unprefixed = "" if parsed.curve or (labels and not thresholds) else parameters[0]
    design = Design(
        response=parsed.response,
        y=y,
        family=family,
        link=model.get("link") or families.get(family).LINKS[0],
        parameters=parameters,
        predictors=tuple(_predictor(name, part, frame, unprefixed, thresholds) for name, part in parts.items()),
        group_terms=tuple(_terms(parts, dataset, unprefixed)),
        terms=_response_terms(parsed, frame),
        categories=labels,
        thresholds=_thresholds(parsed, model, frame, len(labels)) if thresholds else None,
        residuals=_residuals(model, frame),
        curve=_curve(parsed, frame, model.get("start", {})) if parsed.curve else None,
    )
    _refuse_one_name(design)
    names = design.all_coefficients
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise StudyError([Problem("", f"two coefficients would be called '{twice}'", "rename a column (data.rename)")])
    return design


def _parts(
    parsed: formula.Formula, model: dict[str, Any], nominal: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, formula.Formula]]:
    """Return the parameters that are estimated, and the formula of each linear predictor.

    Parameters
    ----------
    parsed
        The formula of the response.
    model
        The model of the plan.
    nominal
        Labels of unordered categories: each but the first has the response's formula, or one of its own.
    """
    given = {name: formula.parse_parameter(text) for name, text in model.get("parameters", {}).items()}
    if nominal:
        parameters = categories.parameters(nominal)
        if unknown := [name for name in given if name not in parameters]:
            raise StudyError([categories.unknown_parameter(name, nominal) for name in unknown])
        return parameters, {name: given.get(name, parsed) for name in parameters}
    family = model["family"]
    known = {*formula.known_parameters(parsed), *(name for name in families.fixed(family) if name not in given)}
    parameters = families.parameters(family, known)
    if parsed.curve:
        of_curve = {name: formula.parse_parameter(model["nonlinear"][name]) for name in parsed.curve_parameters}
        return (*of_curve, *parameters[1:]), {**of_curve, **given}
    return parameters, {parameters[0]: parsed, **given}


def _curve(parsed: formula.Formula, frame: pd.DataFrame, start: Mapping[str, float]) -> Curve:
    """Return the curve with the columns that it reads.

    Raises
    ------
    StudyError
        When a column is text, not finite, or called like a parameter.
    """
    if both := next((name for name in parsed.curve_parameters if name in frame), None):
        message = f"'{both}' is a parameter of the curve and a column of the table"
        raise StudyError([Problem("", message, "give the parameter another name")])
    columns = {name: numeric(frame, name) for name in parsed.curve_columns}
    if odd := next((name for name, values in columns.items() if not np.isfinite(values).all()), None):
        rows = int((~np.isfinite(columns[odd])).sum())
        raise StudyError([Problem("", f"the column '{odd}' of the curve is not finite in {rows} rows")])
    return Curve(parsed.curve, parsed.curve_parameters, columns, dict(start))


def _thresholds(parsed: formula.Formula, model: dict[str, Any], frame: pd.DataFrame, size: int) -> Thresholds:
    """Return the thresholds between categories, and the matrix of the category-specific effects."""
    x, names, terms_of, scales = _matrix(parsed.specific, frame) if parsed.specific else _no_matrix(frame)
    kept = [i for i, name in enumerate(names) if name != INTERCEPT]
    return Thresholds(
        names=tuple(f"{INTERCEPT}[{k}]" for k in range(1, size)),
        equidistant=model.get("thresholds") == "equidistant",
        ordered=families.threshold_kind(model["family"]) == "ordered",
        x=x[:, kept],
        predictors=tuple(names[i] for i in kept),
        terms_of=tuple(terms_of[i] for i in kept),
        scales=scales[kept],
    )


def _predictor(
    parameter: str, parsed: formula.Formula, frame: pd.DataFrame, unprefixed: str, thresholds: bool
) -> Predictor:
    """Build the fixed part of one linear predictor; with thresholds, none has an intercept, though factors are coded as if."""
    prefix = "" if parameter == unprefixed else f"{parameter}_"
    fixed = f"{parsed.fixed} + 1" if thresholds else parsed.fixed
    x, names, terms_of, scales = _matrix(fixed, frame)
    if thresholds:
        kept = [i for i, name in enumerate(names) if name != INTERCEPT]
        x, scales = x[:, kept], scales[kept]
        names, terms_of = tuple(names[i] for i in kept), tuple(terms_of[i] for i in kept)
    offset = np.zeros(len(frame))
    for text in parsed.offsets:
        offset = offset + _row_values(text, frame, f"offset({text})")
    return Predictor(
        parameter=parameter,
        prefix=prefix,
        x=x,
        coefficients=tuple(f"{prefix}{name}" for name in names),
        terms_of=tuple(f"{prefix}{name}" for name in terms_of),
        scales=scales,
        offset=offset,
        thresholds=thresholds and parameter == unprefixed,
    )


def _residuals(model: dict[str, Any], frame: pd.DataFrame) -> Residuals | None:
    """Return how residuals are correlated within subjects, where they are."""
    if not model.get("residuals"):
        return None
    return structures_of_residuals.build(structures_of_residuals.parse(model["residuals"]), frame, code_grouping)


def _refuse_one_name(design: Design) -> None:
    """Refuse correlations of residuals that would be called as those of a group term are.

    Raises
    ------
    StudyError
        When an unstructured covariance is over the column that a term with correlated effects groups by.
    """
    found = design.residuals
    if (
        found is not None
        and found.occasions
        and any(t.correlated and t.label == found.time for t in design.group_terms)
    ):
        message = f"correlations of residuals and of the effects of '{found.time}' would both be called cor({found.time}: ...)"
        raise StudyError([Problem("residuals", message, "give the group a name of its own (data.derive)")])


def planes(design: Design) -> list[str]:
    """Return the groupings with an intercept and slopes that are correlated: each level is a point in a plane of two."""
    first = design.unprefixed
    found = [
        term.group
        for term in design.group_terms
        if term.exchangeable and term.correlated and INTERCEPT in term.effects and len(term.positions(first)) > 1
    ]
    return list(dict.fromkeys(found))


def _response_terms(parsed: formula.Formula, frame: pd.DataFrame) -> dict[str, Array]:
    """Return what stands beside the response, checked."""
    found: dict[str, Array] = {}
    for term in parsed.response_terms:
        if term.name == "cens":
            found |= _censoring(term, parsed.response or "", frame)
            continue
        if term.name == "trunc":
            found |= _bounds(term, parsed.response or "", frame)
            continue
        values = _row_values(term.arguments[0], frame, str(term))
        if term.name in {"weights", "se"} and (values < 0).any():
            raise StudyError([_negative(term, values)])
        if term.name == "se" and not term.sigma and (values == 0).any():
            row = int(np.argmax(values == 0)) + 1
            raise StudyError([Problem("", f"{term} is 0 in row {row}, which leaves its response without any error")])
        if term.name == "weights" and not (values > 0).any():
            raise StudyError([Problem("", f"{term} is 0 in every row, so no row counts")])
        found[term.name] = values
    return found


def _negative(term: formula.ResponseTerm, values: Array) -> Problem:
    row = int(np.argmax(values < 0))
    return Problem(
        "",
        f"{term} is negative in {(count := int((values < 0).sum()))} row{'s' * (count > 1)} ({values[row]:g} in row {row + 1})",
        "a weight counts how often a row stands" if term.name == "weights" else "a standard error cannot be negative",
    )


def _censoring(term: formula.ResponseTerm, response: str, frame: pd.DataFrame) -> dict[str, Array]:
    """Return the kind of censoring of each row, and the upper ends of intervals."""
    column = term.arguments[0]
    if column not in frame.columns:
        raise StudyError([Problem("", f"{term}: cens takes a column of kinds", f"kinds are {', '.join(CENSORED)}")])
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        kinds = values.astype(str).map(CENSORED).astype(float)
    else:
        numbers = values.astype(float)
        kinds = numbers.where(numbers.isin(list(CENSORED.values())))
    if kinds.isna().any():
        bad = values[kinds.isna()].iloc[0]
        choices = ", ".join(f"{name} ({code})" for name, code in CENSORED.items())
        raise StudyError([Problem("", f"{term}: '{bad}' is no kind of censoring", f"choose from {choices}")])
    found: dict[str, Array] = {"cens": np.asarray(kinds, dtype=np.float64)}
    interval = found["cens"] == CENSORED["interval"]
    if interval.any() and len(term.arguments) < 2:
        message = f"{term} has intervals in {int(interval.sum())} rows and no upper end"
        raise StudyError([Problem("", message, f"write cens({column}, upper)")])
    if len(term.arguments) == 2:
        upper = _row_values(term.arguments[1], frame, str(term))
        y = numeric(frame, response)
        if (bad_rows := interval & ~(upper > y)).any():
            row = int(np.argmax(bad_rows))
            message = f"{term}: the interval of row {row + 1} ends at {upper[row]:g}, not above its start {y[row]:g}"
            raise StudyError([Problem("", message)])
        found["cens_upper"] = upper
    return found


def _bounds(term: formula.ResponseTerm, response: str, frame: pd.DataFrame) -> dict[str, Array]:
    """Return the bounds of a truncated response, between which every response lies."""
    y = numeric(frame, response)
    found = {name: _row_values(text, frame, str(term)) for name, text in zip(term.names, term.arguments, strict=True)}
    lower, upper = found.get("lb", np.full(y.shape, -np.inf)), found.get("ub", np.full(y.shape, np.inf))
    if (empty := lower >= upper).any():
        row = int(np.argmax(empty))
        message = f"{term}: the bounds of row {row + 1} leave nothing between {lower[row]:g} and {upper[row]:g}"
        raise StudyError([Problem("", message, "lb must be below ub")])
    if (outside := (y < lower) | (y > upper)).any():
        row = int(np.argmax(outside))
        side = f"below lb = {lower[row]:g}" if y[row] < lower[row] else f"above ub = {upper[row]:g}"
        message = (
            f"the response '{response}' lies outside the bounds of {term} in {int(outside.sum())} rows "
            f"({y[row]:g} in row {row + 1}, {side})"
        )
        raise StudyError([Problem("", message, "truncated values are never observed; filter those rows")])
    return found


def scored(design: Design) -> str:
    """Return one digest of what decides how a row is scored besides its response: weights, censoring, bounds, trials.

    Models that differ in it cannot be compared: a row of weight 2 counts twice, a censored one by a tail probability.
    """
    kept = {name: values for name, values in sorted(design.terms.items()) if name != "se"}
    if not kept:
        return "each row once, as observed"
    parts = [name.encode() + values.astype("<f8").tobytes() for name, values in kept.items()]
    return f"{', '.join(kept)} {hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}"


def numeric(frame: pd.DataFrame, column: str) -> Array:
    """Return a column as numbers.

    Raises
    ------
    StudyError
        When it is text.
    """
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype.kind not in "fiub":
        example = first_that_is_no_number(values)
        raise StudyError([Problem("", f"the column '{column}' is text (such as '{example}') where numbers are needed")])
    return values.to_numpy(dtype=np.float64)


def first_that_is_no_number(values: pd.Series) -> str:
    """Return the first value that reads as no number; the first of all where each does."""
    text = values.astype(str)
    other = pd.to_numeric(text, errors="coerce").isna().to_numpy()
    return str(text.iloc[int(np.argmax(other))])


def _matrix(text: str, frame: pd.DataFrame) -> tuple[Array, tuple[str, ...], tuple[str, ...], Array]:
    """Build the matrix of a right-hand side: values, column names, their terms and their scales."""
    columns = formula.column_names(text)
    if not columns and not formula.has_intercept(text):
        return _no_matrix(frame)
    part = frame[sorted(columns)] if columns else pd.DataFrame(index=frame.index)
    if found := matrix_errors.text_in_arithmetic(text, part):
        raise StudyError([Problem("", sentence) for sentence in found])
    try:
        with np.errstate(all="ignore"):  # what is not finite is told by name when the design is checked
            matrix = formulaic.model_matrix(text, part, context=CONTEXT, na_action="raise")
        values = np.asarray(matrix, dtype=np.float64)
    except (FormulaicError, ArithmeticError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        ours = isinstance(error.__cause__, FormulaError)
        message = str(error.__cause__) if ours else matrix_errors.sentence(text, error)
        raise StudyError([Problem("", message)]) from None
    names: list[str] = []
    terms: list[str] = []
    scales: list[float] = []
    raw = [str(c) for c in matrix.columns]
    spec = matrix.model_spec
    factors = _factor_scales(spec, part)
    for term, where in spec.term_slices.items():
        for column in raw[where]:
            names.append(INTERCEPT if str(term) == "1" else _human(column))
            terms.append(INTERCEPT if str(term) == "1" else str(term))
            scales.append(float(np.prod([_scale_in(column, factors.get(f.expr, {})) for f in term.factors])))
    return values, tuple(names), tuple(terms), np.asarray(scales)


def _no_matrix(frame: pd.DataFrame) -> tuple[Array, tuple[str, ...], tuple[str, ...], Array]:
    """Return what `_matrix` returns of no columns."""
    return np.zeros((len(frame), 0)), (), (), np.zeros(0)


def _factor_scales(spec: Any, frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return, by numeric factor, the sd of each of its columns; factors of levels are absent and count as 1.

    The scale of an interaction is the product of its factors' scales, not the sd of the product, because that would
    depend on where the predictors have their zero.
    """
    scales: dict[str, dict[str, float]] = {}
    for expression in {factor.expr for term in spec.terms for factor in term.factors if factor.expr != "1"}:
        if expression.startswith("C(") or _is_categorical(frame, expression):
            continue
        with np.errstate(all="ignore"):
            values = formulaic.model_matrix(f"0 + {expression}", frame, context=CONTEXT, na_action="raise")
            spread = {str(c): float(np.std(np.asarray(values[c], dtype=float), ddof=1)) for c in values.columns}
        scales[expression] = spread
    return scales


def _is_categorical(frame: pd.DataFrame, column: str) -> bool:
    return column in frame.columns and isinstance(frame[column].dtype, pd.CategoricalDtype)


def _scale_in(column: str, factor: dict[str, float]) -> float:
    """Return a numeric factor's scale in a column of the matrix: that of whichever of its own columns is part of it."""
    if len(factor) < 2:
        return next(iter(factor.values()), 1.0)
    return next((scale for name, scale in factor.items() if f":{name}:" in f":{column}:"), 1.0)


def _human(column: str) -> str:
    """Return a column's name as people write it: ``county[T.AITKIN]`` is ``county[AITKIN]``."""
    return re.sub(r"\[T\.", "[", column)


def _row_values(text: str, frame: pd.DataFrame, whole: str) -> Array:
    """Evaluate an expression of columns, shape (rows,)."""
    try:
        value = expressions.evaluate(expressions.parse(text), {str(c): frame[c] for c in frame.columns})
        array = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(frame),))
    except FormulaError as error:
        raise StudyError([Problem("", f"{whole}: {error}")]) from None
    except (TypeError, ValueError):
        raise StudyError([Problem("", f"{whole} is text where numbers are needed")]) from None
    if not np.isfinite(array).all():
        raise StudyError([Problem("", f"{whole} is not finite in {int((~np.isfinite(array)).sum())} rows")])
    return array


def _group_means(x: pd.Series, group: pd.Series) -> pd.Series:
    if isinstance(x.dtype, pd.CategoricalDtype):
        raise FormulaError(f"the column '{x.name}' is text, so it has no mean")
    return x.astype(float).groupby(group, observed=True, sort=False).transform("mean")


BY_GROUP: dict[str, Callable[[pd.Series, pd.Series], pd.Series]] = {
    "within": lambda x, group: x - _group_means(x, group),
    "between": lambda x, group: (means := _group_means(x, group)) - means.mean(),
    "group_mean": _group_means,
}
"""Functions of a predictor and a grouping that formulas take (`formula.BY_GROUP`)."""

CONTEXT: dict[str, Any] = {**BY_GROUP, "sqrt": np.sqrt}
"""What formulas take beyond formulaic's own functions."""


def _terms(parts: dict[str, formula.Formula], dataset: Dataset, unprefixed: str) -> list[Term]:
    """Build the group terms of all parameters; those that share an id and a grouping are one term."""
    joined: dict[Any, list[tuple[str, GroupTerm]]] = {}
    for parameter, parsed in parts.items():
        for term in parsed.group_terms:
            name = (term.id, replace(term, effects="", correlated=True)) if term.id else (parameter, term)
            joined.setdefault(name, []).append((parameter, term))
    groups = {members[0][1].group for members in joined.values()}
    seen: set[tuple[str, str]] = set()
    keys: set[str] = set()
    terms: list[Term] = []
    for members in joined.values():
        owner, group = members[0][0], members[0][1].group
        # A number behind a grouping that a parameter has several terms of, but never one that makes it another grouping.
        labels = itertools.chain([group], (n for i in itertools.count(2) if (n := f"{group}_{i}") not in groups))
        label = next(name for name in labels if (owner, name) not in seen)
        base = label.replace(":", "__").replace("+", "__") + ("" if owner == unprefixed else f"__{owner}")
        numbered = itertools.chain([base], (f"{base}_{i}" for i in itertools.count(2)))
        key = next(name for name in numbered if name not in keys and name not in groups - {group})
        seen.add((owner, label))
        keys.add(key)
        built = _term(key, label, members, unprefixed, dataset)
        terms += _by_factor(built, members[0][1].by, dataset.frame) if members[0][1].by else [built]
    return terms


def _by_factor(term: Term, by: str, frame: pd.DataFrame) -> list[Term]:
    """Split a term whose covariance differs by another factor into one for each of that factor's levels.

    Rows of other levels of the factor belong to none of its levels: they have one with a weight of 0.

    Raises
    ------
    StudyError
        When the factor changes within a level of the group.
    """
    of_row, labels = code_grouping(frame, by)
    first = np.full(len(term.levels), -1, dtype=np.int64)
    first[term.index[::-1]] = of_row[::-1]
    if (odd := np.flatnonzero(first[term.index] != of_row)).size:
        level = term.levels[int(term.index[odd[0]])]
        message = f"the covariance of '{term.group}' cannot differ by '{by}', which changes within '{level}'"
        raise StudyError([Problem("", message, "a factor that each level has one value of can stand there")])
    found = []
    for number, label in enumerate(labels):
        own = np.flatnonzero(first == number)
        place = np.zeros(len(term.levels), dtype=np.int64)
        place[own] = np.arange(len(own))
        kept = of_row == number
        found.append(
            replace(
                term,
                key=f"{term.key}__{number + 1}",
                effects=tuple(f"{effect}:{by}[{label}]" for effect in term.effects),
                index=np.where(kept, place[term.index], 0)[:, None],
                weights=kept.astype(np.float64)[:, None],
                levels=tuple(term.levels[i] for i in own),
                by=f"{by}[{label}]",
            )
        )
    return found


def _term(key: str, label: str, members: list[tuple[str, GroupTerm]], unprefixed: str, dataset: Dataset) -> Term:
    """Build one group term from its members: one, or several that share an id."""
    frame = dataset.frame
    built = [(parameter, _matrix(term.effects, frame)) for parameter, term in members]
    prefixes = ["" if parameter == unprefixed else f"{parameter}_" for parameter, _ in built]
    effects = [f"{prefix}{name}" for prefix, (_, m) in zip(prefixes, built, strict=True) for name in m[1]]
    if repeated := next((e for i, e in enumerate(effects) if e in effects[:i]), None):
        raise StudyError([Problem("", f"terms that share an id both hold the effect '{repeated}' of '{label}'")])
    written = members[0][1]
    index, levels, weights = _levels_of_rows(written, frame)
    scales = np.concatenate([m[3] for _, m in built])
    chain = _chain(written, index, frame) if written.structure else None
    factor = _known_factor(written, levels, dataset) if written.cov else None
    if chain is not None and written.structure == "rw":
        factor = rw.factor(chain.order, chain.gaps, chain.starts)
        # A step's sd is small beside that of the whole walk, and the default prior is of what the term adds in all.
        scales = scales * rw.spread(factor)
    return Term(
        key=key,
        label=label,
        group=members[0][1].group,
        effects=tuple(effects),
        parameters=tuple(parameter for parameter, m in built for _ in m[1]),
        z=np.column_stack([m[0] for _, m in built]),
        index=index,
        levels=levels,
        correlated=members[0][1].correlated and len(effects) > 1,
        scales=scales,
        structure=written.structure or ("known" if written.cov else "independent"),
        weights=weights,
        factor=factor,
        dist=written.dist,
        covariance=written.cov,
        chain=chain,
    )


def _chain(term: GroupTerm, index: NDArray[np.int64], frame: pd.DataFrame) -> Residuals:
    """Return when each level of a term is, and in which series: those of the columns before the last one.

    Raises
    ------
    StudyError
        When times are text without a declared order, or an autoregression's are not whole.
    """
    *outer, time = term.group.split(":")
    at = structures_of_residuals.times_of_levels(frame[time], time, str(term), whole=term.structure == "ar1")
    series = code_grouping(frame, ":".join(outer))[0] if outer else np.zeros(len(index), dtype=np.int64)
    first = np.zeros(int(index.max()) + 1, dtype=np.int64)
    first[index[::-1]] = np.arange(len(index))[::-1]
    chain = Residuals("ar1", ":".join(outer), time, series[first], at[first])
    if chain.sizes.max() < 2:
        message = f"{term}: no series has more than one level of '{time}', so no level follows another"
        raise StudyError([Problem("", message, "name the grouping first and the time last, as in subject:week")])
    return chain


def _known_factor(term: GroupTerm, levels: tuple[str, ...], dataset: Dataset) -> Any:
    """Return the factor of a known covariance over the levels of a term.

    Raises
    ------
    StudyError
        When the data section has no such covariance, or it lacks levels.
    """
    if term.cov not in dataset.covariances:
        hint = did_you_mean(term.cov, dataset.covariances) if dataset.covariances else "there is none yet"
        raise StudyError([Problem("", f"{term}: data.covariances has no '{term.cov}'", hint)])
    known = dataset.covariances[term.cov]
    if problem := relationships.unknown_level(levels, term.group, term.cov, known):
        raise StudyError([problem])
    return known.factor(levels)


WHOLE = 1e-6
"""How far from 1 the weights of a row may sum where they are declared normalised."""


def _levels_of_rows(term: GroupTerm, frame: pd.DataFrame) -> tuple[NDArray[np.int64], tuple[str, ...], Array | None]:
    """Return the level of each row, the levels, and weights; with multiple membership several levels for each row.

    Raises
    ------
    StudyError
        When weights are declared normalised and are not, or cannot be scaled.
    """
    if not term.members:
        return *code_grouping(frame, term.group), None
    columns = [frame[name] for name in term.members]
    kinds = {isinstance(column.dtype, pd.CategoricalDtype) for column in columns}
    texts = [column.astype(str) if len(kinds) > 1 or True in kinds else column for column in columns]
    index, levels = code_levels(pd.concat(texts, ignore_index=True))
    index = index.reshape(len(columns), -1).T
    if not term.weights:
        return index, levels, np.full(index.shape, 1.0 / index.shape[1])
    weights = np.column_stack([_row_values(text, frame, str(term)) for text in term.weights])
    total = weights.sum(axis=1)
    if term.scaling == "normalised" and (np.abs(total - 1.0) > WHOLE).any():
        row = int(np.argmax(np.abs(total - 1.0) > WHOLE))
        message = f"the weights of '{term.group}' are declared normalised and sum to {total[row]:.6g} in row {row + 1}"
        raise StudyError(
            [Problem("", message, "write scale=true to divide them by their sum, or leave normalised= out")]
        )
    if term.scaling == "scale":
        if (bad := (weights < 0).any(axis=1) | (total <= 0)).any():
            row = int(np.argmax(bad))
            shown = ", ".join(f"{w:g}" for w in weights[row])
            message = f"the weights of '{term.group}' cannot be scaled: row {row + 1} has {shown}"
            raise StudyError([Problem("", message, "leave scale= out to take signed weights as they are")])
        weights = weights / total[:, None]
    return index, levels, weights


def code_grouping(frame: pd.DataFrame, group: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Code a grouping: the levels of a column, or for ``school:class`` the combinations that occur, as ``A:1``."""
    coded = [code_levels(frame[column]) for column in group.split(":")]
    if len(coded) == 1:
        return coded[0]
    found, index = np.unique(np.column_stack([codes for codes, _ in coded]), axis=0, return_inverse=True)
    labels = (":".join(levels[code] for code, (_, levels) in zip(row, coded, strict=True)) for row in found)
    return np.asarray(index, dtype=np.int64).ravel(), tuple(labels)


def grouping(frame: pd.DataFrame, group: str) -> pd.Series:
    """Return the level of each row as text; `group` is a column, or several as in ``school:class``."""
    index, levels = code_grouping(frame, group)
    return pd.Series(np.asarray(levels, dtype=object)[index], index=frame.index, name=group)


def code_levels(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Code a grouping column: levels that occur, in sorted order (numbers by value)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, unique = pd.factorize(column.astype(str), sort=True)
        return codes.astype(np.int64), tuple(str(level) for level in unique)
    codes, unique = pd.factorize(column, sort=True)
    return codes.astype(np.int64), tuple(level_text(level) for level in unique)
