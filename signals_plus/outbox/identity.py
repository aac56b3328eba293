"""Which message the work now running is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from .. import contexts

_current: ContextVar[UUID | None] = contexts.own("signals_plus_message", default=None)


def current_message_id() -> UUID | None:
    """Return the id of the message that the receiver now running was given; None outside of one.

    It stays the same whenever the message is delivered again: give it to another system as the key
    by which that system knows a repetition.

    Example::

        @receiver_task(post_save, sender=Order, durable="publish")
        def charge(sender, instance, **kwargs):
            payments.charge(instance.total, idempotency_key=str(current_message_id()))
    """
    return _current.get()


@contextmanager
def doing(message_id: UUID | None) -> Iterator[None]:
    """Let the block be the work for a message."""
    before = _current.get()
    _current.set(message_id)
    try:
        yield
    finally:
        _current.set(before)
