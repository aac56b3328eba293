"""A receiver that runs in a worker: its sending side and its working side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.db.models.signals import ModelSignal, m2m_changed
from django.dispatch import Signal

from . import contexts, events, guards, lineage, payloads, validation
from .backends.base import Task
from .backends.handler import backends
from .coalescing import Change, merge
from .commit import collect
from .conf import settings
from .deferred import DeferredReceiver, by_sender
from .enqueuing import Message, enqueue_in_transaction, outgoing
from .events import Event
from .exceptions import InvalidReceiverError, PayloadError
from .registry import registry

# Characters of an ordering key, as wide as a column can be indexed everywhere.
MAX_KEY = 255


class Pending(NamedTuple):
    """What is kept of an event until its transaction has committed: text, and no instance."""

    event: payloads.Fragment
    chain: lineage.Chain
    using: str
    change: Change | None


class TaskReceiver(DeferredReceiver):
    """Write each event as JSON when it is sent, enqueue it once it is committed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Its name: a key from the function's line or identity means nothing in another process.
        self.guard_key = guards.key_of(self.function, self.name)
        self.labels = payloads.signal_labels(self.function, self.signals)
        self.outgoing = outgoing(self.options.backend)
        self.task = Task(
            name=self.name,
            function=self.function,
            run=self.run,
            queue_name=self.options.queue_name,
            queue_priority=self.options.queue_priority,
            run_after=self.options.run_after,
            options=self.options.backend_options,
            merges=self.merges,
            every_row=None in self.senders and any(map(_is_about_rows, self.signals)),
        )

    def validate(self) -> None:
        super().validate()
        validation.check_task(self.name, self.function, self.options)
        registry.refuse_taken_name(self)

    def about_to_connect(self) -> None:
        if registry.is_live:
            self.register()

    def connected(self) -> None:
        registry.add(self)

    def register(self) -> None:
        """Make the receiver known to its queue, if that can do what it asks for."""
        backend = backends[self.options.backend]
        backend.refuse_unsupported(self.task)
        alias = backend.transaction_alias
        if alias is not None and self.options.using not in (None, alias):
            raise InvalidReceiverError(
                self.name,
                f"has using={self.options.using!r}, and its backend enqueues within transactions "
                f"on {alias!r}",
                "Leave it out, or name a backend that waits for the commit.",
            )
        backend.register(self.task)

    def dispatch(self, signal: Signal, sender: Any, kwargs: Mapping[str, Any]) -> None:
        if None in self.senders and _is_excluded(sender):
            return
        # Whatever can be wrong is found here, where the transaction can still roll back.
        registry.require_live()
        backend = backends[self.options.backend]
        backend.validate_task(self.task)
        event = payloads.encode_event(
            self.name,
            signal=self.labels[signal],
            sender=sender,
            kwargs=kwargs,
            senders=self.senders,
        )
        chain = lineage.current()
        using = events.wait_alias(self.options.using, sender, kwargs)
        if self.merges:
            change = Change.of(signal, kwargs) if self.options.coalesce else None
            self.gather(Pending(event, chain, using, change))
        else:
            key = self._ordering_key({"signal": signal, "sender": sender, **kwargs})
            self.hold(Message(self.task, (event,), chain, key), using)

    def gather(self, event: Pending) -> None:
        """Let an event wait for the others of its transaction."""
        collect(self, event, using=event.using)

    def hold(self, message: Message, using: str) -> None:
        """Let the queue have the message of one event, when its transaction lets it."""
        if backends[self.options.backend].transaction_alias is not None:
            enqueue_in_transaction(self.options.backend, message, using)
        else:
            collect(self.outgoing, message, using=using)

    def deliver(self, items: list[Pending]) -> None:
        """Enqueue what one commit has left of the receiver's events, in few messages."""
        self.outgoing.deliver(self.messages(items))

    def messages(self, items: Sequence[Pending]) -> list[Message]:
        """Return few messages for what one commit has left of the receiver's events."""
        if self.options.coalesce:
            items = _coalesced(items)
        size = self.options.batch_size if self.options.batch else 1
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        return [part for chunk in chunks for part in self._messages(chunk)]

    def run(self, payload: str) -> None:
        """Call the function in a worker, with its rows loaded and its lineage restored.

        Runs the receiver registered under the name now: the queue may hold an older one of a
        module that was imported again. A queue may be told to run tasks in the request; what is
        muted there is not muted in the task.
        """
        with contexts.new_work():
            registry[self.name].work_off(payload)

    def work_off(self, payload: str) -> None:
        """Call the function for what the payload holds."""
        message = payloads.decode(self.name, payload, self.senders)
        signals = {
            label: payloads.signal_of(self.name, self.labels, label)
            for label in {each.signal for each in message.events}
        }
        loaded = [
            Event(
                signal=signals[each.signal],
                sender=each.sender,
                kwargs=each.kwargs,
                using=events.wait_alias(self.options.using or each.using, each.sender, each.kwargs),
                chain=message.chain,
            )
            for each in payloads.load(message, self.options.on_missing)
        ]
        if self.options.batch:
            for batch in by_sender(loaded):
                self.call_for_batch(batch)
        else:
            for event in loaded:
                self.call_for(event)

    def _ordering_key(self, arguments: Mapping[str, Any]) -> str | None:
        if self.options.ordering_key is None:
            return None
        key = self.options.ordering_key(**arguments)
        text = str(key)
        if key is None or not 0 < len(text) <= MAX_KEY or validation.UNSTORABLE.search(text):
            raise PayloadError(
                self.name,
                "ordering_key",
                f"is {key!r}",
                f"Return what can be written as a text of 1 to {MAX_KEY} characters, without a NUL "
                "or a lone surrogate.",
            )
        return text

    def _messages(self, items: Sequence[Pending]) -> Iterator[Message]:
        """Yield one message for all, or more where its events would be too large."""
        written = [each.event for each in items]
        if len(items) == 1 or len(payloads.joined(written)) <= settings.max_payload_bytes:
            yield Message(self.task, written, lineage.union(each.chain for each in items))
        else:
            middle = len(items) // 2
            yield from self._messages(items[:middle])
            yield from self._messages(items[middle:])


def _coalesced(items: Sequence[Pending]) -> list[Pending]:
    merged = merge([each.change for each in items if each.change is not None])
    return [
        items[index]._replace(event=payloads.with_arguments(items[index].event, changed))
        if changed
        else items[index]
        for index, changed in merged
    ]


def _is_about_rows(signal: Signal) -> bool:
    # The other one is about the links between rows.
    return isinstance(signal, ModelSignal) and signal is not m2m_changed


def _is_excluded(sender: Any) -> bool:
    if not (isinstance(sender, type) and issubclass(sender, models.Model)):
        return False
    excluded = settings.excluded_senders
    # Proxies and children too, and a session model of the project's own.
    return any(
        base._meta.app_label in excluded
        or base._meta.label_lower in excluded
        or ("sessions" in excluded and base.__module__ == "django.contrib.sessions.base_session")
        for base in sender.__mro__
        if issubclass(base, models.Model) and base is not models.Model
    )
