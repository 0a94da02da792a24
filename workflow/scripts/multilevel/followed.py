"""Who is followed over time, as a study declares it (``trajectories``), checked against the data before anything is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel import schema
from multilevel.dataset import Dataset
from multilevel.errors import Problem, did_you_mean

WHERE = "trajectories"


def columns(found: schema.Trajectories | None) -> set[str]:
    """Return the columns that tell who is followed and when; rows that lack one belong to no trajectory."""
    return {found.time, found.subject} if found else set()


def problems(found: schema.Trajectories | None, dataset: Dataset) -> list[Problem]:
    """Return what is wrong with the columns: unknown, times that are no numbers, subjects that are measured once."""
    if found is None:
        return []
    frame = dataset.frame
    available = [str(c) for c in frame.columns]
    out = [
        Problem(f"{WHERE}.{key}", f"unknown column '{name}'", did_you_mean(name, available))
        for key, name in (("time", found.time), ("subject", found.subject))
        if name not in available
    ]
    if out:
        return out
    if found.time == found.subject:
        return [Problem(WHERE, f"'{found.time}' is both the time and the subject")]
    times = frame[found.time]
    if times.dtype.kind == "M":
        hint = "derive a number from it, such as days_between(start, visit)"
        return [Problem(f"{WHERE}.time", f"the column '{found.time}' holds dates", hint)]
    if isinstance(times.dtype, pd.CategoricalDtype) or times.dtype.kind not in "fiub":
        message = f"the time '{found.time}' is text (such as '{times.astype(str).iloc[0]}') where numbers are needed"
        return [Problem(f"{WHERE}.time", message)]
    if not np.isfinite(times.to_numpy(dtype=np.float64)).all():
        return [Problem(f"{WHERE}.time", f"the time '{found.time}' is not finite in some rows")]
    if times.groupby(frame[found.subject], observed=True).nunique().max() < 2:
        message = f"no '{found.subject}' is measured at two times of '{found.time}'"
        return [Problem(WHERE, message, "name the column that tells who was measured, and that of when")]
    return []


def resolve(found: schema.Trajectories | None) -> dict[str, Any]:
    """Return the declaration as plain values; nothing where there is none."""
    return {} if found is None else {"time": found.time, "subject": found.subject, "most": found.most}
