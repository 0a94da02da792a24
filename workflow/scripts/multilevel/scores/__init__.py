"""Scores of one fitted model: one file each, found by name.

A score module defines ``score(design, draws)``, which returns a record of plain values and a table of per-unit
values (or None). Every record says what is left out, what is predicted, which likelihood was used and what to beware of.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from multilevel import design as designs
from multilevel import families
from multilevel.dataset import Dataset
from multilevel.design import Design


def get(name: str) -> ModuleType:
    """Return the module of a score.

    Raises
    ------
    ModuleNotFoundError
        When there is no score of that name.
    """
    return importlib.import_module(f"{__name__}.{name}")


def fingerprint(design: Design, data: Dataset, criterion: str, response: str = "") -> dict[str, Any]:
    """Return what must be equal in two scores for them to be compared.

    Parameters
    ----------
    design, data
        The design and its data.
    criterion
        The score.
    response
        The column that scores are of, where it is not the response.

    Returns
    -------
    dict
        Digests of the rows in their order and of the response as it was modelled; how each row counts; whether the
        response is ``discrete`` or ``continuous``, a probability or a density; the number of rows; the criterion.
    """
    return {
        "rows": data.digests["row_id"],
        "response": data.digests[response or design.response],
        "scored": designs.scored(design),
        "kind": "continuous" if families.get(design.family).KIND == "continuous" else "discrete",
        "n": len(design.y),
        "criterion": criterion,
    }
