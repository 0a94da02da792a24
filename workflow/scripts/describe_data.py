"""Describe the prepared data in the small JSON file that the report reads."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import data_summary, dataset, joblog, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def describe_data(
    response: str,
    groups: list[str],
    used: list[str],
    words: dict[str, dict[str, str]],
    path_to_data: str,
    path_to_summary: str,
) -> None:
    """Write tables, joins, rows, columns and groups; `words` holds the study's ``units`` and ``labels``."""
    prepared = dataset.read(Path(path_to_data))
    storage.write_json(Path(path_to_summary), data_summary.describe(prepared, response, groups, used, words))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    describe_data(
        response=snakemake.params.response,
        groups=list(snakemake.params.groups),
        used=list(snakemake.params.used),
        words=json.loads(snakemake.params.words),
        path_to_data=snakemake.input.data,
        path_to_summary=snakemake.output.summary,
    )
