"""Celery: each task receiver is a shared task of its own, under its own name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from typing import Any

from celery import Celery, _state, current_app, shared_task
from celery import Task as CeleryTask
from django.core.checks import CheckMessage

from ..exceptions import BackendError, InvalidReceiverError, described
from . import _celery_checks, _celery_conf, _celery_options
from ._at_once import run_all
from ._celery_messages import Message, Target
from ._celery_publishing import Publisher
from ._options import Options
from .base import BaseBackend, Refused, Task

# The receiver that a name stands for now. Celery's own registry is per process too, and keeps the
# first function that it is given for a name: that one looks here for what to run.
_newest: dict[str, Task] = {}


class CeleryBackend(BaseBackend):
    """Run task receivers in Celery workers.

    Each is a shared task, so that it belongs to the project's app, whichever that is.

    ``OPTIONS``: ``publish_timeout``, seconds (default 1.0): how long a request waits for a broker
    that does not answer. Half of that is for each step, over the connection that there is and over
    a new one; each further broker of a failover list has a step more. Looking up the broker's host
    name is not covered: no Python program can bound it. Brokers other than Redis and AMQP have the
    time limits of their own client.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_priority = True
    supports_retries = True
    option_names = None

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        given = Options(alias, options, "publish_timeout")
        self.publish_timeout = given.timeout("publish_timeout", default=1.0)
        # By process too: a connection must not be shared with a forked child.
        self._publishers: dict[tuple[int, Celery], Publisher] = {}
        self._registered: dict[str, Task] = {}

    def register(self, task: Task) -> None:
        if _newest.get(task.name) is not task:
            self._tell_celery(task)
        self._registered[task.name] = task

    def _tell_celery(self, task: Task) -> None:
        known = _newest.get(task.name)
        app = _app()
        _celery_options.check(task, app.Task if app is not None else CeleryTask)
        is_finalized = app is not None and app.finalized
        if is_finalized:
            _refuse_foreign_task(task, current_app.tasks.get(task.name))
        attributes = _celery_options.attributes(task)
        if known is None:
            shared_task(_body(task), name=task.name, **attributes)
        elif _celery_options.attributes(known) != attributes and is_finalized:
            # The receiver's module was imported again, with other options.
            current_app.tasks.pop(task.name)
            current_app.task(name=task.name, shared=False, lazy=False, **attributes)(_body(task))
        _newest[task.name] = task

    def validate_task(self, task: Task) -> None:
        if self._validated.get(task.name) is not task:
            self.register(task)
            _refuse_foreign_task(task, current_app.tasks.get(task.name))
            _celery_conf.refuse(task, current_app)
            self._validated[task.name] = task

    def enqueue(self, task: Task, payload: str) -> None:
        if current_app.conf.task_always_eager:
            # With task_eager_propagates the receiver's own errors come from here.
            options = _celery_options.for_publishing(task)
            current_app.tasks[task.name].apply_async((payload,), **options)
            return
        for refused in self._publish([(task, payload)]):
            raise refused.error

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        if current_app.conf.task_always_eager:
            run_all(messages, self.enqueue)
            return []
        return self._publish(messages)

    def check(self) -> list[CheckMessage]:
        return _celery_checks.check_app(_app(), self._registered.values())

    def check_publish(self, names: Sequence[str]) -> list[CheckMessage]:
        app = _app()
        return [] if app is None else _celery_checks.check_publish(app, self.alias, names)

    def close(self) -> None:
        for (pid, _), publisher in list(self._publishers.items()):
            if pid == os.getpid():
                publisher.close()
        self._publishers.clear()

    def _publish(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        refused, outgoing = [], []
        targets = {
            name: self._target(task) for name, task in {t.name: t for t, _ in messages}.items()
        }
        for task, payload in messages:
            target = targets[task.name]
            if isinstance(target, Target):
                outgoing.append(Message(target, payload))
            else:
                is_of_queue = isinstance(target, InvalidReceiverError)
                error = self._error(target)
                refused.append(Refused(task, payload, error, is_of_queue=is_of_queue))
        if outgoing:
            self._publisher(outgoing[0].target.celery_task.app).publish(outgoing)
        return refused + [
            Refused(
                each.target.task,
                each.payload,
                self._error(each.error),
                is_objection=each.is_objection,
                is_of_queue=each.is_of_queue,
            )
            for each in outgoing
            if each.error is not None
        ]

    def _target(self, task: Task) -> Target | Exception:
        try:
            self.register(task)
            celery_task = current_app.tasks[task.name]
            _refuse_foreign_task(task, celery_task)
            return Target(task, celery_task, _celery_options.for_publishing(task))
        except Exception as error:  # noqa: BLE001 - the app's own, which may be made only now
            return error

    def _error(self, cause: Exception) -> BackendError:
        error = BackendError(self.alias, f"could not publish: {described(cause)}")
        error.__cause__ = cause
        return error

    def _publisher(self, app: Celery) -> Publisher:
        key = (os.getpid(), app)
        if key not in self._publishers:
            self._publishers.setdefault(key, Publisher(app, self.publish_timeout))
        return self._publishers[key]


def _app() -> Celery | None:
    """Return the project's app, if it has been made.

    Not ``current_app``: where there is none, that makes an app without settings the default of
    all threads, and the project's own, made later, would be used by the thread that made it alone.
    """
    app: Celery | None = getattr(_state._tls, "current_app", None) or _state.default_app
    return app


def _body(task: Task) -> Callable[[str], None]:
    """Return the body of the Celery task, which carries the receiver's name and docstring."""
    name = task.name

    def run(payload: str) -> None:
        _newest[name].run(payload)

    # Celery writes the source of a function with this name; a task's name may be any text.
    last = name.rpartition(".")[2]
    if last.isidentifier() and not iskeyword(last):
        run.__name__ = run.__qualname__ = last
    run.__module__ = getattr(task.function, "__module__", __name__)
    run.__doc__ = task.function.__doc__
    return run


def _refuse_foreign_task(task: Task, other: object) -> None:
    """Raise if the project has a Celery task of this name: Celery would run just one of the two.

    It can be seen only once the app is finalized; to ask an app for its tasks finalizes it, which
    is too early while Django starts.
    """
    if isinstance(other, CeleryTask) and not getattr(other, _celery_options.MARK, False):
        raise InvalidReceiverError(
            task.name,
            "has the name of a Celery task of the project, and Celery would run just one of them",
            "Give one of them another name=. If it is the same function, do not make it a Celery "
            "task as well: receiver_task does.",
        )
