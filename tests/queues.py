"""Queues for tests of what a queue is told, and of what becomes of what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django_tasks_db.management.commands.db_worker import Worker

from signals_plus.backends.base import Refused, Task
from signals_plus.backends.dummy import DummyBackend
from signals_plus.exceptions import BackendError, InvalidReceiverError


class RecordingBackend(DummyBackend):
    """A queue that keeps how it was called, and may refuse a task or a receiver.

    Where a test asks what was enqueued, and does it run, it asks ``capture_tasks``.
    """

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self.calls: list[list[tuple[Task, str]]] = []
        self.refuses = False

    def register(self, task: Task) -> None:
        if "refused" in task.options:
            raise InvalidReceiverError(task.name, "is refused", "Leave it out.")

    def enqueue(self, task: Task, payload: str) -> None:
        if self.refuses:
            raise BackendError(self.alias, "is down")
        super().enqueue(task, payload)

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        self.calls.append([*messages])
        return super().enqueue_many(messages)


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
