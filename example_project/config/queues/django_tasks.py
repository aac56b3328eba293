"""Django's own tasks, kept in the shop's database by django-tasks-db."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TITLE = "django.tasks"
DISTRIBUTION = "django-tasks-db"


def settings(var: Path) -> dict[str, Any]:
    """Return what django-tasks-db needs."""
    return {
        "QUEUE_APPS": ["django_tasks_db"],
        "TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
        "SIGNALS_PLUS_BACKENDS": {
            "default": {"BACKEND": "signals_plus.backends.django_tasks.DjangoTasksBackend"},
        },
    }


def worker(var: Path) -> list[str]:
    """Return what Python is given to start a worker."""
    return ["django", "db_worker", "--interval", "0.05"]


def delete(var: Path) -> None:
    """The database goes with the shop."""
