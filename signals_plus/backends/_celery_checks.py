"""What Django's system checks say of the project's Celery app."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from celery import Celery
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from kombu.utils.imports import symbol_by_name

from . import _celery_conf, _redis_checks
from ._paths import check_paths
from ._unusable import unusable
from .base import Task

# The transports of kombu that give messages with a priority a place of their own. RabbitMQ does
# so in queues that are declared for it.
WITH_PRIORITIES = frozenset({"amqp", "mongodb", "redis"})


def check_app(app: Celery | None, tasks: Collection[Task]) -> list[CheckMessage]:
    """W002, W017, E008 and E009 always, W003, W004 and W012 outside of DEBUG."""
    if app is None or _is_fallback(app):
        return [
            CheckWarning(
                "Receivers are Celery tasks, but no Celery app is configured in this process.",
                hint="Import it in the project's __init__.py: from .celery import app as "
                "celery_app. Celery falls back to an app without settings, on localhost.",
                id="signals_plus.W002",
            )
        ]
    found = _celery_conf.check(tasks, app) + check_paths(tasks, _paths, symbol_by_name)
    if not app.conf.task_always_eager:
        found += _check_transport(app)
    if django_settings.DEBUG:
        return found
    prioritised = sorted(task.name for task in tasks if task.queue_priority is not None)
    found += _check_broker(app)
    return found + (_check_priorities(app, prioritised) if prioritised else [])


def _paths(task: Task) -> dict[str, str]:
    return {
        option: value
        for option, value in task.options.items()
        if option in {"Request", "Strategy"} and isinstance(value, str)
    }


def check_publish(app: Celery, alias: str, names: Sequence[str]) -> list[CheckMessage]:
    """W015 and I001, outside of DEBUG: the broker may lose what it has taken."""
    driver = _driver_type(app)
    if driver == "redis":
        return _redis_checks.check_publish(alias, names)
    is_confirmed = app.conf.broker_transport_options.get("confirm_publish", True)
    if driver != "amqp" or is_confirmed or django_settings.DEBUG:
        return []
    return [
        CheckWarning(
            f'{", ".join(names)}: with durable="publish" a task is done when RabbitMQ has it, and '
            f"the Celery app {app.main!r} has confirm_publish off: nobody knows whether it has.",
            hint="Take confirm_publish out of broker_transport_options, or set it to True.",
            id="signals_plus.W015",
        )
    ]


def _is_fallback(app: Celery) -> bool:
    """Tell the app that Celery makes up where there is none (celery._state.get_current_app)."""
    return app.main == "default" and not app.set_as_current


def _check_transport(app: Celery) -> list[CheckMessage]:
    try:
        connection = app.connection_for_write()
        if connection.get_transport_cls().driver_type == "redis":
            _refuse_database(connection.virtual_host)
    except Exception as error:  # noqa: BLE001 - of kombu, a client, the project's own transport
        hint = "Correct broker_url, or install the client of the broker."
        return [unusable(f"The broker of the Celery app {app.main!r}", error, hint)]
    return []


def _refuse_database(name: object) -> None:
    """Raise if it is no number, as kombu does when it connects."""
    number = str(name or "").removeprefix("/")
    if number and not number.isdecimal():
        raise ValueError(f"a database of Redis is a number, not {number!r}")


def _check_broker(app: Celery) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    driver = _driver_type(app)
    if app.conf.task_always_eager or driver == "memory":
        what = "task_always_eager is on" if app.conf.task_always_eager else "its broker is memory"
        found.append(
            CheckWarning(
                f"Receivers are tasks of the Celery app {app.main!r}, but {what}: they run "
                "inside the request, or in no worker at all.",
                hint="Use a real broker outside of DEBUG and tests.",
                id="signals_plus.W003",
            )
        )
    # Without a socket_connect_timeout of its own, connecting has the same limit.
    if driver == "redis" and not app.conf.broker_transport_options.get("socket_timeout"):
        found.append(
            CheckWarning(
                f"The Redis broker of the Celery app {app.main!r} has no socket timeout: a "
                "delay() of yours waits for ever for a Redis that does not answer.",
                hint='Set broker_transport_options = {"socket_timeout": 5, '
                '"socket_connect_timeout": 5}. Receivers are not concerned: they publish '
                "with timeouts of their own.",
                id="signals_plus.W004",
            )
        )
    return found


def _check_priorities(app: Celery, prioritised: Sequence[str]) -> list[CheckMessage]:
    driver = _driver_type(app)
    if driver is None or driver == "memory":  # W003 speaks of that
        return []
    if driver != "amqp":
        if driver in WITH_PRIORITIES:
            return []
        problem = f"brokers of the type {driver!r} have no priorities"
    elif app.conf.task_queue_max_priority is not None or _has_levels(app):
        return []
    else:
        problem = "none of its queues is declared with a max_priority"
    return [
        CheckWarning(
            f"{', '.join(prioritised)}: queue_priority= is without effect in the Celery app "
            f"{app.main!r}, since {problem}.",
            hint="With RabbitMQ set task_queue_max_priority = 10 (a queue that exists has to be "
            "deleted first). With others leave queue_priority= out, or give the receivers a "
            "queue_name= with workers of its own.",
            id="signals_plus.W012",
        )
    ]


def _has_levels(app: Celery) -> bool:
    """Tell whether any queue is declared with priorities."""
    return any(
        queue.max_priority is not None or "x-max-priority" in (queue.queue_arguments or {})
        for queue in app.amqp.queues.values()
    )


def _driver_type(app: Celery) -> str | None:
    try:
        driver: str = app.connection_for_write().get_transport_cls().driver_type
    except Exception:  # noqa: BLE001 - E009 speaks of that
        return None
    return driver
