"""Draw how far a fit pulls each level of a group from its own estimate towards the rest."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import dataset, design, figure_data, joblog, predictor
from multilevel.figures import shrinkage
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_shrinkage(
    model: dict[str, Any], quantity: str, path_to_data: str, path_to_posterior: str, path_to_figure: str
) -> None:
    """Draw the first group term with a varying intercept."""
    built = design.build(model, dataset.read(Path(path_to_data)))
    term = next(t for t in built.group_terms if design.INTERCEPT in t.effects)
    drawn = figure_data.shrinkage(built, predictor.read(Path(path_to_posterior), built), term)
    words = f"Difference from the average {term.group} ({quantity})"
    save(shrinkage.draw_shrinkage(drawn, quantity=words, group=term.group), path_to_figure, drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_shrinkage(
        model=json.loads(snakemake.params.model),
        quantity=snakemake.params.quantity,
        path_to_data=snakemake.input.data,
        path_to_posterior=snakemake.input.posterior,
        path_to_figure=snakemake.output.figure,
    )
