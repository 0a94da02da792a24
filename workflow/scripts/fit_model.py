"""Fit one model and store its posterior."""

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import joblog
from multilevel.errors import FitError

STARTED = time.perf_counter()

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def fit_model(
    identity: dict[str, Any],
    cores: int,
    path_to_data: str,
    path_to_posterior: str,
    path_to_record: str,
    path_to_timings: str,
) -> None:
    """Sample the model that `identity` describes; write posterior, provenance and timings.

    Raises
    ------
    ValueError
        When the data are not those that the plan was made from.
    multilevel.errors.FitError
        When the sampler finds no point to start from, fails, or returns fewer draws than asked for.
    """
    from multilevel import aggregate, dataset, default_priors, design, formula, methods, provenance, residuals, storage

    imported = time.perf_counter()
    spec = identity["model"]
    data = dataset.read(Path(path_to_data))
    built = design.build(spec, data)
    parts = formula.of_model(spec)
    used = set().union(formula.covariances(parts), residuals.columns(spec), *(part.variables() for part in parts))
    if data.fingerprint(used) != identity["fingerprint"]:
        raise ValueError(f"{path_to_data} does not hold the data that the plan was made from; run the workflow again")
    priors = default_priors.resolve(built, spec["priors"], spec.get("preset", ""))
    # With effects integrated out, rows are compressed anyway.
    distinct = len(aggregate.rows(built).y) if identity["method"] == "sampled" else len(built.y)
    together = f", {distinct} of them distinct" if distinct < len(built.y) else ""
    logging.getLogger("multilevel").info(
        "%s: %d rows%s, %s", spec["formula"], len(built.y), together, identity["method"]
    )
    posterior, encoding, timings, tried = methods.get(identity["method"]).fit(
        built, priors, spec, identity["sampler"], identity["seed"], cores
    )
    record = provenance.of_fit(identity, [p.as_dict() for p in priors], len(built.y), distinct)
    record["attempts"] = tried
    posterior.attrs = provenance.attributes(record)
    storage.write_netcdf(Path(path_to_posterior), posterior, encoding)
    storage.write_json(Path(path_to_record), record)
    storage.write_json(
        Path(path_to_timings), {"import_s": imported - STARTED, **timings, "all_s": time.perf_counter() - STARTED}
    )


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    try:
        fit_model(
            identity=json.loads(snakemake.params.identity),
            cores=snakemake.threads,
            path_to_data=snakemake.input.data,
            path_to_posterior=snakemake.output.posterior,
            path_to_record=snakemake.output.record,
            path_to_timings=snakemake.output.timings,
        )
    except FitError as error:
        joblog.stop(error)
