"""Enqueue again what was not done in time."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, connections
from django.utils.functional import partition

from ..backends.handler import backends
from ..conf import settings
from ..registry import registry
from . import observing, traces
from .deliveries import BATCH, Delivery, blocks_others, deliveries, fail, in_turn, release, together
from .outages import Outages, QueueOutages
from .rows import StoredMessage
from .states import RELAYING
from .table import OutboxTable

logger = logging.getLogger("signals_plus")


class Relay:
    """Claims due messages in the outboxes of some databases, and hands them to their queues.

    Several may run, in as many processes as you like: no two have a message at a time.

    Args:
        aliases: The databases, each of which has an outbox.
        poll: Seconds to wait when nothing is due.
        clock: As ``time.monotonic``.
        wait: As ``time.sleep``. None: a wait that ``stop`` ends, called from another thread; a
            signal's handler could find the lock of that taken.
    """

    def __init__(
        self,
        aliases: Sequence[str],
        *,
        poll: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.aliases = tuple(aliases)
        # Of this process's start: host names and process ids come again.
        self.name = f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid4().hex[:8]}"
        self._poll = poll
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._databases = Outages("Database", clock)
        self._queues = QueueOutages(clock)
        self._clock = clock
        self._claims = 0
        # For each database, when to look for suspects though there is more to do.
        self._suspects_at: dict[str, float] = {}
        #: How many messages it has enqueued.
        self.enqueued = 0

    @property
    def unusable(self) -> list[str]:
        """What could not be used when it was last tried: databases, backends, some queues."""
        return [*self._databases, *self._queues]

    def run(self) -> None:
        """Relay until ``stop`` is called."""
        while not self._stopping.is_set():
            claims = self._claims
            self.run_once()
            # What could not be enqueued holds up nothing that is behind it.
            if self._claims == claims:
                self._wait(self._poll)

    def stop(self) -> None:
        """End soon: what is claimed and not enqueued is given back. For a signal's handler."""
        self._stopping.set()

    def drain(self, *, seconds: float = math.inf) -> None:
        """Relay until nothing is due, or so many seconds have passed.

        What is due and waits for what is ``unusable`` is left.
        """
        until = self._clock() + seconds
        while not self._stopping.is_set() and self._clock() < until:
            claims = self._claims
            self.run_once()
            if self._claims == claims:
                break

    def run_once(self) -> int:
        """Relay one batch of each database; return how many messages were enqueued."""
        enqueued = sum(self._relay_some_of(using) for using in self.aliases)
        self.enqueued += enqueued
        return enqueued

    def _relay_some_of(self, using: str) -> int:
        if self._databases.is_pausing(using):
            return 0
        try:
            enqueued = self._relay(OutboxTable(using))
        except (DatabaseError, InterfaceError) as error:
            connections[using].close()
            self._databases.note(using, error)
            return 0
        self._databases.end(using)
        return enqueued

    def _relay(self, table: OutboxTable) -> int:
        token = f"{RELAYING}{self.name}:{uuid4().hex[:8]}"
        claimed, enqueued = self._relay_claimed(table, token, BATCH)
        if claimed == BATCH and self._clock() < self._suspects_at.get(table.using, 0):
            return enqueued
        # One that has ended a process would take the others of its batch along.
        for _ in range(BATCH):
            started = self._clock()
            suspects, taken = self._relay_claimed(table, token, 1, suspects=True)
            enqueued += taken
            if not suspects:
                # To find none, all that is due has been read: that may take a tenth of the time.
                now = self._clock()
                self._suspects_at[table.using] = now + 9 * (now - started)
                break
        return enqueued

    def _relay_claimed(
        self, table: OutboxTable, token: str, limit: int, *, suspects: bool = False
    ) -> tuple[int, int]:
        """Return how many could be claimed, and how many of these were enqueued."""
        if self._stopping.is_set():
            return 0, 0
        # Those of a queue that is down would take the places of others.
        waiting = [
            each.name
            for each in registry
            if self._queues.is_pausing(each.options.backend, of=each.name)
        ]
        grace = settings.outbox_grace
        until = self._clock() + grace
        claimed = table.claim(token, limit, grace=grace, suspects=suspects, without=waiting)
        self._claims += len(claimed)
        some = in_turn(table, token, claimed, suspects=suspects)
        return len(claimed), self._enqueue(table, token, some, until=until, suspects=suspects)

    def _enqueue(
        self,
        table: OutboxTable,
        token: str,
        claimed: Sequence[StoredMessage],
        *,
        until: float,
        suspects: bool,
    ) -> int:
        """Enqueue what nobody else can claim ``until`` then; return how many that were."""
        prepared = [*deliveries(table, claimed, suspects=suspects)]
        done = enqueued = 0
        for some in together(prepared):
            # The first ones in any case: it may be a database that takes so long.
            if self._stopping.is_set() or (done and self._clock() > until):
                release(table, token, prepared[done:], wait=0)
                break
            free, pausing = partition(self._is_pausing, some)  # by now
            release(table, token, pausing, wait=0)
            if free:
                enqueued += self._enqueue_together(table, token, free)
            done += len(some)
        return enqueued

    def _is_pausing(self, delivery: Delivery) -> bool:
        return self._queues.is_pausing(delivery.backend, of=delivery.task.name)

    def _enqueue_together(self, table: OutboxTable, token: str, some: Sequence[Delivery]) -> int:
        alias = some[0].backend
        observing.enqueuing(some)
        with traces.continued(some[0].message.trace):
            refused = backends[alias].enqueue_many([(each.task, each.payload) for each in some])
        errors = {each.payload: each for each in refused}
        taken = [each for each in some if each.payload not in errors]
        table.delete((each.message_id for each in taken if each.is_last), may_return=True)
        table.sent(token, [each.message_id for each in taken if not each.is_last])
        observing.enqueued(taken)
        left = []
        for each in some:
            refusal = errors.get(each.payload)
            if refusal is None:
                continue
            if refusal.is_objection:
                fail(
                    table, each.message, refusal.error,
                    is_counted=each.is_counted, blocks=blocks_others(each.task.name),
                )  # fmt: skip
            else:
                left.append(each)
        pause = self._queues.note(
            alias,
            took={each.task.name for each in taken},
            refused={each.task.name: errors[each.payload] for each in left},
        )
        # When it is over, those behind them are asked for first.
        release(table, token, left, wait=2 * pause)
        return len(taken)
