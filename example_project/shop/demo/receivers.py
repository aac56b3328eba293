"""A task of the demo's own, by which it sees how far the worker is."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

from signals_plus import receiver_task

logger = logging.getLogger(__name__)

MARK = "mark"

mark_sent = Signal()


@receiver_task(mark_sent)
def mark(sender: Any, number: int, **kwargs: Any) -> None:
    """Say in the log that all tasks enqueued before this one have run."""
    logger.info("%s", number, extra={"who": MARK})
