"""A queue in a file: what is in it outlives the processes, and it can be worked off by any."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signals_plus.backends.base import BaseBackend, Task, run_task
from signals_plus.exceptions import BackendError

# The exit code of processes that end where they are told to.
CAUGHT = -signal.SIGKILL

ENTRY = {"BACKEND": "tests.outbox.chaos.queue.FileQueue"}


class FileQueue(BaseBackend):
    """One line for each task. It takes none while a file ``down`` is beside it."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.path = Path(options["path"])

    @property
    def lines(self) -> list[str]:
        """All that it holds, oldest first."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def enqueue(self, task: Task, payload: str) -> None:
        if (self.path.parent / "down").exists():
            raise BackendError(self.alias, "is down")
        self.put(json.dumps([task.name, payload]))

    def kill_for(self, text: str) -> None:
        """Let every process end that is about to put a task with this text."""
        (self.path.parent / "killer").write_text(text)

    def put(self, line: str) -> None:
        killer = self.path.parent / "killer"
        if killer.exists() and killer.read_text() in line:
            die()
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    def forget(self) -> None:
        """Lose all that it holds."""
        self.path.unlink(missing_ok=True)

    def take(self) -> list[str]:
        """Take out all that it holds."""
        lines = self.lines
        self.forget()
        return lines


def die() -> None:
    """End this process as ``kill -9`` does, or a system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def work(line: str) -> None:
    """Do what a line of the queue is for, as a worker."""
    name, payload = json.loads(line)
    run_task(name, payload)
