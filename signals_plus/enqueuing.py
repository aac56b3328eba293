"""Hand payloads to the queues after the commit, and report what they refuse."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from .backends.base import Refused, Task
from .backends.handler import backends
from .signals import enqueue_failed

logger = logging.getLogger("signals_plus")

_reporting: ContextVar[bool] = ContextVar("signals_plus_reporting", default=False)


class Outgoing:
    """Takes the payloads of all receivers that share a backend, in the order in which to send."""

    merges = False

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def deliver(self, items: list[tuple[Task, str]]) -> None:
        """Enqueue them. What the queue refuses is logged and reported, never raised."""
        for refused in backends[self.alias].enqueue_many(items):
            logger.error(
                "Task %s was not enqueued: %s",
                refused.task.name,
                refused.error,
                extra={"payload": refused.payload},
            )
            _report(type(backends[self.alias]), refused)


def outgoing(alias: str) -> Outgoing:
    """Return the one object that takes the payloads for a backend."""
    return _outgoing.setdefault(alias, Outgoing(alias))


_outgoing: dict[str, Outgoing] = {}


def _report(backend: type, refused: Refused) -> None:
    if _reporting.get():
        return  # a receiver of the signal has saved a row, for which the queue is down as well
    _reporting.set(True)
    try:
        enqueue_failed.send_robust(
            sender=backend,
            receiver=refused.task.function,
            task_name=refused.task.name,
            payload=refused.payload,
            error=refused.error,
        )
    except Exception:
        # Not the receiver's own: Django cannot log the failure of one without a name.
        logger.exception("A receiver of enqueue_failed failed for task %s", refused.task.name)
    finally:
        _reporting.set(False)
