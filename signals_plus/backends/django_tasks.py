"""Django's own tasks: each task receiver is a Django task of its own, under its own name.

``django.tasks`` of Django 6; on Django 5.2 its backport, the distribution ``django-tasks``.

A worker finds it in this module, by ``__getattr__``: see Note [Paths] of ``by_name``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.utils import timezone

from ..exceptions import BackendError, InvalidReceiverError, UnknownReceiverError, described
from . import _django_tasks_checks, _own_rows
from ._django_tasks_framework import DEFAULT_TASK_BACKEND_ALIAS, InvalidTask, task_backends
from ._django_tasks_framework import task as django_task
from ._options import Options
from .base import BaseBackend, Refused, Task, run_task
from .by_name import attribute_of, name_of

# Where django-tasks-db keeps its tasks.
QUEUE_APP, QUEUE_MODEL = "django_tasks_database", "DBTaskResult"

# Seconds that the failures of one commit may take together. Then the rest is not tried.
PATIENCE = 1.0

# The Django tasks of this process, by the names of their receivers.
_django_tasks: dict[str, Any] = {}


def __getattr__(attribute: str) -> object:
    """Return the Django task of a registered receiver: where workers look for it.

    Raises:
        AttributeError: There is none. A worker that asks for it keeps the message, as failed.
    """
    name = name_of(attribute, __name__)
    if name not in _django_tasks:
        raise AttributeError(str(UnknownReceiverError(name)))
    return _django_tasks[name]


class DjangoTasksBackend(BaseBackend):
    """Run task receivers by a backend of Django's ``TASKS`` setting.

    What it supports is what that backend supports.

    ``OPTIONS``: ``backend``, an alias of ``TASKS`` (default ``"default"``);
    ``enqueue_in_transaction`` (default False): enqueue when the signal is sent, so that the
    queue's row comes and goes with the transaction. It takes a queue in the database: the backend
    of ``django-tasks-db``, or a class derived from it.
    """

    supports_queue_name = True

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self._given = Options(alias, options, "backend", "enqueue_in_transaction")
        self._tasks_alias = self._given.name("backend", default=DEFAULT_TASK_BACKEND_ALIAS)
        self._in_transaction = self._given.flag("enqueue_in_transaction", default=False)
        self._tasks_setting: object = None
        self._registered: dict[str, Task] = {}
        self._read_tasks_setting()

    @property
    def transaction_alias(self) -> str | None:
        return self._queue_database() if self._in_transaction else None

    def refuse_unsupported(self, task: Task) -> None:
        self._read_tasks_setting()
        super().refuse_unsupported(task)

    def register(self, task: Task) -> None:
        options: dict[str, Any] = {"backend": self._tasks_alias}
        if task.queue_name is not None:
            options["queue_name"] = task.queue_name
        if task.queue_priority is not None:
            options["priority"] = task.queue_priority
        try:
            _django_tasks[task.name] = django_task(**options)(_function(task))
        except InvalidTask as error:
            reason = str(error).rstrip(".")  # Django ends its sentences, and so do we
            queues = ", ".join(map(repr, sorted(task_backends[self._tasks_alias].queues)))
            raise InvalidReceiverError(
                task.name,
                f"is refused by {self._tasks_described}: {reason}",
                "queue_priority= is a whole number from -100 to 100, and queue_name= "
                + (f"one of its QUEUES: {queues}." if queues else "any text."),
            ) from error
        self._refuse_long_queue_name(task)
        self._registered[task.name] = task
        super().register(task)

    def validate_task(self, task: Task) -> None:
        self._read_tasks_setting()
        super().validate_task(task)

    def enqueue(self, task: Task, payload: str) -> None:
        try:
            ready = _django_tasks[task.name]
            if task.run_after is not None:
                ready = ready.using(run_after=timezone.now() + task.run_after)
            ready.enqueue(payload)
        except BackendError:  # of a task that the queue's own row was to enqueue
            raise
        except Exception as error:
            # Anybody may write a backend for TASKS, and receivers of task_enqueued.
            raise self._backend_error(error) from error

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        using = self._queue_database()
        if using is None:
            return self._enqueue_each(messages, nullcontext)
        # Also where a transaction is open, as in a TestCase: an error would leave it broken.
        atomic = partial(transaction.atomic, using=using)
        started = time.monotonic()
        if len(messages) > 1:
            try:
                with atomic():  # one commit for all
                    for task, payload in messages:
                        self.enqueue(task, payload)
            except Exception:  # noqa: BLE001 - what it was, each will say by itself
                return self._enqueue_each(messages, atomic, time.monotonic() - started)
            return []
        return self._enqueue_each(messages, atomic)

    def check(self) -> list[CheckMessage]:
        """W005 outside of DEBUG, W006 always."""
        backend = task_backends[self._tasks_alias]
        found = _django_tasks_checks.check_worker(backend, self._tasks_described)
        if self._queue_database() is not None:
            found += _own_rows.check(QUEUE_APP, [QUEUE_MODEL], self._registered.values())
        return found

    def _enqueue_each(
        self,
        messages: Sequence[tuple[Task, str]],
        block: Callable[[], AbstractContextManager[object]],
        spent: float = 0,
    ) -> list[Refused]:
        refused: list[Refused] = []
        for task, payload in messages:
            if refused and spent > PATIENCE:
                problem = f"was not asked again after {spent:.1f} s: {refused[0].error.problem}"
                refused.append(Refused(task, payload, BackendError(self.alias, problem)))
                continue
            started = time.monotonic()
            try:
                with block():
                    self.enqueue(task, payload)
            except Exception as error:  # noqa: BLE001 - the block's, too: whatever a database raises
                if not isinstance(error, BackendError):
                    error = self._backend_error(error)
                refused.append(Refused(task, payload, error))
                spent += time.monotonic() - started
        return refused

    def _refuse_long_queue_name(self, task: Task) -> None:
        """Raise what PostgreSQL and MariaDB would raise when the row is written."""
        if task.queue_name is None or self._queue_database() is None:
            return
        field = apps.get_model(QUEUE_APP, QUEUE_MODEL)._meta.get_field("queue_name")
        if field.max_length is not None and len(task.queue_name) > field.max_length:
            raise InvalidReceiverError(
                task.name,
                f"has queue_name={task.queue_name!r}, which {self._tasks_described} cannot store",
                f"A queue's name has at most {field.max_length} characters there.",
            )

    def _read_tasks_setting(self) -> None:
        """Look at what TASKS says now: a test may override it. Costs nothing if it is the same."""
        if task_backends.settings is self._tasks_setting:
            return
        try:
            backend = task_backends[self._tasks_alias]
        except ImproperlyConfigured as error:
            aliases = ", ".join(map(repr, task_backends.settings))
            reason = str(error).rstrip(".")  # Django ends some of these with a full stop
            raise self._given.error(
                f"backend={self._tasks_alias!r}, and TASKS has no usable backend of that name: "
                f"{reason}. TASKS has {aliases}"
            ) from error
        if self._in_transaction and self._queue_database() is None:
            raise self._given.error(
                f"enqueue_in_transaction, and {self._tasks_described} writes no row that could "
                "come and go with a transaction. Use django_tasks_db.DatabaseBackend, with "
                "'django_tasks_db' in INSTALLED_APPS, or leave the option out"
            )
        self.supports_run_after = backend.supports_defer
        self.supports_priority = backend.supports_priority
        self._validated.clear()
        self._tasks_setting = task_backends.settings

    def _queue_database(self) -> str | None:
        """Return the alias on which django-tasks-db writes; None if the queue is another."""
        module = sys.modules.get("django_tasks_db.backend")  # imported, if TASKS names it
        if module is None or not isinstance(
            task_backends[self._tasks_alias], module.DatabaseBackend
        ):
            return None
        try:
            return router.db_for_write(apps.get_model(QUEUE_APP, QUEUE_MODEL))
        except LookupError:  # not installed: its own check says so
            return None

    @property
    def _tasks_described(self) -> str:
        kind = type(task_backends[self._tasks_alias])
        return f"TASKS[{self._tasks_alias!r}] ({kind.__qualname__})"

    def _backend_error(self, cause: Exception) -> BackendError:
        error = BackendError(self.alias, f"could not enqueue: {described(cause)}")
        error.__cause__ = cause
        return error


def _function(task: Task) -> Callable[[str], None]:
    """Return the function of the Django task."""
    name = task.name

    def run(payload: str) -> None:
        run_task(name, payload)

    run.__name__ = name  # what monitors show
    run.__qualname__ = attribute_of(name)
    run.__module__ = __name__
    run.__doc__ = task.function.__doc__
    return run
