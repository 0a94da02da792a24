"""Make .venv hold exactly what requirements.lock lists, once for each content of the lock.

Standard library only: it runs on the Python that the environment is made from. A stamp written last says that an
installation is whole; while it is current nothing is installed and no network is touched. An installation that was
cut short leaves its mark and is started over, because pip takes half-copied packages for installed ones.

Quarto is optional. Its package downloads the program while it is being installed, which some networks refuse; so it is
tried once, and the reports are rendered by Pandoc where it failed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUARTO_SECONDS = 300
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "-qq")
KEPT = frozenset({"pip", "quarto-cli"})
"""Packages that may stand in the environment without standing in requirements.lock."""

INSTALLED = """
import importlib.metadata as metadata
print("\\n".join({found.name for found in metadata.distributions()}))
"""


@dataclass(frozen=True)
class Places:
    """The files of the set-up, all below the project folder `root`."""

    root: Path

    @property
    def environment(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.environment / "bin" / "python"

    @property
    def quarto(self) -> Path:
        """The environment's Quarto, which may be missing."""
        return self.environment / "bin" / "quarto"

    @property
    def lock(self) -> Path:
        """The hash-pinned requirements."""
        return self.root / "envs" / "requirements.lock"

    @property
    def quarto_lock(self) -> Path:
        """The hash-pinned package of Quarto."""
        return self.root / "envs" / "quarto.lock"

    @property
    def stamp(self) -> Path:
        """Says for which lock, and where, the installation is whole."""
        return self.environment / ".installed.json"

    @property
    def mark(self) -> Path:
        """Stands there while packages are being installed."""
        return self.environment / ".installing"

    @property
    def quarto_stamp(self) -> Path:
        """Remembers for which quarto.lock an installation was tried, and how it ended."""
        return self.environment / ".quarto.json"


def say(message: str) -> None:
    """Print one line at once."""
    print(message, flush=True)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_json(path: Path) -> dict[str, str]:
    """Return a small JSON object, empty when the file is missing or no JSON."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_json(path: Path, content: dict[str, str]) -> None:
    """Write a small JSON object in one step."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def wanted(places: Places) -> dict[str, str]:
    """Return what the stamp says once the installation is whole; environments do not survive being moved."""
    return {"lock": digest(places.lock), "environment": str(places.environment)}


def runs(*command: str | Path) -> bool:
    """Return whether a short command ends well."""
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextlib.contextmanager
def alone(places: Places) -> Iterator[int]:
    """Wait until no other installation is at work in this folder; the pip of a killed one still holds the lock."""
    with places.lock.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is at work in this folder; waiting for it to end.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


def locked_names(lock: Path) -> set[str]:
    """Return the normalised names of the packages in a lock file."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {normalised(name) for name in names}


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ensure_packages(places: Places, held: int) -> None:
    """Install the packages of the lock, unless the stamp says that they are there."""
    if read_json(places.stamp) == wanted(places) and runs(places.python, "-c", ""):
        return
    moved = read_json(places.stamp).get("environment", str(places.environment)) != str(places.environment)
    if moved or places.mark.exists() or not runs(places.python, "-m", "pip", "--version"):
        create(places)
    places.mark.touch()
    names = locked_names(places.lock)
    say(
        f"Installing the packages of envs/requirements.lock into {places.environment.name} (minutes the first time) ..."
    )
    started = time.monotonic()
    places.stamp.unlink(missing_ok=True)
    install: list[str | Path] = [places.python, *PIP, "install", "--require-hashes", "-r", places.lock]
    if subprocess.run(install, pass_fds=[held], check=False).returncode != 0:
        sys.exit("The packages of envs/requirements.lock could not be installed; the lines above say why.")
    remove_others(places, names)
    write_json(places.stamp, wanted(places))
    places.mark.unlink()
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def create(places: Places) -> None:
    """Make an empty environment, in place of a broken or half-filled one."""
    if places.environment.is_symlink():
        sys.exit(
            f"{places.environment.name} is a link to {places.environment.resolve()}; remove it to have an environment made here."
        )
    if places.environment.exists():
        say(f"{places.environment.name} is incomplete, broken or was moved here; it is made anew.")
        shutil.rmtree(places.environment)
    if subprocess.run([sys.executable, "-m", "venv", places.environment], check=False).returncode != 0:
        sys.exit(f"{sys.executable} could not make a virtual environment; the lines above say why.")


def remove_others(places: Places, names: set[str]) -> None:
    """Uninstall packages that an earlier lock listed and this one does not."""
    listed = subprocess.run([places.python, "-c", INSTALLED], capture_output=True, text=True, check=True).stdout.split()
    others = sorted({normalised(name) for name in listed} - names - KEPT)
    if others:
        subprocess.run([places.python, *PIP, "uninstall", "--yes", *others], check=True)


def ensure_quarto(places: Places) -> None:
    """Try once to install Quarto, unless there is one; never leave one that does not run."""
    if shutil.which("quarto") or not places.quarto_lock.exists():
        return
    lock = digest(places.quarto_lock)
    known = read_json(places.quarto_stamp)
    if known.get("lock") == lock:
        if known.get("outcome") == "trying":
            finish_quarto(places, lock, "an earlier attempt was cut short")
        return
    say("Trying to install Quarto ...")
    write_json(places.quarto_stamp, {"lock": lock, "outcome": "trying"})
    finish_quarto(places, lock, try_quarto(places))


def finish_quarto(places: Places, lock: str, reason: str) -> None:
    """Record how the attempt ended, and remove what it left where that does not run."""
    works = runs(places.quarto, "--version")
    if not works:
        subprocess.run([places.python, *PIP, "uninstall", "--yes", "quarto-cli"], capture_output=True, check=False)
        places.quarto.unlink(missing_ok=True)
        reason = reason or "it does not run"
        say(f"Quarto could not be installed ({reason}); reports are rendered by Pandoc, which is installed.")
    write_json(places.quarto_stamp, {"lock": lock, "outcome": "installed" if works else "failed", "reason": reason})


def try_quarto(places: Places) -> str:
    """Install Quarto's package within the time limit and return why it failed, or nothing."""
    options = ["--require-hashes", "--no-deps", "--no-build-isolation", "--retries", "1", "--timeout", "15"]
    command: list[str | Path] = [places.python, *PIP, "install", *options, "-r", places.quarto_lock]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=QUARTO_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return f"no answer within {QUARTO_SECONDS} s"
            raise
    return "" if process.returncode == 0 else why(output)


def why(output: str) -> str:
    """Return the line of pip's output that says why the download or the installation failed."""
    lines = [line.lstrip(" │╰─>").rstrip() for line in output.splitlines()]
    downloads = [line for line in lines if line.startswith("Error downloading Quarto:")]
    if downloads:
        return downloads[-1].removeprefix("Error downloading Quarto:").strip(" <>")
    errors = [line for line in lines if line.startswith("ERROR:")]
    return errors[0].removeprefix("ERROR:").strip() if errors else "pip failed"


def main() -> None:
    """Set up the project folder that this file stands in."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    places = Places(Path(__file__).resolve().parent.parent)
    with alone(places) as held:
        ensure_packages(places, held)
        ensure_quarto(places)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Set-up was interrupted; the next one starts the installation over.")
