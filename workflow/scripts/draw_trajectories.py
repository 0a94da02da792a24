"""Draw what one fit expects of each subject over time, and of a new one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import dataset, design, figure_data, joblog, predictor, storage, trajectories
from multilevel.figures.layout import words_only
from multilevel.figures.theme import save
from multilevel.figures.trajectories import draw_trajectories

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw(
    model: dict[str, Any],
    seed: int,
    followed: dict[str, Any],
    quantity: str,
    paths_in: dict[str, str],
    paths_out: dict[str, str],
) -> None:
    """Draw the trajectories of some subjects, and write those of all at the times measured."""
    data = dataset.read(Path(paths_in["data"]))
    built = design.build(model, data)
    if why := trajectories.reason_against(built):
        save(words_only(why), paths_out["figure"], pd.DataFrame(columns=list(trajectories.COLUMNS)))
        storage.write_csv(Path(paths_out["table"]), pd.DataFrame(columns=list(trajectories.COLUMNS)))
        return
    index, labels = design.code_grouping(data.frame, followed["subject"])
    time = design.numeric(data.frame, followed["time"])
    who = trajectories.Followed(time, index, labels, followed["name"])
    draws = predictor.read(Path(paths_in["posterior"]), built)
    drawn, table, note = trajectories.expected(built, draws, who, followed["most"], seed)
    storage.write_csv(Path(paths_out["table"]), table)
    y = f"share of {quantity}" if "trials" in built.terms else quantity
    save(draw_trajectories(drawn, time=followed["axis"], quantity=y, note=note), paths_out["figure"], drawn, digits=6)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw(
        model=json.loads(snakemake.params.model),
        seed=snakemake.params.seed,
        followed=json.loads(snakemake.params.trajectories),
        quantity=snakemake.params.quantity,
        paths_in=dict(snakemake.input.items()),
        paths_out={**figure_data.pictures(snakemake.output.items()), "table": snakemake.output.table},
    )
