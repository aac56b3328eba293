"""A queue that nobody takes from: for tests, and to switch tasks off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._options import Options
from .base import BaseBackend, Task


class DummyBackend(BaseBackend):
    """Keep what is enqueued, and run nothing. It takes every receiver, with any option.

    ``enqueued``: the (task, payload) of all that was enqueued, in order, until ``clear``.

    ``OPTIONS``: ``keep`` (default True). False: not even keep it. For a process that lasts, whose
    memory it would fill.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_priority = True
    supports_retries = True
    option_names = None

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.keep = Options(alias, options, "keep").flag("keep", default=True)
        self.enqueued: list[tuple[Task, str]] = []

    def enqueue(self, task: Task, payload: str) -> None:
        if self.keep:
            self.enqueued.append((task, payload))

    def clear(self) -> None:
        """Forget what was enqueued."""
        self.enqueued.clear()
