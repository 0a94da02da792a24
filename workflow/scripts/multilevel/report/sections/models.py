"""The candidates and their priors."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

from multilevel.report.flags import status_badge
from multilevel.report.markdown import Markdown, bullets, code, display_math, escape, join, sentence_list, strong, table
from multilevel.report.numbers import count
from multilevel.report.record import Record

LONG = 60
"""Characters of a formula from which on a table may break it."""

_LEVEL = re.compile(r"\[[^\[\]]+\]")


def candidates_table(record: Record) -> Markdown:
    """Return one row for each candidate: label, name, formula, family, state of the fit."""
    rows = [
        [
            escape(model["label"]),
            code(model["name"]),
            join((_formula(text) for text in model["formulas"]), ", "),
            escape(model["family"]),
            status_badge(model),
        ]
        for model in record["models"]
    ]
    headers = ["Candidate", "Name in the study", "Formula", "Family", "Fit"]
    return table(headers, rows, label="Candidate models", align="lllll")


def _formula(text: str) -> Markdown:
    """Return a formula as code; a long one, such as of a curve and its parameters, may be broken into lines."""
    return Markdown(f"[{code(text)}]{{.ml-long}}") if len(text) > LONG else code(text)


def same_models(record: Record) -> Markdown:
    """Return a line for each candidate that the study names in several ways; empty where there is none."""
    names: dict[str, list[str]] = {}
    for alias, kept in record["aliases"].items():
        names.setdefault(kept, []).append(alias)
    return bullets(
        Markdown(f"{code(kept)} is also {sentence_list(code(alias) for alias in aliases)}.")
        for kept, aliases in names.items()
    )


def equations(model: dict[str, Any]) -> Markdown:
    """Return a model's equations, level by level; says so where none were written."""
    levels = (model.get("equations") or {}).get("levels") or []
    if not levels:
        return Markdown("*Equations were not written for this candidate.*")
    blocks = []
    for level in levels:
        lines = level.get("latex") or []
        blocks.append(strong(level.get("title") or f"Level {level.get('level')}"))
        blocks += [_equation(line) for line in (lines if isinstance(lines, list) else [lines])]
    return Markdown("\n\n".join(blocks))


def _equation(latex: Any) -> Markdown:
    return Markdown(f"::: {{.ml-equation}}\n{display_math(latex)}\n:::")


def without_level(parameter: str) -> str:
    """Return a parameter's name with the level of a factor taken out: ``b(county[AITKIN])`` gives ``b(county[…])``."""
    return _LEVEL.sub("[…]", parameter)


def _who(used_by: list[str], everyone: list[str]) -> Markdown:
    """Return ``all``, ``all but a``, or the list, whichever is shortest."""
    others = [label for label in everyone if label not in used_by]
    if not others:
        return escape("all")
    return Markdown(f"all but {sentence_list(others)}") if len(others) < 0.4 * len(everyone) else join(used_by)


class PriorLine(NamedTuple):
    """What makes two priors share a line of the table."""

    parameter: str
    prior: str
    source: str
    note: str


def priors_table(record: Record) -> Markdown:
    """Return every prior once, with the candidates that use it; the levels of one factor share a line."""
    candidates: dict[PriorLine, list[str]] = {}
    levels: dict[PriorLine, int] = {}
    for model in record["models"]:
        for line, number in _prior_lines(model["prior_table"]).items():
            candidates.setdefault(line, []).append(model["label"])
            levels[line] = max(levels.get(line, 0), number)
    rows = []
    for line, used_by in candidates.items():
        many = f" {escape(f'({count(levels[line])} levels)')}" if levels[line] > 1 else ""
        source = _source(line.source)
        who = _who(used_by, [model["label"] for model in record["models"] if model["prior_table"]])
        rows.append([Markdown(f"{code(line.parameter)}{many}"), code(line.prior), source, who, escape(line.note)])
    headers = ["Parameter", "Prior", "From", "Candidates", "Note"]
    return table(headers, rows, label="Priors", align="lllll")


def prior_predictions(record: Record) -> Markdown:
    """Return what each candidate's priors predict beside the data, and what is to be said of it; empty where not computed."""
    known = [(model, model["prior_predictive"]) for model in record["models"] if model.get("prior_predictive")]
    if not known:
        return Markdown("")
    rows = []
    for model, found in known:
        spread = found["quantiles"]
        said = [escape(found["reason"])] if found["reason"] else [escape(sentence) for sentence in found["warnings"]]
        predicted = f"{spread['0.05']:.3g} to {spread['0.95']:.3g}" if spread else "not drawn"
        ratio = "" if found["ratio"] is None else f"{found['ratio']:.2g}"
        scale = {"log": "ranges, log scale", "response": "ranges", "probability": "share at 0 or 1"}.get(
            found["scale"], ""
        )
        data = f"{found['lowest']:.3g} to {found['highest']:.3g}"
        rows.append(
            [
                escape(model["label"]),
                escape(predicted),
                escape(data),
                escape(f"{ratio} ({scale})" if ratio else ""),
                join(said, "; ") if said else escape(_within_limits(found)),
            ]
        )
    headers = ["Candidate", "90 % of the prior predictive", "Data", "Width", "Note"]
    return table(headers, rows, label="Prior predictive distributions", align="lllll")


def _within_limits(found: dict[str, Any]) -> str:
    """Return what was looked for and not found: a limit that was kept is no praise of the priors."""
    if found["scale"] == "probability":
        return f"at most {100 * found['most_at_edge']:.0f} % at 0 or 1"
    return f"at most {found['factor']:g} ranges wide, and around the median"


def _source(source: str) -> Markdown:
    """Return where a prior is from; ``study: b(county)`` names the entry of the study that set it."""
    where, _, entry = source.partition(":")
    if where != "study":
        return escape(source)
    return join([strong("set by the study"), code(entry)], " ") if entry.strip() else strong("set by the study")


def _prior_lines(priors: list[dict[str, Any]]) -> dict[PriorLine, int]:
    """Return how many parameters of one candidate share a line; a lone parameter keeps its full name."""
    lines = [PriorLine(*(str(entry.get(key) or "") for key in PriorLine._fields)) for entry in priors]
    shared = Counter(line._replace(parameter=without_level(line.parameter)) for line in lines)
    counted: dict[PriorLine, int] = {}
    for line in lines:
        family = line._replace(parameter=without_level(line.parameter))
        counted[family if shared[family] > 1 else line] = shared[family]
    return counted
