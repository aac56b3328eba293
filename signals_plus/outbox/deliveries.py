"""What a relay hands to the queues, and what becomes of what it cannot hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from ..backends.base import Task
from ..conf import settings
from ..exceptions import PayloadError, UnknownReceiverError
from ..registry import registry
from . import observing, traces
from .order import Order
from .outgoing import reference
from .receiving import DurableReceiver
from .rows import StoredMessage, storable
from .table import OutboxTable
from .working import ENDED_ITS_PROCESS, backoff

BATCH = 100
# A relay that is killed has enqueued so many at most that it has not deleted.
PUBLISHED_TOGETHER = 10


class Delivery(NamedTuple):
    """A claimed message, and what its queue is to be given."""

    message: StoredMessage
    backend: str
    task: Task
    payload: str
    # Done when the queue has it.
    is_last: bool
    # The claim was an attempt.
    is_counted: bool

    @property
    def message_id(self) -> UUID:
        return self.message.message_id


def in_turn(
    table: OutboxTable, token: str, claimed: list[StoredMessage], *, suspects: bool
) -> list[StoredMessage]:
    """Return what does not have to wait for another one with its key; the rest is given back."""
    ordered = [each.message_id for each in claimed if each.ordering_key is not None]
    if not ordered:
        return claimed
    order = Order(table)
    first = order.in_turn(ordered)
    order.let_wait(token, [each for each in ordered if each not in first], is_counted=suspects)
    return [each for each in claimed if each.ordering_key is None or each.message_id in first]


def deliveries(
    table: OutboxTable, claimed: Iterable[StoredMessage], *, suspects: bool
) -> Iterator[Delivery]:
    """Yield what is to be enqueued; the rest is failed or buried."""
    for message in claimed:
        is_counted = suspects or not message.effect
        try:
            receiver = registry[message.receiver]
        except UnknownReceiverError as error:
            # Kept: the next release, or the last one, may know it.
            fail(table, message, error, is_counted=is_counted, blocks=True)
            continue
        is_last = not message.effect
        if not is_last and not isinstance(receiver, DurableReceiver):
            # Kept: as a plain task it would be done when the queue has it.
            fail(table, message, _not_durable(message), is_counted=is_counted, blocks=True)
            continue
        attempts = message.attempts - is_counted
        if attempts >= settings.outbox_max_attempts:
            _bury(
                table, message, receiver.function, ENDED_ITS_PROCESS,
                attempts=attempts, blocks=blocks_others(message.receiver),
            )  # fmt: skip
            continue
        task, backend = receiver.task, receiver.options.backend
        given = (
            message.payload if is_last else reference(task.name, table.using, message.message_id)
        )
        yield Delivery(message, backend, task, given, is_last, is_counted)


def _not_durable(message: StoredMessage) -> PayloadError:
    return PayloadError(
        message.receiver,
        "the message",
        "is durable, and it is not durable in this process",
        "Run relay and workers with the release that wrote the message, or let the receiver have "
        "durable=True until none is left.",
    )


def together(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Yield what is enqueued in one go: of one queue, for one trace, and few of what is deleted."""
    is_tracing = traces.is_tracing()
    for (_, _, is_last), group in groupby(
        deliveries,
        key=lambda each: (each.backend, each.message.trace if is_tracing else "", each.is_last),
    ):
        some = [*group]
        size = PUBLISHED_TOGETHER if is_last else BATCH
        for start in range(0, len(some), size):
            yield some[start : start + size]


def blocks_others(name: str) -> bool:
    """Tell whether a dead message of a receiver keeps back those that it is in order with."""
    return registry[name].options.on_dead == "block"


def release(table: OutboxTable, token: str, deliveries: Sequence[Delivery], *, wait: float) -> None:
    """Give back what was claimed and not attempted."""
    for is_counted in (False, True):
        ids = [each.message_id for each in deliveries if each.is_counted is is_counted]
        table.release(token, ids, wait=wait, is_counted=is_counted)


def fail(
    table: OutboxTable,
    message: StoredMessage,
    error: Exception,
    *,
    is_counted: bool,
    blocks: bool,
) -> None:
    """Put a message off with its error, or give it up."""
    attempts = min(message.attempts + (not is_counted), settings.outbox_max_attempts)
    function = (
        None if isinstance(error, UnknownReceiverError) else registry[message.receiver].function
    )
    if attempts >= settings.outbox_max_attempts:
        _bury(table, message, function, storable(str(error)), attempts=attempts, blocks=blocks)
        return
    wait = backoff(attempts)
    table.fail(message, str(error), wait=wait, counts=not is_counted, is_relayed=True)
    observing.failed(function, message.receiver, message.message_id, error=error, attempts=attempts)


def _bury(
    table: OutboxTable,
    message: StoredMessage,
    function: Callable[..., object] | None,
    error: str,
    *,
    attempts: int,
    blocks: bool = True,
) -> None:
    if table.bury(message, error, attempts=attempts, blocks=blocks, waits=False):
        observing.dead(
            function, message.receiver, message.message_id, error=error, attempts=attempts
        )
        if not blocks and message.ordering_key is not None:
            Order(table).wake_next(message.receiver, message.ordering_key)
