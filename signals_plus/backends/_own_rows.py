"""What system checks say of a queue that keeps its tasks, or what became of them, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from ..conf import settings
from .base import Task


def check(app_label: str, models: Sequence[str], tasks: Iterable[Task]) -> list[CheckMessage]:
    """W006: the queue's rows are events like any other, for receivers of every row.

    ``models``: all that it writes or deletes rows of for a task.
    """
    receivers = sorted(task.name for task in tasks if task.every_row)
    labels = [f"{app_label}.{model}" for model in models]
    left_out = [label for label in labels if label.lower() not in settings.excluded_senders]
    if not receivers or not left_out or app_label in settings.excluded_senders:
        return []
    return [
        CheckWarning(
            f"SIGNALS_PLUS_EXCLUDED_SENDERS leaves out {', '.join(map(repr, left_out))}, where the "
            f"queue has a row for each task: what is for every sender ({', '.join(receivers)}) "
            "enqueues a task for that row, and so on without an end.",
            hint=f"Add {app_label!r}.",
            id="signals_plus.W006",
        )
    ]
