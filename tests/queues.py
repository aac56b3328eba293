"""A queue for tests that keeps what it was given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import models
from django_tasks_db.management.commands.db_worker import Worker

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


class QueueRouter:
    """Keeps the rows of django-tasks-db on a database of their own."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return "queue" if model._meta.app_label == "django_tasks_database" else None

    db_for_read = db_for_write


def work() -> None:
    """Run what django-tasks-db has in its queue, as ``manage.py db_worker --batch``."""
    Worker(
        queue_names=["*"],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id="worker",
        excluded_queue_names=[],
    ).run()
