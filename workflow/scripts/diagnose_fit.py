"""Write the convergence record and the posterior summary of one fit."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import convergence, dataset, design, joblog, storage
from multilevel.errors import FitError

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def diagnose_fit(
    name: str,
    model: dict[str, Any],
    thresholds: dict[str, Any],
    stop: bool,
    path_to_data: str,
    path_to_posterior: str,
    path_to_diagnostics: str,
    path_to_summary: str,
) -> None:
    """Check the fit against the thresholds.

    Raises
    ------
    multilevel.errors.FitError
        When a check fails and the study says to stop there.
    """
    built = design.build(model, dataset.read(Path(path_to_data)))
    posterior, stats, attributes = convergence.read(Path(path_to_posterior))
    summary = convergence.summarise(convergence.quantities(posterior, built))
    record = convergence.diagnose(summary, stats, thresholds)
    record = {
        "model": name,
        "seed": int(attributes["seed"]),
        "tune": json.loads(attributes["sampler"])["tune"],
        **({"attempts": json.loads(attributes["attempts"])} if "attempts" in attributes else {}),
        **record,
    }
    for check in record["checks"]:
        logging.getLogger("multilevel").info(
            "%(label)s: %(value).4g (%(rule)s %(threshold)g) passed: %(passed)s", check
        )
    if stop and not record["passed"]:
        raise FitError(
            f"the fit of {name} failed its checks ({', '.join(record['failed'])}) and config.yaml says on_failure: stop"
        )
    storage.write_csv(Path(path_to_summary), summary)
    storage.write_json(Path(path_to_diagnostics), record)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    try:
        diagnose_fit(
            name=snakemake.wildcards.model,
            model=json.loads(snakemake.params.model),
            thresholds=json.loads(snakemake.params.thresholds),
            stop=snakemake.params.stop,
            path_to_data=snakemake.input.data,
            path_to_posterior=snakemake.input.posterior,
            path_to_diagnostics=snakemake.output.diagnostics,
            path_to_summary=snakemake.output.summary,
        )
    except FitError as error:
        joblog.stop(error)
