"""The plan of a study, from a small cache where nothing that it depends on has changed.

Imports only the standard library until something has changed, so that a run with nothing to do stays fast.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).resolve().parent
HASHED_BYTES = 64 * 1024 * 1024
"""Tables up to this size are hashed on every run; larger ones are hashed again when size or time of change differ."""


def load(path: Path, config_path: Path, root: Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the plan of a study.

    Parameters
    ----------
    path
        The study file.
    config_path
        config.yaml.
    root
        The project folder.
    overrides
        Values of config.yaml replaced on the command line (``--config``).

    Raises
    ------
    multilevel.errors.StudyError
        When the study cannot be run.
    """
    cache = (
        root / ".cache" / "multilevel" / f"plan-{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}.json"
    )
    basis = [
        _state(root / path),
        _state(root / config_path),
        json.dumps(overrides or {}, sort_keys=True),
        _library_state(),
    ]
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
        if kept["basis"] == basis and kept["files"] == {name: _state(root / name) for name in kept["files"]}:
            return dict(kept["plan"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no cache, an older form of it, or one cut short: plan again
    from multilevel import plan, rules

    config = plan.read_config(root / config_path, str(config_path))
    config = _override(config, overrides or {}, config_path)
    made = plan.make(path, config, root)
    files = {name: _state(root / name) for name in rules.raw_tables(made, root)}
    _keep(cache, {"basis": basis, "files": files, "plan": made})
    return made


def load_all(
    config: dict[str, Any], config_path: Path, root: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return the plan of every study to run, by name, and the models of each that the run goes on without.

    Parameters
    ----------
    config
        Snakemake's configuration: config.yaml with what the command line gave over it. ``not_fitted`` (``study/model``)
        names fits that failed; their rows in tables read "not fitted".
    config_path
        config.yaml.
    root
        The project folder.

    Raises
    ------
    multilevel.errors.StudyError
        When config.yaml or a study cannot be run, with the problems of all studies.
    """
    from multilevel import strict_yaml
    from multilevel.errors import Problem, StudyError

    failed = [str(item) for item in config.pop("not_fitted", [])]
    content, _ = strict_yaml.read(root / config_path, str(config_path))
    overrides = {key: value for key, value in config.items() if content.get(key) != value}
    paths = config.get("studies") or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or not paths:
        raise StudyError(
            [Problem("studies", "must be a list of study files", "such as [config/studies/radon.yaml]")],
            str(config_path),
        )
    plans: dict[str, dict[str, Any]] = {}
    errors: list[StudyError] = []
    for path in map(Path, paths):
        try:
            plan = load(path, config_path, root, overrides)
        except StudyError as error:
            errors.append(error)
            continue
        if path.stem in plans:
            errors.append(
                StudyError(
                    [Problem("studies", f"two studies are called '{path.stem}'", "rename one file")], str(config_path)
                )
            )
        plans[path.stem] = plan
    if errors:
        raise (
            errors[0]
            if len(errors) == 1
            else StudyError([Problem("", str(error)) for error in errors], "several studies")
        )
    without: dict[str, list[str]] = {}
    for name, plan in plans.items():
        named = {m for m in (*plan["models"], *plan.get("aliases", {})) if f"{name}/{m}" in failed}
        fitted = {plan.get("aliases", {}).get(m, m) for m in named}
        without[name] = [m for m in plan["models"] if m in fitted]
    return plans, without


def _override(config: dict[str, Any], overrides: dict[str, Any], config_path: Path) -> dict[str, Any]:
    """Apply the values given on the command line and check the whole again."""
    if not overrides:
        return config
    from multilevel import schema
    from multilevel.errors import StudyError

    merged = {
        key: {**config[key], **value} if isinstance(value, dict) and isinstance(config.get(key), dict) else value
        for key, value in {**config, **overrides}.items()
    }
    checked, problems = schema.validate(schema.Config, merged, {})
    if problems:
        raise StudyError(problems, f"{config_path} with --config")
    return dict(checked.model_dump())


def _state(path: Path) -> str:
    """Return what identifies a file's content."""
    try:
        stat = path.stat()
        if stat.st_size <= HASHED_BYTES:
            with path.open("rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return "absent"
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def _library_state() -> str:
    """Return what identifies the code of the library; times of change suffice, because planning again is harmless."""
    entries = sorted(
        (str(p.relative_to(LIBRARY)), p.stat().st_size, p.stat().st_mtime_ns) for p in LIBRARY.rglob("*.py")
    )
    return hashlib.sha256(repr(entries).encode()).hexdigest()


def _keep(cache: Path, content: dict[str, Any]) -> None:
    """Write the cache; a folder that cannot be written only costs time."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(cache)
    except OSError:
        return
