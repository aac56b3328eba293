"""Django-Q2, with its tasks in the shop's own database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TITLE = "Django-Q2"
DISTRIBUTION = "django-q2"


def settings(var: Path) -> dict[str, Any]:
    """Return what Django-Q2 needs."""
    return {
        "QUEUE_APPS": ["django_q"],
        "Q_CLUSTER": {
            "name": var.name,
            "orm": "default",
            "workers": 1,
            "max_attempts": 3,
            "poll": 0.05,
            "timeout": 60,
            "retry": 120,
            "log_level": "WARNING",
        },
        "SIGNALS_PLUS_BACKENDS": {
            "default": {"BACKEND": "signals_plus.backends.django_q.DjangoQBackend"},
        },
    }


def worker(var: Path) -> list[str]:
    """Return what Python is given to start a worker."""
    return ["django", "qcluster"]


def delete(var: Path) -> None:
    """The database goes with the shop."""
