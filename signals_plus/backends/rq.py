"""RQ, through django-rq: each event is a job of its receiver's path."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from redis import Redis
from rq.serializers import DefaultSerializer
from rq.utils import import_attribute

from ..exceptions import BackendError, InvalidReceiverError, described
from . import _redis_checks, _rq_options
from ._options import Options
from ._paths import check_paths
from ._publishing import BrokerNotAskedError
from ._rq_publishing import FAILURES, Message, Objection, Outcome, Publisher, connect
from ._rq_queues import open_queue, takes_many
from ._unusable import unusable
from .base import BaseBackend, Refused, Task

# What does not concern the connection: queues that differ in nothing else share it.
OF_THE_QUEUE = frozenset(
    {"DEFAULT_RESULT_TTL", "DEFAULT_TIMEOUT", "QUEUE_CLASS", "SERIALIZER"},
)


class RQBackend(BaseBackend):
    """Run task receivers in the workers of RQ, which take from the queues of ``RQ_QUEUES``.

    ``OPTIONS``:

    - ``queue_name`` (default ``"default"``): the queue of receivers that name none.
    - ``publish_timeout``, seconds (default 1.0): how long a request waits for a Redis that does not
      answer. Half of that is for each step, over the connection that there is and over a new one;
      each Sentinel has a step more. Looking up the host name is not
      covered: no Python program can bound it.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_retries = True
    required_app = "django_rq"
    option_names = frozenset(
        {
            "at_front", "failure_ttl", "job_timeout", "meta", "on_failure", "on_stopped",
            "on_success", "result_ttl", "retry", "ttl",
        }
    )  # fmt: skip

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        given = Options(alias, options, "queue_name", "publish_timeout")
        self.queue_name = given.name("queue_name", default="default")
        self.publish_timeout = given.timeout("publish_timeout", default=1.0)
        self._used: set[str] = set()
        self._registered: dict[str, Task] = {}
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
        _rq_options.check(task, queue_name)
        self._used.add(queue_name)
        self._registered[task.name] = task
        super().register(task)

    def enqueue(self, task: Task, payload: str) -> None:
        for refused in self.enqueue_many([(task, payload)]):
            raise refused.error

    def enqueue_many(self, messages: Sequence[Message]) -> list[Refused]:
        by_queue: dict[str, list[Message]] = {}
        for message in messages:
            by_queue.setdefault(self._queue_name(message[0]), []).append(message)
        return [
            self._refused(message, outcome)
            for queue_name, those in by_queue.items()
            for message, outcome in zip(those, self._publish(queue_name, those), strict=True)
            if outcome is not None
        ]

    def check(self) -> list[CheckMessage]:
        """E009, W008 and W017 always: a change fails the jobs that wait. W009 outside of DEBUG."""
        found = check_paths(self._registered.values(), _rq_options.paths, import_attribute)
        queues = _queues()
        for name in sorted(self._used & queues.keys()):
            try:
                # Made, not connected.
                connect(queues[name], self.publish_timeout).connection_pool.make_connection()
                queue = open_queue(name, Redis())
            except Exception as error:  # noqa: BLE001 - of django-rq, a cache, the project's class
                hint = "Correct the entry: django-rq's README says what it may have."
                found.append(unusable(f"RQ_QUEUES[{name!r}]", error, hint))
                continue
            if queue.serializer is DefaultSerializer:
                found.append(_pickle_warning(name))
            if not queue.is_async and not django_settings.DEBUG:
                found.append(_at_once_warning(name))
        return found

    def check_publish(self, names: Sequence[str]) -> list[CheckMessage]:
        return _redis_checks.check_publish(self.alias, names)

    def close(self) -> None:
        for pid, _, publisher in self._publishers:
            if pid == os.getpid():
                publisher.close()
        self._publishers.clear()

    def _queue_name(self, task: Task) -> str:
        return task.queue_name or self.queue_name

    def _publish(self, queue_name: str, messages: Sequence[Message]) -> Sequence[Outcome]:
        try:
            publisher = self._publisher(_queues()[queue_name])
            together = takes_many(queue_name)
        except Exception as error:  # noqa: BLE001 - an entry that django-rq cannot use
            return [error] * len(messages)
        return publisher.publish(queue_name, messages, together=together)

    def _publisher(self, config: Mapping[str, Any]) -> Publisher:
        key = {name: value for name, value in config.items() if name not in OF_THE_QUEUE}
        for pid, known, publisher in self._publishers:
            if pid == os.getpid() and known == key:
                return publisher
        publisher = Publisher(key, self.publish_timeout)
        self._publishers.append((os.getpid(), key, publisher))
        return publisher

    def _refused(self, message: Message, outcome: Exception | Objection) -> Refused:
        is_objection = isinstance(outcome, Objection)
        cause = outcome.error if isinstance(outcome, Objection) else outcome
        error = BackendError(self.alias, f"could not publish: {described(cause)}")
        error.__cause__ = cause
        is_of_queue = not is_objection and not isinstance(cause, (*FAILURES, BrokerNotAskedError))
        return Refused(*message, error, is_objection, is_of_queue)


def _queues() -> Mapping[str, Mapping[str, Any]]:
    return getattr(django_settings, "RQ_QUEUES", None) or {}


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
