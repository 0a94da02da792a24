"""Typesetting: Quarto where it works, else Pandoc; always in a private folder, the page moved into place when whole."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

from multilevel.report.markdown import RENDERER_PLACE, escape, span
from multilevel.report.page import REPORTS
from multilevel.storage import atomic

Choice = Literal["auto", "quarto", "pandoc"]

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*")
_PROBE_SECONDS = 60
_FIGURE_SUFFIXES = frozenset({".svg", ".png"})
_LOST_RESOURCE = "Could not fetch resource"
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: Pandoc would fetch what a page refers to, and a report refers to nothing outside."""
_LONGEST_MESSAGE = 4_000


class RenderError(RuntimeError):
    """The page could not be typeset; the message holds what the program said."""


class Renderer(NamedTuple):
    """The program that typesets the page."""

    name: Literal["Quarto", "Pandoc"]
    version: str
    path: str

    def __str__(self) -> str:
        """Return its name and version, as the page prints them."""
        return f"{self.name} {self.version}"


def render(
    qmd_path: Path,
    html_path: Path,
    *,
    renderer: Choice = "auto",
    reports_dir: Path = REPORTS,
    timeout_s: float = 600.0,
) -> Renderer:
    """Typeset a report's source as one self-contained page.

    Parameters
    ----------
    qmd_path
        The source; the figures it shows lie below its folder and are copied with it.
    html_path
        Where the page goes; it appears there only when it is whole.
    renderer
        ``auto`` takes Quarto where a working one is found, else Pandoc.
    reports_dir
        Folder of the style sheet, the Lua filter and the page template.
    timeout_s
        Seconds after which typesetting is given up.

    Returns
    -------
    Renderer
        The program that made the page; the page names it too.

    Raises
    ------
    RenderError
        When the program is missing, fails, runs out of time or loses a figure.
    """
    chosen = find_renderer(renderer)
    with tempfile.TemporaryDirectory(prefix="report-") as name:
        folder = Path(name)
        _copy_source(Path(qmd_path), folder, chosen)
        make = _run_quarto if chosen.name == "Quarto" else _run_pandoc
        make(chosen, folder, reports_dir, timeout_s)
        page = folder / "report.html"
        if not page.is_file() or page.stat().st_size == 0:
            raise RenderError(f"{chosen} wrote no page for {qmd_path}")
        with atomic(Path(html_path)) as temporary:
            shutil.copyfile(page, temporary)
    return chosen


def find_renderer(choice: Choice = "auto") -> Renderer:
    """Return the program that will typeset a page.

    Raises
    ------
    RenderError
        When the program asked for is not there or does not work.
    """
    if choice in {"auto", "quarto"} and (quarto := _find_quarto()) is not None:
        return quarto
    if choice == "quarto":
        raise RenderError("no working `quarto` on the PATH or beside this Python; install Quarto or choose pandoc")
    if (pandoc := _find_pandoc()) is not None:
        return pandoc
    raise RenderError("no working Pandoc; install the packages of envs/requirements.lock, which carry it")


def _find_quarto() -> Renderer | None:
    beside_python = Path(sys.executable).parent / "quarto"
    candidates = [shutil.which("quarto"), str(beside_python) if beside_python.is_file() else None]
    for path in candidates:
        if path is not None and (version := _version_of([path, "--version"])) is not None:
            return Renderer("Quarto", version, path)
    return None


def _find_pandoc() -> Renderer | None:
    try:
        import pypandoc
    except ImportError:
        path = shutil.which("pandoc")
    else:
        path = pypandoc.get_pandoc_path()
    version = _version_of([path, "--version"]) if path else None
    return Renderer("Pandoc", version, str(path)) if version else None


def _version_of(command: Sequence[str]) -> str | None:
    """Return the version that a program prints first, or None where it does not run."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stdout) if answer.returncode == 0 else None
    return found.group() if found else None


def _copy_source(qmd_path: Path, folder: Path, renderer: Renderer) -> None:
    text = qmd_path.read_text(encoding="utf-8")
    named = text.replace(RENDERER_PLACE, span(escape(str(renderer)), "ml-renderer"))
    (folder / "report.qmd").write_text(named, encoding="utf-8")
    for pattern in ("figures/*", "models/*/figures/*"):
        for path in qmd_path.parent.glob(pattern):
            name = path.relative_to(qmd_path.parent).as_posix()
            if (name in named or quote(name) in named) and path.suffix in _FIGURE_SUFFIXES and path.is_file():
                target = folder / path.relative_to(qmd_path.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def _run_quarto(renderer: Renderer, folder: Path, reports_dir: Path, timeout_s: float) -> None:
    shutil.copyfile(reports_dir / "_quarto.yml", folder / "_quarto.yml")
    shutil.copyfile(reports_dir / "theme" / "report.css", folder / "report.css")
    _run([renderer.path, "render", "report.qmd", "--to", "html", "--output", "report.html"], folder, timeout_s)


def _run_pandoc(renderer: Renderer, folder: Path, reports_dir: Path, timeout_s: float) -> None:
    script = (reports_dir / "theme" / "tabs.js").read_text(encoding="utf-8")
    (folder / "script.html").write_text(f"<script>{script}</script>\n", encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    command = [
        renderer.path,
        "report.qmd",
        "--from=markdown",
        "--to=html5",
        "--standalone",
        "--embed-resources",
        "--mathml",
        "--toc",
        "--toc-depth=2",
        "--wrap=preserve",
        f"--data-dir={folder / 'no-user-defaults'}",
        f"--template={reports_dir / 'theme' / 'page.html'}",
        f"--lua-filter={reports_dir / 'theme' / 'pandoc.lua'}",
        f"--css={reports_dir / 'theme' / 'report.css'}",
        f"--css={reports_dir / 'theme' / 'page.css'}",
        "--include-after-body=script.html",
        f"--variable=script-digest:{digest}",
        "--output=report.html",
    ]
    said = _run(command, folder, timeout_s, dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NOWHERE))
    if _LOST_RESOURCE in said:
        raise RenderError(f"{renderer} lost a figure or a style sheet:\n{_end_of(said)}")


def _run(command: Sequence[str], folder: Path, timeout_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a program in a folder, with variables added to its environment; return what it said on standard error."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RenderError(f"{command[0]} was stopped after {timeout_s:g} s") from error
    except OSError as error:
        raise RenderError(f"{command[0]} did not start: {error}") from error
    if done.returncode != 0:
        raise RenderError(f"{command[0]} stopped with status {done.returncode}:\n{_end_of(done.stderr)}")
    sys.stderr.write(done.stderr)  # warnings belong in the job's log
    return done.stderr


def _end_of(text: str) -> str:
    return text.strip()[-_LONGEST_MESSAGE:]
