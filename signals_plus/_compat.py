"""The only module that touches what ``django.dispatch.Signal`` does not document.

Tried on Django 5.2, 6.0 and 6.1; a test per version stands behind each function.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import django
from django.dispatch import Signal
from django.dispatch.dispatcher import _make_id  # type: ignore[attr-defined]

M2M_CHANGED_SENDS_RAW = django.VERSION >= (6, 1)

ReceiverLists = tuple[list[Any], list[Any]]
Connections = dict[int, Any]
FindReceivers = Callable[[Signal, Any], ReceiverLists]
LiveReceivers = Callable[[FindReceivers, Signal, Any], ReceiverLists]
Order = Callable[[Signal, ReceiverLists], ReceiverLists]


def make_id(target: object) -> Any:
    """Return the key under which Django stores a receiver or a sender."""
    return _make_id(target)


def connected_to(signal: Signal, sender: object) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Yield (lookup key, receiver) of what is connected to just this sender of the signal."""
    sender_id = make_id(sender)
    for key, entry_sender_id, receiver in _entries(signal, {}):
        if entry_sender_id == sender_id:
            yield key, receiver


def connected(signal: Signal) -> Iterator[Callable[..., Any]]:
    """Yield the receivers of the signal, whatever their sender."""
    for _, _, receiver in _entries(signal, {}):
        yield receiver


def connected_since(
    signal: Signal, connections: Connections, sender: object
) -> Iterator[Callable[..., Any]]:
    """Yield the receivers that hear this sender by a connection that was not there before."""
    heard = (make_id(None), make_id(sender))
    for _, entry_sender_id, receiver in _entries(signal, connections):
        if entry_sender_id in heard:
            yield receiver


def connections(signal: Signal) -> Connections:
    """Return a record of who is connected now."""
    # The entries themselves, so that no id of theirs is given away.
    return {id(entry): entry for entry in list(signal.receivers)}


def newest(signal: Signal) -> Any:
    """Return the entry of what was connected last, None if nobody is: new ones come last."""
    receivers = signal.receivers
    return receivers[-1] if receivers else None


def _entries(
    signal: Signal, left_out: Connections
) -> Iterator[tuple[Any, Any, Callable[..., Any]]]:
    for entry in list(signal.receivers):
        if id(entry) in left_out:
            continue
        # (key, receiver, is_async) up to 5.2 and (key, receiver, sender_ref, is_async) since 6.0,
        # where an entry whose sender is gone stays until the signal is sent next.
        (key, sender_id), receiver, *rest = entry
        if isinstance(receiver, weakref.ReferenceType):
            receiver = receiver()
        sender_is_gone = isinstance(rest[0], weakref.ReferenceType) and rest[0]() is None
        if receiver is not None and not sender_is_gone:
            yield key, sender_id, receiver


def hook_signal(signal: Signal, live: LiveReceivers) -> None:
    """Let ``live`` have the last word on whom this signal calls.

    ``send``, ``asend``, their robust forms and ``has_listeners`` all ask ``_live_receivers``.
    """
    if not isinstance(vars(signal).get("_live_receivers"), partial):
        # A partial object: a function more is felt in every call of a receiver.
        signal._live_receivers = partial(live, _ask_class, signal)  # type: ignore[method-assign]


def hook_signal_if(
    condition: Callable[[], object], signal: Signal, live: LiveReceivers, order: Order
) -> None:
    """Do the same at a fraction of the cost, while the condition does not hold.

    Then ``order`` is asked, if there are several receivers. It does not take the place of
    ``hook_signal``.
    """
    if "_live_receivers" in vars(signal):
        return
    kind = type(signal)

    def live_receivers(sender: Any) -> ReceiverLists:
        if condition():
            return live(_ask_class, signal, sender)
        found = kind._live_receivers(signal, sender)
        return order(signal, found) if len(found[0]) > 1 else found

    signal._live_receivers = live_receivers  # type: ignore[method-assign]


def _ask_class(signal: Signal, sender: Any) -> ReceiverLists:
    # Looked up at every call, so that a patch of it (sentry-sdk's) is honoured whether it came
    # before or after.
    return type(signal)._live_receivers(signal, sender)


def hook_every_signal(live: LiveReceivers) -> None:
    """Do the same for every signal there is, and every one still to come. Once per process."""
    with _hooking:
        if live in _hooks_of_every_signal:
            return
        original = Signal._live_receivers

        def _live_receivers(self: Signal, sender: Any) -> ReceiverLists:
            return live(original, self, sender)

        Signal._live_receivers = _live_receivers  # type: ignore[method-assign]
        _hooks_of_every_signal.add(live)


_hooking = threading.Lock()
_hooks_of_every_signal: set[LiveReceivers] = set()
