"""The same project gives the same files, byte for byte, wherever it stands and however many cores it may use."""

import pytest
from fixtures import small_project

pytestmark = pytest.mark.slow


def test_one_core_and_two_make_the_same_files(finished, tmp_path):
    alone = small_project.make(tmp_path / "in another folder")
    done = alone.snakemake(cores=1)
    assert done.status == 0, done.output
    ours, theirs = finished.results(), alone.results()
    assert {".csv", ".json", ".parquet", ".svg", ".nc", ".html", ".qmd", ".yaml"} <= {
        "." + path.rsplit(".")[-1] for path in ours
    }
    assert set(ours) == set(theirs)
    assert [path for path in ours if ours[path] != theirs[path]] == []
