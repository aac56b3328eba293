"""SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings as django_settings
from django.db.backends.base.base import BaseDatabaseWrapper

from .base import Claim, Dialect, Row


class SQLite(Dialect):
    """One transaction that writes is alone."""

    def __init__(self, connection: BaseDatabaseWrapper, table: str) -> None:
        super().__init__(connection, table)
        local = "" if django_settings.USE_TZ else ", 'localtime'"
        self.now = f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{local})"
        self.later = f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s || ' seconds'{local})"
        seconds_since = f"(julianday('now'{local}) - julianday({{}})) * 86400"
        self.age = seconds_since.format("created_at")
        been_due = seconds_since.format("due_since")
        self.put_off = self.later.replace("%s ||", f"MIN(MAX({been_due}, %s), %s) ||")

    @classmethod
    def speaks_with(cls, connection: BaseDatabaseWrapper) -> bool:
        # RETURNING, since 3.35.
        return bool(connection.features.can_return_columns_from_insert)

    def claim(self, claim: Claim) -> list[Row]:
        return self.query(
            f"UPDATE {self.table} AS m SET {claim.change} WHERE id IN ({self.due(claim.condition)})"
            f" RETURNING {claim.columns.replace('m.', '')}",
            (*claim.values, *claim.names, claim.limit),
        )

    def lock(self, columns: str, message_id: Any, *, waits: bool) -> list[Row]:  # noqa: ARG002
        # Whoever writes waits, in any case. A transaction that begins by reading could not write
        # once another has written.
        self.execute(
            f"UPDATE {self.table} SET status = 0 WHERE message_id = %s AND status = 0",
            (message_id,),
        )
        return self.query(
            f"SELECT {columns} FROM {self.table} m WHERE m.message_id = %s AND m.status = 0",
            (message_id,),
        )

    def unlocked(self, ids: Sequence[object]) -> Sequence[object]:
        return ids

    def take_turn(self, name: str, *, waits: bool) -> bool:  # noqa: ARG002
        return True  # who has locked a message is the only one that writes
