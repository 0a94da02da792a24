"""Write the resolved plan of a study: every model, prior, seed and comparison as it will be run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from multilevel import joblog, storage

if TYPE_CHECKING:
    from snakemake.script import Snakemake

    snakemake: Snakemake


def write_plan(plan: str, path_to_plan: str) -> None:
    """Write the plan, given as JSON, as YAML."""
    storage.write_text(
        Path(path_to_plan), yaml.safe_dump(json.loads(plan), sort_keys=False, allow_unicode=True, width=120)
    )


if __name__ == "__main__":
    joblog.begin(snakemake.log[0])
    write_plan(plan=snakemake.params.plan, path_to_plan=snakemake.output.plan)
