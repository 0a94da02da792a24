"""Comparing models by their per-unit scores: differences from the best, their standard errors, stacking weights.

Models are compared only where they were scored on the same response of the same rows in the same order; anything else
is refused, and the refusal names what differs. A fit that failed its checks is shown and neither ranked nor weighted.

Differences are paired, se_diff = sqrt(N) sd(diff_i) with ddof 1 (Vehtari, Gelman & Gabry 2017). Flags follow Sivula,
Magnusson, Matamoros & Vehtari (2025, Bayesian Analysis, doi 10.1214/25-BA1569): the normal approximation of a difference
is poorly calibrated when N < 100 or |difference| < 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

Array = NDArray[np.float64]

COLUMNS = (
    "rank", "model", "status", "elpd", "se", "elpd_diff", "se_diff", "diag_diff", "diag_elpd", "p_worse", "p_loo",
    "weight", "k_max", "k_bad", "dic", "p_d", "dic_p_v", "p_v", "note",
)  # fmt: skip

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
        ``ok``, ``failed checks`` or ``not fitted``.
    loo
        Its leave-one-out record, with its ``fingerprint`` (None where not fitted).
    pointwise
        Table with ``row_id`` and ``elpd`` (None where not fitted).
    dic
        Its DIC record (None where not fitted).
    note
        What a reader must know, such as which checks failed.
    """

    model: str
    status: str
    loo: dict[str, Any] | None = None
    pointwise: pd.DataFrame | None = None
    dic: dict[str, Any] | None = None
    note: str = ""

    @property
    def scored(self) -> bool:
        """Whether it has scores to compare."""
        return self.loo is not None and self.pointwise is not None

    @property
    def scores(self) -> tuple[dict[str, Any], pd.DataFrame]:
        """Its leave-one-out record and per-unit values.

        Raises
        ------
        ValueError
            When it has none.
        """
        if self.loo is None or self.pointwise is None:
            raise ValueError(f"model {self.model} has no scores ({self.status})")
        return self.loo, self.pointwise


def compare(candidates: list[Candidate]) -> pd.DataFrame:
    """Return the comparison table, the best model first.

    Parameters
    ----------
    candidates
        The models, in the order of the study.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. Models that are not ranked stand at the end without rank, difference and weight.

    Raises
    ------
    UnequalDataError
        When scored models differ in rows, order, response, or hold a score that is not finite.
    """
    scored = [c for c in candidates if c.scored]
    refuse_unequal(scored)
    ranked = sorted((c for c in scored if c.status == "ok"), key=lambda c: (-c.scores[0]["elpd"], c.model))
    weights = dict(zip([c.model for c in ranked], stack(_matrix(ranked)) if ranked else [], strict=True))
    rows = [_row(c, position + 1, ranked[0], weights[c.model]) for position, c in enumerate(ranked)]
    rows += [_row(c, None, None, None) for c in candidates if c not in ranked]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rank": "Int64", "k_bad": "Int64"})


def refuse_unequal(scored: list[Candidate]) -> None:
    """Raise unless all candidates were scored on the same data.

    Raises
    ------
    UnequalDataError
        Naming the first thing that differs between the first model and another.
    """
    if not scored:
        return
    first = scored[0]
    record, pointwise = first.scores
    for other in scored:
        other_record, other_pointwise = other.scores
        ids, own = list(pointwise["row_id"]), list(other_pointwise["row_id"])
        pair = f"models {first.model} and {other.model} cannot be compared"
        if len(ids) != len(own):
            raise UnequalDataError(f"{pair}: they were scored on {len(ids)} and {len(own)} rows")
        if set(ids) != set(own):
            only = sorted(set(map(str, ids)) - set(map(str, own)))[:3]
            raise UnequalDataError(f"{pair}: they were scored on different rows (only the first has {', '.join(only)})")
        if ids != own:
            raise UnequalDataError(f"{pair}: the same rows stand in another order")
        for key, words in (
            ("response", "the response differs"),
            ("rows", "the rows differ"),
            ("scored", "rows are weighted or censored differently"),
            ("criterion", "the criteria differ"),
        ):
            mine, theirs = record["fingerprint"].get(key), other_record["fingerprint"].get(key)
            if mine != theirs:
                raise UnequalDataError(f"{pair}: {words} ({_short(mine)} and {_short(theirs)})")
        for key in ("likelihood", "unit"):
            if record[key] != other_record[key]:
                raise UnequalDataError(f"{pair}: one score is {record[key]}, the other {other_record[key]}")
        values = other_pointwise["elpd"].to_numpy(dtype=float)
        if other.status == "ok" and not np.isfinite(values).all():
            bad = other_pointwise["row_id"].iloc[int(np.argmin(np.isfinite(values)))]
            raise UnequalDataError(f"model {other.model} has no finite score for row {bad}, so its sum means nothing")


def stack(matrix: Array) -> Array:
    """Return stacking weights of predictive distributions.

    Parameters
    ----------
    matrix
        Pointwise elpd, shape (N, models).

    Returns
    -------
    numpy.ndarray
        Weights that maximise ``sum_i log sum_k w_k exp(elpd_ik)`` (Yao, Vehtari, Simpson & Gelman 2018, eq. 8), shape
        (models,). Each row's maximum is subtracted first, so densities below exp(-745) do not underflow.
    """
    relative = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    count = matrix.shape[1]
    if count == 1:
        return np.ones(1)

    def objective(free: Array) -> tuple[float, Array]:
        logits = np.append(free, 0.0)
        weights = np.exp(logits - logsumexp(logits))
        mixture = relative @ weights
        gradient = (relative / mixture[:, None]).mean(axis=0)
        return -float(np.log(mixture).mean()), -(weights * (gradient - float(weights @ gradient)))[:-1]

    # The problem is concave in the weights: EM climbs from the centre, and a quasi-Newton step in logits polishes the end.
    weights = np.full(count, 1.0 / count)
    for _ in range(200):
        weights = weights * (relative / (relative @ weights)[:, None]).mean(axis=0)
        weights /= weights.sum()
    start = np.log(np.maximum(weights, 1e-12))
    found = minimize(
        objective,
        (start - start[-1])[:-1],
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10},
    )
    logits = np.append(found.x, 0.0)
    polished = np.exp(logits - logsumexp(logits))
    best = polished if np.log(relative @ polished).mean() >= np.log(relative @ weights).mean() else weights
    return np.asarray(np.where(best < 1e-6, 0.0, best) / best[best >= 1e-6].sum())


def differences(candidates: list[Candidate], best: str) -> pd.DataFrame:
    """Return per-unit differences from the best model: row_id, model, diff (negative where the model is worse)."""
    base = next(c for c in candidates if c.model == best).scores[1]["elpd"].to_numpy(dtype=float)
    parts = [
        pd.DataFrame(
            {
                "row_id": c.pointwise["row_id"],
                "model": c.model,
                "diff": c.pointwise["elpd"].to_numpy(dtype=float) - base,
            }
        )
        for c in candidates
        if c.pointwise is not None and c.model != best and c.status == "ok"
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"row_id": [], "model": [], "diff": []})


def notes(candidates: list[Candidate]) -> list[str]:
    """Return sentences that belong under the table."""
    found = []
    count = sum(c.status == "ok" for c in candidates)
    if count > MANY_CANDIDATES:
        found.append(
            f"The best of {count} candidates looks better than it is: some of its lead is chance (McLatchie & Vehtari 2024)."
        )
    return found


def _matrix(ranked: list[Candidate]) -> Array:
    return np.column_stack([c.pointwise["elpd"].to_numpy(dtype=float) for c in ranked if c.pointwise is not None])


def _row(candidate: Candidate, rank: int | None, best: Candidate | None, weight: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"rank": rank, "model": candidate.model, "status": candidate.status, "note": candidate.note}
    if candidate.loo is None:
        return row
    counts: Mapping[str, int] = candidate.loo["k_counts"]
    k_bad = counts["bad"] + counts["very_bad"]
    row |= {key: candidate.loo[key] for key in ("elpd", "se", "p_loo", "k_max")}
    row |= {"k_bad": k_bad, "diag_elpd": f"{k_bad} k > {candidate.loo['k_threshold']:.2f}" if k_bad else ""}
    if candidate.dic is not None:
        row |= {"dic": candidate.dic["dic"], "p_d": candidate.dic["p_d"]}
        row |= {"dic_p_v": candidate.dic["dic_p_v_dbar"], "p_v": candidate.dic["p_v"]}
    if best is not None and best.pointwise is not None and candidate.pointwise is not None:
        diff = candidate.pointwise["elpd"].to_numpy(dtype=float) - best.pointwise["elpd"].to_numpy(dtype=float)
        row |= {"weight": weight, **_difference(diff, candidate is best)}
    return row


def _difference(diff: Array, same: bool) -> dict[str, Any]:
    """Return the paired difference, its standard error and what is known of their quality."""
    if same:
        return {"elpd_diff": 0.0, "se_diff": 0.0, "diag_diff": "", "p_worse": np.nan}
    total, count = float(diff.sum()), len(diff)
    se = float(np.sqrt(count * np.var(diff, ddof=1)))
    flags = (["N < 100"] if count < 100 else []) + (["|elpd_diff| < 4"] if abs(total) < 4 else [])
    return {
        "elpd_diff": total,
        "se_diff": se,
        "diag_diff": "; ".join(flags),
        "p_worse": float(norm.cdf(-total / se)) if se > 0 else np.nan,
    }


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{13,}", text) else text
