"""No text of a user becomes markup, wherever it stands on the page."""

from __future__ import annotations

import pytest
from fixtures.pandoc import FORMATS, kinds, nodes, parse, words
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel.report.markdown import (
    Markdown,
    attribute,
    clean,
    code,
    display_math,
    escape,
    identifier,
    image,
    inline,
    sentence_list,
    span,
    table,
    yaml_text,
)

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</div><img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://example.invalid/x.png)",
    "<javascript:alert(1)>",
    "https://example.invalid and user@example.invalid",
    "costs $5 and $6, \\(x\\) \\[y\\] $$z$$",
    "`code` ``two`` ```three```",
    "`r 1 + 1` `{python} 1 + 1`",
    "`<b>`{=html}",
    "a | b || c",
    "::: {.callout-note}",
    "::: x",
    "# heading",
    "## heading {#id .class}",
    "- item",
    "+ item",
    "* item",
    "1. item",
    "A. Gelman",
    "(1) item",
    "(@) example",
    "#. item",
    "> quote",
    "    indented code",
    "{{< include /etc/passwd >}}",
    "{{< meta title >}}",
    "@fig-one and [@key]",
    "[^1] and ^[note]",
    "*emph* **strong** _emph_ ~sub~ ^sup^ ~~gone~~",
    "a -- b --- c ... d 'quoted' \"quoted\"",
    "---",
    "===",
    ": definition",
    "Table: caption",
    "% title",
    "&lt;b&gt; &amp; &#60;",
    "back\\slash \\textbf{x} \\begin{x}",
    "line one\n\nline two\n# heading",
    "tab\there\r\nand\u2028there",
    'x" onload="alert(1)',
    "key: value # comment",
    '"\n---\ninjected: true\n---\n',
    "!!python/object/apply:os.system ['x']",
    "{.class #id key=value}",
    "[text]{.ml-renderer}",
    "[not rendered yet]{.ml-renderer}",
    "<!-- comment -->",
    "| --- | --- |",
    "😀 é ß 漢字 :smile:",
    "==marked==",
)

HARMLESS_INLINES = {"Str", "Space", "SoftBreak"}


def in_every_place(text: str) -> str:
    """Put a text everywhere a page puts one, each place marked by a class."""
    cell = table([text, "b"], [[text, code(text)]], label=text)
    return "\n\n".join([
        f"---\ntitle: {yaml_text(text)}\n---",
        f"::: {{.paragraph}}\n{escape(text)}\n:::",
        f"::: {{.heading}}\n## {escape(text)} {{#place}}\n:::",
        f"::: {{.bullet}}\n- {escape(text)}\n:::",
        f"::: {{.strong}}\n**x {escape(text)}**\n:::",
        f"::: {{.span}}\nx {span(text, 'place')} y\n:::",
        f"::: {{.code}}\nx {code(text)} y\n:::",
        f"::: {{.cell}}\n{cell}\n:::",
        f"::: {{.figure}}\n{image('a.svg', text, text)}\n:::",
    ])  # fmt: skip


def places(tree: dict) -> dict[str, dict]:
    divs = [node for node in nodes(tree["blocks"]) if node["t"] == "Div" and not node["c"][0][2]]
    return {div["c"][0][1][0]: div["c"][1] for div in divs if div["c"][0][1]}


def check_every_place(text: str, source: str) -> None:
    tree = parse(in_every_place(text), source)
    wanted = clean(text)
    found = places(tree)
    assert set(tree["meta"]) == {"title"}
    assert words(tree["meta"]["title"]) == wanted
    assert kinds(tree["meta"]["title"]) <= HARMLESS_INLINES | {"MetaInlines", "MetaString"}
    assert set(found) == {"paragraph", "heading", "bullet", "strong", "span", "code", "cell", "figure"}
    assert words(found["paragraph"]) == wanted
    assert kinds(found["paragraph"]) <= HARMLESS_INLINES | {"Para", "Plain"}
    assert words(found["heading"]) == wanted
    assert kinds(found["heading"]) <= HARMLESS_INLINES | {"Header"}
    assert words(found["bullet"]) == wanted
    assert kinds(found["bullet"]) <= HARMLESS_INLINES | {"BulletList", "Plain"}
    assert words(found["strong"]) == f"x {wanted}".strip()
    assert words(found["span"]) == " ".join(f"x {wanted} y".split())
    assert kinds(found["span"]) <= HARMLESS_INLINES | {"Para", "Span"}
    assert words(found["code"]) == " ".join(f"x {wanted} y".split())
    assert kinds(found["code"]) <= HARMLESS_INLINES | {"Para", "Span", "Code"}
    assert "Table" in kinds(found["cell"])
    assert words(found["cell"]).replace(" ", "") == f"{wanted}b{wanted}{wanted}".replace(" ", "")
    assert not kinds(found["cell"]) & {"RawInline", "RawBlock", "Link", "Image", "Math", "Cite", "Note"}
    attributes = [dict(node["c"][0][2]) for node in nodes(tree) if node["t"] == "Image"]
    assert attributes == [{"fig-alt": wanted}]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_every_place(text: str) -> None:
    check_every_place(text, FORMATS[1])


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_plain_pandoc_markdown(text: str) -> None:
    check_every_place(text, FORMATS[0])


@pytest.mark.slow
@given(st.text(min_size=1, max_size=40).filter(lambda text: clean(text) != ""))
@settings(max_examples=60, deadline=None)
def test_any_text_stays_text_in_every_place(text: str) -> None:
    check_every_place(text, FORMATS[1])


ALPHABET = "ab1 .-:;,()[]{}<>|`$*_~^@#!&=+%/\\\"'\n\t"


@pytest.mark.slow
@given(st.text(alphabet=ALPHABET, min_size=1, max_size=30).filter(lambda text: clean(text) != ""))
@settings(max_examples=150, deadline=None)
def test_any_punctuation_stays_text_in_every_place(text: str) -> None:
    check_every_place(text, FORMATS[1])


@pytest.mark.parametrize("text", HOSTILE)
def test_what_quarto_reads_before_pandoc_does_is_not_there(text: str) -> None:
    for written in (escape(text), code(text), attribute(text), span(text, "x")):
        assert "{{<" not in written
        assert "```" not in written
        assert "\n" not in written
        assert "<script" not in written
        assert "not rendered yet]" not in written


def test_markdown_is_not_escaped_twice() -> None:
    assert inline(escape("a_b")) == "a\\_b"
    assert inline(Markdown("**bold**")) == "**bold**"
    assert inline(None) == ""
    assert inline(0) == "0"


def test_marks_that_reorder_or_hide_text_are_removed() -> None:
    assert clean("user\u202etxt.exe") == "usertxt.exe"
    assert clean("a\x00b\x1bc\ud800d\ufffee") == "abcde"


def test_readable_text_stays_readable() -> None:
    assert escape("Varying slope, 95% of 919 houses; 0.5 to 1.2") == "Varying slope, 95% of 919 houses; 0.5 to 1.2"
    assert code("log_radon ~ floor + (1 | county)") == "`log_radon ~ floor + (1 | county)`"


def test_code_with_a_backtick_becomes_a_span() -> None:
    assert code("a`b") == "[a&#96;b]{.ml-code}"
    assert code("") == ""


@pytest.mark.parametrize("latex", ["a $ b", "x $$ <script>", "a\\", "x\u202ey", ""])
def test_latex_that_could_leave_its_dollars_is_not_mathematics(latex: str) -> None:
    assert "$$" not in display_math(latex)


def test_latex_is_one_equation() -> None:
    tree = parse(display_math("y_i \\sim \\mathrm{N}(\\mu_i,\n\n \\sigma)"))
    maths = [node for node in nodes(tree) if node["t"] == "Math"]
    assert len(maths) == 1
    assert maths[0]["c"][0]["t"] == "DisplayMath"


def test_table_cells_line_up() -> None:
    tree = parse(table(["a | b", "c"], [["x | y", 1], [Markdown("**b**"), None]], label="l", align="lr"))
    found = next(node for node in nodes(tree) if node["t"] == "Table")
    rows = found["c"][4][0][3]
    assert [len(row[1]) for row in rows] == [2, 2]
    assert [spec[0]["t"] for spec in found["c"][2]] == ["AlignLeft", "AlignRight"]
    assert words(rows[0]) == "x | y1"


def test_identifiers_of_different_names_differ() -> None:
    names = ["a_b", "a-b", "a b", "A_b", "a.b", "<script>", "日本"]
    made = [identifier("model", name) for name in names]
    assert len(set(made)) == len(names)
    assert identifier("model", "varying_slope") == "model-varying-slope"
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in made)


def test_sentence_list() -> None:
    assert sentence_list([]) == ""
    assert sentence_list(["a"]) == "a"
    assert sentence_list(["a", "b", "c"]) == "a, b and c"
