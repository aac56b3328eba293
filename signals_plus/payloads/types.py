"""Types of the project's own that may travel: all that a payload can name beside models."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from django.db import models

from ..exceptions import InvalidPayloadTypeError
from ..naming import Origin
from .leaves import LEAVES

ClassT = TypeVar("ClassT", bound=type)


class Codec(NamedTuple):
    """How values of one class travel."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


class PayloadType(NamedTuple):
    """A class, what payloads call it, and where it was registered from."""

    name: str
    cls: type
    codec: Codec
    origin: Origin | None


TRAVEL_ALREADY = frozenset({*LEAVES, list, tuple, set, frozenset, dict})

_by_name: dict[str, PayloadType] = {}
_by_class: dict[type, PayloadType] = {}


def payload_type(
    name: str,
    *,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> Callable[[ClassT], ClassT]:
    """Let values of a class travel in the arguments of task receivers.

    A dataclass or a named tuple travels by its fields and is made again by its constructor; an
    Enum travels by value. Any other class needs ``encode`` and ``decode``. The class comes back
    untouched. Subclasses are not included: register each.

    Register it in a module that web processes and workers both import.

    Args:
        name: What payloads call it, the same for as long as messages are in flight, whatever
            becomes of class and module. By custom ``"app_label.Class"``.
        encode: Takes a value of the class, returns anything that can travel.
        decode: Takes what ``encode`` returned, returns the value. It gets whatever is in the
            payload: check it, and raise ValueError.

    Raises:
        InvalidPayloadTypeError: Another class has the name, or the class needs functions.

    Example::

        from dataclasses import dataclass
        from decimal import Decimal

        @payload_type("shop.Money")
        @dataclass(frozen=True)
        class Money:
            amount: Decimal
            currency: str
    """
    if isinstance(name, type):
        raise InvalidPayloadTypeError(
            repr(name), "is registered without a name", 'Write @payload_type("app.Class").'
        )

    def register(cls: ClassT) -> ClassT:
        _check(name, cls, encode, decode)
        codec = _codec_of(name, cls) if not encode or not decode else Codec(encode, decode)
        _by_name[name] = _by_class[cls] = PayloadType(name, cls, codec, Origin.of(cls))
        return cls

    return register


def for_class(cls: type) -> PayloadType | None:
    """Return how values of just this class travel; None if they do not."""
    return _by_class.get(cls)


def named(name: object) -> PayloadType | None:
    """Return what is registered under the name in this process."""
    return _by_name.get(name) if isinstance(name, str) else None


def _check(name: str, cls: Any, encode: object, decode: object) -> None:
    if not isinstance(name, str) or not name or not isinstance(cls, type):
        raise InvalidPayloadTypeError(
            repr(cls), f"is registered as {name!r}", 'Write @payload_type("app.Class") on a class.'
        )
    if cls in TRAVEL_ALREADY or issubclass(cls, models.Model):
        raise InvalidPayloadTypeError(cls.__qualname__, "travels already", "Leave it out.")
    for keyword, function in (("encode", encode), ("decode", decode)):
        if function is not None and not callable(function):
            raise InvalidPayloadTypeError(
                cls.__qualname__, f"has {keyword}={function!r}", "Give a function of one argument."
            )
    if (encode is None) is not (decode is None):
        raise InvalidPayloadTypeError(
            cls.__qualname__, "has only one of encode= and decode=", "Give both, or none."
        )
    taken = _by_class.get(cls)
    if taken is not None and taken.name != name:
        raise InvalidPayloadTypeError(
            cls.__qualname__, f"is registered as {taken.name!r} already", "Give it one name."
        )
    other = _by_name.get(name)
    if other is not None and other.cls is not cls and not _is_imported_again(other, cls):
        raise InvalidPayloadTypeError(
            cls.__qualname__,
            f"is registered as {name!r}, the name of {other.cls.__qualname__}",
            "Give each its own name.",
        )


def _is_imported_again(old: PayloadType, new: type) -> bool:
    return old.origin is not None and old.origin.is_imported_again_as(Origin.of(new))


def _codec_of(name: str, cls: type) -> Codec:
    if issubclass(cls, Enum):
        return Codec(lambda member: member.value, cls)
    if issubclass(cls, tuple) and hasattr(cls, "_make"):
        return Codec(list, cls._make)
    if dataclasses.is_dataclass(cls):
        _check_constructor(cls)
        return Codec(_fields_of, lambda values: _made_of_fields(cls, values))
    raise InvalidPayloadTypeError(
        cls.__qualname__,
        "is no dataclass, named tuple or Enum",
        f"Say how it travels: payload_type({name!r}, encode=..., decode=...).",
    )


def _check_constructor(cls: type) -> None:
    fields = {field.name for field in dataclasses.fields(cls) if field.init}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.name not in fields and parameter.default is parameter.empty:
            raise InvalidPayloadTypeError(
                cls.__qualname__,
                f"is made with {parameter.name!r}, which is not kept in a field",
                "Say how it travels: payload_type(name, encode=..., decode=...).",
            )


def _fields_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _made_of_fields(cls: type, values: Mapping[str, Any]) -> Any:
    fields = dataclasses.fields(cls)
    if not isinstance(values, dict):
        raise TypeError(f"{cls.__qualname__} is made of fields")
    if unknown := values.keys() - {field.name for field in fields}:
        raise ValueError(f"{cls.__qualname__} has no field {min(unknown)!r}")
    made = cls(**{field.name: values[field.name] for field in fields if _given(field, values)})
    for field in fields:
        if not field.init and field.name in values:
            object.__setattr__(made, field.name, values[field.name])  # it may be frozen
    return made


def _given(field: dataclasses.Field[Any], values: Mapping[str, Any]) -> bool:
    """Tell whether to hand the field over. One that is new since has its default, or fails."""
    return field.init and field.name in values
