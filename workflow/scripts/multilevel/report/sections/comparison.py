"""The comparison: rankings by prediction of what was left out."""

from __future__ import annotations

from typing import Any

from multilevel.names import OBSERVATION, time_of
from multilevel.report.flags import absent, bad, caution, good, model_name
from multilevel.report.left_out import words
from multilevel.report.markdown import Markdown, code, escape, join, strong, table
from multilevel.report.numbers import ABSENT, as_float, count, fixed, plural, probability, shortest, significant
from multilevel.report.ranking import BEST, BETTER, SAME, Entry, rank
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record, find_model
from multilevel.report.sections.quality import high_k, loo_score, sampled, scored_units

_SHOWN_WEIGHT = 0.005
"""Least weight that is printed: smaller ones are 0.00."""


def what_it_means(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return what the scores of a comparison leave out, what they predict, and how they were computed."""
    scores = [score for name in comparison["models"] if (score := _score(record, name, comparison["unit"]))]
    left_out = _shared(scores, "leaves_out")
    if left_out in {"", comparison["unit"]}:
        left_out = words(comparison["unit"]).replace("_", " ")
    predicted = _shared(scores, "predicts")
    parts = [Markdown(f"{strong('Leaves out:')} {escape(left_out)}")]
    if predicted:
        parts.append(Markdown(f"{strong('predicts')} {escape(predicted)}"))
    if estimand := _shared(scores, "estimand"):
        parts.append(Markdown(f"{strong('elpd')} is the sum of {escape(estimand)}"))
    return Markdown("; ".join(parts) + f". {_estimated(scores, comparison['unit'])}{_correlated(scores)}")


def _correlated(scores: list[dict[str, Any]]) -> Markdown:
    """Return what is said of observations that are not independent given the parameters; nothing where all are."""
    if not (words := _shared(scores, "correlated")):
        return Markdown("")
    return Markdown(
        f" Where {escape(words)}, an observation is scored given all others besides, by log p(y_i | y_-i, parameters), for "
        "rows are not independent given the parameters."
    )


def _estimated(scores: list[dict[str, Any]], unit: str) -> Markdown:
    """Return how the scores were estimated, in one or two sentences."""
    if not scores:
        return Markdown("")
    if time := time_of(unit):
        return _estimated_by_refits(scores, time)
    opening = "Estimated from one fit of each candidate by Pareto-smoothed importance sampling"
    if unit != OBSERVATION:
        return Markdown(
            f"{opening}, what only the rows of one {escape(unit)} tell of being integrated out (nothing, where a candidate "
            "has no term for it). All rows of a group are predicted jointly, and standard errors count groups."
        )
    integrated = sum(int((s.get("estimators") or {}).get("integrated PSIS", 0)) for s in scores)
    total = sum(map(scored_units, scores))
    if not integrated:
        return Markdown(f"{opening}, given the group effects.")
    if integrated == total:
        return Markdown(f"{opening}, the effects of the observation's group being integrated out.")
    return Markdown(
        f"{opening}; the effects of the observation's group are integrated out for {count(integrated)} of {count(total)} scores "
        "and given for the others, where a candidate has none or they would take too long."
    )


def _estimated_by_refits(scores: list[dict[str, Any]], time: str) -> Markdown:
    """Return how scores of the future were estimated."""
    scored = [score for score in scores if not score.get("refused")]
    fits, total = (
        sum(len(s.get("fits") or []) for s in scored),
        sum(int(as_float(s.get("n_units")) or 0) for s in scored),
    )
    return Markdown(
        f"The rows at each value of {escape(time)} are predicted jointly, from those at earlier ones alone. A candidate is "
        "fitted to the first of them; for later predictions the draws of its last fit are reweighted by Pareto-smoothed "
        "importance sampling, and where *k* is too high it is fitted anew (Bürkner, Gabry & Vehtari 2020): "
        f"{count(fits)} fits for {count(total)} predictions. Effects of groups are integrated out where they can be, so a group "
        "that first appears later is a new one. Default priors are those of all rows, and predictors count as known at all times."
    )


def _score(record: Record, name: str, unit: str) -> dict[str, Any] | None:
    found = [model for model in record["models"] if model["name"] == name]
    return loo_score(found[0], unit) if found else None


def _shared(scores: list[dict[str, Any]], key: str) -> str:
    """Return what all scores say under a key, with ``or`` between what differs."""
    return " or ".join(dict.fromkeys(str(score[key]) for score in scores if score.get(key)))


def loo_table(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return the ranking; candidates that are not ranked stand last, with the reason."""
    found = rank(record, comparison)
    rows = [_ranked_row(entry, place + 1, comparison["unit"]) for place, entry in enumerate(found.ranked)]
    rows += [_unranked_row(entry, comparison["unit"]) for entry in found.unranked]
    base = f"Difference from {found.base.model['label']}" if found.base else "Difference"
    headers = ["Candidate", "Rank", "elpd", "MCSE", "SE", base, "SE of difference", "In words"]
    headers += ["Stacking weight", "Pseudo-BMA+ weight", "p_loo", "High k", "Largest k", "P(worse)", "Note"]
    label = f"Ranking by prediction of what was left out: {words(comparison['unit'])}"
    return table(headers, rows, label=label, align="lrrrrrrlrrrrrrl")


def _ranked_row(entry: Entry, place: int, unit: str) -> list[object]:
    row = entry.row
    is_base = entry.verdict in {BEST, "reference"}
    difference = [Markdown(ABSENT)] * 2 if is_base else [fixed(row.get("elpd_diff"), 1), fixed(row.get("se_diff"), 1)]
    return [
        model_name(entry.model),
        count(place),
        *_elpd(entry, unit),
        *difference,
        _words(entry.verdict),
        fixed(row.get("weight"), 2),
        fixed(row.get("pseudo_bma"), 2),
        fixed(row.get("p_loo"), 1),
        *_k_cells(entry, unit),
        ABSENT if is_base else probability(row.get("p_worse")),
        _note(row, loo_score(entry.model, unit) or {}),
    ]


def _elpd(entry: Entry, unit: str) -> list[object]:
    mcse = (loo_score(entry.model, unit) or {}).get("mcse")
    return [fixed(entry.row.get("elpd"), 1), significant(mcse, 2), fixed(entry.row.get("se"), 1)]


def _words(verdict: str) -> Markdown:
    if verdict in {BEST, BETTER}:
        return good(verdict)
    return caution(verdict) if verdict == SAME else escape(verdict)


def _k_cells(entry: Entry, unit: str) -> list[object]:
    score = loo_score(entry.model, unit)
    number = entry.row.get("k_bad") if score is None else high_k(score)
    cell = caution(count(number)) if as_float(number) else count(number)
    return [cell, fixed(entry.row.get("k_max"), 2)]


def _note(row: dict[str, Any], score: dict[str, Any] | None = None) -> Markdown:
    fits = len((score or {}).get("fits") or [])
    texts = [f"from {plural(fits, 'fit')} to earlier rows"] if fits else []
    texts += [str(row[key]) for key in ("note", "diag_diff", "diag_elpd") if row.get(key)]
    if row.get("subsampling_se") is not None:
        of_difference = row.get("subsampling_se_diff") or 0.0
        more = f", {fixed(of_difference, 1)} to that of the difference (in its SE)" if of_difference else ""
        texts.append(f"from a sample of rows, which adds an error of {fixed(row['subsampling_se'], 1)} to elpd{more}")
    return escape("; ".join(texts))


def _unranked_row(entry: Entry, unit: str) -> list[object]:
    shown = _elpd(entry, unit) if entry.row.get("elpd") is not None else [ABSENT] * 3
    reasons = {OK: caution("not scored"), FAILED: bad("not ranked"), NOT_FITTED: absent("not ranked")}
    p_loo = fixed(entry.row.get("p_loo"), 1)
    cells = [
        ABSENT,
        *shown,
        ABSENT,
        ABSENT,
        reasons.get(entry.status, caution(entry.status)),
        ABSENT,
        ABSENT,
        p_loo,
        *_k_cells(entry, unit),
        ABSENT,
    ]
    return [model_name(entry.model), *cells, _note(entry.row)]


def mixture(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return how well the mixture by stacking weights would have predicted, and where its predictions are; or nothing."""
    found, predicted = comparison["mixture"], comparison["stacked"]
    weights = {name: w for name, w in (found.get("weights") or {}).items() if (as_float(w) or 0.0) >= _SHOWN_WEIGHT}
    if not weights:
        return Markdown("")
    parts = [Markdown(f"{fixed(w, 2)} {strong(find_model(record, name)['label'])}") for name, w in weights.items()]
    ahead = as_float(found.get("elpd_diff")) or 0.0
    size = f"{fixed(abs(ahead), 1)} (SE {fixed(found.get('se_diff'), 1)}) {'more' if ahead >= 0 else 'less'}"
    total = f"an elpd of {fixed(found.get('elpd'), 1)} (SE {fixed(found.get('se'), 1)})"
    sentences = [
        f"{strong('Stacked:')} the mixture {join(parts, ' + ')} has {total}, {size} than the best candidate alone."
    ]
    if found.get("free_weights"):
        sentences.append("Its weights were chosen for these very scores, so that is a little too good.")
    if reason := predicted.get("refused"):
        sentences.append(f"Its predictions were not made: {escape(reason)}.")
    elif predicted:
        path = comparison["path"].replace(".csv", ".stacked.parquet")
        sentences.append(f"Its predictions of {plural(predicted.get('rows'), 'observation')} are in {code(path)}.")
        if inside := predicted.get("coverage"):
            shares = {p: f"{fixed(100 * float(inside[p]), 1)}%" for p in ("0.5", "0.95")}
            sentences.append(
                f"Of these observations, which it has seen, {shares['0.5']} lie within its central 50% interval and "
                f"{shares['0.95']} within its 95% interval."
            )
    return Markdown(" ".join(sentences))


def waic_table(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return WAIC beside the score of the same units, or nothing where no candidate has both."""
    rows: list[list[object]] = []
    for name in comparison["models"]:
        score = _score(record, name, comparison["unit"]) or {}
        waic = score.get("waic")
        if not waic:
            if reason := score.get("why_no_waic"):
                cells = [fixed(score.get("elpd"), 1), *[ABSENT] * 2, fixed(score.get("p_loo"), 1), *[ABSENT] * 2]
                rows.append([model_name(find_model(record, name)), *cells, escape(f"none: {reason}")])
            continue
        high = int(as_float(waic.get("high_variances")) or 0)
        cells = [fixed(score.get("elpd"), 1), fixed(waic.get("elpd"), 1), fixed(waic.get("se"), 1)]
        cells += [fixed(score.get("p_loo"), 1), fixed(waic.get("p_waic"), 1)]
        state = (
            caution(f"{count(high)} variances above {shortest(waic.get('variance_limit'))}") if high else good("none")
        )
        words = "; from ".join(part for part in (waic.get("likelihood") or "", sampled(score)) if part)
        rows.append([model_name(find_model(record, name)), *cells, state, escape(words)])
    if not rows:
        return Markdown("")
    headers = [
        "Candidate",
        "elpd, left out",
        "elpd by WAIC",
        "SE",
        "p_loo",
        "p_waic",
        "High variances",
        "WAIC's likelihood",
    ]
    return table(headers, rows, label="WAIC beside leaving out", align="lrrrrrll")
