"""A queue that is a file."""

from __future__ import annotations

import os
from pathlib import Path

from signals_plus.backends.base import BaseBackend, Task


class FileBackend(BaseBackend):
    """Write each payload as a line."""

    option_names = None

    def enqueue(self, task: Task, payload: str) -> None:
        with Path(os.environ["OUTBOX_QUEUE"]).open("a", encoding="utf-8") as file:
            file.write(payload + "\n")
