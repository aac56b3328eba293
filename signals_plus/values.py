"""One argument of a signal as JSON, and back.

A dictionary with one key that begins with ``$`` stands for a value that JSON has no word for:
``$model`` (model label, alias, pk), ``$frozenset`` and ``$dict`` (a dictionary that has such a key
itself).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections, models

from .exceptions import PayloadError

# Python writes and reads integers of at most 4300 digits, or fewer: sys.set_int_max_str_digits().
MAX_INT_BITS = 2000

OnMissing = Callable[[models.ObjectDoesNotExist], Any]


def encode(receiver: str, name: str, value: Any) -> Any:
    """Return what stands for the argument ``name`` of ``receiver`` in JSON.

    Raises:
        PayloadError: It cannot travel. The text names the receiver, the place and the type.
    """
    try:
        return _encode(receiver, name, value)
    except RecursionError as error:
        raise PayloadError(
            receiver, name, "is nested too deeply to travel", "It may contain itself."
        ) from error


def decode(receiver: str, name: str, value: Any, on_missing: OnMissing) -> Any:
    """Return the argument, its rows loaded, each from the database it was on.

    ``on_missing`` gives what stands in for a row that is gone, or raises.

    Raises:
        PayloadError: No sender wrote this.
    """
    try:
        return _decode(receiver, name, value, on_missing)
    except RecursionError as error:
        raise PayloadError(receiver, name, "is nested too deeply") from error


def _encode(receiver: str, path: str, value: Any) -> Any:
    kind = type(value)
    if _is_json(value):
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
        f"is {_shown(value)} ({kind.__module__}.{kind.__qualname__}), which cannot travel to a "
        "worker",
        "Send JSON values (str, int, finite float, bool, None, list, dict with str keys) and "
        "saved model instances, or use receiver_on_commit.",
    )


def _is_json(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return int.bit_length(value) <= MAX_INT_BITS
    if kind is float:
        return math.isfinite(value)
    return value is None or kind in (bool, str)


def _reference(receiver: str, path: str, instance: models.Model) -> list[Any]:
    if not instance._is_pk_set() or instance._state.adding:  # type: ignore[attr-defined]
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


def _decode(receiver: str, path: str, value: Any, on_missing: OnMissing) -> Any:
    if isinstance(value, list):
        return [_decode(receiver, f"{path}[{i}]", item, on_missing) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    tag, inner = next(iter(value.items())) if len(value) == 1 else ("", None)
    if tag == "$model":
        return _load_row(receiver, path, inner, on_missing)
    if tag == "$frozenset" and isinstance(inner, list) and all(type(x) is str for x in inner):
        return frozenset(inner)
    items = inner if tag == "$dict" and isinstance(inner, dict) else value
    if tag.startswith("$") and items is value:
        raise PayloadError(receiver, path, f"holds the unknown or malformed tag {tag!r}")
    return {
        key: _decode(receiver, f"{path}[{key!r}]", item, on_missing) for key, item in items.items()
    }


def _load_row(receiver: str, path: str, reference: Any, on_missing: OnMissing) -> Any:
    if not isinstance(reference, list) or len(reference) != 3:
        raise PayloadError(receiver, path, f"holds {reference!r}, which refers to no row")
    label, alias, pk = reference
    model = model_named(receiver, label)
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
    except (TypeError, ValueError, OverflowError, ValidationError) as error:
        raise PayloadError(
            receiver, path, f"has the primary key {pk!r}, which no {label} can have"
        ) from error


def model_named(receiver: str, label: Any) -> type[models.Model]:
    """Return an installed model. The label is looked up, never imported."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError, AttributeError) as error:
        raise PayloadError(
            receiver,
            f"the model {label!r}",
            "is not installed here",
            "Give the workers the same INSTALLED_APPS as the processes that send.",
        ) from error


def _shown(value: Any) -> str:
    """Return the value as a message can show it: of bounded length, whatever its repr does."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of too many digits
        return "a value"
