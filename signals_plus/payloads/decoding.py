"""Values from JSON: what ``encoding`` and ``snapshots`` wrote, and nothing else.

A payload names models and databases of this process and registered types. Nothing is imported,
and what no sender wrote is a Fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from django.apps import apps
from django.db import models

from . import labels, scalars, snapshots, types
from .faults import MALFORMED, MAX_DEPTH, Fault, key_part, reason, shown, too_deep
from .rows import Rows, known_alias, model_named


class Decoder:
    """Turn what a message holds into values, with the rows that were loaded for it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def read(self, value: Any, depth: int = 0) -> Any:
        """Return the value that stands for.

        Raises:
            Fault: No sender wrote this.
            ObjectDoesNotExist, RowGone: As ``Rows.get``.
        """
        kind = type(value)
        if value is None or kind is str or kind is bool:
            return value
        if kind is list:
            return self._list(value, depth)
        if kind is dict:
            return self._dict(value, depth)
        if kind is int and not -(2**63) <= value < 2**64:
            return _checked(scalars.check_int, value)
        if kind is float and not isfinite(value):
            raise Fault("is a number that no float can hold")
        return value

    def _list(self, values: Any, depth: int) -> list[Any]:
        if depth >= MAX_DEPTH:
            raise too_deep()
        if type(values) is not list:
            raise Fault(f"holds {shown(values)} where a list has to be")
        items: list[Any] = []
        for value in values:
            try:
                items.append(self.read(value, depth + 1))
            except Fault as fault:
                raise fault.inside(f"[{len(items)}]") from fault.__cause__
        return items

    def _dict(self, value: dict[str, Any], depth: int) -> Any:
        if len(value) == 1:
            ((tag, data),) = value.items()
            if tag[:1] == "$":
                return self._tagged(tag, data, depth)
        return self._mapping(value, depth)

    def _mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        if depth >= MAX_DEPTH:
            raise too_deep()
        items = {}
        for key, item in value.items():
            try:
                items[key] = self.read(item, depth + 1)
            except Fault as fault:
                raise fault.inside(key_part(key)) from fault.__cause__
        return items

    def _tagged(self, tag: str, data: Any, depth: int) -> Any:
        if (leaf := LEAVES.get(tag)) is not None:
            return _checked(leaf, data)
        if tag == "$model":
            return self._rows.get(data)
        nested = _NESTED.get(tag)
        if nested is None:
            raise Fault(f"holds the unknown tag {shown(tag)}")
        return nested(self, data, depth)

    def _set(self, data: Any, depth: int) -> Any:
        return _checked(set, self._list(data, depth))

    def _frozenset(self, data: Any, depth: int) -> Any:
        return _checked(frozenset, self._list(data, depth))

    def _tuple(self, data: Any, depth: int) -> tuple[Any, ...]:
        return tuple(self._list(data, depth))

    def _pairs(self, data: Any, depth: int) -> Any:
        if type(data) is dict:
            return self._mapping(data, depth)
        if type(data) is not list:
            raise Fault(f"holds {shown(data)} where a list has to be")
        return _checked(dict, [self._pair(pair, depth) for pair in data])

    def _pair(self, pair: Any, depth: int) -> tuple[Any, Any]:
        """Read a pair without a level of its own: it has none when it is written."""
        if type(pair) is not list or len(pair) != 2:
            raise Fault(f"holds {shown(pair)}, which is no entry of a dictionary")
        if depth >= MAX_DEPTH:
            raise too_deep()
        return self.read(pair[0], depth + 1), self.read(pair[1], depth + 1)

    def _registered(self, data: Any, depth: int) -> Any:
        if type(data) is not list or len(data) != 2:
            raise Fault(f"holds {shown(data)}, which is no value of a registered type")
        if depth >= MAX_DEPTH:
            raise too_deep()
        registered = _type_named(data[0])
        remedy = (
            f"Let {registered.name!r} read what it wrote until those messages are worked off: a "
            "new field needs a default, a field that goes has to stay so long."
        )
        return _checked(registered.codec.decode, self.read(data[1], depth + 1), remedy)

    def _snapshot(self, data: Any, depth: int) -> Any:
        if type(data) is not list or len(data) != 3 or type(data[2]) is not dict:
            raise Fault(f"holds {shown(data)}, which is no row")
        label, alias, columns = data
        model = model_named(label)
        alias = known_alias(model._meta.label, alias)
        values = {
            attname: self._column(model, attname, value, depth)
            for attname, value in columns.items()
        }
        return _checked(lambda columns: snapshots.restore(model, alias, columns), values)

    def _column(self, model: type[models.Model], attname: str, value: Any, depth: int) -> Any:
        try:
            if type(value) is dict and value.keys() == {"$field"}:
                return snapshots.read_column(model, attname, value["$field"])
            return self.read(value, depth + 1)
        except Fault as fault:
            raise fault.inside(f".{attname}") from fault.__cause__


def read_sender(value: Any, senders: Sequence[Any]) -> Any:
    """Return what sent an event: a model, None, an AppConfig, or one of the receiver's senders."""
    if value is None:
        return None
    if type(value) is str:
        return model_named(value)
    tag, data = next(iter(value.items())) if type(value) is dict and value else ("", None)
    if tag in ("$app", "$class"):
        return _checked(LEAVES[tag], data)
    for known, label in zip(senders, labels.sender_labels(senders), strict=True):
        if tag == "$sender" and label == data:
            return known
    raise Fault(
        f"has the sender {shown(value)}, which this receiver does not know",
        "Keep receivers connected to a sender until its messages have been worked off.",
    )


def _checked(function: Callable[[Any], Any], data: Any, remedy: str = "") -> Any:
    try:
        return function(data)
    except MALFORMED as error:
        problem = f"holds {shown(data)}, which cannot be read ({reason(error)})"
        raise Fault(problem, remedy) from error


def _type_named(name: Any) -> types.PayloadType:
    registered = types.named(name)
    if registered is None:
        raise Fault(
            f"is of the payload type {shown(name)}, which is not registered here",
            "Let the workers import the module that registers it when Django starts.",
        )
    return registered


def _class(data: Any) -> type:
    return _type_named(data[0]).cls if type(data) is list and len(data) == 1 else model_named(data)


LEAVES: Mapping[str, Callable[[Any], Any]] = {
    **scalars.READERS,
    "$class": _class,
    "$app": apps.get_app_config,
    "$apps": lambda _: apps,
}
_NESTED: Mapping[str, Callable[[Decoder, Any, int], Any]] = {
    "$snapshot": Decoder._snapshot,
    "$set": Decoder._set,
    "$frozenset": Decoder._frozenset,
    "$tuple": Decoder._tuple,
    "$dict": Decoder._pairs,
    "$type": Decoder._registered,
}
