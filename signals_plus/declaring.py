"""What each of the decorators does with a function: look at all that it was given, and connect."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from . import naming, signatures, validation
from .connecting import BaseReceiver, connect
from .options import Options

F = TypeVar("F", bound=Callable[..., Any])


def decorator(
    kind: type[BaseReceiver],
    signal: object,
    sender: object,
    dispatch_uid: Hashable | None,
    options: Options,
    *,
    name: str | None = None,
) -> Callable[[F], F]:
    """Return what connects a function as a receiver of this kind, and gives it back as it was.

    Raises:
        InvalidReceiverError: At once for the signals, else when it is given the function.
    """
    signals = validation.signals_of(signal)

    def decorate(function: F) -> F:
        signatures.check_function(function, signals, batch=options.batch)
        receiver = kind(
            function,
            name=name or naming.dotted_name(function),
            signals=signals,
            senders=validation.senders_of(naming.dotted_name(function), sender, signals),
            options=options,
        )
        receiver.validate()
        connect(receiver, dispatch_uid)
        return function

    return decorate
