"""Draw how far a fit pulls each level's intercept and slope, as arrows in the plane of the two."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import convergence, dataset, design, figure_data, joblog, storage
from multilevel.figures import shrinkage_plane
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_shrinkage_plane(
    model: dict[str, Any], group: str, quantity: str, path_to_data: str, path_to_summary: str, path_to_figure: str
) -> None:
    """Draw the correlated effects of one grouping."""
    built = design.build(model, dataset.read(Path(path_to_data)))
    summary = storage.read_csv(Path(path_to_summary), convergence.TEXT)
    drawn = figure_data.shrinkage_plane(built, summary, group)
    scale = quantity if built.link == "identity" else f"{quantity} on the {built.link} scale"
    save(shrinkage_plane.draw_shrinkage_plane(drawn, group=group, quantity=scale), path_to_figure, drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_shrinkage_plane(
        model=json.loads(snakemake.params.model),
        group=snakemake.params.group,
        quantity=snakemake.params.quantity,
        path_to_data=snakemake.input.data,
        path_to_summary=snakemake.input.summary,
        path_to_figure=snakemake.output.figure,
    )
