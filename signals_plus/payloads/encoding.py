"""One value as JSON text.

A dictionary with one key that begins with ``$`` stands for a value that JSON has no word for:

========================== =================================================================
``$model``                 a row: ``[model label, alias, pk]``
``$class`` ``$app``        a model class, or a registered one; an AppConfig
``$tuple`` ``$set``        a list of what is in it; ``$frozenset`` too
``$dict``                  a list of pairs, or a dictionary that would look like one of these
``$type``                  ``[name, value]`` of a registered type
========================== =================================================================

and those of ``scalars``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from django.apps import AppConfig
from django.db import models
from django.utils.functional import Promise

from . import references, scalars, types
from .faults import MAX_DEPTH, Fault, key_part, refusal, too_deep
from .leaves import LEAVES, quote, tagged


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
    registered = types.for_class(type(value))
    if registered is not None:
        if depth >= MAX_DEPTH:
            raise too_deep()
        inner = write(registered.codec.encode(value), depth + 1)
        return f'{{"$type":[{quote(registered.name)},{inner}]}}'
    if isinstance(value, models.Model):
        return references.row(value)
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
    registered = types.for_class(value)
    if registered is not None:
        return f'{{"$class":[{quote(registered.name)}]}}'
    if issubclass(value, models.Model) and not value._meta.abstract:
        return f'{{"$class":{references.quoted_label(value)}}}'
    raise refusal(value)


def _has_own_state(value: Any) -> bool:
    """Tell whether a str, a Decimal, ... carries more than its value, which would be lost."""
    return bool(getattr(value, "__dict__", None)) or dataclasses.is_dataclass(value)


CONTAINERS: Mapping[type, Callable[[Any, int], str]] = {
    list: _write_list,
    tuple: _write_tuple,
    set: _set_writer("$set"),
    frozenset: _set_writer("$frozenset"),
    dict: _write_dict,
}

# A subclass of these arrives as one of these.
SCALARS = (str, int, float, *scalars.WRITERS)
