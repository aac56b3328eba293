"""An event as JSON, and back.

Format, version 1: ``{"v": 1, "receiver": name, "signal": label, "sender": model label or null,
"kwargs": {...}, "lineage": [[receiver, row or null], ...]}``. ``values`` has the format of each
argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.dispatch import Signal

from . import builtin, values
from .exceptions import PayloadError
from .lineage import Chain, Link, Row

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a payload says, its form checked, its rows not loaded."""

    receiver: str
    signal: str
    sender: type[models.Model] | None
    kwargs: Mapping[str, Any]
    chain: Chain


def encode(
    receiver: str,
    *,
    signal: str,
    sender: Any,
    kwargs: Mapping[str, Any],
    chain: Chain,
) -> str:
    """Write an event as JSON text.

    Raises:
        PayloadError: An argument cannot travel. The text names the receiver and the argument.
    """
    return json.dumps(
        {
            "v": VERSION,
            "receiver": receiver,
            "signal": signal,
            "sender": _encode_sender(receiver, sender),
            "kwargs": {name: values.encode(receiver, name, each) for name, each in kwargs.items()},
            "lineage": [
                [link.receiver, link.row.key if link.row and not link.row.unsaved else None]
                for link in chain
            ],
        },
        separators=(",", ":"),
    )


def decode(receiver: str, text: object) -> Message:
    """Read a payload that was sent to this receiver.

    Raises:
        PayloadError: It is not a payload, of an unknown version, or names no installed model.
    """
    try:
        data = json.loads(text)  # type: ignore[arg-type]
        version = data["v"]
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise PayloadError(receiver, "the payload", f"is no payload ({error!r})") from error
    if type(version) is not int or version != VERSION:
        raise PayloadError(
            receiver,
            "the payload",
            f"has version {version!r}, and this release reads version {VERSION}",
            "Upgrade the workers before the processes that send.",
        )
    try:
        message = _message(receiver, data)
    except (TypeError, ValueError, KeyError) as error:
        raise PayloadError(receiver, "the payload", f"is malformed ({error!r})") from error
    if message.receiver != receiver:
        raise PayloadError(receiver, "the payload", f"is for receiver {message.receiver!r}")
    return message


def load(message: Message, on_missing: values.OnMissing) -> dict[str, Any]:
    """Return the arguments with their rows loaded, each from the database it was on.

    ``on_missing`` gives what stands in for a row that is gone, or raises.
    """
    return {
        name: values.decode(message.receiver, name, value, on_missing)
        for name, value in message.kwargs.items()
    }


def signal_label(signals: Sequence[Signal], signal: Signal) -> str:
    """Name one of a receiver's signals: by Django's name, or by its place among them."""
    return builtin.NAMES.get(signal) or str(signals.index(signal))


def signal_of(receiver: str, signals: Sequence[Signal], label: str) -> Signal:
    """Return the signal that a label stands for."""
    for signal in signals:
        if signal_label(signals, signal) == label:
            return signal
    raise PayloadError(
        receiver,
        f"signal {label!r}",
        "is not one this receiver is connected to",
        "Keep receivers connected to a signal until its messages have been worked off.",
    )


def _message(receiver: str, data: Mapping[str, Any]) -> Message:
    kwargs = data["kwargs"]
    if not isinstance(kwargs, dict) or not kwargs.keys().isdisjoint(("signal", "sender")):
        raise ValueError("kwargs")
    return Message(
        receiver=data["receiver"],
        signal=data["signal"],
        sender=None if data["sender"] is None else values.model_named(receiver, data["sender"]),
        kwargs=kwargs,
        chain=tuple(_link(entry) for entry in data["lineage"]),
    )


def _link(entry: Any) -> Link:
    name, key = entry
    if not isinstance(entry, list) or not isinstance(name, str) or not isinstance(key, str | None):
        raise ValueError("lineage")
    return Link(name, None if key is None else Row(key))


def _encode_sender(receiver: str, sender: Any) -> str | None:
    if sender is None:
        return None
    if isinstance(sender, type) and issubclass(sender, models.Model):
        return sender._meta.label
    raise PayloadError(
        receiver,
        "sender",
        f"is {sender!r}, and only models and None can travel as sender",
        "Send the signal with a model or None as its sender.",
    )
