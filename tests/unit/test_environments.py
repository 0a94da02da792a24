"""The conda environments and the lock files."""

import importlib.util
import re
from pathlib import Path

import pytest

from multilevel import environments

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
HOST = re.compile(r"https?:|\b[\w-]+\.(?:com|dev|edu|io|net|org)\b", re.IGNORECASE)
FIX = "`make lock` mends it, and so does: PYTHONPATH=workflow/scripts python -m multilevel.environments"


@pytest.mark.parametrize(
    ("path", "text"), environments.rendered().items(), ids=lambda value: getattr(value, "name", "")
)
def test_conda_environments_hold_the_locked_versions(path, text):
    assert path.exists(), f"{path} is missing; {FIX}"
    assert path.read_text(encoding="utf-8") == text, f"{path} differs from the lock files; {FIX}"


def test_there_is_no_conda_environment_beside_those_that_are_written():
    assert {path.stem for path in ENVS.glob("*.yaml")} == set(environments.PACKAGES)


@pytest.mark.parametrize("path", sorted(ENVS.glob("*.*")), ids=lambda path: path.name)
def test_set_up_files_name_no_host(path):
    assert not HOST.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["requirements.lock", "quarto.lock"])
def test_every_locked_requirement_has_hashes(name):
    text = (ENVS / name).read_text(encoding="utf-8")
    requirements = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert len(requirements) == len(environments.locked_versions(ENVS / name))
    assert [block.split()[0] for block in requirements if "--hash=sha256:" not in block] == []


def test_the_lock_covers_what_is_asked_for():
    asked = re.findall(r"^([A-Za-z0-9_.-]+)", (ENVS / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    locked = environments.locked_versions(ENVS / "requirements.lock")
    assert [name for name in asked if environments.normalised(name) not in locked] == []


def test_python_version_is_3_13():
    assert (ROOT / ".python-version").read_text(encoding="utf-8") == "3.13\n"


def test_pandoc_is_the_one_inside_the_locked_wheel():
    if importlib.util.find_spec("pypandoc") is None:
        pytest.skip("pypandoc_binary is not installed")
    import pypandoc

    assert pypandoc.get_pandoc_version() == environments.PANDOC


def test_locked_versions_reads_names_markers_and_hashes(tmp_path):
    lock = tmp_path / "some.lock"
    lock.write_text("# x==9\nMixed_Name.x==1.2.post1 ; sys_platform == 'win32' \\\n    --hash=sha256:aa==\nplain==3\n")
    assert environments.locked_versions(lock) == {"mixed-name-x": "1.2.post1", "plain": "3"}


def test_a_lock_without_pins_is_refused(tmp_path):
    lock = tmp_path / "some.lock"
    lock.write_text("numpy>=2\n")
    with pytest.raises(ValueError, match=r"some\.lock pins no package; `make lock` writes it"):
        environments.locked_versions(lock)


def test_a_package_missing_from_the_lock_is_an_error():
    with pytest.raises(KeyError, match="numpy"):
        environments.render("fit", {}, "3.13")
