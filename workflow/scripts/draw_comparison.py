"""Draw one comparison: differences in elpd, in total and by row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import dataset, joblog
from multilevel.figures.elpd_differences import draw_elpd_differences
from multilevel.figures.pointwise import draw_pointwise
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_comparison(
    models: dict[str, str],
    group: str,
    path_to_table: str,
    path_to_differences: str,
    path_to_data: str,
    paths_out: dict[str, str],
) -> None:
    """Draw the differences in elpd of one comparison, in total and, for the two best models, by row."""
    table = pd.read_csv(path_to_table)
    drawn = table[["model", "elpd_diff", "se_diff", "status", "k_bad"]].assign(model=table["model"].map(models))
    save(draw_elpd_differences(drawn), paths_out["elpd_differences"], drawn)
    if "pointwise" not in paths_out:
        return
    ranked = list(table.loc[table["status"] == "ok", "model"])
    differences = pd.read_parquet(path_to_differences)
    second = ranked[1] if len(ranked) > 1 else ""
    rows = differences[differences["model"] == second]
    data = dataset.read(Path(path_to_data))
    groups: Any = dict(zip(map(str, data.row_id), data.frame[group].astype(str), strict=True)) if group else {}
    drawn = pd.DataFrame(
        {"row_id": rows["row_id"], "group": [groups.get(str(r), "") for r in rows["row_id"]], "diff": -rows["diff"]}
    )
    if drawn.empty:
        drawn = pd.DataFrame({"row_id": ["none"], "group": [""], "diff": [0.0]})
    first = models[ranked[0]] if ranked else "no ranked model"
    words = {"first": first, "second": models.get(second, "no second ranked model"), "group": group or "row"}
    figure = draw_pointwise(drawn, **words)
    save(figure, paths_out["pointwise"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_comparison(
        models=json.loads(snakemake.params.models),
        group=snakemake.params.group,
        path_to_table=snakemake.input.table,
        path_to_differences=snakemake.input.differences,
        path_to_data=snakemake.input.data,
        paths_out={key: value for key, value in snakemake.output.items() if not key.endswith("_data")},
    )
