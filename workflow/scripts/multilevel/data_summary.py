"""What the report says of the data: tables, joins, rows, columns, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel import categories
from multilevel.dataset import Dataset
from multilevel.design import code_grouping, code_levels, numeric


def describe(
    dataset: Dataset, response: str, groups: list[str], used: list[str], words: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Return the description as plain values.

    Parameters
    ----------
    dataset
        The prepared dataset.
    response
        The response of the study's models.
    groups
        The grouping columns that its models use.
    used
        Every column that some model uses.
    words
        ``units`` and ``labels`` of the study file, by column.
    """
    summary = dataset.summary
    y = categories.numbers(dataset.frame[response])
    derived = summary["steps"].get("derive", {})
    grouping_columns = {column for group in groups for column in group.split(":")}
    return {
        "tables": [
            {key: table[key] for key in ("name", "path", "rows", "sha256", "source", "licence", "citation")}
            for table in summary["tables"]
        ],
        "joins": [{**join, "by": ", ".join(join["by"])} for join in summary["joins"]],
        "rows": summary["rows"],
        "dropped": summary["dropped"],
        "steps": summary["steps"],
        "response": {
            "name": response,
            "label": words["labels"].get(response, response),
            "unit": words["units"].get(response, ""),
            "mean": float(y.mean()),
            "sd": float(y.std(ddof=1)),
            "min": float(y.min()),
            "max": float(y.max()),
            "transformation": derived.get(response, ""),
            "categories": categories.counts(dataset.frame[response]),
        },
        "columns": [_column(dataset, name, words, name in grouping_columns) for name in used],
        "groups": [_group(dataset, name) for name in groups],
        "fingerprint": {"rows": dataset.digests["row_id"], "response": dataset.digests[response], "n": len(y)},
    }


def _column(dataset: Dataset, name: str, words: dict[str, dict[str, str]], is_group: bool) -> dict[str, Any]:
    values, field = dataset.frame[name], dataset.summary["fields"].get(name, {})
    entry: dict[str, Any] = {
        "name": name,
        "type": "numeric",
        "unit": words["units"].get(name) or field.get("unit", ""),
        "description": words["labels"].get(name) or field.get("description", ""),
        "derived": field.get("derived", ""),
        "missing": int(dataset.summary["missing"].get(name, 0)),
    }
    if isinstance(values.dtype, pd.CategoricalDtype):
        return {
            **entry,
            "type": "categorical",
            "levels": len(values.cat.categories),
            "reference": str(values.cat.categories[0]),
            **({"order": list(values.cat.categories)} if name in dataset.summary["steps"].get("ordered", {}) else {}),
        }
    if is_group:
        return {**entry, "type": "grouping", "levels": len(code_levels(values)[1])}
    numbers = numeric(dataset.frame, name)
    return {
        **entry,
        "mean": float(numbers.mean()),
        "sd": float(np.std(numbers, ddof=1)),
        "min": float(numbers.min()),
        "max": float(numbers.max()),
    }


def _group(dataset: Dataset, name: str) -> dict[str, Any]:
    index, levels = code_grouping(dataset.frame, name)
    counts = np.bincount(index, minlength=len(levels))
    return {
        "name": name,
        "levels": len(levels),
        "smallest": int(counts.min()),
        "median": float(np.median(counts)),
        "largest": int(counts.max()),
        "singletons": int((counts == 1).sum()),
    }
