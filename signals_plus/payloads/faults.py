"""Why a value cannot be written or read, and where it stands among the arguments."""

from __future__ import annotations

import dataclasses
import reprlib
from enum import Enum

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from ..exceptions import PayloadError

# What a constructor, or a field of a model, raises for a value that no sender wrote.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValidationError)

# Levels of containers in containers. Far more than data has, and few enough for the stack of a
# worker that is deep in its own frames.
MAX_DEPTH = 100

_SHOWN_PARTS = 8

_REMEDY = (
    "Send what the task can find it by (a row, a key, a file's name), or what travels: JSON "
    "values, dates, Decimal, UUID, bytes, sets, tuples, saved model instances, types registered "
    "with payload_type. Or use receiver_on_commit."
)


class Fault(Exception):  # noqa: N818 - becomes a PayloadError, once the receiver is known
    """A value that cannot travel. It learns its place on the way up, so that success is cheap."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy
        self._path: list[str] = []

    def inside(self, part: str) -> Fault:
        """Return the fault, one step further from the value."""
        self._path.append(part)
        return self

    def error(self, receiver: str) -> PayloadError:
        """Return what the user gets to see."""
        parts = self._path[::-1]
        if len(parts) > _SHOWN_PARTS + 1:
            parts[_SHOWN_PARTS:] = ["..."]
        return PayloadError(receiver, "".join(parts) or "the payload", self.problem, self.remedy)


def shown(value: object) -> str:
    """Return the value as a message can show it: of bounded length, whatever its repr does."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of too many digits
        return "a value"


def reason(error: Exception) -> str:
    """Return what Python, or a field, found wrong with a value, without all of a long value."""
    return repr(error)[:200]


def key_part(key: object) -> str:
    """Return how a place below a dictionary's key is written."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{shown(key)}]"


def too_deep() -> Fault:
    """Return what is wrong with a value that goes on for ever, or nearly."""
    return Fault(f"is nested more than {MAX_DEPTH} levels deep", "It may contain itself.")


def refusal(value: object) -> Fault:
    """Return why a value cannot travel, and the line that lets it, if there is one."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, QuerySet):  # its repr would ask the database
        problem = f"is a QuerySet of {value.model._meta.label} ({name}), which cannot travel"
        return Fault(problem, "Send list(value) for its rows, or what the task can filter by.")
    problem = f"is {shown(value)} ({name}), which cannot travel to a worker"
    if isinstance(value, Enum) or dataclasses.is_dataclass(kind) or hasattr(kind, "_make"):
        app_label = kind.__module__.split(".", maxsplit=1)[0]
        call = f'payload_type("{app_label}.{kind.__qualname__}")'
        remedy = f"Write @{call} above it, or {call}({kind.__name__}) if it is not yours."
        return Fault(problem, f"Register its class. {remedy}")
    for container in (dict, list, set, frozenset, tuple):
        if isinstance(value, container):
            remedy = f"Send {container.__name__}(value), or use receiver_on_commit."
            return Fault(problem, remedy)
    return Fault(problem, _REMEDY)
