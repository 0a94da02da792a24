"""One run of the workflow at a time in a folder, and none of its processes left behind.

A killed Snakemake leaves a lock, which stops the next run, and jobs that go on writing beside it. So before a run, and
after one that was ended, what is left is looked for among the processes of this machine: a live run stops a second one;
where none lives, its jobs are ended and its lock removed. Results are never touched: Snakemake remembers which outputs
are unfinished and makes them again.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

BUSY = 3
"""Exit status where another run is at work in the folder."""

GRACE = 3.0
"""Seconds that running jobs have to end by themselves once the run was told to stop."""

PATIENCE = 10.0
"""Seconds between asking a process to end and killing it."""

PROFILE = Path("workflow/profiles/default")
CONFIG = Path("config/config.yaml")
RECORD = Path(".snakemake/multilevel_run.json")
WITHOUT_FIT = Path(".snakemake/multilevel_not_fitted.json")
LOCKS = Path(".snakemake/locks")

WRITES_NOTHING = re.compile(r"--dry-?run|--lint|-[npkF]*n[npkF]*")
NESTED_MODES = ("subprocess", "remote")
SCRIPT_OF_WORKFLOW = re.compile(r"""(?:^|[\s"'/])workflow/scripts/[\w./-]+\.(?:py|R)\b""")


def run(folder: Path, cores: str, configfiles: Sequence[Path], further: Sequence[str]) -> int:
    """Run Snakemake in a folder and return the exit status.

    Parameters
    ----------
    folder
        The project folder, absolute.
    cores
        Number of cores, or ``all``.
    configfiles
        Files read over config/config.yaml.
    further
        More options for Snakemake.

    Returns
    -------
    int
        That of Snakemake; 3 where another run is at work here; 128 + the signal where one ended the run.
    """
    command = snakemake_command(folder, cores, configfiles, further)
    if writes_nothing(further):
        return subprocess.run(command, cwd=folder, env=child_environment(), check=False).returncode
    if (reason := busy(folder)) is not None:
        say(reason)
        return BUSY
    if (status := recover(folder, command)) != 0:
        return status
    started = time.time()
    record(folder)
    (folder / WITHOUT_FIT).unlink(missing_ok=True)
    status, stopped = supervise(command, folder)
    if status != 0 and not stopped and (failed := without_fit(folder)):
        say(f"rendering the reports without the fits that failed ({', '.join(failed)})")
        _, stopped = supervise(going_on_without(command, failed), folder)
    if stopped:
        recover(folder, command)
    else:
        name_reports(folder, configfiles, started, failed=status != 0)
    strike_record(folder)
    return status


def snakemake_command(folder: Path, cores: str, configfiles: Sequence[Path], further: Sequence[str]) -> list[str]:
    """Return the command line of Snakemake, with the project's default profile where there is one."""
    command = [sys.executable, "-m", "snakemake"]
    if configfiles:
        command += ["--configfile", *(os.path.relpath(path.resolve(), folder) for path in configfiles)]
    if (folder / PROFILE).is_dir() and not any(word.startswith("--workflow-profile") for word in further):
        command += ["--workflow-profile", str(PROFILE)]
    return [*command, "--cores", cores, *further]


def without_fit(folder: Path) -> list[str]:
    """Return the fits (``study/model``) that a failed run has left without a result; the Snakefile writes them down."""
    try:
        return [str(name) for name in json.loads((folder / WITHOUT_FIT).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def going_on_without(command: Sequence[str], failed: Sequence[str]) -> list[str]:
    """Return the command that makes everything that needs none of the failed fits, reports included.

    Snakemake takes the last ``--config`` alone, so the value joins the one that is there.
    """
    value = f"not_fitted={json.dumps(list(failed))}"
    for at, word in enumerate(command):
        if word in {"--config", "-C"}:
            return [*command[: at + 1], value, *command[at + 1 :]]
    return [*command, "--config", value]


def child_environment() -> dict[str, str]:
    """Return the environment of Snakemake and its jobs.

    The programs of this Python's environment come first. The folder of this library does not go along: each job has its
    own copy's folder on its path.
    """
    library = Path(__file__).resolve().parents[1]
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    paths = [path for path in environment.pop("PYTHONPATH", "").split(os.pathsep) if path]
    if others := [path for path in paths if Path(path).resolve() != library]:
        environment["PYTHONPATH"] = os.pathsep.join(others)
    return environment


def say(message: str) -> None:
    """Print one message for the person who runs the workflow."""
    print(f"multilevel run: {message}", file=sys.stderr, flush=True)


# -- what is at work in the folder ------------------------------------------------------------------------------------


def busy(folder: Path) -> str | None:
    """Return why no run may start in the folder now, or None.

    The lock is looked at first: whoever holds it was alive before it was made, so a run that starts meanwhile is seen.
    """
    locked = bool(locks(folder))
    if live := live_runs(folder):
        number = live[0].pid
        return f"a run is at work in {folder} (process {number}); wait for it to end, or stop it: kill {number}"
    host = read_record(folder).get("host")
    if locked and host not in (None, socket.gethostname()):
        return (
            f"{folder} is locked by a run on {host}, which cannot be seen from {socket.gethostname()}; "
            "if that run is over, remove its lock: snakemake --unlock"
        )
    return None


def locks(folder: Path) -> list[Path]:
    """Return Snakemake's lock files in the folder."""
    return sorted((folder / LOCKS).glob("*.lock"))


def live_runs(folder: Path) -> list[psutil.Process]:
    """Return the Snakemake processes that work in the folder, without ourselves and those who started us."""
    ours = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    return [
        process
        for process, words in processes_in(folder)
        if process.pid not in ours and is_run(words) and not writes_nothing(words)
    ]


def orphaned_jobs(folder: Path) -> list[psutil.Process]:
    """Return the jobs that work in the folder without a living Snakemake above them."""
    ours = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found = []
    for process, words in processes_in(folder):
        if process.pid in ours or not is_job(process, words, folder):
            continue
        if not any(is_run(command_line(parent)) for parent in ancestors(process)):
            found.append(process)
    return found


def processes_in(folder: Path) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield every living process whose working directory is the folder, with its command line."""
    target = str(folder.resolve())
    for process in psutil.process_iter():
        try:
            if process.cwd() == target and process.status() != psutil.STATUS_ZOMBIE:
                yield process, process.cmdline()
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's


def command_line(process: psutil.Process) -> list[str]:
    """Return a process's command line, empty where it cannot be read."""
    try:
        return list(process.cmdline())
    except (psutil.Error, OSError):
        return []


def ancestors(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes above one, nearest first."""
    try:
        return list(process.parents())
    except psutil.Error:
        return []


def is_snakemake(words: Sequence[str]) -> bool:
    """Return whether a command line runs Snakemake, as a module or as a program."""
    if not words:
        return False
    program = Path(words[0]).name
    if program == "snakemake":
        return True
    if not program.startswith("python"):
        return False
    module = ("-m", "snakemake") in itertools.pairwise(words)
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    return module or Path(script).name == "snakemake"


def writes_nothing(words: Sequence[str]) -> bool:
    """Return whether Snakemake's options ask for no more than a plan or a check."""
    return any(WRITES_NOTHING.fullmatch(word) for word in words)


def is_nested(words: Sequence[str]) -> bool:
    """Return whether this Snakemake runs a single job for another Snakemake."""
    return any(("--mode", mode) in itertools.pairwise(words) for mode in NESTED_MODES)


def is_run(words: Sequence[str]) -> bool:
    """Return whether a command line is that of a run, and not of a job inside one."""
    return is_snakemake(words) and not is_nested(words)


def is_job(process: psutil.Process, words: Sequence[str], folder: Path) -> bool:
    """Return whether a process is a job of a run in the folder.

    Snakemake copies each script to .snakemake/scripts, where nobody runs one by hand. A script of the workflow itself
    may be run by hand: it counts as a job only when whatever started it is gone.
    """
    scripts = str(folder.resolve() / ".snakemake" / "scripts") + os.sep
    if any(scripts in word for word in words):
        return True
    if is_snakemake(words):
        return is_nested(words)
    return any(SCRIPT_OF_WORKFLOW.search(word) for word in words) and is_abandoned(process)


def is_abandoned(process: psutil.Process) -> bool:
    """Return whether the chain of parents breaks off before the leader of the process's session."""
    try:
        session = os.getsid(process.pid)
        chain = [process.pid, *(parent.pid for parent in process.parents() if os.getsid(parent.pid) == session)]
    except (psutil.Error, OSError):
        return False
    return session not in chain


# -- clearing away what a killed run left ------------------------------------------------------------------------------


def recover(folder: Path, command: Sequence[str]) -> int:
    """End the jobs that a killed run left and remove its lock; nothing else is removed.

    Returns
    -------
    int
        0, or Snakemake's exit status where it could not remove the lock.
    """
    jobs = orphaned_jobs(folder)
    if jobs:
        numbers = ", ".join(str(job.pid) for job in jobs)
        say(f"ending {len(jobs)} job{'s' * (len(jobs) > 1)} of a run that was killed (process {numbers})")
        end(jobs)
    if not locks(folder) or live_runs(folder):
        return 0
    say("removing the lock of a run that is no longer alive")
    unlock = subprocess.run(
        [*command, "--unlock"], cwd=folder, env=child_environment(), capture_output=True, text=True, check=False
    )
    if unlock.returncode != 0:
        say(f"the lock could not be removed:\n{unlock.stdout}{unlock.stderr}".rstrip())
    return unlock.returncode


def end(processes: Iterable[psutil.Process], patience: float = PATIENCE) -> None:
    """Ask processes and all that they started to end, and kill those that have not after `patience` seconds."""
    everyone: dict[int, psutil.Process] = {}
    for process in processes:
        try:
            everyone |= {member.pid: member for member in [process, *process.children(recursive=True)]}
        except psutil.Error:
            continue
    signal_all(everyone.values(), signal.SIGTERM)
    _, alive = psutil.wait_procs(list(everyone.values()), timeout=patience)
    signal_all(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=patience)


def signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may be gone."""
    for process in processes:
        try:
            process.send_signal(number)
        except (psutil.Error, OSError):
            continue


def record(folder: Path) -> None:
    """Write down on which machine this run works: a lock seen from another machine is not ours to judge."""
    path = folder / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}), encoding="utf-8")


def strike_record(folder: Path) -> None:
    """Remove what `record` wrote, unless another run has written its own meanwhile."""
    if read_record(folder).get("process") == os.getpid():
        (folder / RECORD).unlink(missing_ok=True)


def read_record(folder: Path) -> dict[str, object]:
    """Return what the last run wrote that did not come to its end; empty where there is none."""
    try:
        return dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


# -- the run itself ----------------------------------------------------------------------------------------------------


@dataclass
class Stop:
    """What signals have asked of a run.

    Told to stop by SIGTERM, Snakemake starts no further job and waits for those that run, however long they take. So
    they get a short grace and are then ended; Snakemake sees them fail, removes what they had half written, gives its
    lock back and ends.
    """

    child: subprocess.Popen[bytes] | None = None
    numbers: list[int] = field(default_factory=list)
    since: float = 0.0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal and pass it on; any becomes SIGTERM, because Snakemake gets Ctrl-C from the terminal itself."""
        self.since = self.since or time.monotonic()
        self.numbers.append(number)
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()

    def due(self) -> bool:
        """Return whether the jobs are to be ended now."""
        return len(self.numbers) > 1 or (bool(self.numbers) and time.monotonic() - self.since > GRACE)


def supervise(command: Sequence[str], folder: Path) -> tuple[int, bool]:
    """Run Snakemake to its end, or to ours.

    Returns
    -------
    tuple of int and bool
        The exit status, and whether the run was ended by a signal, its own or ours.
    """
    stop = Stop()
    with handling(stop):
        child = subprocess.Popen(command, cwd=folder, env=child_environment())
        stop.child = child
        if stop.numbers:  # one came before there was anybody to pass it on to
            child.terminate()
        while child.poll() is None and not stop.due():
            wait(child, 0.2)
        if child.poll() is None:
            say("ending the running jobs; what they have not finished is made again in the next run")
            end_run(child)
        status = child.wait()
    if stop.numbers:
        return 128 + stop.numbers[0], True
    return (status, False) if status >= 0 else (128 - status, True)


@contextmanager
def handling(stop: Stop) -> Iterator[None]:
    """Let `stop` take the signals that end a run, except those that whoever started us chose to ignore."""
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup ignores SIGHUP, a shell's background jobs SIGINT
    ]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_run(child: subprocess.Popen[bytes]) -> None:
    """End the jobs of a Snakemake that was told to stop, and Snakemake itself where it does not follow them."""
    for _ in range(2):  # a job that started meanwhile is met in the second round
        try:
            end(psutil.Process(child.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return
        if wait(child, PATIENCE / 2):
            return
    child.send_signal(signal.SIGINT)  # the executors of clusters cancel their jobs at Ctrl-C, and only then
    if not wait(child, 3 * PATIENCE):
        child.kill()


def wait(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process at most so long, and return whether it has ended."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


# -- the reports -------------------------------------------------------------------------------------------------------


def name_reports(folder: Path, configfiles: Sequence[Path], started: float, failed: bool) -> None:
    """Print the path of each report that is configured and stands there; of a failed run, only of those that it made."""
    for report in reports(folder, configfiles):
        if report.exists():
            new = report.stat().st_mtime >= started
            if new or not failed:
                print(f"Report: {os.path.relpath(report)}{'' if new else ' (unchanged by this run)'}")


def reports(folder: Path, configfiles: Sequence[Path]) -> list[Path]:
    """Return where the reports of the configured studies stand once they are made.

    The last file that names studies decides, as in Snakemake.
    """
    import yaml

    for path in [*reversed(configfiles), folder / CONFIG]:
        try:
            studies = yaml.safe_load(path.read_text(encoding="utf-8"))["studies"]
            return [folder / "results" / Path(study).stem / "report.html" for study in studies]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            continue  # it names none, or cannot be read, as Snakemake has said
    return []
