"""The report says which fits had their effects integrated out."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.finished_study import write_study
from fixtures.pandoc import parse, words

from multilevel.report import build_qmd, build_record

HOW = "with group effects, and coefficients with normal or flat priors, integrated out of what was sampled"


def page(folder: Path, methods: dict[str, str]) -> str:
    study_dir, plan = write_study(folder)
    for name, model in plan["models"].items():
        model["method"] = methods.get(name, "sampled")
    return words(parse(build_qmd(build_record(study_dir, plan))))


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ({"varying_slope": "integrated"}, f"Varying slope was fitted {HOW}"),
        (
            {"varying_slope": "integrated", "cross_level": "integrated"},
            f"Varying slope and Cross level were fitted {HOW}",
        ),
        (
            dict.fromkeys(
                [
                    "complete_pooling",
                    "no_pooling",
                    "varying_intercept",
                    "county_uranium",
                    "varying_slope",
                    "cross_level",
                ],
                "integrated",
            ),
            f"Every candidate was fitted {HOW}",
        ),
    ],
)
def test_fits_with_effects_integrated_out_are_named(tmp_path: Path, methods: dict[str, str], sentence: str) -> None:
    said = page(tmp_path / "some", methods)
    assert sentence in said
    # A cell of the table for each, and the sentence; the words stand elsewhere too.
    assert said.count("integrated out") == page(tmp_path / "none", {}).count("integrated out") + len(methods) + 1


def test_where_everything_was_sampled_nothing_is_said(tmp_path: Path) -> None:
    said = page(tmp_path, {})
    assert HOW not in said
    assert "Varying slope" in said
