"""Check one fit's predictions of its own data against the data."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import checks, checks_coverage, checks_discrete, dataset, design, families, joblog, predictor, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def check_predictions(
    name: str, model: dict[str, Any], seed: int, groups: list[str], paths_in: dict[str, str], paths_out: dict[str, str]
) -> None:
    """Write the checks of all rows, of every level of every grouping, of quantiles and intervals, and the densities to draw."""
    data = dataset.read(Path(paths_in["data"]))
    built = design.build(model, data)
    draws = predictor.read(Path(paths_in["posterior"]), built)
    groupings = {group: checks.Grouping(*design.code_grouping(data.frame, group)) for group in groups}
    module, count = families.get(built.family), checks.replicates(len(built.y), draws.size)
    sample = checks_coverage.Sample(count, len(built.y))
    found = checks.check(
        built.y,
        sample.of(checks.replicate_blocks(built, draws, seed)),
        groupings,
        count=count,
        discrete=module.KIND != "continuous",
        functions={**checks.functions_of(built, groupings), **checks_discrete.statistics_of(module)},
    )
    tables = {part: getattr(found, part) for part in ("statistics", "by_group", "quantiles")}
    tables["coverage"] = checks_coverage.coverage(built.y[sample.rows], sample.replicates)
    for part, table in tables.items():
        table.insert(0, "model", name)
        storage.write_csv(Path(paths_out[part]), table)
    storage.write_parquet(Path(paths_out["densities"]), found.densities)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    check_predictions(
        name=snakemake.wildcards.model,
        model=json.loads(snakemake.params.model),
        seed=snakemake.params.seed,
        groups=list(snakemake.params.groups),
        paths_in=dict(snakemake.input.items()),
        paths_out=dict(snakemake.output.items()),
    )
