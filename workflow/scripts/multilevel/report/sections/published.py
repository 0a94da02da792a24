"""Published values: how many were reproduced, and each beside ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from multilevel.report.flags import absent, bad, caution, good
from multilevel.report.markdown import Markdown, bullets, code, escape, span, strong, table
from multilevel.report.numbers import ABSENT, as_float, count, estimate, fixed, in_words, significant
from multilevel.report.record import Record

REPRODUCED, DIFFERS, NOT_COMPARABLE = "reproduced", "differs", "not comparable"

_ESTIMATORS = {
    "ml": "ML",
    "reml": "REML",
    "laplace": "Laplace",
    "quadrature": "quadrature",
    "pql": "PQL",
    "empirical_bayes": "empirical Bayes",
    "other": "other estimator",
}
_STATISTICS = {
    "mean": "posterior mean",
    "median": "posterior median",
    "sd": "posterior SD",
    "lower": "lower end of the 95% interval",
    "upper": "upper end of the 95% interval",
    "estimate": "estimate",
    "se": "standard error",
}


def summary(record: Record) -> Markdown:
    """Return in plain words how many published numbers were reproduced, how many differ, and how many say nothing."""
    rows = record["replication"]
    numbers = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in _verdicts(rows)}
    compared = numbers[REPRODUCED] + numbers[DIFFERS]
    sentences = [_reproduced(numbers[REPRODUCED], compared)] if compared else []
    if differs := numbers[DIFFERS]:
        explained = sum(bool(row["note"] or row["reason"]) for row in rows if row["verdict"] == DIFFERS)
        known = "what is known of it stands" if differs == 1 else "what is known of each stands"
        tail = f"; {known} beside it" if explained == differs else f"; for {count(explained)} of them a reason is given"
        verb = "differs" if differs == 1 else "differ"
        sentences.append(Markdown(f"{_capital(in_words(differs))} {verb}{tail if explained else ''}."))
    if without := numbers[NOT_COMPARABLE]:
        verb = "is" if without == 1 else "are"
        sentences.append(Markdown(f"{_capital(in_words(without))} {verb} shown without a comparison, with the reason."))
    if missing := len(rows) - compared - without:
        verb = "belongs" if missing == 1 else "belong"
        text = f"{_capital(in_words(missing))} {verb} to a fit that failed its checks or is missing."
        sentences.append(Markdown(text))
    return Markdown(" ".join(sentences))


def _verdicts(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys([REPRODUCED, DIFFERS, NOT_COMPARABLE, *(str(row["verdict"]) for row in rows)]))


def _reproduced(number: int, compared: int) -> Markdown:
    if compared == 1:
        return strong("The one published number that can be compared was " + ("" if number else "not ") + "reproduced.")
    if number == compared:
        return strong(f"All {count(compared)} published numbers that can be compared were reproduced.")
    return strong(f"{count(number)} of {count(compared)} published numbers that can be compared were reproduced.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def is_complete(record: Record) -> bool:
    """Return whether every published number has been compared or has a reason why not."""
    return bool(record["replication"])


def tables(record: Record) -> list[tuple[dict[str, Any], Markdown]]:
    """Return each candidate that has published numbers, with the table of them and, under it, the notes on those that differ."""
    sources = _sources(record)
    found = []
    for model in record["models"]:
        rows = [row for row in record["replication"] if row["model"] == model["name"]]
        if rows:
            found.append((model, _table(model, rows, sources)))
    return found


def _table(model: dict[str, Any], rows: list[dict[str, Any]], sources: list[str]) -> Markdown:
    notes = list(dict.fromkeys(text for row in rows if (text := _note(row))))
    headers = ["Quantity", "Verdict", "Published", "Ours", "Difference", "Allowed", "Posterior mean (SD)", "Source"]
    cells = [_row(row, sources, notes) for row in rows]
    shown = table(headers, cells, label=f"Published values of {model['label']}", align="llrrrrrr")
    under = bullets(Markdown(f"{strong(f'({_letter(i)})')} {escape(text)}") for i, text in enumerate(notes))
    return Markdown(f"{shown}\n\n{under}") if notes else shown


def _row(row: dict[str, Any], sources: list[str], notes: list[str]) -> list[object]:
    mark = f" {escape(f'({_letter(notes.index(text))})')}" if (text := _note(row)) else ""
    return [
        Markdown(f"{code(row['quantity'])} {span(_what(row), 'ml-interval')}"),
        Markdown(f"{_verdict(row)}{mark}"),
        str(row["published"]).replace("-", "−"),
        _ours(row),
        significant(row.get("difference"), 2),
        significant(row.get("tolerance"), 2),
        _beside(row),
        str(sources.index(row["source"]) + 1),
    ]


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def _what(row: dict[str, Any]) -> str:
    """Return what the number is: ``REML estimate``, ``posterior mean``."""
    name = _STATISTICS.get(str(row["statistic"]), str(row["statistic"]))
    estimator = _ESTIMATORS.get(str(row["estimator"]))
    return f"{estimator} {name}" if estimator else name


def _verdict(row: dict[str, Any]) -> Markdown:
    verdict = str(row["verdict"])
    mark = {REPRODUCED: good, DIFFERS: caution, NOT_COMPARABLE: absent, "not fitted": absent}.get(verdict, bad)
    return mark(verdict)


def _ours(row: dict[str, Any]) -> str:
    """Return our number: with one digit more than was printed, or as many as the simulation supports."""
    error, digits = as_float(row.get("mcse_ours")), as_float(row.get("digits"))
    if error:
        return estimate(row.get("ours"), error)
    return fixed(row.get("ours"), int(digits or 0) + 1)


def _beside(row: dict[str, Any]) -> str:
    """Return our posterior mean and sd, for numbers of other estimators alone."""
    mean, spread = row.get("posterior_mean"), row.get("posterior_sd")
    if row["estimator"] == "posterior" or row["statistic"] == "se" or as_float(mean) is None:
        return ABSENT
    return f"{significant(mean)} ({significant(spread, 2)})"


def _note(row: dict[str, Any]) -> str:
    """Return why a number was not reproduced, or not compared; nothing where it was reproduced."""
    if row["verdict"] == REPRODUCED:
        return ""
    parts = (str(row[key]).strip().rstrip(".") for key in ("reason", "note") if row[key])
    return "".join(f"{part[:1].upper()}{part[1:]}. " for part in parts).strip()


def _sources(record: Record) -> list[str]:
    return list(dict.fromkeys(str(row["source"]) for row in record["replication"]))


def sources(record: Record) -> Markdown:
    """Return the sources as a numbered list, in order of first use."""
    return Markdown("\n".join(f"{i + 1}. {escape(text)}" for i, text in enumerate(_sources(record))))


def has(record: Record, estimators: Iterable[str]) -> bool:
    """Return whether some number was published by one of the estimators."""
    return bool({str(row["estimator"]) for row in record["replication"]} & set(estimators))
