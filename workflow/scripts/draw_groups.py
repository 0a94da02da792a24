"""Draw how well each model predicts every level of one grouping."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import figure_data, joblog
from multilevel.figures.group_statistics import draw_group_statistics
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_groups(
    models: dict[str, str], quantities: dict[str, str], group: str, folder: str, path_to_figure: str
) -> None:
    """Draw statistics by level across the fitted models; `models` gives the label of each, `quantities` its response."""
    here = {name: Path(folder) / name for name in models}
    labels, words = figure_data.with_responses(figure_data.marked(models, figure_data.statuses(here)), quantities)
    drawn, note = figure_data.group_statistics(here, labels, group)
    save(draw_group_statistics(drawn, group=group, note=note, **words), path_to_figure, drawn, digits=6)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_groups(
        models=json.loads(snakemake.params.models),
        quantities=json.loads(snakemake.params.quantities),
        group=snakemake.params.group,
        folder=snakemake.params.folder,
        path_to_figure=snakemake.output.figure,
    )
