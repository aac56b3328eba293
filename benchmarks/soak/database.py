"""A database of the soak's own, made before it and dropped after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def created(vendor: str, folder: Path) -> Iterator[str]:
    """Create a database, and drop it with the block; yield its name."""
    name = f"signals_plus_soak_{os.getpid()}_{os.urandom(4).hex()}"
    if vendor == "sqlite":
        yield str(folder / name)  # goes with the folder
        return
    execute, drop = (
        (_on_mysql, f"DROP DATABASE IF EXISTS {name}")
        if vendor == "mysql"
        # Those that were killed may still have a connection there.
        else (_on_postgresql, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    )
    try:
        execute(f"CREATE DATABASE {name}")
        yield name
    finally:
        execute(drop)


def _on_postgresql(statement: str) -> None:
    import psycopg  # noqa: PLC0415 - comes with the extra dev

    user = os.environ.get("PGUSER", "postgres")
    with psycopg.connect(
        host="127.0.0.1", user=user, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement)


def _on_mysql(statement: str) -> None:
    import pymysql  # noqa: PLC0415

    connection: Any = pymysql.connect(host="127.0.0.1", user="root")
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
