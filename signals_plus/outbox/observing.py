"""Tell those who watch, whatever they do with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from uuid import UUID

from django.dispatch import Signal

from ..backends.base import Task
from . import signals

logger = logging.getLogger("signals_plus")


class _Enqueued(Protocol):
    @property
    def task(self) -> Task: ...

    @property
    def message_id(self) -> UUID: ...


def enqueuing(messages: Iterable[_Enqueued]) -> None:
    """Write to the log what a queue is about to be given."""
    if logger.isEnabledFor(logging.DEBUG):
        for each in messages:
            logger.debug(
                "Message %s of task %s is enqueued",
                each.message_id,
                each.task.name,
                extra={"task_name": each.task.name},
            )


def enqueued(messages: Iterable[_Enqueued]) -> None:
    """Tell of messages that a queue has taken."""
    if not signals.message_enqueued.receivers:
        return
    for each in messages:
        _send(signals.message_enqueued, each.task.function, each.task.name, each.message_id)


def delivered(function: Callable[..., Any], name: str, message_id: UUID) -> None:
    """Tell of a message that is done."""
    _send(signals.message_delivered, function, name, message_id)


def failed(
    function: Callable[..., Any] | None,
    name: str,
    message_id: UUID,
    *,
    error: Exception,
    attempts: int,
) -> None:
    """Tell of an attempt that failed."""
    _send(signals.message_failed, function, name, message_id, error=error, attempts=attempts)


def dead(
    function: Callable[..., Any] | None, name: str, message_id: UUID, *, error: str, attempts: int
) -> None:
    """Tell of a message that was given up, and write it to the log."""
    logger.error(
        "Task %s is dead after %d attempts (message %s): %s",
        name,
        attempts,
        message_id,
        error,
    )
    _send(signals.message_dead, function, name, message_id, error=error, attempts=attempts)


def _send(
    signal: Signal,
    function: Callable[..., Any] | None,
    name: str,
    message_id: UUID,
    **arguments: Any,
) -> None:
    if not signal.receivers:
        return
    try:
        signal.send_robust(sender=function, message_id=message_id, task_name=name, **arguments)
    except Exception:
        # Not the receiver's own: Django cannot log the failure of one without a name.
        logger.exception("A receiver of a signal of the outbox failed for task %s", name)
