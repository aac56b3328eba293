"""What the configuration of the project's Celery app makes impossible for a receiver.

It is not looked at when the receiver is connected: Django may be about to start, and the app to
be configured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery
from celery import Task as CeleryTask
from celery.app.annotations import MapAnnotation, prepare, resolve_all
from django.core.checks import CheckMessage, Error

from ..exceptions import InvalidReceiverError
from . import _celery_options
from .base import Task

ATTRIBUTES = ("expires", "queue", "soft_time_limit", "time_limit")


def refuse(task: Task, app: Celery) -> None:
    """Raise what Celery would raise when it publishes the task, as far as that is certain.

    Raises:
        InvalidReceiverError: A time limit, an end or a queue cannot be what it is.
    """
    annotations = prepare(app.conf.task_annotations)
    if not all(type(each) is MapAnnotation for each in annotations):
        return  # the project's own code, which may say anything
    attributes = _attributes(task, app, annotations)
    _refuse_limits(task, attributes["soft_time_limit"], attributes["time_limit"])
    _refuse_never(task, attributes["expires"])
    queue = _queue_name(task, app, attributes["queue"])
    if queue and not app.conf.task_create_missing_queues and not _has_queue(app, queue):
        known = ", ".join(sorted(app.amqp.queues))
        raise InvalidReceiverError(
            task.name,
            f"goes to the queue {queue!r}, which is not in task_queues, and "
            "task_create_missing_queues is off",
            f"Add it there, or name another queue_name=. There are: {known}.",
        )


def check(tasks: Iterable[Task], app: Celery) -> list[CheckMessage]:
    """E008: what ``refuse`` raises."""
    found: list[CheckMessage] = []
    for task in tasks:
        try:
            refuse(task, app)
        except InvalidReceiverError as error:
            problem = f"Receiver {error.receiver!r} {error.problem}."
            found.append(Error(problem, hint=error.remedy, id="signals_plus.E008"))
    return found


def _attributes(task: Task, app: Celery, annotations: list[MapAnnotation]) -> dict[str, Any]:
    """Return what the task has once it is bound. To ask the task itself finalizes the app."""
    base = _base(task, app)
    attributes = {name: task.options.get(name, getattr(base, name, None)) for name in ATTRIBUTES}
    for annotation in resolve_all(annotations, task):
        attributes.update(annotation)
    for limit in ("soft_time_limit", "time_limit"):
        # Celery 5.4 gives it to the worker alone, newer ones to each task as well.
        if attributes[limit] is None:
            attributes[limit] = app.conf[f"task_{limit}"]
    return attributes


def _refuse_limits(task: Task, soft: object, hard: object) -> None:
    # Newer ones do not publish the task. With others it runs for longer.
    if not (isinstance(soft, int | float) and isinstance(hard, int | float)):
        return
    if soft and hard and soft > hard:
        raise InvalidReceiverError(
            task.name,
            f"has a soft_time_limit of {soft} s, and a time_limit of {hard} s",
            "Celery wants the soft one to come first: raise the time_limit, or lower the other.",
        )


def _refuse_never(task: Task, expires: object) -> None:
    wait = _celery_options.for_publishing(task).get("countdown")
    if wait is None or not isinstance(expires, int | float):
        return  # a moment may be far off
    if expires <= wait:
        raise InvalidReceiverError(
            task.name,
            f"expires after {expires} s, and waits for {wait} s: it would never run",
            "Both count from the commit: raise expires=, or let it wait for less.",
        )


def _queue_name(task: Task, app: Celery, of_task: object) -> str | None:
    queue = _celery_options.for_publishing(task).get("queue") or of_task
    if queue is None and not app.conf.task_routes and _is_celerys_own(task, app):
        queue = app.conf.task_default_queue
    return queue if isinstance(queue, str) else None


def _is_celerys_own(task: Task, app: Celery) -> bool:
    """Tell whether nothing of the project's chooses a queue while a task is published."""
    return (
        _base(task, app).apply_async is CeleryTask.apply_async
        and getattr(app.send_task, "__func__", None) is Celery.send_task
    )


def _base(task: Task, app: Celery) -> type[CeleryTask]:
    base: type[CeleryTask] = task.options.get("base", app.Task)
    return base


def _has_queue(app: Celery, name: str) -> bool:
    try:
        app.amqp.queues[name]
    except KeyError:
        return False
    return True
