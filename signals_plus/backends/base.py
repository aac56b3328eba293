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
    ``options`` are the receiver's ``backend_options``, which the package does not read. ``merges``:
    its payloads are made at the commit, when it is known which events there are. ``durable``:
    what the receiver says; its payloads are kept in the outbox. ``every_row``: it is for the rows
    of every model, as long as no setting excludes them.
    """

    name: str
    function: Callable[..., Any]
    run: Callable[[str], None]
    queue_name: str | None = None
    queue_priority: int | None = None
    run_after: timedelta | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    merges: bool = False
    durable: bool | str = False
    every_row: bool = False


class Refused(NamedTuple):
    """A payload that the queue did not take, and why.

    ``is_objection``: it is about this payload, of which the queue's library, or what the project
    has added to it, would make no message. What the queue itself answers is none, such as that it
    is full: it may well take it later.

    ``is_of_queue``: it is about this task's queue, which does not take it now, as one that is full.
    Others may take theirs. A broker that does not answer takes nothing of anybody.
    """

    task: Task
    payload: str
    error: BackendError
    is_objection: bool = False
    is_of_queue: bool = False


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
    #: Its tasks run in other processes than those that enqueue them: ``durable=`` relies on that.
    has_workers = True
    #: The queue's own Django app, without which it has no worker or no tables.
    required_app: str | None = None
    #: Seconds that a call waits at most for a queue that does not answer. 0: nothing to say of it.
    publish_timeout: float = 0.0
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
        keywords = {
            "queue_name": self.supports_queue_name,
            "queue_priority": self.supports_priority,
            "run_after": self.supports_run_after,
        }
        for keyword, is_supported in keywords.items():
            value = getattr(task, keyword)
            if value is not None and not is_supported:
                raise InvalidReceiverError(
                    task.name,
                    f"has {keyword}={value!r}, which {self._described} does not support",
                    "Leave it out, or name another backend=.",
                )
        if task.merges and self.transaction_alias is not None:
            raise InvalidReceiverError(
                task.name,
                "merges events, and its backend enqueues within the transaction",
                "Leave out batch= and coalesce=, or name a backend that waits for the commit.",
            )
        if task.durable:
            self._refuse_durable(task)
        if self.option_names is None:
            return
        if unknown := sorted(task.options.keys() - self.option_names):
            supported = {keyword for keyword, is_supported in keywords.items() if is_supported}
            known = ", ".join(sorted(self.option_names | supported))
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

    def check_publish(self, names: Sequence[str]) -> list[CheckMessage]:  # noqa: ARG002
        """Return what they should say of a queue that may lose what it has taken.

        Asked where that is final: for receivers, of these names, with ``durable="publish"``.
        """
        return []

    def close(self) -> None:
        """Let go of connections: the backend is not used any more."""

    def _refuse_durable(self, task: Task) -> None:
        if not self.has_workers:
            raise InvalidReceiverError(
                task.name,
                f"has durable={task.durable!r}, and {self._described} runs tasks in the process "
                "that enqueues them",
                "Leave out durable=, or name the backend= of a queue that has workers.",
            )
        if self.transaction_alias is not None:
            raise InvalidReceiverError(
                task.name,
                f"has durable={task.durable!r}, and its backend enqueues within the transaction",
                "Leave out durable=, or name a backend that waits for the commit.",
            )

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
