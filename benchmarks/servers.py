"""The servers that some rows need: where they are, whether they answer, which version."""

from __future__ import annotations

import functools
import os
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

# A Redis database of its own, so that nothing else is in the way of what is published.
URLS = {
    "redis": os.environ.get("SIGNALS_PLUS_REDIS_URL", "redis://127.0.0.1:6379/6"),
    "rabbitmq": os.environ.get("SIGNALS_PLUS_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}


def missing(name: str) -> str:
    """Return why the server cannot be used; nothing if it can."""
    try:
        version(name)
    except ConnectionError as error:
        return str(error)
    return ""


@functools.cache
def version(name: str) -> str:
    """Return the version of the server.

    Raises:
        ConnectionError: It does not answer.
    """
    return _postgresql() if name == "postgresql" else _broker(name)


def _broker(name: str) -> str:
    try:
        with Connection(URLS[name], connect_timeout=5) as connection:
            connection.ensure_connection(max_retries=0, timeout=5)
            if name == "redis":
                return str(connection.default_channel.client.info("server")["redis_version"])
            properties: dict[str, Any] = connection.connection.server_properties
            return str(properties["version"])
    except (OperationalError, OSError) as error:
        raise ConnectionError(f"no {name} at {URLS[name]}: {error}") from error


def _postgresql() -> str:
    import psycopg  # noqa: PLC0415 - comes with the extra dev

    user = os.environ.get("PGUSER", "postgres")
    try:
        with psycopg.connect(
            host="127.0.0.1", user=user, dbname="postgres", connect_timeout=5
        ) as connection:
            number = connection.info.server_version
    except psycopg.OperationalError as error:
        raise ConnectionError(f"no postgresql at 127.0.0.1 for {user}: {error}") from error
    return f"{number // 10000}.{number % 10000}"
