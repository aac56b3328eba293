"""Celery: each task receiver is a shared task of its own, under its own name.

# Note [Publishing in bounded time]
``task.delay()`` waits for a broker that refuses up to six seconds, and for one that accepts and
stays silent (Redis, by default) for good. So the backend publishes through a connection of its
own: socket timeouts where the transport knows them, one reconnection (a pooled connection may
have been closed by the broker since), and no waiting between. After a failure it does not try
again for ``publish_timeout`` seconds: a thousand events of one transaction wait once, not a
thousand times.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, current_app, shared_task
from celery import Task as CeleryTask
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from kombu import Connection
from kombu.pools import ProducerPool

from ..exceptions import BackendError, InvalidReceiverError, SettingsError
from .base import BaseBackend, Task

# Options that only apply_async() takes; all others are attributes of the task.
PUBLISH_OPTIONS = frozenset({"countdown", "eta", "headers", "link", "link_error", "shadow"})
AUTORETRY_OPTIONS = frozenset(
    {"autoretry_for", "dont_autoretry_for", "retry_kwargs", "retry_backoff",
     "retry_backoff_max", "retry_jitter"}
)  # fmt: skip
OWN_OPTIONS: Mapping[str, str] = {
    "bind": "the function is called with the signal's arguments. Use celery.current_task",
    "name": "give name= to receiver_task itself",
    "serializer": "a payload is JSON text",
}


class CeleryBackend(BaseBackend):
    """Run task receivers in Celery workers.

    ``OPTIONS``: ``publish_timeout``, seconds (default 1.0): how long one step of publishing, to
    connect, to write or to wait for the broker's answer, may take.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.publish_timeout = options.get("publish_timeout", 1.0)
        if unknown := set(options) - {"publish_timeout"}:
            raise self._settings_error(f"unknown options: {', '.join(sorted(unknown))}")
        if not isinstance(self.publish_timeout, int | float) or self.publish_timeout <= 0:
            raise self._settings_error(
                f"publish_timeout={self.publish_timeout!r}, which is no number of seconds above 0"
            )
        self._tasks: dict[str, tuple[Task, CeleryTask]] = {}
        self._lock = threading.Lock()
        self._pool: tuple[int, Celery, ProducerPool] | None = None
        self._silent_until = 0.0

    def register(self, task: Task) -> None:
        if self._tasks.get(task.name, (None,))[0] is task:
            return
        _check_options(task)
        attributes = {k: v for k, v in task.options.items() if k not in PUBLISH_OPTIONS}
        # Nobody can ask for the result: the signal's sender gets no handle. Storing one would
        # also make publishing wait for the result store, which has no such time limit.
        attributes.setdefault("ignore_result", True)
        if task.queue_name is not None:
            attributes["queue"] = task.queue_name
        celery_task = shared_task(
            _named_like(task), name=task.name, serializer="json", **attributes
        )
        self._tasks[task.name] = (task, celery_task)

    def enqueue(self, task: Task, payload: str) -> None:
        _, celery_task = self._tasks[task.name]
        options = {k: v for k, v in task.options.items() if k in PUBLISH_OPTIONS}
        if task.run_after is not None:
            options["countdown"] = task.run_after.total_seconds()
        if celery_task.app.conf.task_always_eager:
            celery_task.apply_async((payload,), **options)
            return
        if time.monotonic() < self._silent_until:
            raise BackendError(
                self.alias,
                "did not answer just now, and is not asked again for "
                f"{self.publish_timeout} s after a failure",
            )
        try:
            self._publish(celery_task, payload, options)
        except Exception as error:  # each transport has errors of its own: see BaseBackend.enqueue
            self._silent_until = time.monotonic() + self.publish_timeout
            raise BackendError(self.alias, f"could not publish: {error!r}") from error

    def check(self) -> list[CheckMessage]:
        return [] if django_settings.DEBUG else _check_app(current_app)

    def _publish(self, celery_task: CeleryTask, payload: str, options: Mapping[str, Any]) -> None:
        pool = self._producers(celery_task.app)
        with pool.acquire(block=True, timeout=self.publish_timeout) as producer:
            celery_task.apply_async(
                (payload,),
                producer=producer,
                # One reconnection. With retry=False Celery would fall back to kombu's own,
                # longer, policy.
                retry=True,
                retry_policy=ONE_RECONNECTION,
                **options,
            )

    def _producers(self, app: Celery) -> ProducerPool:
        """Return the pool of this process: a connection must not be shared with a forked child."""
        with self._lock:
            if self._pool is None or self._pool[:2] != (os.getpid(), app):
                connection = self._connection(app)
                limit = app.conf.broker_pool_limit
                pool = ProducerPool(connection.Pool(limit=limit), limit=limit)
                self._pool = (os.getpid(), app, pool)
            return self._pool[2]

    def _connection(self, app: Celery) -> Connection:
        timeout = self.publish_timeout
        driver = app.connection_for_write().get_transport_cls().driver_type
        return app.connection_for_write(
            connect_timeout=timeout,
            transport_options={
                **dict.fromkeys(SOCKET_TIMEOUTS.get(driver, ()), timeout),
                **ONE_RECONNECTION,
                "connect_retries_timeout": timeout,
            },
        )

    def _settings_error(self, problem: str) -> SettingsError:
        return SettingsError(
            "SIGNALS_PLUS_BACKENDS", f"gives {self.alias!r} {problem}. It takes publish_timeout."
        )


ONE_RECONNECTION: Mapping[str, int] = {
    "max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0,
}  # fmt: skip

# The transport options that bound one read or write, by kind of transport.
SOCKET_TIMEOUTS: Mapping[str, tuple[str, ...]] = {
    "amqp": ("read_timeout", "write_timeout"),
    "redis": ("socket_connect_timeout", "socket_timeout"),
}


def _named_like(task: Task) -> Callable[[str], None]:
    """Return the body of the Celery task, which carries the receiver's name and docstring."""

    def run(payload: str) -> None:
        task.run(payload)

    run.__name__ = run.__qualname__ = task.name.rpartition(".")[2]
    run.__module__ = getattr(task.function, "__module__", __name__)
    run.__doc__ = task.function.__doc__
    return run


def _check_options(task: Task) -> None:
    """Refuse what Celery would take without a word: a task accepts any attribute."""
    base = task.options.get("base", CeleryTask)
    for option in task.options:
        if option in OWN_OPTIONS:
            raise InvalidReceiverError(
                task.name,
                f"has the Celery option {option!r}",
                f"Leave it out: {OWN_OPTIONS[option]}.",
            )
        known = option in PUBLISH_OPTIONS | AUTORETRY_OPTIONS | {"base"} or hasattr(base, option)
        if not known:
            raise InvalidReceiverError(
                task.name,
                f"has the option {option!r}, which a Celery task does not have",
                "Correct its name; options go to Celery as they are (autoretry_for, rate_limit, "
                "countdown, queue, ...).",
            )


def _check_app(app: Celery) -> list[CheckMessage]:
    if app.main is None or app.main == "default":
        return [
            CheckWarning(
                "Receivers are Celery tasks, but no Celery app is configured in this process.",
                hint="Import it in the project's __init__.py: from .celery import app as "
                "celery_app. Celery falls back to an app without settings, on localhost.",
                id="signals_plus.W002",
            )
        ]
    found: list[CheckMessage] = []
    driver = app.connection_for_write().get_transport_cls().driver_type
    if app.conf.task_always_eager or driver == "memory":
        what = "task_always_eager is on" if app.conf.task_always_eager else "its broker is memory"
        found.append(
            CheckWarning(
                f"Receivers are tasks of the Celery app {app.main!r}, but {what}: they run "
                "inside the request, or in no worker at all.",
                hint="Use a real broker outside of DEBUG and tests.",
                id="signals_plus.W003",
            )
        )
    options = app.conf.broker_transport_options
    if driver == "redis" and SOCKET_TIMEOUTS["redis"][1] not in options:
        found.append(
            CheckWarning(
                f"The Redis broker of the Celery app {app.main!r} has no socket timeout: a "
                "delay() of yours waits for ever for a Redis that does not answer.",
                hint='Set broker_transport_options = {"socket_timeout": 5, '
                '"socket_connect_timeout": 5}. Receivers are not concerned: they publish '
                "with timeouts of their own.",
                id="signals_plus.W004",
            )
        )
    return found
