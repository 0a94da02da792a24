"""The shape of a study file is closed, every leaf of it is explained, and an error says where, what and what was meant."""

from __future__ import annotations

import types
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from multilevel import schema, strict_yaml

SOUND = "title: t\ndata: {table: d.csv}\nmodels: {a: {formula: y ~ x}}\n"


def problems_of(text: str, kind: type[schema.Closed] = schema.Study) -> list[str]:
    content, lines = strict_yaml.parse(text)
    return [str(problem) for problem in schema.validate(kind, content, lines)[1]]


def test_a_sound_study_has_no_problems_and_its_defaults() -> None:
    content, lines = strict_yaml.parse(SOUND)
    study, problems = schema.validate(schema.Study, content, lines)
    assert problems == []
    assert study.defaults.family == "gaussian"
    assert study.seed == 1
    assert study.models["a"].centred is False
    assert study.comparisons == {}


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("titel: x", "titel (line 4): unknown key 'titel'; did you mean 'title'?"),
        ("defaults: {familiy: x}", "defaults.familiy (line 4): unknown key 'familiy'; did you mean 'family'?"),
        ("sampler: {chain: 4}", "sampler.chain (line 4): unknown key 'chain'; did you mean 'chains'?"),
        ("seed: '1'", "seed (line 4): '1' should be a whole number"),
        ("seed: 1.5", "seed (line 4): 1.5 should be a whole number"),
        ("seed: true", "seed (line 4): true should be a whole number"),
        ("seed: -1", "seed (line 4): -1 is too small; it must be at least 0"),
        ("question: 2001", "question (line 4): 2001 should be text; quote it"),
        ("defaults: {priors: {b: 5}}", "defaults.priors.b (line 4): 5 should be text; quote it"),
        ("defaults: null", "defaults (line 4): has no value where a mapping should be; write one after the colon"),
        ("sampler: {draws: 10}", "sampler.draws (line 4): 10 is too small; it must be at least 100"),
        ("sampler: {target_accept: 1.0}", "sampler.target_accept (line 4): 1.0 is too large; it must be below 1.0"),
        ("comparisons: []", "comparisons (line 4): [] should be a mapping"),
        ("comparisons: {m: {models: a}}", "comparisons.m.models (line 4): 'a' should be a list; write [a]"),
        (
            "comparisons: {m: {models: [a], leave_out: []}}",
            "comparisons.m.leave_out (line 4): is empty; name at least one",
        ),
        (
            "comparisons: {m.x: {models: [a]}}",
            "comparisons.m.x (line 4): 'm.x' is no valid name; use letters, digits and _, starting with a letter, at most 64",
        ),
    ],
)
def test_a_problem_says_where_what_and_what_was_meant(added: str, problem: str) -> None:
    assert problems_of(SOUND + added) == [problem]


def test_the_choices_are_listed_where_nothing_is_near() -> None:
    [problem] = problems_of(SOUND + "axes: {}")
    assert problem.startswith("axes (line 4): unknown key 'axes'; choose from citation, comparisons, data,")


@pytest.mark.parametrize(
    ("models", "problems"),
    [
        ("{a: y ~ x}", ["models.a (line 3): 'y ~ x' should be a mapping"]),
        ("{a: {}}", ["models.a.formula: the key 'formula' is missing"]),
        (
            "{a: {formula: y ~ x, prior: {}}}",
            ["models.a.prior (line 3): unknown key 'prior'; did you mean 'priors'?"],
        ),
        (
            "{a: {formula: y ~ x, centred: 1}}",
            ["models.a.centred (line 3): '1' is not one of the choices; choose from auto, false, hierarchical, true"],
        ),
        # A model may be called as one of the keys is.
        (
            "{formula: {formula: y ~ x, prior: {}}}",
            ["models.formula.prior (line 3): unknown key 'prior'; did you mean 'priors'?"],
        ),
        (
            "{a: {fromula: y ~ x}, b: {formula: 3}}",
            [
                "models.a.formula: the key 'formula' is missing",
                "models.a.fromula (line 3): unknown key 'fromula'; did you mean 'formula'?",
                "models.b.formula (line 3): 3 should be text; quote it",
            ],
        ),
    ],
)
def test_every_problem_of_the_models_is_told(models: str, problems: list[str]) -> None:
    assert problems_of(f"title: t\ndata: {{table: d.csv}}\nmodels: {models}") == problems


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ("{}", ["data.table: the key 'table' is missing"]),
        ("{table: a, join: {table: b}}", ["data.join (line 3): {'table': 'b'} should be a list"]),
        ("{table: a, join: [{table: b}]}", ["data.join[0].by: the key 'by' is missing"]),
        (
            "{table: a, join: [{table: b, by: 5}]}",
            ["data.join[0].by (line 3): 5 should be text or a list or a mapping; quote it"],
        ),
        (
            "{table: a, join: [{table: b, by: k, cardinality: many}]}",
            [
                "data.join[0].cardinality (line 3): 'many' is not one of the choices; choose from many_to_one, one_to_one"
            ],
        ),
        (
            "{table: a, centre: {x: {column: x, with: g}}}",
            ["data.centre.x.with (line 3): unknown key 'with'; did you mean 'within'?"],
        ),
        ("{table: a, reference: {g: 1}}", ["data.reference.g (line 3): 1 should be text; quote it"]),
        ("{table: a, groups: {g: {}}}", ["data.groups.g.within: the key 'within' is missing"]),
        # A choice of shapes gives one problem, that of the shape that was meant.
        ("{table: a, join: [{table: b, by: {k: 3}}]}", ["data.join[0].by.k (line 3): 3 should be text; quote it"]),
        ("{table: a, missing: -99}", ["data.missing (line 3): -99 should be a list or a mapping"]),
        (
            "{table: a, missing: [.nan]}",
            ["data.missing[0] (line 3): nan is not taken here; input should be a finite number"],
        ),
        ("{table: a, missing: [true]}", ["data.missing[0] (line 3): true should be text or a number; quote it"]),
        ("{table: a, missing: {age: 999}}", ["data.missing.age (line 3): 999 should be a list"]),
        ("{table: a, missing: {age: [[1]]}}", ["data.missing.age[0] (line 3): [1] should be text or a number"]),
        ("{table: a, ordered: [s]}", ["data.ordered (line 3): ['s'] should be a mapping"]),
        ("{table: a, decimal: ';'}", ["data.decimal (line 3): ';' is not one of the choices; choose from '.' ','"]),
        (
            "{table: a, thousands: x}",
            ["data.thousands (line 3): 'x' is not one of the choices; choose from ',' '.' ' ' \"'\" '_'"],
        ),
        (
            "{table: a, reshape: {column: {y: 5}}}",
            [
                "data.reshape.columns: the key 'columns' is missing",
                "data.reshape.column (line 3): unknown key 'column'; did you mean 'columns'?",
            ],
        ),
        (
            "{table: a, reshape: {columns: {y: 5}}}",
            ["data.reshape.columns.y (line 3): 5 should be a list or text; quote it"],
        ),
        (
            "{table: a, reshape: {columns: {y: [5]}}}",
            ["data.reshape.columns.y[0] (line 3): 5 should be text; quote it"],
        ),
        ("{table: a, reshape: {columns: {y: [a, null]}, into: {t: [1, x, 2.5]}}}", []),
        ("{table: a, missing: {'a b': ['.', -9, 9.5]}, ordered: {g: [1, two]}}", []),
    ],
)
def test_every_problem_of_the_data_is_told(data: str, problems: list[str]) -> None:
    assert problems_of(f"title: t\nmodels: {{a: {{formula: y ~ x}}}}\ndata: {data}") == problems


def test_one_of_several_keys_to_join_by_is_told_by_its_place() -> None:
    [problem] = problems_of(
        "title: t\nmodels: {a: {formula: y ~ x}}\ndata: {table: a, join: [{table: b, by: [k, 'a b']}]}"
    )
    assert problem == (
        "data.join[0].by[1] (line 3): 'a b' is no valid name of a column; "
        "give it one of letters, digits and _ under data.rename"
    )


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("a", True),
        ("A_1", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("1a", False),
        ("_a", False),
        ("a.b", False),
        ("a-b", False),
        ("a/b", False),
        ("..", False),
        ("ä", False),
        ('"a\\n"', False),
        ('""', False),
    ],
)
def test_names_are_safe_in_paths_and_rules(name: str, sound: bool) -> None:
    problems = problems_of(f"title: t\ndata: {{table: d.csv}}\nmodels: {{{name}: {{formula: y ~ x}}}}")
    assert (problems == []) is sound


def test_a_study_cannot_be_changed_after_it_was_checked() -> None:
    content, lines = strict_yaml.parse(SOUND)
    study, _ = schema.validate(schema.Study, content, lines)
    with pytest.raises(Exception, match="frozen"):
        study.title = "other"


def test_config_lists_at_least_one_study() -> None:
    assert problems_of("studies: []", schema.Config) == ["studies (line 1): is empty; name at least one"]


def leaves(kind: type[BaseModel], path: str = "") -> dict[str, str | None]:
    """Return every key of a shape and of the shapes inside it, with its description."""
    found: dict[str, str | None] = {}
    for name, field in kind.model_fields.items():
        found[f"{path}{name}"] = field.description
        for inner in shapes_in(field.annotation):
            found |= leaves(inner, f"{path}{name}.")
    return found


def shapes_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [shape for argument in get_args(annotation) for shape in shapes_in(argument)]


@pytest.mark.parametrize("kind", [schema.Study, schema.Config])
def test_every_leaf_has_a_sentence(kind: type[BaseModel]) -> None:
    found = leaves(kind)
    assert len(found) > 10
    without = [path for path, words in found.items() if not words or not words.rstrip().endswith(".")]
    assert without == []


@pytest.mark.parametrize("kind", [schema.Study, schema.Config])
def test_every_mapping_is_closed_in_the_schema_for_editors(kind: type[BaseModel]) -> None:
    made = kind.model_json_schema()
    for shape in [made, *made["$defs"].values()]:
        assert shape["additionalProperties"] is False, shape["title"]
        assert shape["description"]
