"""One sending of one signal, captured as it was."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.fields.files import FieldFile
from django.dispatch import Signal
from django.utils.functional import LazyObject

from .lineage import Chain
from .links import Row

# Checked by exact type: nearly every value of a row is one of these, and none can change.
_UNCHANGEABLE = frozenset(
    {type(None), bool, int, float, str, bytes, Decimal, UUID, date, datetime, time, timedelta}
)


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One sending of one signal, as it was when it was sent.

    ``kwargs`` holds the signal's arguments without ``signal`` and ``sender``; ``using`` is the
    alias of the database whose commit the event waited for. The instance is a copy: what happens
    to the original afterwards, unsaved changes and the loss of its pk in ``delete()`` included,
    does not reach it. Related objects that were already loaded are shared with the original.

    Example::

        def receiver(sender, events, **kwargs):
            for event in events:
                print(event.instance.pk, event.created)
    """

    signal: Signal
    sender: Any
    kwargs: Mapping[str, Any]
    using: str
    chain: Chain = field(default=(), repr=False)  # of the receivers whose work sent it

    @property
    def instance(self) -> Any:
        """The row the event is about; None if the signal has no ``instance``."""
        return self.kwargs.get("instance")

    @property
    def created(self) -> bool | None:
        """Whether the row was inserted; None if the signal does not say."""
        return self.kwargs.get("created")

    @property
    def update_fields(self) -> frozenset[str] | None:
        """The names given to ``save(update_fields=...)``; None for all fields."""
        return self.kwargs.get("update_fields")


def capture(
    signal: Signal, sender: Any, kwargs: Mapping[str, Any], *, using: str, chain: Chain
) -> Event:
    """Copy what was sent, so that later changes do not reach whoever receives it later."""
    seen: dict[int, Any] = {}
    captured = {
        name: value if type(value) in _UNCHANGEABLE else _snapshot(value, seen)
        for name, value in kwargs.items()
    }
    if isinstance(captured.get("origin"), models.QuerySet):
        # As it is, it would keep every deleted row in memory.
        captured["origin"] = captured["origin"].all()
    return Event(signal, sender, captured, using, chain)


def row_of(event: Event) -> Row | None:
    """Return the row an event is about; None if it is about none."""
    return Row.of(event.instance, row_alias(event.kwargs))


def row_alias(kwargs: Mapping[str, Any]) -> str | None:
    """Return the alias of the database that holds the event's row, where the event says so."""
    using = kwargs.get("using")
    if isinstance(using, str) and using in connections.settings:
        return using
    instance = kwargs.get("instance")
    return instance._state.db if isinstance(instance, models.Model) else None


def wait_alias(explicit: str | None, sender: Any, kwargs: Mapping[str, Any]) -> str:
    """Return the alias whose commit the event has to wait for."""
    using = explicit or row_alias(kwargs)
    if using:
        return using
    if isinstance(sender, type) and issubclass(sender, models.Model):
        return router.db_for_write(sender)
    return DEFAULT_DB_ALIAS


def _snapshot(value: Any, seen: dict[int, Any]) -> Any:
    """Copy what can change: rows, containers, files. Other objects are shared."""
    kind = type(value)
    if kind in _UNCHANGEABLE or isinstance(value, type):
        return value
    if id(value) in seen:
        return seen[id(value)]
    copied: Any
    if isinstance(value, models.Model):
        if isinstance(value, LazyObject):  # request.user
            return _snapshot(value._wrapped, seen)
        copied = seen[id(value)] = kind.__new__(kind)  # type: ignore[call-overload]
        _copy_row(value, copied, seen)
    elif isinstance(value, FieldFile):
        copied = seen[id(value)] = copy.copy(value)
    elif kind is dict:
        copied = seen[id(value)] = {}
        copied.update((key, _snapshot(item, seen)) for key, item in value.items())
    elif kind is list:
        copied = seen[id(value)] = []
        copied.extend(_snapshot(item, seen) for item in value)
    elif kind is tuple:
        copied = seen[id(value)] = tuple(_snapshot(item, seen) for item in value)
    elif kind is set or kind is bytearray:
        copied = seen[id(value)] = kind(value)
    else:
        return value
    return copied


def _copy_row(original: models.Model, copied: models.Model, seen: dict[int, Any]) -> None:
    """Give the copy the values and the state of the original, and none of its mutable parts."""
    values = vars(copied)
    values.update(vars(original))
    state = copied._state = type(original._state)()
    for name, value in vars(original._state).items():
        setattr(state, name, value.copy() if name == "fields_cache" else value)
    for column in original._meta.concrete_fields:
        value = values.get(column.attname)
        if type(value) not in _UNCHANGEABLE:
            snapshot = _snapshot(value, seen)
            values[column.attname] = _deep_copy(value) if snapshot is value else snapshot


def _deep_copy(value: Any) -> Any:
    """Copy a value of a field's own type: it is data, and as a rule can be copied."""
    try:
        return copy.deepcopy(value)
    except TypeError:  # it holds something that cannot: a lock, a connection
        return value
