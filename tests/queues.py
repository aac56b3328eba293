"""A queue for tests that keeps what it was given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from signals_plus.backends.base import Refused, Task
from signals_plus.backends.dummy import DummyBackend
from signals_plus.exceptions import BackendError, InvalidReceiverError


class RecordingBackend(DummyBackend):
    """A queue that keeps what it was given, or refuses it, and can be worked off."""

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self.registered: list[str] = []
        self.calls: list[list[tuple[Task, str]]] = []
        self.refuses = False

    @property
    def payloads(self) -> list[Any]:
        """What was sent, read as JSON."""
        return [json.loads(payload) for _, payload in self.enqueued]

    def register(self, task: Task) -> None:
        if "refused" in task.options:
            raise InvalidReceiverError(task.name, "is refused", "Leave it out.")
        self.registered.append(task.name)

    def enqueue(self, task: Task, payload: str) -> None:
        if self.refuses:
            raise BackendError(self.alias, "is down")
        super().enqueue(task, payload)

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        self.calls.append([*messages])
        return super().enqueue_many(messages)

    def work(self) -> None:
        """Run all that was sent, as a worker, and what that sends."""
        while self.enqueued:
            task, payload = self.enqueued.pop(0)
            task.run(payload)
