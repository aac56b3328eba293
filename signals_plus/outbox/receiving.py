"""A task receiver whose messages are in the outbox until they are done."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections

from ..commit import Run, Writer, collect, is_in_a_test_case
from ..enqueuing import Message
from ..exceptions import PayloadError, SettingsError
from ..tasks import Pending, TaskReceiver
from . import outgoing, validation, working
from .identity import doing
from .order import Order
from .rows import StoredMessage
from .table import OutboxTable


class DurableReceiver(TaskReceiver, Writer):
    """Write each event to the outbox with the transaction; do the work that a message is for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outbox = outgoing.outgoing(self.options.backend)
        # The outbox waits: a queue may forget what waits in it.
        self.task = self.task._replace(run_after=None, durable=self.options.durable)

    def validate(self) -> None:
        super().validate()
        validation.check(self.name, self.options)

    def register(self) -> None:
        if not apps.is_installed("signals_plus.outbox"):
            raise SettingsError(
                "INSTALLED_APPS",
                f"does not have 'signals_plus.outbox', and receiver {self.name!r} has "
                f"durable={self.options.durable!r}. Add it, and run manage.py migrate.",
            )
        super().register()

    def hold(self, message: Message, using: str) -> None:
        item = outgoing.Unwritten(message, self.options, using)
        connection = connections[using]
        if is_in_a_test_case(connection) or not connection.commit_on_exit:
            # No commit will come, or not one that Django hears of: the row is there at once, and
            # goes with a savepoint.
            _, (written,) = self.outbox.write([item])
            collect(self.outbox, written, using=using)
        else:
            collect(self.outbox, item, using=using)

    def gather(self, event: Pending) -> None:
        if connections[event.using].commit_on_exit:
            super().gather(event)
            return
        # Nobody says when the transaction will end: it is a message of its own, written at once.
        _, written = self.write([event])
        for each in written:
            collect(self.outbox, each, using=event.using)

    def write(self, items: list[Pending]) -> Run:
        using = items[0].using
        messages = self.messages(items)
        return self.outbox.write([outgoing.Unwritten(m, self.options, using) for m in messages])

    def deliver(self, items: list[Pending]) -> None:
        delivery, written = self.write(items)
        delivery.deliver(written)

    def work_off(self, payload: str) -> None:
        using, message_id = named_in(payload)
        if using is not None and message_id is not None:
            if using not in connections:
                raise PayloadError(
                    self.name,
                    f"its database {using!r}",
                    "is none of this process's",
                    "Give the worker the DATABASES of the process that wrote the message.",
                )
            working.Work(self, using, message_id).run()
        else:
            with doing(message_id):
                self.do(payload)

    def do(self, payload: str) -> None:
        """Call the function for what a message holds."""
        super().work_off(payload)

    def enqueue_next(self, using: str, done: StoredMessage) -> None:
        """Enqueue the message that waited for this one."""
        if done.ordering_key is None:
            return
        following = Order(OutboxTable(using)).following(self.name, done.ordering_key)
        if following is not None:
            _enqueue_after_this(self.outbox, outgoing.woken(self.task, using, following))


class _Woken(threading.local):
    """What has been woken while the queue of this thread runs the one before it."""

    waiting: list[tuple[outgoing.OutboxOutgoing, outgoing.Written]] | None = None


_woken = _Woken()


def _enqueue_after_this(outbox: outgoing.OutboxOutgoing, message: outgoing.Written) -> None:
    """Enqueue; where the queue runs a task at once, the next one is not run within it."""
    if _woken.waiting is not None:
        _woken.waiting.append((outbox, message))
        return
    _woken.waiting = [(outbox, message)]
    try:
        for outgoing_to, each in _woken.waiting:  # it grows
            outgoing_to.enqueue([each])
    finally:
        _woken.waiting = None


def named_in(payload: str) -> tuple[str | None, UUID | None]:
    """Return the database and the id of the message that a payload is about, as far as it says.

    What it does not say right is for the reader of payloads to refuse.
    """
    try:
        data = json.loads(payload)
        message_id = UUID(data["message"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None, None
    using = data.get("using")
    return using if isinstance(using, str) else None, message_id
