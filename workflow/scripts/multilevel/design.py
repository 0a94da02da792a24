"""Design of one model: response, fixed matrix X and, for each group term, Z, the level index and the level labels.

Rebuilt from data.nc by every job that needs it, so it is never stored.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from numpy.typing import NDArray

from multilevel import expressions, formula, matrix_errors
from multilevel.dataset import Dataset, level_text
from multilevel.errors import FormulaError, Problem, StudyError
from multilevel.formula import GroupTerm

Array = NDArray[np.float64]

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Term:
    """One group term, built.

    Parameters
    ----------
    key
        Name in files and variables; unique in the model (``county``, ``county_2``).
    group
        The grouping column.
    effects
        Names of what varies: ``("Intercept", "floor")``.
    z
        Columns of the effects, shape (rows, effects).
    index
        Level of each row, shape (rows,).
    levels
        Labels of the levels, in the order of the index.
    correlated
        Whether the covariance over effects is full.
    scales
        Standard deviation of what multiplies each effect, 1 for an intercept or a factor contrast.
    structure
        Covariance over the levels.
    """

    key: str
    group: str
    effects: tuple[str, ...]
    z: Array
    index: NDArray[np.int64]
    levels: tuple[str, ...]
    correlated: bool
    scales: Array
    structure: str = "independent"

    @property
    def label(self) -> str:
        """How parameters of this term are written: the group, with a number where a group has several terms."""
        return self.key


@dataclass(frozen=True)
class Design:
    """The design of one model.

    Parameters
    ----------
    response
        Name of the response.
    y
        Its values, shape (rows,).
    x
        Fixed matrix, shape (rows, coefficients); the intercept, where there is one, is column 0.
    coefficients
        Names of the columns of X as people write them: ``Intercept``, ``floor``, ``county[AITKIN]``.
    terms_of
        Term that each column belongs to: ``county`` for ``county[AITKIN]``.
    scales
        Standard deviation of each column's numeric part, 1 for the intercept and factor contrasts.
    offset
        Sum of the offsets, shape (rows,).
    group_terms
        The group terms.
    """

    response: str
    y: Array
    x: Array
    coefficients: tuple[str, ...]
    terms_of: tuple[str, ...]
    scales: Array
    offset: Array
    group_terms: tuple[Term, ...] = field(default=())

    @property
    def has_intercept(self) -> bool:
        """Whether X has an intercept."""
        return INTERCEPT in self.coefficients


def build(model: dict[str, Any], dataset: Dataset) -> Design:
    """Build the design of a model.

    Parameters
    ----------
    model
        A model of the plan: its ``formula`` is canonical.
    dataset
        The prepared dataset.

    Raises
    ------
    StudyError
        When a column has the wrong type or the matrix cannot be built.
    """
    parsed = formula.parse(model["formula"])
    frame = dataset.frame
    assert parsed.response is not None  # the plan fills it in
    x, names, terms_of, scales = _matrix(parsed.fixed, frame)
    offset = np.zeros(len(frame))
    for text in parsed.offsets:
        offset = offset + _offset(text, frame)
    return Design(
        response=parsed.response,
        y=numeric(frame, parsed.response),
        x=x,
        coefficients=names,
        terms_of=terms_of,
        scales=scales,
        offset=offset,
        group_terms=tuple(_terms(parsed.group_terms, frame)),
    )


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
        return np.zeros((len(frame), 0)), (), (), np.zeros(0)
    part = frame[sorted(columns)] if columns else pd.DataFrame(index=frame.index)
    if found := matrix_errors.text_in_arithmetic(text, part):
        raise StudyError([Problem("", sentence) for sentence in found])
    try:
        with np.errstate(all="ignore"):  # what is not finite is told by name when the design is checked
            matrix = formulaic.model_matrix(text, part, context={}, na_action="raise")
        values = np.asarray(matrix, dtype=np.float64)
    except (FormulaicError, ArithmeticError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise StudyError([Problem("", matrix_errors.sentence(text, error))]) from None
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
            values = formulaic.model_matrix(f"0 + {expression}", frame, context={}, na_action="raise")
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


def _offset(text: str, frame: pd.DataFrame) -> Array:
    try:
        value = expressions.evaluate(expressions.parse(text), {str(c): frame[c] for c in frame.columns})
    except FormulaError as error:
        raise StudyError([Problem("", f"offset({text}): {error}")]) from None
    try:
        array = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(frame),))
    except (ValueError, TypeError):
        raise StudyError([Problem("", f"offset({text}) is text where numbers are needed")]) from None
    if not np.isfinite(array).all():
        raise StudyError([Problem("", f"offset({text}) is not finite in {int((~np.isfinite(array)).sum())} rows")])
    return array


def _terms(parsed: tuple[GroupTerm, ...], frame: pd.DataFrame) -> list[Term]:
    terms: list[Term] = []
    for term in parsed:
        repeated = any(t.group == term.group for t in terms)
        taken = {t.key for t in terms} | {t.group for t in parsed}
        numbered = (f"{term.group}_{number}" for number in itertools.count(2))
        z, effects, _, scales = _matrix(term.effects, frame)
        index, levels = code_levels(frame[term.group])
        terms.append(
            Term(
                key=next(name for name in numbered if name not in taken) if repeated else term.group,
                group=term.group,
                effects=effects,
                z=z,
                index=index,
                levels=levels,
                correlated=term.correlated and len(effects) > 1,
                scales=scales,
            )
        )
    return terms


def code_levels(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Code a grouping column: levels that occur, in sorted order (numbers by value)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, unique = pd.factorize(column.astype(str), sort=True)
        return codes.astype(np.int64), tuple(str(level) for level in unique)
    codes, unique = pd.factorize(column, sort=True)
    return codes.astype(np.int64), tuple(level_text(level) for level in unique)
