"""What has to be said to each database, and what most of them understand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Row = tuple[Any, ...]

# The columns that a new message brings; it is due so many seconds from now. And those that begin
# alike for all.
BROUGHT = ("message_id", "receiver", "payload", "trace", "effect", "ordering_key", "due_at")
BEGINNINGS, BEGINS = "status, attempts, claimed_by, last_error", "0, 0, '', ''"


class Claim(NamedTuple):
    """Which due messages to change, how, and what to return of them: SQL, with its parameters."""

    condition: str
    names: Sequence[str]
    change: str
    values: Row
    columns: str
    limit: int


class Dialect(ABC):
    """What is said to one kind of database, about one table."""

    now: str
    #: Expressions of seconds, which are a parameter.
    later: str
    #: Seconds since a message was written.
    age: str
    #: The time that is put off for as long as a message has been due, but by no less and no more
    #: than two parameters say.
    put_off: str
    #: A condition that is true, and lets a statement in autocommit not wait for the server's disk.
    without_disk: ClassVar[str] = "TRUE"
    #: That a row ``older`` is of the same receiver and key as a row ``m``.
    same_order: ClassVar[str] = (
        "older.receiver = m.receiver AND older.ordering_key = m.ordering_key"
    )

    def __init__(self, connection: BaseDatabaseWrapper, table: str) -> None:
        self.connection = connection
        self.table = table
        #: The id of the oldest message that has the key of a row ``m``, dead ones included.
        self.oldest = (
            f"(SELECT older.id FROM {table} older WHERE {self.same_order} "
            "ORDER BY older.receiver, older.ordering_key, older.id LIMIT 1)"
        )

    @classmethod
    def speaks_with(cls, connection: BaseDatabaseWrapper) -> bool:  # noqa: ARG003 - for others
        """Tell whether the server, or library, is one that understands all of it."""
        return True

    def text(self, value: str) -> str:
        """Return what a column of text takes."""
        return value

    def execute(self, sql: str, parameters: Any = ()) -> int:
        """Execute a statement; return how many rows it was about."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def query(self, sql: str, parameters: Any = ()) -> list[Row]:
        """Return the rows that a statement returns."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def insert(self, rows: Sequence[Row]) -> None:
        """Write rows of what is ``BROUGHT``."""
        row = f"({'%s, ' * (len(BROUGHT) - 1)}{self.later}, {self.later}, {self.now}, {BEGINS})"
        self.execute(
            f"INSERT INTO {self.table} ({', '.join(BROUGHT)}, due_since, created_at, {BEGINNINGS}) "
            f"VALUES {', '.join([row] * len(rows))}",
            [value for row in rows for value in (*row, row[-1])],
        )

    @abstractmethod
    def claim(self, claim: Claim) -> list[Row]:
        """Change due messages that nobody else is at, the oldest first, and return them."""

    def due(self, condition: str) -> str:
        """Query the ids of due messages that meet a condition; the last parameter: how many."""
        return (
            f"SELECT m.id FROM {self.table} m WHERE m.status = 0 AND m.due_at <= {self.now} "
            f"AND {condition} ORDER BY m.due_at, m.id LIMIT %s"
        )

    def lock(self, columns: str, message_id: Any, *, waits: bool) -> list[Row]:
        """Lock a pending message until the transaction ends; wait for who has it, or leave it."""
        return self.query(
            f"SELECT {columns} FROM {self.table} m WHERE m.message_id = %s AND m.status = 0 "
            f"FOR UPDATE{'' if waits else self.skip_locked}",
            (message_id,),
        )

    def unlocked(self, ids: Sequence[object]) -> Sequence[object]:
        """Lock the messages that nobody else has locked, and return their ids."""
        rows = self.query(
            f"SELECT message_id FROM {self.table} "
            f"WHERE message_id IN ({', '.join(['%s'] * len(ids))}) FOR UPDATE{self.skip_locked}",
            ids,
        )
        return [message_id for (message_id,) in rows]

    @property
    def skip_locked(self) -> str:
        """The clause, where the server knows it."""
        knows_it = self.connection.features.has_select_for_update_skip_locked
        return " SKIP LOCKED" if knows_it else ""

    @abstractmethod
    def take_turn(self, name: str, *, waits: bool) -> bool:
        """Have for the transaction what only one at a time may have; tell whether it was free."""

    def end_turn(self, name: str) -> None:
        """Let others have it, after the transaction. Most databases have done so by then."""

    @contextmanager
    def short_transaction(self) -> Iterator[None]:
        """Let the block be one transaction, which locks no more than what it has asked for."""
        with transaction.atomic(self.connection.alias):
            yield


def number_of(name: str) -> int:
    """Return a number of eight bytes that stands for a name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
