"""Write Django-Q2's messages where its clusters find them.

# Note [Writing messages ourselves]
``async_task()`` makes a broker for each task, and what those do is not for a request that has
just committed:

- The ORM broker calls ``close_old_connections()`` wherever no transaction is open. With Django's
  default, ``CONN_MAX_AGE = 0``, that closes the connection that the request goes on with
  (temporary tables, session settings, open cursors), and it drops what a connection in manual
  transaction management has not committed.
- The Redis broker connects for each task anew, with redis-py's limits: 20 seconds and more for a
  server that does not answer, or no end at all.

So ``async_task()`` still makes the message, as it makes all others. It is given a broker that
only keeps it, and the messages of one commit are written together.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ

from .base import Task

# What is written in one go: messages, characters.
MAX_TOGETHER = 100
MAX_TEXT = 1_000_000


class Message(NamedTuple):
    """A payload, and what Django-Q2 has made of it for a cluster."""

    task: Task
    payload: str
    cluster: str
    signed: str


class Broker(ABC):
    """Where the messages of all clusters are written."""

    #: How many messages are written in one go.
    max_together = MAX_TOGETHER
    #: After a failure nobody asks it again for a while.
    has_turns = True
    #: A message can wait there until its time has come.
    can_wait = False
    #: It forgets what its server has not written to its disk.
    is_redis = False
    #: It hands out again what was not acknowledged; None: that depends on the project.
    repeats: bool | None = False
    #: Django-Q2's own that have rows for each task. Task, with its proxies, whichever the broker:
    #: it is what has become of one.
    models: Sequence[str] = ("Task",)

    @abstractmethod
    def write(self, messages: Sequence[Message]) -> None:
        """Write messages of one cluster: all of them, or none and raise."""

    @abstractmethod
    def prepare(self) -> None:
        """Raise what nothing can be written for, whether its server is there or not."""

    @abstractmethod
    def is_failure(self, error: Exception) -> bool:
        """Tell a broker that cannot be reached from one that objects."""

    def parts(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """Yield what is written in one go."""
        for _, group in groupby(messages, lambda message: message.cluster):
            part: list[Message] = []
            text = 0
            for message in group:
                text += len(message.signed)
                if part and (len(part) == self.max_together or text > MAX_TEXT):
                    yield part
                    part, text = [], len(message.signed)
                part.append(message)
            yield part


class OrmBroker(Broker):
    """Rows of ``OrmQ``. ``joins``: they share the fate of the transaction that they are part of."""

    # It is a database of the project, with the time limits of its own connection.
    has_turns = False
    can_wait = True
    repeats = True
    models = ("Task", "OrmQ")

    def __init__(self, alias: str, *, joins: bool) -> None:
        self.alias = alias
        self._joins = joins

    def prepare(self) -> None:
        connections[self.alias]

    def write(self, messages: Sequence[Message]) -> None:
        now = timezone.now()
        rows = [
            # No cluster takes a row before its lock ends.
            OrmQ(
                key=message.cluster,
                payload=message.signed,
                lock=now + (message.task.run_after or timedelta()),
            )
            for message in messages
        ]
        # Should it fail: a transaction that the rows belong to must not commit, and one that
        # just happens to be open must not be broken.
        with transaction.atomic(using=self.alias, savepoint=not self._joins):
            OrmQ.objects.using(self.alias).bulk_create(rows)

    def is_failure(self, error: Exception) -> bool:
        return isinstance(error, InterfaceError | OperationalError)


class LibraryBroker(Broker):
    """A broker that only Django-Q2 knows: SQS, MongoDB, IronMQ or a class of the project."""

    max_together = 1

    def __init__(self, timeout: float, *, repeats: bool | None) -> None:
        self.repeats = repeats
        self._timeout = timeout

    def prepare(self) -> None:
        if Conf.BROKER_CLASS:
            import_string(Conf.BROKER_CLASS)

    def write(self, messages: Sequence[Message]) -> None:
        started = time.monotonic()
        try:
            for message in messages:
                get_broker(message.cluster).enqueue(message.signed)
        except Exception as error:
            if time.monotonic() - started > self._timeout:
                raise _SlowError(error) from error
            raise

    def is_failure(self, error: Exception) -> bool:
        # Each has errors of its own. One that objects does not take long to say so.
        return isinstance(error, _SlowError)


class _SlowError(Exception):
    """It failed only after more than the time that it has."""
