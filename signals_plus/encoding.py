"""One value as JSON text.

A dictionary with one key that begins with ``$`` stands for a value that JSON has no word for:

========================== =================================================================
``$model``                 a row: ``[model label, alias, pk]``
``$class`` ``$app``        a model class, or a registered one; an AppConfig
``$tuple`` ``$set``        a list of what is in it; ``$frozenset`` too
``$dict``                  a list of pairs, or a dictionary that would look like one of these
``$type``                  ``[name, value]`` of a registered type
========================== =================================================================

and those of ``scalars``. The text is ASCII, so that its length is its size in bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any
from uuid import UUID

from django.apps import AppConfig, apps
from django.db import models
from django.utils.functional import Promise

from . import payload_types, scalars
from .faults import MALFORMED, MAX_DEPTH, Fault, key_part, refusal, shown, too_deep


def write(value: Any, depth: int = 0) -> str:
    """Return the value as JSON text.

    Raises:
        Fault: It cannot travel.
    """
    kind = type(value)
    if (leaf := LEAVES.get(kind)) is not None:
        return leaf(value)
    if (container := CONTAINERS.get(kind)) is not None:
        if depth >= MAX_DEPTH:
            raise too_deep()
        return container(value, depth + 1)
    return _write_other(value, depth)


def quote(text: str) -> str:
    """Return a string as JSON text."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Fault(
                f"is {shown(text)}, a text with a lone surrogate, which is no Unicode",
                "Send the bytes, or replace what cannot be decoded.",
            ) from error
    return encode_basestring_ascii(text)


def pk(instance: models.Model, value: Any) -> str:
    """Return a primary key as JSON text: its field reads it back."""
    kind = type(value)
    if kind is int:
        return _write_int(value)
    if kind is str:
        return quote(value)
    if isinstance(value, tuple):
        return f"[{','.join(pk(instance, part) for part in value)}]"
    if kind is UUID:
        return f'"{value}"'
    value = plain(value)
    if type(value) in scalars.WRITERS or type(value) in (int, str):
        return write(value)
    try:
        return field_text(instance, instance._meta.pk, value)
    except MALFORMED as error:
        raise Fault(
            f"has the primary key {shown(value)}, which cannot travel",
            "A key may be an int, text, a date, a Decimal, ..., or what its field writes as text.",
        ) from error


def field_text(instance: models.Model, field: Any, value: Any) -> str:
    """Return a value of a type of the field's own as the field writes it, if it can read it too.

    Raises:
        One of ``faults.MALFORMED``: It cannot.
    """
    text = field.value_to_string(instance)
    if type(text) is not str or hasattr(value, "resolve_expression"):
        raise TypeError(f"{field!r} does not write text")
    field.to_python(text)
    return quote(text)


def plain(value: Any) -> Any:
    """Return what a member of a str or int Enum is for a database; anything else as it is."""
    if isinstance(value, Enum):
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
    return value


def row(instance: models.Model) -> str:
    """Return a reference to a saved row as JSON text."""
    state = instance._state
    key = instance.pk
    if state.adding or key is None or not instance._is_pk_set():  # type: ignore[attr-defined]
        raise Fault(
            f"is {shown(instance)}, which is not saved",
            "Save it first: the worker loads it by its primary key.",
        )
    alias = quote(state.db or "default")
    return f'{{"$model":[{quoted_label(instance.__class__)},{alias},{pk(instance, key)}]}}'


@lru_cache(maxsize=1000)
def quoted_label(model: type[models.Model]) -> str:
    """Return the label of an installed model as JSON text."""
    label = model._meta.label
    try:
        apps.get_model(label)
    except LookupError as error:
        raise Fault(
            f"names the model {label!r}, which no worker has: it is of no installed app"
        ) from error
    return quote(label)


def tagged(tag: str, data: Any) -> str:
    """Return what a scalar's writer made of it as JSON text."""
    return f'{{"{tag}":{quote(data) if type(data) is str else json.dumps(data)}}}'


def _write_int(value: int) -> str:
    if value.bit_length() > scalars.MAX_INT_BITS:
        raise Fault(
            f"is {shown(value)} (builtins.int), an integer of more than "
            f"{scalars.MAX_INT_BITS} bits",
            "Send it as text or bytes.",
        )
    return int.__repr__(value)


def _write_float(value: float) -> str:
    return float.__repr__(value) if isfinite(value) else tagged("$float", float.__repr__(value))


def _scalar_writer(tag: str, write_scalar: Callable[[Any], Any]) -> Callable[[Any], str]:
    def write_tagged(value: Any) -> str:
        try:
            return tagged(tag, write_scalar(value))
        except ValueError as error:
            raise Fault(str(error)) from error

    return write_tagged


def _write_list(value: Iterable[Any], depth: int) -> str:
    return f"[{','.join(_items(value, depth))}]"


def _write_tuple(value: Iterable[Any], depth: int) -> str:
    return f'{{"$tuple":{_write_list(value, depth)}}}'


def _items(values: Iterable[Any], depth: int) -> list[str]:
    texts = []
    for value in values:
        try:
            texts.append(write(value, depth))
        except Fault as fault:
            raise fault.inside(f"[{len(texts)}]") from fault.__cause__
    return texts


def _set_writer(tag: str) -> Callable[[Any, int], str]:
    def write_set(value: Iterable[Any], depth: int) -> str:
        # Sorted, so that one event is always one text.
        return f'{{"{tag}":[{",".join(sorted(write(item, depth) for item in value))}]}}'

    return write_set


def _write_dict(value: Mapping[Any, Any], depth: int) -> str:
    if not all(type(key) is str for key in value):
        return f'{{"$dict":[{",".join(_pairs(value, depth))}]}}'
    parts = []
    for key, item in value.items():
        try:
            parts.append(f"{quote(key)}:{write(item, depth)}")
        except Fault as fault:
            raise fault.inside(key_part(key)) from fault.__cause__
    text = f"{{{','.join(parts)}}}"
    looks_like_a_tag = len(parts) == 1 and text.startswith('{"$')
    return f'{{"$dict":{text}}}' if looks_like_a_tag else text


def _pairs(value: Mapping[Any, Any], depth: int) -> Iterable[str]:
    for key, item in value.items():
        try:
            yield f"[{write(key, depth)},{write(item, depth)}]"
        except Fault as fault:
            raise fault.inside(key_part(key)) from fault.__cause__


def _write_other(value: Any, depth: int) -> str:
    registered = payload_types.for_class(type(value))
    if registered is not None:
        if depth >= MAX_DEPTH:
            raise too_deep()
        inner = write(registered.codec.encode(value), depth + 1)
        return f'{{"$type":[{quote(registered.name)},{inner}]}}'
    if isinstance(value, models.Model):
        return row(value)
    if isinstance(value, type):
        return _write_class(value)
    if isinstance(value, AppConfig):
        return tagged("$app", value.label)
    if isinstance(value, Promise):
        return quote(str(value))
    for kind in SCALARS:
        if isinstance(value, kind) and not isinstance(value, Enum) and not _has_own_state(value):
            return LEAVES[kind](value)
    raise refusal(value)


def _write_class(value: type) -> str:
    registered = payload_types.for_class(value)
    if registered is not None:
        return f'{{"$class":[{quote(registered.name)}]}}'
    if issubclass(value, models.Model) and not value._meta.abstract:
        return f'{{"$class":{quoted_label(value)}}}'
    raise refusal(value)


def _has_own_state(value: Any) -> bool:
    """Tell whether a str, a Decimal, ... carries more than its value, which would be lost."""
    return bool(getattr(value, "__dict__", None)) or dataclasses.is_dataclass(value)


LEAVES: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: _write_int,
    float: _write_float,
    str: quote,
    **{kind: _scalar_writer(tag, writer) for kind, (tag, writer) in scalars.WRITERS.items()},
}
CONTAINERS: Mapping[type, Callable[[Any, int], str]] = {
    list: _write_list,
    tuple: _write_tuple,
    set: _set_writer("$set"),
    frozenset: _set_writer("$frozenset"),
    dict: _write_dict,
}

# A subclass of these arrives as one of these.
SCALARS = (str, int, float, *scalars.WRITERS)
