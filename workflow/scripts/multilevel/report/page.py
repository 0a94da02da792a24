"""The source of the report: templates filled from a record, one file that Quarto and Pandoc both read."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from multilevel.report import flags, markdown, numbers, ranking
from multilevel.report import record as records
from multilevel.report.record import Record
from multilevel.report.sections import (
    checks,
    comparison,
    data,
    deviance,
    estimates,
    figures,
    models,
    plain,
    provenance,
    published,
    quality,
)

REPORTS = Path(__file__).resolve().parents[4] / "reports"

_MODULES: dict[str, ModuleType] = {
    "checks": checks,
    "comparison": comparison,
    "data": data,
    "deviance": deviance,
    "estimates": estimates,
    "figures": figures,
    "flags": flags,
    "md": markdown,
    "models": models,
    "numbers": numbers,
    "plain": plain,
    "provenance": provenance,
    "published": published,
    "quality": quality,
    "ranking": ranking,
    "records": records,
}


def build_qmd(record: Record, *, reports_dir: Path = REPORTS) -> str:
    """Return the report's source for a record made by :func:`multilevel.report.build_record`.

    Whatever a template prints is escaped unless it is :class:`multilevel.report.markdown.Markdown` already.
    """
    template = environment(reports_dir).get_template("report.qmd.j2")
    text = template.render(record=record, **_MODULES)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def environment(reports_dir: Path = REPORTS) -> jinja2.Environment:
    """Return the templates' environment: strict about names, escaping by default."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(reports_dir / "templates"),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        comment_start_string="<#",  # Jinja's own {# would swallow the anchors of headings
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # finalize escapes for Markdown; HTML's own escaping would be the wrong one
    )


def _finalize(value: Any) -> markdown.Markdown:
    return markdown.inline(value)
