"""Keep a message from being delivered again while work outside of a transaction is at it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections

from ..conf import settings
from .table import OutboxTable

logger = logging.getLogger("signals_plus")


@contextmanager
def holding(using: str, message_id: UUID, token: str) -> Iterator[None]:
    """Hold the message of this token on while the block runs, in a thread beside it."""
    grace = settings.outbox_grace
    ended = threading.Event()

    def hold_on() -> None:
        try:
            table = OutboxTable(using)  # with a connection of this thread
            while not ended.wait(grace / 3):
                try:
                    table.hold_on(message_id, token, seconds=grace)
                except (DatabaseError, InterfaceError) as error:  # it may be back in time
                    connections[using].close()
                    logger.warning("Message %s could not be held: %s", message_id, error)
        finally:
            connections[using].close()

    thread = threading.Thread(target=hold_on, name="signals-plus-hold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
