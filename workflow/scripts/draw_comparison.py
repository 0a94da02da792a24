"""Draw one comparison: differences in elpd, in total and by row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import dataset, design, figure_data, joblog
from multilevel.figures.differences_by_time import draw_differences_by_time
from multilevel.figures.elpd_differences import draw_elpd_differences
from multilevel.figures.layout import words_only
from multilevel.figures.pointwise import draw_pointwise
from multilevel.figures.theme import save
from multilevel.names import OBSERVATION, time_of

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_comparison(
    models: dict[str, str],
    group: str,
    unit: str,
    path_to_table: str,
    path_to_differences: str,
    path_to_data: str,
    paths_out: dict[str, str],
) -> None:
    """Draw the differences in elpd of one comparison, in total and by unit left out, each from the best model."""
    table = pd.read_csv(path_to_table)
    drawn = table[["model", "elpd_diff", "se_diff", "status", "k_bad"]].assign(model=table["model"].map(models))
    save(draw_elpd_differences(drawn), paths_out["elpd_differences"], drawn)
    ranked = list(table.loc[table["status"] == "ok", "model"])
    groups: dict[str, Any] = {}
    differences = pd.read_parquet(path_to_differences)
    if group and unit == OBSERVATION:
        data = dataset.read(Path(path_to_data))
        scored = pd.Series(data.row_id).isin(set(differences["row_id"])).to_numpy()
        labels = design.grouping(data.frame, group).to_numpy()[scored]
        groups = dict(zip(map(str, data.row_id[scored]), labels, strict=True))
    drawn, note = figure_data.pointwise(differences, ranked, models, lambda row: groups.get(row, ""))
    if drawn.empty:
        figure = words_only("Fewer than two models passed their checks, so there is no difference to draw.")
    elif time := time_of(unit):
        figure = draw_differences_by_time(drawn, best=models[ranked[0]], time=time, note=note)
    else:
        figure = draw_pointwise(drawn, best=models[ranked[0]], group=group or "row", unit=unit, note=note)
    save(figure, paths_out["pointwise"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_comparison(
        models=json.loads(snakemake.params.models),
        group=snakemake.params.group,
        unit=snakemake.params.unit,
        path_to_table=snakemake.input.table,
        path_to_differences=snakemake.input.differences,
        path_to_data=snakemake.input.data,
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
