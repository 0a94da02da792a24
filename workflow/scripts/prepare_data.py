"""Make data.nc from the raw tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import dataset, joblog, preparation

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def prepare_data(data: dict[str, Any], drop_missing_in: list[str], path_to_data: str) -> None:
    """Write the prepared dataset; raw tables are read relative to the working directory."""
    dataset.write(Path(path_to_data), preparation.prepare(data, drop_missing_in, Path.cwd()))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    prepare_data(
        data=json.loads(snakemake.params.data),
        drop_missing_in=list(snakemake.params.drop_missing_in),
        path_to_data=snakemake.output.data,
    )
