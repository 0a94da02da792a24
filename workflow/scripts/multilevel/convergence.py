"""Convergence record and posterior summary of one fit (Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021; Betancourt 2016).

R-hat is the larger of the rank-normalised split R-hat and its folded version; effective sample sizes are bulk and tail;
every printed quantity has its Monte Carlo standard error. Computed by arviz-stats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from multilevel import mcmc
from multilevel.default_priors import coefficient_name, cor_names, df_name, phi_name, sd_name
from multilevel.design import Design

Array = NDArray[np.float64]

INTERVAL = (0.025, 0.975)
"""Probabilities of the ends of the intervals printed."""

INNER = (0.25, 0.75)
"""Probabilities of the ends of the intervals that figures draw inside those."""

COLUMNS = (
    "parameter", "kind", "group", "level", "effect", "mean", "sd", "median", "lower", "upper", "inner_lower", "inner_upper",
    "mcse_mean", "mcse_lower", "mcse_upper", "ess_bulk", "ess_tail", "r_hat",
)  # fmt: skip


TEXT = ("parameter", "kind", "group", "level", "effect")
"""Columns of a summary that hold names: `storage.read_csv` is to leave them as they are."""


@dataclass(frozen=True)
class Quantity:
    """One scalar with its draws, shape (chains, draws), and where it belongs."""

    parameter: str
    kind: str
    group: str
    level: str
    effect: str
    values: Array


def quantities(posterior: xr.Dataset, design: Design, *, effects: bool = True) -> list[Quantity]:
    """Return every scalar of a posterior under the name people write: population, sd, cor, residual, then group `effects`."""
    out: list[Quantity] = []

    def add(parameter: str, kind: str, values: Any, group: str = "", level: str = "", effect: str = "") -> None:
        out.append(Quantity(parameter, kind, group, level, effect, np.asarray(values, dtype=np.float64)))

    for position, name in enumerate(design.all_coefficients):
        add(coefficient_name(name), "population", posterior["b"][..., position], effect=name)
    if design.thresholds and design.thresholds.equidistant:
        add("delta", "population", posterior["delta"])
    for term in design.group_terms:
        for position, effect in enumerate(term.effects):
            add(sd_name(term, effect), "sd", posterior[f"sd_{term.key}"][..., position], term.label, "", effect)
        if term.correlated:
            for position, name in enumerate(cor_names(term)):
                add(name, "cor", posterior[f"cor_{term.key}"][..., position], term.label)
        if term.dist == "student":
            add(df_name(term), "df", posterior[f"df_{term.key}"], term.label)
        if term.autoregressive:
            add(phi_name(term), "cor", posterior[f"phi_{term.key}"], term.label)
    for name in design.scalars:
        add(name, "residual", posterior[name])
    for position, name in enumerate(design.residuals.parameters if design.residuals else ()):
        add(name, "residual", posterior["residual_correlation"][..., position])
    for term in design.group_terms if effects else ():
        values = posterior[f"r_{term.key}"].to_numpy().astype(np.float64)
        for i, level in enumerate(term.levels):
            for j, effect in enumerate(term.effects):
                add(f"{term.label}[{level}: {effect}]", "group", values[:, :, i, j], term.label, level, effect)
    return out


def summarise(found: list[Quantity]) -> pd.DataFrame:
    """Return one row for each quantity with the columns of `COLUMNS`."""
    rows = [
        {
            "parameter": q.parameter,
            "kind": q.kind,
            "group": q.group,
            "level": q.level,
            "effect": q.effect,
            "mean": q.values.mean(),
            "sd": q.values.std(ddof=1),
            "median": np.median(q.values),
            "lower": np.quantile(q.values, INTERVAL[0]),
            "upper": np.quantile(q.values, INTERVAL[1]),
            "inner_lower": np.quantile(q.values, INNER[0]),
            "inner_upper": np.quantile(q.values, INNER[1]),
            "mcse_mean": mcmc.mcse_mean(q.values),
            "mcse_lower": mcmc.mcse_quantile(q.values, INTERVAL[0]),
            "mcse_upper": mcmc.mcse_quantile(q.values, INTERVAL[1]),
            "ess_bulk": mcmc.ess(q.values, "bulk"),
            "ess_tail": mcmc.ess(q.values, "tail"),
            "r_hat": mcmc.r_hat(q.values),
        }
        for q in found
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def diagnose(summary: pd.DataFrame, stats: xr.Dataset, thresholds: dict[str, Any]) -> dict[str, Any]:
    """Return the convergence record.

    Parameters
    ----------
    summary
        What `summarise` returned.
    stats
        The group sample_stats of posterior.nc.
    thresholds
        The thresholds of config.yaml.

    Returns
    -------
    dict
        ``passed`` and, for each check, its value, threshold, rule, verdict and the place of the worst value. A value
        that is not finite fails its check.
    """
    top = summary[summary["kind"] != "group"]
    group = summary[summary["kind"] == "group"]
    chains, draws = stats.sizes["chain"], stats.sizes["draw"]
    lp = stats["lp"].to_numpy()
    lp_r_hat = mcmc.r_hat(lp)
    checks = [
        _worst(
            "r_hat",
            "Largest R-hat (hyperparameters and log posterior)",
            top,
            "r_hat",
            thresholds["r_hat"],
            "<",
            ("log posterior", lp_r_hat),
        )
    ]
    if len(group):
        share = float((~(group["r_hat"] < thresholds["r_hat"])).mean())
        checks.append(
            _worst(
                "r_hat_group_effects",
                "Largest R-hat (group effects)",
                group,
                "r_hat",
                thresholds["r_hat_group_effects"],
                "<=",
            )
        )
        checks.append(
            _check(
                "r_hat_group_effects_share",
                f"Share of group effects with R-hat of {thresholds['r_hat']} or more",
                share,
                thresholds["r_hat_group_effects_share"],
                "<=",
                "",
            )
        )
    smallest = thresholds["ess_per_chain"] * chains
    checks.append(_worst("ess_bulk", "Smallest bulk effective sample size", summary, "ess_bulk", smallest, ">="))
    checks.append(_worst("ess_tail", "Smallest tail effective sample size", summary, "ess_tail", smallest, ">="))
    divergences = int(stats["diverging"].sum())
    checks.append(_check("divergences", "Divergent transitions", divergences, thresholds["divergences"], "<=", ""))
    bfmi = mcmc.e_bfmi(stats["energy"].to_numpy())
    checks.append(
        _check(
            "e_bfmi",
            "Smallest E-BFMI of a chain",
            float(bfmi.min()),
            thresholds["e_bfmi"],
            ">=",
            f"chain {int(bfmi.argmin()) + 1}",
        )
    )
    deep = float(stats["reached_max_treedepth"].mean())
    checks.append(
        _check(
            "max_treedepth",
            "Share of draws at the maximum tree depth",
            deep,
            thresholds["max_treedepth_share"],
            "<=",
            "",
        )
    )
    return {
        "passed": all(check["passed"] for check in checks),
        "checks": checks,
        "chains": chains,
        "draws": draws,
        "divergences": divergences,
        "failed": [check["label"] for check in checks if not check["passed"]],
    }


def _worst(
    name: str,
    label: str,
    table: pd.DataFrame,
    column: str,
    threshold: float,
    rule: str,
    extra: tuple[str, float] | None = None,
) -> dict[str, Any]:
    """Check the worst value of a column; NaN is worse than any number."""
    values = table[column].to_numpy(dtype=float)
    names = list(table["parameter"])
    if extra:
        values, names = np.append(values, extra[1]), [*names, extra[0]]
    bad = np.isnan(values)
    position = (
        int(np.argmax(bad)) if bad.any() else int(np.argmin(values) if rule.startswith(">") else np.argmax(values))
    )
    return _check(name, label, float(values[position]), threshold, rule, names[position])


def _check(name: str, label: str, value: float, threshold: float, rule: str, where: str) -> dict[str, Any]:
    passed = {"<": value < threshold, "<=": value <= threshold, ">=": value >= threshold}[rule]
    return {
        "name": name,
        "label": label,
        "value": value,
        "threshold": threshold,
        "rule": rule,
        "passed": bool(passed),
        "where": where,
    }


def read(path: Path) -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """Return the posterior, the sampler's statistics and the provenance of posterior.nc."""
    with xr.open_datatree(path, engine="netcdf4") as tree:
        tree.load()
        return (
            tree["posterior"].to_dataset(),
            tree["sample_stats"].to_dataset(),
            {str(k): v for k, v in tree.attrs.items()},
        )
