"""The shapes of the study file and of config.yaml: closed, with a sentence on every leaf.

Everything else that describes the files (the JSON Schema for editors, the reference page) is made from these classes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multilevel.errors import Problem, did_you_mean
from multilevel.names import NAME_PATTERN

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}$")]
Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
Text = Annotated[str, StringConstraints(max_length=5_000)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
PriorText = Annotated[str, StringConstraints(min_length=1, max_length=200)]

_TEXT_BRANCH, _LIST_BRANCH = "constrained-str", r"list\[.*\]"
"""What pydantic calls the two branches of `Column | list[Column]`."""


class Closed(BaseModel):
    """A mapping that takes the keys below and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Join(Closed):
    """One table joined to the base table."""

    table: str = Field(description="Path of the table to join, relative to the project folder.")
    by: Column | list[Column] = Field(description="Column or columns that both tables share and are matched on.")
    cardinality: Literal["many_to_one", "one_to_one"] = Field(
        "many_to_one", description="How rows match; checked. `many_to_one`: the joined table has one row for each key."
    )
    unmatched: Literal["error", "missing"] = Field(
        "error", description="What to do with a row of the base table without a partner: refuse, or fill with missing."
    )
    columns: list[Column] | None = Field(None, description="Columns to take from the joined table; all if left out.")


class Centre(Closed):
    """One centred column. Neither `within` nor `between` means centring at the grand mean of the rows used."""

    column: Column = Field(description="The numeric column to centre.")
    within: Column | None = Field(None, description="Grouping column: subtract the mean of the row's own group.")
    between: Column | None = Field(
        None, description="Grouping column: the mean of the row's own group, centred at the mean over rows."
    )


class Group(Closed):
    """A grouping that is more than a column."""

    within: Column = Field(
        description="The grouping this one is nested in; its levels are coded uniquely as `outer:inner`."
    )


class Data(Closed):
    """The data of a study: one base table and what is done to it."""

    table: str = Field(
        description="Path of the base table (CSV), relative to the project folder; one row per observation."
    )
    join: list[Join] = Field(default_factory=list, description="Tables joined to the base table, in this order.")
    id: Column | None = Field(
        None, description="Column that identifies a row of the base table; the row number is used if left out."
    )
    rename: dict[Column, str] = Field(
        default_factory=dict,
        description="New column names: `new_name: name in the table`, for names with dots or blanks.",
    )
    derive: dict[Column, Expression] = Field(
        default_factory=dict, description="New columns as expressions of earlier ones, such as `log(expected)`."
    )
    filter: Expression | None = Field(
        None, description="Expression that is true for the rows to keep, such as `age >= 18`."
    )
    centre: dict[Column, Centre] = Field(
        default_factory=dict, description="New centred columns, computed on the rows that are used."
    )
    reference: dict[Column, str] = Field(
        default_factory=dict,
        description="Reference level of a categorical column; the first in sorted order otherwise.",
    )
    groups: dict[Column, Group] = Field(default_factory=dict, description="Groupings that are more than a column.")
    units: dict[Column, Text] = Field(
        default_factory=dict, description="Units of derived columns, shown on axes and in the report."
    )
    labels: dict[Column, Text] = Field(
        default_factory=dict, description="What a column is called in the report, such as `log radon (log pCi/L)`."
    )


class Defaults(Closed):
    """What every model of the study takes unless it says otherwise."""

    family: str = Field("gaussian", description="Distribution of the response given the linear predictor.")
    priors: dict[str, PriorText] = Field(
        default_factory=dict, description="Priors for all models, such as `sigma: exponential(1)`."
    )
    response: Column | None = Field(None, description="Response of formulas that leave it out (`~ x + (1 | g)`).")


class Model(Closed):
    """One candidate model."""

    formula: Expression = Field(description="Formula as in lme4 and brms: `y ~ x + (1 + x | group)`.")
    family: str | None = Field(None, description="Distribution of the response; the study's default if left out.")
    link: str | None = Field(None, description="Link of the formula's linear predictor; the family's own if left out.")
    parameters: dict[Name, Expression] = Field(
        default_factory=dict,
        description="Linear predictors of other parameters, such as `sigma: 1 + x + (1 | group)` (on the log scale).",
    )
    thresholds: Literal["flexible", "equidistant"] | None = Field(
        None,
        description="Thresholds of an ordinal family: each free (`flexible`, if left out) or all `delta` apart (`equidistant`).",
    )
    priors: dict[str, PriorText] = Field(
        default_factory=dict,
        description="Priors of this model, by parameter (`sd(county: floor)`), term (`b(county)`) or class (`b`, `sd`).",
    )
    label: Text | None = Field(None, description="What the model is called in tables and figures.")
    description: Text | None = Field(None, description="A sentence on what the model says about the world.")
    centred: bool = Field(
        False,
        description="Sample group effects directly (centred parameterisation) instead of as standardised offsets.",
    )


class Comparison(Closed):
    """One comparison of models."""

    models: list[str] = Field(min_length=1, description="Names of the models to compare; `*` stands for any text.")
    reference: str | None = Field(
        None, description="Model that the text speaks from; differences are always from the best model."
    )
    leave_out: list[Literal["observation"]] = Field(
        default=["observation"], description="What is left out when scoring: one observation at a time."
    )


class SamplerOverride(Closed):
    """Sampler settings that a study may change."""

    chains: Annotated[int, Field(ge=2, le=64)] | None = Field(None, description="Number of chains.")
    draws: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(None, description="Draws kept from each chain.")
    tune: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(None, description="Warm-up draws of each chain.")
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] | None = Field(
        None, description="Acceptance probability that the step size is tuned to."
    )
    max_treedepth: Annotated[int, Field(ge=5, le=20)] | None = Field(None, description="Largest depth of a NUTS tree.")


class Study(Closed):
    """A study file: one dataset, candidate models, comparisons."""

    title: Text = Field(description="Title of the study and of its report.")
    question: Text | None = Field(None, description="The question that the comparison answers, in a sentence.")
    citation: Text | None = Field(None, description="Where the data or the analysis were published.")
    description: Text | None = Field(None, description="A paragraph for the top of the report.")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        1,
        description="Seed of the study; each fit's own seed is a hash of this, the study's name and the model's name.",
    )
    data: Data = Field(description="The data and what is done to them before any model sees them.")
    defaults: Defaults = Field(default_factory=Defaults, description="What models take unless they say otherwise.")
    models: dict[Name, Model] = Field(min_length=1, description="The candidate models by name.")
    comparisons: dict[Name, Comparison] = Field(
        default_factory=dict, description="The comparisons by name; one of all models if left out."
    )
    sampler: SamplerOverride = Field(
        default_factory=SamplerOverride,
        description="Sampler settings of this study; config.yaml's otherwise.",
    )


class Sampler(Closed):
    """Sampler settings of all studies."""

    chains: Annotated[int, Field(ge=2, le=64)] = Field(4, description="Number of chains.")
    draws: Annotated[int, Field(ge=100, le=1_000_000)] = Field(1000, description="Draws kept from each chain.")
    tune: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        1000, description="Warm-up draws of each chain, not kept."
    )
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.9, description="Acceptance probability that the step size is tuned to."
    )
    max_treedepth: Annotated[int, Field(ge=5, le=20)] = Field(10, description="Largest depth of a NUTS tree.")


class Thresholds(Closed):
    """When a fit counts as converged (Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021)."""

    r_hat: Annotated[float, Field(gt=1, le=1.1)] = Field(
        1.01, description="Largest R-hat of hyperparameters, reported quantities and the log posterior."
    )
    r_hat_group_effects: Annotated[float, Field(gt=1, le=1.2)] = Field(
        1.05, description="Largest R-hat of any group effect."
    )
    r_hat_group_effects_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="Largest share of group effects whose R-hat may exceed `r_hat`."
    )
    ess_per_chain: Annotated[float, Field(gt=0)] = Field(
        100.0, description="Smallest bulk and tail effective sample size for each chain."
    )
    e_bfmi: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Smallest energy Bayesian fraction of missing information of any chain."
    )
    divergences: Annotated[int, Field(ge=0)] = Field(0, description="Largest number of divergent transitions.")
    max_treedepth_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Largest share of draws that reached the maximum tree depth."
    )


class Config(Closed):
    """config/config.yaml: which studies run, and settings shared by all."""

    studies: list[str] = Field(min_length=1, description="Study files to run, relative to the project folder.")
    sampler: Sampler = Field(default_factory=Sampler, description="Sampler settings of all studies.")
    thresholds: Thresholds = Field(default_factory=Thresholds, description="When a fit counts as converged.")
    on_failure: Literal["flag", "stop"] = Field(
        "flag",
        description="What a fit that fails its checks does: `flag` shows it as failed everywhere and leaves it out of "
        "rankings; `stop` ends the run there.",
    )


def validate(kind: type[Closed], content: dict[str, Any], lines: dict[str, int]) -> tuple[Any, list[Problem]]:
    """Check plain values against a shape.

    Parameters
    ----------
    kind
        `Study` or `Config`.
    content, lines
        What `strict_yaml.read` returned.

    Returns
    -------
    tuple
        The checked object, or None, and every problem found.
    """
    try:
        return kind.model_validate(content), []
    except ValidationError as error:
        return None, [_explain(kind, item, lines) for item in error.errors() if not _of_other_branch(item)]


def _of_other_branch(item: Any) -> bool:
    """Tell what pydantic says of a branch that was not meant: of text where a list stands, of a list where none does."""
    branch = str(item["loc"][-1])
    return (branch == _TEXT_BRANCH and isinstance(item["input"], list)) or (
        item["type"] == "list_type" and re.fullmatch(_LIST_BRANCH, branch) is not None
    )


def _explain(kind: type[Closed], item: Any, lines: dict[str, int]) -> Problem:
    """Turn one pydantic error into a sentence with its place and what was probably meant."""
    # pydantic names union branches in the location; they are no part of the file, nor can they be a name in it.
    parts = [p for p in item["loc"] if p not in {"[key]", _TEXT_BRANCH} and not re.fullmatch(_LIST_BRANCH, str(p))]
    path = ""
    for part in parts:
        path = f"{path}[{part}]" if isinstance(part, int) else (f"{path}.{part}" if path else str(part))
    where = f"{path} (line {lines[path]})" if path in lines else path
    kind_of_error, value = item["type"], item.get("input")
    if kind_of_error == "extra_forbidden":
        known = _keys_at(kind, parts[:-1])
        return Problem(where, f"unknown key '{parts[-1]}'", did_you_mean(str(parts[-1]), known))
    if kind_of_error == "missing":
        return Problem(where, f"the key '{parts[-1]}' is missing")
    if kind_of_error == "string_pattern_mismatch" and "[key]" in item["loc"]:
        return Problem(
            where, f"'{parts[-1]}' is no valid name", "use letters, digits and _, starting with a letter, at most 64"
        )
    if kind_of_error == "literal_error":
        expected = str(item["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return Problem(where, f"'{value}' is not one of the choices", did_you_mean(str(value), expected))
    if kind_of_error in {"string_type", "int_type", "float_type", "bool_type", "dict_type", "list_type", "model_type"}:
        noun = {"string": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
        wanted = noun.get(kind_of_error.split("_")[0], {"list": "a list"}.get(kind_of_error.split("_")[0], "a mapping"))
        return Problem(where, f"{value!r} should be {wanted}", "quote it" if kind_of_error == "string_type" else "")
    return Problem(where, f"{item['msg'][0].lower()}{item['msg'][1:]} (found {value!r})"[:300])


def _keys_at(kind: type[BaseModel], parts: list[Any]) -> list[str]:
    """Return the keys accepted at a place, following the model's own annotations."""
    here: Any = kind
    for part in parts:
        here = _inside(here, part)
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _inside(annotation: Any, part: Any) -> Any:
    """Return the annotation of what stands under a key or at a position; None where nothing can."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[part].annotation if part in annotation.model_fields else None
    arguments = get_args(annotation)
    if get_origin(annotation) in {dict, list}:
        return arguments[-1]
    return next((found for a in arguments if (found := _inside(a, part)) is not None), None)
