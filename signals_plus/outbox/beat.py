"""The relay as a Celery task, for those who have Celery beat and want no other process.

Celery imports it where ``CELERY_IMPORTS`` says so. Nothing else does: Celery may be absent.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task

from . import databases
from .relay import Relay

NAME = "signals_plus.outbox.relay"


@shared_task(name=NAME, ignore_result=True)  # type: ignore[untyped-decorator]
def relay(*, seconds: float = 10.0, aliases: Sequence[str] | None = None) -> int:
    """Enqueue the messages that are due; return how many.

    Ends when none is left, when what is left cannot be enqueued, which is logged, or after so many
    seconds; what is due then is for the next pass. Passes may overlap.

    Args:
        seconds: After which no further batch is begun. One takes a second or two, and longer only
            if a queue does not answer.
        aliases: Databases with an outbox. None: all that have one.

    Raises:
        NoOutboxError: There is none.

    Example::

        CELERY_IMPORTS = ["signals_plus.outbox.beat"]
        CELERY_BEAT_SCHEDULE = {
            "relay the outbox": {
                "task": "signals_plus.outbox.relay",
                "schedule": 10,
                "options": {"expires": 10},
            },
        }
    """
    one = Relay(databases.chosen(aliases))
    one.drain(seconds=seconds)
    return one.enqueued
