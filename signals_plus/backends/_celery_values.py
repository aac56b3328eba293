"""What the values of Celery's options have to be.

Celery takes any, and fails when it publishes a message: after the commit. Or the worker does.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..exceptions import InvalidReceiverError
from . import _celery_kinds as kinds
from .base import Task

# What AMQP has room for.
MAX_PRIORITY = 255

# The methods of a task that are there to be replaced; to replace another breaks the task.
HOOKS = frozenset(
    {
        "after_return", "before_start", "on_failure", "on_replace", "on_retry", "on_success",
        "shadow_name",
    }
)  # fmt: skip

# Without these, none is there: None is a value like any other.
NEVER_NONE = HOOKS | frozenset(
    {
        "Request", "Strategy",
        "autoretry_for", "dont_autoretry_for", "retry_backoff", "retry_backoff_max",
        "retry_jitter", "retry_kwargs", "throws",
    }
)  # fmt: skip


def check(task: Task) -> None:
    """Refuse a value that Celery could not use.

    Raises:
        InvalidReceiverError: There is one.
    """
    for option, value in task.options.items():
        if not _is_good(option, value):
            raise _error(task, option, value, WANTED[option][0])
    if task.queue_name is not None and not kinds.is_name(task.queue_name):
        raise _error(task, "queue_name", task.queue_name, kinds.NAME[0])
    priority = task.queue_priority
    if priority is not None and not 0 <= priority <= MAX_PRIORITY:
        wanted = f"a whole number from 0 to {MAX_PRIORITY}"
        raise _error(task, "queue_priority", priority, wanted)


def _error(task: Task, option: str, value: object, wanted: str) -> InvalidReceiverError:
    return InvalidReceiverError(task.name, f"has {option}={value!r}", f"Celery wants {wanted}.")


def _is_good(option: str, value: object) -> bool:
    if option not in WANTED or (value is None and option not in NEVER_NONE):
        return True
    return WANTED[option][1](value)


def _are_retry_options(value: object) -> bool:
    return kinds.is_named(value) and all(
        _is_good(option, each)
        for option, each in value.items()  # type: ignore[attr-defined]
    )


RETRY_OPTIONS: kinds.Kind = (
    "a dictionary of what retry() is to be called with: {'max_retries': 5}", _are_retry_options,
)  # fmt: skip

WANTED: Mapping[str, kinds.Kind] = {
    # Of each message.
    "countdown": kinds.SECONDS,
    "eta": kinds.MOMENT,
    "expires": kinds.END,
    "headers": kinds.HEADERS,
    "link": kinds.SIGNATURES,
    "link_error": kinds.SIGNATURES,
    "shadow": kinds.TEXT,
    "queue": kinds.QUEUE,
    "exchange": kinds.EXCHANGE,
    "exchange_type": kinds.NAME,
    "routing_key": kinds.NAME,
    "delivery_mode": kinds.DELIVERY_MODE,
    "compression": kinds.COMPRESSION,
    "time_limit": kinds.DURATION,
    "soft_time_limit": kinds.DURATION,
    # Of the worker.
    "autoretry_for": kinds.EXCEPTIONS,
    "dont_autoretry_for": kinds.EXCEPTIONS,
    "throws": kinds.CAUGHT,
    "retry_kwargs": RETRY_OPTIONS,
    "retry_backoff": kinds.BACKOFF,
    "retry_backoff_max": kinds.DURATION,
    "retry_jitter": kinds.FLAG,
    "max_retries": kinds.COUNT,  # or None, for no limit
    "default_retry_delay": kinds.DURATION,
    "rate_limit": kinds.RATE,
    "resultrepr_maxsize": kinds.COUNT,
    "Request": kinds.CLASS,
    "Strategy": kinds.CLASS,
    **dict.fromkeys(
        (
            "acks_late", "acks_on_failure", "acks_on_failure_or_timeout", "acks_on_timeout",
            "ignore_result", "reject_on_worker_lost", "retry_on_worker_lost", "send_events",
            "store_eager_result", "store_errors_even_if_ignored", "track_started", "trail",
            "typing",
        ),
        kinds.FLAG,
    ),
    **dict.fromkeys(HOOKS, kinds.FUNCTION),
}  # fmt: skip
