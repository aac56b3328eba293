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
from celery.app.routes import MapRoute
from celery.app.routes import prepare as prepare_routes
from django.core.checks import CheckMessage, Error

from ..exceptions import InvalidReceiverError, described
from . import _celery_options
from .base import Task

ATTRIBUTES = ("expires", "queue", "soft_time_limit", "time_limit")


def refuse(task: Task, app: Celery) -> None:
    """Raise what Celery would raise when it publishes the task, as far as that is certain.

    Raises:
        InvalidReceiverError: A time limit, an end, a queue or a route cannot be what it is.
    """
    annotations = prepare(app.conf.task_annotations)
    if not all(type(each) is MapAnnotation for each in annotations):
        return  # the project's own code, which may say anything
    attributes = _attributes(task, app, annotations)
    _refuse_limits(task, attributes["soft_time_limit"], attributes["time_limit"])
    _refuse_never(task, attributes["expires"])
    _refuse_queues(task, app, attributes["queue"])


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
    if not isinstance(expires, int | float):
        return  # a moment may be far off
    wait = max(_celery_options.for_publishing(task).get("countdown") or 0, 0)
    if expires <= wait:
        waits = f", and waits for {wait} s" if wait else ""
        raise InvalidReceiverError(
            task.name,
            f"expires after {expires} s{waits}: it would never run",
            "Both count from the commit: raise expires=, or let it wait for less.",
        )


def _refuse_queues(task: Task, app: Celery, of_task: object) -> None:
    route = _route(task, app) if _is_celerys_own(task, app) else None
    if app.conf.task_create_missing_queues:
        return
    queue = _celery_options.for_publishing(task).get("queue") or of_task
    if route == {}:
        queue = queue or app.conf.task_default_queue
    _refuse_missing(task, app, queue, "goes to", "name another queue_name=")
    if route:  # Celery looks for its queue though the receiver's own goes before it
        _refuse_missing(task, app, route.get("queue"), "is routed to", "correct task_routes")


def _route(task: Task, app: Celery) -> dict[str, Any] | None:
    """Return what ``task_routes`` say; None where that is up to the project's own code."""
    try:
        for router in prepare_routes(app.conf.task_routes):
            if type(router) is not MapRoute:
                return None
            route: dict[str, Any] | None = router(task.name)
            if route is not None:
                return route
    except (TypeError, ValueError) as error:
        raise InvalidReceiverError(
            task.name,
            f"cannot be routed: {described(error)}",
            'Correct task_routes. They may be a dictionary: {"shop.*": {"queue": "mail"}}.',
        ) from error
    return {}


def _refuse_missing(task: Task, app: Celery, queue: object, verb: str, remedy: str) -> None:
    if isinstance(queue, str) and not _has_queue(app, queue):
        known = ", ".join(sorted(app.amqp.queues))
        raise InvalidReceiverError(
            task.name,
            f"{verb} the queue {queue!r}, which is not in task_queues, and "
            "task_create_missing_queues is off",
            f"Add it there, or {remedy}. There are: {known}.",
        )


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
