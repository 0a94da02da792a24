"""Write the priors, what they predict, and the equations of one model, as its design gives them."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import dataset, default_priors, design, equations, joblog, prior_predictive, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def describe_model(
    model: dict[str, Any],
    seed: int,
    path_to_data: str,
    path_to_priors: str,
    path_to_prediction: str,
    path_to_equations: str,
) -> None:
    """Write the model's resolved priors, their predictive distribution beside the data, and its equations level by level."""
    built = design.build(model, dataset.read(Path(path_to_data)))
    priors = default_priors.resolve(built, model["priors"], model.get("preset", ""))
    storage.write_json(Path(path_to_priors), [prior.as_dict() for prior in priors])
    found = prior_predictive.gate(built, priors, seed)
    for sentence in found.warnings:
        logging.getLogger("multilevel").warning("%s", sentence)
    storage.write_json(Path(path_to_prediction), found.as_dict())
    storage.write_json(Path(path_to_equations), equations.describe(built))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    describe_model(
        model=json.loads(snakemake.params.model),
        seed=snakemake.params.seed,
        path_to_data=snakemake.input.data,
        path_to_priors=snakemake.output.priors,
        path_to_prediction=snakemake.output.prediction,
        path_to_equations=snakemake.output.equations,
    )
