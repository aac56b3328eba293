"""What Django's system checks say of the project's Celery app."""

from __future__ import annotations

from celery import Celery
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning


def check_app(app: Celery | None) -> list[CheckMessage]:
    """W002 always, W003 and W004 outside of DEBUG."""
    if app is None or _is_fallback(app):
        return [
            CheckWarning(
                "Receivers are Celery tasks, but no Celery app is configured in this process.",
                hint="Import it in the project's __init__.py: from .celery import app as "
                "celery_app. Celery falls back to an app without settings, on localhost.",
                id="signals_plus.W002",
            )
        ]
    if django_settings.DEBUG:
        return []
    return _check_broker(app)


def _is_fallback(app: Celery) -> bool:
    """Tell the app that Celery makes up where there is none (celery._state.get_current_app)."""
    return app.main == "default" and not app.set_as_current


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


def _driver_type(app: Celery) -> str | None:
    try:
        driver: str = app.connection_for_write().get_transport_cls().driver_type
    except (ImportError, KeyError):  # no such transport: Celery's own error says so
        return None
    return driver
