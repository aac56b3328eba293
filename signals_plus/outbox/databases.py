"""Which databases have an outbox."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import Error, connections, router

from .models import Message
from .states import TABLE


class NoOutboxError(Exception):
    """There is no outbox where one was looked for. The text says why, and what to do."""


def routed() -> list[str]:
    """Return the aliases on which the project's routers let the outbox be."""
    return [alias for alias in connections if router.allow_migrate_model(alias, Message)]


def has_table(alias: str) -> bool:
    """Ask a database whether the table of the outbox is there."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        return TABLE in connection.introspection.table_names(cursor)


def chosen(aliases: Sequence[str] | None) -> list[str]:
    """Return the aliases that have an outbox: of these, or of all that there are.

    A database that cannot be asked counts as one that has: it may be back soon.

    Raises:
        NoOutboxError: One of these has none, or there is none at all.
    """
    if aliases:
        for alias in aliases:
            _require(alias)
        return list(dict.fromkeys(aliases))
    possible = routed()
    if not possible:
        raise NoOutboxError(
            "No database of DATABASES may have an outbox: DATABASE_ROUTERS let "
            "'signals_plus_outbox' migrate on none of them. Let allow_migrate() return True for it "
            "where durable receivers' rows are."
        )
    found = [alias for alias in possible if _may_have_table(alias)]
    if not found:
        raise NoOutboxError(
            f"No database has the table {TABLE!r} (asked: {', '.join(possible)}). "
            "Run manage.py migrate, with --database for each but the default one."
        )
    return found


def _require(alias: str) -> None:
    if alias not in connections:
        raise NoOutboxError(
            f"There is no database {alias!r}. DATABASES has {', '.join(connections)}."
        )
    if not _may_have_table(alias):
        raise NoOutboxError(
            f"The database {alias!r} has no table {TABLE!r}. "
            f"Run manage.py migrate --database {alias}."
        )


def _may_have_table(alias: str) -> bool:
    try:
        return has_table(alias)
    except Error:
        return True
