"""The same project gives the same files, byte for byte, wherever it stands and however many cores it may use."""

import shutil
from pathlib import Path

import pytest
from fixtures.small_project import Project

pytestmark = pytest.mark.slow


def test_one_core_and_two_make_the_same_files(finished, tmp_path):
    made = shutil.ignore_patterns("results", ".snakemake", ".cache")
    alone = Project(shutil.copytree(finished.folder, tmp_path / "in another folder", symlinks=True, ignore=made))
    done = alone.snakemake(cores=1)
    assert done.status == 0, done.output
    ours, theirs = finished.results(), alone.results()
    ours.pop("results/README.md")  # no result: it explains the folder
    assert {".csv", ".json", ".parquet", ".png", ".svg", ".nc", ".html", ".qmd", ".yaml"} == {
        Path(path).suffix for path in ours
    }
    assert set(ours) == set(theirs)
    assert [path for path in ours if ours[path] != theirs[path]] == []
