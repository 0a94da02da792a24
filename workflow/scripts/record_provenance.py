"""Record what a study's results were made from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from multilevel import joblog, provenance, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def record_provenance(
    study_file: str, models: list[str], not_fitted: list[str], folder: str, path_to_record: str
) -> None:
    """Write versions, commit, the command that regenerates the study, and each fit's identity."""
    fits: dict[str, Any] = {}
    for name in models:
        if name not in not_fitted:
            record = storage.read_json(Path(folder) / name / "fit.json")
            fits[name] = {key: record[key] for key in ("digest", "seed", "fingerprint", "versions")}
    content = {
        "study_file": study_file,
        "command": f"snakemake --cores 2 --config 'studies=[\"{study_file}\"]'",
        "commit": provenance.commit(Path.cwd()),
        "versions": provenance.versions(provenance.TOOLS),
        "fits": fits,
        "not_fitted": not_fitted,
    }
    storage.write_json(Path(path_to_record), content)


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    record_provenance(
        study_file=snakemake.params.study_file,
        models=list(snakemake.params.models),
        not_fitted=list(snakemake.params.not_fitted),
        folder=snakemake.params.folder,
        path_to_record=snakemake.output.record,
    )
