"""Runs that are ended in the middle of a fit: the next run finishes, and its results are those of an undisturbed one."""

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

POSTERIOR = Path("results/small/models/pooled/posterior.nc")
LOG = Path("results/small/logs/fit_model.pooled.log")


@pytest.fixture
def unfitted(project):
    """Return a finished project that lacks the posterior of one model; its processes are ended after the test."""
    (project.folder / POSTERIOR).unlink()
    (project.folder / LOG).unlink()
    yield project
    for process in processes(project):
        process.kill()


def processes(project):
    """Return the processes at work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def runs_script(process):
    words = process.cmdline()
    return Path(words[0]).name.startswith("python") and words[-1].endswith("fit_model.py")


def runs_snakemake(process):
    return process.cmdline()[1:3] == ["-m", "snakemake"]


def wait_until(true, seconds=180):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


def run_into_the_fit(project):
    """Start a run, and return it with Snakemake and the fit once the model is being compiled."""
    run = project.start("--cores", "2")
    wait_until(lambda: run.poll() is not None or "compiling" in text(project.folder / LOG))
    assert run.poll() is None, project.said
    [snakemake] = [process for process in processes(project) if runs_snakemake(process)]
    [fit] = [process for process in processes(project) if runs_script(process)]
    return run, snakemake, fit


def locks(project):
    return list((project.folder / ".snakemake" / "locks").glob("*"))


def text(path):
    return path.read_text() if path.exists() else ""


def finishes(project, undisturbed):
    """Run again, to the end, and compare with results that nothing disturbed."""
    done = project.wrapper("--cores", "2")
    assert done.status == 0, done.output
    ours, theirs = project.results(), undisturbed.results()
    assert set(ours) == set(theirs)
    assert [path for path in ours if ours[path] != theirs[path]] == []
    assert project.planned() == {}
    return done.output


def test_a_run_that_is_told_to_stop_ends_its_fit_and_is_taken_up_again(unfitted, finished):
    run, _, _ = run_into_the_fit(unfitted)
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 128 + signal.SIGTERM
    assert processes(unfitted) == []
    assert not (unfitted.folder / POSTERIOR).exists()
    assert locks(unfitted) == []
    finishes(unfitted, finished)


def test_a_fit_that_is_killed_fails_alone_and_is_fitted_again(unfitted, finished):
    run, _, fit = run_into_the_fit(unfitted)
    fit.kill()
    assert run.wait(180) == 1
    assert "without the fits that failed (small/pooled)" in unfitted.said
    assert not (unfitted.folder / POSTERIOR).exists()
    assert "pooled,not fitted" in (unfitted.folder / "results/small/comparisons/main.observation.csv").read_text()
    finishes(unfitted, finished)


def test_a_killed_run_leaves_a_fit_and_a_lock_that_the_next_run_clears_away(unfitted, finished):
    run, snakemake, fit = run_into_the_fit(unfitted)
    os.kill(run.pid, signal.SIGKILL)
    snakemake.kill()
    run.wait()
    wait_until(lambda: not snakemake.is_running() or snakemake.status() == psutil.STATUS_ZOMBIE)
    assert fit.is_running()
    assert locks(unfitted) != []
    said = finishes(unfitted, finished)
    [numbers] = re.findall(r"ending \d+ jobs? of a run that was killed \(process (.*)\)", said)
    assert str(fit.pid) in numbers.split(", ")
    assert "removing the lock of a run that is no longer alive" in said
