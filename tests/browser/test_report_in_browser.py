"""What a reader of the report sees: at a desk and on a phone, by mouse and by keyboard, offline, on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import MODELS, write_study

from multilevel.report import build_index, build_qmd, build_record, render

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ["good/radon/report.html", "mixed/radon/report.html", "index.html"]
WIDTHS = [1280, 390]
SECTIONS = [
    "Quality record", "In plain language", "Data", "Models", "Priors", "Estimates", "Comparison", "Predictive checks",
    "Convergence", "How to read each score", "Provenance",
]  # fmt: skip
Open = Callable[..., Any]


class Watched:
    """A page, and everything that it complained of or asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.remote: list[str] = []
        self.dialogs: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url[:200]))
        page.on("request", self._request)
        page.on("dialog", self._dialog)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.remote.append(request.url)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    contexts = []

    def open_one(path: Path, width: int = 1280, **options: Any) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.goto(path.as_uri())
        return watched

    yield open_one
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_of_the_network_and_nothing_complains(
    open_page: Open, results: Path, name: str, width: int
) -> None:
    watched = open_page(results / name, width)
    assert watched.complaints == []
    assert watched.remote == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_never_scrolls_sideways(open_page: Open, results: Path, name: str, width: int) -> None:
    page = open_page(results / name, width).page
    script = "() => [document.documentElement.scrollWidth, document.body.scrollWidth, window.innerWidth]"
    tabs = page.locator("[role=tab]")
    for index in range(max(1, tabs.count())):
        if tabs.count():
            tabs.nth(index).click()
        root, body, inner = page.evaluate(script)
        assert root <= inner == width
        assert body <= inner


def test_every_section_is_there_in_order(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    assert page.locator("h1").all_inner_texts() == ["Radon in Minnesota homes"]
    assert page.locator("h2").all_inner_texts() == SECTIONS
    assert page.locator("nav a").all_inner_texts() == SECTIONS


def test_every_link_of_the_contents_leads_somewhere(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    for anchor in page.locator("a[href^='#']").evaluate_all("links => links.map(link => link.getAttribute('href'))"):
        assert page.locator(anchor).count() == 1, anchor


@pytest.mark.parametrize("name", PAGES[:2])
def test_no_image_is_broken(open_page: Open, results: Path, name: str) -> None:
    page = open_page(results / name).page
    sizes = page.evaluate(
        "async () => Promise.all(Array.from(document.images, async image => { await image.decode(); "
        "return [image.naturalWidth, image.naturalHeight, image.alt.length]; }))"
    )
    assert len(sizes) >= 24
    assert all(width > 0 and height > 0 and words > 30 for width, height, words in sizes)


def test_tabs_answer_a_click(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    for index in range(page.locator(".ml-tabs").count()):
        tabs = page.locator(".ml-tabs").nth(index)
        assert tabs.locator("> [role=tablist] > [role=tab]").count() == len(MODELS)
        for number in range(len(MODELS)):
            tab = tabs.locator("[role=tab]").nth(number)
            tab.click()
            visible = tabs.locator("> [role=tabpanel]:visible")
            assert visible.count() == 1
            assert visible.get_attribute("id") == tab.get_attribute("aria-controls")
            assert tab.get_attribute("aria-selected") == "true"
            assert tabs.locator("[role=tab][aria-selected=true]").count() == 1


def test_tabs_answer_the_keyboard(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    tabs = page.locator(".ml-tabs").first
    focused = "() => document.activeElement.textContent"
    tabs.locator("[role=tab]").first.focus()
    for key, wanted in [
        ("ArrowRight", "No pooling"), ("End", "Cross level"), ("ArrowRight", "Complete pooling"),
        ("ArrowLeft", "Cross level"), ("Home", "Complete pooling"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(focused) == wanted
        assert tabs.locator("[role=tab][aria-selected=true]").inner_text() == wanted
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "tabpanel"
    assert tabs.locator("[role=tab][tabindex='0']").count() == 1


def test_the_whole_page_can_be_reached_by_keyboard(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0], 390).page
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the quality record"
    outside = page.evaluate(
        "() => Array.from(document.querySelectorAll('.ml-scroll, .ml-tab, summary, nav a'))"
        ".filter(element => element.tabIndex < 0 && element.getAttribute('role') !== 'tab').length"
    )
    assert outside == 0
    assert page.locator(".ml-scroll:not([aria-label])").count() == 0


def test_folded_tables_unfold(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    page.locator("#estimates + *").first.wait_for()
    page.locator("[aria-controls=estimates-varying-slope]").click()
    folded = page.locator("#estimates-varying-slope details")
    assert folded.locator("table").is_hidden()
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    assert folded.locator("table").is_visible()
    assert "The first 100 of 170 are shown" in folded.inner_text()


def test_without_scripts_every_panel_is_shown(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0], java_script_enabled=False).page
    assert page.locator(".ml-tab-panel:visible").count() == 4 * len(MODELS)
    assert page.locator(".ml-tab-title:visible").count() == 4 * len(MODELS)


def test_on_paper_every_panel_is_shown(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    page.emulate_media(media="print")
    assert page.locator(".ml-tab-panel:visible").count() == 4 * len(MODELS)
    assert page.locator("[role=tablist]:visible").count() == 0
    assert page.locator("nav:visible").count() == 0


def test_equations_are_drawn(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0]).page
    heights = page.locator("#model-complete-pooling math").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().height)"
    )
    assert len(heights) == 2
    assert all(height > 10 for height in heights)
    assert page.locator("merror").count() == 0


def test_tables_scroll_on_a_phone_and_keep_their_first_column(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[0], 390).page
    region = page.locator(".ml-scroll").first
    left = "element => element.querySelector('tbody th').getBoundingClientRect().left"
    before = region.evaluate(left)
    assert region.evaluate("element => element.scrollWidth > element.clientWidth + 50")
    region.evaluate("element => { element.scrollLeft = 200; }")
    assert region.evaluate("element => element.scrollLeft") == 200
    assert abs(region.evaluate(left) - before) < 2


def _contrast(page: Any) -> list[tuple[str, float]]:
    """Return text and contrast of every flag, card and heading against what is painted behind it (WCAG 2.2)."""
    script = """() => {
      const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const lum = c => { const [r, g, b] = c.map(v => linear(v / 255)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const parse = t => (t.match(/[\\d.]+/g) || []).map(Number);
      const behind = e => {
        for (; e; e = e.parentElement) {
          const c = parse(getComputedStyle(e).backgroundColor);
          if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
        }
        return [255, 255, 255];
      };
      const every = 'h1, h2, h3, p, li, td, th, a, code, button, figcaption, [class^=ml-]';
      return Array.from(document.querySelectorAll(every))
        .filter(e => e.innerText && e.getClientRects().length)
        .map(e => { const a = lum(parse(getComputedStyle(e).color).slice(0, 3)), b = lum(behind(e));
          return [e.innerText.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
    }"""
    return [(text, ratio) for text, ratio in page.evaluate(script)]


@pytest.mark.parametrize("name", PAGES[1:])
def test_text_stands_out_from_what_is_behind_it(open_page: Open, results: Path, name: str) -> None:
    found = _contrast(open_page(results / name).page)
    assert len(found) > 10
    assert [pair for pair in found if pair[1] < 4.5] == []


def test_flags_say_in_words_what_colour_says(open_page: Open, results: Path) -> None:
    page = open_page(results / PAGES[1]).page
    for css_class, sign in [("ml-ok", "✓"), ("ml-care", "▲"), ("ml-bad", "✕"), ("ml-absent", "○")]:
        for text in page.locator(f".{css_class}").all_inner_texts():
            assert not text or text.startswith(sign), text
            assert not text or len(text) > 2, text


def test_the_front_page_leads_to_the_reports(open_page: Open, results: Path) -> None:
    page = open_page(results / "index.html").page
    assert page.locator("article").count() == 2
    page.locator("article a").first.click()
    assert page.locator("h2").first.inner_text() == "Quality record"


HOSTILE = (
    "</title></td></p><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    '[x](javascript:window.hacked=3) " onmouseover="window.hacked=4 `</code><script>window.hacked=5</script>` '
    "<svg onload=window.hacked=6> $\\href{javascript:window.hacked=7}{x}$ | ::: # \n\n<iframe src=https://example.invalid>"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, plan = write_study(tmp_path_factory.mktemp("hostile"))
    plan.update(title=HOSTILE, question=HOSTILE, citation=HOSTILE, description=HOSTILE, warnings=[HOSTILE])
    for model in plan["models"].values():
        model.update(label=HOSTILE, description=HOSTILE, formula=HOSTILE, family=HOSTILE)
    plan["data"].update(derive={HOSTILE: HOSTILE}, filter=HOSTILE)
    summary = json.loads((folder / "data_summary.json").read_text())
    summary["columns"][3].update(name=HOSTILE, unit=HOSTILE, description=HOSTILE, levels=[HOSTILE])
    summary["groups"][0]["name"] = summary["response"]["name"] = summary["tables"][0]["path"] = HOSTILE
    (folder / "data_summary.json").write_text(json.dumps(summary))
    (folder / "provenance.json").write_text(json.dumps({HOSTILE: HOSTILE, "software": {HOSTILE: HOSTILE}}))
    for path in (folder / "models").glob("*/equations.json"):
        level = {"level": 1, "title": HOSTILE, "latex": [HOSTILE, r"\text{</math><script>window.hacked = 8</script>}"]}
        path.write_text(json.dumps({"levels": [level], "plain": HOSTILE}))
    record = build_record(folder, plan)
    (folder / "report.qmd").write_text(build_qmd(record), encoding="utf-8")
    render(folder / "report.qmd", folder / "report.html", renderer="pandoc")
    (folder / "index.html").write_text(build_index([record]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["report.html", "index.html"])
@pytest.mark.parametrize("shielded", [True, False], ids=["as it is", "without its content security policy"])
def test_no_hostile_text_runs(open_page: Open, hostile: Path, name: str, shielded: bool) -> None:
    text = (hostile / name).read_text(encoding="utf-8")
    path = hostile / f"{'shielded' if shielded else 'bare'}-{name}"
    path.write_text(text if shielded else text.replace('http-equiv="Content-Security-Policy"', 'name="none"'))
    watched = open_page(path, 390)
    page = watched.page
    page.mouse.move(100, 300)
    assert page.evaluate("() => window.hacked") is None
    assert watched.complaints == []
    assert watched.remote == []
    assert watched.dialogs == []
    assert page.locator("script").count() == (1 if name == "report.html" else 0)
    assert page.locator("iframe, object, embed, a[href^='javascript:'], form").count() == 0
    attributes = "() => Array.from(document.querySelectorAll('*')).flatMap(element => element.getAttributeNames())"
    assert [name for name in page.evaluate(attributes) if name.startswith("on")] == []
    assert (
        "<script>window.hacked = 1</script>"
        in page.locator("h1, h2 a").last.inner_text() + page.locator("h1").inner_text()
    )
    if name == "report.html":
        assert page.locator("h2").all_inner_texts() == SECTIONS
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


DEFAULT = Path(__file__).resolve().parents[2] / "results" / "radon" / "report.html"


@pytest.mark.skipif(not DEFAULT.exists(), reason="results/radon/report.html is not there; `make study` makes it")
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_of_the_default_study_is_whole(open_page: Open, width: int) -> None:
    watched = open_page(DEFAULT, width)
    page = watched.page
    sizes = page.evaluate(
        "async () => Promise.all(Array.from(document.images, async image => { await image.decode(); "
        "return [image.naturalWidth, image.naturalHeight]; }))"
    )
    place = SECTIONS.index("Comparison")  # published values stand before it, in studies that have some
    assert page.locator("h2").all_inner_texts() == [*SECTIONS[:place], "Published values", *SECTIONS[place:]]
    assert len(sizes) >= 30
    assert all(across > 0 and down > 0 for across, down in sizes)
    assert watched.complaints == []
    assert watched.remote == []
