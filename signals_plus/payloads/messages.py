"""The payload of one message as JSON text, and back.

Format, version 2: ``{"v": 2, "receiver": name, "lineage": [...], "events": [event, ...]}``.
``fragments`` has the format of an event, ``encoding`` that of its arguments, ``chains`` that of the
lineage. One that came through the outbox has its ``message`` id. Version 1 held one event,
``{"v": 1, "receiver": ..., "signal": ..., "sender": ..., "kwargs": ..., "lineage": ...}``, and is
still read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, NoReturn

from ..exceptions import PayloadError
from ..lineage import Chain
from . import chains
from .decoding import read_sender
from .faults import Fault, reason, shown
from .shapes import Fragment, joined

VERSION = 2
READABLE_VERSIONS = (1, 2)


class EventData(NamedTuple):
    """What a payload says of one event; after ``load``, with its values and rows.

    Until then it may stand for several, one for each of ``rows``: keys of the sender's rows on
    ``using``, each of which is the ``instance`` of one event.
    """

    signal: str
    sender: Any
    kwargs: Mapping[str, Any]
    using: str | None  # the database of its row, which may be gone
    rows: list[Any] | None = None


class Message(NamedTuple):
    """What a payload says, its form checked."""

    receiver: str
    events: tuple[EventData, ...]
    chain: Chain


def compose(
    receiver: str, events: Iterable[Fragment], lineage: str = "[]", *, message_id: str = ""
) -> str:
    """Put events and a chain, all written already, into the payload of one message.

    It cannot fail. ``message_id``: that of the outbox, if it has the message.
    """
    message = f'"message":"{message_id}",' if message_id else ""
    return (
        f'{{"v":{VERSION},"receiver":{encode_basestring_ascii(receiver)},{message}'
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
        keys = _keys_in(kwargs)
        if keys is None:
            yield EventData(signal, sender, kwargs, _alias_of(kwargs))
        else:
            # The one reference that is short: the only place where what is around a value counts.
            if not isinstance(written_sender, str) or not isinstance(kwargs.get("using"), str):
                raise ValueError("rows")
            del kwargs["instance"]
            yield EventData(signal, sender, kwargs, kwargs["using"], keys)


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


def _keys_in(kwargs: Mapping[str, Any]) -> list[Any] | None:
    """Return the keys of the sender's rows that ``instance`` holds; None if there are none."""
    instance = kwargs.get("instance")
    if type(instance) is not dict or len(instance) != 1:
        return None
    ((tag, data),) = instance.items()
    if tag == "$models":
        if type(data) is not list or not data:
            raise ValueError("rows")
        return data
    return [data] if tag == "$model" and type(data) in (int, str) else None
