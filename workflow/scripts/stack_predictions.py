"""Predict every scored row by the mixture of compared models, each with its stacking weight."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel import dataset, design, joblog, predictor, stacked, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def stack_predictions(
    models: dict[str, dict[str, Any]], paths_to_data: list[str], seed: int, folder: str, paths: dict[str, str]
) -> None:
    """Write the mixture's predictions and what to know of them.

    The table has no rows where the candidates' predictions cannot be mixed, or none is ranked; the record says why.
    """
    table = pd.read_csv(paths["table"])
    ranked = table[table["rank"].notna()]
    weights = dict(zip(ranked["model"], ranked["weight"], strict=True))
    used = {name: weights[name] for name in models if weights.get(name, 0.0) >= stacked.LEAST_WEIGHT}
    record: dict[str, Any] = {"seed": seed}
    found = pd.DataFrame({"row_id": []})
    if not used:
        record["refused"] = "no candidate is ranked"
    else:
        members, row_id = [], None
        for name, path in zip(models, paths_to_data, strict=True):
            if name in used:
                data = dataset.read(Path(path))
                built = design.build(models[name], data)
                posterior = Path(folder) / name / "posterior.nc"
                members.append(stacked.Member(used[name], built, predictor.read(posterior, built)))
                row_id = data.row_id
        if reason := stacked.refusal(members):
            record["refused"] = reason
        else:
            assert row_id is not None
            first = next(iter(used))
            scored = pd.read_parquet(Path(folder) / first / "scores" / "loo.observation.parquet", columns=["row_id"])
            # Of objects, NumPy would compare each with each.
            rows = np.flatnonzero(pd.Series(row_id).isin(scored["row_id"]))
            found = stacked.predictions(members, rows, seed)
            found.insert(0, "row_id", row_id[rows])
            record |= stacked.summarise(found, used)
    storage.write_parquet(Path(paths["predictions"]), found)
    storage.write_json(Path(paths["record"]), record)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    stack_predictions(
        models={name: json.loads(spec) for name, spec in snakemake.params.models.items()},
        paths_to_data=list(snakemake.input.data),
        seed=snakemake.params.seed,
        folder=snakemake.params.folder,
        paths={"table": snakemake.input.table, **dict(snakemake.output.items())},
    )
