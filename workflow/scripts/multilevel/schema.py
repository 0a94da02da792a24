"""The shapes of the study file and of config.yaml: closed, with a sentence on every leaf.

Everything else that describes the files (the JSON Schema for editors, the reference page) is made from these classes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from multilevel.errors import Problem, did_you_mean
from multilevel.names import NAME_PATTERN
from multilevel.strict_yaml import WrittenFloat

NAME_ALONE = rf"^{NAME_PATTERN}$"
Name = Annotated[str, StringConstraints(pattern=NAME_ALONE)]
Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
Text = Annotated[str, StringConstraints(max_length=5_000)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
PriorText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
GROUPING = r"^[A-Za-z_][A-Za-z0-9_]*(:[A-Za-z_][A-Za-z0-9_]*)*$"
Unit = Annotated[str, StringConstraints(pattern=GROUPING, max_length=200)]
"""What is left out at a time: `observation`, or a grouping."""
Named = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A column as a file names it."""

Value = (
    Annotated[str, StringConstraints(max_length=500)]
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | Annotated[float, Field(gt=-1e308, allow_inf_nan=False)]
)
"""A level, code or occasion as YAML gives it; quoted or not."""


class Printed(str):
    """A number as it is printed somewhere, digit for digit: 12.10 has two decimals."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Take a number as the file writes it, or a text that holds one."""
        return core_schema.no_info_plain_validator_function(cls._read, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Any) -> dict[str, Any]:
        """Tell editors that a number or a text may stand here."""
        return {"type": ["number", "string"]}

    @classmethod
    def _read(cls, value: Any) -> Printed:
        if isinstance(value, WrittenFloat):
            value = value.written
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        text = value.strip().replace("\N{MINUS SIGN}", "-") if isinstance(value, str) else ""
        if not re.fullmatch(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", text):
            raise PydanticCustomError("printed_number", "is no number; write it as it is printed, such as 1.46")
        return cls(text)


class Closed(BaseModel):
    """A mapping that takes the keys below and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Closed):
    """One table and how to read it."""

    table: str = Field(
        description="Path of the table, relative to the project folder: `.csv`, `.tsv` or `.parquet`, as it is or followed "
        "by `.gz`, `.bz2`, `.xz`, `.zst` or `.zip` (one file in it)."
    )
    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = Field(
        None, description="What separates the fields of a text format; a comma in `.csv`, a tab in `.tsv` if left out."
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="What stands before the decimals of a number in a text format; a full stop if left out."
    )
    thousands: Literal[",", ".", " ", "'", "_"] | None = Field(
        None, description="What groups the digits of large numbers in a text format, as in 1,000; nothing if left out."
    )
    encoding: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = Field(
        None, description="Encoding of a text format, such as `cp1252`, `latin-1` or `utf-16`; UTF-8 if left out."
    )
    missing: list[Value] | dict[Named, list[Value]] | None = Field(
        None,
        description='Codes that mean missing, in all columns (`[".", -99]`) or by column (`{age: [999]}`), besides the empty '
        "field and NA of text formats; taken out before types are guessed.",
    )
    text: list[Named] | None = Field(
        None, description="Columns that are text whatever they look like, such as codes with leading zeros."
    )
    rename: dict[Column, str] | None = Field(
        None, description="New column names: `new_name: name in the table`, for names with dots or blanks."
    )


class Join(Source):
    """One table joined to the rows so far. Its rows are known by columns of the base table or of a table joined before."""

    by: Column | list[Column] | dict[Column, Column] = Field(
        description="Column or columns that rows are matched on; `{name here: name in the joined table}` where they differ."
    )
    cardinality: Literal["many_to_one", "one_to_one"] = Field(
        "many_to_one", description="How rows match; checked. `many_to_one`: the joined table has one row for each key."
    )
    unmatched: Literal["error", "missing"] = Field(
        "error", description="What to do with a row of the base table without a partner: refuse, or fill with missing."
    )
    columns: list[Column] | None = Field(None, description="Columns to take from the joined table; all if left out.")


class Reshape(Closed):
    """Wide to long: a row of the table becomes one row for each occasion, known by its identifier and the occasion (`s1:2`)."""

    id: Column | list[Column] | None = Field(
        None, description="Column or columns that identify a row of the wide table; checked."
    )
    new_id: Column | None = Field(
        None, description="New column that numbers the rows of the wide table, where no column identifies them."
    )
    columns: dict[Column, list[Named | None] | Named] = Field(
        description="New measured columns, each with the columns of the wide table that it is made of, occasion by occasion "
        "(`{bdi: [bdi_2m, bdi_3m]}`, `null` where it was not measured), or with a pattern (`{bdi: 'bdi_{month}m'}`)."
    )
    into: dict[Column, list[Value]] | None = Field(
        None,
        description="New columns that tell the occasions apart, with a value for each (`{month: [2, 3]}`); a pattern says this "
        "itself, in braces.",
    )


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


class Known(Closed):
    """A covariance over the levels of a group that is known up to a factor: one of three kinds of files.

    Effects are drawn with it where a formula says `(1 | gr(group, cov = name))`. It may be singular, as with identical twins.
    """

    pedigree: str | None = Field(
        None,
        description="A table with the columns `id`, `sire` or `father`, `dam` or `mother`, one row for each individual and "
        "empty fields (or NA, 0) for unknown parents: additive relationships, with inbreeding. Every parent has a row.",
    )
    phylogeny: str | None = Field(
        None, description="A tree in Newick's format with branch lengths: the lengths of branches that two tips share."
    )
    matrix: str | None = Field(
        None,
        description="A table with names above and beside a square matrix, or with a row for each element: two names and "
        "`value`, where pairs that are not listed have 0.",
    )
    correlation: bool | None = Field(
        None, description="Divide by standard deviations, so that every level has variance 1; not of a pedigree."
    )


class Data(Source):
    """The data of a study: one base table and what is done to it.

    It is done in this order: read every table (take out missing codes, guess types, rename), reshape the base table, join the
    others, read dates, derive, filter, drop incomplete rows, nest groups, centre, order levels.
    """

    id: Column | None = Field(
        None, description="Column that identifies a row of the base table; the row number is used if left out."
    )
    reshape: Reshape | None = Field(
        None, description="How a wide base table becomes a long one, before anything is joined to it."
    )
    join: list[Join] = Field(default_factory=list, description="Tables joined to the base table, in this order.")
    dates: dict[Column, Annotated[str, StringConstraints(min_length=1, max_length=100)]] | None = Field(
        None,
        description="Columns of dates with their format: `%d.%m.%Y` and the like, or `iso`. Parquet says itself which are dates.",
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
    categorical: list[Column] | None = Field(
        None,
        description="Columns whose numbers are codes of levels, such as zones 1, 2 and 3; text is categorical anyway.",
    )
    ordered: dict[Column, Annotated[list[Value], Field(min_length=2)]] | None = Field(
        None,
        description="Levels of a categorical column in their order, `{severity: [low, medium, high]}`; any other value is an "
        "error. Contrasts stay those of treatment: each level against the first, or against `reference`.",
    )
    reference: dict[Column, str] = Field(
        default_factory=dict,
        description="Reference level of a categorical column; the first otherwise: in declared order, in that of a Parquet "
        "dictionary, or sorted.",
    )
    groups: dict[Column, Group] = Field(default_factory=dict, description="Groupings that are more than a column.")
    covariances: dict[Column, Known] = Field(
        default_factory=dict,
        description="Known covariances over the levels of a group by name, for terms such as `(1 | gr(animal, cov = kinship))`.",
    )
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
    priors_preset: Literal["brms", "rstanarm"] | None = Field(
        None, description="Default priors of all models: those of brms or of rstanarm instead of the workflow's own."
    )
    response: Column | None = Field(None, description="Response of formulas that leave it out (`~ x + (1 | g)`).")
    integrate: bool = Field(
        True,
        description="Integrate group effects out of what is sampled and draw them exactly afterwards, where they have a closed "
        "form: gaussian, identity link, one sigma or known standard errors, groups nested in each other. The posterior is the "
        "same; `false` samples them.",
    )


Parameterisation = bool | Literal["auto", "hierarchical"]
"""How group effects are sampled."""


class Model(Closed):
    """One candidate model."""

    formula: Expression = Field(
        description="Formula as in lme4 and brms: `y ~ x + (1 + x | group)`; with `nonlinear`, a curve: `y ~ a * exp(-b * x)`."
    )
    family: str | None = Field(None, description="Distribution of the response; the study's default if left out.")
    link: str | None = Field(None, description="Link of the formula's linear predictor; the family's own if left out.")
    parameters: dict[Name, Expression] = Field(
        default_factory=dict,
        description="Linear predictors of other parameters, such as `sigma: 1 + x + (1 | group)` (on the log scale).",
    )
    residuals: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = Field(
        None,
        description="How residuals of one subject are correlated beside the group terms, of gaussian models: "
        "`ar1(occasion | subject)` by whole occasions, `car1(age | subject)` by times as measured, `cs(subject)` all alike, "
        "`unstructured(occasion | subject)` each pair of occasions on its own. Standard deviations by occasion are a formula of "
        "sigma (`parameters: {sigma: 0 + C(occasion)}`). Independent if left out.",
    )
    nonlinear: dict[Name, Expression] = Field(
        default_factory=dict,
        description="Parameters of the curve that the formula is, each with its linear predictor: with the formula "
        "`height ~ asymptote / (1 + exp(-(age - midpoint) / scale))`, `{asymptote: 1 + (1 | tree), midpoint: '1', scale: '1'}`. "
        "The curve is the family's first parameter on the scale of its link. A curve of one's own needs a prior for each "
        "parameter; a ready-made one, such as `logistic(age, asymptote, midpoint, scale)`, has some from the data.",
    )
    start: dict[Name, float] = Field(
        default_factory=dict,
        description="Where the sampler starts, by parameter of the curve (its intercept): the medians of the priors if left out, "
        "which are far from the data where priors are vague.",
    )
    thresholds: Literal["flexible", "equidistant"] | None = Field(
        None,
        description="Thresholds of an ordinal family: each free (`flexible`, if left out) or all `delta` apart (`equidistant`).",
    )
    priors: dict[str, PriorText] = Field(
        default_factory=dict,
        description="Priors of this model, by parameter (`sd(county: floor)`), term (`b(county)`) or class (`b`, `sd`).",
    )
    priors_preset: Literal["brms", "rstanarm"] | None = Field(
        None,
        description="Where priors that are not given come from: the defaults of brms (flat coefficients, so no Bayes "
        "factors) or of rstanarm; the study's choice if left out.",
    )
    scored_as: Column | None = Field(
        None,
        description="Column that the response is derived from (`data.derive`), such as `y` of `log_y: log(y)`: scores are "
        "then log densities of that column, so that models of both can be compared. The derived response rises or falls "
        "strictly with that column and is made of it alone. A family of `y` itself, such as lognormal, needs none of this.",
    )
    label: Text | None = Field(None, description="What the model is called in tables and figures.")
    description: Text | None = Field(None, description="A sentence on what the model says about the world.")
    centred: Parameterisation | dict[str, Parameterisation] = Field(
        False,
        description="How group effects are sampled, which changes no posterior: directly (`true`), as standardised offsets "
        "(`false`), about their means (`hierarchical`), or by a rule from the information in each level (`auto`); for all group "
        "terms or by term. Nothing changes where they are integrated out; those of structured groups are offsets always. A fit "
        "with divergences is made once more the other way.",
    )
    integrate: bool | None = Field(
        None, description="Whether group effects are integrated out where they can be; the study's default if left out."
    )


class Grid(Closed):
    """Axes crossed with the models: every model is fitted under every combination of their values.

    The first value of an axis keeps the model's name; any other follows it after a dot, as in `bym2.sceptical`. Models
    that come out the same are fitted once.
    """

    # An axis is a key of Model; adding one is adding its line here.
    priors: dict[Name, dict[str, PriorText]] | None = Field(
        None,
        description="Sets of priors by name, each laid over a model's own; `{}` leaves them as they are. A set's priors "
        "for parameters that a model lacks do nothing there.",
    )
    family: dict[Name, str] | list[Name] | None = Field(
        None, description="Families by name, or a list of families, each called what it is."
    )
    link: dict[Name, str] | list[Name] | None = Field(None, description="Links by name, or a list of links.")
    parameters: dict[Name, dict[Name, Expression]] | None = Field(
        None, description="Sets of linear predictors of other parameters by name; `{}` predicts none."
    )
    centred: dict[Name, Parameterisation] | None = Field(
        None, description="Parameterisations by name: true is centred."
    )
    exclude: list[Pattern] = Field(
        default_factory=list, description="Names of models to leave out; `*` stands for any text, as in `pooled.*`."
    )


class Future(Closed):
    """Leaving out the future: the rows at each time are predicted given those at all earlier times."""

    future: Column = Field(
        description="Column of time: numbers, or a text whose levels stand in order under `data.ordered`; all rows that share a "
        "value are predicted together."
    )
    after: Annotated[int, Field(ge=1)] = Field(
        description="How many of the times, from the first on, are seen before the first prediction."
    )
    steps: Annotated[int, Field(ge=1)] = Field(1, description="How many times ahead are predicted, jointly.")
    pareto_k: Annotated[float, Field(gt=0, le=0.7)] = Field(
        0.7,
        description="Pareto k above which the model is fitted anew to the times seen so far; 1 - 1/log10(draws) where that is "
        "lower.",
    )
    most_refits: Annotated[int, Field(ge=1, le=10_000)] = Field(
        50,
        description="Most fits of one model to earlier times. Where more are needed the run stops and says so; fits made are "
        "kept.",
    )


class Comparison(Closed):
    """One comparison of models."""

    models: list[Pattern] = Field(
        min_length=1,
        description="Names of the models to compare, those of the grid among them; `*` stands for any text.",
    )
    reference: str | None = Field(
        None, description="Model that the text speaks from; differences are always from the best model."
    )
    leave_out: list[Unit | Future] = Field(
        default=["observation"],
        min_length=1,
        description="What is left out at a time when scoring, one table for each: `observation` (one row), a grouping of "
        "the data such as `county` or `school:class` (all rows of one level, predicted jointly as a new one), or the future, "
        "`{future: day, after: 3}` (all rows at the next time and after it).",
    )


class Published(Closed):
    """One published number, and what was printed beside it, that the study is to reproduce.

    It counts as reproduced where our number differs by no more than half a unit of its last printed digit plus three times
    the Monte Carlo error of both. Nothing in a study file changes that rule.
    """

    model: Name = Field(description="Model of this study that the number belongs to.")
    quantity: Annotated[str, StringConstraints(min_length=1, max_length=300)] = Field(
        description="What the number is of, as parameters are written: `b(floor)`, `sd(county: Intercept)`, "
        "`var(county: Intercept)`, `cor(county: Intercept, floor)`, `cov(...)`, `sigma`, `var(sigma)`, "
        "`school[A: Intercept]`, `coef(school[A]: Intercept)`, `icc(school)`, `exp(b(floor))`, `expit(Intercept)`, "
        "`log_likelihood`, `reml_criterion`, `elpd_loo`, `elpd_diff(pooled)`."
    )
    value: Printed = Field(description="The number, digit for digit as printed.")
    sd: Printed | None = Field(None, description="The posterior standard deviation printed beside it.")
    se: Printed | None = Field(
        None, description="The standard error printed beside an ML or REML estimate, or a score."
    )
    lower: Printed | None = Field(None, description="The lower end of the 95% interval printed beside it.")
    upper: Printed | None = Field(None, description="The upper end of the 95% interval printed beside it.")
    mcse: Annotated[float, Field(ge=0)] | None = Field(
        None, description="The Monte Carlo standard error of `value` that the source gives; 0 if left out."
    )
    digits: Annotated[int, Field(ge=-9, le=15)] | None = Field(
        None, description="Decimals that `value` is printed with; read off the number if left out."
    )
    statistic: Literal["mean", "median", "sd", "lower", "upper", "estimate", "se"] | None = Field(
        None,
        description="What `value` is: of a posterior its `mean` if left out, of any other estimator the `estimate`.",
    )
    estimator: Literal["posterior", "ml", "reml", "quadrature", "laplace", "pql", "empirical_bayes", "other"] = Field(
        "posterior",
        description="How the number was computed. `ml`, `reml` and `quadrature` are compared with our own fit of the "
        "same design, never with a posterior mean: normal responses in closed form, Bernoulli, binomial and Poisson ones with up "
        "to two effects of one grouping by adaptive Gauss-Hermite quadrature, as exact as printed numbers are. Those after "
        "`quadrature` are shown as not comparable.",
    )
    priors: Text | None = Field(
        None,
        description="The priors of the published analysis where they are not this model's; its numbers are then shown "
        "as not comparable.",
    )
    source: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] = Field(
        description="Where the number stands: work, table or page."
    )
    note: Text | None = Field(None, description="What is known of a disagreement; shown beside the number.")


class SamplerOverride(Closed):
    """Sampler settings that a study may change."""

    chains: Annotated[int, Field(ge=2, le=64)] | None = Field(None, description="Number of chains.")
    draws: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(None, description="Draws kept from each chain.")
    tune: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(None, description="Warm-up draws of each chain.")
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] | None = Field(
        None, description="Acceptance probability that the step size is tuned to."
    )
    max_treedepth: Annotated[int, Field(ge=5, le=20)] | None = Field(None, description="Largest depth of a NUTS tree.")


class Trajectories(Closed):
    """Who is followed over time: what each model expects of them is drawn over the times measured, and of a new one."""

    time: Column = Field(description="Column of numbers: when a row was measured. Gaps may be of any length.")
    subject: Column = Field(description="Column that says who, or what, was measured.")
    most: int = Field(11, ge=1, le=60, description="Most subjects that are drawn; of more, so many evenly spaced ones.")


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
    grid: Grid = Field(
        default_factory=Grid, description="Axes crossed with the models, such as several sets of priors."
    )
    comparisons: dict[Name, Comparison] = Field(
        default_factory=dict, description="The comparisons by name; one of all models if left out."
    )
    trajectories: Trajectories | None = Field(
        None, description="Who is followed over time, where trajectories are to be drawn."
    )
    published: list[Published] = Field(
        default_factory=list,
        description="Published numbers to reproduce; results/<study>/replication.csv says which were.",
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
        return None, _explained(kind, [_Found.of(content, item) for item in error.errors()], lines)


@dataclass(frozen=True)
class _Found:
    """One error of pydantic, its place told apart from the branches of unions that pydantic writes into it.

    Parameters
    ----------
    parts
        Keys and positions in the file.
    branch
        Whether it is about a branch of a union as a whole: text where the file may also have a list.
    item
        The error.
    """

    parts: tuple[str | int, ...]
    branch: bool
    item: Any

    @classmethod
    def of(cls, content: Any, item: Any) -> _Found:
        """Follow pydantic's location through the content: what leads nowhere there is the name of a branch."""
        parts: list[str | int] = []
        branch, here = False, content
        location = [part for part in item["loc"] if part != "[key]"]
        for position, part in enumerate(location):
            last = position == len(location) - 1
            inside = (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int))
            if inside or (last and item["type"] == "missing"):
                parts.append(part)
                here = here[part] if inside else None
            else:
                branch = branch or last
        return cls(tuple(parts), branch, item)

    @property
    def mismatch(self) -> bool:
        """Whether it says that a branch is of another type than the file's value."""
        return self.branch and str(self.item["type"]).endswith("_type")


def _explained(kind: type[Closed], found: list[_Found], lines: dict[str, int]) -> list[Problem]:
    """Turn pydantic's errors into sentences; of a union, only those of the branch that was meant."""
    problems: list[Problem] = []
    for one in found:
        alike = [one]
        if one.mismatch:
            inside = [other for other in found if other.parts[: len(one.parts)] == one.parts]
            alike = [other for other in inside if other.mismatch and other.parts == one.parts]
            if len(alike) < len(inside) or one is not alike[0]:
                continue  # another branch is meant, or this was told with the first branch
        if one.item["type"] == "literal_error":  # what else might stand in its place
            alike = [other for other in found if other.mismatch and other.parts == one.parts]
        problems.append(_explain(kind, one, [_NOUNS.get(other.item["type"], "a mapping") for other in alike], lines))
    return problems


_NOUNS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
}
"""What pydantic's errors of type ask for; a mapping otherwise."""

_BOUNDS = {
    "greater_than_equal": ("ge", "is too small", "at least"),
    "greater_than": ("gt", "is too small", "above"),
    "less_than_equal": ("le", "is too large", "at most"),
    "less_than": ("lt", "is too large", "below"),
}


MOST_KEYS = 20
"""Keys that are listed where one is not known."""


def _explain(kind: type[Closed], found: _Found, wanted: list[str], lines: dict[str, int]) -> Problem:
    """Turn one pydantic error into a sentence with its place and what was probably meant."""
    path = ""
    for part in found.parts:
        path = f"{path}[{part}]" if isinstance(part, int) else (f"{path}.{part}" if path else str(part))
    where = f"{path} (line {lines[path]})" if path in lines else path
    error, value, context = found.item["type"], found.item.get("input"), found.item.get("ctx", {})
    last = str(found.parts[-1]) if found.parts else ""
    if error == "extra_forbidden":
        return Problem(
            where, f"unknown key '{last}'", did_you_mean(last, _keys_at(kind, list(found.parts[:-1])), most=MOST_KEYS)
        )
    if error == "missing":
        return Problem(where, f"the key '{last}' is missing")
    if error == "literal_error":
        expected = [a or b for a, b in re.findall(r"'(.*?)'(?=, | or |$)|\"(.*?)\"", str(context["expected"]))]
        expected = [*(["true", "false"] if "true or false" in wanted else []), *expected]
        marks = any(not choice.isidentifier() for choice in expected)
        hint = f"choose from {' '.join(map(repr, expected))}" if marks else did_you_mean(str(value), expected)
        return Problem(where, f"'{value}' is not one of the choices", hint)
    if error == "string_pattern_mismatch" and context["pattern"] == GROUPING:
        hint = "write a column, or several as in school:class"
        return Problem(where, f"'{value}' is no valid name of a grouping", hint)
    if error == "string_pattern_mismatch":
        return Problem(where, *_no_name(str(value), context["pattern"] == NAME_ALONE, "[key]" in found.item["loc"]))
    if error in _BOUNDS and isinstance(value, float) and math.isnan(value):
        return Problem(where, "nan is no number")
    if error in _BOUNDS:
        key, message, words = _BOUNDS[error]
        return Problem(where, f"{value} {message}", f"it must be {words} {context[key]}")
    if error in {"too_short", "string_too_short"}:
        return Problem(where, "is empty", "" if error == "string_too_short" else "name at least one")
    if error == "string_too_long":
        return Problem(where, f"has {len(str(value))} characters", f"at most {context['max_length']} are taken")
    if error == "printed_number":
        return Problem(where, f"{value!r} {found.item['msg']}")
    if error.endswith("_type"):
        return _of_other_type(where, value, list(dict.fromkeys(wanted)))
    return Problem(where, f"{value!r} is not taken here"[:300], str(found.item["msg"]).lower())


def _no_name(value: str, of_user: bool, is_key: bool) -> tuple[str, str]:
    """Return message and hint for a text that is no name of a model (`of_user`) or of a column."""
    if of_user:
        return f"'{value}' is no valid name", "use letters, digits and _, starting with a letter, at most 64"
    if is_key:
        return f"'{value}' is no valid name of a column", "use letters, digits and _, starting with a letter"
    return f"'{value}' is no valid name of a column", "give it one of letters, digits and _ under data.rename"


def _of_other_type(where: str, value: Any, wanted: list[str]) -> Problem:
    """Say what should stand where a value of another type does."""
    if "a number" in wanted:
        wanted = [noun for noun in wanted if noun != "a whole number"]
    nouns = " or ".join(wanted)
    if value is None:
        return Problem(where, f"has no value where {nouns} should be", "write one after the colon")
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    hint = ""
    if "text" in wanted and isinstance(value, int | float):
        hint = "quote it"
    elif wanted == ["a list"] and isinstance(value, str):
        hint = f"write [{value}]"
    return Problem(where, f"{shown if len(shown) <= 60 else 'what stands there'} should be {nouns}", hint)


def _keys_at(kind: type[BaseModel], parts: list[Any]) -> list[str]:
    """Return the keys accepted at a place, following the model's own annotations."""
    here: Any = kind
    for part in parts:
        here = _inside(here, part)
    shapes = [shape for shape in (here, *get_args(here)) if isinstance(shape, type) and issubclass(shape, BaseModel)]
    return list(shapes[0].model_fields) if shapes else []


def _inside(annotation: Any, part: Any) -> Any:
    """Return the annotation of what stands under a key or at a position; None where nothing can."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[part].annotation if part in annotation.model_fields else None
    arguments = get_args(annotation)
    if get_origin(annotation) in {dict, list}:
        return arguments[-1]
    return next((found for a in arguments if (found := _inside(a, part)) is not None), None)
