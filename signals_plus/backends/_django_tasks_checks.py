"""What Django's system checks say of receivers that are Django tasks."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from ._django_tasks_framework import DummyBackend, ImmediateBackend


def check_worker(backend: object, described: str) -> list[CheckMessage]:
    """W005, outside of DEBUG: no worker takes what goes to this backend of ``TASKS``."""
    if django_settings.DEBUG or not isinstance(backend, ImmediateBackend | DummyBackend):
        return []
    what = (
        "never run"
        if isinstance(backend, DummyBackend)
        else "run inside the request, and their errors are only logged"
    )
    return [
        CheckWarning(
            f"Receivers are tasks of {described}: they {what}.",
            hint="Name a backend with a worker in TASKS, for instance "
            "django_tasks_db.DatabaseBackend.",
            id="signals_plus.W005",
        )
    ]
