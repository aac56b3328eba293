"""What system checks say of a queue that keeps its tasks, or what became of them, as rows."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from ..conf import settings
from .base import Task


def check(app_label: str, model: str, tasks: Iterable[Task]) -> list[CheckMessage]:
    """W006: the queue's rows are events like any other, for receivers of every row."""
    receivers = sorted(task.name for task in tasks if task.every_row)
    own = {app_label, f"{app_label}.{model}".lower()}
    if not receivers or own & settings.excluded_senders:
        return []
    return [
        CheckWarning(
            f"SIGNALS_PLUS_EXCLUDED_SENDERS leaves out {app_label!r}, where the queue writes a "
            f"row for each task: what is for every sender ({', '.join(receivers)}) enqueues a task "
            "for that row, and so on without an end.",
            hint=f"Add {app_label!r}.",
            id="signals_plus.W006",
        )
    ]
