"""What the rules take from a plan: small slices, as text that Snakemake can compare with the last run's.

Standard library only: the Snakefile imports this on every run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from multilevel import environments
from multilevel.names import OBSERVATION, time_of
from multilevel.provenance import STACKS, identity_digest

FUTURE = "future."
"""What the name of a unit in files starts with where the future is left out."""

PREVIOUS = "posterior.previous.nc"
"""The draws of a fit that a run is about to make anew, kept until the run went well."""

SPEC = (
    "formula", "family", "link", "thresholds", "nonlinear", "start", "parameters", "residuals", "priors", "preset", "centred",
)  # fmt: skip
"""Keys of a model that decide its draws, given the data; some stand only where unusual."""


OTHER_FILES = ("diagnostics.json", "scores/loo.observation.json", "scores/loo.observation.parquet")
"""What a difference in elpd needs of the other model."""

SCORE_FILES = ("loo.observation.json", "loo.observation.parquet", "dic.conditional.json")
"""Scores that a published number may be compared with."""


def as_json(value: Any) -> str:
    """Return plain values as JSON text that is the same for equal values."""
    return json.dumps(value, sort_keys=True)


def locked(path: Path) -> dict[str, str]:
    """Return the locked version of every package."""
    return environments.locked_versions(path)


def model_spec(model: dict[str, Any]) -> dict[str, Any]:
    """Return what decides a model's design, priors and likelihood."""
    return {key: model[key] for key in SPEC if key in model}


def identity(plan: dict[str, Any], model: str, versions: dict[str, str]) -> dict[str, Any]:
    """Return what decides a fit's draws: model, way of fitting, data, sampler, seed, and the versions of what samples."""
    entry = plan["models"][model]
    return {
        "model": model_spec(entry),
        "method": entry["method"],
        "fingerprint": entry["fingerprint"],
        "sampler": plan["sampler"],
        "seed": entry["seed"],
        "stack": {name: versions[name] for name in STACKS[entry["method"]]},
    }


def fit_modules(model: dict[str, Any]) -> list[str]:
    """Return the modules that the fit of a model loads by name."""
    loaded = [f"families.{model['family']}", f"methods.{model['method']}"]
    loaded += [f"responses.{model['family']}"] if model["method"] == "sampled" else []
    return [f"multilevel.{name}" for name in loaded]


def responses(plan: dict[str, Any]) -> list[str]:
    """Return the responses of a study's models, in order of first use."""
    return list(dict.fromkeys(m["columns"][0] for m in plan["models"].values()))


def groups(plan: dict[str, Any]) -> list[str]:
    """Return the grouping columns of a study's models, in order of first use."""
    return list(dict.fromkeys(g for m in plan["models"].values() for g in m["groups"]))


def in_path(group: str) -> str:
    """Return how what is left out stands in the name of a file: ``school.class`` for ``school:class``, ``future.day``."""
    return f"{FUTURE}{column}" if (column := time_of(group)) else group.replace(":", ".")


def grouping(plan: dict[str, Any], name: str) -> str:
    """Return the grouping of a study that stands in the name of a file.

    Raises
    ------
    KeyError
        When the study has none of that name.
    """
    several: list[str] = [g for m in plan["models"].values() for g in m.get("memberships", [])]
    for group in [*groups(plan), *several]:
        if in_path(group) == name:
            return group
    raise KeyError(name)


def left_out(plan: dict[str, Any], unit: str) -> dict[str, Any]:
    """Return what is left out, by its name in files: its ``group``, ``columns`` and their ``fingerprint``.

    Where it is the future, there are besides the ``settings`` of the score and how many ``times`` are predicted.
    """
    return dict(plan["left_out"][unit])


def units(plans: Iterable[dict[str, Any]]) -> list[str]:
    """Return everything that some study leaves out, as it stands in the names of files."""
    found = (unit for plan in plans for unit in plan.get("left_out", {}))
    return list(dict.fromkeys([OBSERVATION, *found]))


def score(unit: str) -> str:
    """Return the score of leaving a unit out, as its files are called: ``loo.observation``, ``logo.county``, ``lfo.day``."""
    if unit.startswith(FUTURE):
        return f"lfo.{unit.removeprefix(FUTURE)}"
    return f"loo.{unit}" if unit == OBSERVATION else f"logo.{unit}"


def times(plans: Iterable[dict[str, Any]]) -> list[str]:
    """Return every column of time whose future some study leaves out."""
    return [unit.removeprefix(FUTURE) for unit in units(plans) if unit.startswith(FUTURE)]


def future_runtime(plan: dict[str, Any], model: str, time: str) -> int:
    """Return the minutes that leaving the future out may take: as many fits as may be needed, each quicker than the first."""
    found = left_out(plan, f"{FUTURE}{time}")
    fits = min(found["times"], found["settings"]["most_refits"])
    return fit_runtime(plan, model) * int(1 + -(-fits // 3))


def refit_modules(model: dict[str, Any]) -> list[str]:
    """Return the modules that fits of a model to some of its rows load by name.

    Where effects are integrated out, rows that say nothing of some coefficient are sampled.
    """
    return list(dict.fromkeys([*fit_modules(model), *fit_modules({**model, "method": "sampled"})]))


def rankings(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each comparison with each unit that it leaves out, as they stand in the names of files."""
    return [(name, in_path(unit)) for name, c in plan["comparisons"].items() for unit in c["leave_out"]]


def scores(plan: dict[str, Any], model: str) -> list[str]:
    """Return the scores of a model, as their files are called."""
    compared = (c for c in plan["comparisons"].values() if model in c["models"])
    grouped = [score(in_path(unit)) for c in compared for unit in c["leave_out"]]
    return list(dict.fromkeys([score(OBSERVATION), *grouped, "dic.conditional"]))


def seed(plan: dict[str, Any], *names: str) -> int:
    """Return a seed for something of a study besides its fits, a hash of its identity."""
    text = "\x1f".join([str(plan["seed"]), plan["study"], *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def used(plan: dict[str, Any]) -> list[str]:
    """Return every column that some model uses, in order of first use."""
    return list(dict.fromkeys(c for m in plan["models"].values() for c in m["columns"]))


def quantity(plan: dict[str, Any], model: str) -> str:
    """Return how the response of a model is named on an axis: its label, with its unit."""
    return _named(plan, plan["models"][model]["columns"][0])


def quantities(plan: dict[str, Any], models: list[str]) -> str:
    """Return how the response of each of some models is named, as JSON."""
    return as_json({name: quantity(plan, name) for name in models})


def named_responses(plan: dict[str, Any]) -> str:
    """Return how each response of a study is named, as JSON; the order is kept, because figures follow it."""
    return json.dumps({response: _named(plan, response) for response in responses(plan)})


def _named(plan: dict[str, Any], response: str) -> str:
    label, unit = plan["labels"].get(response, response), plan["units"].get(response, "")
    return f"{label} ({unit})" if unit and unit not in label else label


def published_of(plan: dict[str, Any], model: str) -> list[dict[str, Any]]:
    """Return the parameters of a model that have published numbers, in the order of the study."""
    rows = [row for row in plan["published"] if row["model"] == model and row["recipe"] != "criterion"]
    return list(
        {row["quantity"]: {key: row[key] for key in ("quantity", "recipe", "parts", "scale")} for row in rows}.values()
    )


def estimators_of(plan: dict[str, Any], model: str) -> list[str]:
    """Return the estimators, ML, REML and quadrature, that a model is fitted by to be compared with published numbers."""
    rows = [row for row in plan["published"] if row["model"] == model and not row["reason"]]
    return [e for e in ("ml", "reml", "quadrature") if any(row["estimator"] == e for row in rows)]


def replicated_files(plan: dict[str, Any], fitted: list[str]) -> list[str]:
    """Return what the published numbers are compared with, as paths below the study's folder."""
    found: list[str] = []
    for model in plan["models"]:
        rows = [row for row in plan["published"] if row["model"] == model]
        names = [f"maximum.{e}.json" for e in estimators_of(plan, model)]
        if rows and model in fitted:
            names += ["diagnostics.json", *(["published.csv"] if published_of(plan, model) else [])]
            if any(row["recipe"] == "criterion" and row["estimator"] == "posterior" for row in rows):
                names += [f"scores/{name}" for name in SCORE_FILES]
        found += [f"models/{model}/{name}" for name in names]
        if model in fitted:
            others = [name for name in others_of(rows) if name in fitted]
            found += [f"models/{other}/{name}" for other in others for name in OTHER_FILES]
    return list(dict.fromkeys(found))


def others_of(rows: list[dict[str, Any]]) -> list[str]:
    """Return the models that published differences in elpd are taken from."""
    return list(dict.fromkeys(part for row in rows if row["recipe"] == "criterion" for part in row["parts"]))


def labels(plan: dict[str, Any], models: list[str]) -> str:
    """Return the labels of some models, as JSON; the order is kept, because figures follow it."""
    return json.dumps({name: plan["models"][name]["label"] for name in models})


def data(plan: dict[str, Any]) -> str:
    """Return what is done to the data, as JSON; the order of steps is kept, because a derived column may use earlier ones."""
    return json.dumps(plan["data"])


def raw_tables(plan: dict[str, Any], root: Path) -> list[str]:
    """Return every file that the data section reads: raw tables and the data packages beside them, as the study names them."""
    found: list[str] = []
    known = plan["data"].get("covariances", {}).values()
    kinds = [entry[kind] for entry in known for kind in ("pedigree", "phylogeny", "matrix") if entry.get(kind)]
    for name in [plan["data"]["table"], *(join["table"] for join in plan["data"].get("join", [])), *kinds]:
        package = Path(name).parent / "datapackage.json"
        found += [name, *([str(package)] if (root / package).is_file() else [])]
    return list(dict.fromkeys(found))


def fit_memory(plan: dict[str, Any], model: str) -> int:
    """Return the MB that a fit needs.

    A base for the sampler and, where PyMC is used, the compiler; the design; and, for each draw, every parameter twice in
    float64 (the sampler's trace and the posterior made of it), or effects drawn afterwards thrice in float32.
    """
    size, sampler = plan["models"][model]["size"], plan["sampler"]
    draws = sampler["chains"] * sampler["draws"]
    design = 8 * size["rows"] * (size["coefficients"] + 10)
    if plan["models"][model]["method"] == "integrated":
        products = 8 * size["effects"] * (size["coefficients"] + 10)
        return int(600 + (12 * size["effects"] * draws + 6 * design + 4 * sampler["chains"] * products) / 1e6)
    parameters = size["coefficients"] + 3 * size["effects"] + 20
    return int(1000 + (16 * parameters * draws + 4 * design) / 1e6)


def fit_threads(plan: dict[str, Any], model: str) -> int:
    """Return the threads of a fit.

    Compiling takes one thread and, for small data, most of the time: such fits run side by side on one thread each. From
    about 200,000 values in the design on, sampling dominates and every chain gets its thread; with the effects integrated
    out, from about as many products in the gradient on.
    """
    size, chains = plan["models"][model]["size"], int(plan["sampler"]["chains"])
    if plan["models"][model]["method"] == "integrated":
        return 1 if _products(size) < 200_000 else chains
    return 1 if size["rows"] * (size["coefficients"] + 3) < 200_000 else chains


def fit_runtime(plan: dict[str, Any], model: str) -> int:
    """Return the minutes that a fit may take: five for imports and compiling, then by draws and size, generously."""
    size, sampler = plan["models"][model]["size"], plan["sampler"]
    draws = sampler["chains"] * (sampler["draws"] + sampler["tune"])
    if plan["models"][model]["method"] == "integrated":
        return int(10 + draws * 5 * _products(size) / 1e9)
    work = draws * (size["rows"] * (size["coefficients"] + 3) + 20 * size["effects"])
    return int(10 + work / 1e9)


def _products(size: dict[str, int]) -> int:
    """Return about how many products a gradient takes with the effects integrated out."""
    return int((size["effects"] + size["coefficients"]) * (size["coefficients"] + 4) ** 2)


def pins(versions: dict[str, str], *names: str) -> str:
    """Return the locked versions of some packages as text."""
    return " ".join(f"{name}={versions[name]}" for name in names)


def words(plan: dict[str, Any]) -> str:
    """Return the study's units and labels of columns, as JSON."""
    return as_json({"units": plan["units"], "labels": plan["labels"]})


def study_figures(plan: dict[str, Any], fitted: list[str]) -> list[str]:
    """Return the figures of a study, without suffix, relative to its folder."""
    names = ["missingness"]
    for group in map(in_path, groups(plan)):
        names += [f"data_response_by_group.{group}", f"group_sizes.{group}"]
        names += [f"group_statistics.{group}"] if fitted else []
    for comparison, unit in rankings(plan):
        names += [f"elpd_differences.{comparison}.{unit}", f"pointwise.{comparison}.{unit}"]
    if fitted:
        names += ["forest", "predictive_density", "predictive_statistics", "predictive_quantiles"]
    return [f"figures/{name}" for name in names]


def trajectories(plan: dict[str, Any]) -> str:
    """Return who is followed over time, how many are drawn, and what time and subjects are called, as JSON."""
    found = plan["trajectories"]
    subject = plan["labels"].get(found["subject"], found["subject"])
    return as_json({**found, "axis": _named(plan, found["time"]), "name": subject})


def model_figures(plan: dict[str, Any], model: str) -> list[str]:
    """Return the figures of a fit, without suffix, relative to the study's folder."""
    entry = plan["models"][model]
    names = ["trace", "ranks", "pairs", "energy", "pareto_k", "predictive_by_group", *entry["suited"]]
    for group in [*entry["groups"], *entry.get("memberships", [])]:
        names += [f"caterpillar.{in_path(group)}", f"shrinkage.{in_path(group)}"]
    names += [f"shrinkage_plane.{in_path(group)}" for group in entry["planes"]]
    names += ["trajectories"] if plan.get("trajectories") else []
    return [f"models/{model}/figures/{name}" for name in names]


def report_plan(plan: dict[str, Any]) -> str:
    """Return what the report says of the plan, as JSON; the order of models and comparisons is kept."""
    kept = (
        "study",
        "title",
        "question",
        "citation",
        "description",
        "seed",
        "sampler",
        "data",
        "comparisons",
        "warnings",
    )
    told = (
        "formula",
        "family",
        "link",
        "thresholds",
        "nonlinear",
        "parameters",
        "residuals",
        "priors",
        "label",
        "description",
        "method",
        "why_sampled",
    )
    models = {name: {key: model[key] for key in told if key in model} for name, model in plan["models"].items()}
    further = {"aliases": plan["aliases"]} if plan.get("aliases") else {}
    further |= {"published": len(plan["published"])} if plan["published"] else {}
    return json.dumps({**{key: plan[key] for key in kept}, **further, "models": models})


def without_fit(plans: dict[str, dict[str, Any]], versions: dict[str, str], results: Path) -> list[str]:
    """Return ``study/model`` of every model whose stored fit is absent or is of something else than is planned now."""
    found = []
    for name, plan in plans.items():
        for model in plan["models"]:
            try:
                record = json.loads((results / name / "models" / model / "fit.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                record = {}
            if record.get("digest") != identity_digest(identity(plan, model, versions)):
                found.append(f"{name}/{model}")
    return found


def keep_previous(posteriors: list[str]) -> None:
    """Give the draws of each fit a second name, ``posterior.previous.nc``, which takes no room and which nothing removes."""
    for path in map(Path, posteriors):
        if path.is_file():
            previous = path.with_name(PREVIOUS)
            previous.unlink(missing_ok=True)
            with suppress(OSError):  # a file system without hard links: a failed refit loses the draws before it
                os.link(path, previous)


def drop_previous(posteriors: list[str]) -> None:
    """Remove what `keep_previous` kept."""
    for path in map(Path, posteriors):
        path.with_name(PREVIOUS).unlink(missing_ok=True)


def tell_failed(failed: list[str], path: Path) -> None:
    """After a failed run, leave the fits that are missing where `multilevel run` looks, and say how to go on without them."""
    path.unlink(missing_ok=True)
    if failed:
        path.write_text(json.dumps(failed), encoding="utf-8")
        print(
            f"No finished fit of {', '.join(failed)}; their logs say how far they got. To render the reports without them:"
        )
        print(f"  snakemake --cores 2 --config 'not_fitted={json.dumps(failed)}'")
