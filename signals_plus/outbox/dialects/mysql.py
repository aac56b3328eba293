"""MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings as django_settings
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from ..states import MAX_WAIT
from .base import Claim, Dialect, Row, number_of


class MySQL(Dialect):
    """Nothing is returned from an UPDATE, and locks by name are the connection's."""

    def __init__(self, connection: BaseDatabaseWrapper, table: str) -> None:
        super().__init__(connection, table)
        # As Django keeps its times there.
        self.now = "UTC_TIMESTAMP(6)" if django_settings.USE_TZ else "CURRENT_TIMESTAMP(6)"
        self.later = f"TIMESTAMPADD(MICROSECOND, %s * 1000000, {self.now})"
        self.age = f"TIMESTAMPDIFF(MICROSECOND, created_at, {self.now}) / 1000000"
        self.put_off = (
            "TIMESTAMPADD(MICROSECOND, "
            f"LEAST(GREATEST(TIMESTAMPDIFF(MICROSECOND, due_since, {self.now}), %s * 1000000), "
            f"%s * 1000000), {self.now})"
        )

    def text(self, value: str) -> str:
        # Its "utf8" had three bytes for a character, and older databases have it still.
        return "".join(
            each if each <= "\uffff" else each.encode("unicode_escape").decode() for each in value
        )

    def claim(self, claim: Claim) -> list[Row]:
        with self.short_transaction():
            due = self.query(
                f"{self.due(claim.condition)} FOR UPDATE{self.skip_locked}",
                (*claim.names, claim.limit),
            )
            ids = [key for (key,) in due]
            if not ids:
                return []
            those = f"id IN ({', '.join(['%s'] * len(ids))})"
            self.execute(
                f"UPDATE {self.table} SET {claim.change} WHERE {those}", (*claim.values, *ids)
            )
            return self.query(f"SELECT {claim.columns} FROM {self.table} m WHERE {those}", ids)

    def take_turn(self, name: str, *, waits: bool) -> bool:
        seconds = MAX_WAIT if waits else 0
        return bool(self.query("SELECT GET_LOCK(%s, %s)", (self._lock(name), seconds))[0][0])

    def end_turn(self, name: str) -> None:
        # The server does it for a connection that is lost.
        with suppress(Error):
            self.query("SELECT RELEASE_LOCK(%s)", (self._lock(name),))

    def _lock(self, name: str) -> str:
        # One name for all databases of the server, of 64 characters at most.
        # The database holds names to be equal that differ in the spaces at their end.
        database = self.connection.settings_dict["NAME"]
        return f"signals_plus:{number_of(database + name.rstrip(' '))}"

    @contextmanager
    def short_transaction(self) -> Iterator[None]:
        self.connection.ensure_connection()
        # The driver is asked: a test case may say that none of its transactions is open.
        if self.connection.connection.get_autocommit():
            # With the gaps between rows locked, as by default, writers would wait for the relay.
            self.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        with super().short_transaction():
            yield
