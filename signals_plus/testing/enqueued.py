"""One enqueued task: what it is about, as its payload says, and how it compares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.apps import apps
from django.db import connections

from .. import contexts, naming, payloads
from ..backends.base import Task
from ..exceptions import PayloadError, UnknownReceiverError
from ..registry import registry
from . import transactions
from .arguments import Argument, RowReference, read_argument
from .matching import WantedSenders, difference
from .names import shown

# How a task fails without concerning whoever runs it: sys.exit() in a receiver ends its task.
FAILURES = (Exception, SystemExit)


class EnqueuedTask:
    """A task as its queue would have got it.

    ``name``, ``queue_name``, ``queue_priority``, ``run_after`` and ``options`` are what the queue
    is told, ``backend`` is its alias, ``payload`` the text that would have travelled, ``receiver``
    the function. ``has_run`` and ``error`` tell whether and how it was run.
    """

    def __init__(self, task: Task, payload: str, backend: str) -> None:
        self.task = task
        self.payload = payload
        self.backend = backend
        self.name = task.name
        self.receiver = task.function
        self.queue_name = task.queue_name
        self.queue_priority = task.queue_priority
        self.run_after = task.run_after
        self.options = task.options
        self.has_run = False
        self.error: BaseException | None = None
        # Now, since the message is gone when it has run, and the receiver may be disconnected.
        self.message_id, self._message = _in_the_outbox(payload)
        self._senders = _senders_of(task)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy(self)

    @cached_property
    def events(self) -> list[EnqueuedEvent]:
        """What its payload says; nothing, if that is kept elsewhere."""
        return events_in(self.name, self._message, self._senders)

    def run(self) -> None:
        """Run it as a worker would, and keep what it raises as ``error``."""
        self.has_run = True
        self.error = None
        try:
            contexts.for_new_work().run(self.task.run, self.payload)
        except FAILURES as error:
            self.error = error

    def __repr__(self) -> str:
        about = [repr(event) for event in self.events[:3]]
        if len(self.events) > 3:
            about.append(f"and {len(self.events) - 3} more events")
        where = "" if self.queue_name is None else f" on the queue {self.queue_name!r}"
        return f"{self.name}{where}: {', '.join(about)}"


class EnqueuedEvent(NamedTuple):
    """One event of a payload. ``arguments`` has its values, and references where it names rows."""

    sender: Any
    arguments: Mapping[str, Argument]

    def __repr__(self) -> str:
        arguments = " ".join(
            f"{name}={shown(value.value)}"
            for name, value in self.arguments.items()
            if name not in ("using", "raw")
        )
        return f"from {shown(self.sender)} {arguments}".rstrip()


def events_in(receiver: str, payload: str, senders: Sequence[Any]) -> list[EnqueuedEvent]:
    """Read what a payload for a receiver is about, without a query."""
    try:
        message = payloads.decode(receiver, payload, senders)
    except PayloadError:
        return []
    found = []
    for event in message.events:
        arguments = {name: read_argument(value) for name, value in event.kwargs.items()}
        if event.rows is None:
            found.append(EnqueuedEvent(event.sender, arguments))
        for key in event.rows or ():
            row = Argument(key, RowReference(event.sender, event.using, key))
            found.append(EnqueuedEvent(event.sender, {"instance": row, **arguments}))
    return found


def _senders_of(task: Task) -> Sequence[Any]:
    try:
        return registry[task.name].senders
    except UnknownReceiverError:
        return ()


def _in_the_outbox(payload: str) -> tuple[UUID | None, str]:
    """Return the id of the message, if it is of the outbox, and what it is about.

    The message of a durable receiver is kept there until it is done, and the payload names it only.
    """
    names = json.loads(payload)
    message_id = UUID(names["message"]) if "message" in names else None
    if "events" in names:
        return message_id, payload
    message = first_message(names["using"], message_id=message_id)
    return message_id, payload if message is None else message.payload


def first_message(using: str, **conditions: Any) -> Any:
    """Return the oldest message of the outbox with these values; None if there is none."""
    messages = apps.get_model("signals_plus_outbox.Message")._base_manager.using(using)
    with transactions.unseen(connections[using]):
        return messages.filter(**conditions).order_by("id").first()


class WantedTask(NamedTuple):
    """A task that a test looks for."""

    receiver: Any
    senders: WantedSenders
    options: Mapping[str, Any]
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        parts = [f"{name}={shown(value)}" for name, value in self.options.items()]
        if self.senders.named:
            parts.append(f"sender={self.senders}")
        parts += [f"{name}={shown(value)}" for name, value in self.arguments.items()]
        name = (
            self.receiver if isinstance(self.receiver, str) else naming.dotted_name(self.receiver)
        )
        return f"{name} with {', '.join(parts)}" if parts else str(name)

    def is_for(self, task: EnqueuedTask) -> bool:
        return bool(self.receiver in (task.name, task.receiver))

    def differences(self, task: EnqueuedTask) -> list[str]:
        """Say where a task of this receiver differs from the wanted one."""
        found = [
            f"{name} was {shown(getattr(task, name))}, not {shown(wanted)}"
            for name, wanted in self.options.items()
            if getattr(task, name) != wanted
        ]
        if not self.senders.named and not self.arguments:
            return found
        about = [self._differences(event) for event in task.events]
        return found + min(about, key=len, default=["its payload says nothing of the arguments"])

    def nearest(self, tasks: Sequence[EnqueuedTask]) -> tuple[EnqueuedTask, list[str]] | None:
        """Return the task of this receiver with the fewest differences."""
        all_of_it = [(task, self.differences(task)) for task in tasks if self.is_for(task)]
        return min(all_of_it, key=lambda each: len(each[1]), default=None)

    def _differences(self, event: EnqueuedEvent) -> list[str]:
        found = self.senders.differences(event.sender)
        for name, wanted in self.arguments.items():
            if name not in event.arguments:
                found.append(f"there was no argument {name!r}")
            elif not event.arguments[name].is_same(wanted):
                found.append(difference(name, event.arguments[name].value, wanted))
        return found
