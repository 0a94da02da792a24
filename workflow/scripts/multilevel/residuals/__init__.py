"""Correlated residuals within subjects, beside the group terms: e ~ N(0, D C D), C block diagonal with one block a subject.

D holds sigma of every row, one number or what its own linear predictor says; C is one of four structures, one file each,
found by name. All functions speak of standardised residuals z = (y - eta) / sigma, in the order of the rows, of many draws
at once. With the precision P = C^-1 the density of a row given all others (Bürkner, Gabry & Vehtari 2021, Computational
Statistics 36:1243, eq. 12 to 14) is normal:

    z_i | z_-i ~ N(z_i - (P z)_i / P_ii,  1 / P_ii).

A structure module defines, for rows sorted by subject and time (`Residuals.order`) and draws theta of its parameters, shape
(S, parameters), which broadcast against the first axis of z:

``log_determinant(found, theta)``
    log |C_j| of each subject, shape (S, subjects).
``whitened(found, theta, z)``
    w with z = C^(1/2) w for some root of C that mixes rows of one subject only, shape (S, rows).
``precision(found, theta, z)``
    P z, shape (S, rows), and the diagonal of P, shape (S, rows).
``coloured(found, theta, w)``
    C^(1/2) w for some root: residuals, where w is standard normal, shape (S, rows).
``correlation(found, theta, places)``
    C of some sorted rows, shape (S, n, n); 0 between subjects.
``SENTENCE``, ``TIME``
    What it says, as part of a sentence; how time is taken: ``none``, ``whole``, ``number`` or ``occasion``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean
from multilevel.residuals import ar1, car1, cs, unstructured

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

STRUCTURES: dict[str, ModuleType] = {"ar1": ar1, "car1": car1, "cs": cs, "unstructured": unstructured}

MOST_OCCASIONS = 20
"""Occasions up to which their correlations are all free: 190 of them."""

_LOG_2PI = float(np.log(2.0 * np.pi))

_COLUMN = r"[A-Za-z_][A-Za-z0-9_]*"
_WRITTEN = re.compile(rf"\s*([A-Za-z]\w*)\s*\(\s*(?:({_COLUMN})\s*\|)?\s*({_COLUMN}(?:\s*:\s*{_COLUMN})*)\s*\)\s*")


@dataclass(frozen=True)
class Written:
    """A structure as it is written: ``ar1(occasion | subject)``, ``cs(subject)``."""

    structure: str
    time: str
    group: str

    def __str__(self) -> str:
        """Return it in canonical form."""
        return f"{self.structure}({f'{self.time} | ' if self.time else ''}{self.group})"

    def columns(self) -> set[str]:
        """Return the columns that it names."""
        return {*self.group.split(":"), *([self.time] if self.time else [])}


def usage(structure: str) -> str:
    """Return how a structure is written."""
    return f"{structure}(subject)" if STRUCTURES[structure].TIME == "none" else f"{structure}(occasion | subject)"


def parse(text: str) -> Written:
    """Parse a structure of residuals.

    Raises
    ------
    FormulaError
        When the text is none, the structure is unknown, or it lacks a time or has one too many.
    """
    match = _WRITTEN.fullmatch(text)
    choices = ", ".join(map(usage, STRUCTURES))
    if match is None:
        raise FormulaError(f"'{text}' is no structure of residuals; write one of {choices}")
    name, time, group = match[1], match[2] or "", re.sub(r"\s+", "", match[3])
    if name not in STRUCTURES:
        raise FormulaError(
            f"unknown structure of residuals '{name}'; {did_you_mean(name, STRUCTURES) or f'write one of {choices}'}"
        )
    if bool(time) == (STRUCTURES[name].TIME == "none"):
        what = "takes a grouping alone" if time else "takes a time and a grouping"
        raise FormulaError(f"{name} {what}: write {usage(name)}")
    if time in group.split(":"):
        raise FormulaError(f"'{time}' cannot be both the time and the grouping of residuals; write {usage(name)}")
    return Written(name, time, group)


def columns(model: Mapping[str, Any]) -> set[str]:
    """Return the columns that the residuals of a model of the plan name; none where they are independent."""
    return parse(model["residuals"]).columns() if model.get("residuals") else set()


@dataclass(frozen=True)
class Residuals:
    """The structure of the residuals of a design, or of some of its rows.

    Parameters
    ----------
    structure
        A key of `STRUCTURES`.
    group, time
        The grouping whose levels are subjects, and the column of times; empty where there is none.
    subject
        Subject of each row, shape (rows,); numbers need not follow each other.
    at
        Time of each row, or the number of its occasion from 0, shape (rows,).
    occasions
        Labels of the occasions of an unstructured covariance.
    lowest, highest
        Between what each parameter of `ar1`, `car1` and `cs` lies.
    subjects
        Labels of the subjects.
    """

    structure: str
    group: str
    time: str
    subject: Ints
    at: Array
    occasions: tuple[str, ...] = ()
    lowest: float = -1.0
    highest: float = 1.0
    subjects: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters: ``phi``, ``rho``, or ``cor(occasion: 1, 2)`` for each pair of occasions."""
        if self.structure == "unstructured":
            pairs = [(self.occasions[j], self.occasions[i]) for i in range(len(self.occasions)) for j in range(i)]
            return tuple(f"cor({self.time}: {first}, {second})" for first, second in pairs)
        return ("rho",) if self.structure == "cs" else ("phi",)

    @property
    def words(self) -> str:
        """What is said of them, as part of a sentence."""
        return f"residuals are correlated within '{self.group}'"

    @property
    def sentence(self) -> str:
        """What the structure says, as part of a sentence."""
        return str(STRUCTURES[self.structure].SENTENCE).format(group=self.group, time=self.time)

    @cached_property
    def order(self) -> Ints:
        """Rows sorted by subject and, within a subject, by time, shape (rows,)."""
        return np.lexsort((self.at, self.subject)).astype(np.int64)

    @cached_property
    def back(self) -> Ints:
        """Where each row stands in that order, shape (rows,)."""
        return np.argsort(self.order).astype(np.int64)

    @cached_property
    def starts(self) -> Ints:
        """Places of the first rows of the subjects in that order, shape (subjects,)."""
        sorted_ = self.subject[self.order]
        return np.flatnonzero(np.append(True, np.diff(sorted_) != 0)).astype(np.int64)

    @cached_property
    def sizes(self) -> Ints:
        """Rows of each subject, shape (subjects,)."""
        return np.diff(np.append(self.starts, len(self.subject)))

    @cached_property
    def place(self) -> Ints:
        """Which subject each sorted row belongs to, numbered without gaps, shape (rows,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def gaps(self) -> Array:
        """Time since the previous row of the same subject, in that order, shape (rows,); infinite for a first row."""
        times = self.at[self.order]
        found = np.append(np.inf, np.diff(times))
        found[self.starts] = np.inf
        return found

    @cached_property
    def patterns(self) -> list[tuple[Ints, Ints]]:
        """Occasions that subjects were seen at: for each set of them the occasions, and the places of the rows.

        Places have shape (subjects with that set, occasions in it).
        """
        at = self.at[self.order].astype(np.int64)
        found: dict[tuple[int, ...], list[Ints]] = {}
        for start, size in zip(self.starts, self.sizes, strict=True):
            places = np.arange(start, start + size)
            found.setdefault(tuple(at[places].tolist()), []).append(places)
        return [(np.array(pattern, dtype=np.int64), np.stack(places)) for pattern, places in found.items()]

    def take(self, rows: Any) -> Residuals:
        """Return the residuals of some rows alone: what is seen of each subject at those times."""
        return replace(self, subject=self.subject[rows], at=self.at[rows])

    def mates(self, rows: Any) -> Ints:
        """Return all rows of the subjects of some rows, in order."""
        wanted = np.zeros(int(self.subject.max()) + 1, dtype=bool)
        wanted[self.subject[rows]] = True
        return np.flatnonzero(wanted[self.subject]).astype(np.int64)

    @property
    def _module(self) -> ModuleType:
        return STRUCTURES[self.structure]

    def log_density(self, theta: Array, z: Array) -> Array:
        """Return log N(z | 0, C) of each subject, shape (S, subjects).

        Parameters
        ----------
        theta
            Draws of the parameters, shape (S, parameters).
        z
            Standardised residuals, shape (S, rows).
        """
        white = self._module.whitened(self, theta, z[..., self.order])
        squares = np.add.reduceat(np.square(white), self.starts, axis=-1)
        return np.asarray(-0.5 * (squares + self.log_determinant(theta) + self.sizes * _LOG_2PI))

    def log_determinant(self, theta: Array) -> Array:
        """Return log |C| of each subject, shape (S, subjects)."""
        return np.asarray(self._module.log_determinant(self, theta))

    def given_others(self, theta: Array, z: Array) -> Array:
        """Return log p(z_i | z_-i), shape (S, rows); arguments as for `log_density`."""
        product, diagonal = self._module.precision(self, theta, z[..., self.order])
        found = 0.5 * (np.log(diagonal) - np.square(product) / diagonal - _LOG_2PI)
        return np.asarray(found[..., self.back])

    def slope(self, theta: Array, z: Array) -> Array:
        """Return P z, shape (S, rows): the derivative of -log N(z | 0, C) with respect to z."""
        return np.asarray(self._module.precision(self, theta, z[..., self.order])[0][..., self.back])

    def whitened(self, theta: Array, values: Array) -> Array:
        """Return C^(-1/2) times columns of values, which mixes rows of a subject only.

        Parameters
        ----------
        theta
            One draw of the parameters, shape (1, parameters).
        values
            Shape (rows, columns).
        """
        white = self._module.whitened(self, theta, values[self.order].T)
        return np.asarray(white.T[self.back])

    def draws(self, rng: np.random.Generator, theta: Array) -> Array:
        """Return standardised residuals from N(0, C), shape (S, rows)."""
        standard = rng.standard_normal((len(theta), len(self.subject)))
        return np.asarray(self._module.coloured(self, theta, standard)[..., self.back])

    def correlation(self, theta: Array, rows: Any) -> Array:
        """Return C of some rows, shape (S, rows, rows)."""
        return np.asarray(self._module.correlation(self, theta, self.back[rows]))


Coder = Callable[[pd.DataFrame, str], tuple[Ints, tuple[str, ...]]]


def build(written: Written, frame: pd.DataFrame, code_grouping: Coder) -> Residuals:
    """Build the residuals of a model from its data.

    Parameters
    ----------
    written
        What `parse` returned.
    frame
        The rows.
    code_grouping
        How a grouping is coded (`design.code_grouping`).

    Raises
    ------
    StudyError
        When times are text, not finite, not whole or without an order where the structure needs it, when a subject has two
        rows at one time, or no subject has more than one row.
    """
    subject, labels = code_grouping(frame, written.group)
    kind = STRUCTURES[written.structure].TIME
    at: Array = np.zeros(len(frame))
    occasions: tuple[str, ...] = ()
    if kind == "occasion":
        at, occasions = _occasions(written, frame[written.time])
    elif kind != "none":
        at = _times(written, frame[written.time], whole=kind == "whole")
    found = Residuals(written.structure, written.group, written.time, subject, at, occasions, subjects=labels)
    if kind != "none" and (same := np.flatnonzero(found.gaps == 0)).size:
        row = int(found.order[int(same[0])])
        when = occasions[int(at[row])] if occasions else f"{at[row]:g}"
        message = (
            f"'{labels[int(subject[row])]}' of '{written.group}' has two rows at {written.time} = {when}"
            f"{f', the first of {same.size} such pairs' if same.size > 1 else ''}"
        )
        raise _error(message, f"{written.structure} takes one row for each subject and time")
    if found.sizes.max() < 2:
        raise _error(
            f"every level of '{written.group}' has one row, so its residuals have nothing to be correlated with",
            "name the grouping that repeats",
        )
    if written.structure == "cs":
        return replace(found, lowest=-1.0 / float(found.sizes.max() - 1))
    return replace(found, lowest=0.0) if written.structure == "car1" else found


def _error(message: str, hint: str = "") -> StudyError:
    return StudyError([Problem("residuals", message, hint)])


def _times(written: Written, column: pd.Series, *, whole: bool) -> Array:
    """Return times as numbers."""
    name = written.time
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind not in "iuf":
        raise _error(
            f"the time '{name}' of {written} is no number (such as '{column.iloc[0]}')",
            "derive a number from it; days_between() makes one of dates",
        )
    at = column.to_numpy(dtype=np.float64)
    if not np.isfinite(at).all():
        raise _error(f"the time '{name}' of {written} is not finite in {int((~np.isfinite(at)).sum())} rows")
    if whole and (odd := np.flatnonzero(at != np.round(at))).size:
        raise _error(
            f"{written.structure} counts whole occasions, and '{name}' is {at[odd[0]]:g} in row {odd[0] + 1}",
            f"write car1({name} | {written.group}) for times as measured",
        )
    return at


def times_of_levels(column: pd.Series, name: str, where: str, *, whole: bool) -> Array:
    """Return times of the levels of a group that follow each other, shape (rows,): numbers, or places in a declared order.

    Raises
    ------
    StudyError
        When they are text without an order, not finite, or not whole where that is needed.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            message = f"{where}: the levels of '{name}' have no order in time (such as '{column.iloc[0]}')"
            raise StudyError([Problem("", message, f"declare it under data.ordered.{name}, without a data.reference")])
        return column.cat.codes.to_numpy().astype(np.float64)
    at = column.to_numpy(dtype=np.float64)
    if not np.isfinite(at).all():
        message = f"{where}: the time '{name}' is not finite in {int((~np.isfinite(at)).sum())} rows"
        raise StudyError([Problem("", message)])
    if whole and (odd := np.flatnonzero(at != np.round(at))).size:
        message = f"{where}: an autoregression counts whole steps, and '{name}' is {at[odd[0]]:g} in row {odd[0] + 1}"
        raise StudyError([Problem("", message, "derive whole numbers from it, or write structure=rw, which takes any")])
    return at


def _occasions(written: Written, column: pd.Series) -> tuple[Array, tuple[str, ...]]:
    """Return the number of each row's occasion, and the labels of the occasions in their order."""
    name = written.time
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise _error(
                f"the occasions '{name}' of {written} have no order (such as '{column.iloc[0]}')",
                f"declare it under data.ordered.{name}, without a data.reference",
            )
        seen, index = np.unique(column.cat.codes.to_numpy(), return_inverse=True)
        labels = tuple(str(column.cat.categories[code]) for code in seen)
    else:
        values, index = np.unique(_times(written, column, whole=False), return_inverse=True)
        labels = tuple(f"{value:g}" for value in values)
    if len(labels) > MOST_OCCASIONS:
        pairs = len(labels) * (len(labels) - 1) // 2
        raise _error(
            f"{written} has {len(labels)} occasions and {pairs} correlations; {MOST_OCCASIONS} occasions are the most",
            "ar1 and car1 have one parameter for any number of times",
        )
    return index.ravel().astype(np.float64), labels
