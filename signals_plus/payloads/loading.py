"""The events of a message with their values and rows: one query for each model and database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from .decoding import Decoder
from .faults import Fault
from .messages import EventData, Message
from .rows import Group, RowGone, Rows

# How many rows that are gone one line of the log names.
SHOWN_ROWS = 5

# What JSON itself gives back as it was, and no check can refuse.
_AS_THEY_ARE = frozenset({type(None), bool, str})

logger = logging.getLogger("signals_plus")


def load(message: Message, on_missing: str) -> list[EventData]:
    """Return the events with their rows, read with one query for each model and database.

    A row that several events refer to is one object.

    Args:
        message: What ``decode`` returned.
        on_missing: A row is gone: ``"raise"`` its ``DoesNotExist``, put None (``"none"``) in its
            place, or leave the event out (``"skip"``), which is logged.

    Raises:
        PayloadError: No sender wrote this.
        ObjectDoesNotExist: As ``on_missing`` says.
    """
    rows = Rows(on_missing)
    wanted = _read_rows(message, rows)
    decoder = Decoder(rows)
    loaded: list[EventData] = []
    gone: list[str] = []
    for event, keys in zip(message.events, wanted, strict=True):
        if keys is None:
            try:
                loaded.append(event._replace(kwargs=_arguments(message.receiver, event, decoder)))
            except RowGone as error:
                gone.append(str(error))
            continue
        for group, key in keys:
            try:
                row = rows.find(group, key)
            except RowGone as error:
                gone.append(str(error))
                continue
            # Each event has arguments of its own. The alias is the very object that DATABASES has,
            # by which the row's next events find what they have in common (KnownShapes).
            kwargs = _arguments(message.receiver, event, decoder)
            kwargs |= {"instance": row, "using": group[1]}
            loaded.append(EventData(event.signal, event.sender, kwargs, group[1]))
    if gone:
        _log_skipped(message, gone)
    return loaded


def _read_rows(message: Message, rows: Rows) -> list[list[tuple[Group, Any]] | None]:
    """Read all rows; return for each event that stands for several how to find those."""
    try:
        wanted = [_want_rows(event, rows) for event in message.events]
        rows.load()
    except Fault as fault:
        raise fault.error(message.receiver) from fault.__cause__
    return wanted


def _want_rows(event: EventData, rows: Rows) -> list[tuple[Group, Any]] | None:
    name = "instance"
    try:
        keys = None
        if event.rows is not None:
            keys = rows.want_each(event.sender._meta.label, event.using, event.rows)
        for name in event.kwargs:
            value = event.kwargs[name]
            if type(value) is dict or type(value) is list:
                rows.want_all_in(value)
    except Fault as fault:
        raise fault.inside(name) from fault.__cause__
    return keys


def _arguments(receiver: str, event: EventData, decoder: Decoder) -> dict[str, Any]:
    kwargs = {}
    try:
        for name, value in event.kwargs.items():
            kwargs[name] = value if type(value) in _AS_THEY_ARE else decoder.read(value)
    except Fault as fault:
        raise fault.inside(name).error(receiver) from fault.__cause__
    return kwargs


def _log_skipped(message: Message, gone: Sequence[str]) -> None:
    names = list(dict.fromkeys(gone))
    more = f" and {len(names) - SHOWN_ROWS} more" if len(names) > SHOWN_ROWS else ""
    logger.info(
        "Task %s skipped %d of %d events, whose rows are gone: %s%s",
        message.receiver,
        len(gone),
        len(message.events),
        ", ".join(names[:SHOWN_ROWS]),
        more,
    )
