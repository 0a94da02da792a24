"""Compare models by their leave-one-out scores."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multilevel import comparison, joblog, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def compare_models(
    models: list[str], not_fitted: list[str], folder: str, path_to_table: str, path_to_differences: str
) -> None:
    """Write the ranking and the per-unit differences from the best model.

    Raises
    ------
    multilevel.comparison.UnequalDataError
        When two of the models were not scored on the same data.
    """
    candidates = [_candidate(name, Path(folder) / name, name in not_fitted) for name in models]
    table = comparison.compare(candidates)
    ranked = table.loc[table["status"] == "ok", "model"]
    empty = pd.DataFrame({"row_id": [], "model": [], "diff": []})
    pointwise = comparison.differences(candidates, ranked.iloc[0]) if len(ranked) else empty
    storage.write_csv(Path(path_to_table), table)
    storage.write_parquet(Path(path_to_differences), pointwise)


def _candidate(name: str, folder: Path, not_fitted: bool) -> comparison.Candidate:
    """Read one model's scores and whether its fit passed."""
    if not_fitted:
        return comparison.Candidate(name, "not fitted", note="the fit did not finish; see its log")
    diagnostics = storage.read_json(folder / "diagnostics.json")
    note = "" if diagnostics["passed"] else "failed: " + ", ".join(diagnostics["failed"])
    return comparison.Candidate(
        model=name,
        status="ok" if diagnostics["passed"] else "failed checks",
        loo=storage.read_json(folder / "scores" / "loo.observation.json"),
        pointwise=pd.read_parquet(folder / "scores" / "loo.observation.parquet"),
        dic=storage.read_json(folder / "scores" / "dic.conditional.json"),
        note=note,
    )


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    compare_models(
        models=list(snakemake.params.models),
        not_fitted=list(snakemake.params.not_fitted),
        folder=snakemake.params.folder,
        path_to_table=snakemake.output.table,
        path_to_differences=snakemake.output.differences,
    )
