"""The grid of a study: axes crossed with the models, so that one line tries every model under another prior or family.

An axis is a key of a model (`schema.Grid` lists them) with named values. A cell is one model under one value of each axis.
The first value of an axis leaves the name as it is, so adding a value, or an axis whose first value changes nothing,
renames no cell and moves no seed; any other value follows the name after a dot: ``bym2``, ``bym2.sceptical``.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multilevel import schema
from multilevel.errors import Problem, did_you_mean
from multilevel.names import LONGEST_MODEL

AXES = tuple(name for name in schema.Grid.model_fields if name != "exclude")
"""The keys of a model that can be crossed with the models."""

OVERLAID = frozenset({"priors"})
"""Axes whose values are laid over what a model says of its own; any other axis says all there is to say."""

MOST_CELLS = 1_000


@dataclass(frozen=True)
class Cell:
    """One model under one value of each axis.

    Parameters
    ----------
    name
        Such as ``bym2.sceptical``.
    model
        The model's name in the study file: ``bym2``.
    values
        The value of each axis, by axis, in the order of the study file.
    suffix
        The values that are not the first of their axis: what tells the cell from its model.
    written
        The model as if the study file said it in full.
    priors
        The model's own priors and those of its value, the later over the earlier, each with its place in the study.
    """

    name: str
    model: str
    values: Mapping[str, str]
    suffix: tuple[str, ...]
    written: schema.Model
    priors: tuple[tuple[str, Mapping[str, str]], ...]

    def place(self, key: str) -> str:
        """Return where the study says what this cell has under a key of a model."""
        if key in self.values and key not in OVERLAID:
            return f"grid.{key}.{self.values[key]}"
        return f"models.{self.model}.{key}"

    def label(self, label: str) -> str:
        """Return the label of the cell, given that of its model: ``BYM2 (sceptical)``."""
        return f"{label} ({', '.join(self.suffix)})" if self.suffix else label


def cross(study: schema.Study, order: Sequence[str]) -> tuple[dict[str, Cell], frozenset[str], list[Problem]]:
    """Cross the models of a study with the axes of its grid.

    Parameters
    ----------
    study
        The study.
    order
        The keys of its grid in the order of the file.

    Returns
    -------
    tuple
        The cells by name, model by model, the first value of the first axis first; the names of those that are left out;
        and every problem of the grid, with which the cells are good for nothing but to look for further problems.
    """
    axes = {axis: values for axis in order if axis in AXES and (values := _values(study.grid, axis)) is not None}
    problems = [Problem(f"grid.{axis}", "has no values", "name at least one") for axis in axes if not axes[axis]]
    axes = {axis: values for axis, values in axes.items() if values}
    problems += _repeated(study.grid, axes) + _said_twice(study, axes)
    size = math.prod([len(study.models), *map(len, axes.values())])
    if size > MOST_CELLS:
        problems.append(Problem("grid", f"makes {size:,} models; a study has at most {MOST_CELLS:,}"))
        axes = {}
    cells = {
        cell.name: cell
        for name, model in study.models.items()
        for chosen in itertools.product(*(values.items() for values in axes.values()))
        for cell in [_cell(name, model, axes, dict(zip(axes, chosen, strict=True)))]
    }
    problems += [
        Problem("grid", f"the name '{name}' has {len(name)} characters; at most {LONGEST_MODEL} can be part of a path")
        for name in cells
        if len(name) > LONGEST_MODEL
    ]
    excluded, more = _excluded(cells, study.grid.exclude)
    return {name: cell for name, cell in cells.items() if name not in excluded}, excluded, problems + more


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern stands for: ``*`` is any text, dots included, ``?`` any one character."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def aliases(cells: Mapping[str, Cell], identities: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells that are the same model as another cell, each with the one that is fitted.

    Parameters
    ----------
    cells
        The cells.
    identities
        What decides each cell's posterior. Equal identities are one model.

    Returns
    -------
    dict
        From alias to fitted cell. The cell with the fewest values in its name is fitted; of several, the first.
    """
    first: dict[Any, str] = {}
    for name in sorted(cells, key=lambda name: len(cells[name].suffix)):
        first.setdefault(identities[name], name)
    return {name: kept for name in cells if (kept := first[identities[name]]) != name}


def _values(grid: schema.Grid, axis: str) -> dict[str, Any] | None:
    """Return the values of an axis by name; those of a list are called what they are."""
    written = getattr(grid, axis)
    return {value: value for value in written} if isinstance(written, list) else written


def _repeated(grid: schema.Grid, axes: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    """Refuse values that would give two cells one name."""
    written = {axis: list(getattr(grid, axis)) for axis in axes}
    problems = [
        Problem(f"grid.{axis}", f"the value '{name}' stands twice", "keep one of them")
        for axis, names in written.items()
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    owner: dict[str, str] = {}
    for axis, name in [(axis, name) for axis, values in axes.items() for name in list(values)[1:]]:
        if owner.setdefault(name, axis) != axis:  # the first value of an axis is part of no name
            message = f"the axis '{owner[name]}' has a value of that name too, so two models would be called alike"
            problems.append(Problem(f"grid.{axis}.{name}", message, "rename one of them"))
    return problems


def _said_twice(study: schema.Study, axes: Mapping[str, Any]) -> list[Problem]:
    """Refuse a model that says itself what an axis says for every model."""
    return [
        Problem(
            f"models.{name}.{axis}",
            f"the grid says the {axis} of every model, so '{name}' cannot have one of its own",
            f"take it out here, or '{axis}' out of the grid",
        )
        for name, model in study.models.items()
        for axis in axes
        if axis not in OVERLAID and axis in model.model_fields_set and getattr(model, axis) is not None
    ]


def _cell(
    name: str, model: schema.Model, axes: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, tuple[str, Any]]
) -> Cell:
    suffix = tuple(value for axis, (value, _) in chosen.items() if value != next(iter(axes[axis])))
    replaced = {axis: content for axis, (_, content) in chosen.items() if axis not in OVERLAID}
    priors: list[tuple[str, Mapping[str, str]]] = [(f"models.{name}.priors", model.priors)]
    if "priors" in chosen:
        value, content = chosen["priors"]
        priors.append((f"grid.priors.{value}", content))
    return Cell(
        name=".".join([name, *suffix]),
        model=name,
        values={axis: value for axis, (value, _) in chosen.items()},
        suffix=suffix,
        written=model.model_copy(update=replaced),
        priors=tuple(priors),
    )


def _excluded(cells: Mapping[str, Cell], patterns: Sequence[str]) -> tuple[frozenset[str], list[Problem]]:
    """Return the names that the patterns stand for; a pattern must stand for one, and one model must be left."""
    found = [matching(pattern, cells) for pattern in patterns]
    problems = [
        Problem(f"grid.exclude[{position}]", f"no model is called '{pattern}'", did_you_mean(pattern, cells))
        for position, (pattern, names) in enumerate(zip(patterns, found, strict=True))
        if not names
    ]
    excluded = frozenset(name for names in found for name in names)
    if excluded and len(excluded) == len(cells):
        problems.append(Problem("grid.exclude", f"leaves out all {len(cells)} models", "leave one in"))
    return excluded, problems
