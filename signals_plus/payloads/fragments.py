"""Events as JSON text: ``[signal, sender, {argument: value, ...}]`` each.

The sender is a model's label or null, or a value with a tag. An ``instance`` that is a row of the
sender, on the database that ``using`` names, is ``{"$model": pk}``, or ``{"$models": [pk, ...]}``
in an event that stands for several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any
from uuid import UUID

from django.apps import AppConfig
from django.db import models

from ..conf import MIN_PAYLOAD_BYTES, settings
from ..exceptions import PayloadError
from . import labels, references, snapshots, types
from .encoding import write
from .faults import Fault, shown, too_deep
from .leaves import tagged
from .shapes import MAX_TEXT, Fragment, KnownShapes, Shape

Arguments = Mapping[str, Any]

# Where the key goes: no JSON text has this character.
_PLACE = "\0"

# Keys are written without a check between these, which every database has.
MIN_INT, MAX_INT = -(2**63), 2**63 - 1

_known_shapes = KnownShapes()


def encode_event(
    receiver: str,
    *,
    signal: str,
    sender: Any,
    kwargs: Arguments,
    senders: Sequence[Any] = (),
) -> Fragment:
    """Write an event as JSON text, to be put into a payload by ``compose``.

    Args:
        receiver: Its name, for the error.
        signal: The signal's label.
        sender: What sent it.
        kwargs: The other arguments of the signal.
        senders: Those the receiver is connected to: one that is no model travels by its name
            among them.

    Raises:
        PayloadError: An argument cannot travel, or all of them are too large. The text names the
            receiver and the argument.
    """
    about = (signal, sender)
    key = _own_key(signal, sender, kwargs)
    if key is None:
        return Fragment(_written(receiver, about, kwargs, senders), None)
    shape = _known_shapes.get(about, kwargs)
    if shape is None:
        shape = _written(receiver, about, kwargs, senders, has_key=True)
        _known_shapes.add(about, kwargs, shape)
    return Fragment(shape, key)


def _written(
    receiver: str,
    about: tuple[str, Any],
    kwargs: Arguments,
    senders: Sequence[Any],
    *,
    has_key: bool = False,
) -> Shape:
    signal, sender = about
    special = _SPECIAL.get(signal, _NONE)
    name, parts = "sender", []
    try:
        written_sender = _write_sender(sender, senders)
        for name, value in kwargs.items():
            if has_key and name == "instance":
                text = _PLACE
            elif name in special:
                text = special[name](value, kwargs)
            else:
                text = write(value)
            parts.append(f"{encode_basestring_ascii(name)}:{text}")
    except Fault as fault:
        raise fault.inside(name).error(receiver) from fault.__cause__
    except RecursionError as error:  # the signal was sent at the end of the stack
        raise too_deep().inside(name).error(receiver) from error
    event = f"[{encode_basestring_ascii(signal)},{written_sender},{{{','.join(parts)}}}]"
    if len(event) > MIN_PAYLOAD_BYTES:
        _check_size(receiver, len(event))
    head, _, tail = event.partition(_PLACE)
    return Shape(head, tail)


def with_arguments(event: Fragment, arguments: Arguments) -> Fragment:
    """Return a written event with other values for some of its arguments."""
    signal, sender, kwargs = json.loads(event.text)
    kwargs |= {name: json.loads(write(value)) for name, value in arguments.items()}
    return Fragment(Shape(json.dumps([signal, sender, kwargs], separators=(",", ":")), ""), None)


def _own_key(signal: str, sender: Any, kwargs: Arguments) -> str | None:
    """Return the key of a row of the sender, if all else follows from sender and using."""
    instance = kwargs.get("instance")
    if type(instance) is not sender or not isinstance(instance, models.Model):
        return None
    state = instance._state
    alias = None if state.adding or signal in _DELETIONS else state.db
    if alias is None or alias != kwargs.get("using"):
        return None
    key = instance.pk
    if type(key) is int:
        return str(key) if MIN_INT <= key <= MAX_INT else None
    if type(key) is UUID:
        return f'"{key}"'
    if type(key) is str and len(key) <= MAX_TEXT and key.isascii():
        return encode_basestring_ascii(key)
    return None


def _write_sender(sender: Any, senders: Sequence[Any]) -> str:
    if sender is None:
        return "null"
    if isinstance(sender, models.base.ModelBase):
        return references.quoted_label(sender)
    if isinstance(sender, AppConfig):
        return write(sender)
    for known, label in zip(senders, labels.sender_labels(senders), strict=True):
        if known is sender:
            return tagged("$sender", label)
    if isinstance(sender, type) and types.for_class(sender) is not None:
        return write(sender)
    raise Fault(
        f"is {shown(sender)}, which a worker could not name",
        "Send the signal with a model or None as its sender, or name the sender in sender=.",
    )


def _check_size(receiver: str, size: int) -> None:
    limit = settings.max_payload_bytes
    if size > limit:
        raise PayloadError(
            receiver,
            "the event",
            f"takes {size} bytes as JSON, and SIGNALS_PLUS_MAX_PAYLOAD_BYTES allows {limit}",
            "Send the row, or a key to where the data is, and let the task read it.",
        )


def _write_deleted(instance: Any, kwargs: Arguments) -> str:
    if not isinstance(instance, models.Model):
        return write(instance)
    alias = kwargs.get("using") or instance._state.db or "default"
    return snapshots.write_row(instance, alias)


def _write_origin(origin: Any, kwargs: Arguments) -> str:
    """Write the model that ``delete()`` was called on: the queryset would be empty by then."""
    if isinstance(origin, models.QuerySet):
        return write(origin.model)
    return write(type(origin) if isinstance(origin, models.Model) else origin)


def _write_plan(plan: Any, kwargs: Arguments) -> str:
    """Write what is migrated by name; a Migration is code."""
    return write([(step.app_label, step.name, backwards) for step, backwards in plan or ()])


def _write_apps(apps: Any, kwargs: Arguments) -> str:
    return '{"$apps":null}'


def _write_nothing(value: Any, kwargs: Arguments) -> str:
    return "null"


_DELETIONS = frozenset({"pre_delete", "post_delete"})
_NONE: Mapping[str, Callable[[Any, Arguments], str]] = {}
_DELETE = {"instance": _write_deleted, "origin": _write_origin}
_MIGRATE = {"plan": _write_plan, "apps": _write_apps, "stdout": _write_nothing}
_SPECIAL: Mapping[str, Mapping[str, Callable[[Any, Arguments], str]]] = {
    "pre_delete": _DELETE,
    "post_delete": _DELETE,
    "pre_migrate": _MIGRATE,
    "post_migrate": _MIGRATE,
}
