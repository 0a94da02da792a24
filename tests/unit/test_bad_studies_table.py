"""Every way to spoil a study in the table ends in the sentences of the table: all problems of a stage, nothing else."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from fixtures import small_study
from fixtures.bad_studies import BAD, CURVES, RESIDUALS, RESPONSES, STRUCTURED, Bad


def check(bad: Bad, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what libraries warn of is nothing to the user
        head, *lines = small_study.said(folder, bad.files).splitlines()
    assert lines == [f"  - {line}" for line in bad.said]
    assert head == f"study.yaml: {len(bad.said)} problem{'s' * (len(bad.said) > 1)}"


def test_the_study_that_is_spoilt_is_sound(tmp_path: Path) -> None:
    made = small_study.made(tmp_path)
    assert made["warnings"] == []
    assert list(made["models"]) == ["pooled", "varying"]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_study_is_told_what_is_wrong(bad: Bad, tmp_path: Path) -> None:
    check(bad, tmp_path)


@pytest.mark.parametrize("bad", RESPONSES, ids=lambda bad: bad.name)
def test_a_bad_response_term_is_told_what_is_wrong(bad: Bad, tmp_path: Path) -> None:
    check(bad, tmp_path)


@pytest.mark.parametrize("bad", RESIDUALS, ids=lambda bad: bad.name)
def test_bad_residuals_are_told_what_is_wrong(bad: Bad, tmp_path: Path) -> None:
    check(bad, tmp_path)


@pytest.mark.parametrize("bad", STRUCTURED, ids=lambda bad: bad.name)
def test_a_bad_group_term_is_told_what_is_wrong(bad: Bad, tmp_path: Path) -> None:
    check(bad, tmp_path)


@pytest.mark.parametrize("bad", CURVES, ids=lambda bad: bad.name)
def test_a_bad_curve_is_told_what_is_wrong(bad: Bad, tmp_path: Path) -> None:
    check(bad, tmp_path)


LEAKS = (
    "Traceback", "Error", "dtype", "float64", "int64", "object at 0x", "NoneType", "pandas", "pydantic", "formulaic", "numpy",
    "Input should", "validation", "Unnamed:", "constrained-str", "<class", "list[", "dict[",
)  # fmt: skip


def test_no_sentence_of_the_table_speaks_of_the_libraries_beneath() -> None:
    told = [line for bad in (*BAD, *RESPONSES, *STRUCTURED, *RESIDUALS, *CURVES) for line in bad.said]
    assert [line for line in told if any(leak in line for leak in LEAKS)] == []


def test_every_line_of_the_table_has_a_place_and_a_sentence() -> None:
    """A place is a path of keys, a line of the file, or the file as a whole; a sentence does not end in a full stop."""
    for bad in (*BAD, *RESPONSES, *STRUCTURED, *RESIDUALS, *CURVES):
        for line in bad.said:
            assert re.match(
                r"[a-z_]+[\w.:\[\]() ,-]*: |line \d+|the file |there is no |'\S+' is no valid name", line
            ), line
            assert not line.endswith("."), line


def test_the_table_is_as_long_as_it_was_and_names_each_case_once() -> None:
    names = [bad.name for bad in (*BAD, *RESPONSES, *STRUCTURED, *RESIDUALS, *CURVES)]
    assert len(names) == len(set(names))
    assert len(BAD) >= 230
    assert sum(len(bad.said) > 1 for bad in BAD) >= 14
