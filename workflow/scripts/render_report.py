"""Typeset a study's report as one self-contained page."""

from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import joblog
from multilevel.report.render import render

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def render_report(path_to_source: str, path_to_page: str) -> None:
    """Write report.html with Quarto where it is installed, with Pandoc otherwise."""
    print(render(Path(path_to_source), Path(path_to_page)))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    render_report(path_to_source=snakemake.input.source, path_to_page=snakemake.output.page)
