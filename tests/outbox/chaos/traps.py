"""Points at which a process ends, by ``kill -9``: a file in a folder arms one.

The code that is tested knows of none of them: its seams are wrapped here. A trap catches the first
process that reaches it, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from signals_plus.outbox.table import OutboxTable
from tests.outbox.chaos.queue import FileQueue, die

# What happens to a message, by the process that does it.
PRODUCING = ("table.insert", "commit", "queue.enqueue_many", "queue.put")
RELAYING = ("table.claim", "queue.enqueue_many", "queue.put")
WORKING = ("table.lock", "receiver", "table.delete", "commit")


class Traps:
    """Those of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, point: str, side: str, *, skip: int = 0) -> None:
        """Let the process that comes to a side of a point end there; ``skip``: not the first."""
        self._file(point, side).write_text(str(skip))

    def is_set(self, point: str, side: str) -> bool:
        return self._file(point, side).exists()

    def step_on(self, point: str, side: str) -> None:
        """End the process if there is a trap."""
        file = self._file(point, side)
        try:
            skip = int(file.read_text())
            if skip:
                file.write_text(str(skip - 1))
                return
            file.unlink()
        except FileNotFoundError:
            return  # or another process was caught
        die()

    def install(self) -> None:
        """Wrap the seams of this process."""
        for name in ("insert", "claim", "release", "lock", "hold", "fail", "bury", "delete"):
            self._wrap(OutboxTable, name, f"table.{name}")
        self._wrap(BaseDatabaseWrapper, "_commit", "commit")
        self._wrap(FileQueue, "enqueue_many", "queue.enqueue_many")
        self._wrap(FileQueue, "put", "queue.put")

    def around(self, point: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a trap on each side."""

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step_on(point, "before")
            result = function(*args, **kwargs)
            self.step_on(point, "after")
            return result

        return wrapped

    def _wrap(self, owner: type, name: str, point: str) -> None:
        setattr(owner, name, self.around(point, getattr(owner, name)))

    def _file(self, point: str, side: str) -> Path:
        return self.folder / f"trap-{point}-{side}"
