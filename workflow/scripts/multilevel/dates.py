"""Dates written as text, read in a declared format."""

from __future__ import annotations

import re

import pandas as pd

from multilevel.column_types import DATES
from multilevel.errors import Problem, StudyError
from multilevel.levels import level_texts

ISO = "iso"
"""The format of dates and times as ISO 8601 writes them: 2020-01-31, 2020-01-31T08:30."""


def read_dates(column: pd.Series, pattern: str, row_id: pd.Series, where: str) -> pd.Series:
    """Read a column of dates.

    Parameters
    ----------
    column
        Texts or whole numbers (20200131); a column of dates is returned as it is.
    pattern
        A format as `datetime.strptime` takes it, or ``iso``.
    row_id
        Identifier of each row, for messages.
    where
        Where the format stands in the study.

    Raises
    ------
    StudyError
        When the format is none, or a value does not follow it; the first one is named.
    """
    if column.dtype.kind == "M":
        return column
    if pattern != ISO and not re.search(r"%[A-Za-z]", pattern):
        raise StudyError([Problem(where, f"'{pattern}' is no date format", "write it like '%Y-%m-%d', or iso")])
    texts = level_texts(column)
    try:
        found = pd.to_datetime(texts, format="ISO8601" if pattern == ISO else pattern, errors="coerce")
    except (ValueError, TypeError) as error:
        raise StudyError(
            [Problem(where, f"'{pattern}' is no date format ({error})", "write it like '%Y-%m-%d'")]
        ) from None
    bad = found.isna() & texts.notna()
    if bad.any():
        first = int(bad.to_numpy().argmax())
        more = f" ({int(bad.sum())} values are so)" if bad.sum() > 1 else ""
        message = f"'{texts.iloc[first]}' in row {row_id.iloc[first]} is no date of the form '{pattern}'{more}"
        raise StudyError([Problem(where, message, "correct the format, or list the value under missing")])
    clock: pd.Series = found.dt.tz_localize(None).astype(DATES)
    return clock
