"""The queues that the shop can use, a file each: ``SHOP_QUEUE`` names one, ``celery`` by itself.

Each file has what a project's settings need for its queue, and how its worker is started.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured

NAMES = ("celery", "django_q", "django_tasks", "rq", "thread")


class Queue(Protocol):
    """What each of the files has."""

    #: What to call it, and the distribution that it is.
    TITLE: str
    DISTRIBUTION: str

    def settings(self, var: Path) -> dict[str, Any]:
        """Return the settings that it needs; ``var`` is the folder for all state."""

    def worker(self, var: Path) -> list[str]:
        """Return what ``python -m`` is given to start a worker; nothing where there is none."""

    def delete(self, var: Path) -> None:
        """Leave nothing behind on a server."""


def chosen() -> Queue:
    """Return the queue that the environment names."""
    name = os.environ.get("SHOP_QUEUE", "celery")
    if name not in NAMES:
        raise ImproperlyConfigured(f"SHOP_QUEUE is {name!r}: it has to be one of {NAMES}.")
    module: Any = importlib.import_module(f"{__name__}.{name}")
    return module
