"""How a fit's state is shown: a sign and words, so that nothing depends on colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multilevel.report.markdown import Markdown, escape, inline, sentence_list, span
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record


def good(text: object) -> Markdown:
    """Return text marked as passed."""
    return span(Markdown(f"✓ {inline(text)}"), "ml-ok")


def caution(text: object) -> Markdown:
    """Return text marked as needing care."""
    return span(Markdown(f"▲ {inline(text)}"), "ml-care")


def bad(text: object) -> Markdown:
    """Return text marked as failed."""
    return span(Markdown(f"✕ {inline(text)}"), "ml-bad")


def absent(text: object) -> Markdown:
    """Return text marked as not there."""
    return span(Markdown(f"○ {inline(text)}"), "ml-absent")


def status_badge(model: Mapping[str, Any]) -> Markdown:
    """Return a fit's state, naming the checks that failed."""
    if model["status"] == OK:
        return good("passed")
    if model["status"] == NOT_FITTED:
        return absent("not fitted")
    return bad(Markdown(f"failed: {sentence_list(model['failed'])}"))


def model_name(model: Mapping[str, Any]) -> Markdown:
    """Return a candidate's label, flagged where its fit failed a check or is missing: for every table."""
    label = escape(model["label"])
    return label if model["status"] == OK else Markdown(f"{label} {status_badge(model)}")


def tab_title(model: Mapping[str, Any]) -> Markdown:
    """Return a candidate's label for a tab, with a word where its fit is not to be relied on."""
    word = {OK: "", FAILED: " ✕ failed", NOT_FITTED: " ○ not fitted"}[model["status"]]
    return Markdown(f"{escape(model['label'])}{word}")


def fit_note(model: Mapping[str, Any]) -> Markdown:
    """Return a sentence for the caption of a figure of a fit that failed; empty for one that passed."""
    if model["status"] != FAILED:
        return Markdown("")
    return Markdown(f" {bad('This fit failed its checks:')} {sentence_list(model['failed'])}.")


def fits_note(record: Record, names: Iterable[str] | None = None) -> Markdown:
    """Return sentences for the caption of a figure that shows several fits: which failed, and which are missing."""
    wanted = None if names is None else set(names)
    shown = [model for model in record["models"] if wanted is None or model["name"] in wanted]
    failed = [
        Markdown(f"{escape(model['label'])} ({sentence_list(model['failed'])})")
        for model in shown
        if model["status"] == FAILED
    ]
    missing = [escape(model["label"]) for model in shown if model["status"] == NOT_FITTED]
    parts = []
    if failed:
        parts.append(Markdown(f" {bad('Failed checks:')} {sentence_list(failed)}."))
    if missing:
        parts.append(Markdown(f" {absent('Not fitted:')} {sentence_list(missing)}."))
    return Markdown("".join(parts))
