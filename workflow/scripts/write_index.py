"""Write the page that lists the studies run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import joblog, storage
from multilevel.report.index import build_index
from multilevel.report.record import build_record

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def write_index(plans: dict[str, Any], not_fitted: dict[str, list[str]], folder: str, path_to_index: str) -> None:
    """Write index.html with one entry for each study of this run."""
    records = [build_record(Path(folder) / study, plan, not_fitted[study]) for study, plan in plans.items()]
    storage.write_text(Path(path_to_index), build_index(records))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    write_index(
        plans=json.loads(snakemake.params.plans),
        not_fitted=json.loads(snakemake.params.not_fitted),
        folder=snakemake.params.folder,
        path_to_index=snakemake.output.index,
    )
