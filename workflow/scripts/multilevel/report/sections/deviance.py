"""Deviance information criteria: given the group effects, and with them integrated out, which never share a table.

Deviances of different responses, rows or weights cannot be compared, so models of each stand in a table of their own; so do
integrated ones of new levels of different groupings.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from multilevel import names
from multilevel.report.flags import caution, model_name
from multilevel.report.markdown import Markdown, code, escape, table
from multilevel.report.numbers import ABSENT, as_float, fixed, significant
from multilevel.report.record import OK, Record, fitted

_DIC = "dic.conditional"

Model = dict[str, Any]
Score = dict[str, Any]


class _Scored(NamedTuple):
    """One candidate and a record of deviances of it."""

    model: Model
    score: Score


def conditional_table(record: Record) -> Markdown:
    """Return the conditional DIC of every fit that has one, smallest first, those that failed a check last."""
    found = _conditional(record)
    have = {one.model["name"] for one in found}
    without = [model for model in record["models"] if model["name"] not in have]
    return _tables(found, _HEADERS, _cells, "Conditional deviance information criterion", without)


def correlated(record: Record) -> Markdown:
    """Return what is said of deviances of rows that are not independent; empty where there are none."""
    found = [one for one in _conditional(record) if one.score.get("correlated")]
    if not found:
        return Markdown("")
    words = " or ".join(dict.fromkeys(str(one.score["correlated"]) for one in found))
    return Markdown(
        f"{escape(', '.join(one.model['label'] for one in found))}: {escape(words)}, so that the deviance is that of all rows "
        "together. A replicate has new residuals, correlated as these are, where a candidate with group effects keeps what its "
        "groups have in common: the two do not speak of the same replicate."
    )


def divergences_table(record: Record) -> Markdown:
    """Return the penalties of Plummer for every fit that has a conditional DIC, in its order; a reason where there are none."""

    def cells(score: Score) -> list[object]:
        if "p_kl" not in score:
            return [*[ABSENT] * 8, escape(f"none: {score.get('why_no_p_kl') or 'not computed'}")]
        found = [
            cell
            for key in ("p_kl", "dic_p_kl", "p_opt", "penalised_expected_deviance")
            for cell in (fixed(score.get(key), 1), significant(score.get(f"mcse_{key}"), 2))
        ]
        k_max = as_float(score.get("k_max_p_opt"))
        shown = fixed(k_max, 2)
        return [*found, caution(shown) if k_max is not None and k_max > names.HIGH_K else shown]

    headers = [
        "Candidate",
        "pD(KL)",
        "MCSE",
        "DIC with pD(KL)",
        "MCSE",
        "popt",
        "MCSE",
        "Penalised expected deviance",
        "MCSE",
    ]
    headers += ["Largest k of popt"]
    return _tables(_conditional(record), headers, cells, "Penalties of Plummer, given the group effects", [])


def integrated_table(record: Record) -> Markdown:
    """Return the DIC of the likelihood with group effects integrated out; empty where no candidate has one."""
    found = [
        _Scored(model, {**one, "fingerprint": score.get("fingerprint")})
        for model, score in _conditional(record)
        if (one := score.get("integrated"))
    ]
    found.sort(key=_order)
    headers = [*_HEADERS, "Likelihood"]
    words = "Integrated deviance information criterion"
    return _tables(found, headers, lambda score: [*_cells(score), escape(score.get("likelihood") or "")], words, [])


def without_integrated(record: Record) -> list[Markdown]:
    """Return a line for each reason why candidates have no integrated DIC."""
    reasons: dict[str, list[str]] = {}
    for model, score in _conditional(record):
        if not score.get("integrated"):
            reasons.setdefault(str(score.get("why_no_integrated") or "not computed"), []).append(model["label"])
    return [Markdown(f"{escape(', '.join(labels))}: {escape(reason)}.") for reason, labels in reasons.items()]


def plug_ins(record: Record, *, integrated: bool = False) -> Markdown:
    """Return the plug-in that the scores name, with ``or`` between those that differ."""
    scores = [score for _, score in _conditional(record)]
    scores = [score["integrated"] for score in scores if score.get("integrated")] if integrated else scores
    return escape(" or ".join(dict.fromkeys(str(score["plug_in"]) for score in scores if score.get("plug_in"))))


_HEADERS = (
    "Candidate", "Mean deviance", "MCSE", "Deviance at the plug-in", "pD", "MCSE", "DIC with pD", "pV", "MCSE",
    "Mean deviance + pV", "Plug-in deviance + 2 pV",
)  # fmt: skip


def _conditional(record: Record) -> list[_Scored]:
    found = [_Scored(model, score) for model in fitted(record) if (score := model["scores"].get(_DIC))]
    return sorted(found, key=_order)


def _order(one: _Scored) -> tuple[bool, float]:
    dic = as_float(one.score.get("dic"))
    return one.model["status"] != OK, float("inf") if dic is None else dic


def _tables(
    found: Iterable[_Scored],
    headers: Sequence[str],
    cells: Callable[[Score], list[object]],
    label: str,
    without: Sequence[Model],
) -> Markdown:
    """Return a table for each estimand and data that some candidates share, the one of most candidates first."""
    alike: dict[tuple[str, ...], list[_Scored]] = {}
    for one in found:
        alike.setdefault(_estimand(one.score), []).append(one)
    several, made = len(alike) > 1, []
    targets = len({str(one.score.get("predicts")) for one in itertools.chain(*alike.values())}) > 1
    for place, scored in enumerate(sorted(alike.values(), key=len, reverse=True)):
        rows: list[list[object]] = [[model_name(one.model), *cells(one.score)] for one in scored]
        if not place:
            rows += [[model_name(model), *[ABSENT] * (len(headers) - 1)] for model in without]
        align = "l" + "".join("l" if name == "Likelihood" else "r" for name in headers[1:])
        if not several:
            made.append(table(headers, rows, label=label, align=align))
            continue
        response = str(scored[0].model["formula"]).partition("~")[0].strip()
        predicts = f": {scored[0].score.get('predicts')}" if targets else ""
        words = f"Of {code(response)}{escape(predicts)}, which is compared with no other:"
        made += [Markdown(words), table(headers, rows, label=f"{label} of {response}{predicts}", align=align)]
    return Markdown("\n\n".join(made))


def _estimand(score: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what two deviances must share to be compared."""
    mark = score.get("fingerprint") or {}
    return (*(str(mark.get(key)) for key in ("rows", "response", "scored")), str(score.get("predicts")))


def _cells(score: Score) -> list[object]:
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


def penalties_disagree(record: Record) -> list[str]:
    """Return the labels of the candidates whose two penalties differ by a factor of two or more."""
    labels = []
    for model, score in _conditional(record):
        p_d, p_v = as_float(score.get("p_d")), as_float(score.get("p_v"))
        if p_d is not None and p_v is not None and (p_d <= 0 or p_v <= 0 or max(p_d / p_v, p_v / p_d) >= 2):
            labels.append(model["label"])
    return labels
