"""Compare models by their scores of what was left out."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multilevel import comparison, joblog, stacked, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def compare_models(
    models: list[str],
    not_fitted: list[str],
    folder: str,
    score: str,
    seed: int,
    path_to_table: str,
    path_to_differences: str,
    path_to_record: str,
) -> None:
    """Write the ranking by one score (``loo.observation``), the differences from the best by unit, and what to know of them.

    Raises
    ------
    multilevel.comparison.UnequalDataError
        When two of the models were not scored on the same data.
    """
    candidates = [_candidate(name, Path(folder) / name, score, name in not_fitted) for name in models]
    table = comparison.compare(candidates, seed)
    ranked = table.loc[table["status"] == comparison.OK, "model"]
    empty = pd.DataFrame({"row_id": [], "model": [], "diff": []})
    pointwise = comparison.differences(candidates, ranked.iloc[0]) if len(ranked) else empty
    storage.write_csv(Path(path_to_table), table)
    storage.write_parquet(Path(path_to_differences), pointwise)
    described = comparison.describe(candidates, table)
    if mixture := stacked.of_scores(candidates, table):
        described["mixture"] = mixture
    storage.write_json(Path(path_to_record), described)


def _candidate(name: str, folder: Path, score: str, not_fitted: bool) -> comparison.Candidate:
    """Read one model's scores and whether its fit passed."""
    if not_fitted:
        return comparison.Candidate(name, "not fitted", note="the fit did not finish; see its log")
    diagnostics = storage.read_json(folder / "diagnostics.json")
    note = "" if diagnostics["passed"] else "failed: " + ", ".join(diagnostics["failed"])
    dic = folder / "scores" / "dic.conditional.json"
    return comparison.Candidate(
        model=name,
        status=comparison.OK if diagnostics["passed"] else "failed checks",
        record=storage.read_json(folder / "scores" / f"{score}.json"),
        pointwise=pd.read_parquet(folder / "scores" / f"{score}.parquet"),
        dic=storage.read_json(dic) if score.startswith("loo.") else None,
        note=note,
    )


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    compare_models(
        models=list(snakemake.params.models),
        not_fitted=list(snakemake.params.not_fitted),
        folder=snakemake.params.folder,
        score=snakemake.params.score,
        seed=snakemake.params.seed,
        path_to_table=snakemake.output.table,
        path_to_differences=snakemake.output.differences,
        path_to_record=snakemake.output.record,
    )
