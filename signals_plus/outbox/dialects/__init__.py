"""What the databases say in their own ways: the time, and how due messages are claimed.

Time is that of the statement, not of the transaction, which may have begun long ago.
"""

from __future__ import annotations

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

from .base import Claim, Dialect
from .mysql import MySQL
from .postgresql import PostgreSQL
from .sqlite import SQLite

__all__ = ["Claim", "Dialect", "dialect_of", "has_dialect"]

_DIALECTS: dict[str, type[PostgreSQL | MySQL | SQLite]] = {
    "postgresql": PostgreSQL,
    "mysql": MySQL,
    "sqlite": SQLite,
}


def has_dialect(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether there is one for the database of a connection."""
    dialect = _DIALECTS.get(connection.vendor)
    return dialect is not None and dialect.speaks_with(connection)


def dialect_of(connection: BaseDatabaseWrapper, table: str) -> Dialect:
    """Return what speaks with the database of a connection.

    Raises:
        NotSupportedError: There is none for it.
    """
    if not has_dialect(connection):
        raise NotSupportedError(
            f"signals_plus.outbox has no dialect for {connection.vendor} ({connection.alias!r}). "
            f"It has {', '.join(_DIALECTS)}."
        )
    return _DIALECTS[connection.vendor](connection, connection.ops.quote_name(table))
