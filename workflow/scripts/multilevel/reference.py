"""What editors and readers need to write a study file, made from the schema: JSON Schemas and the reference page.

`python -m multilevel schema` writes them; a test fails where they differ from the schema.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from multilevel import (
    curves,
    estimands,
    expressions,
    families,
    formula,
    parameterisation,
    presets,
    prior_predictive,
    priors,
    schema,
    storage,
    structures,
)

FILES: dict[str, type[schema.Closed]] = {"study.schema.json": schema.Study, "config.schema.json": schema.Config}
"""JSON Schemas by file name in config/."""

PAGE = "REFERENCE.md"


def contents() -> dict[str, str]:
    """Return the text of every generated file, by its name in config/."""
    texts = {name: _json_schema(kind, name) for name, kind in FILES.items()}
    return {**texts, PAGE: page()}


def write(folder: Path) -> list[Path]:
    """Write every generated file into a folder and return the paths of those that changed."""
    changed = []
    for name, text in contents().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            storage.write_text(path, text)
            changed.append(path)
    return changed


def _json_schema(kind: type[schema.Closed], name: str) -> str:
    content = {"$id": name, **kind.model_json_schema()}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Return the reference page as Markdown."""
    parts = [
        "# Reference of study files and config.yaml",
        "Generated from the schema by `python -m multilevel schema`; edit the schema, not this page.",
        (
            "Files are YAML 1.2: `no` is text, `1e-3` a number, a key that stands twice is an error, and so is a key that is "
            "not listed here. In VS Code and other editors with the YAML language server, this first line of a study file gives "
            "completion and checks while you type:"
        ),
        "```yaml\n# yaml-language-server: $schema=../study.schema.json\n```",
        "## Study files: `config/studies/<study>.yaml`",
        "A study is called after its file; names are letters, digits and `_`.",
        *_sections(schema.Study, set()),
        "## `config/config.yaml`",
        *_sections(schema.Config, set()),
        "## Formulas",
        "`response ~ fixed part + group terms`, as in lme4 and brms. The fixed part takes what formulaic takes: `+`, `-`, `:`, "
        "`*`, `/`, `^`, `0 +`, and the functions "
        + ", ".join(f"`{t}`" for t in formula.TRANSFORMS)
        + ". `offset(expression)` adds "
        "a term with coefficient 1. Anything else is refused before it is evaluated: a study file is data, not code.",
        (
            "| term | what varies between the levels of `g` |\n|---|---|\n"
            "| `(1 \\| g)` | the intercept |\n"
            "| `(1 + x \\| g)` | the intercept and the effect of `x`, correlated |\n"
            "| `(1 + x \\|\\| g)` | the same, uncorrelated |\n"
            "| `(0 + x \\| g)` | the effect of `x` alone |\n"
            "| `(1 \\| a:b)` | the intercept, between the combinations of `a` and `b` |\n"
            "| `(1 \\| a/b)` | the intercept, between the levels of `a` and, within them, of `b`: `(1 \\| a) + (1 \\| a:b)` |\n"
            "| `(1 \\| id \\| g)` | the intercept, correlated with the effects of all terms of `g` with that id |"
        ),
        (
            "`within(x, g)` is `x` minus the mean of its group, `between(x, g)` that mean minus the mean of all rows, and "
            "`group_mean(x, g)` the mean itself (Mundlak 1978): `y ~ within(x, g) + between(x, g) + (1 | g)` tells the effect "
            "within groups from the one between them."
        ),
        (
            "Beside the response, after a bar, may stand:\n\n"
            "| term | meaning |\n|---|---|\n"
            "| `y \\| trials(n)` | `y` successes out of `n`; `cbind(success, failure)` says the same |\n"
            "| `y \\| weights(w)` | the row counts `w` times, as `w` equal rows (not a precision) |\n"
            "| `y \\| se(s)` | the standard error of `y` is known, as in a meta-analysis; `se(s, sigma=true)` estimates "
            "a residual standard deviation on top |\n"
            "| `y \\| cens(c)` | `c` says whether `y` is observed (`none` or 0), an upper bound (`left` or -1), a lower bound "
            "(`right` or 1) or the start of an interval (`interval` or 2) that ends at `u` in `cens(c, u)` |\n"
            "| `y \\| trunc(lb=a, ub=b)` | only values from `a` to `b` could be observed, one bound or both: the density is "
            "divided by the probability of what could be, and predictions stay within it; of counts the bounds themselves can "
            "be observed, so that `trunc(lb=1)` is for counts without zeros |\n\n"
            "Several are added: `y | weights(w) + cens(c)`. Models whose rows are weighted, censored, truncated or counted out "
            "of other trials are not compared. A count that is censored on the right is above the value given, one that is "
            "censored on the left at most that."
        ),
        (
            "Other parameters of the family take linear predictors of their own under `parameters:`, on the scale of their link: "
            "`parameters: {sigma: 1 + x + (1 | g)}`. Their coefficients are named as in brms: `sigma_Intercept`, `b(sigma_x)`, "
            "`sd(g: sigma_Intercept)`. An id shared with the response's formula makes their effects correlated: "
            "`cor(g: Intercept, sigma_Intercept)`."
        ),
        (
            "A group may say more of its levels, as in brms. `(1 | gr(g, cov = K))` draws the effects with a known covariance "
            "over levels, `data.covariances`; `(1 | gr(g, by = f))` gives a covariance of effects for each level of `f`, which "
            "is constant within levels of `g`: `sd(g: Intercept:f[A])`, `cor(g: f[A])`; `(1 | gr(g, dist = student))` draws "
            "student-t effects, whose `sd` is the scale of the t and whose degrees of freedom are `df(g)`. "
            "`(1 | mm(a, b, weights = cbind(u, v)))` is multiple membership: a row belongs to the levels that `a` and `b` name, "
            "which are the levels of one grouping called `a+b`, and has the sum of their effects times weights. Weights are "
            "columns or expressions of columns, of either sign, and are taken as they are: `cbind(1, -1)` is the difference of "
            "two levels. `scale = true` divides those of a row by their sum, which brms does unless told otherwise; "
            "`normalised = true` declares that they sum to 1, which is checked. Without weights each of k columns counts 1/k. "
            "A row that belongs to fewer levels than there are columns repeats one with a weight of 0. Of all these effects "
            "standardised offsets are sampled, whatever `centred` says."
        ),
        (
            "`(1 | ar1(t))`, or `(1 | gr(t, structure = ar1))`, draws the effects of levels that follow each other in time from "
            "a stationary autoregression: two levels are correlated by `phi(t)` to the power of the whole steps between them, "
            "levels that were not seen counted, and `sd(t)` is that of any one level. `(1 | rw(t))` draws them from a random "
            "walk: `sd(t)` is that of a step over one unit of time, gaps make longer steps, and the effects sum to zero. Times "
            "are numbers, or levels in the order that `data.ordered` declares. `ar1(g:t)` has one series for each level of `g`, "
            "the time being the last column."
        ),
        (
            "`residuals:` of a model says how residuals of one subject are correlated beside the group terms, of gaussian "
            "models with the identity link: `ar1(t | g)` has `phi`, between -1 and 1, for whole occasions; `car1(t | g)` has "
            "`phi`, between 0 and 1, for one unit of time as measured; `cs(g)` has `rho`, down to -1 / (n - 1) of the largest "
            "subject; `unstructured(t | g)` has `cor(t: 1, 2)` for each pair of occasions, with one prior, `cor(t)`. The priors "
            "of `phi` and `rho` are `uniform`, `normal` (cut off at the ends) or `beta` (of the place between the ends). The "
            "covariance is D C D, C these correlations and D the residual standard deviations, `sigma` or its formula: "
            "`parameters: {sigma: 0 + C(t)}` gives each occasion its own."
        ),
        (
            "The response of an ordinal family is whole numbers from 1, or a column whose levels are "
            "listed under `data.ordered`. "
            "Its formula has no intercept but thresholds `Intercept[1]`, `Intercept[2]` and so on, one "
            "fewer than categories; a "
            "larger linear predictor means higher categories. `thresholds: equidistant` makes them "
            "`delta` apart. `cs(x)` gives "
            "`x` an effect on each threshold, `b(x[1])`, `b(x[2])`; in a cumulative model thresholds "
            "could then cross, so that it "
            "takes none. `parameters: {disc: x}` predicts the discrimination, which is 1 where the predictors are 0."
        ),
        (
            "The response of the family `categorical` is levels, or whole numbers from 1; the first, "
            "or that of `data.reference`, "
            "is the reference. Every other category has the formula's linear predictor with "
            "coefficients and group effects of its "
            "own, `b(mu_bus_x)`, `sd(g: mu_bus_Intercept)`, or another one under `parameters: {mu_bus: 1 + x}`. With an id, "
            "`(1 | id | g)`, the effects of all categories are correlated."
        ),
        "## Curves (`nonlinear`)",
        (
            "With `nonlinear`, the formula's right-hand side is a curve: columns, numbers, the parameters listed under "
            "`nonlinear`, `+ - * / ^`, and the functions "
            + ", ".join(f"`{f}`" for f in curves.ARITY)
            + "; `where(x < m, a, b)` takes a comparison. Group terms, offsets and splines stand in the formulas of the "
            "parameters, which are those of any linear predictor; coefficients and effects are named after the parameter: "
            "`asymptote_Intercept`, `b(asymptote_x)`, `sd(g: asymptote_Intercept)`, correlated with an id, "
            "`(1 | id | g)`. Where a parameter is above 0, write `exp(log_scale)`, or give its intercept a prior of positive "
            "support (`lognormal`, `half_normal`, `positive_normal`)."
        ),
        (
            "`b(asymptote)` gives one prior to all coefficients of a parameter; priors of classes (`b`, `sd`) are for linear "
            "predictors alone. Of a curve of one's own every intercept needs a prior; with s the sd of that prior, a slope of "
            "x has by default normal(0, 2.5 s / sd(x)), and the sd of an effect of x exponential(sd(x) / s). The sampler starts "
            "at the medians of the priors of the intercepts, or where `start` says, and the curve must be finite there."
        ),
        (
            "Ready-made curves need no priors under the identity link: a least-squares fit to all rows says where each "
            "parameter is (v), and how wide its prior is follows from the sd of the response (levels: normal(v, 2.5 sd(y))), "
            "from that of x (places: normal(v, 2.5 sd(x)); rates: normal(v, 2.5 / sd(x))), or from v itself (what is above 0: "
            "lognormal(log v, 1); factors: normal(v, 2.5 abs(v)); exponents: normal(v, 2.5))."
        ),
        "| curve | what it is | source |\n|---|---|---|\n"
        + "\n".join(
            f"| `{name}{c.usage}` | `{c.text}`: {c.meaning} | {c.source} |" for name, c in curves.READY_MADE.items()
        ),
        "## Expressions (`derive`, `filter`, `offset`)",
        "Columns, numbers, text, `+ - * / // % **`, comparisons, `and`, `or`, `not`, `in [...]`, and the functions "
        + ", ".join(f"`{f}`" for f in expressions.FUNCTIONS)
        + ". `where(condition, a, b)` chooses by row; `mean`, `sd` and the like are over all rows; "
        "`group_mean(x, g)` is the mean of `x` in each row's own group. Conditions count as 1 and 0. Dates are subtracted from "
        "each other and counted in days, `days(visit - start)`, which is also `days_between(start, visit)`; "
        "`days_between(group_min(visit, subject), visit)` counts from each subject's first; they compare with text such as "
        "`'2020-01-31'`. Columns whose levels are `ordered` compare in that order.",
        "## Quantities of published numbers",
        (
            "Names as parameters are written; blanks do not matter. `x` and `z` are effects such as `Intercept` or `floor`, "
            "`g` is a group, `A` one of its levels."
        ),
        "| quantity | what it is |\n|---|---|\n"
        + "\n".join(f"| {', '.join(f'`{n}`' for n in names)} | {text} |" for names, text in estimands.LISTED),
        "## Families",
        (
            "Names and meanings of parameters are those of brms. The first parameter has the formula's linear predictor and "
            "takes any of the links listed, the first one by default; each other parameter has the link in parentheses where it "
            "has a predictor of its own."
        ),
        _listing(families.names(), families.get),
        "Also known as: " + ", ".join(f"`{alias}` for `{name}`" for alias, name in families.ALIASES.items()) + ".",
        "| family | parameters | links of the first | beside the response |\n|---|---|---|---|\n"
        + "\n".join(_family_row(name) for name in families.names()),
        "## Structures over the levels of a group",
        _listing(structures.names(), structures.get),
        "## Priors",
        (
            "A prior is given to a parameter (`sd(county: floor)`), to all of a group or term (`sd(county)`, `b(county)`) "
            "or to a class (`sd`, `b`); the most specific one wins. `Intercept` is at the mean of the predictors. "
            "`sqrt_inverse_gamma(a, b)` of an sd is what BUGS examples write as `1 / sd^2 ~ gamma(a, b)`; `logistic(0, 1)` of a "
            "logit makes every probability equally likely."
        ),
        (
            "`var(...)` and `precision(...)` in the place of `sd(...)`, or of `sigma`, give the prior to the square or to its "
            "inverse; the density of the standard deviation s is then 2 s p(s^2) or 2 s^-3 p(s^-2). `cov(county)` gives one to "
            "the covariance matrix of all effects of a term, instead of to its sds and correlations, and `precision(county)` a "
            "Wishart to its inverse. With scale S, a number (times the identity matrix), a list (the diagonal) or a list of "
            "rows: `inverse_wishart(nu, S)` has density exp(-tr(S X^-1) / 2) |X|^(-(nu + p + 1) / 2) up to a constant and "
            "`wishart(nu, S)` exp(-tr(S^-1 X) / 2) |X|^((nu - p - 1) / 2), p the number of effects. `dwish(R, k)` of BUGS is "
            "`precision(county): wishart(k, R^-1)` or, the same, `cov(county): inverse_wishart(k, R)`; `list(V = V, nu = nu)` of "
            "MCMCglmm is `cov(county): inverse_wishart(nu, nu V)`. `decov` is rstanarm's, with sds in units of sigma for a "
            "gaussian response. `flat` and `half_flat` are improper: they give no Bayes factors, and nothing is drawn from them."
        ),
        ("`priors_preset` takes the defaults of another package instead, each as it states them itself:"),
        _listing(presets.names(), presets.module),
        "## Parameterisations",
        (parameterisation.__doc__ or "").strip(),
        "## Prior predictive gate",
        (
            f"{prior_predictive.DRAWS} draws from the priors, for up to {prior_predictive.ROWS} rows, are compared with the data "
            f"before any fit. Warned of: a central 90 % wider than {prior_predictive.FACTOR:g} times the range of the data (on "
            "the log scale under log-like links); a median of the data outside the central 98 %; for proportions, more than "
            f"{100 * prior_predictive.MOST_AT_EDGE:.0f} % of means within {prior_predictive.EDGE:g} of 0 or 1. Categories are "
            "not compared."
        ),
        "## Distributions",
        "| distribution | for |\n|---|---|\n"
        + "\n".join(
            f"| `{name}({', '.join(arguments)})` | {_takers(name)} |" for name, arguments in priors.SIGNATURES.items()
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _sections(kind: type[BaseModel], seen: set[str]) -> list[str]:
    """Return a table of a shape's keys, then the same for each shape inside it."""
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    inner: list[type[BaseModel]] = []
    for name, info in kind.model_fields.items():
        rows.append(f"| `{name}` | {_type(info)} | {_default(info)} | {_escape(info.description or '')} |")
        inner += [shape for shape in _shapes(info.annotation) if shape.__name__ not in seen]
    doc = re.sub(r"\s+", " ", (kind.__doc__ or "").strip())
    parts = ([f"### {kind.__name__}"] if seen else []) + [doc, "\n".join(rows)]
    seen.add(kind.__name__)
    for shape in inner:
        if shape.__name__ not in seen:
            parts += _sections(shape, seen)
    return parts


def _shapes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [shape for argument in get_args(annotation) for shape in _shapes(argument)]


def _type(info: FieldInfo) -> str:
    return _escape(_words(info.annotation))


def _words(annotation: Any) -> str:
    """Return a type in words."""
    simple = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    simple |= {schema.Printed: "number as printed"}
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    arguments = [a for a in get_args(annotation) if a is not type(None)]
    origin = getattr(annotation, "__origin__", None)
    if origin is dict:
        return f"mapping of names to {_words(arguments[1])}"
    if origin is list:
        return f"list of {_words(arguments[0])}"
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__)
    if arguments and all(isinstance(a, str) for a in arguments):
        return " or ".join(f"`{a}`" for a in arguments)
    words = list(dict.fromkeys(_words(a) for a in arguments))
    return " or ".join(word for word in words if word != "whole number" or "number" not in words)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None or value is PydanticUndefined:
        return ""
    return f"`{json.dumps(value)}`"


def _takers(prior: str) -> str:
    """Return the classes of parameters that take a prior."""
    return ", ".join(f"`{kind}`" for kind, names in priors.ALLOWED.items() if prior in names)


def _family_row(name: str) -> str:
    """Return a family's parameters, links and response terms as a row of a table."""
    module = families.get(name)
    others = [f"`{p}` ({module.OTHER_LINKS[p]})" for p in module.PARAMETERS[1:]]
    cells = (
        f"`{name}`",
        ", ".join([f"`{module.PARAMETERS[0]}`", *others]),
        ", ".join(module.LINKS),
        ", ".join(f"`{term}`" for term in module.RESPONSE_TERMS),
    )
    return f"| {' | '.join(cells)} |"


def _listing(names: list[str], get: Any) -> str:
    return "\n".join(f"- `{name}`: {' '.join((get(name).__doc__ or '').split())}" for name in names)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
