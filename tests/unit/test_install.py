"""The set-up of .venv."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def install():
    spec = importlib.util.spec_from_file_location("install", ROOT / "envs" / "install.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["install"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["install"]


REFUSED = """
  error: subprocess-exited-with-error
  │ exit code: 1
  ╰─> [12 lines of output]
      Downloading somewhere
      Error downloading Quarto: <urlopen error [Errno -2] Name or service not known>
      TypeError: expected str
ERROR: Failed to build 'quarto-cli'
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (REFUSED, "urlopen error [Errno -2] Name or service not known"),
        (
            "x\nERROR: No matching distribution found for quarto-cli\nERROR: more",
            "No matching distribution found for quarto-cli",
        ),
        ("", "pip failed"),
    ],
)
def test_the_reason_why_quarto_is_missing(install, output, reason):
    assert install.why(output) == reason


def test_names_in_the_lock(install, tmp_path):
    lock = tmp_path / "x.lock"
    lock.write_text("# a==1\nMixed_Name.x==1 \\\n    --hash=sha256:00\nplain==2 ; sys_platform == 'win32' \\\n")
    assert install.locked_names(lock) == {"mixed-name-x", "plain"}


def wheel(folder, name):
    """Write a package of one module and return its line in a lock."""
    path = folder / f"{name}-1-py3-none-any.whl"
    about = f"{name}-1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", f"{name}.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return f"{name}==1 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Project:
    """A project folder with nothing but the set-up, and an index of two packages."""

    def __init__(self, root):
        self.root = root
        self.wheels = root / "wheels"
        self.wheels.mkdir(parents=True)
        (root / "envs").mkdir()
        (root / "envs" / "install.py").write_bytes((ROOT / "envs" / "install.py").read_bytes())
        self.lines = {name: wheel(self.wheels, name) for name in ("first", "second")}

    def lock(self, *names):
        (self.root / "envs" / "requirements.lock").write_text("".join(self.lines[name] for name in names))

    def lock_quarto(self, hashed):
        (self.root / "envs" / "quarto.lock").write_text(f"quarto-cli==1 --hash=sha256:{hashed}\n")

    def set_up(self, **environment):
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull}
        plain = {"HOME": str(self.root), "PATH": "/nonexistent"}
        return subprocess.run(
            [sys.executable, self.root / "envs" / "install.py"],
            capture_output=True,
            text=True,
            check=False,
            env=plain | offline | environment,
        )

    def can_import(self, name):
        return (
            subprocess.run([self.root / ".venv" / "bin" / "python", "-c", f"import {name}"], check=False).returncode
            == 0
        )


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


NOWHERE = {"PIP_FIND_LINKS": "/nonexistent"}


@pytest.mark.slow
def test_the_life_of_an_environment(project):
    project.lock("first", "second")
    done = project.set_up()
    assert (done.returncode, done.stderr) == (0, "")
    assert project.can_import("first")
    assert project.can_import("second")

    done = project.set_up(**NOWHERE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "a second set-up does nothing, without any index"

    project.lock("first")
    assert project.set_up().returncode == 0
    assert project.can_import("first")
    assert not project.can_import("second"), "what the lock no longer lists is uninstalled"

    (project.root / ".venv" / ".installed.json").rename(project.root / ".venv" / ".installing")
    (project.root / ".venv" / "left_over").touch()
    done = project.set_up()
    assert ".venv is incomplete, broken or was moved here; it is made anew." in done.stdout
    assert not (project.root / ".venv" / "left_over").exists(), "an installation cut short is started over"
    assert project.can_import("first")

    moved = project.root.with_name("moved")
    project.root.rename(moved)
    project.root, project.wheels = moved, moved / "wheels"
    assert "it is made anew" in project.set_up().stdout
    assert (moved / ".venv" / "bin" / "pip").read_text().startswith(f"#!{moved}/")


@pytest.mark.slow
def test_a_failed_installation_says_why_and_leaves_no_stamp(project):
    project.lock("first")
    lock = project.root / "envs" / "requirements.lock"
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0000")[: -len("0000\n")] + "\n")
    done = project.set_up()
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert done.stderr.endswith("envs/requirements.lock could not be installed; the lines above say why.\n")
    assert not (project.root / ".venv" / ".installed.json").exists()
    assert (project.root / ".venv" / ".installing").exists()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a project whose packages are there."""
    project = Project(tmp_path_factory.mktemp("installed") / "project")
    project.lock("first")
    assert project.set_up().returncode == 0
    return project


@pytest.mark.slow
def test_quarto_is_tried_once_for_each_lock(installed):
    project = installed
    project.lock_quarto("0" * 64)
    done = project.set_up()
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Quarto could not be installed (")
    assert done.stdout.endswith("); reports are rendered by Pandoc, which is installed.\n")
    assert json.loads((project.root / ".venv" / ".quarto.json").read_text())["outcome"] == "failed"
    assert project.set_up().stdout == ""
    project.lock_quarto("1" * 64)
    assert "Quarto could not be installed" in project.set_up().stdout


@pytest.mark.slow
def test_a_quarto_that_does_not_run_is_removed(installed):
    project = installed
    project.lock_quarto("2" * 64)
    lock = hashlib.sha256((project.root / "envs" / "quarto.lock").read_bytes()).hexdigest()
    (project.root / ".venv" / ".quarto.json").write_text(json.dumps({"lock": lock, "outcome": "trying"}))
    broken = project.root / ".venv" / "bin" / "quarto"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = project.set_up()
    assert "Quarto could not be installed (an earlier attempt was cut short)" in done.stdout
    assert not broken.exists()
    assert project.set_up().stdout == ""


@pytest.mark.slow
def test_a_quarto_on_the_path_is_used(installed):
    project = installed
    project.lock_quarto("3" * 64)
    programs = project.root / "programs"
    programs.mkdir()
    (programs / "quarto").write_text("#!/bin/sh\n")
    (programs / "quarto").chmod(0o755)
    assert project.set_up(PATH=str(programs)).stdout == ""
