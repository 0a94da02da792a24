"""Draw the data of a study: the responses by group and the sizes of the groups."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multilevel import categories, dataset, design, figure_data, joblog
from multilevel.figures.data_response_by_group import draw_data_response_by_group
from multilevel.figures.group_sizes import draw_group_sizes
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_data(responses: dict[str, str], group: str, path_to_data: str, paths_out: dict[str, str]) -> None:
    """Draw the responses by group and the sizes of the groups; `responses` says how each response is named."""
    frame = dataset.read(Path(path_to_data)).frame
    levels = design.grouping(frame, group)
    parts = [
        pd.DataFrame({"response": quantity, "group": levels, "value": categories.numbers(frame[column])})
        for column, quantity in responses.items()
    ]
    drawn = pd.concat(parts, ignore_index=True)
    save(draw_data_response_by_group(drawn, group=group), paths_out["data_response_by_group"], drawn)
    sizes = levels.value_counts().sort_index().rename("n").rename_axis("group").reset_index()
    save(draw_group_sizes(sizes, group=group, unit="rows"), paths_out["group_sizes"], sizes)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_data(
        responses=json.loads(snakemake.params.responses),
        group=snakemake.params.group,
        path_to_data=snakemake.input.data,
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
