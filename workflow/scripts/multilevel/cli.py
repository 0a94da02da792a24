"""The command line: `python -m multilevel COMMAND`. Each command imports what it needs, and only then."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Parameters
    ----------
    arguments
        The words after ``python -m multilevel``; those of this process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    own, further = _split(words)
    options = _parser().parse_args(own)
    if further and options.command is not _run:
        _parser().error("only `run` takes options after --")
    return int(options.command(options, further))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Split the words at the first ``--``."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m multilevel", description="Bayesian multilevel model comparison.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run the workflow, one run at a time in a folder",
        description="Clear away what a killed run left, run the workflow through Snakemake, then name the reports.",
        epilog="Options after -- go to snakemake: python -m multilevel run -- --dry-run",
    )
    run.add_argument("--cores", default="all", metavar="N", help="how many cores jobs may use together (default: all)")
    run.add_argument(
        "--configfile",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="read this file over config/config.yaml; may be given several times",
    )
    run.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help="the project folder (default: here)")
    run.set_defaults(command=_run)

    validate = commands.add_parser("validate", help="check study files against their data, without running anything")
    validate.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="study file")
    validate.add_argument("--config", type=Path, default=Path("config/config.yaml"), metavar="FILE", help="config.yaml")
    validate.set_defaults(command=_validate)

    schema = commands.add_parser("schema", help="write the JSON Schemas and the reference page into config/")
    schema.add_argument("--into", type=Path, default=Path("config"), metavar="DIR", help="folder (default: config)")
    schema.set_defaults(command=_schema)
    return parser


def _run(options: argparse.Namespace, further: list[str]) -> int:
    """Run the workflow."""
    from multilevel import run

    return run.run(options.directory.resolve(), options.cores, options.configfile, further)


def _validate(options: argparse.Namespace, _further: list[str]) -> int:
    """Check studies; print every problem of each, or what would be run."""
    from multilevel import study
    from multilevel.errors import StudyError

    status = 0
    for path in options.studies:
        try:
            plan = study.load(path, options.config, Path.cwd())
        except StudyError as error:
            print(error, file=sys.stderr)
            status = 1
            continue
        print(f"{path}: valid; {len(plan['models'])} models on {plan['rows']} rows")
        for name, model in plan["models"].items():
            others = {**model.get("nonlinear", {}), **model["parameters"]}
            parts = [model["formula"], *(f"{parameter} ~ {text}" for parameter, text in others.items())]
            parts += [f"residuals {model['residuals']}"] if "residuals" in model else []
            print(f"  {name}: {', '.join(parts)} ({model['family']}, {model['link']} link)")
        for name, kept in plan.get("aliases", {}).items():
            print(f"  {name}: the same model as {kept}, fitted once")
        if plan["published"]:
            print(f"  {len(plan['published'])} published numbers to compare with")
        for warning in plan["warnings"]:
            print(f"  warning: {warning}")
        for warning in _of_priors(plan):
            print(f"  warning: {warning}")
    return status


def _of_priors(plan: dict[str, Any]) -> list[str]:
    """Return what the prior predictive distributions of a study's models are warned of."""
    from multilevel import default_priors, design, preparation, prior_predictive

    used = {column for model in plan["models"].values() for column in model["columns"]}
    data = preparation.prepare(plan["data"], used, Path.cwd())
    found = []
    for name, model in plan["models"].items():
        built = design.build(model, data)
        priors = default_priors.resolve(built, model["priors"], model.get("preset", ""))
        gate = prior_predictive.gate(built, priors, model["seed"])
        said = [f"no prior predictive distribution: {gate.reason}"] if gate.reason else list(gate.warnings)
        found += [f"Model {name}: {sentence}." for sentence in said]
    return found


def _schema(options: argparse.Namespace, _further: list[str]) -> int:
    """Write the generated files."""
    from multilevel import reference

    for path in reference.write(options.into):
        print(path)
    return 0
