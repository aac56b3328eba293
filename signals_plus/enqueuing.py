"""Hand payloads to the queues after the commit, and report what they refuse."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import contexts, payloads
from .backends.base import Refused, Task
from .backends.handler import backends
from .exceptions import BackendError
from .lineage import Chain
from .signals import enqueue_failed

logger = logging.getLogger("signals_plus")

_reporting = contexts.own("signals_plus_reporting", default=False)


class Message(NamedTuple):
    """What will be one payload: events of one task, and the chain that caused them."""

    task: Task
    events: Sequence[payloads.Fragment]
    chain: Chain
    ordering_key: str | None = None


class Outgoing:
    """Takes the messages of all receivers that share a backend, in the order in which to send."""

    merges = False
    # Workers take from one queue as they like, whatever is in another.
    overtakes = True

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def deliver(self, items: list[Message]) -> None:
        """Enqueue them. What the queue refuses is logged and reported, never raised."""
        backend = backends[self.alias]
        _log(items)
        for refused in backend.enqueue_many(_composed(items)):
            logger.error(
                "Task %s was not enqueued: %s",
                refused.task.name,
                refused.error,
                extra={"payload": refused.payload},
            )
            report(type(backend), refused)


def enqueue_in_transaction(alias: str, message: Message, using: str) -> None:
    """Enqueue at once, into rows that come and go with the transaction open on ``using``.

    Raises:
        BackendError: The queue's rows are on another database, or it did not take the message.
    """
    backend = backends[alias]
    if using != backend.transaction_alias:
        raise BackendError(
            alias,
            f"enqueues within transactions on {backend.transaction_alias!r}, and task "
            f"{message.task.name} waits for one on {using!r}. Name a backend that enqueues after "
            "the commit",
        )
    _log([message])
    for task, payload in _composed([message]):
        backend.enqueue(task, payload)


def _log(messages: Sequence[Message]) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        for message in messages:
            logger.debug(
                "Task %s is enqueued for %d events",
                message.task.name,
                len(message.events),
                extra={"task_name": message.task.name},
            )


def _composed(messages: Sequence[Message]) -> list[tuple[Task, str]]:
    lineages = written_chains(message.chain for message in messages)
    return [
        (task, payloads.compose(task.name, events, lineages[id(chain)]))
        for task, events, chain, _ in messages
    ]


def written_chains(chains: Iterable[Chain]) -> dict[int, str]:
    """Return each chain as JSON, by its identity.

    Events that one batch caused share its chain, which is long: it is written once.
    """
    different = {id(chain): chain for chain in chains}
    return {key: payloads.encode_chain(chain) for key, chain in different.items()}


def outgoing(alias: str) -> Outgoing:
    """Return the one object that takes the payloads for a backend."""
    return _outgoing.setdefault(alias, Outgoing(alias))


_outgoing: dict[str, Outgoing] = {}


def report(backend: type, refused: Refused) -> None:
    """Send ``enqueue_failed``, whatever its receivers do."""
    if _reporting.get():
        return  # a receiver of the signal has saved a row, for which the queue is down as well
    _reporting.set(True)
    try:
        enqueue_failed.send_robust(
            sender=backend,
            receiver=refused.task.function,
            task_name=refused.task.name,
            payload=refused.payload,
            error=refused.error,
        )
    except Exception:
        # Not the receiver's own: Django cannot log the failure of one without a name.
        logger.exception("A receiver of enqueue_failed failed for task %s", refused.task.name)
    finally:
        _reporting.set(False)
