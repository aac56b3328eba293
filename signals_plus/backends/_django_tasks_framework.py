"""``django.tasks`` of Django 6, or its backport for Django 5.2, under the names of Django 6."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("django.tasks"):
    from django.tasks import DEFAULT_TASK_BACKEND_ALIAS, task, task_backends
    from django.tasks.exceptions import InvalidTask
else:
    from django_tasks import DEFAULT_TASK_BACKEND_ALIAS, task, task_backends
    from django_tasks.exceptions import InvalidTaskError as InvalidTask

__all__ = [
    "DEFAULT_TASK_BACKEND_ALIAS",
    "InvalidTask",
    "task",
    "task_backends",
]
