"""The templates and the page's source keep to the syntax that both Quarto and Pandoc understand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import write_study
from fixtures.pandoc import nodes, parse, words

from multilevel.report import build_qmd, build_record
from multilevel.report.page import REPORTS, environment

TEMPLATES = sorted((REPORTS / "templates").rglob("*.qmd.j2"))
ONLY_QUARTO = {
    "a shortcode": r"\{\{<",
    "a cross-reference": r"(?<![\w.])@(?:fig|tbl|eq|sec|lst|thm)-",
    "an anchor that Quarto numbers": r"\{#(?:fig|tbl|eq|lst|thm)-",
    "a code cell": r"^```+\s*\{",
    "an option of a code cell": r"^#\|",
    "inline code that runs": r"`(?:r|python|julia|\{[a-z]+\}) ",
    "raw HTML": r"^\s*</?[a-zA-Z][^>]*>|\{=html\}",
    "a page layout": r"\.column-|layout-n?col",
    "a tab set with options": r"panel-tabset\s+\w",
}
CLASSES = re.compile(r"ml-[a-z-]+|panel-tabset|callout-(note|tip|warning|important|caution)")
CALLOUT_ATTRIBUTES = {"title", "collapse"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    study = write_study(tmp_path_factory.mktemp("study"), failed=["varying_slope"], not_fitted=["no_pooling"])
    return build_qmd(build_record(*study))


@pytest.fixture(scope="module")
def tree(source: str) -> dict[str, Any]:
    return parse(source)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize("what", ONLY_QUARTO)
def test_a_template_has_nothing_that_only_one_of_them_reads(path: Path, what: str) -> None:
    assert not re.search(ONLY_QUARTO[what], path.read_text(encoding="utf-8"), re.MULTILINE), what


@pytest.mark.parametrize("what", ONLY_QUARTO)
def test_the_source_has_nothing_that_only_one_of_them_reads(source: str, what: str) -> None:
    assert not re.search(ONLY_QUARTO[what], source, re.MULTILINE), what


def test_every_pattern_finds_what_it_forbids() -> None:
    examples = [
        "{{< meta x >}}",
        "see @fig-one",
        "{#tbl-x}",
        "```{python}",
        "#| echo: false",
        "`r 1`",
        "<div>",
        "{.column-page}",
    ]
    examples.append("{.panel-tabset group=x}")
    for text, pattern in zip(examples, ONLY_QUARTO.values(), strict=True):
        assert re.search(pattern, text, re.MULTILINE), text


def test_pandoc_finds_no_raw_markup_and_no_citations(tree: dict[str, Any]) -> None:
    assert not {node["t"] for node in nodes(tree)} & {"RawInline", "RawBlock", "Cite", "CodeBlock", "LineBlock"}


def test_every_fence_is_closed_and_every_class_is_known(tree: dict[str, Any]) -> None:
    for node in nodes(tree):
        if node["t"] in {"Div", "Span"}:
            _, classes, attributes = node["c"][0]
            assert all(CLASSES.fullmatch(name) or name == "section" for name in classes), classes
            if any(name.startswith("callout-") for name in classes):
                assert {key for key, _ in attributes} <= CALLOUT_ATTRIBUTES
        if node["t"] in {"Para", "Plain"}:
            assert not words(node).startswith(":::")
            assert not re.match(r"#+ |\| ", words(node))


def test_the_panels_of_a_tab_set_are_headings_of_one_level(tree: dict[str, Any]) -> None:
    sets = [node for node in nodes(tree) if node["t"] == "Div" and "panel-tabset" in node["c"][0][1]]
    assert len(sets) == 4
    for tabs in sets:
        levels = [block["c"][0] for block in tabs["c"][1] if block["t"] == "Header"]
        assert levels == [3] * 6
        assert tabs["c"][1][0]["t"] == "Header"


def test_anchors_are_unique(tree: dict[str, Any]) -> None:
    anchors = [node["c"][1][0] for node in nodes(tree) if node["t"] == "Header"]
    assert len(anchors) == len(set(anchors))


def test_the_front_matter_asks_for_a_page_that_needs_no_network(source: str) -> None:
    front = source.split("---\n")[1]
    assert "embed-resources: true" in front
    assert "html-math-method: mathml" in front
    assert "theme: default" in front
    assert "http" not in front


def test_a_template_escapes_unless_told_otherwise() -> None:
    template = environment().from_string("{{ text }} {{ md.Markdown(text) }}")
    from multilevel.report import markdown

    assert template.render(text="a*b", md=markdown) == "a\\*b a*b"


def test_a_name_that_no_template_knows_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


def test_the_style_sheets_ask_nothing_of_the_network() -> None:
    for path in sorted((REPORTS / "theme").iterdir()):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?:|@import|url\(|//[a-z]+\.[a-z]", text), path.name
