"""Score one fitted model by one criterion."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import dataset, design, jacobian, joblog, predictor, scores, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def score_model(
    name: str,
    criterion: str,
    model: dict[str, Any],
    scored_as: dict[str, str] | None,
    path_to_data: str,
    path_to_posterior: str,
    path_to_record: str,
    path_to_units: str | None = None,
) -> None:
    """Write the score's record and, for a criterion with per-unit values, their table.

    Scores are of the response, or of the column `scored_as` that it was derived from by an expression.
    """
    data = dataset.read(Path(path_to_data))
    built = design.build(model, data)
    scored, scale = built.response, ""
    if scored_as:
        scored, scale = scored_as["column"], f", as densities of {scored_as['column']}"
        built = replace(built, log_jacobian=jacobian.log_derivative(scored_as["expression"], scored, data.frame))
    draws = predictor.read(Path(path_to_posterior), built)
    record, units = scores.get(criterion).score(built, draws)
    record["predicts"] += scale
    fingerprint = scores.fingerprint(built, data, criterion, scored)
    if path_to_units is not None:
        assert units is not None, f"{criterion} has no per-unit values"
        units.insert(0, "row_id", data.row_id[units.index])
        storage.write_parquet(Path(path_to_units), units)
    storage.write_json(Path(path_to_record), {"model": name, **record, "fingerprint": fingerprint})


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    score_model(
        name=snakemake.wildcards.model,
        criterion=snakemake.params.criterion,
        model=json.loads(snakemake.params.model),
        scored_as=json.loads(snakemake.params.scored_as),
        path_to_data=snakemake.input.data,
        path_to_posterior=snakemake.input.posterior,
        path_to_record=snakemake.output.record,
        path_to_units=snakemake.output.get("units"),
    )
