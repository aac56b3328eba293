"""The kinds of values that Celery's options have: in words, and how each is seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from celery.utils.time import rate
from kombu import Exchange, Queue
from kombu.compression import get_encoder
from kombu.utils.json import dumps

from . import _celery_headers

# Seconds of a hundred years: a message has the date that is so far off. Celery takes no time that
# is further back, and RabbitMQ no message that is to expire in more than ten years.
MAX_SECONDS = 36_500 * 24 * 3600
MIN_SECONDS = -(2**31)
MAX_LIFE = 3650 * 24 * 3600

# What AMQP has room for: the bytes of a name.
MAX_NAME = 255

# What a worker reads of the task that it is to call next.
SIGNATURE: Mapping[str, type | tuple[type, ...]] = {
    "task": str, "args": (list, tuple), "kwargs": dict, "options": dict,
}  # fmt: skip


def is_name(value: object) -> bool:
    """Tell whether AMQP has room for it as the name of a queue or an exchange."""
    return isinstance(value, str) and len(value.encode(errors="surrogatepass")) <= MAX_NAME


def is_named(value: object) -> bool:
    """Tell whether it is a dictionary with texts as keys."""
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_seconds(value: object) -> bool:
    return _is_number(value) and MIN_SECONDS <= value <= MAX_SECONDS  # type: ignore[operator]


def _is_duration(value: object) -> bool:
    return _is_seconds(value) and value >= 0  # type: ignore[operator]


def _is_backoff(value: object) -> bool:
    return _is_flag(value) or _is_duration(value)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _is_moment(value: object) -> bool:
    return _moment(value) is not None


def _is_end(value: object) -> bool:
    moment = _moment(value)
    if moment is None:
        return _is_number(value) and 0 < value <= MAX_LIFE  # type: ignore[operator]
    return moment - datetime.now(moment.tzinfo) <= timedelta(seconds=MAX_LIFE)


def _is_rate(value: object) -> bool:
    try:
        number = rate(value) if isinstance(value, str) else value
    except (ValueError, KeyError):
        return False
    return _is_number(number) and number >= 0  # type: ignore[operator]


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _are_exceptions(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_is_exception, value))


def _is_caught(value: object) -> bool:
    return _is_exception(value) or (isinstance(value, tuple) and all(map(_is_exception, value)))


def _are_signatures(value: object) -> bool:
    those = value if isinstance(value, list | tuple) else [value]
    return all(map(_is_signature, those)) and _is_json(those)


def _is_signature(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(key), kind) for key, kind in SIGNATURE.items()
    )


def _is_json(value: object) -> bool:
    try:
        dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_compression(value: object) -> bool:
    try:
        get_encoder(value)
    except (KeyError, TypeError):
        return False
    return True


def _is_queue(value: object) -> bool:
    if not isinstance(value, Queue):
        return is_name(value) and value != ""
    names = (value.name, value.routing_key or "")
    return all(map(is_name, names)) and _is_exchange(value.exchange or "")


def _is_exchange(value: object) -> bool:
    return is_name(value.name if isinstance(value, Exchange) else value)


def _is_delivery_mode(value: object) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return (is_number or isinstance(value, str)) and value in (1, 2, "transient", "persistent")


def _is_class(value: object) -> bool:
    return isinstance(value, type) or (isinstance(value, str) and not value.isidentifier())


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


Kind = tuple[str, Callable[[Any], bool]]

BACKOFF: Kind = ("True, False or a number of seconds", _is_backoff)
CAUGHT: Kind = ("a class of exceptions, or a tuple of them: (OSError,)", _is_caught)
CLASS: Kind = ("a class, or its path: 'shop.celery:Request'", _is_class)
COMPRESSION: Kind = ("a compression that kombu has, such as 'gzip'", _is_compression)
COUNT: Kind = ("a whole number of at least 0", _is_count)
DELIVERY_MODE: Kind = ("1, 2, 'transient' or 'persistent'", _is_delivery_mode)
DURATION: Kind = (f"a number of seconds from 0 to {MAX_SECONDS}", _is_duration)
END: Kind = (
    "a number of seconds above 0, or a datetime, of which none is over ten years from now", _is_end,
)  # fmt: skip
EXCEPTIONS: Kind = ("a tuple of classes of exceptions: (OSError,)", _are_exceptions)
EXCHANGE: Kind = (f"the name of an exchange, of at most {MAX_NAME} bytes", _is_exchange)
FLAG: Kind = ("True or False", _is_flag)
FUNCTION: Kind = ("a function", _is_function)
HEADERS: Kind = (_celery_headers.WANTED, _celery_headers.are_good)
MOMENT: Kind = ("a datetime", _is_moment)
NAME: Kind = (f"a text of at most {MAX_NAME} bytes", is_name)
QUEUE: Kind = (f"the name of a queue, of at most {MAX_NAME} bytes, or a kombu.Queue", _is_queue)
RATE: Kind = ("a number of at least 0, or a rate such as '100/m'", _is_rate)
SECONDS: Kind = (f"a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}", _is_seconds)
SIGNATURES: Kind = ("a signature, or a list of them, of which JSON can be made", _are_signatures)
TEXT: Kind = ("a text", _is_text)
