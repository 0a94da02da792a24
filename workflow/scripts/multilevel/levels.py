"""How values read as levels of a factor or group, and in messages."""

from __future__ import annotations

from typing import Any

import pandas as pd


def level_text(value: Any) -> str:
    """Return a level as text; a whole number reads as one also where missing values made the column floating-point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def level_texts(column: pd.Series) -> pd.Series:
    """Return a column as texts, missing where it is missing; dates read as 2020-01-31, with the time where there is one."""
    if column.dtype.kind == "M":
        return date_texts(column)
    if isinstance(column.dtype, pd.StringDtype):
        return column
    return column.astype("object").map(level_text, na_action="ignore").astype("str")


def date_texts(column: pd.Series) -> pd.Series:
    """Return dates as ISO 8601 writes them: without the time where every one is midnight."""
    midnight = (column.dropna() == column.dropna().dt.normalize()).all()
    texts: pd.Series = column.dt.strftime("%Y-%m-%d" if midnight else "%Y-%m-%dT%H:%M:%S").astype("str")
    return texts
