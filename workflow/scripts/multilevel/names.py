"""Names that users give, the names of models made of them, and what reports share with scores."""

NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_]{0,63}"
"""What users may call a study, a model, a comparison or a value of the grid; the wildcard constraint of the first three."""

MODEL_PATTERN = rf"{NAME_PATTERN}(?:\.{NAME_PATTERN})*"
"""A model of the plan: the name that the user gave, then the values of the grid, each after a dot. Names have none."""

LONGEST_MODEL = 128
"""Most characters of a model's name with its grid values: it is part of the names of files."""

RESERVED = frozenset({"Intercept", "chain", "coefficient", "draw", "offset", "row", "row_id"})
"""Names that a column used in a model cannot have: they stand for something else in formulas and stored posteriors."""

HIGH_K = 0.7
"""Pareto k above which weights are unreliable, of 2200 draws or more (Vehtari, Simpson, Gelman, Yao & Gabry 2024)."""

OBSERVATION = "observation"
"""What is left out where no grouping is: one row."""

_FUTURE = "future(", ")"


def future(column: str) -> str:
    """Return what leaving out the future of a column of time is called among what is left out: ``future(day)``."""
    return column.join(_FUTURE)


def time_of(unit: str) -> str:
    """Return the column of time whose future is left out; nothing where a unit is an observation or a grouping."""
    start, end = _FUTURE
    return unit[len(start) : -len(end)] if unit.startswith(start) and unit.endswith(end) else ""
