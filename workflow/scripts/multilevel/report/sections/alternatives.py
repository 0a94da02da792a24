"""What each figure shows, in words and with the numbers that carry its message, for those who cannot see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from multilevel.report.numbers import as_float, count, estimate, fixed, significant
from multilevel.report.ranking import rank
from multilevel.report.record import Record, fitted
from multilevel.report.sections.estimates import KINDS

_MOST_NAMED = 6


def study_alternative(record: Record, name: str, about: str) -> str:
    """Return the words for a figure of the study."""
    return _STUDY[name](record, about).strip()


def model_alternative(model: dict[str, Any], name: str, about: str) -> str:
    """Return the words for a figure of one candidate."""
    return _MODEL[name](model, about).strip()


def _response(record: Record) -> str:
    """Return the response, or the responses where the candidates have several."""
    sides = [str(model["formula"]).partition("~")[0].partition("|")[0].strip() for model in record["models"]]
    several = list(dict.fromkeys(side for side in sides if side))
    if len(several) > 1:
        return f"{', '.join(several[:-1])} and {several[-1]}"
    return str(((record["data"] or {}).get("response") or {}).get("name") or "the response")


def _groupings(record: Record, about: str) -> list[dict[str, Any]]:
    return [group for group in (record["data"] or {}).get("groups") or [] if about in {"", group.get("name")}]


def _labels(record: Record) -> str:
    return ", ".join(model["label"] for model in fitted(record))


def _missingness(record: Record, about: str) -> str:  # noqa: ARG001 (one shape)
    gaps = [row for row in record["missingness"] if as_float(row.get("missing"))]
    if not record["missingness"]:
        return "Chart of the share of rows in which each column is missing."
    if not gaps:
        return f"Chart of missing values: none in any of the {len(record['missingness'])} columns drawn."
    parts = [f"{row['column']} in {count(row['missing'])} of {count(row['n'])} rows" for row in gaps[:_MOST_NAMED]]
    more = f" and {len(gaps) - _MOST_NAMED} more columns" if len(gaps) > _MOST_NAMED else ""
    return f"Chart of missing values: {', '.join(parts)}{more}; the other columns drawn have none."


def _by_group(record: Record, about: str) -> str:
    groups = ", ".join(f"{group.get('levels')} groups of {group.get('name')}" for group in _groupings(record, about))
    return f"Chart of {_response(record)} for the observations of {groups or 'each group'}."


def _sizes(record: Record, about: str) -> str:
    parts = (
        f"{group.get('name')}: from {group.get('smallest')} to {group.get('largest')}, median {group.get('median')}."
        for group in _groupings(record, about)
    )
    return f"Chart of the number of observations per group. {' '.join(parts)}"


def _forest(record: Record, about: str) -> str:  # noqa: ARG001 (one shape)
    return f"Chart of means and intervals of the parameters of {_labels(record)}, with the numbers of the table above."


def _elpd_differences(record: Record, about: str) -> str:
    return f"Chart of differences in expected log predictive density. {_differences(record, about)}"


def _pointwise(record: Record, about: str) -> str:
    words = "Charts, one for each candidate, of the difference in log predictive density from the best at each unit left out."
    return f"{words} {_differences(record, about)}"


def _differences(record: Record, about: str) -> str:
    made = [item for item in record["comparisons"] if item["made"] and about in {"", item["about"]}]
    entries = rank(record, made[0]).ranked if made else []
    parts = [
        f"{entry.model['label']}: {fixed(entry.row.get('elpd_diff'), 1)}, "
        f"standard error {fixed(entry.row.get('se_diff'), 1)}"
        for entry in entries
        if as_float(entry.row.get("elpd_diff"))
    ]
    return f"Best: {entries[0].model['label']}. {'; '.join(parts)}." if entries else ""


def _density(record: Record, about: str) -> str:  # noqa: ARG001 (one shape)
    return f"Densities of {_response(record)} as observed and as simulated from {_labels(record)}."


def _statistics(record: Record, about: str) -> str:  # noqa: ARG001 (one shape)
    words = f"Chart of statistics of {_response(record)} as observed and as predicted by {_labels(record)}."
    parts = [
        f"{model['label']} misses {', '.join(names)}"
        for model in fitted(record)
        if (names := [str(row.get("statistic")).replace("_", " ") for row in model["checks"] if _is_outside(row)])
    ]
    return f"{words} {'; '.join(parts) or 'Every statistic lies inside its interval'}."


def _quantiles(record: Record, about: str) -> str:  # noqa: ARG001 (one shape)
    words = f"Charts of observed minus predicted quantiles of {_response(record)}."
    parts = [
        f"{model['label']}: {sum(map(_is_outside, model['quantiles']))} of {len(model['quantiles'])} outside"
        for model in fitted(record)
        if model["quantiles"]
    ]
    return f"{words} {'; '.join(parts)}."


def _group_statistics(record: Record, about: str) -> str:
    parts = []
    for model in fitted(record):
        rows = [row for row in model["by_group"] if row.get("group") == about]
        for statistic in dict.fromkeys(str(row.get("statistic")) for row in rows):
            mine = [row for row in rows if row.get("statistic") == statistic]
            inside = len(mine) - sum(map(_is_outside, mine))
            parts.append(f"{model['label']}: {statistic} inside in {inside} of {len(mine)}")
    return f"Charts of mean and sd of each group of {about} beside what each candidate predicts. {'; '.join(parts)}."


def _is_outside(row: dict[str, Any]) -> bool:
    observed, lower, upper = (as_float(row.get(key)) for key in ("observed", "lower", "upper"))
    return observed is not None and lower is not None and upper is not None and not lower <= observed <= upper


def _checks(model: dict[str, Any], names: Iterable[str] = ()) -> str:
    wanted = set(names)
    checks = [c for c in (model["diagnostics"] or {}).get("checks", []) if not wanted or c.get("name") in wanted]
    return "; ".join(f"{check.get('label')}: {estimate(check.get('value'))}" for check in checks[:4])


def _parameters(model: dict[str, Any]) -> str:
    names = [str(row["parameter"]) for row in model["summary"] if row.get("kind") in KINDS[1:]]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"{', '.join(names[:12])}{more}"


def _effects(model: dict[str, Any], about: str) -> dict[str, list[dict[str, Any]]]:
    """Return the effects of one grouping by name; terms beyond the first carry a number after the grouping."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in model["summary"]:
        numbered = re.fullmatch(re.escape(about) + r"(_\d+)?", str(row.get("group") or ""))
        if row.get("kind") == "group" and numbered and as_float(row.get("mean")) is not None:
            found.setdefault(str(row.get("effect")), []).append(row)
    return found


def _caterpillar(model: dict[str, Any], about: str) -> str:
    parts = []
    for effect, rows in _effects(model, about).items():
        rows.sort(key=lambda row: -float(row["mean"]))
        clear = sum(_leaves_out_zero(row) for row in rows)
        parts.append(
            f"{effect}: highest {rows[0].get('level')} with {significant(rows[0]['mean'], 2)}, lowest "
            f"{rows[-1].get('level')} with {significant(rows[-1]['mean'], 2)}; {clear} of {len(rows)} intervals leave out 0."
        )
    return f"Chart of the effects of {about} under {model['label']} in order of size. {' '.join(parts)}"


def _leaves_out_zero(row: dict[str, Any]) -> bool:
    lower, upper = as_float(row.get("lower")), as_float(row.get("upper"))
    return lower is not None and upper is not None and (lower > 0 or upper < 0)


def _shrinkage(model: dict[str, Any], about: str) -> str:
    parts = [
        f"{effect}: {len(rows)} partially pooled estimates from {significant(min(float(r['mean']) for r in rows), 2)} to "
        f"{significant(max(float(r['mean']) for r in rows), 2)}."
        for effect, rows in _effects(model, about).items()
    ]
    return (
        f"Chart of the estimates of {about} under {model['label']} beside those of each group alone. {' '.join(parts)}"
    )


def _shrinkage_plane(model: dict[str, Any], about: str) -> str:
    wanted = re.compile(r"(sd|cor)\(" + re.escape(about) + r"(_\d+)?: .*")
    rows = [row for row in model["summary"] if wanted.fullmatch(str(row.get("parameter")))]
    values = ", ".join(f"{row['parameter']} {significant(row.get('mean'), 2)}" for row in rows[:_MOST_NAMED])
    return f"Chart of the correlated effects of {about} under {model['label']}, alone and partially pooled. {values}."


def _trajectories(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    return (
        f"Chart of what {model['label']} expects over time, a panel for each subject drawn and one for a new subject, with bands "
        "of what is expected and of new measurements, over the measurements."
    )


def _predictive_by_group(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    sizes = {
        (str(row.get("group")), str(row.get("level"))): as_float(row.get("n")) or 0.0
        for row in model["by_group"]
        if row.get("statistic") == "sd"
    }
    largest = sorted(sizes, key=lambda place: -sizes[place])[:_MOST_NAMED]
    names = ", ".join(f"{level} ({count(sizes[group, level])} rows)" for group, level in largest)
    groups = f" and of the largest groups, such as {names}" if names else ""
    return f"Densities of the response of all rows{groups}, as observed and as simulated from {model['label']}."


def _rootogram(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    zeros = next((row for row in model["checks"] if row.get("statistic") == "share of zeros"), None)
    words = f"Chart of how often each count occurs, as observed and as simulated from {model['label']}."
    if zeros is None:
        return words
    return (
        f"{words} Zeros: {fixed(zeros.get('observed'), 3)} of the rows, predicted {fixed(zeros.get('predicted'), 3)} "
        f"({fixed(zeros.get('lower'), 3)} to {fixed(zeros.get('upper'), 3)})."
    )


def _calibration(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    return (
        f"Chart of observed shares over the probabilities that {model['label']} predicts, in bins, with the diagonal on which "
        "they are equal."
    )


def _pareto_k(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    score = model["scores"].get("loo.observation") or {}
    counts = score.get("k_counts") or {}
    bad = sum(int(as_float(counts.get(key)) or 0) for key in ("bad", "very_bad"))
    numbers = (
        f" Largest {fixed(score.get('k_max'), 2)}; {bad} above {fixed(score.get('k_threshold'), 2)}." if score else ""
    )
    return f"Pareto k of each observation under {model['label']}, with the threshold.{numbers}"


def _pairs(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    values = _checks(model, ("r_hat", "ess_bulk", "divergences"))
    return f"Scatter plots of pairs of the parameters of {model['label']} that were hardest to sample. {values}."


def _trace(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    return f"Trace plot of the chains of {model['label']}: {_parameters(model)}. {_checks(model)}."


def _ranks(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    return f"Rank plot of the chains of {model['label']}: {_parameters(model)}. {_checks(model)}."


def _energy(model: dict[str, Any], about: str) -> str:  # noqa: ARG001 (one shape)
    return f"Energy of the sampler for each chain of {model['label']}. {_checks(model, ('e_bfmi', 'divergences'))}."


_STUDY: dict[str, Callable[[Record, str], str]] = {
    "missingness": _missingness,
    "data_response_by_group": _by_group,
    "group_sizes": _sizes,
    "forest": _forest,
    "elpd_differences": _elpd_differences,
    "pointwise": _pointwise,
    "predictive_density": _density,
    "predictive_statistics": _statistics,
    "predictive_quantiles": _quantiles,
    "group_statistics": _group_statistics,
}
_MODEL: dict[str, Callable[[dict[str, Any], str], str]] = {
    "caterpillar": _caterpillar,
    "shrinkage": _shrinkage,
    "shrinkage_plane": _shrinkage_plane,
    "trajectories": _trajectories,
    "predictive_by_group": _predictive_by_group,
    "rootogram": _rootogram,
    "calibration": _calibration,
    "pareto_k": _pareto_k,
    "pairs": _pairs,
    "trace": _trace,
    "ranks": _ranks,
    "energy": _energy,
}
