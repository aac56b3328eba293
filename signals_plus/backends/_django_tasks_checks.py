"""What Django's system checks say of receivers that are Django tasks."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

# Of Django and of the backport: a project that was on Django 5.2 may still name the latter.
DUMMY = frozenset({"django.tasks.backends.dummy", "django_tasks.backends.dummy"})
IMMEDIATE = frozenset({"django.tasks.backends.immediate", "django_tasks.backends.immediate"})


def check_worker(backend: object, described: str) -> list[CheckMessage]:
    """W005, outside of DEBUG: no worker takes what goes to this backend of ``TASKS``."""
    modules = {base.__module__ for base in type(backend).__mro__}
    if django_settings.DEBUG or not modules & (DUMMY | IMMEDIATE):
        return []
    what = (
        "never run"
        if modules & DUMMY
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
