"""Whether a function can be called with what a signal sends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from django.dispatch import Signal

from . import builtin, calling, naming
from .exceptions import InvalidReceiverError

# What a receiver with batch=True is called with.
BATCH_ARGUMENTS = frozenset({"sender", "events", "using"})


def check_function(function: object, signals: Sequence[Signal], *, batch: bool = False) -> None:
    """Refuse a function that would fail when the signal is sent."""
    if isinstance(function, staticmethod | classmethod):
        raise InvalidReceiverError(
            naming.dotted_name(function.__func__),
            f"is a {type(function).__name__} already",
            f"Write the decorator below @{type(function).__name__}"
            + ("." if isinstance(function, staticmethod) else ", or connect the bound method."),
        )
    if not callable(function):
        raise InvalidReceiverError(repr(function), "is not callable", "Decorate a function.")
    name = naming.dotted_name(function)
    parameters = _parameters(name, function)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        raise InvalidReceiverError(
            name,
            "does not accept **kwargs",
            "Add **kwargs to its parameters: a signal may send more arguments in future.",
        )
    for parameter in parameters:
        if parameter.default is not parameter.empty:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise InvalidReceiverError(
                name,
                f"takes {parameter.name!r} by position only",
                "A signal passes every argument by name: remove the '/'.",
            )
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            if batch:
                _check_argument_of_batch(name, parameter.name)
            else:
                _check_argument_is_sent(name, parameter.name, signals)


def check_when(name: str, when: object) -> None:
    """Refuse a ``when=`` that would fail when the signal is sent."""
    _check_asked(name, "when", when, "true or false", "instance.paid")


def check_ordering_key(name: str, ordering_key: object) -> None:
    """Refuse an ``ordering_key=`` that would fail when the signal is sent."""
    _check_asked(name, "ordering_key", ordering_key, "the key", "instance.customer_id")


def _check_asked(name: str, keyword: str, function: object, returned: str, example: str) -> None:
    if not callable(function) or calling.is_async(function):
        raise InvalidReceiverError(
            name,
            f"has {keyword}={function!r}",
            f"Give a plain function of the signal's arguments that returns {returned}.",
        )
    parameters = _parameters(name, function)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        raise InvalidReceiverError(
            name,
            f"has {keyword}= that does not accept **kwargs",
            f"Write it like a receiver: {keyword}=lambda instance, **kwargs: {example}.",
        )


def _parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise InvalidReceiverError(
            name, "has no signature that Python can read", "Decorate a function written in Python."
        ) from error


def _check_argument_is_sent(name: str, argument: str, signals: Sequence[Signal]) -> None:
    for signal in signals:
        sent = builtin.ARGUMENTS.get(signal)
        if sent is not None and argument not in sent | {"signal", "sender"}:
            raise InvalidReceiverError(
                name,
                f"requires {argument!r}, which {builtin.name_of(signal)} does not send",
                f"It sends sender, signal, {', '.join(sorted(sent))}. "
                + (
                    "For a list of events, add batch=True."
                    if argument == "events"
                    else "Correct the name, or give it a default."
                ),
            )


def _check_argument_of_batch(name: str, argument: str) -> None:
    if argument not in BATCH_ARGUMENTS:
        raise InvalidReceiverError(
            name,
            f"requires {argument!r}, and has batch=True",
            "It is called once for many events: write def receiver(sender, events, **kwargs), and "
            f"read event.{argument} or event.kwargs[{argument!r}] of each.",
        )
