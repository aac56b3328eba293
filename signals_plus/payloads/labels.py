"""What messages call the signals and the senders of a receiver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from django.dispatch import Signal

from .. import builtin
from ..exceptions import PayloadError
from ..naming import dotted_name

_DJANGOS = frozenset(builtin.NAMES.values())


def signal_labels(function: Callable[..., Any], signals: Sequence[Signal]) -> Mapping[Signal, str]:
    """Name a receiver's signals; to be called once per receiver.

    Django's have their own names. A custom one has the name by which the receiver's module knows
    it, ``paid`` or ``signals.paid``, so that messages in flight keep their meaning when the list of
    signals is reordered. One without a name has its place in the list.
    """
    return {
        signal: builtin.NAMES.get(signal) or _name_known_to(function, signal) or str(place)
        for place, signal in enumerate(signals)
    }


def signal_of(receiver: str, labels: Mapping[Signal, str], label: str) -> Signal:
    """Return the signal that a label stands for; a place is one too, as version 1 wrote them.

    Raises:
        PayloadError: The receiver is not connected to it.
    """
    for place, (signal, own) in enumerate(labels.items()):
        if label in (own, str(place)):
            return signal
    raise PayloadError(
        receiver,
        f"signal {label!r}",
        "is not one this receiver is connected to",
        "Keep receivers connected to a signal until its messages have been worked off.",
    )


def sender_labels(senders: Sequence[Any]) -> list[str | int]:
    """Name senders that are no models: classes and functions by name, others by their place."""
    names: list[str | int] = [
        dotted_name(sender) if callable(sender) else place for place, sender in enumerate(senders)
    ]
    return [name if names.count(name) == 1 else place for place, name in enumerate(names)]


def _name_known_to(function: Callable[..., Any], signal: Signal) -> str | None:
    names = _globals_of(function)
    for name, value in names.items():
        if value is signal and name not in _DJANGOS:
            return name
    for name, value in names.items():
        # By its type: isinstance() would make a lazy object, such as the settings, load itself.
        if issubclass(type(value), ModuleType):
            for attribute, inner in list(vars(value).items()):
                if inner is signal:
                    return f"{name}.{attribute}"
    return None


def _globals_of(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(getattr(function, "func", function))  # functools.partial
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    return dict(getattr(function, "__globals__", {}))
