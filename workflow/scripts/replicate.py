"""Compare published numbers with ours."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from multilevel import joblog, replication, rules, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def replicate(published: list[dict[str, Any]], not_fitted: list[str], folder: str, path_to_table: str) -> None:
    """Write replication.csv: a row for each published number, with ours and the verdict."""
    names = dict.fromkeys(row["model"] for row in published)
    results = {name: _results(name, Path(folder), published, not_fitted) for name in names}
    storage.write_csv(Path(path_to_table), replication.replicate(published, results))


def _results(name: str, models: Path, published: list[dict[str, Any]], not_fitted: list[str]) -> replication.Results:
    """Read what a run knows of one model; only what its published numbers are compared with."""
    folder = models / name
    rows = [row for row in published if row["model"] == name]
    wanted = {row["estimator"] for row in rows if not row["reason"]} - {"posterior"}
    maxima = {estimator: storage.read_json(folder / f"maximum.{estimator}.json") for estimator in sorted(wanted)}
    if name in not_fitted:
        return replication.Results(replication.NOT_FITTED, maxima=maxima)
    diagnostics = storage.read_json(folder / "diagnostics.json")
    posterior: dict[str, dict[str, Any]] = {}
    loo, pointwise, dic = None, None, None
    if any(row["recipe"] != "criterion" for row in rows):
        table = pd.read_csv(folder / "published.csv", dtype={"quantity": str}, keep_default_na=False, na_values=[""])
        columns = [str(name) for name in table.columns]
        posterior = {str(row[0]): dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False)}
    if any(row["recipe"] == "criterion" and row["estimator"] == "posterior" for row in rows):
        loo = storage.read_json(folder / "scores" / "loo.observation.json")
        pointwise = pd.read_parquet(folder / "scores" / "loo.observation.parquet")
        dic = storage.read_json(folder / "scores" / "dic.conditional.json")
    return replication.Results(
        status="ok" if diagnostics["passed"] else replication.FAILED_CHECKS,
        failed=", ".join(diagnostics["failed"]),
        posterior=posterior,
        maxima=maxima,
        loo=loo,
        pointwise=pointwise,
        dic=dic,
        others={other: _scored(models / other) for other in rules.others_of(rows) if other not in not_fitted},
    )


def _scored(folder: Path) -> replication.Results:
    """Read the leave-one-out score of a model."""
    diagnostics = storage.read_json(folder / "diagnostics.json")
    return replication.Results(
        status="ok" if diagnostics["passed"] else replication.FAILED_CHECKS,
        failed=", ".join(diagnostics["failed"]),
        loo=storage.read_json(folder / "scores" / "loo.observation.json"),
        pointwise=pd.read_parquet(folder / "scores" / "loo.observation.parquet"),
    )


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    replicate(
        published=json.loads(snakemake.params.published),
        not_fitted=list(snakemake.params.not_fitted),
        folder=snakemake.params.folder,
        path_to_table=snakemake.output.table,
    )
