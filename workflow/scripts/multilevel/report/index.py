"""The front page of ``results/``: the studies that ran, with a link to each report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2

from multilevel.report.markdown import clean
from multilevel.report.numbers import count, fixed
from multilevel.report.page import REPORTS
from multilevel.report.ranking import SAME, rank
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record


class StudyLine(NamedTuple):
    """What the front page says of one study."""

    title: str
    question: str
    link: str
    candidates: list[str]
    rows: str
    best: str
    lead: str
    state: str
    quality: str


def build_index(records: Iterable[Record], *, reports_dir: Path = REPORTS) -> str:
    """Return the front page as HTML, one entry for each record, sorted by the name of the study.

    The page carries its style and no script; a link leads to ``<study>/report.html``.
    """
    loader = jinja2.FileSystemLoader([reports_dir / "templates", reports_dir / "theme"])
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    lines = [study_line(record) for record in sorted(records, key=lambda record: str(record["study"]))]
    return environment.get_template("index.html.j2").render(studies=lines)


def study_line(record: Record) -> StudyLine:
    """Return what the front page says of a study."""
    best, lead = _best(record)
    state, quality = _quality(record)
    rows = ((record["data"] or {}).get("rows") or {}).get("used")
    return StudyLine(
        title=clean(record["title"] or record["study"]),
        question=clean(record["question"]),
        link=f"{quote(str(record['study']))}/report.html",
        candidates=[clean(model["label"]) for model in record["models"]],
        rows=f"{count(rows)} observations" if rows is not None else "",
        best=best,
        lead=lead,
        state=state,
        quality=quality,
    )


def _best(record: Record) -> tuple[str, str]:
    made = [comparison for comparison in record["comparisons"] if comparison["made"]]
    found = rank(record, made[0]) if made else None
    if found is None or found.best is None:
        return "", "No candidate could be ranked."
    label = clean(found.best.model["label"])
    if len(found.ranked) < 2 or found.base is None or found.base.model["name"] != found.best.model["name"]:
        return label, ""
    second: dict[str, Any] = found.ranked[1].row
    lead = (
        f"{fixed(abs(second['elpd_diff']), 1)} elpd ahead of the next, standard error {fixed(second.get('se_diff'), 1)}"
    )
    return label, f"{lead}: {'not decisive' if found.ranked[1].verdict == SAME else 'decisive'}"


def _quality(record: Record) -> tuple[str, str]:
    states = [model["status"] for model in record["models"]]
    failed, missing = states.count(FAILED), states.count(NOT_FITTED)
    if failed:
        return "bad", f"✕ Failed: {failed} of {len(states)} fits failed a check"
    if missing:
        return "care", f"▲ Incomplete: {missing} of {len(states)} candidates not fitted"
    return "ok", f"✓ Passed: all {states.count(OK)} fits passed every check"
