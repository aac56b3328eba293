"""Messages as they are handed to statements and come back from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar
from uuid import UUID

from .states import MAX_ERROR

T = TypeVar("T")

# What one statement may hold: rows, and characters of payloads.
MAX_ROWS = 500
MAX_TEXT = 1_000_000


class NewMessage(NamedTuple):
    """A message that is to be written. ``wait``: seconds before it is due."""

    message_id: UUID
    receiver: str
    payload: str
    trace: str
    effect: bool
    ordering_key: str | None
    wait: float


class StoredMessage(NamedTuple):
    """A message that somebody has claimed or locked."""

    message_id: UUID
    receiver: str
    payload: str
    trace: str
    effect: bool
    ordering_key: str | None
    attempts: int
    claimed_by: str


def storable(error: str) -> str:
    """Return what any database takes as text: the name of a file may be none, and nor is a NUL."""
    text = error[:MAX_ERROR].encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\x00")[:MAX_ERROR]


def stored(row: Sequence[object]) -> StoredMessage:
    """Return a message as it was read from the database."""
    message = StoredMessage(*row)  # type: ignore[arg-type]
    return message._replace(message_id=uuid_of(message.message_id), effect=bool(message.effect))


def uuid_of(value: object) -> UUID:
    """Return an id as drivers return it: as a UUID, or in digits."""
    return value if isinstance(value, UUID) else UUID(str(value))


def places(values: Sequence[object]) -> str:
    """Return the places of so many parameters."""
    return ", ".join(["%s"] * len(values))


def portions(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Yield what one statement takes."""
    portion: list[T] = []
    text = 0
    for value in values:
        size = len(value.payload) if isinstance(value, NewMessage) else 0
        if portion and (len(portion) == MAX_ROWS or text + size > MAX_TEXT):
            yield portion
            portion, text = [], 0
        portion.append(value)
        text += size
    if portion:
        yield portion
