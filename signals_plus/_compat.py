"""The only module that touches what ``django.dispatch.Signal`` does not document.

Tried on Django 5.2, 6.0 and 6.1; a test per version stands behind each function.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import django
from django.apps import apps
from django.dispatch import Signal
from django.dispatch.dispatcher import _make_id  # type: ignore[attr-defined]

M2M_CHANGED_SENDS_RAW = django.VERSION >= (6, 1)

ReceiverLists = tuple[list[Any], list[Any]]
Connections = dict[int, Any]
FindReceivers = Callable[[Signal, Any], ReceiverLists]
LiveReceivers = Callable[[FindReceivers, Signal, Any], ReceiverLists]
Order = Callable[[Signal, ReceiverLists], ReceiverLists]
WatchSending = Callable[[Signal, Any, dict[str, Any], bool], Any]


def make_id(target: object) -> Any:
    """Return the key under which Django stores a receiver or a sender."""
    return _make_id(target)


def connected_to(signal: Signal, sender: object) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Yield (lookup key, receiver) of what is connected to just this sender of the signal."""
    sender_id = make_id(sender)
    for key, entry_sender_id, receiver, _ in _entries(signal, {}):
        if entry_sender_id == sender_id:
            yield key, receiver


def connected(signal: Signal) -> Iterator[Callable[..., Any]]:
    """Yield the receivers of the signal, whatever their sender."""
    for _, _, receiver, _ in _entries(signal, {}):
        yield receiver


def connected_since(
    signal: Signal, connections: Connections, sender: object
) -> Iterator[Callable[..., Any]]:
    """Yield the receivers that hear this sender by a connection that was not there before."""
    heard = (make_id(None), make_id(sender))
    for _, entry_sender_id, receiver, _ in _entries(signal, connections):
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
) -> Iterator[tuple[Any, Any, Callable[..., Any], bool]]:
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
            yield key, sender_id, receiver, rest[-1]


def hook_signal(signal: Signal, live: LiveReceivers) -> None:
    """Let ``live`` have the last word on whom this signal calls.

    ``send``, ``asend``, their robust forms and ``has_listeners`` all ask ``_live_receivers``.
    """
    if not isinstance(vars(signal).get("_live_receivers"), functools.partial):
        # A partial object: a function more is felt in every call of a receiver.
        signal._live_receivers = functools.partial(live, _ask_class, signal)  # type: ignore[method-assign]


def hook_signal_if(
    condition: Callable[[], object], signal: Signal, live: LiveReceivers, order: Order
) -> None:
    """Let ``live`` have the last word while the condition holds, and else cost next to nothing.

    While it does not, ``order`` may put several receivers into another order. A signal that has
    ``hook_signal``'s hook keeps it.
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


_hooking = threading.RLock()
_hooks_of_every_signal: set[LiveReceivers] = set()


def watch_sends(signal: Signal, watch: WatchSending, is_heard: Callable[[], bool]) -> None:
    """Let ``watch`` see every sending of a signal, those that nobody hears included.

    It is told at last whether what receivers raise is among the results, as ``send_robust`` has it.

    ``is_heard``: whether ``has_listeners`` says that somebody listens, whoever does. Where nobody
    does, Django does not even send some signals.
    """
    kind = type(signal)
    before = {name: vars(signal).get(name) for name in _SENDING}

    def original(name: str) -> Callable[..., Any]:
        return before[name] or functools.partial(getattr(kind, name), signal)

    def is_over() -> bool:
        # Someone may keep what stood here, and put it back when another block watches.
        return signal not in _watched or _watched[signal][1] is not before

    def sending(name: str) -> Callable[..., Any]:
        is_robust = name.endswith("robust")

        def send(sender: Any, **named: Any) -> Any:
            if is_over():
                return original(name)(sender, **named)
            with watch(signal, sender, named, is_robust) as seen:
                return seen([] if seen.is_kept else original(name)(sender, **named))

        async def asend(sender: Any, **named: Any) -> Any:
            if is_over():
                return await original(name)(sender, **named)
            with watch(signal, sender, named, is_robust) as seen:
                return seen([] if seen.is_kept else await original(name)(sender, **named))

        return asend if name.startswith("a") else send

    def has_listeners(sender: Any = None) -> Any:
        return is_heard() or original("has_listeners")(sender)

    replaced = {name: sending(name) for name in _SENDING if "send" in name}
    vars(signal).update(replaced, has_listeners=has_listeners)
    _watched[signal] = (vars(signal)["send"], before)


def unwatch_sends(signal: Signal) -> None:
    """Let nobody see what a signal sends any more."""
    ours, before = _watched.pop(signal)
    if vars(signal).get("send") is not ours:
        return  # someone has put something of their own on top: what is below stays, and is idle
    for name, previous in before.items():
        if previous is None:
            del vars(signal)[name]
        else:
            vars(signal)[name] = previous


_SENDING = ("send", "send_robust", "asend", "asend_robust", "has_listeners")
_watched: dict[Signal, tuple[Any, dict[str, Any]]] = {}


def receivers_of(signal: Signal, sender: Any) -> ReceiverLists:
    """Return who hears this sender, in the order of connection, whatever a hook says of them."""
    # Not by _live_receivers: hook_every_signal replaces the class's.
    heard = (make_id(None), make_id(sender))
    found: ReceiverLists = ([], [])
    for _, entry_sender_id, receiver, is_async in _entries(signal, {}):
        if entry_sender_id in heard:
            found[is_async].append(receiver)
    return found


def entries(signal: Signal) -> list[Any]:
    """Return what a signal keeps of its connections, for ``set_entries``."""
    return list(signal.receivers)


def set_entries(signal: Signal, kept: list[Any]) -> None:
    """Give a signal these connections, and no others."""
    with signal.lock:
        signal.receivers = [entry for entry in kept if _is_alive(entry)]
        signal.sender_receivers_cache.clear()


def _is_alive(entry: Any) -> bool:
    return not any(isinstance(part, weakref.ReferenceType) and part() is None for part in entry)


def watch_connections(save: Callable[[Signal], None]) -> None:
    """Call ``save`` with each signal before somebody connects to it or disconnects from it."""
    with _hooking:
        _savers.append(save)
        if len(_savers) == 1:
            for name in ("connect", "disconnect"):
                _before_watching[name] = vars(Signal)[name]
                setattr(Signal, name, _saving(_before_watching[name]))


def unwatch_connections(save: Callable[[Signal], None]) -> None:
    """Call it no more."""
    with _hooking:
        _savers.remove(save)
        if not _savers:
            for name, method in _before_watching.items():
                setattr(Signal, name, method)


_savers: list[Callable[[Signal], None]] = []
_before_watching: dict[str, Any] = {}


def _saving(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def connect(self: Signal, *args: Any, **kwargs: Any) -> Any:
        for save in (*_savers,):
            save(self)
        return method(self, *args, **kwargs)

    return connect


def connections_to_come() -> list[tuple[Any, Any]]:
    """Return what Django will connect and disconnect once a model of a certain name is loaded."""
    return [
        (model, operation)
        for model, operations in apps._pending_operations.items()
        for operation in operations
        if _is_of_a_signal(operation)
    ]


def set_connections_to_come(connections: list[tuple[Any, Any]]) -> None:
    """Let Django do this and nothing else; at once, where the model has been loaded by now."""
    now = connections_to_come()
    for model, operation in now:
        if (model, operation) not in connections:
            apps._pending_operations[model].remove(operation)
    for model, operation in connections:
        if (model, operation) not in now:
            apps.lazy_model_operation(operation.func, model)


def _is_of_a_signal(operation: Any) -> bool:
    # Relations wait there as well. They are told apart as Django's check of lazy references does.
    while hasattr(operation, "func"):
        operation = operation.func
    return isinstance(getattr(operation, "__self__", None), Signal)
