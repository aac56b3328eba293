"""The sending side: messages are written before the commit, and enqueued after it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, TypeGuard
from uuid import UUID, uuid4

from django.db import DatabaseError, InterfaceError

from .. import payloads
from ..backends.base import Refused, Task
from ..backends.handler import backends
from ..commit import Run, Writer
from ..conf import settings
from ..enqueuing import Message, report, written_chains
from ..observing import watching
from ..options import Options
from . import observing, traces
from .order import Order
from .rows import NewMessage
from .states import EFFECT
from .table import OutboxTable

logger = logging.getLogger("signals_plus")

# Messages that are enqueued before it is seen whether there is time for more, and before those
# that are done are deleted.
TOGETHER = 100


class Unwritten(NamedTuple):
    """A message that its transaction has not been given yet."""

    message: Message
    options: Options
    using: str


class Written(NamedTuple):
    """A message that is in the outbox, and what the queue is to be given for it.

    ``at``: when it was written, by this process's own clock. None: it waits for something else
    than the commit.
    """

    task: Task
    payload: str
    message_id: UUID
    using: str
    effect: bool
    is_ordered: bool
    at: float | None


class OutboxOutgoing(Writer):
    """Takes the messages of all durable receivers that share a backend."""

    merges = True
    overtakes = True

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def write(self, items: list[Unwritten | Written]) -> Run:
        return self, [*_written(items)]

    def deliver(self, items: list[Unwritten | Written]) -> None:
        """Enqueue them. What the queue refuses waits for the relay."""
        written = [*_written(items)]
        try:
            self.enqueue(written)
        except (DatabaseError, InterfaceError) as error:  # the commit stands
            logger.warning("%d messages are left to the relay: %s", len(written), error)
        for watcher in watching.watchers:
            watcher.written(written)

    def enqueue(self, written: Sequence[Written]) -> None:
        """Enqueue those whose time it is: the others, the relay may have by now."""
        for start in range(0, len(written), TOGETHER):
            self._enqueue_some(written[start : start + TOGETHER])

    def _enqueue_some(self, written: Sequence[Written]) -> None:
        earliest = time.monotonic() - settings.outbox_grace / 2
        now = _in_turn([each for each in written if each.at is not None and each.at > earliest])
        if not now:
            return
        observing.enqueuing(now)
        backend = backends[self.alias]
        refused = backend.enqueue_many([(each.task, each.payload) for each in now])
        for each in refused:
            _log_refused(each)
            report(type(backend), each)
        payloads_refused = {each.payload for each in refused}
        taken = [each for each in now if each.payload not in payloads_refused]
        observing.enqueued(taken)
        for using, published in groupby(taken, key=lambda each: each.using):
            if ids := [each.message_id for each in published if not each.effect]:
                OutboxTable(using).delete(ids, may_return=True)


def reference(receiver: str, using: str, message_id: UUID) -> str:
    """Return what a queue is given for a message that stays in the outbox."""
    return (
        f'{{"v":{payloads.VERSION},"receiver":{encode_basestring_ascii(receiver)},'
        f'"message":"{message_id}","using":{encode_basestring_ascii(using)}}}'
    )


def woken(task: Task, using: str, message_id: UUID) -> Written:
    """Return a message that had to wait and is to be enqueued now."""
    given = reference(task.name, using, message_id)
    return Written(task, given, message_id, using, True, False, time.monotonic())


def outgoing(alias: str) -> OutboxOutgoing:
    """Return the one object that takes the messages for a backend."""
    return _outgoing.setdefault(alias, OutboxOutgoing(alias))


_outgoing: dict[str, OutboxOutgoing] = {}


def _written(items: Sequence[Unwritten | Written]) -> Iterator[Written]:
    """Write what has not been written, in one go, and yield all in order."""
    written = iter(_write([each for each in items if _is_unwritten(each)]))
    for each in items:
        yield next(written) if _is_unwritten(each) else each  # type: ignore[misc]


def _is_unwritten(item: Unwritten | Written) -> TypeGuard[Unwritten]:
    return isinstance(item, Unwritten)


def _write(items: Sequence[Unwritten]) -> list[Written]:
    if not items:
        return []
    trace = traces.current()
    grace, now = settings.outbox_grace, time.monotonic()
    chains = written_chains(item.message.chain for item in items)
    rows, written = [], []
    for (task, events, chain, key), options, using in items:
        message_id, effect = uuid4(), options.durable in EFFECT
        payload = payloads.compose(
            task.name, events, chains[id(chain)], message_id="" if effect else str(message_id)
        )
        delay = options.run_after.total_seconds() if options.run_after else 0
        rows.append(NewMessage(message_id, task.name, payload, trace, effect, key, delay or grace))
        given = reference(task.name, using, message_id) if effect else payload
        at = None if delay else now
        written.append(Written(task, given, message_id, using, effect, key is not None, at))
    OutboxTable(items[0].using).insert(rows)
    return written


def _in_turn(written: Sequence[Written]) -> list[Written]:
    """Leave out those that have to wait for another one with their key."""
    ordered = [each.message_id for each in written if each.is_ordered]
    if not ordered:
        return [*written]
    # Asked after the commit: whoever does the one before asks after that what comes next.
    first = Order(OutboxTable(written[0].using)).in_turn(ordered)
    return [each for each in written if not each.is_ordered or each.message_id in first]


def _log_refused(refused: Refused) -> None:
    logger.warning(
        "Task %s was not enqueued and waits in the outbox: %s",
        refused.task.name,
        refused.error,
    )
