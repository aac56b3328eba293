"""The one place that connects anything to a signal."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from django.apps import apps
from django.core.exceptions import AppRegistryNotReady
from django.db import models
from django.db.models.signals import ModelSignal
from django.dispatch import Signal

from . import _compat, builtin, calling, guards, lineage, live, naming, observing, validation
from .events import row_alias
from .exceptions import InvalidReceiverError
from .options import Options

logger = logging.getLogger("signals_plus")


class BaseReceiver(ABC):
    """A function and the rules by which signals reach it."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        signals: Sequence[Signal],
        senders: Sequence[Any],
        options: Options,
    ) -> None:
        self.function = function
        self.name = name
        self.signals = tuple(signals)
        self.senders = tuple(senders)
        self.options = options
        self.guard_key = guards.key_of(function)
        self.origin = naming.Origin.of(function)
        self.call = calling.synchronous(function)

    def validate(self) -> None:
        """Raise InvalidReceiverError for options that cannot mean anything."""
        validation.check_options(self.name, self.options, self.signals)

    def about_to_connect(self) -> None:
        """Do what may still refuse the receiver, once all else agrees to it."""

    def connected(self) -> None:
        """Do what is left once all signals are connected."""

    def sender_models(self) -> Iterator[type[models.Model]]:
        """Yield the senders that are models, once all are loaded."""
        for sender in self.senders:
            if isinstance(sender, str) and sender.count(".") == 1:
                try:
                    yield apps.get_model(sender)
                except LookupError:  # of a model: Django's own check says so
                    continue
            elif isinstance(sender, type) and issubclass(sender, models.Model):
                yield sender

    def is_connected(self) -> bool:
        """Tell whether any of the signals still has the receiver."""
        waiting = any(live.ours(each) is self for _, _, _, each in _waiting())
        return waiting or any(
            live.ours(each) is self for signal in self.signals for each in _compat.connected(signal)
        )

    @abstractmethod
    def dispatch(self, signal: Signal, sender: Any, kwargs: Mapping[str, Any]) -> Any:
        """Do what the decorator promises with an event that passed all conditions."""

    def receive(self, signal: Signal, sender: Any, kwargs: Mapping[str, Any]) -> Any:
        """Take one event from the signal, if it is one that this receiver asked for."""
        options = self.options
        if not options.raw and kwargs.get("raw") and isinstance(signal, ModelSignal):
            return observing.skip(self, "raw")
        if options.created is not None and kwargs.get("created") is not options.created:
            return observing.skip(self, "created")
        if options.when is not None and not options.when(signal=signal, sender=sender, **kwargs):
            return observing.skip(self, "when")
        if lineage.current() and not lineage.is_allowed(
            self.guard_key, kwargs.get("instance"), row_alias(kwargs), options.recursion
        ):
            logger.debug("Receiver %s skipped: its own work caused the event again", self.name)
            return observing.skip(self, "recursion")
        return self.dispatch(signal, sender, kwargs)


def connect(receiver: BaseReceiver, dispatch_uid: Hashable | None) -> None:
    """Connect a receiver to all its signals and senders, or to none if one of them is refused.

    The signal stores the receiver under the key Django would have given the function itself, so
    that ``signal.disconnect(function)`` finds it.
    """
    key = dispatch_uid or _compat.make_id(receiver.function)
    pairs = [
        (signal, _resolved(receiver, signal, sender))
        for signal, sender in product(receiver.signals, receiver.senders)
    ]
    replaced = [
        (signal, sender, old_key)
        for signal, sender in pairs
        for old_key in _keys_to_replace(receiver, signal, sender, dispatch_uid)
    ]
    receiver.about_to_connect()
    for signal, sender, old_key in replaced:
        signal.disconnect(sender=sender, dispatch_uid=old_key)
    connected = _connectable(receiver)
    for signal, sender in pairs:
        if isinstance(sender, str) and isinstance(signal, ModelSignal):
            _waiting_for_model.append((signal, sender.lower(), key, connected))
        signal.connect(connected, sender=sender, weak=False, dispatch_uid=key)
        if receiver.options.priority:
            live.prioritize(signal)
    receiver.connected()
    observing.connected(receiver)


# What was connected to a model that is not loaded yet: no signal knows of it so far.
_waiting_for_model: list[tuple[Signal, str, Any, Callable[..., Any]]] = []


def _connectable(receiver: BaseReceiver) -> Callable[..., Any]:
    """Return what the signal calls: always synchronous, named as the function it stands for.

    Not ``functools.wraps``: Django would look through ``__wrapped__`` for its own checks.
    """
    receive = receiver.receive

    def connected(signal: Signal, sender: Any, **kwargs: Any) -> Any:
        return receive(signal, sender, kwargs)

    module, _, qualname = naming.dotted_name(receiver.function).rpartition(".")
    connected.__module__ = getattr(receiver.function, "__module__", module)
    connected.__qualname__ = getattr(receiver.function, "__qualname__", qualname)
    connected.__name__ = getattr(receiver.function, "__name__", qualname)
    connected.__doc__ = receiver.function.__doc__
    connected.signals_plus = receiver  # type: ignore[attr-defined]
    return connected


def _resolved(receiver: BaseReceiver, signal: Signal, sender: Any) -> Any:
    """Return the model that a string names, if it is loaded already."""
    if not isinstance(sender, str) or sender.count(".") != 1:
        return sender
    model = _loaded(sender)
    if model is None and not isinstance(signal, ModelSignal) and not apps.models_ready:
        raise InvalidReceiverError(
            receiver.name,
            f"has sender={sender!r} before models are loaded, on a signal that cannot wait for it",
            "Connect it in a receivers.py, which is imported later, or name the model class.",
        )
    return model or sender


def _loaded(label: str) -> Any:
    try:
        return apps.get_registered_model(*label.split("."))
    except (LookupError, AppRegistryNotReady):
        return None


def waiting() -> tuple[Any, ...]:
    """Return what will be connected to models that are not loaded yet, for ``restore_waiting``."""
    return list(_waiting()), _compat.connections_to_come()


def restore_waiting(connections: tuple[Any, ...]) -> None:
    """Connect these later, and no others."""
    ours, of_django = connections
    _waiting_for_model[:] = ours
    _compat.set_connections_to_come(of_django)


def _waiting() -> list[tuple[Signal, str, Any, Callable[..., Any]]]:
    _waiting_for_model[:] = [entry for entry in _waiting_for_model if _loaded(entry[1]) is None]
    return _waiting_for_model


def _keys_to_replace(
    receiver: BaseReceiver, signal: Signal, sender: Any, dispatch_uid: Hashable | None
) -> list[Hashable]:
    """Return the keys of connections that this one takes the place of, or refuse it."""
    key = dispatch_uid or _compat.make_id(receiver.function)
    replaced = []
    for old_key, connected in _connected_before(signal, sender):
        old = live.ours(connected)
        if old is None:
            if old_key == key:
                raise _taken(receiver, signal, connected)
        elif old.function == receiver.function:
            again = old_key == key and type(old) is type(receiver)
            if not again or not (dispatch_uid or old.options == receiver.options):
                raise InvalidReceiverError(
                    receiver.name,
                    f"is connected to {builtin.name_of(signal)} twice for the sender {sender!r}",
                    "Use one decorator for each signal and sender: Django would drop the second, "
                    "or run the function twice.",
                )
            replaced.append(old_key)
        elif old.origin is not None and old.origin.is_imported_again_as(receiver.origin):
            replaced.append(old_key)
        elif old_key == key:
            raise _taken(receiver, signal, old.function)
    return replaced


def _connected_before(signal: Signal, sender: Any) -> list[tuple[Any, Callable[..., Any]]]:
    if isinstance(sender, str) and isinstance(signal, ModelSignal):
        return [
            (key, connected)
            for waiting, label, key, connected in _waiting()
            if waiting is signal and label == sender.lower()
        ]
    return list(_compat.connected_to(signal, sender))


def _taken(
    receiver: BaseReceiver, signal: Signal, other: Callable[..., Any]
) -> InvalidReceiverError:
    if other == receiver.function:
        return InvalidReceiverError(
            receiver.name,
            f"is connected to {builtin.name_of(signal)} by Django's own receiver already",
            "Use one decorator.",
        )
    return InvalidReceiverError(
        receiver.name,
        f"has a dispatch_uid that {naming.dotted_name(other)!r} has taken on "
        f"{builtin.name_of(signal)}",
        "Django would drop the second of the two without a word. Give each its own dispatch_uid.",
    )
