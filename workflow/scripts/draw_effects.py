"""Draw the effects of one grouping in one fit: in order of size, and how far each level is pulled towards the rest."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import convergence, dataset, design, figure_data, joblog, storage
from multilevel.figures.caterpillar import draw_caterpillar
from multilevel.figures.layout import words_only
from multilevel.figures.shrinkage import draw_shrinkage
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_effects(
    model: dict[str, Any], group: str, quantity: str, paths_in: dict[str, str], paths_out: dict[str, str]
) -> None:
    """Draw every figure named in `paths_out`."""
    built = design.build(model, dataset.read(Path(paths_in["data"])))
    summary = storage.read_csv(Path(paths_in["summary"]), convergence.TEXT)
    drawn = figure_data.caterpillar(built, summary, group)
    save(draw_caterpillar(drawn, group=group), paths_out["caterpillar"], drawn)
    drawn = figure_data.shrinkage(built, summary, group)
    if drawn.empty:
        shared = next((t.words for t in figure_data.terms_of(built, group) if t.weights is not None), "")
        why = f"Because {shared}" if shared else f"The effects of {group} are not on the mean"
        figure = words_only(f"{why}, {'a' if shared else 'so a'} level alone has no estimate of them.")
    else:
        scale = quantity if built.link == "identity" else f"{quantity} on the {built.link} scale"
        figure = draw_shrinkage(drawn, quantity=f"Difference from the average {group} in {scale}", group=group)
    save(figure, paths_out["shrinkage"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_effects(
        model=json.loads(snakemake.params.model),
        group=snakemake.params.group,
        quantity=snakemake.params.quantity,
        paths_in=dict(snakemake.input.items()),
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
