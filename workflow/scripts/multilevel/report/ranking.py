"""What a comparison says, in words: who predicts best, and whether the data can tell the candidates apart."""

from __future__ import annotations

from typing import Any, NamedTuple

from multilevel.report.numbers import as_float
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record, find_model

BEST, SAME, WORSE, BETTER = "best", "cannot be told apart", "clearly worse", "clearly better"

SMALL_DIFFERENCE = 4.0
"""Below this |elpd_diff| the normal approximation of its error is poor (Sivula et al. 2025, section 3)."""

STANDARD_ERRORS = 2.0


class Entry(NamedTuple):
    """One candidate's place in a comparison."""

    model: dict[str, Any]
    row: dict[str, Any]
    status: str
    verdict: str


class Ranking(NamedTuple):
    """A comparison as the report shows it.

    `base` is the candidate that the differences are taken from, `best` the first in rank; None where nothing is ranked.
    """

    ranked: list[Entry]
    unranked: list[Entry]
    base: Entry | None
    best: Entry | None


def is_decisive(difference: Any, standard_error: Any) -> bool:
    """Return whether a difference in elpd is large enough to tell two candidates apart.

    It is not when it is below four in size, or below two of its standard errors, or when either is unknown.
    """
    size, error = as_float(difference), as_float(standard_error)
    if size is None or error is None:
        return False
    return abs(size) >= SMALL_DIFFERENCE and abs(size) >= STANDARD_ERRORS * error


def rank(record: Record, comparison: dict[str, Any]) -> Ranking:
    """Sort the candidates of a comparison into ranked and not ranked, and say of each what its difference means.

    A fit that failed a check is never ranked, whatever the comparison's file says.
    """
    by_name = {str(row.get("model")): row for row in comparison["rows"]}
    names = [*by_name, *(name for name in comparison["models"] if name not in by_name)]
    entries = [_entry(record, name, by_name.get(name, {})) for name in names]
    is_ranked = [entry.status == OK and as_float(entry.row.get("elpd")) is not None for entry in entries]
    unranked = [entry for entry, yes in zip(entries, is_ranked, strict=True) if not yes]
    in_order = sorted((entry for entry, yes in zip(entries, is_ranked, strict=True) if yes), key=_order)
    base = next((entry for entry in in_order if as_float(entry.row.get("elpd_diff")) == 0), None)
    best = in_order[0] if in_order else None
    ranked = [entry._replace(verdict=_verdict(entry, base, best)) for entry in in_order]
    return Ranking(ranked, unranked, _same(ranked, base), _same(ranked, best))


def _same(ranked: list[Entry], wanted: Entry | None) -> Entry | None:
    """Return the entry, now with its verdict, of the candidate that `wanted` is."""
    return next((entry for entry in ranked if wanted and entry.model["name"] == wanted.model["name"]), None)


def _entry(record: Record, name: str, row: dict[str, Any]) -> Entry:
    model = find_model(record, name)
    status = str(row.get("status") or model["status"])
    if model["status"] in {FAILED, NOT_FITTED}:
        status = model["status"]
    return Entry(model, row, status, "")


def _order(entry: Entry) -> tuple[float, float]:
    place, elpd = as_float(entry.row.get("rank")), as_float(entry.row.get("elpd"))
    return (float("inf") if place is None else place, -(elpd or 0.0))


def _verdict(entry: Entry, base: Entry | None, best: Entry | None) -> str:
    if base is not None and entry.model["name"] == base.model["name"]:
        return BEST if best is not None and best.model["name"] == base.model["name"] else "reference"
    difference = entry.row.get("elpd_diff")
    if not is_decisive(difference, entry.row.get("se_diff")):
        return SAME
    is_ahead = base is not None and (as_float(entry.row.get("elpd")) or 0.0) > (as_float(base.row.get("elpd")) or 0.0)
    return BETTER if is_ahead else WORSE
