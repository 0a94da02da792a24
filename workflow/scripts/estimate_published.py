"""Summarise a posterior for the quantities that have published numbers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import convergence, dataset, design, joblog, replication, storage
from multilevel.estimands import Estimand

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def estimate_published(
    model: dict[str, Any],
    quantities: list[dict[str, Any]],
    path_to_data: str,
    path_to_posterior: str,
    path_to_table: str,
) -> None:
    """Write every statistic that may be published of the quantities, with its Monte Carlo error."""
    built = design.build(model, dataset.read(Path(path_to_data)))
    posterior, _, _ = convergence.read(Path(path_to_posterior))
    wanted = [Estimand.from_row(row) for row in quantities]
    storage.write_csv(Path(path_to_table), replication.summarise(wanted, convergence.quantities(posterior, built)))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    estimate_published(
        model=json.loads(snakemake.params.model),
        quantities=json.loads(snakemake.params.quantities),
        path_to_data=snakemake.input.data,
        path_to_posterior=snakemake.input.posterior,
        path_to_table=snakemake.output.table,
    )
