"""The port between task receivers and a queue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from django.core.checks import CheckMessage

from ..exceptions import BackendError, InvalidReceiverError, UnknownReceiverError


class Task(NamedTuple):
    """What a queue has to know of a task receiver.

    ``run`` is what the worker calls with the payload. ``queue_priority`` is on the queue's scale.
    ``options`` are the receiver's ``backend_options``, which the package does not read.
    """

    name: str
    function: Callable[..., Any]
    run: Callable[[str], None]
    queue_name: str | None = None
    queue_priority: int | None = None
    run_after: timedelta | None = None
    options: Mapping[str, Any] = MappingProxyType({})


class Refused(NamedTuple):
    """A payload that the queue did not take, and why."""

    task: Task
    payload: str
    error: BackendError


class BaseBackend(ABC):
    """A queue under an alias of ``SIGNALS_PLUS_BACKENDS``.

    One object serves all threads of the process. What a queue cannot do is said by the class's
    attributes: a receiver that asks for it is refused when it is connected.
    """

    #: ``queue_name=``: the worker can be told which of several queues to take from.
    supports_queue_name = False
    #: ``run_after=``: the task waits in the queue.
    supports_run_after = False
    #: ``queue_priority=``: within a queue, some tasks go before others.
    supports_priority = False
    #: A task that failed can be told to run again, by an option of ``option_names``.
    supports_retries = False
    #: The ``backend_options`` that a receiver may give; None: ``register`` says.
    option_names: frozenset[str] | None = frozenset()

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self.alias = alias
        self.options = options
        self._validated: dict[str, Task] = {}

    @property
    def transaction_alias(self) -> str | None:
        """The database in whose transactions the queue's own rows are written.

        None: payloads are enqueued after the commit. Else they are enqueued when the signal is
        sent, inside its transaction, and come and go with it.
        """
        return None

    def refuse_unsupported(self, task: Task) -> None:
        """Raise if the receiver asks for what the queue cannot do. Called before ``register``.

        Raises:
            InvalidReceiverError: It does.
        """
        for keyword, value, is_supported in (
            ("queue_name", task.queue_name, self.supports_queue_name),
            ("queue_priority", task.queue_priority, self.supports_priority),
            ("run_after", task.run_after, self.supports_run_after),
        ):
            if value is not None and not is_supported:
                raise InvalidReceiverError(
                    task.name,
                    f"has {keyword}={value!r}, which {self._described} does not support",
                    "Leave it out, or name another backend=.",
                )
        if self.option_names is None:
            return
        if unknown := sorted(task.options.keys() - self.option_names):
            known = ", ".join(sorted(self.option_names))
            raise InvalidReceiverError(
                task.name,
                f"has the option {unknown[0]!r}, which {self._described} does not take",
                f"It takes {known}." if known else "Leave it out: it takes no options.",
            )

    def register(self, task: Task) -> None:
        """Make a task known to this process, for ``run_task``. Calling it again changes nothing.

        A queue that has a registry of its own is told here.

        Raises:
            InvalidReceiverError: The queue cannot do what the receiver asks for.
        """
        _tasks[task.name] = task

    def validate_task(self, task: Task) -> None:
        """Raise what would keep a task from being enqueued, and register it if nobody has.

        Called for each event, inside its transaction: asked again it must cost next to nothing.

        Raises:
            InvalidReceiverError: The queue cannot do what the receiver asks for.
        """
        if self._validated.get(task.name) is not task:
            self.refuse_unsupported(task)
            self.register(task)
            self._validated[task.name] = task

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

    @property
    def _described(self) -> str:
        return f"the backend {self.alias!r} ({type(self).__name__})"


# All that a worker can be asked to run. A module that is imported again replaces what it had.
_tasks: dict[str, Task] = {}


def run_task(name: str, payload: str) -> None:
    """Run what a message of a queue is for: what the workers of most queues call.

    Nothing is imported: the name is one that this process has registered.

    Raises:
        UnknownReceiverError: It has not.
    """
    try:
        task = _tasks[name]
    except KeyError:
        raise UnknownReceiverError(name) from None
    task.run(payload)
