"""Draw the figures of one fit: traces, ranks, pairs, energy, Pareto k, and its predictions for the largest groups."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import convergence, dataset, design, figure_data, joblog, storage
from multilevel.figures.energy import draw_energy
from multilevel.figures.pairs import draw_pairs
from multilevel.figures.pareto_k import draw_pareto_k
from multilevel.figures.predictive_by_group import draw_predictive_by_group
from multilevel.figures.ranks import draw_ranks
from multilevel.figures.theme import save
from multilevel.figures.trace import draw_trace

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_fit(
    model: dict[str, Any], groups: list[str], quantity: str, paths_in: dict[str, str], paths_out: dict[str, str]
) -> None:
    """Draw every figure named in `paths_out`."""
    data = dataset.read(Path(paths_in["data"]))
    posterior, stats, _ = convergence.read(Path(paths_in["posterior"]))
    found = convergence.quantities(posterior, design.build(model, data), effects=False)
    summary = storage.read_csv(Path(paths_in["summary"]), convergence.TEXT)
    chosen = figure_data.worst(found, summary)
    drawn = figure_data.trace(chosen)
    save(draw_trace(drawn), paths_out["trace"], drawn, digits=6)
    drawn = figure_data.ranks(chosen)
    save(draw_ranks(drawn), paths_out["ranks"], drawn)
    drawn, note = figure_data.pairs(figure_data.hardest(found, summary), stats, summary)
    save(draw_pairs(drawn, note=note), paths_out["pairs"], drawn, digits=6)
    drawn = figure_data.energy(stats)
    save(draw_energy(drawn), paths_out["energy"], drawn, digits=6)
    record, units = storage.read_json(Path(paths_in["loo"])), pd.read_parquet(paths_in["units"])
    scored = pd.Index(data.row_id).get_indexer(units["row_id"])  # a sample of very many rows
    labels = design.grouping(data.frame, groups[0]).to_numpy()[scored] if groups else ""
    drawn = figure_data.pareto_k(units, record["k_threshold"], labels)
    unit = "Observation" if len(units) == len(data.row_id) else f"{len(units)} sampled observations"
    save(draw_pareto_k(drawn, unit=unit), paths_out["pareto_k"], drawn)
    drawn, words = figure_data.by_group(pd.read_parquet(paths_in["densities"]))
    save(draw_predictive_by_group(drawn, quantity=quantity, **words), paths_out["predictive_by_group"], drawn, digits=4)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_fit(
        model=json.loads(snakemake.params.model),
        groups=list(snakemake.params.groups),
        quantity=snakemake.params.quantity,
        paths_in=dict(snakemake.input.items()),
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
