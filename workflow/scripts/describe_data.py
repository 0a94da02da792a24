"""Describe the prepared data: the small JSON file that the report reads, and a picture of what is missing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import data_summary, dataset, figure_data, joblog, storage
from multilevel.figures.missingness import draw_missingness
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def describe_data(
    response: str,
    groups: list[str],
    used: list[str],
    words: dict[str, dict[str, str]],
    path_to_data: str,
    paths_out: dict[str, str],
) -> None:
    """Write tables, joins, rows, columns and groups; `words` holds the study's ``units`` and ``labels``."""
    prepared = dataset.read(Path(path_to_data))
    drawn, note = figure_data.missingness(prepared.summary, used)
    save(draw_missingness(drawn, note=note), paths_out["missingness"], drawn)
    storage.write_json(Path(paths_out["summary"]), data_summary.describe(prepared, response, groups, used, words))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    describe_data(
        response=snakemake.params.response,
        groups=list(snakemake.params.groups),
        used=list(snakemake.params.used),
        words=json.loads(snakemake.params.words),
        path_to_data=snakemake.input.data,
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
