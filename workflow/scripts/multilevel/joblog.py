"""The log of one job: everything it prints and logs goes to the file that its rule names, line by line."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn


def stop(reason: object) -> NoReturn:
    """End this process as failed at once, with one sentence as the last line of the log.

    What a library leaves behind after an error of its own may crash the interpreter on its way out, and the log would end
    in a dump of its memory.

    Parameters
    ----------
    reason
        The sentence.
    """
    logging.getLogger("multilevel").error("failed: %s", reason)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1)


def begin(path: str | Path) -> None:
    """Send this process's output and log records to a file, written through at each line so that `tail -f` follows it.

    Parameters
    ----------
    path
        The file; made anew.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = target.open("w", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr = stream
    faulthandler.enable(stream)
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", force=True)
    logging.getLogger("multilevel").setLevel(logging.INFO)
