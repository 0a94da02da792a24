"""Figures with their captions, and the words that stand for them where they cannot be seen."""

from __future__ import annotations

from typing import Any

from multilevel.report.flags import fit_note, fits_note
from multilevel.report.markdown import Markdown, code, escape, image
from multilevel.report.numbers import as_float, estimate, fixed
from multilevel.report.ranking import rank
from multilevel.report.record import Record, fitted
from multilevel.report.sections.estimates import KINDS

_STUDY_CAPTIONS = {
    "data_response_by_group": "The response by group: every observation that the candidates were fitted to.",
    "missingness": "How often each column is missing.",
    "group_sizes": "How many observations each group has. Small groups say little on their own.",
    "fixed_effects": "Population parameters across the candidates: posterior means with their intervals.",
    "shrinkage": "Group estimates with and without pooling. Small groups are pulled towards the others most.",
    "elpd_differences": "How much worse than the best each candidate is expected to predict, with standard errors. "
    "Bars that reach zero mean that the data cannot tell.",
    "pointwise": "Which observations the lead comes from: differences in log predictive density, one by one.",
    "predictive_density": "The distribution of the response (dark) over data simulated from each candidate (light).",
    "predictive_statistics": "Statistics of the data (lines) beside what each candidate predicts for them.",
}
_MODEL_CAPTIONS = {
    "predictive_density": "The distribution of the response (dark) over data simulated from this candidate (light).",
    "predictive_statistics": "Statistics of the data (lines) beside what this candidate predicts for them.",
    "pareto_k": "Pareto k of every observation. Above the threshold its leave-one-out score cannot be trusted.",
    "energy": "Energy of the sampler. Two curves of about the same width mean that it moves freely.",
    "shrinkage": "Group estimates of this candidate beside those of each group on its own.",
    "trace": "Trace of the draws. Good chains look like one band without a drift.",
    "ranks": "Ranks of the draws by chain. Good chains share the ranks evenly.",
}


_ABOUT_GROUPS = frozenset({"data_response_by_group", "group_sizes", "shrinkage"})
_BEFORE_ANY_FIT = frozenset({"missingness", "data_response_by_group", "group_sizes"})


def study_figure(record: Record, name: str, about: str | None = None) -> Markdown:
    """Return the figures of the study that have a name, or nothing where none was drawn.

    Parameters
    ----------
    record
        The study.
    name
        What is drawn, such as ``group_sizes``.
    about
        The grouping or comparison that it is drawn for; an empty string for none in particular, None for all of them.
    """
    drawn = [figure for figure in record["figures"].get(name, []) if about is None or figure["about"] == about]
    return Markdown("\n\n".join(_study_figure(record, name, figure) for figure in drawn))


def _study_figure(record: Record, name: str, figure: dict[str, str]) -> Markdown:
    kind = "Groups of" if name in _ABOUT_GROUPS else "Comparison"
    subject = f"{kind} {code(figure['about'])}. " if figure["about"] else ""
    fits = "" if name in _BEFORE_ANY_FIT else fits_note(record)
    caption = Markdown(f"{subject}{escape(_STUDY_CAPTIONS[name])}{fits}")
    return image(figure["path"], caption, _study_alt(record, name, figure["about"]))


def model_figure(model: dict[str, Any], name: str) -> Markdown:
    """Return a figure of one candidate, or nothing where it was not drawn."""
    path = model["figures"].get(name)
    if path is None:
        return Markdown("")
    caption = Markdown(f"{escape(model['label'])}. {escape(_MODEL_CAPTIONS[name])}{fit_note(model)}")
    return image(path, caption, _model_alt(model, name))


def has_figures(record: Record, *names: str) -> bool:
    """Return whether any candidate has one of the figures."""
    return any(name in model["figures"] for model in record["models"] for name in names)


def missing_figures(model: dict[str, Any], *names: str) -> Markdown:
    """Return a line that says so where a candidate has none of the figures."""
    if any(name in model["figures"] for name in names):
        return Markdown("")
    return Markdown(f"*No figure was drawn for* {code(model['name'])}*.*")


def _study_alt(record: Record, name: str, about: str) -> str:
    """Return what a figure shows, with the numbers that carry its message where no table beside it has them."""
    data = record["data"] or {}
    response = (data.get("response") or {}).get("name") or "the response"
    groupings = [group for group in data.get("groups") or [] if about in {"", group.get("name")}]
    groups = ", ".join(f"{group.get('levels')} groups of {group.get('name')}" for group in groupings)
    labels = ", ".join(model["label"] for model in fitted(record))
    words = {
        "missingness": "Chart of the share of rows in which each column is missing.",
        "data_response_by_group": f"Chart of {response} for the observations of {groups or 'each group'}.",
        "group_sizes": f"Chart of the number of observations per group. {_sizes(groupings)}",
        "elpd_differences": f"Chart of differences in expected log predictive density. {_differences(record, about)}",
        "pointwise": "Chart of the difference in log predictive density between two candidates for each observation.",
        "fixed_effects": f"Chart of means and intervals of the population parameters of {labels}, as in the table.",
        "shrinkage": f"Chart of group estimates moving from each group's own mean towards the common mean: {groups}.",
        "predictive_density": f"Densities of {response} as observed and as simulated from {labels}.",
        "predictive_statistics": f"Chart of statistics of {response} as observed and as predicted by {labels}.",
    }
    return words[name].strip()


def _sizes(groupings: list[dict[str, Any]]) -> str:
    return " ".join(
        f"{group.get('name')}: from {group.get('smallest')} to {group.get('largest')}, median {group.get('median')}."
        for group in groupings
    )


def _differences(record: Record, about: str) -> str:
    made = [item for item in record["comparisons"] if item["made"] and about in {"", item["name"]}]
    if not made:
        return ""
    entries = rank(record, made[0]).ranked
    parts = [
        f"{entry.model['label']}: {fixed(entry.row.get('elpd_diff'), 1)}, "
        f"standard error {fixed(entry.row.get('se_diff'), 1)}"
        for entry in entries
        if as_float(entry.row.get("elpd_diff"))
    ]
    return f"Best: {entries[0].model['label']}. {'; '.join(parts)}." if entries else ""


def _model_alt(model: dict[str, Any], name: str) -> str:
    label, checks = model["label"], (model["diagnostics"] or {}).get("checks", [])
    values = "; ".join(f"{check.get('label')}: {estimate(check.get('value'))}" for check in checks[:4])
    parameters = ", ".join(row["parameter"] for row in model["summary"] if row.get("kind") in KINDS[1:])
    words = {
        "trace": f"Trace plot of the chains of {label}: {parameters}. {values}.",
        "ranks": f"Rank plot of the chains of {label}: {parameters}. {values}.",
        "energy": f"Energy of the sampler for each chain of {label}. {values}.",
        "pareto_k": f"Pareto k of each observation under {label}, with the threshold.",
        "shrinkage": f"Chart of the group estimates of {label} beside the mean of each group on its own.",
        "predictive_density": f"Density of the observed response over densities simulated from {label}.",
        "predictive_statistics": f"Chart of statistics of the response as observed and as predicted by {label}.",
    }
    return words[name]
