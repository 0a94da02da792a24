"""Draw what the models of a study estimate and predict, side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multilevel import figure_data, joblog, storage
from multilevel.figures.fixed_effects import draw_fixed_effects
from multilevel.figures.predictive_density import draw_predictive_density
from multilevel.figures.predictive_statistics import draw_predictive_statistics
from multilevel.figures.theme import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def draw_models(models: dict[str, str], quantity: str, folder: str, paths_out: dict[str, str]) -> None:
    """Draw estimates and predictive checks across the fitted models; `models` gives the label of each."""
    here = {name: Path(folder) / name for name in models}
    passed = {name: storage.read_json(path / "diagnostics.json")["passed"] for name, path in here.items()}
    status = {name: "ok" if ok else "failed checks" for name, ok in passed.items()}
    drawn = figure_data.estimates(
        {name: pd.read_csv(path / "summary.csv") for name, path in here.items()}, models, status
    )
    save(draw_fixed_effects(drawn), paths_out["fixed_effects"], drawn)
    drawn = _labelled([path / "figures" / "predictive_density.csv" for path in here.values()], models)
    save(draw_predictive_density(drawn, quantity=quantity), paths_out["predictive_density"], drawn)
    drawn = _labelled([path / "checks.csv" for path in here.values()], models)
    save(draw_predictive_statistics(drawn), paths_out["predictive_statistics"], drawn)


def _labelled(paths: list[Path], models: dict[str, str]) -> pd.DataFrame:
    table = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    return table.assign(model=table["model"].map(models))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    draw_models(
        models=json.loads(snakemake.params.models),
        quantity=snakemake.params.quantity,
        folder=snakemake.params.folder,
        paths_out={key: value for key, value in snakemake.output.items() if not key.endswith("_data")},
    )
