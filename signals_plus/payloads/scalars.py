"""Single values that JSON has no word for, as JSON and back.

Each type has a tag: ``{"$decimal": "1.50"}``. Writers return what stands under the tag; readers
take what stands there, whatever it is, and raise one of ``faults.MALFORMED`` if no writer wrote it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

# About 600 digits. Python reads at most 4300: sys.set_int_max_str_digits().
MAX_INT_BITS = 2000
# What Python's default context holds. int() of more would keep a worker busy for long.
MAX_DECIMAL_EXPONENT = 999_999

# The names of the tz database, and none of the other files that lie beside it.
_ZONE_KEY = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}", re.ASCII)

MomentT = TypeVar("MomentT", datetime, time)


def check_int(value: int) -> int:
    """Return the integer, if it is not too long to be worth reading."""
    if int.bit_length(value) > MAX_INT_BITS:
        raise ValueError(f"is an integer of more than {MAX_INT_BITS} bits")
    return value


def _write_moment(value: MomentT, kind: type[MomentT]) -> Any:
    """Write the wall clock and the zone's key; the offset, where the zone has no key."""
    zone = value.tzinfo
    key = zone.key if type(zone) is ZoneInfo and _is_zone_key(zone.key) else None
    if key is not None:
        return [kind.isoformat(value.replace(tzinfo=None)), value.fold, key]
    text = kind.isoformat(value)
    return [text, 1, None] if value.fold else text


def _read_moment(data: Any, kind: type[MomentT]) -> MomentT:
    if isinstance(data, str):
        return kind.fromisoformat(data)
    text, fold, key = data
    value = kind.fromisoformat(text)
    if key is not None:
        value = value.replace(tzinfo=_zone(key))
    return value.replace(fold=_exact(int, fold))


def _is_zone_key(key: Any) -> bool:
    return isinstance(key, str) and _ZONE_KEY.fullmatch(key) is not None


def _zone(key: Any) -> ZoneInfo:
    if not _is_zone_key(key):
        raise ValueError(f"{key!r} is no time zone")
    try:
        return ZoneInfo(key)
    except OSError as error:  # a folder of the tz database
        raise ValueError(f"{key!r} is no time zone") from error


def _write_decimal(value: Decimal) -> str:
    return Decimal.__str__(_check_decimal(value))


def _read_decimal(data: Any) -> Decimal:
    return _check_decimal(Decimal(_exact(str, data)))


def _check_decimal(value: Decimal) -> Decimal:
    if value.is_finite() and abs(value.adjusted()) > MAX_DECIMAL_EXPONENT:
        raise ValueError(f"a Decimal with an exponent beyond {MAX_DECIMAL_EXPONENT}")
    return value


def _read_timedelta(data: Any) -> timedelta:
    days, seconds, microseconds = data
    return timedelta(_exact(int, days), _exact(int, seconds), _exact(int, microseconds))


def _write_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")  # a memoryview may have gaps


def _read_bytes(data: Any) -> bytes:
    return base64.b64decode(_exact(str, data), validate=True)


def _read_float(data: Any) -> float:
    if data not in ("nan", "inf", "-inf"):
        raise ValueError(f"{data!r} is no float")
    return float(data)


ExactT = TypeVar("ExactT")


def _exact(kind: type[ExactT], value: Any) -> ExactT:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


# Subclasses before what they derive from: a datetime is a date.
WRITERS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    datetime: ("$datetime", lambda value: _write_moment(value, datetime)),
    date: ("$date", date.isoformat),
    time: ("$time", lambda value: _write_moment(value, time)),
    timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("$decimal", _write_decimal),
    UUID: ("$uuid", lambda value: value.hex),
    bytes: ("$bytes", _write_bytes),
    bytearray: ("$bytearray", _write_bytes),
    memoryview: ("$bytes", _write_bytes),
}

READERS: Mapping[str, Callable[[Any], Any]] = {
    "$datetime": lambda data: _read_moment(data, datetime),
    "$date": date.fromisoformat,
    "$time": lambda data: _read_moment(data, time),
    "$timedelta": _read_timedelta,
    "$decimal": _read_decimal,
    "$uuid": UUID,
    "$bytes": _read_bytes,
    "$bytearray": lambda data: bytearray(_read_bytes(data)),
    "$float": _read_float,
}
