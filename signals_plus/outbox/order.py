"""The statements about messages that have an ordering key: one at a time, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from .rows import StoredMessage, places, portions, uuid_of
from .states import PENDING, RUNNING
from .table import OutboxTable, claimed_by

_IS_HELD = f"SUBSTR(claimed_by, 1, {len(RUNNING)}) = '{RUNNING}'"


class Order:
    """The orders in one outbox."""

    def __init__(self, table: OutboxTable) -> None:
        self.table = table
        self.dialect = table.dialect

    def following(self, receiver: str, key: str) -> UUID | None:
        """Return the message that runs next, if nothing but its turn kept it back."""
        # In these words for the planner of PostgreSQL, as in the dialect.
        rows = self.dialect.query(
            f"SELECT message_id, status, attempts FROM {self.table.name} "
            "WHERE receiver = %s AND ordering_key BETWEEN %s AND %s "
            "ORDER BY receiver, ordering_key, id LIMIT 1",
            (receiver, key, key),
        )
        if not rows or rows[0][1] != PENDING or rows[0][2]:
            return None
        return uuid_of(rows[0][0])

    def wake_next(self, receiver: str, key: str, *, wait: float = 0) -> None:
        """Let the message that runs next be due in ``wait`` seconds."""
        following = self.following(receiver, key)
        if following is not None:
            change = f"due_at = {self.dialect.later}, due_since = {self.dialect.later}"
            self.table.change(
                [following], (change, (wait, wait)), where=(f"NOT {_IS_HELD}", ()), waits=False
            )

    def in_turn(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return those before which no other one with their key has to run, or is dead.

        All of them have a key.
        """
        return {
            uuid_of(message_id)
            for some in portions(ids)
            for (message_id,) in self.dialect.query(
                f"SELECT m.message_id FROM {self.table.name} m "
                f"WHERE m.message_id IN ({places(some)}) AND m.id = {self.dialect.oldest}",
                [self.table.id_of(each) for each in some],
            )
        }

    def let_wait(self, token: str, ids: Sequence[UUID], *, is_counted: bool) -> None:
        """Give back what was claimed, and has to wait for another one with its key.

        It stays put off: who does that one enqueues the next.
        """
        change = "claimed_by = '', attempts = attempts - %s"
        self.table.change(ids, (change, (int(is_counted),)), where=claimed_by(token), waits=False)

    def take_turn(self, message: StoredMessage, *, waits: bool) -> bool:
        """Have the turn of a message until the transaction ends.

        Tell whether it was free, none that is older has to run, and none is held by who runs it:
        a younger one may be, if its transaction was written later and committed earlier.
        """
        # Asked before as well: who has to wait must not have the turn when another one asks.
        if not self.in_turn([message.message_id]):
            return False
        if not self.dialect.take_turn(_name(message), waits=waits):
            return False
        if not self.in_turn([message.message_id]):
            return False
        return not self.dialect.query(
            f"SELECT 1 FROM {self.table.name} WHERE receiver = %s AND ordering_key = %s "
            f"AND message_id != %s AND {_IS_HELD} AND due_at > {self.dialect.now} LIMIT 1",
            (message.receiver, message.ordering_key, self.table.id_of(message.message_id)),
        )

    def end_turn(self, message: StoredMessage) -> None:
        """Let others have the turn, after the transaction."""
        self.dialect.end_turn(_name(message))


def _name(message: StoredMessage) -> str:
    return f"{message.receiver}:{message.ordering_key}"
