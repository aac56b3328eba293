"""An event as JSON, and back.

Format, version 1: ``{"v": 1, "receiver": name, "signal": label, "sender": model label or null,
"kwargs": {...}, "lineage": [[receiver, row or null], ...]}``. Among the arguments, a dictionary
with one key that begins with ``$`` stands for a value that JSON has no word for: ``$model``
(model label, alias, pk), ``$frozenset`` and ``$dict`` (a dictionary that has such a key itself).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections, models
from django.dispatch import Signal

from . import builtin
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
            "kwargs": {name: _encode(receiver, name, value) for name, value in kwargs.items()},
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
    if version != VERSION:
        raise PayloadError(
            receiver,
            "the payload",
            f"has version {version!r}, and this release reads version {VERSION}",
            "Upgrade the workers before the processes that send.",
        )
    try:
        message = Message(
            receiver=data["receiver"],
            signal=data["signal"],
            sender=None if data["sender"] is None else _model(receiver, data["sender"]),
            kwargs=dict(data["kwargs"]),
            chain=tuple(Link(name, key and Row(key)) for name, key in data["lineage"]),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise PayloadError(receiver, "the payload", f"is malformed ({error!r})") from error
    if message.receiver != receiver:
        raise PayloadError(receiver, "the payload", f"is for receiver {message.receiver!r}")
    return message


def load(
    message: Message, on_missing: Callable[[models.ObjectDoesNotExist], Any]
) -> dict[str, Any]:
    """Return the arguments with their rows loaded, each from the database it was on.

    ``on_missing`` gives what stands in for a row that is gone, or raises.
    """
    return {
        name: _decode(message.receiver, name, value, on_missing)
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


def _encode(receiver: str, path: str, value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float and math.isfinite(value):
        return value
    if isinstance(value, models.Model):
        return {"$model": _reference(receiver, path, value)}
    if kind is list:
        return [_encode(receiver, f"{path}[{i}]", item) for i, item in enumerate(value)]
    if kind is frozenset and all(type(item) is str for item in value):
        return {"$frozenset": sorted(value)}
    if kind is dict and all(type(key) is str for key in value):
        encoded = {key: _encode(receiver, f"{path}[{key!r}]", item) for key, item in value.items()}
        return {"$dict": encoded} if any(key.startswith("$") for key in encoded) else encoded
    raise PayloadError(
        receiver,
        path,
        f"is {value!r} ({kind.__module__}.{kind.__qualname__}), which cannot travel to a worker",
        "Send JSON values (str, int, finite float, bool, None, list, dict with str keys) and "
        "saved model instances, or use receiver_on_commit.",
    )


def _reference(receiver: str, path: str, instance: models.Model) -> list[Any]:
    if instance.pk is None or instance._state.adding:
        raise PayloadError(
            receiver,
            path,
            f"is {instance!r}, which is not saved",
            "Save it first: the worker loads it by its primary key.",
        )
    alias = instance._state.db or "default"
    return [instance._meta.label, alias, _encode_pk(receiver, path, instance.pk)]


def _encode_pk(receiver: str, path: str, pk: Any) -> Any:
    if isinstance(pk, tuple):  # a CompositePrimaryKey
        return [_encode_pk(receiver, path, part) for part in pk]
    if isinstance(pk, UUID):
        return str(pk)  # the field reads it back
    if isinstance(pk, bool) or not isinstance(pk, int | str):
        raise PayloadError(
            receiver,
            path,
            f"has the primary key {pk!r}, which cannot travel",
            "Primary keys may be int, str and UUID, or composed of them.",
        )
    return int(pk) if isinstance(pk, int) else str.__str__(pk)


def _decode(
    receiver: str, path: str, value: Any, on_missing: Callable[[models.ObjectDoesNotExist], Any]
) -> Any:
    if isinstance(value, list):
        return [_decode(receiver, f"{path}[{i}]", item, on_missing) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    tag, inner = next(iter(value.items())) if len(value) == 1 else ("", None)
    if tag == "$model":
        return _load_row(receiver, path, inner, on_missing)
    if tag == "$frozenset" and isinstance(inner, list):
        return frozenset(inner)
    items = inner if tag == "$dict" and isinstance(inner, dict) else value
    if tag.startswith("$") and items is value:
        raise PayloadError(receiver, path, f"holds the unknown or malformed tag {tag!r}")
    return {
        key: _decode(receiver, f"{path}[{key!r}]", item, on_missing) for key, item in items.items()
    }


def _load_row(
    receiver: str, path: str, reference: Any, on_missing: Callable[[models.ObjectDoesNotExist], Any]
) -> Any:
    if not isinstance(reference, list) or len(reference) != 3:
        raise PayloadError(receiver, path, f"holds {reference!r}, which refers to no row")
    label, alias, pk = reference
    model = _model(receiver, label)
    if alias not in connections:
        raise PayloadError(
            receiver,
            path,
            f"is a {label} on the database {alias!r}, which DATABASES does not have here",
            "Give the workers the same DATABASES as the processes that send.",
        )
    try:
        # The base manager: the default one may hide rows that the signal was about.
        rows = model._base_manager.using(alias)
        return rows.get(pk=tuple(pk) if isinstance(pk, list) else pk)
    except models.ObjectDoesNotExist as error:
        return on_missing(error)


def _model(receiver: str, label: Any) -> type[models.Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError, AttributeError) as error:
        raise PayloadError(
            receiver,
            f"the model {label!r}",
            "is not installed here",
            "Give the workers the same INSTALLED_APPS as the processes that send.",
        ) from error
