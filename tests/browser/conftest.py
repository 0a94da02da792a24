"""Chromium, and pages of finished studies to open in it; where it is absent, tests are skipped with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.finished_study import write_study

from multilevel.report import build_index, build_qmd, build_record, render

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Return a running Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder with a good study whose figures are real, a mixed one, and the front page."""
    root = tmp_path_factory.mktemp("results")
    variants = {"good": {}, "mixed": {"failed": ["varying_slope"], "not_fitted": ["no_pooling"]}}
    records = []
    for name, choice in variants.items():
        folder, plan = write_study(root / name, figures=name == "good", **choice)
        record = build_record(folder, plan)
        (folder / "report.qmd").write_text(build_qmd(record), encoding="utf-8")
        render(folder / "report.qmd", folder / "report.html", renderer="pandoc")
        records.append({**record, "study": f"{name}/radon"})
    (root / "index.html").write_text(build_index(records), encoding="utf-8")
    return root
