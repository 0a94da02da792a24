"""Write the source of a study's report from its small files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import joblog, storage
from multilevel.report.page import build_qmd
from multilevel.report.record import build_record

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def write_report(
    plan: dict[str, Any], not_fitted: list[str], figures: list[str], folder: str, path_to_source: str
) -> None:
    """Write report.qmd with those of the figures that are SVG; models in `not_fitted` are shown as such in every table."""
    shown = [str(Path(path).relative_to(folder)) for path in figures if path.endswith(".svg")]
    storage.write_text(Path(path_to_source), build_qmd(build_record(Path(folder), plan, not_fitted, shown)))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    write_report(
        plan=json.loads(snakemake.params.plan),
        not_fitted=list(snakemake.params.not_fitted),
        figures=list(snakemake.input.figures),
        folder=snakemake.params.folder,
        path_to_source=snakemake.output.source,
    )
