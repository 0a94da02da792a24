"""A plan: every problem of a study at once and what was meant; seeds, priors and fingerprints that belong to one model alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from fixtures.radon import MODELS, radon_plan

from multilevel import plan, priors, study
from multilevel.errors import StudyError

CONFIG = "studies: [study.yaml]\n"
TABLE = "y,count_,x,floor,county,id\n" + "".join(
    f"{i * i % 7}.5,{i},{i % 5},{i % 2},{'ABC'[i % 3]},{i}\n" for i in range(12)
)


def write(folder: Path, models: str, rest: str = "", table: str = TABLE, name: str = "study.yaml") -> Path:
    (folder / "houses.csv").write_text(table)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / name).write_text(f"title: t\ndata: {{table: houses.csv}}\nmodels:\n{indented(models)}\n{rest}\n")
    return folder / name


def indented(models: str) -> str:
    return "\n".join(f"  {line}" for line in models.strip().splitlines())


def made(folder: Path, models: str, rest: str = "", **other: str) -> dict[str, Any]:
    path = write(folder, models, rest, **other)
    return plan.make(Path(path.name), plan.read_config(folder / "config.yaml"), folder)


def problems(folder: Path, models: str, rest: str = "", **other: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        made(folder, models, rest, **other)
    assert caught.value.source == "study.yaml"
    return [str(problem) for problem in caught.value.problems]


AS_MANY = (
    "the group 'id' has as many levels as rows (12), so its effects cannot be told from residuals; "
    "group by a column that repeats"
)
DIFFERENT = "scores of different responses cannot be compared; compare models of one response"
TWO = "pooled: {formula: y ~ x}\nvarying: {formula: y ~ x + (1 | county)}"


# Every problem at once.


def test_all_problems_of_the_texts_are_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
a: {formula: y ~ lgo(x)}
b: {formula: y ~ x, family: gausian}
c: {formula: y ~ x, priors: {b: "nromal(0, 1)", sd: "normal(0, 1)", bb: "normal(0, 1)"}}
d: {formula: "~ x"}
""",
        """
defaults: {priors: {sigma: exponential(0)}}
comparisons:
  main: {models: [b, e*], reference: f}
""",
    )
    assert found == [
        "defaults.priors.sigma: 'exponential(0)': rate must be above 0 in exponential(rate)",
        "models.a.formula: 'lgo(x)': the function 'lgo' is not allowed in a formula; did you mean 'log'?",
        "models.b.family: unknown family 'gausian'; did you mean 'gaussian'?",
        "models.c.priors.b: unknown prior 'nromal'; did you mean 'normal'?",
        f"models.c.priors.sd: normal cannot be the prior of a standard deviation (sd); choose from {', '.join(priors.POSITIVE)}",
        "models.c.priors.bb: unknown parameter 'bb'; did you mean 'b'?",
        "models.d.formula: names no response; write 'y ~ ...' or set defaults.response",
        "comparisons.main.models: unknown model 'e*'; choose from a, b, c, d",
        "comparisons.main.reference: unknown model 'f'; choose from a, b, c, d",
    ]


def test_all_problems_with_the_data_are_told_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        """
a: {formula: y ~ flor + (1 | count)}
b: {formula: y ~ x + I(2 * x)}
c: {formula: y ~ x + (1 | id)}
d: {formula: "y ~ x", priors: {b(county): "normal(0, 1)", "sd(county)": exponential(1)}}
""",
    ) == [
        "models.a.formula: unknown column 'count'; did you mean 'county'?",
        "models.a.formula: unknown column 'flor'; did you mean 'floor'?",
        "models.b.formula: collinear columns: 'I(2 * x)' can be computed from the columns before; leave one out",
        f"models.c.formula: {AS_MANY}",
        "models.d.priors.b(county): the model has no parameter 'b(county)'; choose from Intercept, b, b(x), sigma",
        "models.d.priors.sd(county): the model has no parameter 'sd(county)'; choose from Intercept, b, b(x), sigma",
    ]


def test_problems_of_the_shape_come_with_their_lines(tmp_path: Path) -> None:
    assert problems(tmp_path, "a: {formula: y ~ x, lable: x}", "seed: -1") == [
        "seed (line 5): -1 is too small; it must be at least 0",
        "models.a.lable (line 4): unknown key 'lable'; did you mean 'label'?",
    ]


@pytest.mark.parametrize(
    ("models", "rest", "problem"),
    [
        ("a: {formula: y ~ x}", "defaults: {response: z}", "models.a.formula: the response 'y' differs from defaults.response"),
        (TWO, "defaults: {priors: {b(flor): 'normal(0, 1)'}}", "defaults.priors.b(flor): no model has a parameter 'b(flor)'"),
        (TWO, "defaults: {priors: {cor: lkj(1)}}", "defaults.priors.cor: no model has a parameter 'cor'"),
        (
            TWO,
            "comparisons: {m: {models: [pooled], reference: pooled}}",
            "comparisons.m.models: only 'pooled' is left to compare; name at least two models",
        ),
        (
            f"{TWO}\nthird: {{formula: y ~ 1}}",
            "comparisons: {m: {models: [pooled, varying], reference: third}}",
            "comparisons.m.reference: 'third' is not among the models compared",
        ),
        (
            "a: {formula: y ~ x}\nb: {formula: count_ ~ x}",
            "",
            f"comparisons.main.models: 'b' models 'count_' and 'a' models 'y': {DIFFERENT}",
        ),
        (
            "a: {formula: y ~ x}\nb: {formula: y ~ 1}\nc: {formula: count_ ~ x}",
            "comparisons: {ys: {models: [a, b]}, all: {models: ['*']}}",
            f"comparisons.all.models: 'c' models 'count_' and 'a' models 'y': {DIFFERENT}",
        ),
        (
            "a: {formula: 'y ~ x'}\nb: {formula: 'y | weights(x + 1) ~ 1'}",
            "",
            "comparisons.main.models: 'b' counts rows by weights(x + 1) and 'a' once each: such scores cannot be compared",
        ),
        (
            "a: {formula: y ~ x, parameters: {sgima: 1 + x}}",
            "",
            "models.a.parameters.sgima: the family gaussian has no parameter 'sgima' to predict; did you mean 'sigma'?",
        ),
        (
            "a: {formula: y ~ x, parameters: {mu: 1 + x}}",
            "",
            "models.a.parameters.mu: the family gaussian has no parameter 'mu' to predict; its linear predictor is the formula's",
        ),
        (
            "a: {formula: y ~ x, parameters: {sigma: y ~ 1 + x}}",
            "",
            "models.a.parameters.sigma: 'y ~ 1 + x' names a response; the formula of a parameter has only a right-hand side",
        ),
        (
            "a: {formula: y ~ x, parameters: {sigma: 1 + y}}",
            "",
            "models.a.parameters.sigma: the response 'y' cannot explain itself",
        ),
        (
            "a: {formula: y | se(id) ~ x, parameters: {sigma: 1 + x}}",
            "",
            "models.a.parameters.sigma: 'sigma' is known here, because the formula gives standard errors",
        ),
        (
            "a: {formula: count_ | trials(id + 1) ~ x}",
            "",
            ("models.a.formula: the family gaussian takes no trials(); families that take it: beta_binomial, binomial, "
            "zero_inflated_binomial"),
        ),
        (
            "a: {formula: count_ | trunc(lb=0) ~ x, family: zero_inflated_poisson}",
            "",
            "models.a.formula: the family zero_inflated_poisson takes no trunc(); families that take it: beta, beta_binomial, ",
        ),
        (
            "a: {formula: count_ | trunc(lb=1) ~ x, family: poisson}",
            "",
            "models.a.formula: the response 'count_' lies outside the bounds of trunc(lb=1) in 1 rows (0 in row 1, below lb = 1)",
        ),
        (
            "a: {formula: y ~ x, family: poisson}",
            "",
            ("models.a.formula: the response 'y' has values that are no whole numbers, and poisson describes counts "
            "(0.5 in row 1, 12 rows in all); gamma and lognormal take numbers above 0, beta shares between 0 and 1"),
        ),
        (
            "a: {formula: count_ ~ x, family: negative_binomial, link: inverse}",
            "",
            "models.a.link: the family negative_binomial has no link 'inverse'",
        ),
        (
            "a: {formula: count_ ~ x, family: poisson, parameters: {shape: 1 + x}}",
            "",
            ("models.a.parameters.shape: the family poisson has no parameter 'shape' to predict; "
            "poisson has no other parameter than the formula's"),
        ),
        (
            "a: {formula: count_ ~ x, family: zero_inflated_poisson, priors: {zi: exponential(1)}}",
            "",
            "models.a.priors.zi: exponential cannot be the prior of a probability (zi); choose from beta, uniform",
        ),
        (
            "a: {formula: count_ ~ x, family: hurdle_poisson, priors: {zi: 'beta(1, 1)'}}",
            "",
            "models.a.priors.zi: the model has no parameter 'zi'; choose from Intercept, b, b(x), hu",
        ),
        (
            "a: {formula: y ~ x, link: logit}",
            "",
            "models.a.link: the family gaussian has no link 'logit'; did you mean 'log'?",
        ),
        (
            "a: {formula: count_ | trials(x) ~ floor, family: binomial}",
            "",
            "models.a.formula: the response 'count_' has more successes than trials (5 of 0 in row 6, 7 rows in all)",
        ),
        (
            "a: {formula: y ~ x, parameters: {sigma: 1 + flor}}",
            "",
            "models.a.formula: unknown column 'flor'; did you mean 'floor'?",
        ),
        (
            "a: {formula: y ~ (1 | county:flor)}",
            "",
            "models.a.formula: unknown column 'flor'; did you mean 'floor'?",
        ),
        ("a: {formula: 'y ~ x + offset(lgo(x))'}", "", "models.a.formula: 'lgo(x)': the function 'lgo' is not allowed"),
        ("a: {formula: 'y ~ x + offset(xx)'}", "", "models.a.formula: unknown column 'xx'; did you mean 'x'?"),
        ("a: {formula: county ~ x}", "", "models.a.formula: the column 'county' is text (such as 'A') where numbers are needed"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_run_is_refused(models: str, rest: str, problem: str, tmp_path: Path) -> None:
    found = problems(tmp_path, models, rest)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_models_of_different_responses_may_stand_beside_each_other(tmp_path: Path) -> None:
    rest = "comparisons: {ys: {models: [a, b]}, counts: {models: [c, d]}}"
    models = "a: {formula: y ~ x}\nb: {formula: y ~ 1}\nc: {formula: count_ ~ x}\nd: {formula: count_ ~ 1}"
    assert made(tmp_path, models, rest)["comparisons"]["counts"]["models"] == ["c", "d"]


def test_a_study_named_as_no_study_can_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, TWO, name="my.study.yaml")
    with pytest.raises(StudyError, match=re.escape("'my.study' is no valid name of a study")):
        plan.make(Path(path.name), plan.read_config(tmp_path / "config.yaml"), tmp_path)


# Comparisons.


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ("['*']", ["a1", "a2", "b1", "b2"]),
        ("[b*, a1]", ["b1", "b2", "a1"]),
        ("['*2', '*']", ["a2", "b2", "a1", "b1"]),
        ("[a1, a1, b1]", ["a1", "b1"]),
    ],
)
def test_wildcards_stand_for_models_in_the_order_of_the_study(patterns: str, chosen: list[str], tmp_path: Path) -> None:
    models = "a1: {formula: y ~ 1}\na2: {formula: y ~ x}\nb1: {formula: y ~ floor}\nb2: {formula: y ~ 0 + x}"
    planned = made(tmp_path, models, f"comparisons: {{c: {{models: {patterns}}}}}")
    assert planned["comparisons"]["c"]["models"] == chosen


def test_without_a_comparison_all_models_are_compared(tmp_path: Path) -> None:
    assert made(tmp_path, TWO)["comparisons"] == {
        "main": {"models": ["pooled", "varying"], "reference": None, "leave_out": ["observation"]}
    }
    assert made(tmp_path, "only: {formula: y ~ x}")["comparisons"] == {}


# What identifies a model.


def identity(planned: dict[str, Any], name: str) -> tuple[Any, ...]:
    model = planned["models"][name]
    return tuple(model[key] for key in ("formula", "family", "priors", "centred", "seed", "fingerprint"))


@pytest.mark.parametrize(
    "models",
    [
        f"{TWO}\nanother: {{formula: y ~ floor}}",
        f"first: {{formula: y ~ floor}}\n{TWO}",
        "varying: {formula: y ~ 1 + x + (1 | county), label: L, description: D}\npooled: {formula: y~x}",
    ],
)
def test_another_model_another_order_another_spelling_change_no_model(models: str, tmp_path: Path) -> None:
    before, after = made(tmp_path, TWO), made(tmp_path, models)
    for name in ("pooled", "varying"):
        assert identity(before, name) == identity(after, name)


def test_seeds_differ_between_models_studies_and_study_seeds() -> None:
    seeds = [plan.seed(s, study, model) for s in (1, 2) for study in ("a", "b") for model in ("m", "n", "am")]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert plan.seed(1, "radon", "varying_slope") == plan.seed(1, "radon", "varying_slope")


def test_a_fingerprint_changes_with_the_data_that_a_model_uses_and_no_others(tmp_path: Path) -> None:
    models = "a: {formula: y ~ x}\nb: {formula: y ~ floor + (1 | county)}"
    before = made(tmp_path, models)
    header, row, *rest = TABLE.splitlines(keepends=True)
    y, count, x, *others = row.split(",")
    after = made(tmp_path, models, table=header + ",".join([y, count, str(int(x) + 1), *others]) + "".join(rest))
    assert before["models"]["a"]["fingerprint"] != after["models"]["a"]["fingerprint"]
    assert before["models"]["b"]["fingerprint"] == after["models"]["b"]["fingerprint"]


def test_a_candidate_with_missing_values_drops_its_rows_for_all(tmp_path: Path) -> None:
    table = TABLE.replace("0.5,0,0,0,A,0", "0.5,0,,0,A,0")
    assert made(tmp_path, "a: {formula: y ~ floor}", table=table)["rows"] == 12
    both = made(tmp_path, "a: {formula: y ~ floor}\nb: {formula: y ~ x}", table=table)
    assert both["rows"] == 11
    assert both["drop_missing_in"] == ["x"]
    assert "1 of 12 rows are left out of every model" in " ".join(both["warnings"])


def test_a_models_own_prior_goes_before_the_studys_and_only_its_parameters_have_one(tmp_path: Path) -> None:
    rest = "defaults: {priors: {'sd( county )': 'exponential(1)', b: 'normal(0, 1)'}}"
    models = "a: {formula: y ~ x, priors: {b: 'normal(0, 2)'}}\nb: {formula: y ~ x + (1 | county)}"
    planned = made(tmp_path, models, rest)["models"]
    assert planned["a"]["priors"] == {"b": "normal(0, 2)"}
    assert planned["b"]["priors"] == {"b": "normal(0, 1)", "sd(county)": "exponential(1)"}


def test_a_default_response_stands_where_a_formula_names_none(tmp_path: Path) -> None:
    planned = made(tmp_path, "a: {formula: ~ x}", "defaults: {response: y}")
    assert planned["models"]["a"]["formula"] == "y ~ 1 + x"


def test_one_model_under_two_names_is_noted(tmp_path: Path) -> None:
    planned = made(tmp_path, "a: {formula: y ~ x}\nb: {formula: y ~ 1 + x}")
    assert "Models a and b are the same model under two names; it is fitted once, as a." in planned["warnings"]
    assert (list(planned["models"]), planned["aliases"], planned["comparisons"]) == (["a"], {"b": "a"}, {})


def test_sampler_settings_of_a_study_go_before_those_of_config(tmp_path: Path) -> None:
    assert made(tmp_path, TWO, "sampler: {draws: 200, target_accept: 0.95}")["sampler"] == {
        "chains": 4, "draws": 200, "tune": 1000, "target_accept": 0.95, "max_treedepth": 10,
    }  # fmt: skip


def test_a_plan_is_plain_values(tmp_path: Path) -> None:
    planned = made(tmp_path, TWO)
    assert json.loads(json.dumps(planned)) == planned


def test_the_radon_plan_is_sound() -> None:
    planned = radon_plan()
    assert tuple(planned["models"]) == (*MODELS, "varying_intercept_plus")
    assert planned["warnings"] == []
    assert len({model["seed"] for model in planned["models"].values()}) == len(MODELS) + 1
    # The last model has another coding of the response, so it is in no comparison.
    assert len({planned["models"][name]["response_fingerprint"] for name in MODELS}) == 1
    assert len({model["response_fingerprint"] for model in planned["models"].values()}) == 2
    assert planned["comparisons"]["main"]["models"] == list(MODELS)


# The plan that is kept between runs.


def kept(folder: Path) -> dict[str, Any]:
    return study.load(Path("study.yaml"), Path("config.yaml"), folder)


def test_an_unchanged_study_is_planned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, TWO)
    first = kept(tmp_path)
    monkeypatch.setattr(plan, "make", lambda *_: pytest.fail("planned again"))
    assert kept(tmp_path) == first


@pytest.mark.parametrize("changed", ["study.yaml", "config.yaml", "houses.csv"])
def test_a_change_of_any_file_plans_again(changed: str, tmp_path: Path) -> None:
    write(tmp_path, TWO)
    kept(tmp_path)
    path = tmp_path / changed
    before = path.stat()
    path.write_text(
        path.read_text().replace("title: t", "title: u").replace("studies: [", "studies: [ ").replace("0.5", "9.5")
    )
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    calls: list[Any] = []
    make = plan.make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "make", lambda *arguments: calls.append(arguments) or make(*arguments))
        kept(tmp_path)
    assert len(calls) == 1


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"basis": []}', '{"plan": 1}'])
def test_a_kept_plan_that_is_damaged_is_made_again(content: str, tmp_path: Path) -> None:
    write(tmp_path, TWO)
    first = kept(tmp_path)
    [cache] = (tmp_path / ".cache" / "multilevel").glob("plan-*.json")
    cache.write_text(content)
    assert kept(tmp_path) == first


def test_two_studies_of_one_name_and_a_study_with_problems_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    write(tmp_path, TWO)
    (tmp_path / "other" / "study.yaml").write_text((tmp_path / "study.yaml").read_text())
    (tmp_path / "broken.yaml").write_text("title: t\n")
    config = {"studies": ["study.yaml", "other/study.yaml", "broken.yaml"]}
    with pytest.raises(StudyError) as caught:
        study.load_all(config, Path("config.yaml"), tmp_path)
    assert "two studies are called 'study'" in str(caught.value)
    assert "broken.yaml: 2 problems" in str(caught.value)


def test_values_of_config_from_the_command_line_are_checked_and_used(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    loaded, _ = study.load_all({"studies": ["study.yaml"], "sampler": {"draws": 300}}, Path("config.yaml"), tmp_path)
    assert loaded["study"]["sampler"]["draws"] == 300
    with pytest.raises(StudyError, match=r"config\.yaml with --config: 1 problem"):
        study.load_all({"studies": ["study.yaml"], "sampler": {"draws": 3}}, Path("config.yaml"), tmp_path)
