"""RQ, through django-rq: each event is a job that carries its receiver's name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from redis import Redis
from rq.serializers import DefaultSerializer

from ..exceptions import BackendError, InvalidReceiverError, SettingsError
from ._publishing import is_duration
from ._rq_publishing import Message, Publisher, open_pipeline, open_queue, put
from .base import BaseBackend, Refused, Task

# What does not concern the connection: queues that differ in nothing else share it.
OF_THE_QUEUE = frozenset(
    {"DEFAULT_RESULT_TTL", "DEFAULT_TIMEOUT", "QUEUE_CLASS", "SERIALIZER"},
)


class RQBackend(BaseBackend):
    """Run task receivers in the workers of RQ, which take from the queues of ``RQ_QUEUES``.

    ``OPTIONS``:

    - ``queue_name`` (default ``"default"``): the queue of receivers that name none.
    - ``publish_timeout``, seconds (default 1.0): how long one step of publishing, to connect, to
      write or to wait for an answer, may take. A request waits for at most two such steps for a
      Redis that does not answer, and one more for each Sentinel. Looking up the host name is not
      covered: no Python program can bound it.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_retries = True
    option_names = frozenset(
        {
            "at_front", "failure_ttl", "job_timeout", "meta", "on_failure", "on_stopped",
            "on_success", "result_ttl", "retry", "ttl",
        }
    )  # fmt: skip

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.queue_name = options.get("queue_name", "default")
        self.publish_timeout = options.get("publish_timeout", 1.0)
        if unknown := set(options) - {"queue_name", "publish_timeout"}:
            raise self._settings_error(f"unknown options: {', '.join(sorted(unknown))}")
        if not is_duration(self.publish_timeout):
            raise self._settings_error(
                f"publish_timeout={self.publish_timeout!r}, which is no number of seconds above 0"
            )
        self._used: set[str] = set()
        # By process too: a forked child has neither its parent's connections nor its locks.
        self._publishers: list[tuple[int, Mapping[str, Any], Publisher]] = []

    def register(self, task: Task) -> None:
        queue_name = self._queue_name(task)
        queues = _queues()
        if queue_name not in queues:
            known = ", ".join(sorted(queues)) or "none"
            raise InvalidReceiverError(
                task.name,
                f"goes to the queue {queue_name!r}, which is not in RQ_QUEUES",
                f"Add it there, or name another queue_name=. There are: {known}.",
            )
        _refuse_wrong_options(queue_name, task)
        self._used.add(queue_name)
        super().register(task)

    def enqueue(self, task: Task, payload: str) -> None:
        for refused in self.enqueue_many([(task, payload)]):
            raise refused.error

    def enqueue_many(self, messages: Sequence[Message]) -> list[Refused]:
        by_queue: dict[str, list[Message]] = {}
        for message in messages:
            by_queue.setdefault(self._queue_name(message[0]), []).append(message)
        return [
            self._refused(message, error)
            for queue_name, those in by_queue.items()
            for message, error in zip(those, self._publish(queue_name, those), strict=True)
            if error is not None
        ]

    def check(self) -> list[CheckMessage]:
        """W008 always, since a change fails the jobs that wait. W009 outside of DEBUG."""
        found: list[CheckMessage] = []
        queues = _queues()
        for name in sorted(self._used & queues.keys()):
            queue = open_queue(name, Redis())
            if queue.serializer is DefaultSerializer:
                found.append(_pickle_warning(name))
            if not queue.is_async and not django_settings.DEBUG:
                found.append(_at_once_warning(name))
        return found

    def close(self) -> None:
        for pid, _, publisher in self._publishers:
            if pid == os.getpid():
                publisher.close()
        self._publishers.clear()

    def _queue_name(self, task: Task) -> str:
        return task.queue_name or self.queue_name

    def _publish(self, queue_name: str, messages: Sequence[Message]) -> list[Exception | None]:
        try:
            publisher = self._publisher(_queues()[queue_name])
        except Exception as error:  # noqa: BLE001 - an entry that django-rq cannot use
            return [error] * len(messages)
        return publisher.publish(queue_name, messages)

    def _publisher(self, config: Mapping[str, Any]) -> Publisher:
        key = {name: value for name, value in config.items() if name not in OF_THE_QUEUE}
        for pid, known, publisher in self._publishers:
            if pid == os.getpid() and known == key:
                return publisher
        publisher = Publisher(key, self.publish_timeout)
        self._publishers.append((os.getpid(), key, publisher))
        return publisher

    def _refused(self, message: Message, cause: Exception) -> Refused:
        # redis-py's own repr() leaves out what it says.
        error = BackendError(self.alias, f"could not publish: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
        return Refused(*message, error)

    def _settings_error(self, problem: str) -> SettingsError:
        return SettingsError(
            "SIGNALS_PLUS_BACKENDS",
            f"gives {self.alias!r} {problem}. It takes publish_timeout and queue_name.",
        )


def _queues() -> Mapping[str, Mapping[str, Any]]:
    return getattr(django_settings, "RQ_QUEUES", None) or {}


def _refuse_wrong_options(queue_name: str, task: Task) -> None:
    """Raise if RQ could not make a job: else it would be found out after the commit."""
    queue = open_pipeline(queue_name, Redis(), (5, 0, 0))  # never executed: nobody is asked
    # One that is scheduled, since a queue whose ASYNC is off would run it.
    job = task._replace(run_after=timedelta())
    try:
        put(queue, job, "", queue.connection)
    except Exception as error:  # whatever RQ, or the project's own queue class, makes of them
        raise InvalidReceiverError(
            task.name,
            f"has options of which RQ cannot make a job: {error!r}",
            "Give retry= a rq.Retry, on_failure= and the like a rq.Callback, and meta= what the "
            "queue's serializer can write.",
        ) from error


def _pickle_warning(queue_name: str) -> CheckWarning:
    return CheckWarning(
        f"The jobs of the RQ queue {queue_name!r} are read with pickle: whoever can write to its "
        "Redis runs code wherever a job is read, in workers and in the admin.",
        hint=f'Set RQ_QUEUES[{queue_name!r}]["SERIALIZER"] = "rq.serializers.JSONSerializer", and '
        "start all its workers with --serializer rq.serializers.JSONSerializer. Let the queue run "
        "empty before: jobs written the other way fail.",
        id="signals_plus.W008",
    )


def _at_once_warning(queue_name: str) -> CheckWarning:
    return CheckWarning(
        f"Receivers are jobs of the RQ queue {queue_name!r}, but its ASYNC is off: they run inside "
        "the request, and in no worker.",
        hint="Leave ASYNC out of its RQ_QUEUES outside of DEBUG and tests.",
        id="signals_plus.W009",
    )
