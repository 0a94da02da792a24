"""Draw the figures of one fit: traces, ranks, energy, Pareto k."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import convergence, dataset, design, figure_data, joblog, storage
from multilevel.figures.energy import draw_energy
from multilevel.figures.pareto_k import draw_pareto_k
from multilevel.figures.ranks import draw_ranks
from multilevel.figures.theme import save
from multilevel.figures.trace import draw_trace

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_fit(model: dict[str, Any], groups: list[str], paths_in: dict[str, str], paths_out: dict[str, str]) -> None:
    """Draw every figure named in `paths_out`, which also holds the data drawn beside each."""
    data = dataset.read(Path(paths_in["data"]))
    built = design.build(model, data)
    posterior, stats, _ = convergence.read(Path(paths_in["posterior"]))
    found = convergence.quantities(posterior, built)
    chosen = figure_data.worst(found, pd.read_csv(paths_in["summary"]))
    drawn = figure_data.trace(chosen)
    save(draw_trace(drawn), paths_out["trace"], drawn)
    drawn = figure_data.ranks(chosen)
    save(draw_ranks(drawn), paths_out["ranks"], drawn)
    drawn = figure_data.energy(stats)
    save(draw_energy(drawn), paths_out["energy"], drawn)
    threshold = storage.read_json(Path(paths_in["loo"]))["k_threshold"]
    labels = data.frame[groups[0]].astype(str) if groups else ""
    drawn = figure_data.pareto_k(pd.read_parquet(paths_in["units"]), threshold, labels)
    save(draw_pareto_k(drawn), paths_out["pareto_k"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_fit(
        model=json.loads(snakemake.params.model),
        groups=list(snakemake.params.groups),
        paths_in=dict(snakemake.input.items()),
        paths_out={key: value for key, value in snakemake.output.items() if not key.endswith("_data")},
    )
