"""Whether published numbers are reproduced: one rule for all, that no study file can change.

A published number counts as reproduced where ours differs from it by no more than

    half a unit of its last printed digit + 3 sqrt(mcse_published^2 + mcse_ours^2)

A number from a posterior is compared with the same statistic of our posterior; an ML or REML number with our own ML or REML
fit of the same design, which has no Monte Carlo error. Our posterior mean is shown beside an ML or REML number and never
compared with it: the two estimate different things, most of all for variances of few groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multilevel import comparison, gaussian_ml, mcmc
from multilevel.convergence import INTERVAL, Quantity
from multilevel.estimands import Estimand

Array = NDArray[np.float64]

REPRODUCED, DIFFERS, NOT_COMPARABLE = "reproduced", "differs", "not comparable"
NOT_FITTED, FAILED_CHECKS = "not fitted", "failed checks"

COLUMNS = (
    "model", "quantity", "statistic", "estimator", "published", "digits", "mcse_published", "ours", "mcse_ours", "difference",
    "tolerance", "verdict", "reason", "posterior_mean", "posterior_sd", "source", "note",
)  # fmt: skip

POSTERIOR_COLUMNS = (
    "quantity", "mean", "sd", "median", "lower", "upper", "mcse_mean", "mcse_sd", "mcse_median", "mcse_lower", "mcse_upper",
)  # fmt: skip

ROUNDING = 1e-9
"""Share of the tolerance by which binary fractions may miss a decimal one: 0.125 is printed as 0.12 or as 0.13."""


def tolerance(digits: int, mcse_published: float, mcse_ours: float) -> float:
    """Return by how much a number may differ from one printed with so many decimals."""
    return 0.5 * 10.0**-digits + 3.0 * float(np.hypot(mcse_published, mcse_ours))


@dataclass(frozen=True)
class Ours:
    """One number of ours: its Monte Carlo error (NaN where it is not known), or why there is none."""

    value: float = np.nan
    mcse: float = 0.0
    verdict: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Results:
    """What a run knows of one model.

    Parameters
    ----------
    status
        ``ok``, ``failed checks`` or ``not fitted``.
    failed
        What failed, in words.
    posterior
        What `summarise` returned, by quantity; empty where the model was not fitted.
    maxima
        Stored maxima (`gaussian_ml.as_record`) by estimator.
    loo, pointwise, dic
        Its scores, where they are needed.
    others
        Results of the models that differences in elpd are taken from, by name.
    """

    status: str
    failed: str = ""
    posterior: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    maxima: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    loo: Mapping[str, Any] | None = None
    pointwise: pd.DataFrame | None = None
    dic: Mapping[str, Any] | None = None
    others: Mapping[str, Results] = field(default_factory=dict)


def summarise(wanted: Sequence[Estimand], found: Sequence[Quantity]) -> pd.DataFrame:
    """Return every statistic that may be published of some quantities of a posterior, with its Monte Carlo error.

    Parameters
    ----------
    wanted
        The quantities; one with a part that the posterior lacks gets no row.
    found
        The posterior's own quantities, from `convergence.quantities`.

    Returns
    -------
    pandas.DataFrame
        Columns `POSTERIOR_COLUMNS`.
    """
    draws = {q.parameter: q.values for q in found}
    rows = [
        _statistics(estimand.name, np.asarray(estimand.of(draws), dtype=np.float64))
        for estimand in wanted
        if set(estimand.parts) <= set(draws)
    ]
    return pd.DataFrame(rows, columns=list(POSTERIOR_COLUMNS))


def _statistics(name: str, values: Array) -> dict[str, Any]:
    return {
        "quantity": name,
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "median": np.median(values),
        "lower": np.quantile(values, INTERVAL[0]),
        "upper": np.quantile(values, INTERVAL[1]),
        "mcse_mean": mcmc.mcse_mean(values),
        "mcse_sd": mcmc.mcse_sd(values),
        "mcse_median": mcmc.mcse_quantile(values, 0.5),
        "mcse_lower": mcmc.mcse_quantile(values, INTERVAL[0]),
        "mcse_upper": mcmc.mcse_quantile(values, INTERVAL[1]),
    }


def replicate(published: Sequence[Mapping[str, Any]], results: Mapping[str, Results]) -> pd.DataFrame:
    """Return one row for each published number, in the order of the study.

    Parameters
    ----------
    published
        The plan's rows, from `published.resolve`.
    results
        What is known of each model, by name.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. ``ours`` is shown wherever we have the number, also where it is not compared.
    """
    rows = [_row(row, results[row["model"]], Estimand.from_row(row)) for row in published]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(row: Mapping[str, Any], results: Results, estimand: Estimand) -> dict[str, Any]:
    """Return one published number beside ours, with the verdict."""
    ours = _ours(row, results, estimand)
    value = float(row["published"])
    difference = ours.value - value
    limit = tolerance(int(row["digits"]), float(row["mcse"]), ours.mcse)
    verdict, reason = ours.verdict, ours.reason
    if row["reason"]:
        verdict, reason, limit = NOT_COMPARABLE, str(row["reason"]), np.nan
    elif verdict:
        limit = np.nan
    else:
        verdict = REPRODUCED if abs(difference) <= limit * (1.0 + ROUNDING) else DIFFERS
    beside = results.posterior.get(estimand.name, {})
    return {
        **{key: row[key] for key in ("model", "quantity", "statistic", "estimator", "published", "digits")},
        "mcse_published": row["mcse"],
        "ours": ours.value,
        "mcse_ours": ours.mcse if np.isfinite(ours.value) else np.nan,
        "difference": difference,
        "tolerance": limit,
        "verdict": verdict,
        "reason": reason,
        "posterior_mean": beside.get("mean", np.nan),
        "posterior_sd": beside.get("sd", np.nan),
        "source": row["source"],
        "note": row["note"],
    }


def _ours(row: Mapping[str, Any], results: Results, estimand: Estimand) -> Ours:
    """Return our number on the estimand of the published one."""
    if row["estimator"] in results.maxima:
        return _of_maximum(row, results.maxima[row["estimator"]], estimand)
    if row["estimator"] != "posterior":
        return Ours(verdict=NOT_COMPARABLE)
    if results.status == NOT_FITTED:
        return Ours(verdict=NOT_FITTED, reason="the fit did not finish; see its log")
    found = _score(row, results) if estimand.recipe == "criterion" else _of_posterior(row, results, estimand)
    if results.status == FAILED_CHECKS and not found.verdict:
        return Ours(found.value, found.mcse, FAILED_CHECKS, f"failed: {results.failed}")
    return found


def _of_posterior(row: Mapping[str, Any], results: Results, estimand: Estimand) -> Ours:
    statistic = row["statistic"]
    if estimand.name not in results.posterior:
        return Ours(verdict=NOT_COMPARABLE, reason=f"the posterior has no {' or '.join(estimand.parts)}")
    found = results.posterior[estimand.name]
    return Ours(float(found[statistic]), float(found[f"mcse_{statistic}"]))


def _of_maximum(row: Mapping[str, Any], record: Mapping[str, Any], estimand: Estimand) -> Ours:
    """Return our ML or REML estimate, or the standard error of a coefficient."""
    if row["statistic"] == "se":
        if estimand.name not in record["standard_errors"]:
            reason = "the standard error of anything but a coefficient depends on how it is approximated"
            return Ours(verdict=NOT_COMPARABLE, reason=reason)
        value = float(record["standard_errors"][estimand.name])
    else:
        values = gaussian_ml.values_of(record)
        value = values[estimand.name] if estimand.recipe == "criterion" else float(estimand.of(values))
    if not record["converged"]:
        return Ours(value, verdict=NOT_COMPARABLE, reason="our search did not end at a maximum")
    if np.isnan(value):
        return Ours(verdict=DIFFERS, reason="our maximum is on the boundary, where this is not defined")
    return Ours(value)


def _score(row: Mapping[str, Any], results: Results) -> Ours:
    """Return a score of the posterior, or its standard error."""
    name, statistic = row["quantity"], row["statistic"]
    if row["parts"]:
        return _elpd_difference(statistic, results, results.others.get(row["parts"][0]))
    if name in {"elpd_loo", "looic"}:
        if results.loo is None or results.pointwise is None:
            return Ours(verdict=NOT_COMPARABLE, reason="the model has no leave-one-out score")
        factor = 1.0 if name == "elpd_loo" else -2.0
        if statistic == "se":
            return Ours(
                abs(factor) * float(results.loo["se"]), abs(factor) * mcse_of_se(results.pointwise, results.loo)
            )
        return Ours(factor * float(results.loo["elpd"]), abs(factor) * _error_of(results.loo))
    if results.dic is None:
        return Ours(verdict=NOT_COMPARABLE, reason="the model has no deviance information criterion")
    if statistic == "se":
        return Ours(verdict=NOT_COMPARABLE, reason=f"{name} has no standard error")
    key = {"deviance": "dbar"}.get(name, name)
    if key not in results.dic:
        return Ours(verdict=NOT_COMPARABLE, reason=f"{name} is not computed: {results.dic['why_no_p_kl']}")
    return Ours(float(results.dic[key]), float(results.dic[f"mcse_{key}"]))


def _elpd_difference(statistic: str, results: Results, other: Results | None) -> Ours:
    """Return the elpd of a model less that of another, row by row, or its standard error.

    The two fits are independent, so their squared Monte Carlo errors add.
    """
    if other is None or other.loo is None or other.pointwise is None:
        return Ours(verdict=NOT_FITTED, reason="the fit of the other model did not finish; see its log")
    if results.loo is None or results.pointwise is None:
        return Ours(verdict=NOT_COMPARABLE, reason="the model has no leave-one-out score")
    here, there = results.pointwise, other.pointwise
    if len(here) != len(there) or list(here["row_id"]) != list(there["row_id"]):
        return Ours(verdict=NOT_COMPARABLE, reason="the two models were scored on different rows")
    found = comparison.paired((dict(results.loo), here), (dict(other.loo), there))
    if statistic == "se":
        rows = pd.DataFrame(
            {
                "elpd": found.diff,
                "surrogate": 0.0,  # the SE of a difference is that of the sample: no sum over all rows enters it
                "mcse": np.hypot(here["mcse"], there["mcse"]),
            }
        )
        se = float(np.sqrt(max(found.se**2 - (found.sampling or 0.0) ** 2, 0.0)))
        ours = Ours(se, mcse_of_se(rows, results.loo))
    else:
        mcse = np.hypot(results.loo["mcse"], other.loo["mcse"])
        ours = Ours(found.total, float(np.hypot(mcse, found.sampling or 0.0)))
    if other.status == FAILED_CHECKS:
        return Ours(ours.value, ours.mcse, FAILED_CHECKS, f"the other model failed: {other.failed}")
    return ours


def _error_of(loo: Mapping[str, Any]) -> float:
    """Return the Monte Carlo error of a total elpd, with that of sampling rows where a sample of them was scored."""
    return float(np.hypot(loo["mcse"], (loo.get("subsampling") or {}).get("se", 0.0)))


def mcse_of_se(pointwise: pd.DataFrame, loo: Mapping[str, Any]) -> float:
    """Return the Monte Carlo error of the standard error of a total elpd, sqrt(N var(elpd_i)), by the delta method.

    Rows count as independent, as in R's loo. Where a sample of the rows was scored, the error of sampling them is part of
    it: that of a mean of squared deviations, less those of the surrogates, which all rows have.
    """
    elpd, mcse = pointwise["elpd"].to_numpy(dtype=float), pointwise["mcse"].to_numpy(dtype=float)
    sampling = loo.get("subsampling")
    n, count = len(elpd), int(sampling["of"]) if sampling else len(elpd)
    se = float(np.sqrt(count * np.var(elpd, ddof=1)))
    if se == 0:
        return 0.0
    of_draws = count / (n - 1) * (elpd - elpd.mean()) / se * mcse
    of_rows = 0.0
    if sampling:
        surrogate = pointwise["surrogate"].to_numpy(dtype=float)
        squares = np.square(elpd - elpd.mean()) - np.square(surrogate - surrogate.mean())
        of_rows = count / (2.0 * se) * float(np.sqrt((1.0 - n / count) * np.var(squares, ddof=1) / n))
    return float(np.hypot(np.sqrt(np.sum(np.square(of_draws))), of_rows))


def counts(verdicts: Sequence[str]) -> dict[str, int]:
    """Return how many numbers have each verdict, those that none has included."""
    kinds = (REPRODUCED, DIFFERS, NOT_COMPARABLE, FAILED_CHECKS, NOT_FITTED)
    return {kind: sum(v == kind for v in verdicts) for kind in kinds}
