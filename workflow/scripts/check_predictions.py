"""Check one fit's predictions of its own data against the data."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import checks, dataset, design, joblog, predictor, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def check_predictions(
    name: str,
    model: dict[str, Any],
    seed: int,
    groups: list[str],
    path_to_data: str,
    path_to_posterior: str,
    path_to_statistics: str,
    path_to_densities: str,
) -> None:
    """Write the table of statistics and the densities of observed and replicated data."""
    data = dataset.read(Path(path_to_data))
    built = design.build(model, data)
    replicates = checks.replicate(built, predictor.read(Path(path_to_posterior), built), seed)
    index = {group: design.code_grouping(data.frame, group)[0] for group in groups}
    for table, path in (
        (checks.statistics(built.y, replicates, checks.functions_of(built, index)), path_to_statistics),
        (checks.densities(built.y, replicates, len(built.categories)), path_to_densities),
    ):
        table.insert(0, "model", name)
        storage.write_csv(Path(path), table)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    check_predictions(
        name=snakemake.wildcards.model,
        model=json.loads(snakemake.params.model),
        seed=snakemake.params.seed,
        groups=list(snakemake.params.groups),
        path_to_data=snakemake.input.data,
        path_to_posterior=snakemake.input.posterior,
        path_to_statistics=snakemake.output.statistics,
        path_to_densities=snakemake.output.densities,
    )
