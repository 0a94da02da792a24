"""Warnings with their numbers: what is warned of, what is not, and everywhere that a user reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import small_study
from fixtures.finished_study import write_study
from fixtures.pandoc import parse, words
from fixtures.small_data import dataset_of, design_of
from fixtures.small_study import changed

from multilevel import cautions, cli, study
from multilevel.report import build_qmd, build_record

RNG = np.random.default_rng(3)


def said(text: str, family: str = "gaussian", **columns: Any) -> list[str]:
    return cautions.find(design_of(text, dataset_of(**columns)), {"family": family})


def groups(*sizes: int) -> list[str]:
    return [f"g{level}" for level, size in enumerate(sizes) for _ in range(size)]


def noise(rows: int) -> np.ndarray:
    return RNG.normal(size=rows)


# Groups.


@pytest.mark.parametrize(
    ("sizes", "text", "sentences"),
    [
        ((4, 4, 4, 4, 4), "y ~ (1 | g)", []),
        (
            (4, 4, 4, 4),
            "y ~ (1 | g)",
            ["the group 'g' has only 4 levels, fewer than 5; its standard deviation rests on its prior."],
        ),
        # a group with several terms is named once
        (
            (4, 4, 4),
            "y ~ x + (1 | g) + (0 + x | g)",
            ["the group 'g' has only 3 levels, fewer than 5; its standard deviation rests on its prior."],
        ),
        # half of the levels may be thin
        ((1, 1, 1, 4, 4, 4), "y ~ (1 | g)", []),
        (
            (1, 1, 1, 1, 4, 4, 4),
            "y ~ (1 | g)",
            [
                "4 of the 7 levels of 'g' have one row; what varies between levels is hard to tell from the residuals.",
            ],
        ),
        ((2, 2, 2, 2, 4, 4, 4), "y ~ (1 | g)", []),
        (
            (2, 2, 2, 2, 4, 4, 4),
            "y ~ x + (1 + x | g)",
            [
                (
                    "4 of the 7 levels of 'g' have no more rows than effects (2); "
                    "what varies between levels is hard to tell from the residuals."
                ),
            ],
        ),
        ((20, 5, 5, 5, 5), "y ~ (1 | g)", []),
        ((81, 20, 20, 20, 20), "y ~ (1 | g)", ["one of the 5 levels of 'g' ('g0') holds 81 of 161 rows (50%)."]),
        ((900, 25, 25, 25, 25), "y ~ (1 | g)", ["one of the 5 levels of 'g' ('g0') holds 900 of 1,000 rows (90%)."]),
    ],
)
def test_groups_that_say_little_are_warned_of(sizes: tuple[int, ...], text: str, sentences: list[str]) -> None:
    rows = sum(sizes)
    assert said(text, y=noise(rows), x=noise(rows), g=groups(*sizes)) == sentences


@pytest.mark.parametrize(
    ("text", "x", "warned"),
    [
        ("y ~ x + (1 + x | g)", np.arange(30) % 10 + 1990.0, True),
        ("y ~ x + (1 + x || g)", np.arange(30) % 10 + 1990.0, True),
        ("y ~ x + (1 + x | g)", -(np.arange(30) % 10 + 1990.0), True),
        ("y ~ x + (1 + x | g)", np.arange(30) % 10 - 4.5, False),
        ("y ~ x + (1 + x | g)", np.arange(30) % 10 + 8.0, False),
        # no intercept beside the slope, no slope that varies, a slope of what is centred
        ("y ~ x + (0 + x | g)", np.arange(30) % 10 + 1990.0, False),
        ("y ~ x + (1 | g)", np.arange(30) % 10 + 1990.0, False),
        ("y ~ x + (1 + center(x) | g)", np.arange(30) % 10 + 1990.0, False),
        # 0 means something for an indicator that is nearly always 1
        ("y ~ x + (1 + x | g)", (np.arange(30) > 0).astype(float), False),
    ],
)
def test_a_varying_slope_of_what_lies_far_from_zero_is_warned_of(text: str, x: np.ndarray, warned: bool) -> None:
    found = said(text, y=noise(30), x=x, g=groups(6, 6, 6, 6, 6))
    assert len(found) == warned
    if warned:
        mean = "1994" if x[0] > 0 else "-1994"
        assert found == [
            (
                f"the slope of 'x' varies by 'g', but its values lie far from 0 (mean {mean}, sd 2.92): intercepts at 0 lie "
                "outside the data and follow from the slopes; centre it (data.centre)."
            )
        ]


# Scales.


@pytest.mark.parametrize(
    ("text", "scale", "sentence"),
    [
        ("y ~ x", 1e3, None),
        ("y ~ 0 + x", 1e9, None),  # nothing to compare with
        (
            "y ~ x",
            1e5,
            "the scales of the predictors differ by a factor of 100,000: 'x' has sd 1e+05; write scale(x) or choose other units.",
        ),
        (
            "y ~ x",
            1e-5,
            "the scales of the predictors differ by a factor of 100,000: 'x' has sd 1e-05; write scale(x) or choose other units.",
        ),
        (
            "y ~ x + I(z / 1000)",
            1e3,
            (
                "the scales of the predictors differ by a factor of 1,000,000: 'x' has sd 1e+03, 'I(z / 1000)' has sd 0.001; "
                "write scale(x) or choose other units."
            ),
        ),
        (
            "y ~ I(x * 100)",
            1e3,
            "the scales of the predictors differ by a factor of 100,000: 'I(x * 100)' has sd 1e+05; choose other units.",
        ),
        ("y ~ scale(x)", 1e9, None),
    ],
)
def test_scales_that_have_nothing_to_do_with_each_other_are_warned_of(
    text: str, scale: float, sentence: str | None
) -> None:
    unit = np.array([-1.0, 1, -1, 1, -1, 1, -1, 1]) * np.sqrt(7 / 8)
    found = said(text, y=noise(8), x=scale * unit, z=np.array([-1.0, -1, 1, 1, -1, -1, 1, 1]) * np.sqrt(7 / 8))
    assert found == ([sentence] if sentence else [])


# Separation.


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_separation_of_a_binary_response_is_warned_of(family: str) -> None:
    x = np.linspace(-1, 1, 20)
    [sentence] = said("y ~ x", family, y=(x > 0).astype(float), x=x)
    assert sentence.startswith("'x' tells every 1 of the response from every 0 (complete separation of 20 rows)")
    assert said("y ~ x", family, y=np.tile([0.0, 1.0], 10), x=x) == []


@pytest.mark.parametrize(("family", "high"), [("gaussian", 1.0), ("binomial", 2.0)])
def test_of_other_responses_no_separation_is_looked_for(family: str, high: float) -> None:
    x = np.linspace(-1, 1, 20)
    assert said("y ~ x", family, y=high * (x > 0), x=x) == []


# Where they are read.

FAR = (
    "Model varying: the slope of 'age' varies by 'school', but its values lie far from 0 (mean 1998, sd 1.41): intercepts at 0 "
    "lie outside the data and follow from the slopes; centre it (data.centre)."
)


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    """Return a folder with a study that has one warning."""
    text = changed(
        models={"varying": {"formula": "score ~ age + (1 + age | school)", "integrate": False}},
        data={"filter": "age >= 1990"},
        grid={"centred": {"offsets": False, "centred": True}},
    )
    pupils = small_study.FILES[small_study.PUPILS].splitlines()
    rows = [line.split(",") for line in pupils[1:]]
    moved = [",".join([*row[:5], str(int(row[5]) + 1990), row[6]]) for row in rows]
    small_study.write(tmp_path, {"study.yaml": text, small_study.PUPILS: "\n".join([pupils[0], *moved, ""])})
    return tmp_path


def test_a_warning_stands_in_the_plan_once_for_all_cells_of_a_model(warned: Path) -> None:
    planned = study.load(Path("study.yaml"), Path("config.yaml"), warned)
    assert list(planned["models"]) == ["pooled", "varying", "varying.centred"]
    assert planned["warnings"] == [FAR]


def test_a_warning_is_printed_when_a_study_is_validated(
    warned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(warned)
    assert cli.main(["validate", "study.yaml", "--config", "config.yaml"]) == 0
    assert f"  warning: {FAR}\n" in capsys.readouterr().out


def test_a_warning_stands_in_the_quality_record_of_the_report(tmp_path: Path) -> None:
    folder, planned = write_study(tmp_path)
    tree = parse(build_qmd(build_record(folder, {**planned, "warnings": [FAR]})))
    text = words(tree["blocks"])
    quality = text[text.index("Quality record") : text.index("In plain language")]
    assert FAR in quality.replace("’", "'").replace("‘", "'")
    assert json.dumps(planned["warnings"]) == "[]"


def test_levels_of_one_row_are_told_apart_by_known_standard_errors() -> None:
    data = dataset_of(y=noise(8), s=np.full(8, 0.5), g=list("abcdefgh"))
    model = {"family": "gaussian"}
    assert cautions.find(design_of("y | se(s) ~ 1 + (1 | g)", data), model) == []
    assert "have one row" in cautions.find(design_of("y | se(s, sigma=true) ~ 1 + (1 | g)", data), model)[0]


def test_a_row_of_many_trials_tells_its_level_apart_by_itself() -> None:
    data = dataset_of(y=np.arange(8.0), n=np.full(8, 20.0), g=list("abcdefgh"))
    model = {"family": "binomial"}
    assert cautions.find(design_of("y | trials(n) ~ 1 + (1 | g)", data, "binomial"), model) == []
    single = dataset_of(y=np.arange(8.0) % 2, n=np.ones(8), g=list("abcdefgh"))
    assert "have one row" in cautions.find(design_of("y | trials(n) ~ 1 + (1 | g)", single, "binomial"), model)[0]
