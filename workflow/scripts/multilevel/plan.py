"""From a study file to the frozen plan: every model resolved, every error collected, before anything is fitted.

Needs no PyMC. `study` keeps the result, so that an unchanged study is planned once.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from pathlib import Path
from typing import Any

from multilevel import candidates, formula, preflight, preparation, priors, schema, strict_yaml
from multilevel.dataset import Dataset
from multilevel.default_priors import resolve, targets
from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean
from multilevel.expressions import parse as parse_expression
from multilevel.names import NAME_PATTERN, RESERVED
from multilevel.rules import SPEC


def read_config(path: Path, name: str = "") -> dict[str, Any]:
    """Read and check config.yaml, which messages call `name`; its path if left out.

    Raises
    ------
    StudyError
        With every problem of the file.
    """
    content, lines = strict_yaml.read(path, name)
    config, problems = schema.validate(schema.Config, content, lines)
    if problems:
        raise StudyError(problems, name or str(path))
    return dict(config.model_dump())


def make(path: Path, config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Make the plan of one study.

    Parameters
    ----------
    path
        The study file.
    config
        What `read_config` returned.
    root
        The project folder that paths in the study are relative to.

    Returns
    -------
    dict
        Plain values; see the keys at the end of this function.

    Raises
    ------
    StudyError
        With every problem found: those of the file first; those that need the data once the file is sound.
    """
    source = str(path)
    content, lines = strict_yaml.read(root / path, source)
    study, problems = schema.validate(schema.Study, content, lines)
    if not re.fullmatch(NAME_PATTERN, path.stem):
        problems.append(
            Problem(
                "", f"'{path.stem}' is no valid name of a study", "use letters, digits and _, starting with a letter"
            )
        )
    if problems:
        raise StudyError(problems, source)
    data = _without_defaults(study.data.model_dump())
    models, problems = candidates.resolve(study)
    comparisons, more = _comparisons(study)
    problems += more + _expressions(data)
    if problems:
        raise StudyError(problems, source)
    parsed = {name: formula.of_model(model) for name, model in models.items()}
    used = {name: set().union(*(part.variables() for part in parts)) for name, parts in parsed.items()}
    try:
        dataset = preparation.prepare(data, set().union(*used.values()), root)
    except StudyError as error:
        raise StudyError(error.problems, source) from None
    warnings = list(dataset.summary["warnings"])
    for name, model in models.items():
        more, notes = _against_data(name, model, used[name], study.models[name], dataset)
        problems += more
        warnings += notes
    problems = problems or _unequal_responses(comparisons, models) + _unused_priors(study.defaults.priors, models)
    if problems:
        raise StudyError(_shared(problems), source)
    missing = dataset.summary["missing"]
    for name, model in models.items():
        first = parsed[name][0]
        model["columns"] = [*dict.fromkeys([first.response, *sorted(used[name])])]
        model["groups"] = list(dict.fromkeys(t.group for part in parsed[name] for t in part.group_terms))
        residuals = model.pop("has_residuals")
        model["varying_intercept"] = residuals and any(formula.has_intercept(t.effects) for t in first.group_terms)
        model["fingerprint"] = dataset.fingerprint(used[name])
        model["response_fingerprint"] = dataset.digests[first.response or ""]
        model["seed"] = seed(study.seed, path.stem, name)
    warnings += _same_models(models)
    sampler = {**config["sampler"], **{k: v for k, v in study.sampler.model_dump().items() if v is not None}}
    needed = {source for columns in used.values() for c in columns for source in preparation.sources(data, c)}
    return {
        "study": path.stem,
        "file": source,
        "title": study.title,
        "question": study.question or "",
        "citation": study.citation or "",
        "description": study.description or "",
        "seed": study.seed,
        "sampler": sampler,
        "thresholds": config["thresholds"],
        "on_failure": config["on_failure"],
        "data": {key: value for key, value in data.items() if key not in {"units", "labels"}},
        "units": data.get("units", {}),
        "labels": data.get("labels", {}),
        "drop_missing_in": sorted(column for column in needed if missing.get(column)),
        "rows": len(dataset.frame),
        "rows_fingerprint": dataset.digests["row_id"],
        "models": models,
        "comparisons": comparisons,
        "warnings": warnings,
    }


def seed(study_seed: int, study: str, model: str) -> int:
    """Return the seed of one fit, a hash of its identity, so that adding a model changes no other's draws."""
    text = f"{study_seed}\x1f{study}\x1f{model}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _comparisons(study: schema.Study) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Expand wildcards and check names; without any comparison, all models are compared."""
    known = list(study.models)
    if not study.comparisons:
        return (
            {"main": {"models": known, "reference": None, "leave_out": ["observation"]}} if len(known) > 1 else {}
        ), []
    found: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for name, comparison in study.comparisons.items():
        where = f"comparisons.{name}"
        chosen: list[str] = []
        whole = True  # where a name is wrong, what else seems wrong may follow from that
        for pattern in comparison.models:
            matched = [m for m in known if fnmatch.fnmatchcase(m, pattern)]
            if not matched:
                problems.append(Problem(f"{where}.models", f"unknown model '{pattern}'", did_you_mean(pattern, known)))
                whole = False
            chosen += [m for m in matched if m not in chosen]
        if comparison.reference is not None and comparison.reference not in known:
            problems.append(
                Problem(
                    f"{where}.reference",
                    f"unknown model '{comparison.reference}'",
                    did_you_mean(comparison.reference, known),
                )
            )
        elif whole and comparison.reference is not None and comparison.reference not in chosen:
            problems.append(Problem(f"{where}.reference", f"'{comparison.reference}' is not among the models compared"))
        if whole and len(chosen) == 1:
            problems.append(
                Problem(f"{where}.models", f"only '{chosen[0]}' is left to compare", "name at least two models")
            )
        found[name] = {"models": chosen, "reference": comparison.reference, "leave_out": list(comparison.leave_out)}
    return found, problems


def _unequal_responses(comparisons: dict[str, dict[str, Any]], models: dict[str, dict[str, Any]]) -> list[Problem]:
    """Refuse a comparison of models of different responses, or of rows scored differently, before anything is fitted."""
    problems = []
    for name, comparison in comparisons.items():
        parsed = {m: formula.parse(models[m]["formula"]) for m in comparison["models"] if m in models}
        first = next(iter(parsed), "")
        for model, found in parsed.items():
            if found.response != parsed[first].response:
                message = (
                    f"'{model}' models '{found.response}' and '{first}' models '{parsed[first].response}': "
                    "scores of different responses cannot be compared"
                )
                problems.append(Problem(f"comparisons.{name}.models", message, "compare models of one response"))
                break
            own, other = (_scored(f) for f in (found, parsed[first]))
            if own != other:
                message = (
                    f"'{model}' counts rows {own or 'once each'} and '{first}' {other or 'once each'}: "
                    "such scores cannot be compared"
                )
                hint = "give all models of a comparison the same weights, trials and censoring"
                problems.append(Problem(f"comparisons.{name}.models", message, hint))
                break
    return problems


def _scored(parsed: formula.Formula) -> str:
    """Return what decides how a row is scored besides its response, as written; known standard errors do not."""
    terms = [str(t) for t in parsed.response_terms if t.name != "se"]
    return f"by {' and '.join(terms)}" if terms else ""


def _expressions(data: dict[str, Any]) -> list[Problem]:
    """Check `derive` and `filter` as texts."""
    texts = [(f"data.derive.{name}", text) for name, text in data.get("derive", {}).items()]
    texts += [("data.filter", data["filter"])] if data.get("filter") else []
    problems = []
    for where, text in texts:
        try:
            parse_expression(text)
        except FormulaError as error:
            problems.append(Problem(where, str(error)))
    return problems


def _against_data(
    name: str, model: dict[str, Any], used: set[str], written: schema.Model, dataset: Dataset
) -> tuple[list[Problem], list[str]]:
    """Check one model against the data: columns, design, the targets of its priors."""
    available = [str(c) for c in dataset.frame.columns]
    unknown = sorted(used - set(available))
    if unknown:
        return [
            Problem(f"models.{name}.formula", f"unknown column '{column}'", did_you_mean(column, available))
            for column in unknown
        ], []
    if taken := sorted(c for c in used if c in RESERVED or c.endswith("_Intercept")):
        return [
            Problem(
                f"models.{name}.formula",
                f"no column can be called '{column}' in a model",
                "give it another name under data.rename",
            )
            for column in taken
        ], []
    design, problems, notes = preflight.check(name, model, dataset)
    if design is None or problems:
        return problems, notes
    addressable = targets(design)
    known = {priors.normalise(t) for t in addressable}
    for target in written.priors:
        if priors.normalise(target) not in known:
            problems.append(
                Problem(
                    f"models.{name}.priors.{target}",
                    f"the model has no parameter '{target}'",
                    did_you_mean(target, addressable),
                )
            )
    # A default prior of the study may name a parameter that only some models have; one that none has is refused later.
    model["priors"] = {k: v for k, v in model["priors"].items() if k in known}
    try:
        resolve(design, model["priors"])
    except FormulaError as error:
        return [*problems, Problem(f"models.{name}.priors", str(error))], notes
    # What a group's own rows say is told on the scale of the response, with the residual sd.
    model["has_residuals"] = design.link == "identity" and "sigma" in design.scalars
    model["size"] = {
        "rows": len(design.y),
        "coefficients": len(design.all_coefficients),
        "effects": int(sum(len(t.levels) * len(t.effects) for t in design.group_terms)),
    }
    return problems, notes


def _unused_priors(given: dict[str, str], models: dict[str, dict[str, Any]]) -> list[Problem]:
    """Refuse default priors of the study that no model has a parameter for."""
    used = {target for model in models.values() for target in model["priors"]}
    return [
        Problem(f"defaults.priors.{target}", f"no model has a parameter '{target}'")
        for target in given
        if priors.normalise(target) not in used
    ]


def _same_models(models: dict[str, dict[str, Any]]) -> list[str]:
    """Say which models are the same model under two names."""
    seen: dict[str, str] = {}
    notes = []
    for name, model in models.items():
        identity = repr([model.get(key) for key in SPEC])
        if identity in seen:
            notes.append(f"Models {seen[identity]} and {name} are the same model under two names.")
        seen.setdefault(identity, name)
    return notes


def _shared(problems: list[Problem]) -> list[Problem]:
    """State a problem that several models share once, with the first three places."""
    places: dict[tuple[str, str], list[str]] = {}
    for problem in dict.fromkeys(problems):
        places.setdefault((problem.message, problem.hint), []).append(problem.where)
    return [
        Problem(", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else ""), message, hint)
        for (message, hint), where in places.items()
    ]


def _without_defaults(value: dict[str, Any]) -> dict[str, Any]:
    """Drop empty entries, so that a key added to the schema later does not change what is recorded of old studies."""
    return {key: _clean(item) for key, item in value.items() if item not in (None, {}, [])}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None}
    return [_clean(item) for item in value] if isinstance(value, list) else value
