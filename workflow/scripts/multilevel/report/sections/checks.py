"""Predictive checks and the settings of the sampler."""

from __future__ import annotations

from typing import Any

from multilevel.report.flags import caution, model_name
from multilevel.report.markdown import Markdown, escape, sentence_list, span, table
from multilevel.report.numbers import ABSENT, as_float, count, decimals_for, fixed, probability
from multilevel.report.record import Record

_TAIL = 0.025


def statistics_table(record: Record) -> Markdown:
    """Return each statistic of the data beside what the candidates predict for it: median or mean, and 95% interval."""
    models = record["models"]
    if not any(model["checks"] for model in models):
        return Markdown("*No predictive checks were made.*")
    by_model = {model["name"]: {row["statistic"]: row for row in model["checks"]} for model in models}
    names = dict.fromkeys(name for model in models for name in by_model[model["name"]])
    rows = []
    for name in names:
        found = [by_model[model["name"]].get(name) for model in models]
        drawn = [row for row in found if row]
        decimals = max((d for row in drawn if (d := decimals_for(None, _spread(row))) is not None), default=3)
        observed = fixed(drawn[0].get("observed"), decimals)
        rows.append([escape(name.replace("_", " ")), observed, *(_cell(row, decimals, observed) for row in found)])
    headers = ["Statistic", "Observed", *(model_name(model) for model in models)]
    return table(headers, rows, label="Predictive checks")


def replicates(record: Record) -> str:
    """Return how many data sets were simulated; ``some`` where candidates differ in it."""
    numbers = {as_float(row.get("replicates")) for model in record["models"] for row in model["checks"]}
    return count(numbers.pop()) if len(numbers) == 1 and None not in numbers else "some"


def _spread(row: dict[str, Any]) -> float | None:
    """Return about one standard deviation of a predicted statistic, from its 95% interval."""
    lower, upper = as_float(row.get("lower")), as_float(row.get("upper"))
    return None if lower is None or upper is None else (upper - lower) / 4


def _cell(row: dict[str, Any] | None, decimals: int, observed: str) -> Markdown:
    """Return what a candidate predicts; and what was observed of its response, where that is another one."""
    if row is None:
        return Markdown(ABSENT)
    between = f"{fixed(row.get('lower'), decimals)} to {fixed(row.get('upper'), decimals)}"
    text = Markdown(f"{escape(fixed(row.get('predicted'), decimals))} {span(between, 'ml-interval')}")
    if (own := fixed(row.get("observed"), decimals)) != observed:
        text = Markdown(f"{text} {span(f'observed here: {own}', 'ml-interval')}")
    if not is_extreme(row):
        return text
    return Markdown(f"{text} {caution(f'tail {probability(row.get("tail_probability"))}')}")


def is_extreme(row: dict[str, Any]) -> bool:
    """Return whether the observed statistic lies outside the 95% interval of what a candidate predicts."""
    tail = as_float(row.get("tail_probability"))
    if tail is not None:
        return min(tail, 1 - tail) < _TAIL
    observed, lower, upper = (as_float(row.get(key)) for key in ("observed", "lower", "upper"))
    return None not in (observed, lower, upper) and not lower <= observed <= upper  # type: ignore[operator]


def coverage_table(record: Record) -> Markdown:
    """Return in what share of rows the response lies within the central intervals of each candidate's predictions."""
    models = [model for model in record["models"] if model["coverage"]]
    if not models:
        return Markdown("*No predictive intervals were checked.*")
    by_model = {m["name"]: {float(row["probability"]): row for row in m["coverage"]} for m in models}
    rows = []
    for share in dict.fromkeys(p for found in by_model.values() for p in found):
        cells = [_share(by_model[model["name"]].get(share)) for model in models]
        rows.append([f"{100 * share:g}%", *cells])
    headers = ["Interval", *(model_name(model) for model in models)]
    found = table(headers, rows, label="Coverage of predictive intervals")
    looked_at = max((as_float(row.get("rows")) or 0.0 for model in models for row in model["coverage"]), default=0.0)
    used = as_float(((record["data"] or {}).get("rows") or {}).get("used")) or 0.0
    if not 0.0 < looked_at < used:
        return found
    return Markdown(f"{found}\n\nCounted in a random sample of {count(looked_at)} of {count(used)} rows.")


def _share(row: dict[str, Any] | None) -> Markdown:
    """Return the share of responses inside an interval, and between what shares that of simulated data lies."""
    values = [as_float((row or {}).get(key)) for key in ("observed", "lower", "upper")]
    if None in values:
        return Markdown(ABSENT)
    observed, lower, upper = (100 * float(value or 0.0) for value in values)
    between = f"{fixed(lower, 1)}% to {fixed(upper, 1)}%"
    text = Markdown(f"{escape(fixed(observed, 1))}% {span(between, 'ml-interval')}")
    if lower <= observed <= upper:
        return text
    return Markdown(f"{text} {caution('too few' if observed < lower else 'too many')}")


def sampler_table(record: Record) -> Markdown:
    """Return the settings that each fit ran with."""
    rows = []
    for model in record["models"]:
        diagnostics = model["diagnostics"] or {}
        cells = [count(diagnostics.get(key)) for key in ("chains", "draws", "tune", "divergences")]
        why = f": {model['why_sampled']}" if model["why_sampled"] else ""
        way = f"{_WAYS.get(model['method'], ABSENT)}{why}"
        rows.append([model_name(model), *cells, str(diagnostics.get("seed", ABSENT)), way])
    headers = [
        "Candidate",
        "Chains",
        "Draws kept per chain",
        "Warm-up draws per chain",
        "Divergences",
        "Seed",
        "Effects",
    ]
    return table(headers, rows, label="Sampler settings", align="lrrrrrl")


_WAYS = {"sampled": "sampled", "integrated": "integrated out"}


def integrated(record: Record) -> Markdown:
    """Return what was done where effects were integrated out; empty where no fit did that."""
    models = [model for model in record["models"] if model["method"] == "integrated"]
    if not models:
        return Markdown("")
    everyone = len(models) == len(record["models"])
    who = "Every candidate" if everyone else sentence_list(model["label"] for model in models)
    verb = "was" if len(models) == 1 or everyone else "were"
    return Markdown(
        f"{who} {verb} fitted with group effects, and coefficients with normal or flat priors, integrated out of what was "
        "sampled: given the other parameters they have a normal distribution, from which they were drawn exactly afterwards, "
        "once for each draw. The posterior is the same as with everything sampled; log posterior, energy and divergences are "
        "those of the other parameters alone."
    )
