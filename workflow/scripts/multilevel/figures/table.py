"""The check that every figure makes of the table it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from multilevel.figures.labels import plain


def checked(
    data: pd.DataFrame, figure: str, names: Sequence[str], numbers: Sequence[str], some: Sequence[str] = ()
) -> pd.DataFrame:
    """The columns of `data` that `figure` draws: names as text, numbers as float64 with infinities as missing.

    Raises
    ------
    ValueError
        When a column is missing, there are no rows, a column of numbers holds something else, or none of the columns
        `some` has a finite value.
    """
    needed = [*names, *numbers]
    missing = [column for column in needed if column not in data.columns]
    if missing:
        raise ValueError(
            f"{figure} needs the columns {', '.join(needed)}; missing: {', '.join(missing)}; "
            f"the table has: {', '.join(map(str, data.columns)) or 'none'}"
        )
    if data.empty:
        raise ValueError(f"{figure} has nothing to draw: the table has no rows")
    table = data[needed].reset_index(drop=True)
    for column in names:
        table[column] = pd.Series(
            [name if isinstance(name, str) else plain(name) for name in table[column]], dtype=object
        )
    for column in numbers:
        try:
            values = pd.to_numeric(table[column]).astype("float64")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{figure}: column {column} must hold numbers: {error}") from error
        table[column] = values.replace([np.inf, -np.inf], np.nan)
    if some and not np.isfinite(table[list(some)].to_numpy(dtype=float)).any():
        raise ValueError(f"{figure} has nothing to draw: no finite value in {', '.join(some)}")
    return table


def in_order(names: Iterable[str]) -> list[str]:
    """The distinct names in order of first appearance."""
    return list(dict.fromkeys(names))
