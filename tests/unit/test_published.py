"""Published numbers in a study file: read digit for digit, resolved to quantities, refused in one sentence before any fit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from multilevel import plan, published, rules
from multilevel.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = plan.read_config(ROOT / "config" / "config.yaml")
STUDY = """\
title: Radon
data:
  table: data/radon/houses.csv
  join: [{table: data/radon/counties.csv, by: county}]
  derive: {log_radon: log(activity + 0.1), log_uranium: log(uranium_ppm)}
models:
  pooled: {formula: log_radon ~ floor}
  varying: {formula: log_radon ~ floor * log_uranium + (1 + floor | county)}
  simple: {formula: log_radon ~ floor + (1 | county)}
published:
"""


def planned(tmp_path: Path, *entries: str) -> dict[str, Any]:
    path = tmp_path / "shown.yaml"
    path.write_text(STUDY + "".join(f"  - {{{entry}}}\n" for entry in entries), encoding="utf-8")
    return plan.make(path, CONFIG, ROOT)


def row(tmp_path: Path, entry: str) -> dict[str, Any]:
    (found,) = planned(tmp_path, entry)["published"]
    return dict(found)


def refusal(tmp_path: Path, *entries: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        planned(tmp_path, *entries)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("1.46", 2),
        ("1.460", 3),
        ("-.0470625", 7),
        ("12.10", 2),
        ("40", 0),
        ("'−0.67'", 2),
        ("5.6e-14", 15),
        ("1.2e3", -2),
    ],
)
def test_digits_are_read_off_the_number_as_it_is_written(tmp_path: Path, written: str, digits: int) -> None:
    assert row(tmp_path, f"model: pooled, quantity: Intercept, value: {written}, source: here")["digits"] == digits


def test_digits_may_say_that_a_trailing_zero_was_printed(tmp_path: Path) -> None:
    entry = "model: pooled, quantity: Intercept, value: 1.4, digits: 3, source: here"
    assert row(tmp_path, entry)["digits"] == 3


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Intercept", "Intercept"),
        ("b(Intercept)", "Intercept"),
        ("b( floor )", "b(floor)"),
        ("b(log_uranium:floor)", "b(floor:log_uranium)"),
        ("sd(county:floor)", "sd(county: floor)"),
        ("var(county: floor)", "var(county: floor)"),
        ("cor(county: floor, Intercept)", "cor(county: Intercept, floor)"),
        ("cov(county: Intercept, floor)", "cov(county: Intercept, floor)"),
        ("sigma", "sigma"),
        ("sigma^2", "var(sigma)"),
        ("var(residual)", "var(sigma)"),
        ("county[ST LOUIS: floor]", "county[ST LOUIS: floor]"),
        ("coef(county[AITKIN]: Intercept)", "coef(county[AITKIN]: Intercept)"),
        ("elpd_loo", "elpd_loo"),
        ("exp(b(floor:log_uranium))", "exp(b(floor:log_uranium))"),
        ("expit( coef(county[AITKIN]:Intercept) )", "expit(coef(county[AITKIN]: Intercept))"),
        ("elpd_diff( pooled )", "elpd_diff(pooled)"),
    ],
)
def test_a_quantity_is_found_as_people_write_it(tmp_path: Path, written: str, name: str) -> None:
    assert row(tmp_path, f"model: varying, quantity: '{written}', value: 1, source: here")["quantity"] == name


def test_what_is_printed_beside_a_number_has_rows_of_its_own(tmp_path: Path) -> None:
    found = planned(
        tmp_path,
        "model: simple, quantity: b(floor), value: -0.69, se: 0.07, estimator: reml, source: here",
        "model: simple, quantity: sigma, value: 0.76, sd: .018, lower: 0.73, upper: 0.80, mcse: 0.001, source: there",
    )["published"]
    assert [(r["statistic"], r["published"], r["digits"], r["mcse"]) for r in found] == [
        ("estimate", "-0.69", 2, 0.0),
        ("se", "0.07", 2, 0.0),
        ("mean", "0.76", 2, 0.001),
        ("sd", ".018", 3, 0.0),
        ("lower", "0.73", 2, 0.0),
        ("upper", "0.80", 2, 0.0),
    ]


def test_the_standard_error_of_a_score_is_a_statistic_of_it(tmp_path: Path) -> None:
    found = row(tmp_path, "model: simple, quantity: se(elpd_loo), value: 28.5, source: here")
    assert (found["quantity"], found["statistic"]) == ("elpd_loo", "se")


def test_a_difference_in_elpd_has_a_standard_error_and_names_the_other_model(tmp_path: Path) -> None:
    entry = "model: simple, quantity: elpd_diff(pooled), value: -5.2, se: 3.1, source: here"
    value, error = planned(tmp_path, entry)["published"]
    assert (value["recipe"], value["parts"], value["statistic"]) == ("criterion", ["pooled"], "estimate")
    assert (error["quantity"], error["published"], error["statistic"]) == ("elpd_diff(pooled)", "3.1", "se")


def test_a_quantity_on_another_scale_is_that_quantity_and_the_scale(tmp_path: Path) -> None:
    found = row(tmp_path, "model: simple, quantity: 'expit(coef(county[AITKIN]: Intercept))', value: 0.8, source: here")
    assert (found["recipe"], found["scale"]) == ("sum", "expit")
    assert found["parts"] == ["Intercept", "county[AITKIN: Intercept]"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("estimator: pql", "it was computed by PQL, whose estimand is neither a posterior mean nor an exact maximum"),
        ("priors: 'normal(0, 1) on all'", "its priors are not this model's: normal(0, 1) on all"),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path: Path, entry: str, reason: str) -> None:
    assert row(tmp_path, f"model: simple, quantity: sigma, value: 0.7, source: here, {entry}")["reason"] == reason


def test_a_number_by_ml_of_a_response_with_terms_of_its_own_is_not_compared() -> None:
    item = published.schema.Published(
        model="m", quantity="Intercept", value=published.schema.Printed("1"), estimator="ml", source="s"
    )
    plain = {"family": "gaussian", "link": "identity", "parameters": {}}

    def reason(model: dict[str, Any], terms: tuple[str, ...] = (), scalars: tuple[str, ...] = ("sigma",)) -> str:
        predictors = ("mu", *model.get("parameters", {}))
        built: Any = SimpleNamespace(terms=dict.fromkeys(terms), scalars=scalars, predictors=predictors)
        built.curve = built.residuals = None
        built.group_terms, built.parameters = (), ("mu", "sigma")
        return published._reason(item, {**plain, **model}, built)

    assert reason({}) == ""
    assert reason({}, ("se",), ()) == ""
    assert reason({"parameters": {"sigma": "1 + x"}}, scalars=()) == ""
    both = reason({"parameters": {"sigma": "1 + x"}}, ("weights",), ())
    assert both == "our fit of predictors of sigma or correlated residuals takes no weights()"
    for refused in (
        reason({"link": "log"}),
        reason({}, ("se",)),
        reason({}, ("se", "weights"), ()),
        reason({}, ("weights",)),
        reason({}, ("cens",)),
    ):
        assert refused == "our ML fit is for a normal response with one residual standard deviation, or with known ones"


BASE = "value: 1.46, source: here"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            f"model: varing, quantity: Intercept, {BASE}",
            "published[0].model: unknown model 'varing'; did you mean 'varying'?",
        ),
        (
            f"model: varying, quantity: b(flor), {BASE}",
            "published[0].quantity: the model 'varying' has no quantity 'b(flor)'; did you mean 'b(floor)'?",
        ),
        (
            f"model: varying, quantity: 'county[AITKN: floor]', {BASE}",
            (
                "published[0].quantity: the model 'varying' has no quantity 'county[AITKN: floor]'; "
                "did you mean 'county[AITKIN: floor]'?"
            ),
        ),
        (
            f"model: pooled, quantity: 'sd(county: Intercept)', {BASE}",
            "published[0].quantity: the model 'pooled' has no quantity 'sd(county: Intercept)'; did you mean 'Intercept'?",
        ),
        (
            f"model: varying, quantity: icc(county), {BASE}",
            "published[0].quantity: the model 'varying' has no quantity 'icc(county)'",
        ),
        (
            f"model: simple, quantity: reml_criterion, estimator: ml, {BASE}",
            (
                "published[0].quantity: a fit by ML has no 'reml_criterion'; "
                "choose from log_likelihood, deviance, aic, bic, or give another estimator"
            ),
        ),
        (
            f"model: simple, quantity: log_likelihood, {BASE}",
            (
                "published[0].quantity: a posterior has no 'log_likelihood'; "
                "choose from elpd_loo, looic, dic, p_d, p_v, p_kl, p_opt, penalised_expected_deviance, deviance, "
                "or give another estimator"
            ),
        ),
        (
            "model: simple, quantity: sigma, value: about 1, source: here",
            "published[0].value (line 11): 'about 1' is no number; write it as it is printed, such as 1.46",
        ),
        (
            "model: simple, quantity: sigma, value: 1.46, digits: 1, source: here",
            "published[0].digits: '1.46' is printed with 2 decimals, so digits cannot be 1; leave digits out",
        ),
        (
            f"model: simple, quantity: sigma, se: 0.1, {BASE}",
            "published[0].se: a posterior has no standard error; its standard deviation is 'sd'",
        ),
        (
            f"model: simple, quantity: sigma, sd: 0.1, estimator: reml, {BASE}",
            "published[0].sd: an estimate by REML has no posterior 'sd'; its standard error is 'se'",
        ),
        (
            f"model: simple, quantity: sigma, statistic: median, estimator: ml, {BASE}",
            "published[0].statistic: an estimate by ML has no 'median'; choose from estimate, se",
        ),
        (
            f"model: simple, quantity: sigma, statistic: estimate, {BASE}",
            "published[0].statistic: a posterior has no 'estimate'; choose from mean, median, sd, lower, upper",
        ),
        (
            f"model: simple, quantity: sigma, statistic: sd, sd: 0.1, {BASE}",
            "published[0].sd: 'value' is the sd already; keep one of them",
        ),
        (f"model: simple, quantity: sigma, sd: -0.1, {BASE}", "published[0].sd: '-0.1' is below 0"),
        (
            f"model: simple, quantity: sigma, mcse: 0.1, estimator: ml, {BASE}",
            "published[0].mcse: an estimate by ML has no Monte Carlo error; leave it out",
        ),
        (
            f"model: simple, quantity: sigma, priors: flat, estimator: ml, {BASE}",
            "published[0].priors: an estimate by ML has no priors; leave them out",
        ),
        (
            f"model: simple, quantity: elpd_diff(pooling), {BASE}",
            "published[0].quantity: 'elpd_diff(pooling)' names the unknown model 'pooling'; did you mean 'pooled'?",
        ),
        (
            f"model: simple, quantity: elpd_diff(simple), {BASE}",
            "published[0].quantity: 'elpd_diff(simple)' is the difference of 'simple' from itself; name another model",
        ),
        (
            f"model: simple, quantity: elpd_diff(pooled), estimator: ml, {BASE}",
            (
                "published[0].quantity: a fit by ML has no 'elpd_diff(pooled)'; "
                "choose from log_likelihood, deviance, aic, bic, or give another estimator"
            ),
        ),
        (
            f"model: simple, quantity: exp(elpd_loo), {BASE}",
            "published[0].quantity: the model 'simple' has no quantity 'exp(elpd_loo)'; did you mean 'elpd_loo'?",
        ),
        (
            "model: simple, quantity: sigma, value: 1.46",
            "published[0].source: the key 'source' is missing",
        ),
        (
            f"model: simple, quantity: sigma, estimator: remel, {BASE}",
            "published[0].estimator (line 11): 'remel' is not one of the choices; did you mean 'reml'?",
        ),
        (
            f"model: simple, quantity: sigma, tolerance: 0.1, {BASE}",
            (
                "published[0].tolerance (line 11): unknown key 'tolerance'; choose from digits, estimator, lower, mcse, "
                "model, note, priors, quantity, sd, se, source, statistic, upper, value"
            ),
        ),
    ],
)
def test_a_wrong_entry_is_one_sentence(tmp_path: Path, entry: str, sentence: str) -> None:
    assert refusal(tmp_path, entry) == [sentence]


def test_the_same_number_twice_is_refused_and_of_two_sources_is_not(tmp_path: Path) -> None:
    entry = "model: simple, quantity: sigma, value: 0.7, source: "
    assert refusal(tmp_path, entry + "here", entry + "here") == [
        "published[1]: the same quantity of 'simple' from the same source stands in published[0]; keep one of them"
    ]
    assert len(planned(tmp_path, entry + "here", entry + "there")["published"]) == 2


def test_the_rules_ask_for_what_the_numbers_are_compared_with_and_no_more(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        "model: simple, quantity: sigma, value: 0.7, source: a",
        "model: simple, quantity: sigma, value: 0.7, estimator: reml, source: b",
        "model: varying, quantity: elpd_loo, value: -1070.1, source: c",
        "model: pooled, quantity: log_likelihood, value: -1100.1, estimator: ml, source: d",
        "model: pooled, quantity: sigma, value: 0.7, estimator: pql, source: e",
    )
    assert rules.replicated_files(made, ["simple", "varying", "pooled"]) == [
        "models/pooled/maximum.ml.json",
        "models/pooled/diagnostics.json",
        "models/pooled/published.csv",
        "models/varying/diagnostics.json",
        "models/varying/scores/loo.observation.json",
        "models/varying/scores/loo.observation.parquet",
        "models/varying/scores/dic.conditional.json",
        "models/simple/maximum.reml.json",
        "models/simple/diagnostics.json",
        "models/simple/published.csv",
    ]
    difference = planned(tmp_path, "model: simple, quantity: elpd_diff(pooled), value: -5.2, source: a")
    assert rules.replicated_files(difference, ["simple", "varying", "pooled"]) == [
        "models/simple/diagnostics.json",
        "models/simple/scores/loo.observation.json",
        "models/simple/scores/loo.observation.parquet",
        "models/simple/scores/dic.conditional.json",
        "models/pooled/diagnostics.json",
        "models/pooled/scores/loo.observation.json",
        "models/pooled/scores/loo.observation.parquet",
    ]
    assert len(rules.replicated_files(difference, ["simple"])) == 4
    assert rules.replicated_files(made, []) == ["models/pooled/maximum.ml.json", "models/simple/maximum.reml.json"]
    assert [q["quantity"] for q in rules.published_of(made, "simple")] == ["sigma"]


def test_published_numbers_change_no_fit(tmp_path: Path) -> None:
    bare = plan.make(Path("config/studies/radon.yaml"), CONFIG, ROOT)
    text = (ROOT / "config" / "studies" / "radon.yaml").read_text(encoding="utf-8")
    path = tmp_path / "radon.yaml"
    path.write_text(text[: text.index("published:")], encoding="utf-8")
    without = plan.make(path, CONFIG, ROOT)
    versions = dict.fromkeys(rules.STACKS["sampled"], "1")
    for name in bare["models"]:
        assert rules.identity(bare, name, versions) == rules.identity(without, name, versions)
