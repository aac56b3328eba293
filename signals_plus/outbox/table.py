"""The statements on the table: one method for each thing that can happen to a message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from uuid import UUID

from django.db import connections

from .dialects import Claim, dialect_of
from .rows import NewMessage, StoredMessage, places, portions, storable, stored
from .states import DEAD, MAX_WAIT, PENDING, RELAYING, SENT, TABLE

# A part of a statement, with its parameters.
Sql = tuple[str, tuple[object, ...]]

_COLUMNS = ", ".join(f"m.{name}" for name in StoredMessage._fields)


class OutboxTable:
    """The table in one database. Cheap to make: it holds no connection.

    Each method is one statement in a database's own way, and one short transaction if none is open.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection = connections[using]
        self.dialect = dialect_of(self.connection, TABLE)
        self.name = self.dialect.table

    def insert(self, messages: Sequence[NewMessage]) -> None:
        """Write messages, in this order."""
        for some in portions(messages):
            rows = [(self.id_of(message.message_id), *message[1:]) for message in some]
            self.dialect.insert(rows)

    def claim(
        self,
        token: str,
        limit: int,
        *,
        grace: float,
        suspects: bool = False,
        without: Sequence[str] = (),
    ) -> list[StoredMessage]:
        """Put off due messages, so that nobody else has them, and return them, oldest first.

        Not those of the receivers ``without`` which it is to be.

        Those that are done when the queue has them count it as an attempt. One that was attempted
        before, or claimed and not heard of again, may have ended the process that had it: these
        are the suspects, to be claimed alone, and that counts.
        """
        was_left = f"SUBSTR(claimed_by, 1, {len(RELAYING)}) = '{RELAYING}'"
        condition = f"(m.attempts > 0 AND NOT m.effect OR m.effect AND {was_left})"
        if not suspects:
            condition = f"NOT ({condition})"
        if without:
            condition += f" AND m.receiver NOT IN ({places(without)})"
        # In this order: MariaDB and MySQL see what was assigned before.
        change = (
            f"attempts = attempts + CASE WHEN effect AND NOT {was_left} THEN 0 ELSE 1 END, "
            f"due_at = {self.dialect.put_off}, claimed_by = %s"
        )
        rows = self.dialect.claim(
            Claim(condition, without, change, (grace, MAX_WAIT, token), f"m.id, {_COLUMNS}", limit)
        )
        return [stored(row[1:]) for row in sorted(rows)]

    def release(self, token: str, ids: Iterable[UUID], *, wait: float, is_counted: bool) -> None:
        """Give back what was claimed and not attempted, to be due in ``wait`` seconds.

        Not where a worker is at it by now, who might take long.
        """
        change = f"due_at = {self.dialect.later}, claimed_by = %s, attempts = attempts - %s"
        self.change(
            ids,
            (change, (wait, _sent(token), int(is_counted))),
            where=claimed_by(token),
            waits=False,
        )

    def sent(self, token: str, ids: Iterable[UUID]) -> None:
        """Note that a queue has what was claimed: it has ended no process.

        Not where a worker is at it by now, who might take long.
        """
        change = "claimed_by = %s"
        self.change(ids, (change, (_sent(token),)), where=claimed_by(token), waits=False)

    def fail(
        self,
        message: StoredMessage,
        error: str,
        *,
        wait: float,
        counts: bool,
        is_relayed: bool = False,
    ) -> None:
        """Put a message off by ``wait`` seconds, with its error and perhaps one more attempt.

        Not if somebody else has claimed it since. ``is_relayed``: no worker has failed, and one
        that has a copy may run it; nor is one waited for.
        """
        change = (
            f"due_at = {self.dialect.later}, claimed_by = %s, last_error = %s, "
            "attempts = attempts + %s"
        )
        left = _sent(message.claimed_by) if is_relayed else ""
        self.change(
            [message.message_id],
            (change, (wait, left, self._text(error), int(counts))),
            where=claimed_by(message.claimed_by),
            waits=not is_relayed,
        )

    def bury(
        self,
        message: StoredMessage,
        error: str,
        *,
        attempts: int,
        blocks: bool,
        waits: bool = True,
    ) -> bool:
        """Give a message up, unless it is dead or somebody else has claimed it since.

        True if it was given up. ``blocks``: those behind it wait on. ``waits``: as for ``change``.
        """
        order = "" if blocks else ", ordering_key = NULL"
        change = (
            f"status = {DEAD}, dead_at = {self.dialect.now}, attempts = %s, last_error = %s{order}"
        )
        changed = self.change(
            [message.message_id],
            (change, (attempts, self._text(error))),
            where=claimed_by(message.claimed_by),
            waits=waits,
        )
        return bool(changed)

    def lock(self, message_id: UUID, *, waits: bool = False) -> StoredMessage | None:
        """Lock a pending message until the transaction ends.

        None: it is done or dead, or somebody else is at it, for whom to wait or not.
        """
        rows = self.dialect.lock(_COLUMNS, self.id_of(message_id), waits=waits)
        return stored(rows[0]) if rows else None

    def is_relayed(self, message_id: UUID) -> bool:
        """Tell whether a relay has not noted yet that a queue has a message."""
        return bool(
            self.dialect.query(
                f"SELECT 1 FROM {self.name} WHERE message_id = %s AND status = {PENDING} "
                f"AND SUBSTR(claimed_by, 1, {len(RELAYING)}) = '{RELAYING}'",
                (self.id_of(message_id),),
            )
        )

    def hold(self, message_id: UUID, token: str, *, seconds: float) -> None:
        """Count an attempt, and keep the message for this long."""
        change = f"attempts = attempts + 1, claimed_by = %s, due_at = {self.dialect.later}"
        self.change([message_id], (change, (token, seconds)))

    def hold_on(self, message_id: UUID, token: str, *, seconds: float) -> None:
        """Keep it for longer, from now."""
        change = f"due_at = {self.dialect.later}"
        self.change([message_id], (change, (seconds,)), where=claimed_by(token))

    def has(self, message_id: UUID) -> bool:
        """Tell whether a message is not done."""
        return bool(
            self.dialect.query(
                f"SELECT 1 FROM {self.name} WHERE message_id = %s", (self.id_of(message_id),)
            )
        )

    def is_late(self, message_id: UUID) -> bool:
        """Tell whether the time is over for which a message was put off or held."""
        return bool(
            self.dialect.query(
                f"SELECT 1 FROM {self.name} WHERE message_id = %s AND due_at <= {self.dialect.now}",
                (self.id_of(message_id),),
            )
        )

    def delete(self, ids: Iterable[UUID], *, may_return: bool = False) -> None:
        """Take out messages that are done.

        ``may_return``: a crash of the server may bring back the last of them.
        """
        # In a transaction it would be all of that.
        is_alone = may_return and self.connection.get_autocommit()
        condition = self.dialect.without_disk if is_alone else "TRUE"
        for some in portions(list(ids)):
            self.dialect.execute(
                f"DELETE FROM {self.name} WHERE message_id IN ({places(some)}) AND {condition}",
                [self.id_of(each) for each in some],
            )

    def change(
        self,
        ids: Iterable[UUID],
        change: Sql,
        *,
        where: Sql = ("TRUE", ()),
        waits: bool = True,
    ) -> int:
        """Change pending messages; return how many.

        ``waits``: for who has locked one, who might take long; or leave it as it is.
        """
        setting, values = change
        condition, parameters = where
        changed = 0
        for some in portions(list(ids)):
            keys = [self.id_of(each) for each in some]
            with nullcontext() if waits else self.dialect.short_transaction():
                free = keys if waits else self.dialect.unlocked(keys)
                if free:
                    changed += self.dialect.execute(
                        f"UPDATE {self.name} SET {setting} WHERE status = {PENDING} "
                        f"AND message_id IN ({places(free)}) AND {condition}",
                        [*values, *free, *parameters],
                    )
        return changed

    def _text(self, error: str) -> str:
        return self.dialect.text(storable(error))

    def id_of(self, message_id: UUID) -> object:
        """Return an id as Django's UUIDField keeps it in the database."""
        return message_id if self.connection.features.has_native_uuid_field else message_id.hex


def claimed_by(token: str) -> Sql:
    """Say that nobody else has claimed it since."""
    return "claimed_by = %s", (token,)


def _sent(token: str) -> str:
    return SENT + token.removeprefix(RELAYING)
