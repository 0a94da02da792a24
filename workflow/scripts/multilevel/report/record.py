"""The record of a study: every small file of a finished run, read into one dictionary of plain JSON types.

A file that is missing is a fact to show ("not fitted"); a file that cannot be read is an error.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from multilevel.report.markdown import clean
from multilevel.report.numbers import as_float
from multilevel.rules import in_path

Record = dict[str, Any]

OK, FAILED, NOT_FITTED = "ok", "failed checks", "not fitted"

STUDY_FIGURES = (
    "missingness",
    "data_response_by_group",
    "group_sizes",
    "forest",
    "elpd_differences",
    "pointwise",
    "predictive_density",
    "predictive_statistics",
    "predictive_quantiles",
    "group_statistics",
)
MODEL_FIGURES = (
    "caterpillar",
    "shrinkage",
    "shrinkage_plane",
    "trajectories",
    "predictive_by_group",
    "rootogram",
    "calibration",
    "pareto_k",
    "pairs",
    "trace",
    "ranks",
    "energy",
)

_CHECK_WORDS = {
    "r_hat": "R-hat",
    "r_hat_group_effects": "R-hat of group effects",
    "r_hat_group_effects_share": "share of group effects with a high R-hat",
    "ess_bulk": "bulk ESS",
    "ess_tail": "tail ESS",
    "divergences": "divergences",
    "e_bfmi": "E-BFMI",
    "max_treedepth": "tree depth",
}
_TEXT_COLUMNS = frozenset({
    "parameter", "kind", "group", "level", "effect", "model", "status", "note", "statistic", "diag_diff", "diag_elpd",
    "column", "quantity", "estimator", "published", "verdict", "reason", "source",
})  # fmt: skip


class RecordError(ValueError):
    """A file of the study is there but cannot be read; the message names it."""


def build_record(
    study_dir: Path, plan: Mapping[str, Any], missing: Sequence[str] = (), figures: Iterable[str] | None = None
) -> Record:
    """Read the small files of a finished study.

    Parameters
    ----------
    study_dir
        ``results/<study>``.
    plan
        The resolved study: ``study``, ``title``, ``question``, ``citation``, ``data``, ``models``, ``comparisons``,
        ``seed``, ``sampler``, ``warnings``; ``aliases`` where several names are one model.
    missing
        What the workflow could not make: names of models, or paths relative to `study_dir`.
    figures
        Paths of the figures that belong to the study as it is now, relative to `study_dir`; those that are there if left
        out. A figure of a grouping that no model has any longer stays in its folder, and must not be shown.

    Raises
    ------
    RecordError
        When a file is there but is not the JSON or CSV that its name promises.
    """
    study_dir = Path(study_dir)
    comparisons = plan.get("comparisons") or {}
    known = None if figures is None else frozenset(figures)
    return {
        **{key: plan.get(key) or "" for key in ("study", "title", "question", "citation", "description")},
        "seed": plan.get("seed"),
        "sampler": dict(plan.get("sampler") or {}),
        "plan_data": plan.get("data") or {},
        "warnings": [str(warning) for warning in plan.get("warnings") or []],
        "missing": [str(item) for item in missing],
        "data": _read_json(study_dir / "data_summary.json"),
        "missingness": _read_csv(study_dir / "figures" / "missingness.csv"),
        "models": [
            _read_model(study_dir, name, model or {}, _is_missing(name, missing), known)
            for name, model in (plan.get("models") or {}).items()
        ],
        "comparisons": [
            _read_comparison(study_dir, name, comparison or {}, unit)
            for name, comparison in comparisons.items()
            for unit in (comparison or {}).get("leave_out") or ["observation"]
        ],
        "aliases": {str(name): str(kept) for name, kept in (plan.get("aliases") or {}).items()},
        "published": int(plan.get("published") or 0),
        "replication": _read_csv(study_dir / "replication.csv"),
        "figures": _find_figures(study_dir, "figures", STUDY_FIGURES, known),
        "provenance": _read_json(study_dir / "provenance.json"),
    }


def label_of(name: str, label: str | None = None) -> str:
    """Return a model's label, or its name made readable: ``varying_slope`` gives ``Varying slope``."""
    if label and clean(label):
        return str(label)
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return name.replace("_", " ").capitalize()
    return name


def find_model(record: Record, name: str) -> dict[str, Any]:
    """Return a model of the record by name; a name that no candidate has gives a model that is not fitted."""
    for model in record["models"]:
        if model["name"] == name:
            return dict(model)
    return {"name": name, "label": label_of(name), "status": NOT_FITTED, "failed": [], "scores": {}, "summary": []}


def fitted(record: Record) -> list[dict[str, Any]]:
    """Return the models that have a fit, whether or not it passed."""
    return [model for model in record["models"] if model["status"] != NOT_FITTED]


def _is_missing(name: str, missing: Sequence[str]) -> bool:
    marks = {name, f"models/{name}", f"models/{name}/posterior.nc", f"models/{name}/diagnostics.json"}
    return any(str(item).removeprefix("./") in marks for item in missing)


def _read_model(
    study_dir: Path, name: str, model: Mapping[str, Any], is_missing: bool, known: frozenset[str] | None
) -> dict[str, Any]:
    folder = Path("models") / name
    diagnostics = None if is_missing else _read_json(study_dir / folder / "diagnostics.json")
    entry = {
        "name": name,
        "label": label_of(name, model.get("label")),
        "description": model.get("description") or "",
        "formula": ", ".join(_formulas(model)),
        "formulas": _formulas(model),
        "family": _family(model),
        "curve": list(model.get("nonlinear") or {}),
        "priors": model.get("priors") or {},
        "method": model.get("method") or "",
        "why_sampled": model.get("why_sampled") or "",
        "folder": folder.as_posix(),
        "equations": _read_json(study_dir / folder / "equations.json"),
        "prior_predictive": _read_json(study_dir / folder / "prior_predictive.json"),
        "prior_table": _read_json(study_dir / folder / "priors.json") or [],
    }
    if diagnostics is None:
        return {**entry, "status": NOT_FITTED, "failed": [], "diagnostics": None, **_nothing_fitted()}
    failed = [_check_word(check) for check in diagnostics.get("checks", []) if not check.get("passed")]
    if not failed and not diagnostics.get("passed"):
        failed = ["marked as failed without naming a check"]
    return {
        **entry,
        "status": FAILED if failed else OK,
        "failed": failed,
        "diagnostics": diagnostics,
        "summary": _read_csv(study_dir / folder / "summary.csv"),
        "checks": _read_csv(study_dir / folder / "checks.csv"),
        "by_group": _read_csv(study_dir / folder / "checks_by_group.csv"),
        "quantiles": _read_csv(study_dir / folder / "checks_quantiles.csv"),
        "coverage": _read_csv(study_dir / folder / "checks_coverage.csv"),
        "scores": {path.stem: _read_json(path) for path in sorted((study_dir / folder / "scores").glob("*.json"))},
        "figures": _find_figures(study_dir, f"{folder.as_posix()}/figures", MODEL_FIGURES, known),
    }


def _formulas(model: Mapping[str, Any]) -> list[str]:
    """Return the formula of the response, those of other parameters and the structure of the residuals."""
    further = {**(model.get("nonlinear") or {}), **(model.get("parameters") or {})}
    others = (f"{parameter} ~ {text}" for parameter, text in further.items())
    correlated = [f"residuals {text}"] if (text := model.get("residuals")) else []
    return [str(model.get("formula") or ""), *others, *correlated]


def _family(model: Mapping[str, Any]) -> str:
    """Return the family, with its link where that is not the identity, and its thresholds where they are not free."""
    family, link = model.get("family") or "", model.get("link") or "identity"
    notes = ["" if link == "identity" else f"{link} link", f"{t} thresholds" if (t := model.get("thresholds")) else ""]
    told = ", ".join(filter(None, notes))
    return f"{family} ({told})" if told else str(family)


def _nothing_fitted() -> dict[str, Any]:
    return {"summary": [], "checks": [], "by_group": [], "quantiles": [], "coverage": [], "scores": {}, "figures": {}}


def _check_word(check: Mapping[str, Any]) -> str:
    name = str(check.get("name", ""))
    return _CHECK_WORDS.get(name) or str(check.get("label") or name or "unnamed check")


def _read_comparison(study_dir: Path, name: str, comparison: Mapping[str, Any], unit: str) -> dict[str, Any]:
    file = f"{name}.{in_path(unit)}"
    path = Path("comparisons") / f"{file}.csv"
    rows = _read_csv(study_dir / path)
    described = _read_json(study_dir / "comparisons" / f"{file}.json") or {}
    return {
        "name": name,
        "unit": unit,
        "about": f"{name}:{in_path(unit).replace('.', ':')}",  # as the names of figures say it
        "notes": [str(note) for note in described.get("notes") or []],
        "mixture": described.get("mixture") or {},
        "stacked": _read_json(study_dir / "comparisons" / f"{file}.stacked.json") or {},
        "models": list(comparison.get("models") or []),
        "reference": comparison.get("reference"),
        "path": path.as_posix(),
        "made": bool(rows),
        "rows": rows,
    }


def _find_figures(
    study_dir: Path, folder: str, names: Sequence[str], known: frozenset[str] | None
) -> dict[str, list[dict[str, str]]]:
    """Return the figures of a folder by name, each with what it is about.

    ``group_sizes.school.class.svg`` is about the grouping ``school:class``: a file's name holds no colon.
    """
    found: dict[str, list[dict[str, str]]] = {}
    for name in names:
        paths = [path for pattern in (f"{name}.svg", f"{name}.*.svg") for path in (study_dir / folder).glob(pattern)]
        about = {f"{folder}/{path.name}": path.stem.removeprefix(name).lstrip(".").replace(".", ":") for path in paths}
        there = [path for path in sorted(about, key=about.__getitem__) if known is None or path in known]
        chosen = [{"path": path, "about": about[path]} for path in there]
        if chosen:
            found[name] = chosen
    return found


def _read_json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from error


def _read_csv(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path} is not CSV: {error}") from error
    if any(None in row or None in row.values() for row in rows):
        raise RecordError(f"{path} has rows with more or fewer cells than its header")
    return [
        {key: value if key in _TEXT_COLUMNS else _number_or_text(value) for key, value in row.items()} for row in rows
    ]


def _number_or_text(value: str) -> float | str | None:
    number = as_float(value)
    if number is not None:
        return number
    return None if value.strip().lower() in {"", "nan", "na", "none"} else value
