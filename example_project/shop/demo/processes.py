"""Processes beside the demo, ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

END_TIMEOUT = 10  # seconds

Process = subprocess.Popen[bytes]


def start(command: Sequence[str], folder: Path, log: Path) -> Process:
    """Start what ``python -m`` runs, in a process group of its own.

    A Ctrl-C in the terminal does not reach it, so that the demo alone ends it.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - a command of our own
            [sys.executable, "-m", "shop.demo.in_worker", *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: Process) -> None:
    """Ask a process to end, and see to it that it does, with all that it has started."""
    with process:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                break
            # The process alone is asked, and ends what it has started.
            send = os.kill if number == signal.SIGTERM else os.killpg
            send(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_TIMEOUT)


def kill(process: Process, *others: int) -> None:
    """End a process and all that it has started at once: none of them hears of it.

    ``others``: the ids of processes that it has started in a group of their own, as RQ does.
    """
    with process:
        os.killpg(process.pid, signal.SIGKILL)
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
