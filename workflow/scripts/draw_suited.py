"""Draw the predictive check that suits one fit's family: a rootogram of counts, or the calibration of probabilities."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import checks, checks_discrete, dataset, design, figure_data, joblog, predictor
from multilevel.figures.calibration import draw_calibration
from multilevel.figures.rootogram import draw_rootogram
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_suited(
    kind: str, model: dict[str, Any], seed: int, quantity: str, paths_in: dict[str, str], paths_out: dict[str, str]
) -> None:
    """Draw the check of that kind, ``rootogram`` or ``calibration``."""
    built = design.build(model, dataset.read(Path(paths_in["data"])))
    draws = predictor.read(Path(paths_in["posterior"]), built)
    replicates = checks.replicate_blocks(built, draws, seed)
    if kind == "rootogram":
        drawn = checks_discrete.rootogram(built.y, replicates)
        figure = draw_rootogram(drawn, quantity=quantity)
    else:
        drawn = checks_discrete.calibration(built, draws, replicates)
        figure = draw_calibration(drawn, quantity=quantity)
    save(figure, paths_out["figure"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_suited(
        kind=snakemake.wildcards.suited,
        model=json.loads(snakemake.params.model),
        seed=snakemake.params.seed,
        quantity=snakemake.params.quantity,
        paths_in=dict(snakemake.input.items()),
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
