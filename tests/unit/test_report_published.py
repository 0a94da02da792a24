"""The report's section of published values: a plain sentence first, every number beside ours, and what is known of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import write_study
from fixtures.pandoc import nodes, parse, words
from fixtures.published_values import BOOK, LAB, row, write_published

from multilevel.report import build_qmd, build_record, render
from multilevel.report.sections import published, quality


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, plan = write_study(tmp_path_factory.mktemp("published"), failed=["varying_slope"])
    return build_record(folder, write_published(folder, plan))


@pytest.fixture(scope="module")
def tree(record: dict[str, Any]) -> dict[str, Any]:
    return parse(build_qmd(record))


def tables(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for node in nodes(tree):
        if node["t"] == "Div" and "ml-scroll" in node["c"][0][1]:
            found[dict(node["c"][0][2])["aria-label"]] = node
    return {label: node for label, node in found.items() if label.startswith("Published values of")}


def with_rows(tmp_path: Path, *rows: dict[str, Any]) -> dict[str, Any]:
    folder, plan = write_study(tmp_path)
    return build_record(folder, write_published(folder, plan, list(rows)))


def test_the_section_opens_with_a_plain_sentence(tree: dict[str, Any]) -> None:
    blocks = tree["blocks"]
    headings = [words(block["c"][2]) for block in blocks if block["t"] == "Header" and block["c"][0] == 2]
    assert headings[5:8] == ["Estimates", "Published values", "Comparison"]
    at = next(i for i, block in enumerate(blocks) if block["t"] == "Header" and words(block) == "Published values")
    assert words(blocks[at + 1]) == (
        "4 of 5 published numbers that can be compared were reproduced. One differs; what is known of it stands beside it. "
        "One is shown without a comparison, with the reason. One belongs to a fit that failed its checks or is missing."
    )


@pytest.mark.parametrize(
    ("published_values", "sentence"),
    [
        (["1.46", "1.5"], "All 2 published numbers that can be compared were reproduced."),
        (["1.46"], "The one published number that can be compared was reproduced."),
        (["2.46"], "The one published number that can be compared was not reproduced. One differs."),
        (["2.46", "3.46", "1.46"], "1 of 3 published numbers that can be compared were reproduced. Two differ."),
    ],
)
def test_the_sentence_counts(tmp_path: Path, published_values: list[str], sentence: str) -> None:
    found = with_rows(tmp_path, *(row("cross_level", value, source=str(i)) for i, value in enumerate(published_values)))
    assert words(parse(published.summary(found))["blocks"]) == sentence


def test_every_candidate_with_published_numbers_has_a_table(tree: dict[str, Any]) -> None:
    found = tables(tree)
    assert list(found) == [
        "Published values of Varying intercept",
        "Published values of Varying slope",
        "Published values of Cross level",
    ]
    text = words(found["Published values of Varying intercept"])
    assert "REML estimate" in text
    assert "REML standard error" in text
    assert text.count("✓ reproduced") == 3
    assert "0.334 (0.046)" in text  # the posterior stands beside a REML estimate


def test_a_number_that_differs_is_marked_and_its_note_stands_under_the_table(
    record: dict[str, Any], tree: dict[str, Any]
) -> None:
    text = words(tables(tree)["Published values of Cross level"])
    assert "▲ differs (a)" in text
    assert "○ not comparable (b)" in text
    shown = {model["name"]: words(parse(text)["blocks"]) for model, text in published.tables(record)}
    assert "(a) A point that is *no* maximum." in shown["cross_level"]
    assert "(b) It was computed by PQL." in shown["cross_level"]
    assert "(a)" not in shown["varying_intercept"]


def test_a_number_of_a_failed_fit_is_marked_as_such(record: dict[str, Any], tree: dict[str, Any]) -> None:
    assert "✕ failed checks (a)" in words(tables(tree)["Published values of Varying slope"])
    shown = {model["name"]: words(parse(text)["blocks"]) for model, text in published.tables(record)}
    assert "(a) Failed: R-hat." in shown["varying_slope"]


def test_equal_notes_stand_once_and_a_note_on_a_reproduced_number_nowhere(tmp_path: Path) -> None:
    note = "Its search stopped early."
    rows = [row("cross_level", value, source=str(i), note=note) for i, value in enumerate(["2.46", "3.46", "1.46"])]
    ((_, text),) = published.tables(with_rows(tmp_path, *rows))
    shown = words(parse(text)["blocks"])
    assert shown.count(note) == 1
    assert shown.count("differs (a)") == 2
    assert shown.count("reproduced") == shown.count("✓ reproduced") == 1
    assert [published._letter(i) for i in (0, 25, 26, 52)] == ["a", "z", "aa", "ba"]


def test_sources_are_listed_once_and_cannot_become_markup(record: dict[str, Any], tree: dict[str, Any]) -> None:
    (listed,) = [node for node in nodes(parse(published.sources(record))) if node["t"] == "OrderedList"]
    assert [words(item) for item in listed["c"][1]] == [BOOK, LAB]
    assert not {node["t"] for node in nodes(tree)} & {"RawInline", "RawBlock"}


def test_published_numbers_are_shown_as_printed_and_ours_with_one_digit_more(record: dict[str, Any]) -> None:
    shown = {name["name"]: text for name, text in published.tables(record)}
    line = next(line for line in shown["varying_intercept"].splitlines() if "standard error" in line)
    assert [cell.strip() for cell in line.split("|")][3:5] == ["0.05", "0.052"]
    assert "| 0.00 | 0.328 |" in shown["cross_level"]


def test_the_quality_record_has_a_light_for_published_values(record: dict[str, Any], tmp_path: Path) -> None:
    (card,) = [card for card in quality.cards(record) if card.title == "Published values"]
    assert (card.state, card.figure) == ("care", "4 of 5")
    (card,) = [
        c for c in quality.cards(with_rows(tmp_path, row("cross_level", "1.46"))) if c.title == "Published values"
    ]
    assert (card.state, card.figure) == ("ok", "1 of 1")


def test_without_published_numbers_there_is_no_section_and_no_light(tmp_path: Path) -> None:
    record = build_record(*write_study(tmp_path))
    assert "Published values" not in build_qmd(record)
    assert len(quality.cards(record)) == 4


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    text = words(parse(build_qmd(build_record(folder, {**plan, "published": 7})))["blocks"])
    assert "The study lists 7 published numbers, but the file replication.csv is missing." in text


def test_the_section_renders(record: dict[str, Any], tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    source = build_qmd(build_record(folder, write_published(folder, plan)))
    (folder / "report.qmd").write_text(source, encoding="utf-8")
    render(folder / "report.qmd", folder / "report.html", renderer="pandoc")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("Published values of") == 3
    contents = page[page.index('id="TOC"') : page.index("</nav>")]
    assert '<a href="#published"' in contents
    assert page.count('id="published-') == 4  # three candidates and the sources
