"""One paragraph for a reader who knows no statistics, built from the numbers."""

from __future__ import annotations

from typing import Any

from multilevel.names import OBSERVATION, time_of
from multilevel.report.markdown import Markdown, code, escape, sentence_list, strong
from multilevel.report.numbers import as_float, count, fixed, in_words, plural, significant
from multilevel.report.ranking import SAME, WORSE, Entry, Ranking, is_decisive, rank
from multilevel.report.record import FAILED, NOT_FITTED, Record
from multilevel.report.sections.quality import high_k, loo_score


def paragraph(record: Record) -> Markdown:
    """Return what was compared, which candidate predicts best and how surely, and how much groups differ."""
    ranking = _main_ranking(record)
    sentences = [_compared(record), *_best(ranking, _main_unit(record)), *_future(record)]
    sentences += [*_groups(record, ranking), *_left_out(record)]
    return Markdown(" ".join(sentence for sentence in sentences if sentence))


def _main_ranking(record: Record) -> Ranking | None:
    made = [comparison for comparison in record["comparisons"] if comparison["made"]]
    return rank(record, made[0]) if made else None


def _main_unit(record: Record) -> str:
    """Return what the comparison that the text speaks from leaves out."""
    return next((str(comparison["unit"]) for comparison in record["comparisons"] if comparison["made"]), OBSERVATION)


def _future(record: Record) -> list[Markdown]:
    """Return who foretells later times best, where that is asked for beside something else."""
    sentences = []
    for comparison in record["comparisons"][1:]:
        time = time_of(comparison["unit"])
        ranking = rank(record, comparison) if time and comparison["made"] else None
        if ranking is None or ranking.best is None or len(ranking.ranked) < 2:
            continue
        lead = f", {_lead(ranking.ranked[1])}" if ranking.base and ranking.base.model == ranking.best.model else ""
        sentences.append(
            Markdown(
                f"Judged by how well it foretells each {code(time)} from those before it, "
                f"{strong(ranking.best.model['label'])} comes first{lead}."
            )
        )
    return sentences


def _compared(record: Record) -> Markdown:
    compared = record["comparisons"][0]["models"] if record["comparisons"] else record["models"]
    number = len(compared)
    data = record["data"] or {}
    name = (data.get("response") or {}).get("name")
    response = Markdown(f" of {code(name)}") if name else Markdown("")
    rows = as_float((data.get("rows") or {}).get("used"))
    seen = f" were compared on {plural(rows, 'observation')}" if rows is not None else " were compared"
    groups = [
        Markdown(f"{count(group.get('levels'))} groups ({code(group.get('name'))})")
        for group in data.get("groups") or []
    ]
    within = Markdown(f" in {sentence_list(groups)}") if groups else Markdown("")
    models = "model" if number == 1 else "models"
    seen = seen.replace("were", "was") if number == 1 else seen
    return Markdown(f"{in_words(number).capitalize()} candidate {models}{response}{seen}{within}.")


def _best(ranking: Ranking | None, unit: str) -> list[Markdown]:
    if ranking is None or ranking.best is None:
        return [Markdown("No candidate could be ranked, so nothing is said here about which predicts best.")]
    best = ranking.best
    if len(ranking.ranked) == 1:
        return [Markdown(f"Only {strong(best.model['label'])} could be scored, so there is no comparison to report.")]
    opening = f"Judged by how well it predicts {_target(best, unit)}, {strong(best.model['label'])} comes first"
    if ranking.base is None:
        return [Markdown(f"{opening}; the differences between the candidates were not computed.")]
    if ranking.base.model["name"] != best.model["name"]:
        return [Markdown(f"{opening}: {_versus_reference(best, ranking.base)}.")]
    second = ranking.ranked[1]
    return [Markdown(f"{opening}, {_lead(second)}."), *_others(ranking, second), *_caution(best, unit)]


def _target(entry: Entry, unit: str) -> Markdown:
    score = loo_score(entry.model, unit) or {}
    return escape(score.get("predicts") or "observations that were left out")


def _lead(second: Entry) -> Markdown:
    """Return by how much the first is ahead of the second, and whether that settles anything."""
    difference, error = as_float(second.row.get("elpd_diff")), as_float(second.row.get("se_diff"))
    ahead = (
        f"{fixed(abs(difference or 0.0), 1)} points of log predictive density ahead of {strong(second.model['label'])}"
    )
    if error is None:
        return Markdown(f"{ahead}, with no standard error to judge that by")
    times = f", {fixed(abs(difference or 0.0) / error, 1)} times the standard error of that lead" if error else ""
    if second.verdict == SAME:
        return Markdown(f"{ahead}{times}: **too little to be decisive, so these two cannot be told apart**")
    return Markdown(f"{ahead}{times}: **a decisive lead**")


def _versus_reference(best: Entry, base: Entry) -> Markdown:
    difference, error = best.row.get("elpd_diff"), best.row.get("se_diff")
    size = fixed(abs(as_float(difference) or 0.0), 1)
    word = "a decisive lead" if is_decisive(difference, error) else "too small a lead to be decisive"
    name = strong(base.model["label"])
    return Markdown(
        f"{size} points of log predictive density (standard error {fixed(error, 1)}) from the reference {name}, {word}"
    )


def _others(ranking: Ranking, second: Entry) -> list[Markdown]:
    rest = [entry for entry in ranking.ranked if entry is not second and entry is not ranking.best]
    same = [strong(entry.model["label"]) for entry in rest if entry.verdict == SAME]
    worse = [strong(entry.model["label"]) for entry in rest if entry.verdict == WORSE]
    sentences = []
    if same:
        verb = "is" if len(same) == 1 else "are"
        sentences.append(Markdown(f"{sentence_list(same)} {verb} not clearly behind either."))
    if worse:
        verb = "predicts" if len(worse) == 1 else "predict"
        sentences.append(Markdown(f"{sentence_list(worse)} {verb} clearly worse."))
    return sentences


def _caution(best: Entry, unit: str) -> list[Markdown]:
    high = high_k(loo_score(best.model, unit) or {})
    if not high:
        return []
    left_out = plural(high, OBSERVATION) if unit == OBSERVATION else f"{count(high)} of what was left out"
    return [Markdown(f"The first one's score is uncertain: {left_out} had a high Pareto k.")]


def _groups(record: Record, ranking: Ranking | None) -> list[Markdown]:
    """Return how much groups differ, by the best candidate that has group effects."""
    if ranking is None:
        return []
    for entry in ranking.ranked:
        rows = [row for row in entry.model["summary"] if row.get("kind") == "sd" and _is_intercept(row)]
        if rows:
            return [_group_sentence(record, entry, rows, is_best=entry is ranking.best)]
    return []


def _is_intercept(row: dict[str, Any]) -> bool:
    return row.get("effect") in {"Intercept", "", None} or "Intercept" in str(row.get("parameter"))


def _group_sentence(record: Record, entry: Entry, rows: list[dict[str, Any]], *, is_best: bool) -> Markdown:
    residual = [row for row in entry.model["summary"] if row.get("kind") == "residual"]
    inside = [significant(row.get("mean"), 2) for row in residual[:1]]
    against = Markdown(f", against {inside[0]} between observations of one group" if inside else "")
    opening = f"Under {strong(entry.model['label'])}{'' if is_best else ', the best that has group effects'}"
    if entry.model.get("curve"):
        of = sentence_list(Markdown(f"{_parameter(row)} {_spread(entry, row)}") for row in rows)
        return Markdown(
            f"{opening}, groups follow curves of their own. Standard deviations of the curve's parameters: {of}."
        )
    name = ((record["data"] or {}).get("response") or {}).get("name")
    scale = f" of {code(name)}" if name and residual else " on the scale of the linear predictor"
    spread = sentence_list(_spread(entry, row) for row in rows)
    return Markdown(
        f"{opening}, what the predictors leave unexplained{scale} has a standard deviation of {spread}{against}."
    )


def _parameter(row: dict[str, Any]) -> Markdown:
    """Return the parameter of a curve that an effect is on: what stands before ``_Intercept``."""
    return code(str(row.get("effect")).removesuffix("Intercept").removesuffix("_"))


def _slopes(entry: Entry, row: dict[str, Any]) -> list[Markdown]:
    """Return the effects that vary between the groups of a row's grouping."""
    found = [r for r in entry.model["summary"] if r.get("kind") == "sd" and r.get("group") == row.get("group")]
    return [code(r["effect"]) for r in found if not _is_intercept(r) and r.get("effect")]


def _spread(entry: Entry, row: dict[str, Any]) -> Markdown:
    """Return how much the groups of one grouping differ, in two digits: more would not be plain language.

    Where effects vary too, the standard deviation is that of groups where their predictors are zero, and is called so.
    """
    slopes = _slopes(entry, row)
    where = Markdown(f" where {sentence_list(slopes)} {'is' if len(slopes) == 1 else 'are'} 0" if slopes else "")
    group = code(row.get("group") or row.get("parameter"))
    mean, lower, upper = (significant(row.get(key), 2) for key in ("mean", "lower", "upper"))
    return Markdown(f"{mean} between groups of {group}{where} (95% interval {lower} to {upper})")


def _left_out(record: Record) -> list[Markdown]:
    failed = [
        Markdown(f"{strong(model['label'])} ({sentence_list(model['failed'])})")
        for model in record["models"]
        if model["status"] == FAILED
    ]
    missing = [strong(model["label"]) for model in record["models"] if model["status"] == NOT_FITTED]
    sentences = []
    if failed:
        verb = "takes" if len(failed) == 1 else "take"
        sentences.append(
            Markdown(f"{sentence_list(failed)} failed a check of the sampler and {verb} no part in the ranking.")
        )
    if missing:
        verb = "was" if len(missing) == 1 else "were"
        sentences.append(Markdown(f"{sentence_list(missing)} {verb} not fitted."))
    return sentences
