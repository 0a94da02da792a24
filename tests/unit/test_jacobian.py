"""Scores of a derived response on the scale of the column that it was derived from."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fixtures.small_data import dataset_of, design_of
from scipy import stats

from multilevel import jacobian, likelihood, plan
from multilevel.errors import FormulaError, StudyError

Y = np.array([0.3, 1.5, 2.0, 7.0, 0.9])
FRAME = pd.DataFrame({"y": Y, "x": [1.0, 2.0, 3.0, 4.0, 5.0]})


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("log(y)", np.log),
        ("log2(1 + y)", lambda y: np.log2(1 + y)),
        ("log10(y * 3)", lambda y: np.log10(3 * y)),
        ("log1p(y)", np.log1p),
        ("sqrt(y)", np.sqrt),
        ("-1 / y", lambda y: -1 / y),
        ("1 / y ** 2", lambda y: y**-2.0),
        ("y ** 0.3", lambda y: y**0.3),
        ("2 ** y", lambda y: 2.0**y),
        ("y ** y", lambda y: y**y),
        ("exp(y / 2) - expm1(-y)", lambda y: np.exp(y / 2) - np.expm1(-y)),
        ("log(y / (10 - y))", lambda y: np.log(y / (10 - y))),
        ("+y * (3 + y) - 2", lambda y: y * (3 + y) - 2),
    ],
)
def test_the_slope_is_that_of_small_differences(text: str, function: Any) -> None:
    frame = FRAME[FRAME["y"] > 0.4] if text == "y ** y" else FRAME  # which falls before 1 / e
    y = frame["y"].to_numpy()
    difference = (function(y + 1e-6) - function(y - 1e-6)) / 2e-6
    np.testing.assert_allclose(
        jacobian.log_derivative(text, "y", frame), np.log(np.abs(difference)), rtol=1e-6, atol=1e-7
    )


def test_statistics_of_the_column_count_as_constants() -> None:
    found = jacobian.log_derivative("(y - mean(y)) / sd(y)", "y", FRAME)
    np.testing.assert_allclose(found, -np.log(Y.std(ddof=1)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("log(y) - x", "'log(y) - x' is made of x besides y"),
        ("log(x)", "'log(x)' is made of x besides y"),
        ("2 * 3", "'2 * 3' is not made of y"),
        ("round(y)", "'round(y)' has no derivative by y"),
        ("where(y > 1, y, 1)", "has no derivative by y"),
        ("y // 2", "'y // 2' has no derivative by y"),
        ("(y - 1) ** 2", "'(y - 1) ** 2' rises at some rows and falls at others"),
        ("(y - 2) ** 2", "the slope of '(y - 2) ** 2' is 0 in row 3 (y = 2)"),
        ("0 * y", "the slope of '0 * y' is 0 in row 1 (y = 0.3)"),
        ("sqrt(y - 0.3)", "the slope of 'sqrt(y - 0.3)' is inf in row 1 (y = 0.3)"),
    ],
)
def test_a_response_that_does_not_tell_its_column_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(sentence)):
        jacobian.log_derivative(text, "y", FRAME)


def test_a_normal_logarithm_scores_as_a_lognormal_response() -> None:
    data = dataset_of(y=Y, log_y=np.log(Y), c=["none", "none", "right", "left", "none"], w=[1.0, 2.0, 1.0, 1.0, 0.5])
    at = {"eta": np.full((1, 5), 0.4), "sigma": np.array([[0.8]]), "link": "identity"}
    rows = slice(0, 5)
    for beside in ("", " | weights(w)", " | cens(c)"):
        direct = design_of(f"y{beside} ~ 1", data, "lognormal")
        derived = design_of(f"log_y{beside} ~ 1", data)
        scored = replace(derived, log_jacobian=jacobian.log_derivative("log(y)", "y", data.frame))
        expected = likelihood.of_rows(direct, rows, at)
        np.testing.assert_allclose(likelihood.of_rows(scored, rows, at), expected, rtol=1e-12)
        assert not np.allclose(likelihood.of_rows(derived, rows, at), expected)


def test_a_density_on_the_original_scale_adds_up_to_one() -> None:
    y = np.linspace(1e-6, 60.0, 200_001)
    scored = jacobian.log_derivative("sqrt(y)", "y", pd.DataFrame({"y": y}))
    density = np.exp(stats.norm(3.0, 0.7).logpdf(np.sqrt(y)) + scored)
    assert np.trapezoid(density, y) == pytest.approx(1.0, abs=1e-4)


TABLE = "y,x,g\n" + "".join(f"{1 + i * i % 7}.5,{i % 4},{'ABC'[i % 3]}\n" for i in range(18))
MODELS = """
  direct: {formula: y ~ x, family: lognormal}
  derived: {formula: log_y ~ x, scored_as: y}
"""


def planned(folder: Path, models: str, derive: str = "{log_y: log(y)}", rest: str = "") -> dict[str, Any]:
    (folder / "houses.csv").write_text(TABLE)
    (folder / "config.yaml").write_text("studies: [study.yaml]\n")
    (folder / "study.yaml").write_text(
        f"title: t\ndata: {{table: houses.csv, derive: {derive}}}\nmodels:{models}\n{rest}\n"
    )
    return plan.make(Path("study.yaml"), plan.read_config(folder / "config.yaml"), folder)


def test_models_of_a_column_and_of_its_logarithm_are_compared_on_one_scale(tmp_path: Path) -> None:
    found = planned(tmp_path, MODELS)
    assert found["comparisons"]["main"]["models"] == ["direct", "derived"]
    assert found["models"]["derived"]["scored_as"] == {"column": "y", "expression": "log(y)"}
    assert "scored_as" not in found["models"]["direct"]


def test_without_it_they_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="scores of different responses cannot be compared"):
        planned(tmp_path, MODELS.replace(", scored_as: y", ""))


def test_two_models_that_differ_in_the_scale_of_their_scores_are_two(tmp_path: Path) -> None:
    models = "\n  a: {formula: log_y ~ x}\n  b: {formula: log_y ~ x, scored_as: y}\n"
    rest = "comparisons: {one: {models: [b, c]}}"
    found = planned(tmp_path, models + "  c: {formula: y ~ x}\n", rest=rest)
    assert list(found["models"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("models", "derive", "problem"),
    [
        (
            "{formula: y ~ x, scored_as: x}",
            "{log_y: log(y)}",
            "models.a.scored_as: the response 'y' is not derived from 'x'; leave it out, or derive 'y' under data.derive",
        ),
        (
            "{formula: log_y ~ x, scored_as: yy}",
            "{log_y: log(y)}",
            "models.a.scored_as: unknown column 'yy'; did you mean 'y'?",
        ),
        (
            "{formula: log_y ~ g, scored_as: y}",
            "{log_y: log(y) - x}",
            (
                "models.a.scored_as: the response 'log_y' does not tell the value of 'y': 'log(y) - x' is made of x besides y; "
                "scores can be of a column that the response strictly rises or falls with"
            ),
        ),
    ],
)
def test_what_scores_cannot_be_of_is_refused(models: str, derive: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        planned(tmp_path, f"\n  a: {models}", derive)
    assert [str(p) for p in caught.value.problems] == [problem]
