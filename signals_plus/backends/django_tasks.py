"""Django's own tasks: each task receiver is a Django task of its own, under its own name.

``django.tasks`` of Django 6; on Django 5.2 its backport, the distribution ``django-tasks``.

# Note [Paths]
A queue of ``django.tasks`` keeps where a task's function is, ``module.name``, and its worker takes
the Django task from there (``import_string``). A receiver's function stays what it is, so its task
stands elsewhere: each is an attribute of this module, which ``__getattr__`` looks up among those
that this process has registered. What is before the last dot is taken for a module: the dots of a
receiver's name are colons in its path, and what could be mistaken for one is written as in a URL.
``signals_plus.backends.django_tasks.receiver:shop:receivers:print_label`` is in the messages of
every queue: it has to stay.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.utils import timezone

from ..conf import settings
from ..exceptions import BackendError, InvalidReceiverError, SettingsError, UnknownReceiverError
from ._options import Options
from .base import BaseBackend, Refused, Task, run_task

if TYPE_CHECKING or find_spec("django.tasks"):
    from django.tasks import DEFAULT_TASK_BACKEND_ALIAS, task_backends
    from django.tasks import task as django_task
    from django.tasks.backends.dummy import DummyBackend
    from django.tasks.backends.immediate import ImmediateBackend
    from django.tasks.exceptions import InvalidTask
else:  # Django 5.2
    from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, task_backends
    from django_tasks import task as django_task
    from django_tasks.backends.dummy import DummyBackend
    from django_tasks.backends.immediate import ImmediateBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidTask

# Seconds that the failures of one commit may take together. Then the rest is not tried.
PATIENCE = 1.0

OPTIONS = ("backend", "enqueue_in_transaction")

# What the paths of receivers begin with. No Python name does: nothing of this module is a path.
_PREFIX = "receiver:"

# Where django-tasks-db keeps its tasks.
_QUEUE_APP, _QUEUE_MODEL = "django_tasks_database", "DBTaskResult"

# The Django tasks of this process, by the names of their receivers. See Note [Paths].
_django_tasks: dict[str, Any] = {}


def __getattr__(attribute: str) -> object:
    """Return the Django task of a registered receiver: where workers look for it.

    Raises:
        AttributeError: There is none. A worker that asks for it keeps the message, as failed.
    """
    if not attribute.startswith(_PREFIX):
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    name = unquote(attribute.removeprefix(_PREFIX).replace(":", "."))
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
        self._tasks_alias = options.get("backend", DEFAULT_TASK_BACKEND_ALIAS)
        self._in_transaction = Options(alias, options, *OPTIONS).flag(
            "enqueue_in_transaction", default=False
        )
        self._tasks_setting: object = None
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
            queues = ", ".join(map(repr, sorted(task_backends[self._tasks_alias].queues)))
            raise InvalidReceiverError(
                task.name,
                f"is refused by {self._tasks_described}: {error}",
                "queue_priority= is a whole number from -100 to 100, and queue_name= "
                + (f"one of its QUEUES: {queues}." if queues else "any text."),
            ) from error
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
        found: list[CheckMessage] = []
        backend = task_backends[self._tasks_alias]
        if isinstance(backend, ImmediateBackend | DummyBackend) and not django_settings.DEBUG:
            what = (
                "never run"
                if isinstance(backend, DummyBackend)
                else "run inside the request, and their errors are only logged"
            )
            found.append(
                CheckWarning(
                    f"Receivers are tasks of {self._tasks_described}: they {what}.",
                    hint="Name a backend with a worker in TASKS, for instance "
                    "django_tasks_db.DatabaseBackend.",
                    id="signals_plus.W005",
                )
            )
        labels = {_QUEUE_APP, f"{_QUEUE_APP}.{_QUEUE_MODEL}".lower()}
        if self._queue_database() is not None and not labels & settings.excluded_senders:
            found.append(
                CheckWarning(
                    f"SIGNALS_PLUS_EXCLUDED_SENDERS leaves out {_QUEUE_APP!r}, where the queue "
                    "writes a row for each task: a task receiver for every sender enqueues a task "
                    "for that row, and so on without an end.",
                    hint=f"Add {_QUEUE_APP!r}.",
                    id="signals_plus.W006",
                )
            )
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

    def _read_tasks_setting(self) -> None:
        """Look at what TASKS says now: a test may override it. Costs nothing if it is the same."""
        if task_backends.settings is self._tasks_setting:
            return
        try:
            backend = task_backends[self._tasks_alias]
        except ImproperlyConfigured as error:
            aliases = ", ".join(map(repr, task_backends.settings))
            raise self._settings_error(
                f"backend={self._tasks_alias!r}, and TASKS has no usable backend of that name: "
                f"{error} It has {aliases}"
            ) from error
        if self._in_transaction and self._queue_database() is None:
            raise self._settings_error(
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
            return router.db_for_write(apps.get_model(_QUEUE_APP, _QUEUE_MODEL))
        except LookupError:  # not installed: its own check says so
            return None

    @property
    def _tasks_described(self) -> str:
        kind = type(task_backends[self._tasks_alias])
        return f"TASKS[{self._tasks_alias!r}] ({kind.__qualname__})"

    def _backend_error(self, cause: Exception) -> BackendError:
        error = BackendError(self.alias, f"could not enqueue: {cause!r}")
        error.__cause__ = cause
        return error

    def _settings_error(self, problem: str) -> SettingsError:
        return SettingsError("SIGNALS_PLUS_BACKENDS", f"gives {self.alias!r} {problem}.")


def _function(task: Task) -> Callable[[str], None]:
    """Return the function of the Django task, which is found where Note [Paths] says."""
    name = task.name

    def run(payload: str) -> None:
        run_task(name, payload)

    run.__name__ = name  # what monitors show
    run.__qualname__ = _PREFIX + quote(name, safe="").replace(".", ":")
    run.__module__ = __name__
    run.__doc__ = task.function.__doc__
    return run
