"""A time of the test's own for all statements on the outbox, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from signals_plus.outbox.dialects.base import Dialect, Row

START = datetime(2030, 1, 1)


class Clock:
    """The time that the databases are told. It stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def instead_of_now(self, sql: str) -> str:
        """Return the statement with this time where the database would look at its own."""
        text = self.now.isoformat(" ", "microseconds")
        for now, instead in {
            "STATEMENT_TIMESTAMP()": f"TIMESTAMPTZ '{text}+00'",  # PostgreSQL
            "UTC_TIMESTAMP(6)": f"TIMESTAMP '{text}'",  # MariaDB, MySQL
            "'now'": f"'{text[:-3]}'",  # SQLite, which has milliseconds
        }.items():
            sql = sql.replace(now, instead)
        return sql


@contextmanager
def standing() -> Iterator[Clock]:
    """Let all statements of this process go by a clock, which stands."""
    clock = Clock()
    execute, query = Dialect.execute, Dialect.query

    def execute_then(self: Dialect, sql: str, parameters: Any = ()) -> int:
        return execute(self, clock.instead_of_now(sql), parameters)

    def query_then(self: Dialect, sql: str, parameters: Any = ()) -> list[Row]:
        return query(self, clock.instead_of_now(sql), parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dialect, "execute", execute_then)
        patch.setattr(Dialect, "query", query_then)
        yield clock
