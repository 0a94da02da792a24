"""Figures with their captions, and the words that stand for them where they cannot be seen."""

from __future__ import annotations

from typing import Any

from multilevel.names import time_of
from multilevel.report import left_out
from multilevel.report.flags import fit_note, fits_note
from multilevel.report.markdown import Markdown, code, escape, image
from multilevel.report.record import Record
from multilevel.report.sections.alternatives import model_alternative, study_alternative

_STUDY_CAPTIONS = {
    "missingness": "How often each column is missing: the columns that some candidate uses, and others with gaps.",
    "data_response_by_group": "The response by group: every observation that the candidates were fitted to.",
    "group_sizes": "How many observations each group has. Small groups say little on their own.",
    "forest": "Every parameter that is not a single group's, candidate by candidate. Dots are posterior means; the thick "
    "line holds the parameter with 50% probability, the thin one with 95%. Each parameter has a scale of its own.",
    "elpd_differences": "How much worse than the best each candidate is expected to predict, with standard errors. "
    "Bars that reach zero mean that the data cannot tell.",
    "pointwise": "Where a difference comes from. Each dot is what was left out at a time: above zero the candidate "
    "predicts it better than the best one does, below zero worse. Grey blocks add up to a group's part. A lead that rests "
    "on a handful of dots is fragile.",
    "predictive_density": "The distribution of the response (dark) over data simulated from each candidate (light).",
    "predictive_statistics": "Statistics of the data (lines) beside what each candidate predicts for them.",
    "predictive_quantiles": "Where in its range the response departs from what a candidate expects: small values stand at "
    "the left, large ones at the right. The dark line is the observed quantile minus the predicted one, and the band "
    "holds 95% of the simulated ones. A line below the band at the left means smaller values than expected.",
    "group_statistics": "The mean of every group, and its standard deviation where the group has five rows or more, beside "
    "the interval in which a candidate expects it. Groups on red crosses are not described by the candidate. By chance one "
    "in twenty falls outside where a candidate knows nothing of the groups, and fewer where it was fitted to them.",
}
_DIFFERENCES_BY_TIME = (
    "When a difference arises. Each dot is a time, predicted from earlier ones: above zero the candidate foretells it better "
    "than the best one does, below zero worse. A lead that rests on one or two times is fragile."
)
_MODEL_CAPTIONS = {
    "caterpillar": "The effects of the single groups from the highest to the lowest, with 50% and 95% intervals. A group "
    "whose line does not touch zero differs clearly from the average group.",
    "shrinkage": "Each group's estimate from its own data alone (open circles) beside the one that also draws on the other "
    "groups (dots). Small groups are pulled towards the average most.",
    "shrinkage_plane": "Intercept and slope of each group together. A line leads from what the group's own data say to the "
    "estimate that also draws on the other groups. Half-known groups, whose own data give no slope, are diamonds; the cross "
    "is the average group.",
    "trajectories": "What is expected over time, subject by subject: the line is the median, the dark band holds what "
    "is expected with 95% probability, the light one a new measurement; dots are the data. The last panel is a subject that "
    "was never measured, whose bands hold how much subjects differ as well.",
    "predictive_by_group": "The response of all rows and of the largest groups (dark) over data simulated from this "
    "candidate (light). Where the dark line leaves the light ones, the candidate does not describe that group.",
    "rootogram": "How often each count occurs (dots) and how often this candidate expects it to (bars, which hold 95% of the "
    "simulated frequencies). The scale is that of square roots, on which rare counts and frequent ones vary alike by chance. "
    "Red crosses are frequencies that the candidate does not describe.",
    "calibration": "Rows with about the same predicted probability, taken together: how often what was predicted came true. "
    "Dots on the diagonal came true as often as predicted; bars hold 95% of the simulated shares, and red crosses lie outside.",
    "pareto_k": "Pareto k of every observation. Above the threshold its leave-one-out score cannot be trusted.",
    "energy": "Energy of the sampler. Two curves of about the same width mean that it moves freely; the E-BFMI puts the "
    "same into a number, and below 0.3 it is too low.",
    "pairs": "The parameters that the sampler found hardest, in pairs, and the log posterior. Dots are draws; a cross is a "
    "divergent transition. Crosses that crowd in one place, ridges and funnels show where the sampler was in trouble.",
    "trace": "Trace of the draws. Good chains look like one band without a drift.",
    "ranks": "Ranks of the draws by chain. Good chains share the ranks evenly.",
}

_ABOUT_GROUPS = frozenset({"data_response_by_group", "group_sizes", "group_statistics"})
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
    subject, unit = _subject(record, name, figure["about"]), _unit(record, figure["about"])
    words = _DIFFERENCES_BY_TIME if name == "pointwise" and time_of(unit) else _STUDY_CAPTIONS[name]
    fits = "" if name in _BEFORE_ANY_FIT else fits_note(record)
    caption = Markdown(f"{subject}{escape(words)}{fits}")
    return image(figure["path"], caption, study_alternative(record, name, figure["about"]))


def _subject(record: Record, name: str, about: str) -> str:
    """Return what a figure is of: the groups of a grouping, or a comparison by what it leaves out."""
    if not about:
        return ""
    if name in _ABOUT_GROUPS:
        return f"Groups of {code(about)}. "
    comparison, unit = about.partition(":")[0], _unit(record, about)
    return f"Comparison {code(comparison)}" + (f", leaving out {escape(left_out.words(unit))}. " if unit else ". ")


def _unit(record: Record, about: str) -> str:
    """Return what is left out by the comparison that a figure is about: as the study says it, or as the figure's name does."""
    found = (str(item["unit"]) for item in record["comparisons"] if item["about"] == about)
    return next(found, about.partition(":")[2])


def model_figure(model: dict[str, Any], name: str) -> Markdown:
    """Return the figures of one candidate that have a name, one for each grouping, or nothing where none was drawn."""
    return Markdown("\n\n".join(_model_figure(model, name, figure) for figure in model["figures"].get(name, [])))


def _model_figure(model: dict[str, Any], name: str, figure: dict[str, str]) -> Markdown:
    subject = f", groups of {code(figure['about'])}" if figure["about"] else ""
    caption = Markdown(f"{escape(model['label'])}{subject}. {escape(_MODEL_CAPTIONS[name])}{fit_note(model)}")
    return image(figure["path"], caption, model_alternative(model, name, figure["about"]))


def has_figures(record: Record, *names: str) -> bool:
    """Return whether any candidate has one of the figures."""
    return any(name in model["figures"] for model in record["models"] for name in names)


def missing_figures(model: dict[str, Any], *names: str) -> Markdown:
    """Return a line that says so where a candidate has none of the figures."""
    if any(name in model["figures"] for name in names):
        return Markdown("")
    return Markdown(f"*No figure was drawn for* {code(model['name'])}*.*")
