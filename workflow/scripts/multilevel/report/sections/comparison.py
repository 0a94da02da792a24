"""The comparison: rankings by leave-one-out prediction, and the DIC beside them."""

from __future__ import annotations

from typing import Any

from multilevel.names import OBSERVATION
from multilevel.report.flags import absent, bad, caution, good, model_name
from multilevel.report.markdown import Markdown, code, escape, strong, table
from multilevel.report.numbers import ABSENT, as_float, count, fixed, probability, shortest, significant
from multilevel.report.ranking import BEST, BETTER, SAME, Entry, rank
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record, find_model, fitted
from multilevel.report.sections.quality import high_k, loo_score, sampled, scored_units

_DIC = "dic.conditional"


def what_it_means(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return what the scores of a comparison leave out, what they predict, and how they were computed."""
    scores = [score for name in comparison["models"] if (score := _score(record, name, comparison["unit"]))]
    left_out = _shared(scores, "leaves_out")
    if left_out in {"", comparison["unit"]}:
        left_out = f"one {comparison['unit'].replace('_', ' ')} at a time"
    predicted = _shared(scores, "predicts")
    parts = [Markdown(f"{strong('Leaves out:')} {escape(left_out)}")]
    if predicted:
        parts.append(Markdown(f"{strong('predicts')} {escape(predicted)}"))
    if estimand := _shared(scores, "estimand"):
        parts.append(Markdown(f"{strong('elpd')} is the sum of {escape(estimand)}"))
    return Markdown("; ".join(parts) + f". {_estimated(scores, comparison['unit'])}")


def _estimated(scores: list[dict[str, Any]], unit: str) -> Markdown:
    """Return how the scores were estimated, in one or two sentences."""
    if not scores:
        return Markdown("")
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
    label = f"Ranking by prediction of what was left out: one {comparison['unit']} at a time"
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
        _note(row),
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


def _note(row: dict[str, Any]) -> Markdown:
    texts = [str(row[key]) for key in ("note", "diag_diff", "diag_elpd") if row.get(key)]
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


def waic_table(record: Record, comparison: dict[str, Any]) -> Markdown:
    """Return WAIC beside the score of the same units, or nothing where no candidate has both."""
    rows: list[list[object]] = []
    for name in comparison["models"]:
        score = _score(record, name, comparison["unit"]) or {}
        waic = score.get("waic")
        if not waic:
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


def dic_table(record: Record) -> Markdown:
    """Return the conditional DIC of every fit that has one, smallest first, those that failed a check last.

    Deviances of different responses, rows or weights cannot be compared, so models of each stand in a table of their own.
    """
    scored = [(model, model["scores"][_DIC]) for model in fitted(record) if model["scores"].get(_DIC)]
    scored.sort(key=lambda pair: (pair[0]["status"] != OK, as_float(pair[1].get("dic")) or float("inf")))
    alike: dict[tuple[str, ...], list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for model, score in scored:
        mark = score.get("fingerprint") or {}
        alike.setdefault(tuple(str(mark.get(key)) for key in ("rows", "response", "scored")), []).append((model, score))
    have = {model["name"] for model, _ in scored}
    without = [model for model in record["models"] if model["name"] not in have]
    order = sorted(alike.values(), key=len, reverse=True)
    tables = [_dic_of(pairs, without if not place else [], len(order) > 1) for place, pairs in enumerate(order)]
    return Markdown("\n\n".join(tables))


def _dic_of(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]], without: list[dict[str, Any]], one_of_several: bool
) -> Markdown:
    """Return the table of models that were scored on the same data, and of those that have no score."""
    rows: list[list[object]] = [[model_name(model), *_dic_cells(score)] for model, score in pairs]
    rows += [[model_name(model), *[ABSENT] * 10] for model in without]
    headers = ["Candidate", "Mean deviance", "MCSE", "Deviance at the plug-in", "pD", "MCSE", "DIC with pD"]
    headers += ["pV", "MCSE", "Mean deviance + pV", "Plug-in deviance + 2 pV"]
    response = str(pairs[0][0]["formula"]).split("~")[0].strip()
    label = "Conditional deviance information criterion"
    if not one_of_several:
        return table(headers, rows, label=label)
    words = Markdown(f"Of {code(response)}, which is compared with no other response:")
    return Markdown(f"{words}\n\n{table(headers, rows, label=f'{label} of {response}')}")


def _dic_cells(score: dict[str, Any]) -> list[object]:
    penalty = fixed(score.get("p_d"), 1)
    is_negative = (as_float(score.get("p_d")) or 0.0) < 0
    return [
        fixed(score.get("dbar"), 1),
        significant(score.get("mcse_dbar"), 2),
        fixed(score.get("deviance_at_plug_in"), 1),
        caution(f"{penalty} negative") if is_negative else penalty,
        significant(score.get("mcse_p_d"), 2),
        fixed(score.get("dic"), 1),
        fixed(score.get("p_v"), 1),
        significant(score.get("mcse_p_v"), 2),
        fixed(score.get("dic_p_v_dbar"), 1),
        fixed(score.get("dic_p_v_plug_in"), 1),
    ]


def dic_plug_ins(record: Record) -> Markdown:
    """Return the plug-in that the scores name, with ``or`` between those that differ."""
    scores = [score for model in fitted(record) if (score := model["scores"].get(_DIC))]
    return escape(_shared(scores, "plug_in"))


def penalties_disagree(record: Record) -> list[str]:
    """Return the labels of the candidates whose two penalties differ by a factor of two or more."""
    labels = []
    for model in fitted(record):
        score = model["scores"].get(_DIC) or {}
        p_d, p_v = as_float(score.get("p_d")), as_float(score.get("p_v"))
        if p_d is not None and p_v is not None and (p_d <= 0 or p_v <= 0 or max(p_d / p_v, p_v / p_d) >= 2):
            labels.append(model["label"])
    return labels
