"""The working side: a message is deleted together with what its receiver has written."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from ..conf import settings
from ..exceptions import described
from . import observing, traces
from .holding import holding
from .identity import doing
from .order import Order
from .rows import StoredMessage, storable
from .states import MAX_WAIT, RUNNING
from .table import OutboxTable

if TYPE_CHECKING:
    from .receiving import DurableReceiver

logger = logging.getLogger("signals_plus")

T = TypeVar("T")

# Seconds.
A_MOMENT = 0.1

ENDED_ITS_PROCESS = "The last attempt ended its process."


def backoff(attempts: int) -> float:
    """Return how many seconds to wait after so many attempts."""
    seconds: float = min(2.0 ** min(attempts, 20), MAX_WAIT)
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - so that not all come back at once


class Work:
    """One delivery of one message."""

    def __init__(self, receiver: DurableReceiver, using: str, message_id: UUID) -> None:
        self.receiver = receiver
        self.using = using
        self.message_id = message_id
        self.table = OutboxTable(using)
        self.order = Order(self.table)
        # The attempt that is under way: the message, and whether the row counts it already.
        self._message: StoredMessage | None = None
        self._is_counted = False
        self._token = f"{RUNNING}{uuid4().hex}"
        # What the transaction has that is in order with others.
        self._turn: StoredMessage | None = None
        # The transaction that is to commit has deleted it.
        self._is_deleted = False
        # A message that has no attempts left.
        self._exhausted: StoredMessage | None = None

    def run(self) -> None:
        """Do what the message is for, unless that is done or somebody else is at it.

        What the receiver raises is recorded, and raised for the queue to show.
        """
        work = self._run_atomic if self.receiver.options.atomic else self._run_held
        try:
            is_done = work()
        except Exception as error:
            if self._message is not None and self._was_committed():
                # What the receiver left to on_commit has failed.
                self._delivered(self._message)
            elif self._message is not None:
                self._record(self._message, error)
            raise
        if is_done and self._message is not None:
            self._delivered(self._message)
        elif self._exhausted is not None:
            self._bury(self._exhausted, ENDED_ITS_PROCESS, attempts=self._exhausted.attempts)

    def _delivered(self, message: StoredMessage) -> None:
        observing.delivered(self.receiver.function, self.receiver.name, self.message_id)
        self._enqueue_next(message)

    def _enqueue_next(self, message: StoredMessage) -> None:
        try:
            self._write(lambda: self.receiver.enqueue_next(self.using, message))
        except (DatabaseError, InterfaceError) as error:  # this one is done
            logger.warning("The message after %s is left to the relay: %s", self.message_id, error)

    def _was_committed(self) -> bool:
        """Tell whether the message is done, though something has raised."""
        if not self._is_deleted:
            return False
        try:
            return not self._write(lambda: self.table.has(self.message_id))
        except (DatabaseError, InterfaceError):
            return False

    def _run_atomic(self) -> bool:
        """Run the receiver and delete the message in one transaction."""
        with self._transaction():
            message = self._take()
            if message is None:
                return False
            if not message.claimed_by or self._is_counted:
                self._message = message
                self._call(message)
                self._finish(message)
                self._is_deleted = True
                return True
            # A relay has had it: an earlier delivery may have ended the process that ran it. This
            # attempt counts, whatever becomes of it.
            self._hold()
        return self._run_atomic()

    def _run_held(self) -> bool:
        """Run the receiver outside of a transaction, and delete the message then."""
        with self._transaction(is_short=True):
            message = self._take()
            if message is None:
                return False
            self._hold()
        self._message = message._replace(attempts=message.attempts + 1, claimed_by=self._token)
        with holding(self.using, self.message_id, self._token):
            self._call(message)
        self._write(lambda: self._finish(message))
        return True

    @contextmanager
    def _transaction(self, *, is_short: bool = False) -> Iterator[None]:
        try:
            short = self.table.dialect.short_transaction
            with short() if is_short else transaction.atomic(self.using):
                yield
        finally:
            if self._turn is not None:
                self.order.end_turn(self._turn)
                self._turn = None

    def _finish(self, message: StoredMessage) -> None:
        with transaction.atomic(self.using, savepoint=False):
            self.table.delete([self.message_id])
            self._let_next_be_due(message)

    def _let_next_be_due(self, message: StoredMessage) -> None:
        """Let the relay look at the next one with its key soon, should this process end now."""
        if message.ordering_key is not None:
            grace = settings.outbox_grace
            self.order.wake_next(message.receiver, message.ordering_key, wait=grace)

    def _hold(self) -> None:
        """Count the attempt, and keep copies off until it has begun."""
        self.table.hold(self.message_id, self._token, seconds=settings.outbox_grace)
        self._is_counted = True

    def _take(self) -> StoredMessage | None:
        """Lock the message, if it is to be done now."""
        # One that is held for this attempt is locked by others only to see that.
        message = self.table.lock(self.message_id, waits=self._is_counted)
        if message is None:
            # A relay locks it for a moment, to note that the queue has it.
            if self.table.is_relayed(self.message_id):
                time.sleep(A_MOMENT)
            message = self.table.lock(self.message_id)
        if message is None:
            logger.debug("Message %s is done, or somebody else is at it", self.message_id)
            return None
        if message.ordering_key is not None:
            self._turn = message
            if not self.order.take_turn(message, waits=self._is_counted):
                logger.debug("Message %s has to wait for another one", self.message_id)
                return None
        if self._is_counted:
            return message if message.claimed_by == self._token else None
        is_begun = message.claimed_by.startswith(RUNNING)
        has_failed = not message.claimed_by and message.attempts
        if (is_begun or has_failed) and not self.table.is_late(self.message_id):
            logger.debug("Message %s is about to be run, or tried again later", self.message_id)
            return None
        if message.attempts >= settings.outbox_max_attempts:
            self._exhausted = message
            return None
        return message

    def _call(self, message: StoredMessage) -> None:
        with traces.continued(message.trace), doing(self.message_id):
            self.receiver.do(message.payload)

    def _record(self, message: StoredMessage, error: Exception) -> None:
        attempts = message.attempts + (not self._is_counted)
        text = storable(described(error))
        try:
            if attempts >= settings.outbox_max_attempts:
                self._bury(message, text, attempts=attempts)
                return
            wait, counts = backoff(attempts), not self._is_counted
            self._write(lambda: self.table.fail(message, text, wait=wait, counts=counts))
        except (DatabaseError, InterfaceError):  # the message is as it was, and due some time
            logger.exception("The failure of task %s could not be recorded", self.receiver.name)
            return
        observing.failed(
            self.receiver.function, self.receiver.name, self.message_id,
            error=error, attempts=attempts,
        )  # fmt: skip

    def _bury(self, message: StoredMessage, error: str, *, attempts: int) -> None:
        blocks = self.receiver.options.on_dead == "block"

        def bury() -> bool:
            with transaction.atomic(self.using, savepoint=False):
                is_buried = self.table.bury(message, error, attempts=attempts, blocks=blocks)
                if is_buried and not blocks:
                    self._let_next_be_due(message)
                return is_buried

        if not self._write(bury):
            return
        observing.dead(
            self.receiver.function, self.receiver.name, self.message_id,
            error=error, attempts=attempts,
        )  # fmt: skip
        if not blocks:
            self._enqueue_next(message)

    def _write(self, write: Callable[[], T]) -> T:
        """Write, over a new connection if that of the receiver was lost while it ran."""
        connection = connections[self.using]
        before = connection.connection
        try:
            return write()
        except (OperationalError, InterfaceError):
            # Django has a new one by now, if the old one was lost within an atomic block.
            was_lost = (
                connection.connection is None
                or connection.connection is not before
                or not connection.is_usable()
            )
            if connection.in_atomic_block or not was_lost:
                raise
            if connection.connection is before:
                connection.close()
            return write()
