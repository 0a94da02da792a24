"""The quality record: every check of every fit, before any result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from multilevel.names import OBSERVATION, time_of
from multilevel.report.flags import absent, bad, caution, good, model_name, status_badge
from multilevel.report.left_out import is_grouping
from multilevel.report.markdown import Markdown, code, escape, join, sentence_list, span, strong, table
from multilevel.report.numbers import ABSENT, as_float, count, fixed, plural, shortest
from multilevel.report.record import FAILED, NOT_FITTED, OK, Record, fitted
from multilevel.rules import in_path
from multilevel.rules import score as score_file

_DIRECTIONS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "exactly"}


class Card(NamedTuple):
    """One light of the quality record: a title, a large figure, a sentence, and whether all is well."""

    title: str
    state: str
    badge: Markdown
    figure: str
    text: Markdown


def cards(record: Record) -> list[Card]:
    """Return the lights at the top of the report; that of published values where the study has any."""
    published = [_published_card(record)] if record["published"] else []
    return [_fits_card(record), _loo_card(record), _rows_card(record), *published, _warnings_card(record)]


def _card(title: str, state: str, word: str, figure: str, text: object) -> Card:
    badge = {"ok": good, "care": caution, "bad": bad, "absent": absent}[state](word)
    return Card(title, state, badge, figure, text if isinstance(text, Markdown) else escape(text))


def _fits_card(record: Record) -> Card:
    models = record["models"]
    passed = [model for model in models if model["status"] == OK]
    failed = [model for model in models if model["status"] == FAILED]
    missing = [model for model in models if model["status"] == NOT_FITTED]
    figure = f"{len(passed)} of {len(models)}"
    parts = [Markdown(f"failed: {_names(failed)}")] if failed else []
    parts += [Markdown(f"not fitted: {_names(missing)}")] if missing else []
    if parts:
        state, word = ("bad", "some failed") if failed else ("care", "some missing")
        return _card("Fits", state, word, figure, Markdown(f"passed; {join(parts, '; ')}."))
    return _card("Fits", "ok", "all passed", figure, "candidates passed every check of the sampler.")


def _names(models: list[dict[str, Any]]) -> Markdown:
    return sentence_list(model["label"] for model in models)


def _loo_card(record: Record) -> Card:
    scores = [score for model in fitted(record) if (score := loo_score(model))]
    title = "Predictive scores"
    if not scores:
        return _card(title, "absent", "not computed", ABSENT, "No leave-one-out score was computed.")
    high, total = sum(map(high_k, scores)), sum(map(scored_units, scores))
    text = f"of {count(total)} leave-one-out terms rest on too few draws (high Pareto k)."
    if high:
        return _card(title, "bad" if high > 0.01 * total else "care", "read with care", count(high), text)
    return _card(title, "ok", "reliable", "0", text)


def loo_score(model: Mapping[str, Any], unit: str = "observation") -> dict[str, Any] | None:
    """Return a model's score of leaving out one observation, or one level of a grouping, at a time; or None."""
    score = model["scores"].get(score_file(in_path(unit)))
    return score if isinstance(score, dict) else None


def high_k(score: Mapping[str, Any]) -> int:
    """Return how many terms of a leave-one-out score have a Pareto k above the threshold."""
    counts = score.get("k_counts") or {}
    return int(as_float(counts.get("bad")) or 0) + int(as_float(counts.get("very_bad")) or 0)


def scored_units(score: Mapping[str, Any]) -> int:
    """Return how many units were scored, which of very many rows is a sample."""
    return int(as_float((score.get("subsampling") or {}).get("rows")) or as_float(score.get("n_units")) or 0)


def sampled(score: Mapping[str, Any]) -> str:
    """Return ``a sample of 2,000 of 1,000,000 rows`` where such a one was scored, else nothing."""
    found = score.get("subsampling") or {}
    return f"a sample of {count(found.get('rows'))} of {count(found.get('of'))} rows" if found else ""


def _rows_card(record: Record) -> Card:
    rows = (record["data"] or {}).get("rows") or {}
    used, raw = as_float(rows.get("used")), as_float(rows.get("raw"))
    if used is None:
        return _card("Rows", "absent", "not recorded", ABSENT, "The summary of the data is missing.")
    dropped = as_float(rows.get("dropped_missing")) or 0
    if dropped:
        text = f"rows used; {plural(dropped, 'row')} dropped for missing values."
        return _card("Rows", "care", "some dropped", f"{count(used)} of {count(raw)}", text)
    filtered = (raw or used) - used
    text = f"rows used; {plural(filtered, 'row')} left out by the study's filter." if filtered else "rows used."
    return _card("Rows", "ok", "none missing", f"{count(used)} of {count(raw)}", text)


def _published_card(record: Record) -> Card:
    title, verdicts = "Published values", [row["verdict"] for row in record["replication"]]
    reproduced, differs = verdicts.count("reproduced"), verdicts.count("differs")
    if not reproduced + differs:
        return _card(title, "absent", "not compared", ABSENT, "No published number could be compared.")
    figure = f"{reproduced} of {reproduced + differs}"
    if differs:
        return _card(title, "care", "some differ", figure, "were reproduced; what is known of the others stands there.")
    return _card(title, "ok", "all reproduced", figure, "published numbers were reproduced.")


def _warnings_card(record: Record) -> Card:
    found = warnings(record)
    if not found:
        return _card("Warnings", "ok", "none", "0", "Nothing was flagged while the study ran.")
    return _card("Warnings", "care", "please read", str(len(found)), "listed below, word for word.")


def checks_table(record: Record) -> Markdown:
    """Return one row for each candidate and one column for each check that any fit was put to."""
    columns = _check_columns(record)
    rows = []
    for model in record["models"]:
        by_name = _checks_by_name(model)
        cells = [_check_cell(by_name.get(name), shared is None) for name, (_, shared) in columns.items()]
        rows.append([escape(model["label"]), status_badge(model), *cells])
    headers = [
        Markdown(f"{escape(label)} {span(shared, 'ml-rule')}") if shared else escape(label)
        for label, shared in columns.values()
    ]
    return table(["Candidate", "Fit", *headers], rows, label="Every check of every fit", align="ll")


def refits(record: Record) -> list[Markdown]:
    """Return a sentence on each fit that had divergences and was made once more, the other way."""
    found = []
    for model in record["models"]:
        tried = (model.get("diagnostics") or {}).get("attempts") or []
        if len(tried) < 2:
            continue
        kept = next(attempt for attempt in tried if attempt["kept"])
        ways = ", ".join(f"{label} {how}" for label, how in kept["parameterisation"].items())
        order = "second" if tried[1]["kept"] else "first"
        found.append(
            escape(
                f"{model['label']} was fitted twice because draws diverged: {kept['why']}. The {order} fit is shown "
                f"({ways}; target acceptance {kept['target_accept']:g})."
            )
        )
    return found


def _checks_by_name(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {str(check.get("name")): check for check in (model.get("diagnostics") or {}).get("checks", [])}


def _check_columns(record: Record) -> dict[str, tuple[str, str | None]]:
    """Return each check's label and its rule, by name; the rule is None where it differs between the fits."""
    columns: dict[str, tuple[str, str | None]] = {}
    for model in record["models"]:
        for name, check in _checks_by_name(model).items():
            label, rule = str(check.get("label") or name), rule_words(check)
            columns[name] = (label, rule if columns.get(name, (label, rule))[1] == rule else None)
    return columns


def rule_words(check: Mapping[str, Any]) -> str:
    """Return a check's rule in words: ``below 1.01``."""
    if as_float(check.get("threshold")) is None:
        return ""
    rule = str(check.get("rule") or "")
    return f"{_DIRECTIONS.get(rule, rule)} {_plain_number(check['threshold'])}".strip()


def _plain_number(value: Any) -> str:
    number = as_float(value)
    return count(number) if number is not None and (number == round(number) or abs(number) >= 100) else shortest(value)


def _check_cell(check: Mapping[str, Any] | None, show_rule: bool) -> Markdown:
    if check is None:
        return Markdown(ABSENT)
    value = check.get("value")
    number = as_float(value)
    is_ratio = number is not None and 0.5 < number < 2 and number != round(number)
    shown = fixed(value, 3) if is_ratio else _plain_number(value)
    rule = f" ({rule_words(check)})" if show_rule else ""
    if check.get("passed"):
        return good(f"{shown}{rule}")
    where = Markdown(f" {code(check['where'])}") if check.get("where") else Markdown("")
    return Markdown(f"{bad(f'{shown}{rule} failed')}{where}")


def loo_table(record: Record, unit: str = OBSERVATION) -> Markdown:
    """Return how reliable each candidate's scores of leaving out one unit at a time are, and how they were estimated."""
    whole = unit == OBSERVATION
    rows = []
    for model in record["models"]:
        score = loo_score(model, unit)
        if score is None or score.get("refused"):
            why = (
                absent("not computed")
                if score is None
                else absent(Markdown(f"not defined: {escape(score['refused'])}"))
            )
            rows.append([model_name(model), why, *[ABSENT] * (9 if whole else 7)])
            continue
        counts = score.get("k_counts") or {}
        high = high_k(score)
        verdict = good("reliable") if high == 0 else caution(f"{high} high")
        cells = [
            sampled(score) or count(score.get("n_units")),
            *(count(counts.get(key)) for key in ("good", "bad", "very_bad")),
        ]
        cells += [fixed(score.get("k_max"), 2), fixed(score.get("k_threshold"), 2)]
        if whole:
            given = score.get("conditional") or {}
            cells += [count(high_k(given)), fixed(given.get("k_max"), 2)] if given else [ABSENT] * 2
        rows.append([model_name(model), verdict, escape(score.get("likelihood") or ""), *cells])
    units = "Observations" if whole else f"Levels of {unit}"
    headers = ["Candidate", "Score", "Likelihood", units, "k good", "k bad", "k very bad", "Largest k", "Threshold"]
    headers += ["High k given the effects", "Largest k given the effects"] if whole else []
    label = f"Reliability of the scores of leaving out one {unit} at a time"
    return table(headers, rows, label=label, align="lll")


def groupings_left_out(record: Record) -> list[str]:
    """Return the groupings that some comparison leaves out, in order of first use."""
    return list(dict.fromkeys(c["unit"] for c in record["comparisons"] if is_grouping(c["unit"])))


def futures_left_out(record: Record) -> list[str]:
    """Return the units of which the future is left out, in order of first use: ``future(day)``."""
    return list(dict.fromkeys(c["unit"] for c in record["comparisons"] if time_of(c["unit"])))


def future_table(record: Record, unit: str) -> Markdown:
    """Return how each candidate's predictions of later times were made: fits, reweighted draws, and the Pareto k of these."""
    time, rows = time_of(unit), []
    for model in record["models"]:
        score = loo_score(model, unit)
        if score is None or score.get("refused"):
            reason = "" if score is None else score["refused"]
            why = absent(Markdown(f"not defined: {escape(reason)}")) if reason else absent("not computed")
            rows.append([model_name(model), why, *[ABSENT] * 7])
            continue
        fits, by = score.get("fits") or [], score.get("estimators") or {}
        failed = [fit for fit in fits if not fit.get("passed", True)]
        verdict = bad(f"{count(len(failed))} of {plural(len(fits), 'fit')} failed") if failed else good("reliable")
        before = score.get("k_max_before_refits")
        cells = [count(score.get("n_units")), count(by.get("exact refit")), count(by.get("PSIS"))]
        cells += [fixed(score.get("k_max"), 2), fixed(before, 2), fixed(score.get("k_threshold"), 2)]
        rows.append([model_name(model), verdict, escape(score.get("likelihood") or ""), *cells])
    headers = ["Candidate", "Score", "Likelihood", f"{time} predicted", "From a fit", "From reweighted draws"]
    headers += ["Largest k", "Largest k, refits included", "Threshold"]
    return table(headers, rows, label=f"How the predictions of later {time} were made", align="lll")


def warnings(record: Record) -> list[Markdown]:
    """Return every warning of the run with where it came from, and every file that is missing."""
    found = [Markdown(f"{strong('Study')}: {escape(text)}") for text in record["warnings"]]
    for model in record["models"]:
        for name, score in model["scores"].items():
            kind = name.split(".")[0].upper()
            parts = {kind: score or {}}
            if name == "dic.conditional":
                parts[f"{kind}, integrated"] = (score or {}).get("integrated") or {}
            for title, part in parts.items():
                texts = part.get("warnings") or []
                found += [Markdown(f"{strong(model['label'])}, {escape(title)}: {escape(text)}") for text in texts]
    names = {model["name"] for model in record["models"]}  # a missing fit stands among the failures already
    found += [Markdown(f"{strong('Missing')}: {code(item)}") for item in record["missing"] if item not in names]
    found += [
        Markdown(f"{strong('Comparison')}: {code(comparison['path'])} was not made.")
        for comparison in record["comparisons"]
        if not comparison["made"]
    ]
    return found


def failures(record: Record) -> list[Markdown]:
    """Return a line for each candidate that failed a check, with the values that failed, or that was not fitted."""
    lines = []
    for model in record["models"]:
        if model["status"] == NOT_FITTED:
            lines.append(Markdown(f"{strong(model['label'])}: {absent('not fitted')}. It has no results on this page."))
        if model["status"] == FAILED:
            checks = [check for check in _checks_by_name(model).values() if not check.get("passed")]
            reasons = [_failure(check) for check in checks] or [escape(word) for word in model["failed"]]
            lines.append(Markdown(f"{strong(model['label'])}: {bad('failed')} {join(reasons, '; ')}."))
    return lines


def _failure(check: Mapping[str, Any]) -> Markdown:
    where = Markdown(f" at {code(check['where'])}") if check.get("where") else ""
    rule = rule_words(check)
    wanted = f" (should be {rule})" if rule else ""
    return Markdown(
        f"{escape(check.get('label') or check.get('name'))} is {_plain_number(check.get('value'))}{wanted}{where}"
    )
