"""Write the columns that some model or some unit left out uses, under the name of their content."""

from pathlib import Path
from typing import TYPE_CHECKING

from multilevel import dataset, joblog, preparation, study

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def select_data(study_file: str, config_file: str, fingerprint: str, path_to_data: str) -> None:
    """Prepare the data as the study file says and keep the columns whose content has that fingerprint.

    Raises
    ------
    ValueError
        When the study no longer has such data.
    """
    root = Path.cwd()
    planned = study.load(Path(study_file), Path(config_file), root)
    selections = [*planned["models"].values(), *planned.get("left_out", {}).values()]
    columns = [[*s["columns"], *s.get("covariances", [])] for s in selections if s["fingerprint"] == fingerprint]
    if not columns:
        raise ValueError(f"{study_file} or its tables have changed since the run was planned; run it again")
    prepared = preparation.prepare(planned["data"], planned["drop_missing_in"], root)
    dataset.write(Path(path_to_data), prepared.select(columns[0]))


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    select_data(
        study_file=snakemake.params.study,
        config_file="config/config.yaml",
        fingerprint=snakemake.wildcards.fingerprint,
        path_to_data=snakemake.output.data,
    )
