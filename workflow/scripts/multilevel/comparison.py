"""Comparing models by their scores of what was left out: differences from the best, their standard errors, weights.

Models are compared only where one estimand was computed on the same response of the same rows in the same order, each row
counted in the same way, and, where groups were left out, on the same groups; anything else is refused, and the refusal names
what differs. A fit that failed its checks and a model that could not be scored are shown, and neither ranked nor weighted.

Differences are paired, se_diff = sqrt(N) sd(diff_i) with ddof 1 (Vehtari, Gelman & Gabry 2017), over N units: rows, or groups.
Flags follow Sivula, Magnusson, Matamoros & Vehtari (2025, Bayesian Analysis, doi 10.1214/25-BA1569): the normal
approximation of a difference is poorly calibrated when N < 100 or |difference| < 4.

Of very many rows a sample was scored, the same of every model (`scores.subsampled`). A difference is then the difference of
the surrogates of all rows plus N times the mean, over the sample, of what scores and surrogates differ by; sampling adds
its own error to that of the difference, and both are in se_diff. Weights are those of the sample.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from multilevel import weights
from multilevel.names import OBSERVATION

Array = NDArray[np.float64]
Scores = tuple[dict[str, Any], pd.DataFrame]

COLUMNS = (
    "rank", "model", "status", "elpd", "se", "elpd_diff", "se_diff", "diag_diff", "diag_elpd", "p_worse", "p_loo",
    "weight", "pseudo_bma", "k_max", "k_bad", "elpd_waic", "waic_high",
)  # fmt: skip
"""Columns of every comparison; each holds one estimand, which the unit left out decides."""

CONDITIONAL_DIC = ("dic", "p_d", "dic_p_v", "p_v")
"""Further columns where observations are left out: given the group effects, as that score is."""

SUBSAMPLED = ("subsampling_se", "subsampling_se_diff")
"""Further columns where a sample of the rows was scored: what sampling adds to the errors of a score and of a difference."""

OK, FAILED, NOT_SCORED = "ok", "failed checks", "not scored"

MANY_CANDIDATES = 11
"""From this many candidates on, the best of them looks better than it is (McLatchie & Vehtari 2024)."""


class UnequalDataError(ValueError):
    """Models that were not scored on the same data; the message names what differs."""


@dataclass(frozen=True)
class Candidate:
    """One model in a comparison.

    Parameters
    ----------
    model
        Its name.
    status
        ``ok``, ``failed checks``, ``not scored`` or ``not fitted``.
    record
        The record of its score, with its ``fingerprint`` (None where there is none).
    pointwise
        Table with the name of each unit and its ``elpd`` (None where there is none).
    dic
        Its conditional DIC record (None where it does not belong here).
    note
        What a reader must know, such as which checks failed.
    """

    model: str
    status: str
    record: dict[str, Any] | None = None
    pointwise: pd.DataFrame | None = None
    dic: dict[str, Any] | None = None
    note: str = ""

    @property
    def scored(self) -> bool:
        """Whether it has scores to compare."""
        return self.record is not None and self.pointwise is not None and "refused" not in self.record

    @property
    def scores(self) -> Scores:
        """Its record and per-unit values.

        Raises
        ------
        ValueError
            When it has none.
        """
        if self.record is None or self.pointwise is None or not self.scored:
            raise ValueError(f"model {self.model} has no scores ({self.status})")
        return self.record, self.pointwise

    @property
    def elpd(self) -> Array:
        """Its elpd by unit, shape (N,)."""
        return self.scores[1]["elpd"].to_numpy(dtype=float)

    @property
    def subsampling(self) -> dict[str, Any] | None:
        """How its rows were sampled; None where all were scored."""
        found = self.scores[0].get("subsampling")
        return dict(found) if found else None

    @property
    def ids(self) -> list[Any]:
        """Names of the units: rows, or levels of a grouping."""
        return list(self.scores[1][_id_column(self.scores[1])])


def _id_column(pointwise: pd.DataFrame) -> str:
    return "row_id" if "row_id" in pointwise else "level"


def judged(candidate: Candidate) -> Candidate:
    """Return the candidate, as not scored where its score was refused or is not finite in every unit, with the reason.

    One whose score rests on fits to some of the rows of which one failed its checks has failed too.
    """
    if candidate.record is None or candidate.pointwise is None:
        return candidate
    if reason := candidate.record.get("refused"):
        status = candidate.status if candidate.status != OK else NOT_SCORED
        return replace(candidate, status=status, note="; ".join(n for n in (candidate.note, reason) if n))
    if candidate.status == OK and (reason := candidate.record.get("unreliable")):
        return replace(candidate, status=FAILED, note="; ".join(n for n in (candidate.note, reason) if n))
    finite = np.isfinite(candidate.elpd)
    if candidate.status == OK and finite.all() and not np.isfinite(candidate.scores[0]["elpd"]):
        note = f"some {_noun(candidate)}s that were not sampled have no finite log density, so the sum means nothing"
        return replace(candidate, status=NOT_SCORED, note=note)
    if candidate.status == OK and not finite.all():
        first = candidate.ids[int(np.argmin(finite))]
        note = f"no finite score for {_noun(candidate)} {first}, so its sum means nothing"
        return replace(candidate, status=NOT_SCORED, note=note)
    return candidate


def _noun(candidate: Candidate) -> str:
    unit = str(candidate.scores[0]["unit"])
    return "row" if unit == OBSERVATION else unit


def compare(candidates: list[Candidate], seed: int = 0) -> pd.DataFrame:
    """Return the comparison table, the best model first.

    Parameters
    ----------
    candidates
        The models, in the order of the study.
    seed
        Of the bootstrap behind the pseudo-BMA+ weights.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`, those of `CONDITIONAL_DIC` where observations were left out, and ``note``. Models that are not
        ranked stand at the end without rank, difference and weight.

    Raises
    ------
    UnequalDataError
        When scored models differ in rows, order, response, groups or estimand.
    """
    candidates = [judged(c) for c in candidates]
    scored = [c for c in candidates if c.scored]
    refuse_unequal(scored)
    ranked = sorted((c for c in scored if c.status == OK), key=lambda c: (-c.scores[0]["elpd"], c.model))
    shares: dict[str, dict[str, float]] = {}
    if ranked:
        made = _weights(ranked, seed)
        shares = {c.model: {name: float(w[i]) for name, w in made.items()} for i, c in enumerate(ranked)}
    rows = [_row(c, position + 1, ranked[0], shares[c.model]) for position, c in enumerate(ranked)]
    rows += [_row(c, None, None, {}) for c in candidates if c not in ranked]
    observations = all(c.scores[0]["unit"] == OBSERVATION for c in scored)
    sampled = any(c.subsampling for c in scored)
    columns = [*COLUMNS, *(SUBSAMPLED if sampled else ()), *(CONDITIONAL_DIC if observations else ()), "note"]
    counts = dict.fromkeys(("rank", "k_bad", "waic_high"), "Int64")
    return pd.DataFrame(rows, columns=columns).astype(counts)


def _weights(ranked: list[Candidate], seed: int) -> dict[str, Array]:
    """Return the weights of ranked candidates by kind."""
    matrix = np.column_stack([c.elpd for c in ranked])
    found = {"weight": weights.stacking(matrix)}
    if not ranked[0].subsampling:
        return found | {"pseudo_bma": weights.pseudo_bma(matrix, seed)}
    totals = np.array([c.scores[0]["elpd"] for c in ranked])
    pairs = [paired(c.scores, ranked[0].scores) for c in ranked]
    count, n = pairs[0].count, len(matrix)
    of_rows, of_rest = (np.atleast_2d(np.cov(np.stack(v))) for v in ([p.diff for p in pairs], [p.rest for p in pairs]))
    covariance = count * of_rows + count**2 * (1.0 - n / count) / n * of_rest
    return found | {"pseudo_bma": weights.pseudo_bma_of_totals(totals, covariance, seed)}


def refuse_unequal(scored: list[Candidate]) -> None:
    """Raise unless all candidates have one estimand on the same data.

    Raises
    ------
    UnequalDataError
        Naming the first thing that differs between the first model and another.
    """
    if not scored:
        return
    first = scored[0]
    record, _ = first.scores
    for other in scored:
        other_record, _ = other.scores
        pair = f"models {first.model} and {other.model} cannot be compared"
        sizes = [(c.subsampling or {}).get("of") for c in (first, other)]
        if sizes[0] != sizes[1]:
            raise UnequalDataError(
                f"{pair}: one was scored at a sample of its rows, the other was not, or of other rows"
            )
        for key in ("unit", "estimand"):
            if record.get(key) != other_record.get(key):
                raise UnequalDataError(f"{pair}: one score is {record.get(key)}, the other {other_record.get(key)}")
        ids, own, noun = first.ids, other.ids, f"{_noun(first)}s"
        if len(ids) != len(own):
            raise UnequalDataError(f"{pair}: they were scored on {len(ids)} and {len(own)} {noun}")
        if set(ids) != set(own):
            only = sorted(set(map(str, ids)) - set(map(str, own)))[:3]
            raise UnequalDataError(
                f"{pair}: they were scored on different {noun} (only the first has {', '.join(only)})"
            )
        if ids != own:
            raise UnequalDataError(f"{pair}: the same {noun} stand in another order")
        for key, words in (
            ("response", "the response differs"),
            ("kind", "one response is discrete and the other continuous"),
            ("rows", "the rows differ"),
            ("groups", "rows belong to other groups"),
            ("times", "rows are of other times"),
            ("scored", "rows are weighted or censored differently"),
            ("criterion", "the criteria differ"),
        ):
            mine, theirs = record["fingerprint"].get(key), other_record["fingerprint"].get(key)
            if mine != theirs:
                raise UnequalDataError(f"{pair}: {words} ({_short(mine)} and {_short(theirs)})")


def differences(candidates: list[Candidate], best: str) -> pd.DataFrame:
    """Return per-unit differences from the best model: row_id or level, model, diff (negative where the model is worse)."""
    ranked = [c for c in map(judged, candidates) if c.scored and c.status == OK]
    base = next(c for c in ranked if c.model == best)
    name = _id_column(base.scores[1])
    parts = [
        pd.DataFrame({name: c.ids, "model": c.model, "diff": c.elpd - base.elpd}) for c in ranked if c.model != best
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [], "model": [], "diff": []})


def describe(candidates: list[Candidate], table: pd.DataFrame) -> dict[str, Any]:
    """Return what all scores of a comparison are of, and the sentences that belong under its table.

    Parameters
    ----------
    candidates
        The models.
    table
        What `compare` made of them.
    """
    records = [c.scores[0] for c in candidates if c.scored]
    keys = ("criterion", "unit", "leaves_out", "predicts", "estimand", "n_units")
    sampling = records[0].get("subsampling") if records else None
    about = {key: records[0].get(key) for key in keys} if records else {}
    said = [*_sampled(sampling), *_of_times(records), *notes(table)]
    return {**about, **({"subsampling": sampling} if sampling else {}), "notes": said}


def _of_times(records: list[dict[str, Any]]) -> list[str]:
    """Return the sentence on standard errors of scores of the future."""
    if not records or records[0].get("criterion") != "lfo":
        return []
    count, unit = records[0]["n_units"], records[0]["unit"]
    words = (
        f"Standard errors take the {count} predicted values of {unit} for independent. Successive predictions share most of "
        "what they are made from, so these errors are rough and may be too small."
    )
    return [words]


def _sampled(sampling: Mapping[str, Any] | None) -> list[str]:
    """Return the sentence on scores of a sample."""
    if not sampling:
        return []
    words = (
        f"Scores were computed for a random sample of {sampling['rows']:,} of {sampling['of']:,} rows, the same for every "
        "candidate, and the totals over all rows estimated from it (difference estimator, Magnusson et al. 2020); what sampling "
        "adds to the error is in the SE of the difference and is listed beside it. Counts of high k, p_loo, WAIC and the weights "
        "rest on the sample."
    )
    return [words]


def notes(table: pd.DataFrame) -> list[str]:
    """Return sentences that belong under a table that `compare` made."""
    found = []
    elpd = table.loc[table["status"] == OK, "elpd"].to_numpy(dtype=float)
    if len(elpd) > MANY_CANDIDATES:
        lead, by_chance = lead_by_chance(elpd)
        found.append(
            f"The best of {len(elpd)} candidates looks better than it is: some of its lead is chance. It is {lead:.1f} ahead of "
            f"the middle candidate, and the best of as many equally good ones would be about {by_chance:.1f} ahead"
            + (", so all of its lead may be chance" if lead <= by_chance else "")
            + " (McLatchie & Vehtari 2024)."
        )
    count = int((table["status"] == NOT_SCORED).sum())
    if count:
        found.append(f"{count} of {len(table)} candidates could not be scored, and the note says why.")
    return found


def lead_by_chance(elpd: Array) -> tuple[float, float]:
    """Return the best candidate's lead over the middle one, and the lead expected of the best of equally good candidates.

    The candidates' spread is that of the better half around the median; the expected largest of K normal values is about
    their 1 - 1 / (2 K) quantile (McLatchie & Vehtari 2024, Statistics and Computing 34:132, section 4).
    """
    lead = elpd - np.median(elpd)
    upper = lead[lead >= 0]
    spread = float(np.sqrt(np.mean(np.square(upper))))
    return float(lead.max()), spread * float(norm.ppf(1.0 - 1.0 / (2.0 * (len(elpd) - 1))))


def _row(candidate: Candidate, rank: int | None, best: Candidate | None, shares: Mapping[str, float]) -> dict[str, Any]:
    row: dict[str, Any] = {"rank": rank, "model": candidate.model, "status": candidate.status, "note": candidate.note}
    if not candidate.scored:
        return row
    record, _ = candidate.scores
    counts: Mapping[str, int] = record["k_counts"]
    k_bad = counts["bad"] + counts["very_bad"]
    row |= {key: record.get(key) for key in ("elpd", "se", "p_loo", "k_max")}
    row |= {"k_bad": k_bad, "diag_elpd": f"{k_bad} k > {record['k_threshold']:.2f}" if k_bad else ""}
    if waic := record.get("waic"):
        row |= {"elpd_waic": waic["elpd"], "waic_high": waic["high_variances"]}
    if candidate.dic is not None and "refused" not in candidate.dic:
        row |= {"dic": candidate.dic["dic"], "p_d": candidate.dic["p_d"]}
        row |= {"dic_p_v": candidate.dic["dic_p_v_dbar"], "p_v": candidate.dic["p_v"]}
    if best is not None:
        row |= {**shares, **_difference(candidate, best)}
    if sampling := candidate.subsampling:
        row["subsampling_se"] = sampling["se"]
    return row


@dataclass(frozen=True)
class Difference:
    """A difference in elpd over N units.

    Parameters
    ----------
    diff
        By unit scored, shape (n,).
    rest
        What of it the surrogates do not have, shape (n,); the same where all units were scored.
    total, se
        Their sum over all N, and its standard error, that of sampling included.
    count
        N.
    sampling
        What sampling adds to the error; None where all units were scored.
    """

    diff: Array
    rest: Array
    total: float
    se: float
    count: int
    sampling: float | None


def paired(scores: Scores, other: Scores) -> Difference:
    """Return the difference of one model's scores from another's, unit by unit.

    Parameters
    ----------
    scores, other
        The record and the per-unit values of each, of the same units.
    """
    diff = (scores[1]["elpd"] - other[1]["elpd"]).to_numpy(dtype=float)
    sampling, of_other = (found[0].get("subsampling") for found in (scores, other))
    if not (sampling and of_other):
        return Difference(
            diff, diff, float(diff.sum()), float(np.sqrt(len(diff) * np.var(diff, ddof=1))), len(diff), None
        )
    count, n = int(sampling["of"]), len(diff)
    surrogates = [values["surrogate"].to_numpy(dtype=float) for _, values in (scores, other)]
    rest = diff - (surrogates[0] - surrogates[1])
    total = sampling["surrogate_total"] - of_other["surrogate_total"] + count * float(rest.mean())
    error = count * float(np.sqrt((1.0 - n / count) * np.var(rest, ddof=1) / n))
    return Difference(diff, rest, total, float(np.hypot(np.sqrt(count * np.var(diff, ddof=1)), error)), count, error)


def _difference(candidate: Candidate, best: Candidate) -> dict[str, Any]:
    """Return the paired difference, its standard error and what is known of their quality."""
    found = paired(candidate.scores, best.scores)
    added = {} if found.sampling is None else {"subsampling_se_diff": found.sampling}
    if candidate is best:
        return {"elpd_diff": 0.0, "se_diff": 0.0, "diag_diff": "", "p_worse": np.nan, **added}
    total, count, se = found.total, found.count, found.se
    flags = (["N < 100"] if count < 100 else []) + (["|elpd_diff| < 4"] if abs(total) < 4 else [])
    return {
        "elpd_diff": total,
        "se_diff": se,
        "diag_diff": "; ".join(flags),
        "p_worse": float(norm.cdf(-total / se)) if se > 0 else np.nan,
        **added,
    }


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{13,}", text) else text
