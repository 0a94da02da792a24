"""Score one model by predicting each time from the times before it, fitting it anew where reweighting draws fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import joblog
from multilevel.errors import FitError

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def score_future(
    name: str,
    time: str,
    identity: dict[str, Any],
    settings: dict[str, Any],
    thresholds: dict[str, Any],
    scored_as: dict[str, str] | None,
    fits: str,
    cores: int,
    path_to_data: str,
    path_to_times: str,
    path_to_fits: str,
    path_to_record: str,
    path_to_units: str,
) -> None:
    """Write the score's record and its values by time; `path_to_times` has the column of time, `path_to_fits` keeps the fits.

    Raises
    ------
    multilevel.errors.FitError
        When a fit fails, or more are needed than the study allows.
    """
    from multilevel import convergence, dataset, default_priors, design, jacobian, refits, scores, storage, units
    from multilevel.scores import lfo

    data, timed = dataset.read(Path(path_to_data)), dataset.read(Path(path_to_times))
    assert data.digests["row_id"] == timed.digests["row_id"], "the times are those of other rows"
    model, how = identity["model"], lfo.Settings(**settings)
    built, times = design.build(model, data), units.of_time(timed.frame, time)
    scored, scale = built.response, ""
    if scored_as:
        scored, scale = scored_as["column"], f", as densities of {scored_as['column']}"
        built = replace(built, log_jacobian=jacobian.log_derivative(scored_as["expression"], scored, data.frame))
    priors = default_priors.resolve(built, model["priors"], model.get("preset", ""))
    made = refits.Refits(built, priors, identity, fits, cores, Path(path_to_fits))

    def fit(seen: int) -> lfo.Fitted:
        found = made.fit(times.index < seen)
        posterior, stats, _ = convergence.read(found.path)
        summary = convergence.summarise(convergence.quantities(posterior, found.design, effects=False))
        checks = convergence.diagnose(summary, stats, thresholds)
        told = {"seed": found.seed, "method": found.method, "passed": checks["passed"], "failed": checks["failed"]}
        return lfo.Fitted(found.draws, told)

    flat = {p.parameter: not p.prior.proper for p in priors}
    coefficients = {n: flat.get(default_priors.coefficient_name(n), flat.get(n, False)) for n in built.all_coefficients}
    if reason := lfo.improper_before(built, times.index < how.after, coefficients):
        record, table = lfo.refused(times, how, reason)
    else:
        record, table = lfo.score(built, times, how, fit)
    record["predicts"] += scale
    fingerprint = scores.fingerprint(built, data, "lfo", scored) | {"times": times.digest}
    storage.write_parquet(Path(path_to_units), table)
    storage.write_json(Path(path_to_record), {"model": name, **record, "fingerprint": fingerprint})
    made.forget_others()


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    try:
        score_future(
            name=snakemake.wildcards.model,
            time=snakemake.wildcards.time,
            identity=json.loads(snakemake.params.identity),
            settings=json.loads(snakemake.params.settings),
            thresholds=json.loads(snakemake.params.thresholds),
            scored_as=json.loads(snakemake.params.scored_as),
            fits=snakemake.params.fits,
            cores=snakemake.threads,
            path_to_data=snakemake.input.data,
            path_to_times=snakemake.input.times,
            path_to_fits=snakemake.params.folder,
            path_to_record=snakemake.output.record,
            path_to_units=snakemake.output.units,
        )
    except FitError as error:
        joblog.stop(error)
