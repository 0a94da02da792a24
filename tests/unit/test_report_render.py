"""Typesetting: in a private folder, moved into place when whole, by the program that the page names."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.finished_study import MODELS, STUDY_FIGURES, model_figures, write_stand_in, write_study

from multilevel.report import Renderer, RenderError, build_qmd, build_record, find_renderer, render
from multilevel.report import render as render_function
from multilevel.report.markdown import RENDERER_PLACE
from multilevel.report.page import REPORTS


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, plan = write_study(tmp_path_factory.mktemp("study"), failed=["varying_slope"])
    (folder / "report.qmd").write_text(build_qmd(build_record(folder, plan)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    render(study / "report.qmd", study / "report.html", renderer="pandoc")
    return (study / "report.html").read_text(encoding="utf-8")


def test_the_page_names_the_program_that_made_it(page: str, study: Path) -> None:
    assert page.count(f'<span class="ml-renderer">{find_renderer("pandoc")}</span>') == 2
    assert "not rendered yet" not in page
    assert RENDERER_PLACE in (study / "report.qmd").read_text(encoding="utf-8")


def test_the_page_is_self_contained(page: str) -> None:
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert not re.search(r"@import|url\(", page)
    assert page.count("<script>") == 1
    assert 'src="data:image/svg+xml;base64,' in page


def test_callouts_and_tabs_become_html(page: str) -> None:
    assert 'class="ml-callout ml-callout-important"' in page
    assert '<details class="ml-callout ml-callout-note">' in page
    assert page.count('class="ml-tabs"') == 4
    assert "panel-tabset" not in page
    assert ":::" not in page
    assert page.count('class="ml-tab-title"') == 4 * 6


def test_tab_titles_stay_out_of_the_contents(page: str) -> None:
    contents = page[page.index('id="TOC"') : page.index("</nav>")]
    assert contents.count("<li>") == 11


def test_equations_are_mathml(page: str) -> None:
    assert page.count('<math display="block"') == 2 * len(MODELS)
    assert "math display" not in re.sub(r"<math.*?</math>", "", page, flags=re.DOTALL)


def test_alternative_text_and_row_headings(page: str) -> None:
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == len(STUDY_FIGURES) + sum(len(model_figures(model)) for model in MODELS)
    assert all(re.search(r'alt="[^"]{30,}"', image) for image in images)
    assert "fig-alt" not in page
    assert "<colgroup>" not in page
    assert re.search(r"<tbody>\s*<tr>\s*<th", page)


def test_two_renders_give_the_same_bytes(study: Path, page: str, tmp_path: Path) -> None:
    render(study / "report.qmd", tmp_path / "again.html", renderer="pandoc")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_nothing_is_left_beside_the_source(study: Path, page: str) -> None:
    assert {path.name for path in study.iterdir()} == {
        "comparisons", "data_summary.json", "figures", "models", "provenance.json", "report.html", "report.qmd",
    }  # fmt: skip


def test_a_read_only_source_folder_is_enough(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    copy.chmod(0o555)
    try:
        render(copy / "report.qmd", tmp_path / "out" / "report.html", renderer="pandoc")
    finally:
        copy.chmod(0o755)
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000


def test_a_lost_figure_is_an_error_and_leaves_the_old_page(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    (copy / "figures" / "forest.svg").unlink()
    (copy / "report.html").write_text("old")
    with pytest.raises(RenderError, match=r"lost a figure[\s\S]*forest"):
        render(copy / "report.qmd", copy / "report.html", renderer="pandoc")
    assert (copy / "report.html").read_text() == "old"
    assert not list(copy.glob(".report*"))


def test_a_figure_below_a_folder_with_a_hostile_name(tmp_path: Path) -> None:
    folder, plan = write_study(tmp_path)
    name = 'a "b" <c> #d %20'
    shutil.copytree(folder / "models" / "cross_level", folder / "models" / name)
    plan["models"] = {name: plan["models"]["cross_level"]}
    write_stand_in(folder / "models" / name / "figures" / "trace.svg")
    (folder / "report.qmd").write_text(build_qmd(build_record(folder, plan)), encoding="utf-8")
    render(folder / "report.qmd", folder / "report.html", renderer="pandoc")
    assert (folder / "report.html").read_text().count("<img") == len(STUDY_FIGURES) + len(model_figures("cross_level"))


def test_only_figures_that_the_page_shows_are_handed_to_the_renderer(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    write_stand_in(copy / "figures" / "group_sizes.school.svg")
    (copy / "figures" / "forest.png").write_bytes(b"")
    seen: list[str] = []

    def look(renderer: Renderer, folder: Path, *_: object) -> None:
        seen.extend(path.name for path in folder.rglob("figures/*"))
        (folder / "report.html").write_text("page")

    monkeypatch.setattr(sys.modules["multilevel.report.render"], "_run_pandoc", look)
    render(copy / "report.qmd", copy / "report.html", renderer="pandoc")
    assert "forest.svg" in seen
    assert not {"group_sizes.school.svg", "forest.png"} & set(seen)


def test_a_failing_program_is_an_error_with_what_it_said(study: Path, tmp_path: Path) -> None:
    broken = tmp_path / "reports"
    shutil.copytree(REPORTS, broken)
    (broken / "theme" / "pandoc.lua").write_text("this is not Lua")
    with pytest.raises(RenderError, match=r"pandoc stopped with status[\s\S]*pandoc\.lua"):
        render(study / "report.qmd", tmp_path / "report.html", renderer="pandoc", reports_dir=broken)
    assert not (tmp_path / "report.html").exists()


def test_typesetting_is_given_up_after_a_while(study: Path, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"stopped after 0\.001 s"):
        render(study / "report.qmd", tmp_path / "report.html", renderer="pandoc", timeout_s=0.001)


def test_the_users_own_pandoc_defaults_play_no_part(
    study: Path, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "pandoc" / "templates"
    data.mkdir(parents=True)
    (data / "default.html5").write_text("hijacked")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    render(study / "report.qmd", tmp_path / "report.html", renderer="pandoc")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_a_quarto_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quarto").write_text("#!/bin/sh\necho 'the program was never downloaded' >&2\nexit 1\n")
    (tmp_path / "quarto").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_renderer("auto").path != str(tmp_path / "quarto")
    if shutil.which("quarto") == str(tmp_path / "quarto") and find_renderer("auto").name == "Pandoc":
        with pytest.raises(RenderError, match="no working `quarto`"):
            find_renderer("quarto")


def test_quarto_makes_the_same_page(study: Path, tmp_path: Path) -> None:
    try:
        quarto = find_renderer("quarto")
    except RenderError as error:
        pytest.skip(f"Quarto is not installed: {error}")
    made = render(study / "report.qmd", tmp_path / "report.html", renderer="quarto")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert made == quarto
    assert str(quarto) in page
    assert "Quality record" in page
    assert 'class="panel-tabset' in page or 'role="tablist"' in page
    assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)=["']https?:""", page)


def test_quarto_is_asked_for_one_page(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that Quarto would get, and the folder it would find; what Quarto makes of them is not shown here."""
    import sys

    module = sys.modules[render_function.__module__]
    seen: dict[str, Any] = {}

    def run(command: list[str], folder: Path, timeout_s: float) -> str:
        seen.update(command=command, files=sorted(path.name for path in folder.iterdir()), timeout_s=timeout_s)
        (folder / "report.html").write_text("page")
        return ""

    monkeypatch.setattr(module, "_run", run)
    monkeypatch.setattr(module, "find_renderer", lambda _choice: Renderer("Quarto", "0.0.0", "quarto-path"))
    render(study / "report.qmd", tmp_path / "report.html")
    assert seen["command"] == ["quarto-path", "render", "report.qmd", "--to", "html", "--output", "report.html"]
    assert seen["files"] == ["_quarto.yml", "figures", "models", "report.css", "report.qmd"]


def test_the_quarto_project_is_not_a_website() -> None:
    import yaml

    assert yaml.safe_load((REPORTS / "_quarto.yml").read_text()) == {"project": {"type": "default"}}
