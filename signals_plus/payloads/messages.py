"""The payload of one message as JSON text, and back.

Format, version 2: ``{"v": 2, "receiver": name, "lineage": [...], "events": [event, ...]}``.
``fragments`` has the format of an event, ``encoding`` that of its arguments, ``chains`` that of the
lineage. Version 1 held one event, ``{"v": 1, "receiver": ..., "signal": ..., "sender": ...,
"kwargs": ..., "lineage": ...}``, and is still read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, NoReturn

from ..exceptions import PayloadError
from ..lineage import Chain
from . import chains
from .decoding import Decoder, read_sender
from .faults import Fault, reason, shown
from .rows import RowGone, Rows
from .shapes import Fragment, joined

VERSION = 2
READABLE_VERSIONS = (1, 2)

# How many rows that are gone one line of the log names.
SHOWN_ROWS = 5

# What JSON itself gives back as it was, and no check can refuse.
_AS_THEY_ARE = frozenset({type(None), bool, str})

logger = logging.getLogger("signals_plus")


class EventData(NamedTuple):
    """What a payload says of one event; after ``load``, with its values and rows."""

    signal: str
    sender: Any
    kwargs: Mapping[str, Any]
    using: str | None  # the database of its row, which may be gone


class Message(NamedTuple):
    """What a payload says, its form checked."""

    receiver: str
    events: tuple[EventData, ...]
    chain: Chain


def compose(receiver: str, events: Iterable[Fragment], lineage: str = "[]") -> str:
    """Put events and a chain, all written already, into the payload of one message.

    It cannot fail.
    """
    return (
        f'{{"v":{VERSION},"receiver":{encode_basestring_ascii(receiver)},'
        f'"lineage":{lineage},"events":[{joined(events)}]}}'
    )


def decode(receiver: str, text: object, senders: Sequence[Any] = ()) -> Message:
    """Read a payload that was sent to this receiver, whose senders these are.

    Raises:
        PayloadError: It is not a payload, of an unknown version, or names what is not here.
    """
    data = _parsed(receiver, text)
    version = data["v"]
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise PayloadError(
            receiver,
            "the payload",
            f"has version {shown(version)}, and this release reads up to version {VERSION}",
            "Upgrade the workers before the processes that send.",
        )
    try:
        if data["receiver"] != receiver:
            raise Fault(
                f"is for receiver {shown(data['receiver'])}",
                "Give each payload to the task that has the receiver's name.",
            )
        chain = chains.decode(data["lineage"])
        # Version 1 had the receiver's own step in it, which is known from the event.
        chain = chain[:-1] if version == 1 else chain
        return Message(receiver, tuple(_events(data, senders)), chain)
    except Fault as fault:
        raise fault.error(receiver) from fault.__cause__
    except (TypeError, ValueError, KeyError) as error:
        raise _unreadable(receiver, "is malformed", error) from error


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
    _read_rows(message, rows)
    decoder = Decoder(rows)
    loaded, gone = [], []
    for event in message.events:
        try:
            loaded.append(_loaded(message.receiver, event, decoder))
        except RowGone as error:
            gone.append(str(error))
    if gone:
        _log_skipped(message, gone)
    return loaded


def _read_rows(message: Message, rows: Rows) -> None:
    try:
        for event in message.events:
            _want_rows(event, rows)
        rows.load()
    except Fault as fault:
        raise fault.error(message.receiver) from fault.__cause__


def _want_rows(event: EventData, rows: Rows) -> None:
    for name, value in event.kwargs.items():
        if type(value) is dict or type(value) is list:
            try:
                rows.want_all_in(value)
            except Fault as fault:
                raise fault.inside(name) from fault.__cause__


def _loaded(receiver: str, event: EventData, decoder: Decoder) -> EventData:
    kwargs = {}
    try:
        for name, value in event.kwargs.items():
            kwargs[name] = value if type(value) in _AS_THEY_ARE else decoder.read(value)
    except Fault as fault:
        raise fault.inside(name).error(receiver) from fault.__cause__
    return event._replace(kwargs=kwargs)


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


def _parsed(receiver: str, text: object) -> dict[str, Any]:
    try:
        if not isinstance(text, str):
            raise TypeError("no text")
        data = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(data, dict) or "v" not in data:
            raise ValueError("no version")
    except (TypeError, ValueError, RecursionError) as error:
        raise _unreadable(receiver, "is no payload", error) from error
    return data


def _unreadable(receiver: str, problem: str, error: Exception) -> PayloadError:
    return PayloadError(
        receiver,
        "the payload",
        f"{problem} ({reason(error)})",
        "Give the task the text that was sent, as it was.",
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _events(data: Mapping[str, Any], senders: Sequence[Any]) -> Iterator[EventData]:
    if data["v"] == 1:
        events = [(data["signal"], data["sender"], data["kwargs"])]
    else:
        events = data["events"]
    if not isinstance(events, list) or not events:
        raise ValueError("events")
    models: dict[str, Any] = {}  # looked up once for a message: nearly always it is one
    for signal, written_sender, kwargs in events:
        if not isinstance(signal, str) or not _are_arguments(kwargs):
            raise ValueError("event")
        if not isinstance(written_sender, str):
            sender = read_sender(written_sender, senders)
        else:
            if written_sender not in models:
                models[written_sender] = read_sender(written_sender, senders)
            sender = models[written_sender]
        for each in _written_out(written_sender, kwargs):
            yield EventData(signal, sender, each, _alias_of(each))


def _alias_of(kwargs: Mapping[str, Any]) -> str | None:
    """Return the alias of an instance, a reference or a snapshot; decoding checks its form."""
    instance = kwargs.get("instance")
    if type(instance) is dict and len(instance) == 1:
        ((_, data),) = instance.items()
        if type(data) is list and len(data) == 3 and type(data[1]) is str:
            return data[1]
    return None


def _are_arguments(kwargs: Any) -> bool:
    return isinstance(kwargs, dict) and "signal" not in kwargs and "sender" not in kwargs


def _written_out(sender: Any, kwargs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each event, with the one reference that is short written out.

    That is the row of the sender: the only place where what is around a value counts.
    """
    instance = kwargs.get("instance")
    if type(instance) is not dict or len(instance) != 1:
        yield kwargs
        return
    ((tag, data),) = instance.items()
    if tag == "$models":
        if type(data) is not list or not data:
            raise ValueError("rows")
        for key in data:
            yield {**kwargs, "instance": {"$model": [sender, kwargs.get("using"), key]}}
    elif tag == "$model" and type(data) in (int, str):
        yield {**kwargs, "instance": {"$model": [sender, kwargs.get("using"), data]}}
    else:
        yield kwargs
