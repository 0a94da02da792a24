"""From a study file to the frozen plan: every model resolved, every error collected, before anything is fitted.

Needs no PyMC. `study` keeps the result, so that an unchanged study is planned once.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multilevel import (
    candidates,
    curve_priors,
    families,
    followed,
    formula,
    grid,
    jacobian,
    left_out,
    parameterisation,
    preflight,
    preparation,
    priors,
    published,
    residuals,
    rotation,
    rules,
    schema,
    strict_yaml,
)
from multilevel.dataset import Dataset
from multilevel.default_priors import SQUARES, Resolved, resolve, targets
from multilevel.design import Design, planes
from multilevel.errors import FormulaError, Problem, StudyError, did_you_mean
from multilevel.expressions import parse as parse_expression
from multilevel.names import NAME_PATTERN, RESERVED

MOST_UNKNOWN = 5
"""Unknown columns of one formula that are told by name."""


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
    cells, excluded, problems = grid.cross(study, list(content.get("grid") or {}))
    comparisons, more = ({}, []) if problems else _comparisons(study, list(cells), excluded)
    models, unsound = candidates.resolve(study, cells)
    problems += unsound + more + _expressions(data) + published.names_problems(study.published, cells)
    if problems:
        raise StudyError(list(dict.fromkeys(problems)), source)
    parsed = {name: formula.of_model(model) for name, model in models.items()}
    used = {
        name: set().union(residuals.columns(models[name]), *(part.variables() for part in parts))
        for name, parts in parsed.items()
    }
    try:
        dataset = preparation.prepare(
            data, set().union(*used.values(), left_out.columns(comparisons), followed.columns(study.trajectories)), root
        )
    except StudyError as error:
        raise StudyError(_shared(error.problems), source) from None
    warnings = list(dataset.summary["warnings"])
    checked = _all_against_data(study, cells, models, used, dataset)
    problems, notes = _of_cells(cells, checked)
    problems = problems or _unused_priors(study, cells, models, checked)
    aliases = {} if problems else grid.aliases(cells, {name: c.identity for name, c in checked.items()})
    comparisons, more = _without_aliases(comparisons, aliases, asked_for=bool(study.comparisons))
    groups = {t.group for parts in parsed.values() for part in parts for t in part.group_terms}
    problems = problems or [
        *more,
        *_unequal_responses(comparisons, models),
        *left_out.problems(comparisons, dataset, groups),
        *followed.problems(study.trajectories, dataset),
    ]
    if problems:
        raise StudyError(_shared(problems), source)
    warnings += notes + _same_models(cells, aliases)
    printed, problems = published.resolve(
        study.published, models, {n: c.design for n, c in checked.items() if c.design}
    )
    if problems:
        raise StudyError(problems, source)
    printed = [{**row, "model": aliases.get(row["model"], row["model"])} for row in printed]
    models = {name: model for name, model in models.items() if name not in aliases}
    missing = dataset.summary["missing"]
    for name, model in models.items():
        first = parsed[name][0]
        model["columns"] = [*dict.fromkeys([first.response, *sorted(used[name])])]
        model["suited"] = list(getattr(families.get(model["family"]), "PICTURES", ()))
        model.update(_groupings(parsed[name]))
        model["fingerprint"] = dataset.fingerprint([*used[name], *model.get("covariances", [])])
        model["response_fingerprint"] = dataset.digests[first.response or ""]
        model["seed"] = seed(study.seed, path.stem, name)
    sampler = {**config["sampler"], **{k: v for k, v in study.sampler.model_dump().items() if v is not None}}
    read = set().union(*used.values(), left_out.columns(comparisons), followed.columns(study.trajectories))
    needed = {source for column in read for source in preparation.sources(data, column)}
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
        **({"aliases": aliases} if aliases else {}),  # a plan without any is what it was before there were grids
        "comparisons": comparisons,
        **({"trajectories": along} if (along := followed.resolve(study.trajectories)) else {}),
        **({"left_out": left} if (left := left_out.resolve(comparisons, dataset)) else {}),
        "published": printed,
        "warnings": warnings,
    }


def _groupings(parts: list[formula.Formula]) -> dict[str, list[str]]:
    """Return the groupings of a model, and the keys that only some models have."""
    several, known = formula.memberships(parts), formula.covariances(parts)
    further = {key: found for key, found in (("memberships", several), ("covariances", known)) if found}
    return {"groups": formula.partitions(parts), **further}


def seed(study_seed: int, study: str, model: str) -> int:
    """Return the seed of one fit, a hash of its identity, so that adding a model changes no other's draws."""
    text = f"{study_seed}\x1f{study}\x1f{model}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _comparisons(
    study: schema.Study, known: list[str], excluded: frozenset[str]
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Expand wildcards and check names; without any comparison, all models are compared."""
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
            matched = grid.matching(pattern, known)
            if not matched:
                problems.append(_unknown_model(f"{where}.models", pattern, known, excluded))
                whole = False
            chosen += [m for m in matched if m not in chosen]
        if comparison.reference is not None and comparison.reference not in known:
            problems.append(_unknown_model(f"{where}.reference", comparison.reference, known, excluded))
        elif whole and comparison.reference is not None and comparison.reference not in chosen:
            problems.append(Problem(f"{where}.reference", f"'{comparison.reference}' is not among the models compared"))
        if whole and len(chosen) == 1:
            problems.append(
                Problem(f"{where}.models", f"only '{chosen[0]}' is left to compare", "name at least two models")
            )
        found[name] = {"models": chosen, "reference": comparison.reference, **left_out.asked(comparison.leave_out)}
    return found, problems


def _unknown_model(where: str, name: str, known: list[str], excluded: frozenset[str]) -> Problem:
    if grid.matching(name, excluded):
        return Problem(where, f"the grid leaves out '{name}'", "take it out of grid.exclude, or out of here")
    return Problem(where, f"unknown model '{name}'", did_you_mean(name, known))


def _without_aliases(
    comparisons: dict[str, dict[str, Any]], aliases: dict[str, str], asked_for: bool
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Let the fitted model stand for its aliases in every comparison, once."""
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for name, comparison in comparisons.items():
        models = list(dict.fromkeys(aliases.get(m, m) for m in comparison["models"]))
        reference = comparison["reference"]
        if len(models) > 1 or asked_for:
            found[name] = {**comparison, "models": models, "reference": aliases.get(reference, reference)}
        if len(models) == 1 and asked_for:
            message = f"{_quoted(comparison['models'])} are the same model, so nothing is left to compare"
            problems.append(Problem(f"comparisons.{name}.models", message))
    return found, problems


def _quoted(names: list[str]) -> str:
    """Return ``'a', 'b' and 'c'``, or the first three of more."""
    quoted = [f"'{name}'" for name in names]
    return (
        f"{', '.join(quoted[:3])} and {len(names) - 3} more"
        if len(names) > 3
        else " and ".join([", ".join(quoted[:-1]), quoted[-1]])
    )


def _unequal_responses(comparisons: dict[str, dict[str, Any]], models: dict[str, dict[str, Any]]) -> list[Problem]:
    """Refuse a comparison of models of different responses, or of rows scored differently, before anything is fitted."""
    problems = []
    for name, comparison in comparisons.items():
        parsed = {m: formula.of_response(models[m]) for m in comparison["models"] if m in models}
        first = next(iter(parsed), "")
        scored = {m: models[m].get("scored_as", {}).get("column", found.response) for m, found in parsed.items()}
        for model, found in parsed.items():
            if scored[model] != scored[first]:
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
            if _has_density(models[model]) != _has_density(models[first]):
                densities, other_one = (model, first) if _has_density(models[model]) else (first, model)
                message = (
                    f"'{densities}' ({models[densities]['family']}) is scored by a density and '{other_one}' "
                    f"({models[other_one]['family']}) by probabilities: such scores cannot be compared"
                )
                hint = "compare models whose families are all continuous or all discrete"
                problems.append(Problem(f"comparisons.{name}.models", message, hint))
                break
    return problems


def _has_density(model: dict[str, Any]) -> bool:
    """Tell a family of continuous responses from one of counts or categories."""
    return bool(families.get(model["family"]).KIND == "continuous")


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


@dataclass(frozen=True)
class _Checked:
    """What the data say of one cell.

    Parameters
    ----------
    problems, notes
        What no fit could mend, and warnings.
    targets
        Every name that its priors may be given to.
    identity
        What decides its posterior.
    design
        Its design; None where it has a problem, and where nobody asks for it later: designs of many rows are large.
    """

    problems: list[Problem]
    notes: list[str]
    targets: tuple[str, ...] = ()
    identity: str = ""
    design: Design | None = None


def _all_against_data(
    study: schema.Study,
    cells: dict[str, grid.Cell],
    models: dict[str, dict[str, Any]],
    used: dict[str, set[str]],
    dataset: Dataset,
) -> dict[str, _Checked]:
    """Check every model against the data.

    A design is kept until the last cell that has it was looked at, and longer only where published numbers are of its model.
    """
    derived = dict(study.data.derive)
    left = Counter(_design_key(model) for model in models.values())
    printed = {row.model for row in study.published}
    designs: dict[str, Any] = {}
    found: dict[str, _Checked] = {}
    for name, model in models.items():
        key = _design_key(model)
        one = _against_data(cells[name], model, used[name], dataset, designs, derived)
        found[name] = one if name in printed else replace(one, design=None)
        left[key] -= 1
        if not left[key]:
            designs.pop(key, None)
    return found


def _design_key(model: dict[str, Any]) -> str:
    """Return what decides a model's design."""
    return repr({k: v for k, v in rules.model_spec(model).items() if k not in {"priors", "preset", "centred"}})


def _against_data(
    cell: grid.Cell,
    model: dict[str, Any],
    used: set[str],
    dataset: Dataset,
    designs: dict[str, Any],
    derived: dict[str, str],
) -> _Checked:
    """Check one model against the data: columns, design, the targets of its priors.

    Cells that differ in their priors alone have one design, which `designs` keeps.
    """
    where = f"models.{cell.model}"
    available = [str(c) for c in dataset.frame.columns]
    unknown = sorted(used - set(available))
    if unknown:
        problems = [
            _unknown_column(f"{where}.{_key_of(model, column)}", column, model, available)
            for column in unknown[:MOST_UNKNOWN]
        ]
        if (more := len(unknown) - MOST_UNKNOWN) > 0:
            problems.append(Problem(f"{where}.formula", f"{more} more unknown columns"))
        return _Checked(problems, [])
    if taken := sorted(c for c in used if c in RESERVED or c.endswith("_Intercept")):
        problems = [
            Problem(
                f"{where}.formula",
                f"no column can be called '{column}' in a model",
                "give it another name under data.rename",
            )
            for column in taken
        ]
        return _Checked(problems, [])
    if dated := sorted(c for c in used if dataset.frame[c].dtype.kind == "M"):
        hint = "derive a number from it, such as days_between(start, visit) or year(visit)"
        problems = [
            Problem(f"{where}.formula", f"the column '{c}' holds dates, which no model takes", hint) for c in dated
        ]
        return _Checked(problems, [])
    spec = {key: value for key, value in rules.model_spec(model).items() if key not in {"priors", "preset"}}
    key = _design_key(model)
    if key not in designs:
        designs[key] = preflight.check(cell.model, model, dataset)
    design, problems, notes = designs[key]
    if design is None or problems:
        return _Checked(problems, notes)
    if problems := _scored_as(f"{where}.scored_as", model, design.response, dataset, derived):
        return _Checked(problems, notes)
    addressable = tuple(targets(design))
    known = {priors.normalise(t) for t in addressable}
    place, own = cell.priors[0]
    problems = [
        Problem(
            f"{place}.{target}",
            f"the model has no parameter '{target}'",
            did_you_mean(target, _like(target, addressable)),
        )
        for target in own
        if priors.normalise(target) not in known
    ]
    # A default prior of the study, or one of the grid, may name a parameter that only some models have; one that none has
    # is refused later.
    model["priors"] = {k: v for k, v in model["priors"].items() if k in known}
    try:
        resolved = resolve(design, model["priors"], model.get("preset", ""))
    except FormulaError as error:
        hint = curve_priors.HINT if design.curve and "the curve needs" in str(error) else ""
        return _Checked([*problems, Problem(f"{where}.priors", str(error), hint)], notes)
    by_name = {r.parameter: r.prior for r in resolved}
    if design.curve:
        key, sentence, hint = curve_priors.problem_of_start(design, by_name)
        if sentence:
            return _Checked([*problems, Problem(f"{where}.{key}", sentence, hint)], notes)
    try:
        ways = parameterisation.resolve(design, model["centred"])
    except FormulaError as error:
        return _Checked([*problems, Problem(f"{where}.centred", str(error))], notes)
    against = rotation.against_integrating(design, by_name)
    why_sampled = against if model.pop("integrate") else "the study says so"
    model["method"] = "sampled" if why_sampled else "integrated"
    if design.group_terms and why_sampled:
        model["why_sampled"] = why_sampled
    spec["method"] = model["method"]
    spec["centred"] = sorted(ways.items()) if model["method"] == "sampled" else []
    model["size"] = {
        "rows": len(design.y),
        "coefficients": len(design.all_coefficients),
        "effects": int(sum(len(t.levels) * len(t.effects) for t in design.group_terms)),
    }
    model["planes"] = planes(design)
    return _Checked(problems, notes, addressable, _identity(model, spec, resolved), design)


def _key_of(model: dict[str, Any], column: str) -> str:
    """Return the key of a model that names a column: its residuals where its formulas do not."""
    formulas: set[str] = set().union(*(part.variables() for part in formula.of_model(model)))
    return "residuals" if column in residuals.columns(model) - formulas else "formula"


def _unknown_column(where: str, column: str, model: dict[str, Any], available: list[str]) -> Problem:
    """Return what is wrong with a name that no column has: in a curve, it may be meant to be a parameter."""
    if column not in formula.of_response(model).curve_columns:
        return Problem(where, f"unknown column '{column}'", did_you_mean(column, available))
    message = f"'{column}' in the curve is neither a column nor a parameter"
    near = did_you_mean(column, [*model["nonlinear"], *available])
    hint = near if near.startswith("did you mean") else ""
    return Problem(where, message, hint or f"to make it a parameter, give it a formula, nonlinear.{column}: '1'")


def _like(target: str, names: Sequence[str]) -> list[str]:
    """Return the names that may have been meant: of variances and the like only where the target is of one."""
    squares = priors.class_of(target) in SQUARES
    return [name for name in names if (priors.class_of(name) in SQUARES) == squares] or list(names)


def _identity(model: dict[str, Any], spec: dict[str, Any], resolved: list[Resolved]) -> str:
    """Return what decides a model's posterior and the scale of its scores."""
    own = [spec, [(r.parameter, r.prior) for r in resolved]]
    return repr((*own, *([model["scored_as"]] if "scored_as" in model else [])))


def _scored_as(
    where: str, model: dict[str, Any], response: str, dataset: Dataset, derived: dict[str, str]
) -> list[Problem]:
    """Check that the response tells the value of the column that its scores are to be of, and add its expression."""
    if "scored_as" not in model:
        return []
    column = model["scored_as"]["column"]
    available = [str(c) for c in dataset.frame.columns]
    if column not in available:
        return [Problem(where, f"unknown column '{column}'", did_you_mean(column, available))]
    if response not in derived:
        message = f"the response '{response}' is not derived from '{column}'"
        return [Problem(where, message, f"leave it out, or derive '{response}' under data.derive")]
    try:
        jacobian.log_derivative(derived[response], column, dataset.frame)
    except FormulaError as error:
        message = f"the response '{response}' does not tell the value of '{column}': {error}"
        return [Problem(where, message, "scores can be of a column that the response strictly rises or falls with")]
    model["scored_as"]["expression"] = derived[response]
    return []


def _of_cells(cells: dict[str, grid.Cell], checked: dict[str, _Checked]) -> tuple[list[Problem], list[str]]:
    """Collect problems and warnings; what holds for a model whatever the grid says is told once, as the model's."""
    problems: list[Problem] = []
    notes: list[str] = []
    for base in dict.fromkeys(cell.model for cell in cells.values()):
        own = {name: found for name, found in checked.items() if cells[name].model == base}
        for problem in dict.fromkeys(p for found in own.values() for p in found.problems):
            names = [name for name, found in own.items() if problem in found.problems]
            whole = base in names or len(names) == len(own)
            where = problem.where if whole else f"{problem.where} (as {', '.join(names[:3])})"
            problems.append(Problem(where, problem.message, problem.hint))
        for note in dict.fromkeys(n for found in own.values() for n in found.notes):
            names = [name for name, found in own.items() if note in found.notes]
            whole = base in names or len(names) == len(own)
            notes.append(note if whole else note.replace(f"Model {base}:", f"Model {', '.join(names[:3])}:", 1))
    return problems, notes


def _unused_priors(
    study: schema.Study,
    cells: dict[str, grid.Cell],
    models: dict[str, dict[str, Any]],
    checked: dict[str, _Checked],
) -> list[Problem]:
    """Refuse default priors of the study, and priors of the grid, that no model has a parameter for."""
    given = [("defaults.priors", study.defaults.priors, list(models))]
    for value, texts in (study.grid.priors or {}).items():
        given.append((f"grid.priors.{value}", texts, [n for n in models if cells[n].values.get("priors") == value]))
    known = list(dict.fromkeys(target for found in checked.values() for target in found.targets))
    problems = []
    for place, texts, names in given:
        used = {target for name in names for target in models[name]["priors"]}
        problems += [
            Problem(
                f"{place}.{target}", f"no model has a parameter '{target}'", did_you_mean(target, _like(target, known))
            )
            for target in texts
            if names and priors.normalise(target) not in used
        ]
    return problems


def _same_models(cells: dict[str, grid.Cell], aliases: dict[str, str]) -> list[str]:
    """Say which models of the study file are the same model; that the grid makes one twice is no surprise."""
    return [
        f"Models {kept} and {name} are the same model under two names; it is fitted once, as {kept}."
        for name, kept in aliases.items()
        if not cells[name].suffix and not cells[kept].suffix
    ]


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
