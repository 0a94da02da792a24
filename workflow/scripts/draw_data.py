"""Draw the data of a study: the response by group and the sizes of the groups."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multilevel import categories, dataset, joblog
from multilevel.figures.data_response_by_group import draw_data_response_by_group
from multilevel.figures.group_sizes import draw_group_sizes
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_data(response: str, quantity: str, group: str, path_to_data: str, paths_out: dict[str, str]) -> None:
    """Draw the response by group and the sizes of the groups."""
    frame = dataset.read(Path(path_to_data)).frame
    drawn = pd.DataFrame({"group": frame[group].astype(str), "value": categories.numbers(frame[response])})
    save(draw_data_response_by_group(drawn, quantity=quantity, group=group), paths_out["data_response_by_group"], drawn)
    sizes = drawn.groupby("group", sort=True).size().rename("n").reset_index()
    save(draw_group_sizes(sizes, group=group, unit="rows"), paths_out["group_sizes"], sizes)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_data(
        response=snakemake.params.response,
        quantity=snakemake.params.quantity,
        group=snakemake.params.group,
        path_to_data=snakemake.input.data,
        paths_out={key: value for key, value in snakemake.output.items() if not key.endswith("_data")},
    )
