"""The port between task receivers and a queue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.checks import CheckMessage

from ..exceptions import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a queue has to know of a task receiver.

    ``run`` is what the worker calls with the payload. ``options`` are the receiver's
    ``backend_options``, which the package does not read.
    """

    name: str
    function: Callable[..., Any]
    run: Callable[[str], None]
    queue_name: str | None = None
    run_after: timedelta | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Refused(NamedTuple):
    """A payload that the queue did not take, and why."""

    task: Task
    payload: str
    error: BackendError


class BaseBackend(ABC):
    """A queue under an alias of ``SIGNALS_PLUS_BACKENDS``.

    One object serves all threads of the process.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self.alias = alias
        self.options = options

    @abstractmethod
    def register(self, task: Task) -> None:
        """Make a task known to the queue of this process. Calling it again changes nothing.

        Raises:
            InvalidReceiverError: The queue cannot do what the receiver asks for.
        """

    def validate_task(self, task: Task) -> None:
        """Raise what would keep a task from being enqueued, and register it if nobody has.

        Called for each event, inside its transaction: asked again it must cost next to nothing.

        Raises:
            InvalidReceiverError: The queue cannot do what the receiver asks for.
        """
        self.register(task)

    @abstractmethod
    def enqueue(self, task: Task, payload: str) -> None:
        """Hand one payload to the queue, within a bounded time.

        Raises:
            BackendError: The queue did not take it.
        """

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        """Hand payloads to the queue in this order, within a bounded time for all of them.

        Return those that the queue did not take, or may not have taken: no ``BackendError`` is
        raised, and one that is refused does not keep the next from being enqueued.
        """
        refused = []
        for task, payload in messages:
            try:
                self.enqueue(task, payload)
            except BackendError as error:
                refused.append(Refused(task, payload, error))
        return refused

    def check(self) -> list[CheckMessage]:
        """Return what Django's system checks should say about the queue's configuration."""
        return []

    def close(self) -> None:
        """Let go of connections: the backend is not used any more."""
