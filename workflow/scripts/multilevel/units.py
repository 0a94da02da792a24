"""What is left out at a time: one observation, or all rows of one level of a grouping."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import design


@dataclass(frozen=True)
class Units:
    """A partition of the rows.

    Parameters
    ----------
    name
        The grouping that makes it: ``county``, ``school:class``.
    labels
        Its levels, in the order of the index.
    index
        Level of each row, shape (rows,).
    """

    name: str
    labels: tuple[str, ...]
    index: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.labels)

    @property
    def digest(self) -> str:
        """SHA-256 of the level of each row."""
        text = "\x1f".join(self.labels)
        return hashlib.sha256(text.encode() + self.index.astype("<i8").tobytes()).hexdigest()

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each unit, shape (units,)."""
        return np.bincount(self.index, minlength=self.count)


def of_grouping(frame: pd.DataFrame, name: str) -> Units:
    """Return the levels of a grouping of the data, whether or not a model has a term for it."""
    index, labels = design.code_grouping(frame, name)
    return Units(name, labels, index)


def of_time(frame: pd.DataFrame, name: str) -> Units:
    """Return the values of a column of time in their order: numbers by value, levels as their order was declared.

    Raises
    ------
    ValueError
        When it has none.
    """
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise ValueError(f"the levels of '{name}' have no order")
        present, index = np.unique(column.cat.codes.to_numpy(), return_inverse=True)
        return Units(name, tuple(str(column.cat.categories[i]) for i in present), index.astype(np.int64))
    index, labels = design.code_levels(column)
    return Units(name, labels, index)


def of_term(term: design.Term) -> Units:
    """Return the levels of a group term."""
    return Units(term.group, term.levels, term.index)


def words(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join([part for part in (", ".join(names[:-1]), *names[-1:]) if part])
