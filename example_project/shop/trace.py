"""The shop's log as a file of JSON lines, which no rollback takes back."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

TRANSACTION_WORDS = ("BEGIN", "COMMIT", "ROLLBACK")


class TraceHandler(logging.FileHandler):
    """Write each record with where it happened: process, thread, depth of the transaction."""

    def format(self, record: logging.LogRecord) -> str:
        who, text = _who(record), super().format(record)
        if hasattr(record, "task_name"):  # signals_plus enqueues a task
            who, text = "enqueue", record.task_name.rpartition(".")[2]
        return json.dumps(
            {
                # Unlike the time of day, never set back; the same clock in all processes.
                "at": time.monotonic(),
                "pid": record.process,
                "thread": record.threadName,
                "depth": len(connection.atomic_blocks),
                "who": who,
                "text": text,
            }
        )


def _who(record: logging.LogRecord) -> str:
    package = record.name.partition(".")[0]
    who: str = getattr(record, "who", package if package != "shop" else record.funcName)
    return who


def log_transactions(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Log when SQLite itself begins, commits and rolls back. A receiver of connection_created."""
    connection.connection.set_trace_callback(_log_transaction)


def _log_transaction(statement: str) -> None:
    word = statement.partition(" ")[0]
    if word in TRANSACTION_WORDS:
        logger.info("", extra={"who": word})
