"""The command line."""

import subprocess
import sys

import pytest

from multilevel import cli


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "run the workflow, one run at a time in a folder" in capsys.readouterr().out


def test_a_command_is_required(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_run_hands_over_its_options(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("multilevel.run.run", lambda *arguments: calls.append(arguments) or 7)
    words = ["run", "--cores", "3", "--configfile", "a.yaml", "--configfile", "b.yaml", "--directory", str(tmp_path)]
    assert cli.main([*words, "--", "--dry-run", "all"]) == 7
    [(folder, cores, configfiles, further)] = calls
    assert (folder, cores, further) == (tmp_path, "3", ["--dry-run", "all"])
    assert [path.name for path in configfiles] == ["a.yaml", "b.yaml"]


def test_running_imports_nothing_heavy():
    heavy = "{'arviz', 'numpy', 'pandas', 'pydantic', 'pymc', 'snakemake', 'xarray'}"
    code = f"import sys, multilevel.cli, multilevel.run; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "[]"


def environment():
    from pathlib import Path

    return {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
