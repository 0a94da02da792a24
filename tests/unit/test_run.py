"""One run at a time, and nothing left behind: with processes that are real, and a Snakemake that mostly is not."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from multilevel import run

LIBRARY = Path(run.__file__).parents[1]

# Found before the real one, because `python -m` looks in the working directory first.
FAKE_SNAKEMAKE = """
import pathlib, shutil, signal, subprocess, sys
with open("calls.txt", "a") as calls:
    print(*sys.argv[1:], file=calls)
locks = pathlib.Path(".snakemake/locks")
if "--unlock" in sys.argv:
    shutil.rmtree(locks)
elif "--dry-run" not in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: None)  # starts nothing more and waits for its jobs
    locks.mkdir(parents=True)
    (locks / "0.output.lock").touch()
    job = subprocess.Popen([sys.executable, str(pathlib.Path(".snakemake/scripts/job.py").resolve())])
    job.wait()
    shutil.rmtree(locks)
    sys.exit(job.returncode != 0)
"""
QUICK = "from pathlib import Path; Path('result.txt').write_text('whole')"
LONG = "import time; from pathlib import Path; Path('started').touch(); time.sleep(100)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LONG


@pytest.fixture
def folder(tmp_path):
    """Return a project folder whose processes are ended after the test."""
    (tmp_path / "snakemake.py").write_text(FAKE_SNAKEMAKE)
    (tmp_path / ".snakemake" / "scripts").mkdir(parents=True)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("studies: [config/studies/radon.yaml]\n")
    set_job(tmp_path, QUICK)
    yield tmp_path
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(tmp_path):
                process.kill()
        except (psutil.Error, OSError):
            continue


def set_job(folder, code):
    (folder / ".snakemake" / "scripts" / "job.py").write_text(code)


def wrapper(folder, *words):
    command = [sys.executable, "-m", "multilevel", "run", "--cores", "1", *words]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,  # noqa: PLW1509 (this process has no other threads)
    )


def heed_signals():
    """Undo what nohup or a shell's background job did to the tests: a child inherits the signals that they ignore."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def finished(process, seconds=30):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def fake_run(folder):
    """Start Snakemake alone and return it and its job, both at work."""
    set_job(folder, LONG)
    snakemake = subprocess.Popen([sys.executable, "-m", "snakemake"], cwd=folder)
    wait_for(folder / "started")
    [job] = psutil.Process(snakemake.pid).children()
    set_job(folder, QUICK)
    return snakemake, job


def wait_for(path, seconds=20):
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def calls(folder):
    path = folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_a_run_goes_through(folder):
    status, out, err = finished(wrapper(folder))
    assert (status, out, err) == (0, "", "")
    assert calls(folder) == ["--cores 1"]
    assert (folder / "result.txt").read_text() == "whole"
    assert not (folder / run.RECORD).exists()


def test_the_status_of_a_failed_run_comes_back(folder):
    set_job(folder, "raise SystemExit(1)")
    assert finished(wrapper(folder))[0] == 1


def test_profile_config_files_and_further_options_reach_snakemake(folder):
    (folder / run.PROFILE).mkdir(parents=True)
    (folder / "other.yaml").write_text("{}")
    assert finished(wrapper(folder, "--configfile", "other.yaml", "--", "--dry-run", "target"))[0] == 0
    assert calls(folder) == [f"--configfile other.yaml --workflow-profile {run.PROFILE} --cores 1 --dry-run target"]


def test_a_second_run_is_refused_and_touches_nothing(folder):
    snakemake, job = fake_run(folder)
    before = sorted(folder.rglob("*"))
    status, out, err = finished(wrapper(folder))
    assert status == run.BUSY
    assert err == (
        f"multilevel run: a run is at work in {folder} (process {snakemake.pid}); "
        f"wait for it to end, or stop it: kill {snakemake.pid}\n"
    )
    assert out == ""
    assert sorted(folder.rglob("*")) == before
    assert alive(job)
    assert len(calls(folder)) == 1


def test_a_dry_run_is_allowed_beside_a_run(folder):
    snakemake, job = fake_run(folder)
    assert finished(wrapper(folder, "--", "-np", "--dry-run"))[0] == 0
    assert alive(job)
    assert snakemake.poll() is None


@pytest.mark.slow
def test_after_a_killed_run_its_job_is_ended_and_its_lock_removed(folder):
    snakemake, job = fake_run(folder)
    kept = folder / "results" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("kept")
    snakemake.kill()
    snakemake.wait()
    assert alive(job)
    status, _, err = finished(wrapper(folder))
    assert status == 0
    assert not alive(job)
    assert err.splitlines() == [
        f"multilevel run: ending 1 job of a run that was killed (process {job.pid})",
        "multilevel run: removing the lock of a run that is no longer alive",
    ]
    assert calls(folder) == ["", "--cores 1 --unlock", "--cores 1"]
    assert kept.read_text() == "kept"
    assert (folder / "result.txt").read_text() == "whole"


def test_a_lock_seen_from_another_machine_stays(folder):
    lock = folder / run.LOCKS / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    (folder / run.RECORD).write_text(json.dumps({"host": "elsewhere", "process": 1}))
    status, _, err = finished(wrapper(folder))
    assert status == run.BUSY
    assert err == (
        f"multilevel run: {folder} is locked by a run on elsewhere, which cannot be seen from {socket.gethostname()}; "
        "if that run is over, remove its lock: snakemake --unlock\n"
    )
    assert lock.exists()
    assert calls(folder) == []


def test_jobs_of_other_folders_are_left_alone(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    script = elsewhere / ".snakemake" / "scripts" / "job.py"
    script.parent.mkdir(parents=True)
    script.write_text(LONG)
    job = subprocess.Popen([sys.executable, str(script)], cwd=elsewhere)
    try:
        assert finished(wrapper(folder))[0] == 0
        assert job.poll() is None
    finally:
        job.kill()
        job.wait()


def test_a_script_run_by_hand_is_no_job_until_whatever_started_it_is_gone(folder):
    script = folder / "workflow" / "scripts" / "fit_model.py"
    script.parent.mkdir(parents=True)
    script.write_text(LONG)
    line = f"{sys.executable} workflow/scripts/fit_model.py; true"
    shell = subprocess.Popen(["bash", "-c", line], cwd=folder, start_new_session=True)
    wait_for(folder / "started")
    [job] = psutil.Process(shell.pid).children()
    assert run.orphaned_jobs(folder) == []
    shell.kill()
    shell.wait()
    assert run.orphaned_jobs(folder) == [job]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_signal_ends_the_run_with_its_jobs(folder, number, status):
    set_job(folder, LONG)
    process = wrapper(folder)
    wait_for(folder / "started")
    [snakemake] = psutil.Process(process.pid).children()
    [job] = snakemake.children()
    process.send_signal(number)
    returned, out, err = finished(process, run.GRACE + run.PATIENCE)
    assert returned == status
    assert not alive(job)
    assert not alive(snakemake)
    assert not run.locks(folder)
    assert "ending the running jobs; what they have not finished is made again in the next run" in err
    assert out == ""


def test_a_second_signal_cuts_the_grace_short(folder):
    set_job(folder, LONG)
    process = wrapper(folder)
    wait_for(folder / "started")
    started = time.monotonic()
    process.terminate()
    time.sleep(0.1)
    process.terminate()
    assert finished(process)[0] == 143
    assert time.monotonic() - started < run.GRACE


@pytest.mark.slow
def test_jobs_that_end_within_the_grace_are_not_ended(folder):
    set_job(folder, LONG.replace("100", "1") + "; Path('result.txt').write_text('whole')")
    process = wrapper(folder)
    wait_for(folder / "started")
    process.terminate()
    status, _, err = finished(process)
    assert (status, err) == (143, "")
    assert (folder / "result.txt").read_text() == "whole"


@pytest.mark.slow
def test_when_snakemake_is_killed_its_jobs_and_lock_go(folder):
    set_job(folder, LONG)
    process = wrapper(folder)
    wait_for(folder / "started")
    [snakemake] = psutil.Process(process.pid).children()
    [job] = snakemake.children()
    snakemake.kill()
    assert finished(process)[0] == 137
    assert not alive(job)
    assert not run.locks(folder)


def test_a_process_deaf_to_sigterm_is_killed(folder):
    script = folder / ".snakemake" / "scripts" / "job.py"
    script.write_text(DEAF)
    job = subprocess.Popen([sys.executable, str(script)], cwd=folder)
    wait_for(folder / "started")
    started = time.monotonic()
    run.end([psutil.Process(job.pid)], patience=0.3)
    assert not psutil.pid_exists(job.pid)
    assert 0.3 < time.monotonic() - started < 5


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run.handling(run.Stop()):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert isinstance(signal.getsignal(signal.SIGTERM), run.Stop)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/x/.venv/bin/python -m snakemake --cores 2", (True, False)),
        ("python3.13 -X dev -m snakemake", (True, False)),
        ("/x/.venv/bin/python /x/.venv/bin/snakemake --cores 2", (True, False)),
        ("/x/bin/python -I /x/bin/snakemake", (True, False)),
        ("snakemake -n", (True, False)),
        ("/x/bin/python -m snakemake --mode subprocess --target-jobs a", (True, True)),
        ("/x/bin/python -m snakemake --mode remote", (True, True)),
        ("/x/bin/python /x/.snakemake/scripts/tmp1.fit.py", (False, False)),
        ("vim snakemake", (False, False)),
        ("python -m multilevel run", (False, False)),
        ("", (False, False)),
    ],
)
def test_command_lines_of_snakemake(line, expected):
    words = line.split()
    assert (run.is_snakemake(words), run.is_nested(words)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-n"], True),
        (["-np"], True),
        (["--dry-run"], True),
        (["--lint"], True),
        (["--nolock"], False),
        (["--cores"], False),
    ],
)
def test_options_that_write_nothing(words, expected):
    assert run.writes_nothing(words) is expected


def test_jobs_get_the_programs_of_the_environment_but_not_this_library(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(LIBRARY), "/other"]))
    environment = run.child_environment()
    assert environment["PATH"] == os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin"])
    assert environment["PYTHONPATH"] == "/other"
    monkeypatch.setenv("PYTHONPATH", str(LIBRARY))
    assert "PYTHONPATH" not in run.child_environment()


def make_report(folder, study):
    path = folder / "results" / study / "report.html"
    path.parent.mkdir(parents=True)
    path.write_text("")
    return path


def test_reports_are_named_at_the_end(folder):
    make_report(folder, "radon")
    make_report(folder, "not_configured")
    set_job(folder, "from pathlib import Path; Path('results/radon/report.html').write_text('new')")
    assert finished(wrapper(folder))[1] == "Report: results/radon/report.html\n"


def test_an_older_report_is_called_so(folder):
    os.utime(make_report(folder, "radon"), (1, 1))
    assert finished(wrapper(folder))[1] == "Report: results/radon/report.html (unchanged by this run)\n"


def test_the_last_config_file_that_names_studies_decides(folder):
    other, silent = folder / "other.yaml", folder / "silent.yaml"
    other.write_text("studies: [a/one.yaml, two.yaml]")
    silent.write_text("sampler: {draws: 10}")
    names = [path.parent.name for path in run.reports(folder, [other, silent])]
    assert names == ["one", "two"]
    assert [path.parent.name for path in run.reports(folder, [silent])] == ["radon"]


def test_an_unreadable_config_names_no_report(folder):
    (folder / "config" / "config.yaml").write_text("studies: [")
    assert run.reports(folder, []) == []


@pytest.mark.slow
def test_a_killed_run_of_the_real_snakemake_is_picked_up(folder):
    (folder / "snakemake.py").unlink()
    (folder / "Snakefile").write_text('rule all:\n    output: "out.txt"\n    script: "job.py"\n')
    job = folder / "job.py"
    job.write_text(
        "from pathlib import Path\nPath(snakemake.output[0]).write_text('half')\n" + LONG.replace("; ", "\n")
    )
    profile = folder / run.PROFILE / "config.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("rerun-incomplete: true\n")
    process = wrapper(folder)
    wait_for(folder / "started", 60)
    [snakemake] = psutil.Process(process.pid).children()
    [orphan] = snakemake.children()
    for victim in (process, snakemake):
        victim.kill()
        victim.wait()
    assert alive(orphan)
    assert (folder / "out.txt").read_text() == "half"
    job.write_text("from pathlib import Path\nPath(snakemake.output[0]).write_text('whole')\n")
    status, _, err = finished(wrapper(folder), 60)
    assert status == 0, err
    assert not alive(orphan)
    assert (folder / "out.txt").read_text() == "whole"
    assert "removing the lock of a run that is no longer alive" in err
