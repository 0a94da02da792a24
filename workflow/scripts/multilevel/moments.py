"""Arithmetic of dates in expressions: dates are subtracted from each other, counted in days, and taken apart; nothing else."""

from __future__ import annotations

import re
from typing import Any

from multilevel.errors import FormulaError

FUNCTIONS = ("days", "days_between", "year", "month", "day_of_year")

_ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?"


def kind(value: Any) -> str:
    """Return `date`, `span` (a difference of dates) or nothing."""
    import numpy as np  # numpy and pandas are imported late: planning from the cache needs neither
    import pandas as pd

    if isinstance(value, str):
        return ""
    code = value.dtype.kind if isinstance(value, pd.Series) else np.asarray(value).dtype.kind
    if code == "O" and isinstance(value, pd.Timestamp | pd.Timedelta):
        code = "M" if isinstance(value, pd.Timestamp) else "m"
    return {"M": "date", "m": "span"}.get(code, "")


def any_moment(*values: Any) -> bool:
    """Tell whether some value is a date or a difference of dates."""
    return any(kind(value) for value in values)


def as_dates(*values: Any) -> list[Any]:
    """Return dates as they are and text such as '2020-01-31' as the date that it writes.

    Raises
    ------
    FormulaError
        When a value is neither.
    """
    import pandas as pd

    found = []
    for value in values:
        if isinstance(value, str) and re.fullmatch(_ISO, value):
            try:
                found.append(pd.Timestamp(value))
            except ValueError:
                raise FormulaError(f"'{value}' is no date") from None
        elif isinstance(value, str):
            raise FormulaError(f"'{value}' is no date; write it like '2020-01-31'")
        elif kind(value) == "span":
            raise FormulaError("a difference of dates is counted in days first, as in days(visit - start)")
        elif kind(value) == "date":
            found.append(value)
        else:
            raise FormulaError("a date goes with a date only; declare columns of dates under data.dates")
    return found


def subtract(left: Any, right: Any) -> Any:
    """Return the difference of two dates."""
    first, second = as_dates(left, right)
    return first - second


def refuse(what: str) -> FormulaError:
    """Return the error of something that is done to dates and cannot be."""
    return FormulaError(f"{what} a date; derive a number from it, such as days(visit - start) or year(visit)")


def days(span: Any) -> Any:
    """Return a difference of dates in days.

    Raises
    ------
    FormulaError
        When it is something else.
    """
    import pandas as pd

    if kind(span) != "span":
        raise FormulaError("'days' takes a difference of dates, such as days(visit - start)")
    day = pd.Timedelta(days=1)
    return span / day


def part(name: str, value: Any) -> Any:
    """Return the year, month (1 to 12) or day of the year (1 to 366) of dates."""
    if kind(value) != "date":
        raise FormulaError(f"'{name}' takes dates; declare the column under data.dates")
    numbers = getattr(value.dt, name)
    return numbers.astype(float) if numbers.isna().any() else numbers.astype("int64")
