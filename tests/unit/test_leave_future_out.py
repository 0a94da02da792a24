"""Leaving out the future, from the study file to the report: what is planned, compared and said."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures import small_study
from fixtures.finished_study import write_study
from fixtures.small_data import dataset_of, design_of
from unit.test_comparison import A, B, scored

from multilevel import comparison, rules, storage, units
from multilevel.comparison import Candidate, UnequalDataError, compare
from multilevel.figures.differences_by_time import draw_differences_by_time
from multilevel.names import future, time_of
from multilevel.report import build_qmd, build_record
from multilevel.report.sections import comparison as section
from multilevel.report.sections import figures, plain, quality
from multilevel.scores import lfo

SETTINGS = {"after": 2, "steps": 1, "pareto_k": 0.7, "most_refits": 50}


# The plan.


def planned(folder: Path, leave_out: str, more: str = "") -> dict[str, Any]:
    text = str(small_study.FILES[small_study.STUDY]).replace(
        "    reference: pooled\n", f"    reference: pooled\n    leave_out: {leave_out}\n{more}"
    )
    return small_study.made(folder, {small_study.STUDY: text})


def test_the_plan_says_what_is_left_out_and_how(tmp_path: Path) -> None:
    plan = planned(tmp_path, "[observation, {future: age, after: 2}]")
    assert plan["comparisons"]["main"]["leave_out"] == ["observation", "future(age)"]
    found = rules.left_out(plan, "future.age")
    assert found["group"] == "future(age)"
    assert found["columns"] == ["age"]
    assert found["settings"] == SETTINGS
    assert found["times"] == 3  # ages 6 to 10, of which the first two are seen
    assert rules.units([plan]) == ["observation", "future.age"]
    assert rules.times([plan]) == ["age"]
    assert rules.rankings(plan) == [("main", "observation"), ("main", "future.age")]
    assert rules.scores(plan, "varying") == ["loo.observation", "lfo.age", "dic.conditional"]
    assert "figures/pointwise.main.future.age" in rules.study_figures(plan, ["pooled"])
    assert rules.future_runtime(plan, "pooled", "age") == 2 * rules.fit_runtime(plan, "pooled")


def test_a_study_that_leaves_no_future_out_is_planned_as_before(tmp_path: Path) -> None:
    plan = small_study.made(tmp_path)
    assert set(plan["comparisons"]["main"]) == {"models", "reference", "leave_out"}
    assert "left_out" not in plan
    assert rules.times([plan]) == []


def test_text_in_declared_order_is_a_time(tmp_path: Path) -> None:
    text = small_study.changed(
        data={"ordered": {"sex": ["m", "f"]}, "filter": "age >= 6"},
        comparisons={"main": {"leave_out": [{"future": "sex", "after": 1}]}},
    )
    said = small_study.said(tmp_path, {small_study.STUDY: text})
    assert "'sex' has 2 distinct times, too few for two predictions after the first 1; at least 3 are needed" in said


def test_files_of_two_units_have_two_names(tmp_path: Path) -> None:
    text = small_study.changed(
        data={"derive": {"log_size": "log(size)", "future": "age"}},
        comparisons={"main": {"leave_out": ["future:school", {"future": "school", "after": 1}]}},
    )
    assert "have no order" in small_study.said(tmp_path, {small_study.STUDY: text})
    text = text.replace("future:school", "future:age").replace("future: school", "future: age")
    said = small_study.said(tmp_path, {small_study.STUDY: text})
    assert "'future(age)' and 'future:age' would have the same files; rename the column 'future'" in said


@pytest.mark.parametrize(("unit", "column"), [("future(day)", "day"), ("future", ""), ("day", ""), ("future:day", "")])
def test_a_unit_tells_its_column_of_time(unit: str, column: str) -> None:
    assert time_of(unit) == column
    if column:
        assert future(column) == unit
        assert rules.score(rules.in_path(unit)) == f"lfo.{column}"


# Times.


def test_times_stand_in_order() -> None:
    frame = dataset_of(
        day=[10.0, 9.5, 2.0, 10.0],
        visit=pd.Categorical(
            ["second", "first", "third", "second"], ["first", "second", "third", "fourth"], ordered=True
        ),
        unordered=["b", "a", "a", "b"],
    ).frame
    days, visits = units.of_time(frame, "day"), units.of_time(frame, "visit")
    assert (days.labels, days.index.tolist()) == (("2", "9.5", "10"), [2, 1, 0, 2])
    assert (visits.labels, visits.index.tolist()) == (("first", "second", "third"), [1, 0, 2, 1])
    with pytest.raises(ValueError, match="'unordered' have no order"):
        units.of_time(frame, "unordered")


# What cannot be cut by time.


def test_models_with_dependent_rows_are_refused() -> None:
    from dataclasses import dataclass, replace

    data = dataset_of(y=np.arange(6.0), g=list("aabbcc"), day=[0, 1, 2] * 2)
    design, times = design_of("y ~ 1 + (1 | g)", data), units.of_time(data.frame, "day")
    assert lfo.reason_against(design) == ""
    walking = replace(design, group_terms=(replace(design.group_terms[0], structure="ar1"),))

    def fit(_: int) -> lfo.Fitted:
        raise AssertionError("fitted")

    record, table = lfo.score(walking, times, lfo.Settings(1), fit)
    assert record["refused"] == "the levels of 'g' have the structure ar1, which is not cut by time"
    assert table.empty

    @dataclass(frozen=True)
    class Later(type(design)):  # type: ignore[misc]
        residual_covariance: Any = None

    plain_design = Later(**vars(design))
    assert lfo.reason_against(plain_design) == ""
    correlated = Later(**vars(design), residual_covariance=np.eye(6))
    assert lfo.reason_against(correlated) == "models with residual covariance are not cut by time yet"


# The comparison.


def foretold(model: str, elpd: Any, **more: Any) -> Candidate:
    made = scored(model, elpd, times="t")
    record = {**made.scores[0], "unit": "day", "criterion": "lfo", "n_units": len(elpd), **more}
    record.pop("p_loo")
    levels = [str(i) for i in range(len(elpd))]
    return Candidate(model, "ok", record, pd.DataFrame({"level": levels, "elpd": elpd}))


def test_scores_of_the_future_are_compared_time_by_time() -> None:
    candidates = [foretold("a", A), foretold("b", B)]
    table = compare(candidates)
    assert table.loc[1, "se_diff"] == pytest.approx(np.sqrt(4) * np.std(B - A, ddof=1))
    assert table["p_loo"].isna().all()
    assert "dic" not in table
    (said,) = comparison.describe(candidates, table)["notes"]
    assert said == (
        "Standard errors take the 4 predicted values of day for independent. Successive predictions share most of what they are "
        "made from, so these errors are rough and may be too small."
    )
    other = foretold("b", B)
    other.scores[0]["fingerprint"]["times"] = "u"
    with pytest.raises(UnequalDataError, match=r"rows are of other times \(t and u\)"):
        compare([candidates[0], other])
    with pytest.raises(UnequalDataError, match="one score is log p, from 2 on, the other log p, from 3 on"):
        compare([foretold("a", A, estimand="log p, from 2 on"), foretold("b", B, estimand="log p, from 3 on")])


def test_a_score_that_rests_on_a_failed_fit_is_not_ranked() -> None:
    table = compare([foretold("a", A, unreliable="failed checks of the fit to day 3"), foretold("b", B)])
    assert list(table["model"]) == ["b", "a"]
    assert list(table["status"]) == ["ok", "failed checks"]
    assert table.loc[1, "note"] == "failed checks of the fit to day 3"
    assert table.loc[1, "elpd"] == A.sum()


# The report.


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    """Return the record of a finished study with a comparison that leaves out the future."""
    folder, plan = write_study(tmp_path)
    names = ["complete_pooling", "varying_intercept", "varying_slope"]
    plan["comparisons"]["growth"] = {"models": names, "reference": None, "leave_out": ["future(day)"]}
    for name in names:
        score = {
            "criterion": "lfo", "unit": "day", "leaves_out": "the future", "predicts": "the next", "estimand": "log p",
            "likelihood": "integrated out", "estimators": {"exact refit": 2, "PSIS": 5}, "n_units": 7, "mcse": 0.2,
            "k_max": 0.61, "k_max_before_refits": 1.27, "k_threshold": 0.7, "k_counts": {"good": 7, "bad": 0, "very_bad": 0},
            "fits": [{"to": "2", "passed": True, "failed": []}, {"to": "5", "passed": name != names[2], "failed": []}],
        }  # fmt: skip
        score = {"refused": "rows are correlated", "unit": "day"} if name == names[0] else score
        storage.write_json(folder / "models" / name / "scores" / "lfo.day.json", score)
    common = {"status": "ok", "se": 10.0, "k_max": 0.6}
    rows = [
        {"rank": 1, "model": names[1], **common, "elpd": -600.0, "elpd_diff": 0.0, "se_diff": 0.0},
        {"rank": 2, "model": names[2], **common, "elpd": -620.0, "elpd_diff": -20.0, "se_diff": 4.0},
        {"model": names[0], "status": "not scored", "note": "rows are correlated"},
    ]  # fmt: skip
    storage.write_csv(folder / "comparisons" / "growth.future.day.csv", pd.DataFrame(rows))
    (folder / "figures" / "pointwise.growth.future.day.svg").write_text("<svg/>")
    return build_record(folder, plan)


def text(markdown: Any) -> str:
    return html.unescape(str(markdown).replace("\\", ""))


def test_the_report_says_what_is_foretold_and_from_how_many_fits(record: dict[str, Any]) -> None:
    item = record["comparisons"][1]
    assert (item["unit"], item["about"], item["made"]) == ("future(day)", "growth:future:day", True)
    said = text(section.what_it_means(record, item))
    assert "4 fits for 14 predictions" in said
    assert "Estimated from one fit" not in said
    ranking = text(section.loo_table(record, item))
    assert "Ranking by prediction of what was left out: the future of day" in ranking
    assert "from 2 fits to earlier rows" in ranking
    assert section.waic_table(record, item) == ""
    assert quality.groupings_left_out(record) == []
    assert quality.futures_left_out(record) == ["future(day)"]
    table = text(quality.future_table(record, "future(day)"))
    for part in ("not defined: rows are correlated", "1 of 2 fits failed", "1.27", "0.61", "not computed"):
        assert part in table
    assert "foretells each `day` from those before it, **Varying intercept** comes first, 20.0 points" in text(
        plain.paragraph(record)
    )
    caption = text(figures.study_figure(record, "pointwise", "growth:future:day"))
    assert "Comparison `growth`, leaving out the future of day. When a difference arises." in caption
    page = text(build_qmd(record))
    assert "Comparison `growth`: leaving out the future of day" in page
    assert "one future" not in page


def test_the_main_comparison_may_be_of_the_future(record: dict[str, Any]) -> None:
    record["comparisons"] = record["comparisons"][::-1]
    said = text(plain.paragraph(record))
    assert "Judged by how well it predicts the next, **Varying intercept** comes first" in said
    assert "foretells" not in said


def test_differences_of_the_future_are_drawn_in_the_order_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import draw_comparison

    storage.write_csv(
        tmp_path / "t.csv",
        pd.DataFrame(
            {"model": ["a", "b"], "elpd_diff": [0.0, -3.0], "se_diff": [0.0, 1.0], "status": "ok", "k_bad": 0}
        ),
    )
    levels = ["9", "10", "11"]
    storage.write_parquet(
        tmp_path / "d.parquet", pd.DataFrame({"level": levels, "model": "b", "diff": [-2.0, -1.5, 0.5]})
    )
    out = {name: str(tmp_path / f"{name}.svg") for name in ("elpd_differences", "pointwise")}
    drawn = []
    monkeypatch.setattr(
        draw_comparison,
        "draw_differences_by_time",
        lambda data, **words: drawn.append(draw_differences_by_time(data, **words)) or drawn[-1],
    )
    draw_comparison.draw_comparison(
        {"a": "First", "b": "Second"}, "g", "future(day)", str(tmp_path / "t.csv"), str(tmp_path / "d.parquet"), "", out
    )
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == levels
    assert axes.get_title(loc="left") == "Second: −3.0 in total (standard error 2.3)"
    said = [*(text.get_text() for text in drawn[0].texts), axes.get_xlabel(), axes.get_ylabel()]
    assert any("day predicted from those before it" in words for words in said)
    assert any("above 0: foretells that day better" in words for words in said)
    assert (tmp_path / "pointwise.png").is_file()
