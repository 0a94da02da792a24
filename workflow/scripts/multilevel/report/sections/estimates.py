"""Estimates: the candidates side by side, then each in full."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from multilevel.report.flags import model_name
from multilevel.report.markdown import Markdown, code, escape, span, table
from multilevel.report.numbers import ABSENT, as_float, count, estimate, fixed, interval, significant
from multilevel.report.record import Record
from multilevel.report.sections.models import without_level

KINDS = ("population", "sd", "cor", "df", "residual")
_KIND_TITLES = {
    "population": "population",
    "sd": "SD between groups",
    "cor": "correlation of effects",
    "df": "degrees of freedom of effects",
    "residual": "residual",
}
_MOST_LEVELS_SIDE_BY_SIDE = 8
_MOST_ROWS = 100


def side_by_side(record: Record) -> Markdown:
    """Return parameters down, candidates across: posterior mean and 95% interval.

    The levels of a factor with many levels share a line that gives the range of their means.
    """
    models = record["models"]
    cells = {model["name"]: _cells(model["summary"]) for model in models}
    rows: list[list[object]] = []
    for kind in KINDS:
        names = _in_order(name for model in models for k, name in cells[model["name"]] if k == kind)
        for name in names:
            values = [cells[model["name"]].get((kind, name), Markdown(ABSENT)) for model in models]
            rows.append([Markdown(f"{code(name)} {span(_KIND_TITLES[kind], 'ml-interval')}"), *values])
    if not rows:
        return Markdown("*No candidate has been fitted.*")
    headers = ["Parameter", *(model_name(model) for model in models)]
    return table(headers, rows, label="Estimates side by side")


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _cells(summary: list[dict[str, Any]]) -> dict[tuple[str, str], Markdown]:
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in summary:
        if row.get("kind") in KINDS:
            families.setdefault((row["kind"], without_level(row["parameter"])), []).append(row)
    cells: dict[tuple[str, str], Markdown] = {}
    for (kind, family), rows in families.items():
        if len(rows) > _MOST_LEVELS_SIDE_BY_SIDE:
            cells[(kind, family)] = _many_levels(rows)
        else:
            cells.update({(kind, row["parameter"]): _cell(row) for row in rows})
    return cells


def _cell(row: dict[str, Any]) -> Markdown:
    mean = estimate(row.get("mean"), row.get("mcse_mean"), row.get("sd"))
    return Markdown(f"{escape(mean)} {span(_interval(row), 'ml-interval')}")


def _interval(row: dict[str, Any]) -> str:
    errors = [error for key in ("mcse_lower", "mcse_upper") if (error := as_float(row.get(key))) is not None]
    return interval(row.get("lower"), row.get("upper"), max(errors, default=None), row.get("sd"))


def _many_levels(rows: list[dict[str, Any]]) -> Markdown:
    means = [number for row in rows if (number := as_float(row.get("mean"))) is not None]
    if not means:
        return Markdown(ABSENT)
    text = f"means {significant(min(means))} to {significant(max(means))}"
    return Markdown(f"{escape(f'{count(len(rows))} levels')} {span(text, 'ml-interval')}")


def details_table(model: dict[str, Any], *, group_effects: bool) -> Markdown:
    """Return a candidate's parameters with their simulation error and convergence.

    Parameters
    ----------
    model
        A fitted candidate of the record.
    group_effects
        The effects of the single groups if true, all other parameters if false.
    """
    chosen = [row for row in model["summary"] if (row.get("kind") == "group") == group_effects]
    rows = [_detail(row) for row in chosen[:_MOST_ROWS]]
    headers = ["Parameter", "Mean", "SD", "95% interval", "MCSE of mean", "Bulk ESS", "Tail ESS", "R-hat"]
    label = "Group effects" if group_effects else "Parameters"
    text = table(headers, rows, label=f"{label} of {model['label']}", align="lrrrrrrr")
    if len(chosen) <= _MOST_ROWS:
        return text
    note = f"The first {count(_MOST_ROWS)} of {count(len(chosen))} are shown; all stand in "
    return Markdown(f"{text}\n\n{escape(note)}{code(model['folder'] + '/summary.csv')}.")


def _detail(row: dict[str, Any]) -> list[object]:
    decimals = (row.get("mcse_mean"), row.get("sd"))
    return [
        code(row.get("parameter")),
        estimate(row.get("mean"), *decimals),
        significant(row.get("sd"), 2),
        _interval(row),
        significant(row.get("mcse_mean"), 2),
        count(row.get("ess_bulk")),
        count(row.get("ess_tail")),
        fixed(row.get("r_hat"), 3),
    ]


def number_of_group_effects(model: dict[str, Any]) -> int:
    """Return how many effects of single groups a candidate has."""
    return sum(row.get("kind") == "group" for row in model["summary"])
