"""The Celery app of the project."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.worker_project.settings")

app = Celery("worker_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
