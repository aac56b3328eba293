"""What a queue does that was told to run tasks where they are enqueued."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .base import Task

logger = logging.getLogger("signals_plus")


def run_all(messages: Sequence[tuple[Task, str]], run: Callable[[Task, str], object]) -> None:
    """Run all, as workers would, and raise the first error only then; the others are logged."""
    first: Exception | None = None
    for task, payload in messages:
        try:
            run(task, payload)
        except Exception as error:
            if first is None:
                first = error
            else:
                logger.error("Task %s raised as well: %r", task.name, error, exc_info=error)
    if first is not None:
        raise first
