"""PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .base import BEGINNINGS, BEGINS, BROUGHT, Claim, Dialect, Row, number_of

_TYPES = ("uuid", "text", "text", "text", "boolean", "text", "float8")

# Rows for which it pays to let the server read JSON.
MANY = 20


class PostgreSQL(Dialect):
    """SKIP LOCKED, RETURNING and locks by number."""

    now = "STATEMENT_TIMESTAMP()"
    later = "STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second'"
    age = "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - created_at)"
    put_off = (
        "STATEMENT_TIMESTAMP() + LEAST(GREATEST(STATEMENT_TIMESTAMP() - due_since, "
        "%s * INTERVAL '1 second'), %s * INTERVAL '1 second')"
    )
    without_disk = "SET_CONFIG('synchronous_commit', 'off', TRUE) = 'off'"
    # In words for which the planner takes the index of all three columns. With "=" it takes that of
    # the ids where many messages have few keys, and reads all that are older.
    same_order = (
        "older.receiver = m.receiver "
        "AND older.ordering_key BETWEEN m.ordering_key AND m.ordering_key"
    )

    def insert(self, rows: Sequence[Row]) -> None:
        if len(rows) < MANY:
            super().insert(rows)
            return
        # As one parameter: psycopg takes longer to find many in a statement than to send them.
        names = ", ".join(BROUGHT)
        due = self.later % "due_at"
        typed = ", ".join(f"{name} {kind}" for name, kind in zip(BROUGHT, _TYPES, strict=True))
        self.execute(
            f"INSERT INTO {self.table} ({names}, due_since, created_at, {BEGINNINGS}) "
            f"SELECT {names.replace('due_at', due)}, {due}, {self.now}, {BEGINS} "
            f"FROM ROWS FROM (JSON_TO_RECORDSET(%s::json) AS ({typed})) "
            f"WITH ORDINALITY AS new ({names}, place) ORDER BY place",
            [json.dumps([dict(zip(BROUGHT, row, strict=True)) for row in rows], default=str)],
        )

    def claim(self, claim: Claim) -> list[Row]:
        # A subquery instead could be run again by a nested loop, and change more than the limit.
        return self.query(
            f"WITH due AS MATERIALIZED ({self.due(claim.condition)} FOR UPDATE SKIP LOCKED) "
            f"UPDATE {self.table} AS m SET {claim.change} FROM due WHERE m.id = due.id "
            f"RETURNING {claim.columns}",
            (*claim.names, claim.limit, *claim.values),
        )

    def take_turn(self, name: str, *, waits: bool) -> bool:
        if waits:
            self.query("SELECT PG_ADVISORY_XACT_LOCK(%s)", (number_of(name),))
            return True
        rows = self.query("SELECT PG_TRY_ADVISORY_XACT_LOCK(%s)", (number_of(name),))
        return bool(rows[0][0])
