"""Draw what the models of a study estimate and predict, side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import convergence, figure_data, joblog, storage
from multilevel.figures.forest import draw_forest
from multilevel.figures.predictive_density import draw_predictive_density
from multilevel.figures.predictive_quantiles import draw_predictive_quantiles
from multilevel.figures.predictive_statistics import draw_predictive_statistics
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_models(models: dict[str, str], quantities: dict[str, str], folder: str, paths_out: dict[str, str]) -> None:
    """Draw estimates and checks across the fitted models; `models` gives the label of each, `quantities` its response."""
    here = {name: Path(folder) / name for name in models}
    status = figure_data.statuses(here)
    summaries = {name: storage.read_csv(path / "summary.csv", convergence.TEXT) for name, path in here.items()}
    drawn, note = figure_data.forest(summaries, models, status, quantities)
    save(draw_forest(drawn, note=note), paths_out["forest"], drawn)
    labels, words = figure_data.with_responses(figure_data.marked(models, status), quantities)
    drawn, scale = figure_data.of_all_rows(here, labels)
    save(draw_predictive_density(drawn, y=scale, **words), paths_out["predictive_density"], drawn, digits=4)
    drawn = figure_data.of_models(here, "checks.csv", labels)
    save(draw_predictive_statistics(drawn), paths_out["predictive_statistics"], drawn)
    drawn = figure_data.of_models(here, "checks_quantiles.csv", labels)
    save(draw_predictive_quantiles(drawn, **words), paths_out["predictive_quantiles"], drawn)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_models(
        models=json.loads(snakemake.params.models),
        quantities=json.loads(snakemake.params.quantities),
        folder=snakemake.params.folder,
        paths_out=figure_data.pictures(snakemake.output.items()),
    )
