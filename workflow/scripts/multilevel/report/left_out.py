"""What a comparison leaves out, in words."""

from __future__ import annotations

from multilevel.names import OBSERVATION, time_of


def words(unit: str) -> str:
    """Return what is left out at a time, after "leaving out": ``one observation at a time``, ``the future of day``."""
    return f"the future of {time}" if (time := time_of(unit)) else f"one {unit} at a time"


def is_grouping(unit: str) -> bool:
    """Tell whether the levels of a grouping are left out."""
    return unit != OBSERVATION and not time_of(unit)
