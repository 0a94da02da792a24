"""Score one fitted model by leaving out one group at a time."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import dataset, default_priors, design, jacobian, joblog, predictor, scores, storage, units
from multilevel.scores import logo

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def score_groups(
    name: str,
    group: str,
    model: dict[str, Any],
    scored_as: dict[str, str] | None,
    path_to_data: str,
    path_to_groups: str,
    path_to_posterior: str,
    path_to_record: str,
    path_to_units: str,
) -> None:
    """Write the score's record and its values by group; `path_to_groups` has the columns that tell the groups.

    Scores are of the response, or of the column `scored_as` that it was derived from by an expression.
    """
    data, grouped = dataset.read(Path(path_to_data)), dataset.read(Path(path_to_groups))
    assert data.digests["row_id"] == grouped.digests["row_id"], "the groups are those of other rows"
    built = design.build(model, data)
    scored, scale = built.response, ""
    if scored_as:
        scored, scale = scored_as["column"], f", as densities of {scored_as['column']}"
        built = replace(built, log_jacobian=jacobian.log_derivative(scored_as["expression"], scored, data.frame))
    draws = predictor.read(Path(path_to_posterior), built)
    resolved = default_priors.resolve(built, model["priors"], model.get("preset", ""))
    priors = {found.parameter: found.prior for found in resolved}
    left_out = units.of_grouping(grouped.frame, group)
    record, table = logo.score(built, draws, left_out, priors)
    record["predicts"] += scale
    fingerprint = scores.fingerprint(built, data, "logo", scored) | {"groups": left_out.digest}
    storage.write_parquet(Path(path_to_units), table)
    storage.write_json(Path(path_to_record), {"model": name, **record, "fingerprint": fingerprint})


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    score_groups(
        name=snakemake.wildcards.model,
        group=snakemake.params.group,
        model=json.loads(snakemake.params.model),
        scored_as=json.loads(snakemake.params.scored_as),
        path_to_data=snakemake.input.data,
        path_to_groups=snakemake.input.groups,
        path_to_posterior=snakemake.input.posterior,
        path_to_record=snakemake.output.record,
        path_to_units=snakemake.output.units,
    )
