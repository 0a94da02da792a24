"""A small study, run once through the real pipeline; tests change copies of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import small_project
from fixtures.small_project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose small study has run to its end; not to be changed."""
    project = small_project.make(tmp_path_factory.mktemp("finished"))
    done = project.snakemake()
    assert done.status == 0, done.output
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, to be changed."""
    return small_project.copy(finished, tmp_path / "project")
