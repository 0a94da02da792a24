"""Fit one model by ML, REML or ML with quadrature, to compare with numbers published by that estimator."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import correlated_ml, dataset, design, gaussian_ml, joblog, quadrature_ml, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def maximise_likelihood(model: dict[str, Any], estimator: str, path_to_data: str, path_to_record: str) -> None:
    """Write the estimates, their standard errors and how the search went."""
    built = design.build(model, dataset.read(Path(path_to_data)))
    if built.family == "gaussian":
        fit = correlated_ml.maximise if correlated_ml.applies(built) else gaussian_ml.maximise
        found = fit(built, "reml" if estimator == "reml" else "ml")
    else:
        found = quadrature_ml.maximise(built)
    record = gaussian_ml.as_record(found)
    logging.getLogger("multilevel").info(
        "%(estimator)s: log likelihood %(log_likelihood).6f, converged: %(converged)s, singular: %(singular)s, "
        "%(starts_elsewhere)d of %(starts)d starts ended lower",
        record,
    )
    storage.write_json(Path(path_to_record), record)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    maximise_likelihood(
        model=json.loads(snakemake.params.model),
        estimator=snakemake.wildcards.estimator,
        path_to_data=snakemake.input.data,
        path_to_record=snakemake.output.record,
    )
