"""Which of a receiver's options Celery takes where, and which it ignores without a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Task as CeleryTask

from ..exceptions import InvalidReceiverError
from . import _celery_values
from .base import Task

# What apply_async() is given; all others are attributes of the task. Those of the second line may
# still be attributes too, which Celery 5.7 warns of.
PUBLISH_OPTIONS = frozenset(
    {
        "countdown", "eta", "headers", "link", "link_error", "shadow",
        "queue", "exchange", "exchange_type", "routing_key", "delivery_mode",
    }
)  # fmt: skip

# Attributes that Celery reads though no task has them unless they are given.
# Source: celery.app.task.extract_exec_options and celery.app.autoretry.
KNOWN_ATTRIBUTES = frozenset(
    {
        "autoretry_for", "dont_autoretry_for", "retry_kwargs", "retry_backoff",
        "retry_backoff_max", "retry_jitter", "base", "compression",
    }
)  # fmt: skip

# What a task keeps of itself.
INTERNAL = frozenset({"abstract", "from_config", "request", "request_stack"})

BOUNDED = "publishing is bounded by the backend's publish_timeout"
OWN_OPTIONS: Mapping[str, str] = {
    "bind": "the function is called with the signal's arguments. Use celery.current_task",
    "serializer": "a payload is JSON text",
    "pydantic": "a payload is JSON text",
    "retry": BOUNDED,
    "retry_policy": BOUNDED,
    "connection": BOUNDED,
    "producer": BOUNDED,
}

# Marks the Celery tasks that are receivers.
MARK = "is_signals_plus_receiver"


def attributes(task: Task) -> dict[str, Any]:
    """Return what the Celery task is made with."""
    chosen = {name: value for name, value in task.options.items() if name not in PUBLISH_OPTIONS}
    # Nobody can ask for the result: the signal's sender gets no handle. Storing one would also
    # make publishing wait for the result store, which has no such time limit.
    chosen.setdefault("ignore_result", True)
    return {**chosen, "serializer": "json", MARK: True}


def for_publishing(task: Task) -> dict[str, Any]:
    """Return what each ``apply_async()`` is called with."""
    chosen = {name: value for name, value in task.options.items() if name in PUBLISH_OPTIONS}
    if task.queue_name is not None:
        chosen["queue"] = task.queue_name
    if task.run_after is not None:
        chosen["countdown"] = task.run_after.total_seconds()
    if task.queue_priority is not None:
        chosen["priority"] = task.queue_priority
    return chosen


def check(task: Task, default_base: type[CeleryTask]) -> None:
    """Refuse what Celery would take without a word: a task accepts any attribute.

    ``default_base``: the class of the app's tasks.

    Raises:
        InvalidReceiverError: An option is unknown, set by the package, given twice, or has a value
            that Celery could not use.
    """
    base = task.options.get("base", default_base)
    if not (isinstance(base, type) and issubclass(base, CeleryTask)):
        raise InvalidReceiverError(
            task.name, f"has base={base!r}", "Give a subclass of celery.Task itself."
        )
    for option in task.options:
        if option in OWN_OPTIONS:
            raise InvalidReceiverError(
                task.name,
                f"has the Celery option {option!r}",
                f"Leave it out: {OWN_OPTIONS[option]}.",
            )
        if not _is_known(option, base):
            raise InvalidReceiverError(
                task.name,
                f"has the option {option!r}, which a Celery task does not have",
                "Correct its name; options go to Celery as they are (autoretry_for, rate_limit, "
                "countdown, queue, ...).",
            )
    _celery_values.check(task)
    _refuse_both(task, "queue_name", task.queue_name, ("queue",))
    _refuse_both(task, "run_after", task.run_after, ("countdown", "eta"))


def _is_known(option: str, base: type[CeleryTask]) -> bool:
    if option in PUBLISH_OPTIONS | KNOWN_ATTRIBUTES | _celery_values.HOOKS:
        return True
    is_internal = option.startswith("_") or callable(getattr(CeleryTask, option, None))
    return hasattr(base, option) and not is_internal and option not in INTERNAL


def _refuse_both(task: Task, own: str, value: object, options: tuple[str, ...]) -> None:
    for option in options:
        if value is not None and option in task.options:
            raise InvalidReceiverError(
                task.name, f"has both {own}= and Celery's {option}=", "Give one of them."
            )
